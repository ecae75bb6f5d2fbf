//! The interface to a name service: which records can be looked up, and why an answer can be missing.
//!
//! Decides: nothing. Must not: let "a server failed" look like "there is no record". [`LookupError`] keeps the two apart by
//! type: only `NoSuchDomain` and `NoData` may make an address undeliverable.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use crate::address::Domain;

/// A boxed DNS look-up.
pub(crate) type LookupFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, LookupError>> + Send + 'a>>;

/// The records that answer a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsAnswer<T> {
    /// The records; none where the name has none of this kind.
    pub records: Vec<T>,
    /// How long they may be used: the lowest TTL among them and the CNAMEs before them. Where there are none, the negative
    /// TTL (RFC 2308 5).
    pub ttl: Duration,
}

/// One MX record. A target "." is [`MxTarget::Null`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mx {
    /// A lower one is preferred.
    pub preference: u16,
    /// The host that it names.
    pub target: MxTarget,
}

/// The host that an MX record names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MxTarget {
    /// A host name.
    Host(Domain),
    /// ".": the domain accepts no mail (RFC 7505).
    Null,
    /// A text that cannot be a host name: with an underscore or an odd byte, or an IP address. Kept for the evidence.
    Malformed(String),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupError {
    /// NXDOMAIN: the name does not exist.
    NoSuchDomain,
    /// The name exists, but has no such record.
    NoData,
    /// No name server answered, or the answer cannot be trusted.
    Failed(DnsFault),
}

/// Why a look-up failed. Never evidence against an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DnsFault {
    /// Every name server returned SERVFAIL.
    #[error("SERVFAIL")]
    ServFail,
    /// Every name server returned REFUSED.
    #[error("REFUSED")]
    Refused,
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// No name server could be reached.
    #[error("no name server can be reached")]
    Unreachable,
    /// The resolver returns records for names that cannot exist, so none of its answers may make an address undeliverable.
    #[error("the resolver rewrites answers")]
    Rewritten,
    /// The MX hosts have private addresses only: split-horizon DNS or a mistake, which look the same from here.
    #[error("the mail hosts have private addresses")]
    PrivateAddress,
    /// The look-up failed by an internal error of this program.
    #[error("internal error during the look-up")]
    Internal,
    /// Any other failure, in the resolver's own words.
    #[error("{0}")]
    Other(String),
}

impl DnsFault {
    /// True if no name server answered at all.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self, DnsFault::Timeout | DnsFault::Unreachable)
    }

    /// The name of the fault in the `rule` column.
    pub fn word(&self) -> &'static str {
        match self {
            DnsFault::ServFail => "servfail",
            DnsFault::Refused => "refused",
            DnsFault::Timeout => "timeout",
            DnsFault::Unreachable => "unreachable",
            DnsFault::Rewritten => "rewritten",
            DnsFault::PrivateAddress => "private_address",
            DnsFault::Internal => "internal",
            DnsFault::Other(_) => "other",
        }
    }
}

/// A type of records that is looked up by name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordType {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// A mail host.
    Mx,
    /// A text.
    Txt,
    /// The name of an address.
    Ptr,
}

impl RecordType {
    /// The type as DNS writes it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            RecordType::A => "A",
            RecordType::Aaaa => "AAAA",
            RecordType::Mx => "MX",
            RecordType::Txt => "TXT",
            RecordType::Ptr => "PTR",
        }
    }
}

/// A record, with names as DNS has them: any text, without a dot at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsRecord {
    /// A or AAAA.
    Address(IpAddr),
    /// MX: its preference and its host; the root is an empty text.
    Mx(u16, String),
    /// TXT: its strings, joined without a space.
    Text(Vec<u8>),
    /// PTR.
    Name(String),
}

/// What a resolver returns for names that cannot exist. An honest resolver returns NXDOMAIN. Others return addresses of an
/// advertiser, a login page or a proxy; then neither "exists" nor "does not exist" can be trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NxdomainRewriting {
    /// NXDOMAIN.
    #[default]
    No,
    /// These addresses; or, without addresses, other records.
    To(Vec<IpAddr>),
    /// Not known, because the test itself failed. The resolver counts as one that rewrites.
    Unknown(DnsFault),
}

impl NxdomainRewriting {
    /// Why "does not exist" and "has no MX record" can't be trusted; `None` if they can.
    pub fn fault(&self) -> Option<DnsFault> {
        match self {
            NxdomainRewriting::No => None,
            NxdomainRewriting::To(_) => Some(DnsFault::Rewritten),
            NxdomainRewriting::Unknown(fault) => Some(fault.clone()),
        }
    }

    /// True if NXDOMAIN is rewritten to this address.
    pub fn includes(&self, ip: IpAddr) -> bool {
        matches!(self, NxdomainRewriting::To(addresses) if addresses.contains(&ip))
    }
}

/// A name service. The real one is [`NameServers`](crate::route::NameServers), a scripted one is in `world`.
pub trait Dns: Send + Sync {
    /// The MX records of a domain, in any order; CNAMEs are followed. A domain without MX records is an answer without records
    /// or [`LookupError::NoData`].
    fn mx<'a>(&'a self, domain: &'a Domain) -> LookupFuture<'a, DnsAnswer<Mx>>;

    /// The A and AAAA records of a host, IPv4 first. Records that no connection would use may be left out.
    /// [`LookupError::NoData`] only if both kinds are missing; if one family fails and the other has addresses, the result is
    /// those addresses.
    fn addresses<'a>(&'a self, host: &'a Domain) -> LookupFuture<'a, DnsAnswer<IpAddr>>;

    /// The records of one type of any name, as they are; CNAMEs are followed. Labels may hold any byte but a dot. A service
    /// that has only MX hosts and addresses fails.
    fn records<'a>(&'a self, name: &'a str, kind: RecordType) -> LookupFuture<'a, Vec<DnsRecord>> {
        let fault = DnsFault::Other(format!("no {} look-up of {name}", kind.word()));
        Box::pin(async { Err(LookupError::Failed(fault)) })
    }

    /// What this service returns for names that cannot exist. Tested before any answer is trusted.
    fn nxdomain_rewriting(&self) -> Pin<Box<dyn Future<Output = NxdomainRewriting> + Send + '_>> {
        Box::pin(async { NxdomainRewriting::default() })
    }

    /// True if the service answers a query that needs no other server. False where that can't be tested.
    fn is_alive(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async { false })
    }
}
