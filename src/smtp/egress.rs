//! An egress: what a receiver sees of us (source address or proxy, HELO name, envelope sender).
//!
//! Decides: nothing. The user sets all three; none is invented.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::address::{Address, Domain};

/// One egress. All sessions through it use the same HELO name and the same sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Egress {
    /// Source address or proxy.
    pub path: EgressPath,
    /// The name in EHLO and HELO.
    pub helo: Domain,
    /// The envelope sender; never the null sender, which some servers reject and some blocklists count as abuse.
    pub sender: Address,
}

/// How connections leave this machine. `Debug` leaves out the credentials of a proxy.
#[derive(Clone, PartialEq, Eq)]
pub enum EgressPath {
    /// Directly, from this source address; `None`: the system chooses one.
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
    /// The IP versions that it reaches.
    pub fn families(&self) -> IpFamilies {
        match self {
            EgressPath::Direct(Some(IpAddr::V4(_))) => IpFamilies::V4,
            EgressPath::Direct(Some(IpAddr::V6(_))) => IpFamilies::V6,
            EgressPath::Direct(None) | EgressPath::Socks5 { .. } => IpFamilies::Both,
        }
    }
}

/// The IP versions that an egress reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpFamilies {
    /// IPv4 and IPv6, as far as is known.
    #[default]
    Both,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl IpFamilies {
    /// True if an address is of one of these versions.
    pub fn includes(self, address: &IpAddr) -> bool {
        match self {
            IpFamilies::Both => true,
            IpFamilies::V4 => address.is_ipv4(),
            IpFamilies::V6 => address.is_ipv6(),
        }
    }
}
