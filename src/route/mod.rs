//! The route of a domain: the MX hosts that receive its mail, and the addresses to connect to.
//!
//! Owns the question "where does this domain's mail go?". Only [`resolve`] answers it: other rooms neither read MX records
//! nor decide which addresses may be connected to. "No mail" is said only if the DNS said so; every failure is
//! [`Route::Failed`].
//!
//! | to see | open |
//! |---|---|
//! | what DNS answers mean: MX order, null MX, implicit MX | `plan.rs` |
//! | which addresses may be connected to | `public.rs` |
//! | the interface to a name service, and its errors | `dns.rs` |
//! | the real name service | `hickory.rs` |
//! | records of any type and any name | `record.rs` |
//! | how each question is asked only once | `cache.rs` |

mod cache;
mod dns;
mod hickory;
mod plan;
mod public;
mod record;
mod resolve;

pub use cache::CachedDns;
pub use dns::DnsFault;
pub(crate) use dns::{
    Dns, DnsAnswer, DnsRecord, LookupError, LookupFuture, Mx, MxTarget, NxdomainRewriting, RecordType,
};
pub(crate) use hickory::ResolverSetupError;
pub use hickory::{DnsTimeouts, NameServers};
pub(crate) use plan::MxHost;
pub use plan::{NoMailReason, Route};
pub use public::AllowedNets;
pub(crate) use resolve::ResolvedRoute;
pub use resolve::resolve;
