//! Domains that were looked up and wait outside the scheduler until their operator's lane has room.
//!
//! Decides: nothing but the parts in which long domains are ordered, each with what the earlier ones learnt. It does here
//! what a run does with its rows on disk.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::list::{DomainId, HostId, List, domain_id};
use crate::address::Domain;
use crate::probe::Known;
use crate::schedule::{Order, Scheduler};

/// Addresses of one domain that are ordered at once.
const PART: u32 = 2000;

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Spool {
    /// By operator: domains with the number of their addresses that were ordered already.
    waiting: HashMap<HostId, VecDeque<(DomainId, u32)>>,
    hosts: HashMap<Arc<str>, HostId>,
    keys: HashMap<HostId, Arc<str>>,
    /// Of domains that are ordered in parts.
    known: HashMap<DomainId, Known>,
}

impl Spool {
    /// A domain was looked up.
    pub(super) fn push(&mut self, list: &List, id: DomainId) {
        let host = list.domains[id as usize].host;
        self.waiting.entry(host).or_default().push_back((id, 0));
        self.keys.entry(host).or_insert_with(|| {
            let stops = &list.hosts[host as usize].exchangers;
            let key = stops.first().map_or_else(|| "".into(), |stop| Scheduler::lane_key(stops, stop));
            self.hosts.insert(key.clone(), host);
            key
        });
    }

    /// The key of an operator for which something waits.
    pub(super) fn waits(&self, host: HostId) -> Option<Arc<str>> {
        self.waiting.contains_key(&host).then(|| self.keys.get(&host).cloned()).flatten()
    }

    /// Whose key it is.
    pub(super) fn host(&self, key: &str) -> Option<HostId> {
        self.hosts.get(key).copied()
    }

    /// The next domain of an operator, or the next part of one.
    pub(super) fn next(&mut self, list: &List, host: HostId) -> Option<Order> {
        let waiting = self.waiting.get_mut(&host)?;
        let (id, from) = waiting.pop_front()?;
        let listed = list.domains[id as usize].listed;
        let to = listed.min(from + PART);
        if to < listed {
            waiting.push_back((id, to));
            self.known.entry(id).or_default();
        }
        let known = if to < listed { self.known.get(&id).cloned() } else { self.known.remove(&id) };
        if waiting.is_empty() {
            self.waiting.remove(&host);
        }
        Some(Order { known: known.unwrap_or_default(), ..list.order(id, from..to)? })
    }

    /// Something was learnt about a domain.
    pub(super) fn learnt(&mut self, domain: &Domain, known: Known) {
        if let Some(before) = domain_id(domain).and_then(|id| self.known.get_mut(&id)) {
            before.add(known);
        }
    }
}
