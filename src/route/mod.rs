//! Where a domain's mail goes.
//!
//! [`find()`] asks and [`plan`] decides (pure: MX order, null MX, implicit MX, public addresses only), [`dns`] is the
//! border to the name servers, [`hickory`] its real other side, [`cache`] asks each question once, [`public`] knows
//! which addresses may be connected to.

mod cache;
mod dns;
mod find;
mod hickory;
mod plan;
mod public;

use std::net::IpAddr;

use crate::address::Domain;
pub use dns::{Dns, DnsFault};
pub use find::find;
pub use public::AllowedNets;

/// Where the mail of a domain goes. "No mail" is said only when the DNS said so: whatever failed is `Failed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// At least one exchanger with an address that may be connected to, best first.
    Hosts(Vec<MxHost>),
    /// A single MX "." (RFC 7505).
    NullMx,
    /// Nothing there that takes mail.
    Absent(NoMailReason),
    /// All targets are loopback, unspecified and the like: nobody on the Internet can deliver there.
    Unroutable(IpAddr),
    /// Nothing can be said: the question was not answered, or not by the domain's own servers.
    Failed(DnsFault),
}

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMailReason {
    /// NXDOMAIN.
    NoSuchDomain,
    /// Neither MX nor address records, or MX whose targets all don't exist (no fall-back to A then).
    NoMailHost,
}

/// A host that takes a domain's mail.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MxHost {
    /// Its name; an A-label name in lower case, without a trailing dot.
    pub host: Domain,
    /// The MX preference, lower is better; 0 for an implicit MX (RFC 5321 5.1).
    pub preference: u16,
    /// Addresses that may be connected to, IPv4 first. Resolved once: the connection goes to one of these.
    pub addresses: Vec<IpAddr>,
}

pub use cache::Cached;
pub use dns::{LookupError, LookupFuture, Mx, MxTarget};
pub use hickory::{DnsTimeouts, NameServers, ResolverSetupError};
