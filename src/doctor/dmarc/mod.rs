//! DMARC: which policy applies to mail from a domain, and is it aligned with what was authenticated (RFC 9989)?
//!
//! Owns DMARC records, the tree walk and alignment. It asks through [`crate::route::Dns`] and nothing else. A look-up that
//! failed is an error, never "no record".
//!
//! | to see | open |
//! |---|---|
//! | the tags of a record | `record.rs` |
//! | which names are asked, the organizational domain, alignment | `tree_walk.rs` |
//! | the policy that applies | `policy.rs` |

mod policy;
mod record;
#[cfg(test)]
mod tests;
mod tree_walk;

pub use policy::AppliedPolicy;
pub use record::{DmarcPolicy, DmarcRecord, PsdFlag};
pub(super) use tree_walk::is_aligned;
pub use tree_walk::{DmarcWalk, FailedLookup};
