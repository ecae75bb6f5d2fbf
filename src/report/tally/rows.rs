//! The rows of one batch, in groups: what a worker knows about them before it is known which repeat an earlier one.
//!
//! Decides: which rows are alike, and what is kept of a reply. Must not: keep an address, unless the user wants examples.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use foldhash::fast::RandomState;
use smol_str::SmolStr;

use super::domains::{DomainHash, DomainRow};
use crate::address::{AddressKinds, Domain};
use crate::reason::{Confidence, Fault, Finding, Reason};
use crate::verdict::AddressResult;

/// Most addresses that are kept of a reason.
pub(super) const MOST_EXAMPLES: usize = 5;

/// What rows of a group share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RowGroup {
    /// The reason.
    pub reason: Reason,
    /// How sure it is.
    pub confidence: Confidence,
    /// The id of the provider, if the policy knows it.
    pub provider: Option<Arc<str>>,
    /// The kinds of address: role, disposable, free, tagged, relay.
    pub kinds: [bool; 5],
    /// A server replied, and what it said is about us.
    pub rejects_us: bool,
}

/// A row that was judged.
#[derive(Clone, Debug)]
pub(super) struct RowEntry {
    pub(super) group: u32,
    /// `None` where the row has no address.
    domain: Option<DomainHash>,
    /// Where the name of its domain ends among all names of the batch.
    name_end: u32,
    /// A mail server replied for it.
    replied: bool,
}

/// The judged rows of a batch.
#[derive(Debug, Default)]
pub struct BatchTally {
    pub(super) groups: Vec<(RowGroup, Option<SampleReply>)>,
    group_ids: HashMap<RowGroup, u32, RandomState>,
    pub(super) rows: Vec<RowEntry>,
    /// The domains of the rows, one behind the other.
    names: String,
    /// Rows with a time to probe again, in minutes since 1970.
    pub(super) retries: Vec<(usize, u64)>,
    /// Rows with a suspected typo: the domain as it is, and as it was probably meant.
    pub(super) typos: Vec<(usize, SmolStr, SmolStr)>,
    /// Rows by the minute since 1970 at which their evidence was gathered, in the order of the rows.
    pub(super) checked: Vec<(usize, u64)>,
    /// Keep the first addresses of each reason.
    keeps_addresses: bool,
    /// Rows with their address, where these are kept.
    pub(super) examples: Vec<(usize, Reason, String)>,
}

/// A reply about us, without addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SampleReply {
    pub(super) mx_host: SmolStr,
    pub(super) reply: String,
}

impl BatchTally {
    /// Removes all rows, and keeps the memory. `keeps_addresses`: from now on, some addresses are kept as examples.
    pub fn clear(&mut self, keeps_addresses: bool) {
        self.keeps_addresses = keeps_addresses;
        self.checked.clear();
        self.examples.clear();
        self.groups.clear();
        self.group_ids.clear();
        self.rows.clear();
        self.names.clear();
        self.retries.clear();
        self.typos.clear();
    }

    /// Adds a row. `plain` is its domain, where the result is shared by rows of several domains.
    pub fn add(&mut self, result: &AddressResult, plain: Option<&str>) {
        let reason = result.judgment.reason;
        let group = self.group(result);
        let own = result.address.as_ref().and_then(|address| address.domain());
        let domain = plain.or(own.map(Domain::as_str));
        let row = self.rows.len();
        if let Some(at) = result.judgment.retry_after {
            let minute = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().div_ceil(60));
            self.retries.push((row, minute));
        }
        if let (Some(meant), Some(typed), true) =
            (&result.did_you_mean, own, reason != Finding::Syntax.into())
            && let Some((_, meant)) = meant.rsplit_once('@')
            && meant != typed.as_str()
        {
            self.typos.push((row, typed.as_str().into(), meant.into()));
        }
        if let Some(at) = result.checked_at {
            self.checked.push((row, at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 60)));
        }
        if self.keeps_addresses
            && let Some(address) = &result.address
            && self.examples.iter().filter(|(_, other, _)| *other == reason).count() < MOST_EXAMPLES
        {
            self.examples.push((row, reason, address.to_string()));
        }
        self.names.push_str(domain.unwrap_or_default());
        let name_end = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let domain = domain.map(DomainHash::of);
        self.rows.push(RowEntry { group, domain, name_end, replied: result.reply.is_some() });
    }

    /// The rows with a domain and a verdict that repeat no earlier one. `verdicts` has the index of the verdict of each
    /// group.
    pub(super) fn domains<'a>(
        &'a self,
        firsts: &'a [Option<u64>],
        verdicts: &'a [Option<usize>],
    ) -> impl Iterator<Item = DomainRow<'a>> + Clone {
        let name_starts = std::iter::once(0).chain(self.rows.iter().map(|row| row.name_end as usize));
        self.rows.iter().zip(name_starts).zip(firsts).filter_map(|((row, name_start), first)| {
            let (None, Some(hash), Some(verdict)) = (first, row.domain, verdicts[row.group as usize]) else {
                return None;
            };
            let name = self.names.get(name_start..row.name_end as usize)?;
            let rejects_us = self.groups[row.group as usize].0.rejects_us;
            Some(DomainRow { hash, name, verdict, rejects_us, replied: row.replied })
        })
    }

    fn group(&mut self, result: &AddressResult) -> u32 {
        let AddressResult { judgment, kinds, provider, reply, .. } = result;
        let rejects_us = judgment.reason.fault() == Fault::Us
            && reply.is_some()
            && judgment.reason != Finding::NotProbed.into();
        let AddressKinds { role, disposable, free, tagged, relay } = *kinds;
        let group = RowGroup {
            reason: judgment.reason,
            confidence: judgment.confidence,
            provider: provider.clone(),
            kinds: [role, disposable, free, tagged, relay].map(|kind| kind == Some(true)),
            rejects_us,
        };
        // Neighbors are mostly alike, and comparing is cheaper than hashing.
        if let Some(last) = self.rows.last()
            && self.groups[last.group as usize].0 == group
        {
            return last.group;
        }
        if let Some(id) = self.group_ids.get(&group) {
            return *id;
        }
        let sample = rejects_us.then(|| sample(result)).flatten();
        let id = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        self.groups.push((group.clone(), sample));
        self.group_ids.insert(group, id);
        id
    }
}

fn sample(result: &AddressResult) -> Option<SampleReply> {
    let reply = result.reply.as_ref()?.to_string();
    let local = result.address.as_ref().map(|address| address.local().to_string());
    let mx_host = result.mx_host.as_ref().map(|host| SmolStr::new(host.as_str())).unwrap_or_default();
    Some(SampleReply { mx_host, reply: without_addresses(&reply, local.as_deref()) })
}

/// A reply in which no address is left: servers repeat the address that was probed, or its local part.
pub(super) fn without_addresses(reply: &str, local: Option<&str>) -> String {
    let is_local = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        local.is_some_and(|local| !word.is_empty() && word.eq_ignore_ascii_case(local.trim_matches('"')))
    };
    let words = reply.split_whitespace();
    let words = words.map(|word| if word.contains('@') || is_local(word) { "<address>" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// The time of a minute since 1970.
pub(super) fn time_of(minute: u64) -> SystemTime {
    UNIX_EPOCH + std::time::Duration::from_secs(minute.saturating_mul(60).min(253_402_300_740))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_is_left_in_a_reply() {
        for (reply, left) in [
            ("550 5.7.1 <jane@x.example>: blocked", "550 5.7.1 <address> blocked"),
            ("550 mailbox jane: access denied", "550 mailbox <address> access denied"),
            ("550 5.7.1 Service unavailable", "550 5.7.1 Service unavailable"),
        ] {
            assert_eq!(without_addresses(reply, Some("jane")), left);
        }
    }
}
