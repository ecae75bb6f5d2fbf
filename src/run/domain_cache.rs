//! What shows in the domains of a list, so that each is looked at once: a list has many addresses of few domains.
//!
//! Decides: nothing. Domains are known by a hash that nobody can foresee, not by their names, which would cost more to
//! look at than to read anew; as far as it is a good one, it confuses two in 2^48. Memory is bounded: who has seen enough
//! domains begins anew.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use crate::address::{DomainKinds, NameRule, Suggestion};

/// What shows in a domain alone.
#[derive(Default, PartialEq, Eq)]
pub(super) struct DomainTraits {
    pub(super) kinds: DomainKinds,
    pub(super) suggestion: Option<Suggestion>,
    /// It can't receive mail.
    pub(super) is_set_aside: bool,
    pub(super) name_rule: Option<&'static NameRule>,
}

/// The domains that were seen.
pub(super) struct DomainCache {
    hasher: RandomState,
    /// A power of two of them; a domain stands at the first free place from its own on. In the upper bits the hash, in the
    /// lower ones where in `known` is what shows in it, from 1 on.
    places: Vec<u64>,
    taken: usize,
    /// First of all the nothing that shows in most domains.
    known: Vec<DomainTraits>,
}

/// Places for domains to begin with, so that one address costs nothing.
const FIRST_PLACES: usize = 1 << 8;
/// More than the processor has at hand would cost as much to look for as to find out anew.
const MOST_PLACES: usize = 1 << 18;
/// The bits of a place that are no hash.
const INDEX: u64 = 0xffff;
const FREE: u64 = 0;

impl Default for DomainCache {
    fn default() -> DomainCache {
        DomainCache {
            hasher: RandomState::default(),
            places: vec![FREE; FIRST_PLACES],
            taken: 0,
            known: vec![DomainTraits::default()],
        }
    }
}

impl DomainCache {
    /// What shows in a domain, where it was seen before.
    pub(super) fn get(&self, domain: &str) -> Option<&DomainTraits> {
        let place = self.places[self.find(self.hasher.hash_one(domain))];
        (place != FREE).then(|| &self.known[index(place)])
    }

    /// What shows in a domain; `look` finds it out where that was not done before.
    pub(super) fn of(&mut self, domain: &str, look: impl FnOnce() -> DomainTraits) -> &DomainTraits {
        let hash = self.hasher.hash_one(domain);
        let mut at = self.find(hash);
        if self.places[at] == FREE {
            if self.taken >= self.places.len() / 4 * 3 || self.known.len() as u64 >= INDEX {
                self.make_room();
                at = self.find(hash);
            }
            self.places[at] = (hash & !INDEX) | self.keep(look());
            self.taken += 1;
        }
        &self.known[index(self.places[at])]
    }

    /// Where the domain stands, or would.
    #[expect(clippy::cast_possible_truncation, reason = "the number of places is a small power of two")]
    fn find(&self, hash: u64) -> usize {
        let last = self.places.len() - 1;
        let mut at = hash.rotate_left(32) as usize & last;
        while self.places[at] != FREE && (self.places[at] ^ hash) & !INDEX != 0 {
            at = (at + 1) & last;
        }
        at
    }

    /// Gives its number, from 1 on.
    fn keep(&mut self, known: DomainTraits) -> u64 {
        if known == self.known[0] {
            return 1;
        }
        self.known.push(known);
        self.known.len() as u64
    }

    /// Makes the table larger; begins anew where it is large enough.
    fn make_room(&mut self) {
        if self.places.len() >= MOST_PLACES || self.known.len() as u64 >= INDEX {
            self.places.fill(FREE);
            self.taken = 0;
            self.known.truncate(1);
            return;
        }
        let larger = vec![FREE; self.places.len() * 2];
        for place in std::mem::replace(&mut self.places, larger) {
            if place != FREE {
                let at = self.find(place);
                self.places[at] = place;
            }
        }
    }
}

fn index(place: u64) -> usize {
    (place & INDEX) as usize - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_domain_is_looked_at_once_until_there_are_too_many() {
        let mut memory = DomainCache::default();
        let mut looked = 0;
        let mut ask = |memory: &mut DomainCache, domain: u32| {
            let is_set_aside = domain.is_multiple_of(1_000);
            let known = memory.of(&format!("{domain}.example"), || {
                looked += 1;
                DomainTraits { is_set_aside, ..DomainTraits::default() }
            });
            assert_eq!(known.is_set_aside, is_set_aside, "{domain}");
            looked
        };
        for domain in 0..50_000 {
            assert_eq!(ask(&mut memory, domain), domain + 1);
        }
        for domain in 0..50_000 {
            assert_eq!(ask(&mut memory, domain), 50_000);
        }
        assert!(memory.get("49999.example").is_some() && memory.get("50000.example").is_none());
        for domain in 0..300_000 {
            ask(&mut memory, domain);
        }
        assert!(memory.get("299999.example").is_some() && memory.places.len() == MOST_PLACES);
    }
}
