//! The policy that applies to mail from a domain (RFC 9989 4.10.1, 4.7).
//!
//! Decides: which record counts, and which of its policies.

use super::record::{DmarcPolicy, DmarcRecord, PsdFlag};
use super::tree_walk::DmarcWalk;

/// A policy and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedPolicy {
    /// The policy as published.
    pub published: DmarcPolicy,
    /// The policy that counts: one step weaker in test mode.
    pub policy: DmarcPolicy,
    /// The domain of the record.
    pub domain: String,
}

impl AppliedPolicy {
    /// The policy for the domain where a walk started. The record of the domain itself counts, then that of the
    /// organizational domain, then that of the public suffix domain. `exists` is false if the domain has no records at all.
    pub fn of(walk: &DmarcWalk, exists: bool) -> Option<AppliedPolicy> {
        let public_suffix = walk.found.iter().find(|(_, record)| record.psd == PsdFlag::Yes);
        let own = walk.record_of(&walk.domain).map(|record| (walk.domain.as_str(), record));
        let organizational = walk.organizational_domain();
        let (domain, record) = own
            .or_else(|| walk.record_of(organizational).map(|record| (organizational, record)))
            .or_else(|| public_suffix.map(|(name, record)| (name.as_str(), record)))?;
        let published = if domain == walk.domain { record.own_policy()? } else { inherited(record, exists)? };
        let policy = if record.is_test { published.weaker() } else { published };
        Some(AppliedPolicy { published, policy, domain: domain.to_owned() })
    }
}

/// The policy of a record for a domain below its own.
fn inherited(record: &DmarcRecord, exists: bool) -> Option<DmarcPolicy> {
    let nonexistent = if exists { None } else { record.nonexistent };
    nonexistent.or(record.subdomains).or_else(|| record.own_policy())
}
