//! Counts of rows by domain, in bounded memory however many domains a list has.
//!
//! Decides: which domains are dropped when the table is full (lossy counting by Manku and Motwani): those with the fewest
//! rows. Until then every count is exact, and always a domain with many rows stays.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use smol_str::SmolStr;

use crate::reason::Verdict;

/// The most domains in the table; about 6 MB.
const MOST_DOMAINS: usize = 65_536;

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

/// Rows by domain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DomainTable {
    counts: HashMap<SmolStr, DomainCounts, RandomState>,
    /// Domains with at most so many rows may have been dropped.
    dropped_up_to: u64,
}

impl DomainTable {
    /// Adds a row of a domain, with the index of its verdict.
    pub(super) fn add(&mut self, domain: &SmolStr, verdict: usize, rejects_us: bool, replied: bool) {
        let row = |counts: &mut DomainCounts| {
            counts.verdicts[verdict] += 1;
            counts.rejecting_us += u64::from(rejects_us);
            counts.replied |= replied;
        };
        match self.counts.get_mut(domain) {
            Some(counts) => row(counts),
            None => row(self.counts.entry(domain.clone()).or_default()),
        }
        while self.counts.len() > MOST_DOMAINS {
            self.dropped_up_to += 1;
            let least = self.dropped_up_to;
            self.counts.retain(|_, counts| counts.rows() > least);
        }
    }

    /// True if every domain is in the table, so that [`DomainTable::replied`] and [`DomainTable::rejecting`] are exact.
    pub fn is_exact(&self) -> bool {
        self.dropped_up_to == 0
    }

    /// The domains with the most rows.
    pub fn top(&self, most: usize) -> Vec<(&str, DomainCounts)> {
        let mut domains: Vec<(&str, DomainCounts)> =
            self.counts.iter().map(|(name, counts)| (name.as_str(), *counts)).collect();
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
        let mut table = DomainTable::default();
        for n in 0..200_000u32 {
            table.add(&SmolStr::from(format!("d{n}.example")), 0, false, false);
            if n % 4 == 0 {
                table.add(&"large.example".into(), 0, false, false);
            }
        }
        let (name, counts) = table.top(1)[0];
        assert_eq!(name, "large.example");
        assert!(counts.rows() >= 49_990, "{}", counts.rows());
        assert!(table.counts.len() <= MOST_DOMAINS && !table.is_exact());
    }
}
