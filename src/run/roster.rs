//! The distinct addresses of a list, by domain: what will be asked, each once.

use std::collections::HashMap;

use crate::address::{Address, Domain};
use crate::probe::inquiry::Target;

/// The distinct addresses that can be asked about.
#[derive(Debug, Default)]
pub struct Roster {
    targets: HashMap<Address, Target>,
    domains: HashMap<Domain, usize>,
    entries: Vec<Entry>,
}

/// A domain and its listed addresses.
#[derive(Debug)]
pub struct Entry {
    /// The domain.
    pub domain: Domain,
    /// Its addresses, in the order of the list.
    pub listed: Vec<(Target, Address)>,
}

impl Roster {
    /// Enters an address; one that is there already keeps its name. Address literals have no domain to be asked at and
    /// are not entered.
    pub fn enter(&mut self, address: &Address) -> Option<Target> {
        let domain = address.domain()?;
        if let Some(target) = self.targets.get(address) {
            return Some(*target);
        }
        let target = Target(u32::try_from(self.targets.len()).ok()?);
        self.targets.insert(address.clone(), target);
        let place = *self.domains.entry(domain.clone()).or_insert_with(|| {
            self.entries.push(Entry { domain: domain.clone(), listed: Vec::new() });
            self.entries.len() - 1
        });
        self.entries[place].listed.push((target, address.clone()));
        Some(target)
    }

    /// The name of an address.
    pub fn target(&self, address: &Address) -> Option<Target> {
        self.targets.get(address).copied()
    }

    /// How many addresses there are.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// True without any address.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Hands out the domains, once, in the order of their first address.
    pub fn take_domains(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }
}
