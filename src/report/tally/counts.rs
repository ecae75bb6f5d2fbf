//! The rows of a whole list in groups, without those that repeat an earlier one.
//!
//! Decides: which provider a group is shown under. Rows that are not written because they did not change are counted too:
//! a headline is about the whole list.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use foldhash::fast::RandomState;
use smol_str::SmolStr;

use super::domains::DomainTable;
use super::rows::{BatchTally, MOST_EXAMPLES, RowGroup, SampleReply, time_of};
use crate::reason::{Confidence, Fault, Reason, Verdict};

/// The most different typos that are counted.
const MOST_TYPOS: usize = 10_000;

/// The rows of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowTally {
    groups: HashMap<RowGroup, GroupCount, RandomState>,
    /// Rows by domain.
    pub domains: DomainTable,
    /// Rows by domain as it is, and as it was probably meant.
    typos: BTreeMap<(SmolStr, SmolStr), u64>,
    /// Rows to probe again, by minute since 1970.
    retries: BTreeMap<u64, u64>,
    /// Rows by the minute since 1970 at which their evidence was gathered.
    checked: BTreeMap<u64, u64>,
    /// Addresses by reason, where the user wants examples.
    examples: BTreeMap<Reason, Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct GroupCount {
    rows: u64,
    sample: Option<SampleReply>,
}

/// The rows of one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderCounts {
    /// By verdict: deliverable, risky, undeliverable, unknown.
    pub verdicts: [u64; 4],
    /// Rows whose reply is about us.
    pub rejecting_us: u64,
    /// The commonest kind of these replies.
    pub rejection: Option<Rejection>,
}

impl ProviderCounts {
    /// All rows with a verdict.
    pub fn rows(&self) -> u64 {
        self.verdicts.iter().sum()
    }
}

/// A reply that is about us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// What it means.
    pub reason: Reason,
    /// Rows with this reason at this provider.
    pub rows: u64,
    /// The host that said it.
    pub mx_host: String,
    /// Its words, without addresses.
    pub reply: String,
}

impl RowTally {
    /// Adds a batch. `firsts` has an entry for each of its rows: the number of the first row with the same address, if that
    /// is an earlier row.
    pub fn add(&mut self, batch: &BatchTally, firsts: &[Option<u64>]) {
        debug_assert_eq!(batch.rows.len(), firsts.len(), "each row has an entry");
        let mut groups = vec![0u64; batch.groups.len()];
        for (row, _) in batch.rows.iter().zip(firsts).filter(|(_, first)| first.is_none()) {
            groups[row.group as usize] += 1;
        }
        let verdicts: Vec<Option<usize>> =
            batch.groups.iter().map(|(group, _)| index(group.reason)).collect();
        self.domains.add(batch.domains(firsts, &verdicts));
        for ((group, sample), rows) in batch.groups.iter().zip(groups).filter(|(_, rows)| *rows > 0) {
            if !self.groups.contains_key(group) {
                self.groups.insert(group.clone(), GroupCount { rows: 0, sample: sample.clone() });
            }
            if let Some(count) = self.groups.get_mut(group) {
                count.rows += rows;
            }
        }
        let is_first = |row: usize| firsts.get(row).is_some_and(Option::is_none);
        for (_, minute) in batch.retries.iter().filter(|(row, _)| is_first(*row)) {
            *self.retries.entry(*minute).or_default() += 1;
        }
        for (_, minute) in batch.checked.iter().filter(|(row, _)| is_first(*row)) {
            *self.checked.entry(*minute).or_default() += 1;
        }
        for (_, reason, address) in batch.examples.iter().filter(|(row, ..)| is_first(*row)) {
            let examples = self.examples.entry(*reason).or_default();
            if examples.len() < MOST_EXAMPLES {
                examples.push(address.clone());
            }
        }
        for (row, typed, meant) in &batch.typos {
            let typo = (typed.clone(), meant.clone());
            if is_first(*row) && (self.typos.len() < MOST_TYPOS || self.typos.contains_key(&typo)) {
                *self.typos.entry(typo).or_default() += 1;
            }
        }
    }

    /// Rows by reason and confidence.
    pub fn reasons(&self) -> BTreeMap<(Reason, bool), u64> {
        let mut reasons = BTreeMap::new();
        for (group, count) in &self.groups {
            let key = (group.reason, group.confidence == Confidence::Confirmed);
            *reasons.entry(key).or_default() += count.rows;
        }
        reasons
    }

    /// Rows with this verdict.
    pub fn of(&self, verdict: Verdict) -> u64 {
        self.rows_where(|group| group.reason.verdict() == verdict)
    }

    /// Rows with any verdict.
    pub fn judged(&self) -> u64 {
        self.rows_where(|group| group.reason.verdict() != Verdict::None)
    }

    /// Undeliverable rows that are not confirmed, and so not in the suppression list.
    pub fn unconfirmed(&self) -> u64 {
        self.rows_where(|group| {
            group.reason.verdict() == Verdict::Undeliverable && group.confidence != Confidence::Confirmed
        })
    }

    /// Decided rows, deliverable and undeliverable; only those of free providers if wanted.
    pub fn decided(&self, only_free: bool) -> (u64, u64) {
        let of = |verdict| {
            self.rows_where(|group| {
                group.reason.verdict() == verdict
                    && (!only_free || group.kinds[2])
                    // What is wrong with the entry or the domain says nothing about mailboxes.
                    && matches!(group.reason.fault(), Fault::None | Fault::Mailbox)
            })
        };
        (of(Verdict::Deliverable), of(Verdict::Undeliverable))
    }

    /// Rows of each kind: role, disposable, free, tagged, relay.
    pub fn kinds(&self) -> [(&'static str, u64); 5] {
        let words = ["role", "disposable", "free", "tagged", "relay"];
        std::array::from_fn(|kind| (words[kind], self.rows_where(|group| group.kinds[kind])))
    }

    fn rows_where(&self, is: impl Fn(&RowGroup) -> bool) -> u64 {
        self.groups.iter().filter(|(group, _)| is(group)).map(|(_, count)| count.rows).sum()
    }

    /// Rows by provider, the largest first. The last two have no id: hosts of other providers, and rows without a mail server.
    pub fn providers(&self) -> Vec<(ProviderName<'_>, ProviderCounts)> {
        let mut providers: BTreeMap<ProviderName<'_>, ProviderCounts> = BTreeMap::new();
        let mut causes: BTreeMap<(ProviderName<'_>, Reason), (u64, Option<&SampleReply>)> = BTreeMap::new();
        for (group, count) in &self.groups {
            let Some(verdict) = index(group.reason) else { continue };
            let name = match &group.provider {
                Some(id) => ProviderName::Known(id),
                None if has_no_host(group.reason) => ProviderName::NoServer,
                None => ProviderName::Other,
            };
            let counts = providers.entry(name).or_default();
            counts.verdicts[verdict] += count.rows;
            if group.rejects_us {
                counts.rejecting_us += count.rows;
                let cause = causes.entry((name, group.reason)).or_default();
                cause.0 += count.rows;
                // The groups have no order of their own.
                let sample = count.sample.as_ref();
                if cause.1.is_none_or(|one| sample.is_some_and(|other| other.reply < one.reply)) {
                    cause.1 = sample;
                }
            }
        }
        for ((name, reason), (rows, sample)) in causes {
            let (Some(counts), Some(sample)) = (providers.get_mut(&name), sample) else { continue };
            if counts.rejection.as_ref().is_none_or(|most| most.rows < rows) {
                let SampleReply { mx_host, reply } = sample;
                counts.rejection =
                    Some(Rejection { reason, rows, mx_host: mx_host.to_string(), reply: reply.clone() });
            }
        }
        let mut providers: Vec<_> = providers.into_iter().collect();
        providers.sort_by_key(|(name, counts)| {
            (!matches!(name, ProviderName::Known(_)), std::cmp::Reverse(counts.rows()), *name)
        });
        providers
    }

    /// Rows by suspected typo, the commonest first: the domain as it is, as it was probably meant, rows.
    pub fn typos(&self, most: usize) -> Vec<(&str, &str, u64)> {
        let mut typos: Vec<(&str, &str, u64)> =
            self.typos.iter().map(|((typed, meant), rows)| (typed.as_str(), meant.as_str(), *rows)).collect();
        typos.sort_by_key(|(typed, _, rows)| (std::cmp::Reverse(*rows), *typed));
        typos.truncate(most);
        typos
    }

    /// Rows by the minute since 1970 at which their evidence was gathered.
    pub fn checked(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.checked.iter().map(|(minute, rows)| (*minute, *rows))
    }

    /// Some addresses with this reason, where the user wants examples.
    pub fn examples(&self, reason: Reason) -> &[String] {
        self.examples.get(&reason).map_or(&[], Vec::as_slice)
    }

    /// True if addresses are kept.
    pub fn has_examples(&self) -> bool {
        !self.examples.is_empty()
    }

    /// Rows with a time to probe again, by that time.
    pub fn retries(&self) -> impl Iterator<Item = (SystemTime, u64)> + '_ {
        self.retries.iter().map(|(minute, rows)| (time_of(*minute), *rows))
    }
}

/// What rows by provider are shown under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProviderName<'a> {
    /// A provider that the policy knows, by its id.
    Known(&'a str),
    /// MX hosts of other providers.
    Other,
    /// No mail server: no address, or no domain that takes mail.
    NoServer,
}

impl<'a> ProviderName<'a> {
    /// For people.
    pub fn text(self) -> &'a str {
        match self {
            ProviderName::Known(id) => id,
            ProviderName::Other => "other servers",
            ProviderName::NoServer => "no mail server",
        }
    }

    /// For programs: `None` where there is no id.
    pub fn id(self) -> Option<&'a str> {
        match self {
            ProviderName::Known(id) => Some(id),
            ProviderName::Other | ProviderName::NoServer => None,
        }
    }
}

fn index(reason: Reason) -> Option<usize> {
    let verdict = reason.verdict();
    (verdict != Verdict::None).then_some(verdict as usize)
}

/// True where the row or the domain itself has the fault, so that no server was to be asked.
fn has_no_host(reason: Reason) -> bool {
    use crate::reason::Finding as F;
    let Reason::Finding(finding) = reason else { return false };
    matches!(
        finding,
        F::Syntax
            | F::ProviderSyntax
            | F::DomainNotFound
            | F::NoMailHost
            | F::NullMx
            | F::SpecialUseDomain
            | F::MxUnroutable
            | F::AddressLiteral
            | F::DnsFailure
            | F::ProbableTypo
            | F::Disposable
    )
}
