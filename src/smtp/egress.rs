//! Who we are to a receiver: source, HELO name, envelope sender.
//!
//! Decides: nothing. All three are the user's own and are given, never invented.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::address::{Address, Domain};

/// One way out. Everything asked through it is asked with the same name and sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Egress {
    /// How connections leave.
    pub path: EgressPath,
    /// The name said in EHLO and HELO.
    pub helo: Domain,
    /// The envelope sender; never the null sender, which some servers refuse and some blocklists punish.
    pub sender: Address,
}

/// How connections leave this machine. `Debug` leaves out the credentials of a proxy.
#[derive(Clone, PartialEq, Eq)]
pub enum EgressPath {
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

impl fmt::Debug for EgressPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EgressPath::Direct(source) => f.debug_tuple("Direct").field(source).finish(),
            EgressPath::Socks5 { proxy, login } => {
                let login = login.as_ref().map(|_| "...");
                f.debug_struct("Socks5").field("proxy", proxy).field("login", &login).finish()
            }
        }
    }
}

impl EgressPath {
    /// Which addresses it reaches.
    pub fn family(&self) -> IpFamilies {
        match self {
            EgressPath::Direct(Some(IpAddr::V4(_))) => IpFamilies::V4,
            EgressPath::Direct(Some(IpAddr::V6(_))) => IpFamilies::V6,
            EgressPath::Direct(None) | EgressPath::Socks5 { .. } => IpFamilies::Both,
        }
    }
}

/// The addresses that a way out reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpFamilies {
    /// As far as we know.
    #[default]
    Both,
    /// From an IPv4 address.
    V4,
    /// From an IPv6 address.
    V6,
}

impl IpFamilies {
    /// Is this address among them?
    pub fn has(self, address: &IpAddr) -> bool {
        match self {
            IpFamilies::Both => true,
            IpFamilies::V4 => address.is_ipv4(),
            IpFamilies::V6 => address.is_ipv6(),
        }
    }
}
