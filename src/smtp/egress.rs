//! An egress: what a receiver sees of us (source address or proxy, HELO name, envelope sender).
//!
//! Decides: nothing. The user sets all three; none is invented.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

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
        proxy: ProxyAddress,
        /// User and password (RFC 1929).
        login: Option<(String, String)>,
    },
}

/// The host and the port of a proxy. A host name is looked up by the system at each connection.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyAddress(String);

/// The text is not a host name or an IP address with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoProxyAddress;

impl ProxyAddress {
    /// Host and port, as `HOST:PORT`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The IP address, unless the host is a name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.0.parse::<SocketAddr>().ok().map(|address| address.ip())
    }
}

impl FromStr for ProxyAddress {
    type Err = NoProxyAddress;

    fn from_str(text: &str) -> Result<ProxyAddress, NoProxyAddress> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return if address.port() == 0 {
                Err(NoProxyAddress)
            } else {
                Ok(ProxyAddress(address.to_string()))
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or(NoProxyAddress)?;
        let host = Domain::parse(host).map_err(|_| NoProxyAddress)?;
        let port: u16 = port.parse().map_err(|_| NoProxyAddress)?;
        if port == 0 { Err(NoProxyAddress) } else { Ok(ProxyAddress(format!("{host}:{port}"))) }
    }
}

impl fmt::Display for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
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
