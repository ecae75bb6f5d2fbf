//! The border to the name servers: what can be asked, and the four ways in which an answer can be missing.
//!
//! Decides: nothing. Must not: let "a server failed" look like "there is no record": [`LookupError`] keeps them apart by
//! type, and only its first two kinds may ever condemn.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use crate::address::Domain;

/// A question on its way.
pub type LookupFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, LookupError>> + Send + 'a>>;

/// One MX record. A target "." is [`MxTarget::Null`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mx {
    /// Lower is asked first.
    pub preference: u16,
    /// Where it points.
    pub target: MxTarget,
}

/// Where an MX record points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MxTarget {
    /// A host name.
    Host(Domain),
    /// ".": the domain takes no mail (RFC 7505).
    Null,
    /// Something that can't be a host name (an underscore, an odd byte, a bare IP address); kept as text for
    /// the evidence.
    Malformed(String),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupError {
    /// NXDOMAIN: the name does not exist.
    NoSuchDomain,
    /// The name exists, but has no such record.
    NoData,
    /// Nobody answered the question.
    Failed(DnsFault),
}

/// How a question failed. Never evidence against an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DnsFault {
    /// SERVFAIL from every name server asked.
    #[error("SERVFAIL")]
    ServFail,
    /// REFUSED from every name server asked.
    #[error("REFUSED")]
    Refused,
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// Our resolver invents answers for names that can't exist, so none of its answers can condemn.
    #[error("the resolver rewrites answers")]
    Rewritten,
    /// The mail hosts have private addresses: split-horizon DNS, or a mistake; not for us to judge.
    #[error("the mail hosts have private addresses")]
    PrivateAddress,
    /// The look-up failed inside, which is a fault of ours.
    #[error("the look-up failed inside")]
    Internal,
    /// Anything else, in the resolver's own words.
    #[error("{0}")]
    Other(String),
}

impl DnsFault {
    /// The word in the `rule` column.
    pub fn word(&self) -> &'static str {
        match self {
            DnsFault::ServFail => "servfail",
            DnsFault::Refused => "refused",
            DnsFault::Timeout => "timeout",
            DnsFault::Rewritten => "rewritten",
            DnsFault::PrivateAddress => "private_address",
            DnsFault::Internal => "internal",
            DnsFault::Other(_) => "other",
        }
    }
}

/// What a resolver answers for names that can't exist: nothing, if it is honest. Others lead to an advertiser, a
/// login page, a proxy; what they call absent may exist, and what they call present may not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NxdomainRewriting(Option<Vec<IpAddr>>);

impl NxdomainRewriting {
    /// It answered, with these addresses or (without any) otherwise.
    pub fn new(addresses: impl IntoIterator<Item = IpAddr>) -> NxdomainRewriting {
        NxdomainRewriting(Some(addresses.into_iter().collect()))
    }

    /// Whether anything is invented.
    pub fn any(&self) -> bool {
        self.0.is_some()
    }

    /// Whether this address was one of the inventions.
    pub fn holds(&self, ip: IpAddr) -> bool {
        self.0.as_ref().is_some_and(|addresses| addresses.contains(&ip))
    }
}

/// A name service. The real one is [`crate::route::hickory`], a scripted one is in [`crate::world`].
pub trait Dns: Send + Sync {
    /// The MX records of a domain, in any order; CNAMEs are followed.
    fn mx<'a>(&'a self, domain: &'a Domain) -> LookupFuture<'a, Vec<Mx>>;

    /// The A and AAAA records of a host, IPv4 first; those that nobody would connect to may be left out. [`LookupError::NoData`] only
    /// when both are missing; a failure of one family beside addresses of the other is no failure.
    fn addresses<'a>(&'a self, host: &'a Domain) -> LookupFuture<'a, Vec<IpAddr>>;

    /// What this service answers for names that can't exist. Asked once for a run, before anything is believed.
    fn invented(&self) -> Pin<Box<dyn Future<Output = NxdomainRewriting> + Send + '_>> {
        Box::pin(async { NxdomainRewriting::default() })
    }
}
