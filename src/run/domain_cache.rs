//! A cache of what the domains of a list show: a list has many addresses of few domains.
//!
//! Decides: nothing. It is a hash table with open addressing that keeps 48 bits of a seeded hash instead of the name,
//! because comparing names would cost more than analyzing the domain again. Two domains are confused with a chance of
//! 2^-48, and no choice of names raises it, because the seed is secret. Memory is bounded: a full table is emptied.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use crate::address::{DomainKinds, NameRule, Suggestion};

/// What a domain shows by itself.
#[derive(Default, PartialEq, Eq)]
pub(super) struct DomainTraits {
    pub(super) kinds: DomainKinds,
    pub(super) suggestion: Option<Suggestion>,
    /// A special-use domain, which can't receive mail.
    pub(super) is_set_aside: bool,
    pub(super) name_rule: Option<&'static NameRule>,
    /// A word that stands for no domain, as in `none@none.com`.
    pub(super) is_placeholder: bool,
}

/// The traits of domains.
pub(super) struct DomainCache {
    hasher: RandomState,
    /// Their number is a power of two; a domain has the first free place from that of its hash on. The upper bits of a
    /// place are of the hash, the lower ones the index in `known`, from 1 on.
    places: Vec<u64>,
    taken: usize,
    /// The first entry is for the many domains without any trait.
    known: Vec<DomainTraits>,
}

/// Places of a new table: few, so that a single address costs little.
const FIRST_PLACES: usize = 1 << 8;
/// The most places. A table beyond the cache of the processor would be as slow as analyzing a domain again.
const MOST_PLACES: usize = 1 << 18;
/// The bits of a place that are an index.
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
    /// The traits of a domain, if they are cached.
    pub(super) fn get(&self, domain: &str) -> Option<&DomainTraits> {
        let place = self.places[self.find(self.hasher.hash_one(domain))];
        (place != FREE).then(|| &self.known[index(place)])
    }

    /// The traits of a domain; `analyze` is called if they are not cached.
    pub(super) fn of(&mut self, domain: &str, analyze: impl FnOnce() -> DomainTraits) -> &DomainTraits {
        let hash = self.hasher.hash_one(domain);
        let mut at = self.find(hash);
        if self.places[at] == FREE {
            if self.taken >= self.places.len() / 4 * 3 || self.known.len() as u64 >= INDEX {
                self.make_room();
                at = self.find(hash);
            }
            self.places[at] = (hash & !INDEX) | self.add(analyze());
            self.taken += 1;
        }
        &self.known[index(self.places[at])]
    }

    /// The place of a hash, or the free one that it would get.
    #[expect(clippy::cast_possible_truncation, reason = "the number of places is a small power of two")]
    fn find(&self, hash: u64) -> usize {
        let last = self.places.len() - 1;
        let mut at = hash.rotate_left(32) as usize & last;
        while self.places[at] != FREE && (self.places[at] ^ hash) & !INDEX != 0 {
            at = (at + 1) & last;
        }
        at
    }

    /// Adds traits, and returns their index, from 1 on.
    fn add(&mut self, known: DomainTraits) -> u64 {
        if known == self.known[0] {
            return 1;
        }
        self.known.push(known);
        self.known.len() as u64
    }

    /// Doubles the table, or empties it if it has the most places.
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
    fn a_domain_is_analyzed_once_until_the_table_is_full() {
        let mut cache = DomainCache::default();
        let mut analyzed = 0;
        let mut get = |cache: &mut DomainCache, domain: u32| {
            let is_set_aside = domain.is_multiple_of(1_000);
            let known = cache.of(&format!("{domain}.example"), || {
                analyzed += 1;
                DomainTraits { is_set_aside, ..DomainTraits::default() }
            });
            assert_eq!(known.is_set_aside, is_set_aside, "{domain}");
            analyzed
        };
        for domain in 0..50_000 {
            assert_eq!(get(&mut cache, domain), domain + 1);
        }
        for domain in 0..50_000 {
            assert_eq!(get(&mut cache, domain), 50_000);
        }
        assert!(cache.get("49999.example").is_some() && cache.get("50000.example").is_none());
        for domain in 0..300_000 {
            get(&mut cache, domain);
        }
        assert!(cache.get("299999.example").is_some() && cache.places.len() == MOST_PLACES);
    }
}
