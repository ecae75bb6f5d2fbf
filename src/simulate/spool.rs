//! What a run has on disk: domains that were looked up and wait for their operator, and what was learnt about long ones.

use std::collections::HashMap;
use std::sync::Arc;

use super::list::{DomainId, GeneratedList, domain_id};
use crate::address::Domain;
use crate::evidence::DomainFacts;
use crate::schedule::{Backlog, DomainJob, Scheduler};

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Spool {
    waiting: Backlog<DomainId>,
    /// Of domains that are ordered in parts, until their last part is.
    known: HashMap<DomainId, DomainFacts>,
}

impl Spool {
    /// A domain was looked up; the key of its operator.
    pub(super) fn push(&mut self, list: &GeneratedList, id: DomainId) -> Arc<str> {
        let stops = &list.host(id).mx_hosts;
        let key = stops.first().map_or_else(|| "".into(), |stop| Scheduler::lane_key(stops, stop));
        self.waiting.push(key.clone(), id, list.domains[id as usize].listed);
        key
    }

    /// Does nobody wait for any operator?
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The next domain for an operator, or the next part of one.
    pub(super) fn next(&mut self, list: &GeneratedList, key: &str) -> Option<DomainJob> {
        let (id, part) = self.waiting.next(key)?;
        let known = if part.is_last {
            self.known.remove(&id).unwrap_or_default()
        } else {
            self.known.entry(id).or_default().clone()
        };
        Some(DomainJob { known, ..list.order(id, part.range)? })
    }

    /// Something was learnt about a domain.
    pub(super) fn learnt(&mut self, domain: &Domain, known: DomainFacts) {
        if let Some(before) = domain_id(domain).and_then(|id| self.known.get_mut(&id)) {
            before.merge(known);
        }
    }
}
