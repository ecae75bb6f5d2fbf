//! The backlog of a run: the domains that wait outside the scheduler, by provider.
//!
//! Decides: which domain of a provider is submitted next, and how many of its recipients go into one job.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use crate::policy::LargeDomainThresholds;

/// Which recipients of a domain go into a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DomainPart {
    /// Their positions among the recipients of the domain.
    pub range: Range<u32>,
    /// No recipient of the domain is left in the backlog.
    pub is_last: bool,
}

/// Domains that wait outside the scheduler, by the key of their provider ([`crate::schedule::Scheduler::lane_key`]).
#[derive(Debug)]
pub(crate) struct Backlog<T> {
    thresholds: LargeDomainThresholds,
    providers: HashMap<Arc<str>, ProviderBacklog<T>>,
}

#[derive(Debug)]
struct ProviderBacklog<T> {
    small: WaitingDomains<T>,
    large: WaitingDomains<T>,
    /// The next small domain comes from the back.
    from_back: bool,
}

/// Domains of one kind.
#[derive(Debug)]
struct WaitingDomains<T> {
    /// Each with the recipients that are left.
    domains: VecDeque<(T, Range<u32>)>,
    /// Recipients that are left.
    waiting: u64,
    /// Recipients that were returned.
    returned: u64,
}

impl<T: Clone> Backlog<T> {
    /// An empty backlog.
    pub(crate) fn new(thresholds: LargeDomainThresholds) -> Backlog<T> {
        Backlog { thresholds, providers: HashMap::new() }
    }

    /// Adds a domain with so many recipients, at least one.
    pub(crate) fn push(&mut self, key: Arc<str>, domain: T, recipients: u32) {
        let none = || WaitingDomains { domains: VecDeque::new(), waiting: 0, returned: 0 };
        let provider = self.providers.entry(key).or_insert_with(|| ProviderBacklog {
            small: none(),
            large: none(),
            from_back: false,
        });
        let is_large = self.thresholds.is_large(recipients as usize);
        let domains = if is_large { &mut provider.large } else { &mut provider.small };
        domains.waiting += u64::from(recipients);
        domains.domains.push_back((domain, 0..recipients));
    }

    /// True if no domain of any provider waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.providers.is_empty()
    }

    /// The next domain of a provider with the recipients that are due: all of a small domain, a part of a large one.
    pub(crate) fn next(&mut self, key: &str) -> Option<(T, DomainPart)> {
        let part = self.thresholds.part;
        let provider = self.providers.get_mut(key)?;
        let next = if provider.small.is_behind(&provider.large) {
            provider.from_back = !provider.from_back;
            provider.small.next(provider.from_back, part)
        } else {
            provider.large.next(false, part)
        };
        if provider.small.domains.is_empty() && provider.large.domains.is_empty() {
            self.providers.remove(key);
        }
        next
    }
}

impl<T: Clone> WaitingDomains<T> {
    /// True if a smaller share of these recipients was returned than of the other kind's.
    fn is_behind(&self, other: &WaitingDomains<T>) -> bool {
        let total = |domains: &WaitingDomains<T>| u128::from(domains.returned + domains.waiting);
        let own = u128::from(self.returned) * total(other);
        !self.domains.is_empty()
            && (other.domains.is_empty() || own <= u128::from(other.returned) * total(self))
    }

    /// The next domain, with at most `part` recipients.
    fn next(&mut self, from_back: bool, part: u32) -> Option<(T, DomainPart)> {
        let (domain, left) = if from_back { self.domains.pop_back() } else { self.domains.pop_front() }?;
        let to = left.end.min(left.start + part);
        self.returned += u64::from(to - left.start);
        self.waiting -= u64::from(to - left.start);
        let is_last = to == left.end;
        if !is_last {
            self.domains.push_back((domain.clone(), to..left.end));
        }
        Some((domain, DomainPart { range: left.start..to, is_last }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Thresholds;

    #[test]
    fn large_and_small_domains_end_together_and_each_recipient_is_returned_once() {
        let key: Arc<str> = "provider".into();
        let mut backlog = Backlog::new(Thresholds::built_in().large_domain);
        backlog.push(key.clone(), "large", 5000);
        for _ in 0..2500 {
            backlog.push(key.clone(), "small", 2);
        }
        let (mut returned, mut next_large, mut small_before) = (0, 0, 0);
        while let Some((domain, part)) = backlog.next(&key) {
            returned += part.range.len();
            if domain == "large" {
                assert_eq!(part.range.start, next_large);
                next_large = part.range.end;
                small_before = returned - next_large as usize;
            }
        }
        assert_eq!((returned, next_large), (10_000, 5000));
        assert!(
            small_before >= 3000,
            "the last part of the large domain came after {small_before} small ones"
        );
        assert!(backlog.is_empty());
    }
}
