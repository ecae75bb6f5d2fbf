//! Who we are to a receiver: source, HELO name, envelope sender.
//!
//! Decides: nothing. All three are the user's own and are given, never invented.

use std::net::{IpAddr, SocketAddr};

use crate::address::{Address, Domain};

/// One way out. Everything asked through it is asked with the same name and sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Egress {
    /// How connections leave.
    pub path: Path,
    /// The name said in EHLO and HELO.
    pub helo: Domain,
    /// The envelope sender; never the null sender, which some servers refuse and some blocklists punish.
    pub sender: Address,
}

/// How connections leave this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// From this machine, with the source address that the system takes, or this one.
    Direct(Option<IpAddr>),
    /// Through a SOCKS5 proxy (RFC 1928).
    Socks5 {
        /// The proxy.
        proxy: SocketAddr,
        /// User and password (RFC 1929).
        login: Option<(String, String)>,
    },
}
