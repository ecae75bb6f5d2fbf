//! Counts of rows by domain, in bounded memory however many domains a list has.
//!
//! Decides: which domains are dropped when the table is full (lossy counting by Manku and Motwani): those with the fewest
//! rows. Until then every count is exact, and always a domain with many rows stays.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;
use smol_str::SmolStr;

use crate::reason::Verdict;

/// The most domains in the table; about 6 MB.
const MOST_DOMAINS: usize = 65_536;

/// A hash of a domain, the same in every thread of the process. Its seed is secret, so that no choice of names makes two
/// of them equal; by chance, two of a million domains are with a probability of 3 in 10^8, and are counted as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DomainHash(u64);

impl DomainHash {
    pub(super) fn of(domain: &str) -> DomainHash {
        DomainHash(SeedableRandomState::with_seed(0, SharedSeed::global_random()).hash_one(domain))
    }
}

/// Takes a [`DomainHash`] as it is.
#[derive(Clone, Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        debug_assert!(false, "only the hash itself is hashed");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Rows of one domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DomainCounts {
    /// By verdict: deliverable, risky, undeliverable, unknown.
    pub verdicts: [u64; 4],
    /// Rows whose reply is about us.
    pub rejecting_us: u64,
    /// A mail server replied for this domain.
    pub replied: bool,
}

impl DomainCounts {
    /// All rows with a verdict.
    pub fn rows(&self) -> u64 {
        self.verdicts.iter().sum()
    }

    /// Rows with this verdict.
    pub fn of(&self, verdict: Verdict) -> u64 {
        self.verdicts.get(verdict as usize).copied().unwrap_or_default()
    }
}

/// A row of a domain.
pub(super) struct DomainRow<'a> {
    pub(super) hash: DomainHash,
    pub(super) name: &'a str,
    /// The index of its verdict.
    pub(super) verdict: usize,
    /// A server replied, and what it said is about us.
    pub(super) rejects_us: bool,
    /// A mail server replied for it.
    pub(super) replied: bool,
}

/// Rows by domain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DomainTable {
    counts: HashMap<DomainHash, DomainCounts, BuildHasherDefault<AsItIs>>,
    /// Apart from the counts, so that these are small: most rows need no name.
    names: HashMap<DomainHash, SmolStr, BuildHasherDefault<AsItIs>>,
    /// Domains with at most so many rows may have been dropped.
    dropped_up_to: u64,
}

impl DomainTable {
    /// Adds rows.
    pub(super) fn add<'a>(&mut self, rows: impl Iterator<Item = DomainRow<'a>> + Clone) {
        // Reading all entries first lets the processor wait for memory once and not for each of them.
        let touch = |rows: u64, row: DomainRow<'_>| {
            rows ^ self.counts.get(&row.hash).map_or(0, |counts| counts.verdicts[0])
        };
        std::hint::black_box(rows.clone().fold(0, touch));
        for DomainRow { hash, name, verdict, rejects_us, replied } in rows {
            let counts = self.counts.entry(hash).or_insert_with(|| {
                self.names.insert(hash, name.into());
                DomainCounts::default()
            });
            counts.verdicts[verdict] += 1;
            counts.rejecting_us += u64::from(rejects_us);
            counts.replied |= replied;
        }
        while self.counts.len() > MOST_DOMAINS {
            self.dropped_up_to += 1;
            let least = self.dropped_up_to;
            self.counts.retain(|_, counts| counts.rows() > least);
            self.names.retain(|hash, _| self.counts.contains_key(hash));
        }
    }

    /// True if every domain is in the table, so that [`DomainTable::replied`] and [`DomainTable::rejecting`] are exact.
    pub fn is_exact(&self) -> bool {
        self.dropped_up_to == 0
    }

    /// The domains with the most rows.
    pub fn top(&self, most: usize) -> Vec<(&str, DomainCounts)> {
        let mut domains: Vec<(&str, DomainCounts)> = self
            .names
            .iter()
            .filter_map(|(hash, name)| Some((name.as_str(), *self.counts.get(hash)?)))
            .collect();
        domains.sort_by_key(|(name, counts)| (std::cmp::Reverse(counts.rows()), *name));
        domains.truncate(most);
        domains
    }

    /// Domains for which a mail server replied.
    pub fn replied(&self) -> u64 {
        self.counts.values().filter(|counts| counts.replied).count() as u64
    }

    /// Domains whose mail servers rejected us.
    pub fn rejecting(&self) -> u64 {
        self.counts.values().filter(|counts| counts.rejecting_us > 0).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_single_domains_does_not_push_out_a_large_one() {
        let names: Vec<String> = (0..200_000u32).map(|n| format!("d{n}.example")).collect();
        let row = |name| DomainRow {
            hash: DomainHash::of(name),
            name,
            verdict: 0,
            rejects_us: false,
            replied: false,
        };
        let mut table = DomainTable::default();
        for batch in names.chunks(4) {
            table.add(batch.iter().map(String::as_str).chain(["large.example"]).map(row));
        }
        let (name, counts) = table.top(1)[0];
        assert_eq!(name, "large.example");
        assert!(counts.rows() >= 49_990, "{}", counts.rows());
        assert!(table.counts.len() <= MOST_DOMAINS && !table.is_exact());
        assert_eq!(table.names.len(), table.counts.len());
    }
}
