//! The order of domains: at an endpoint, and in the backlog outside the scheduler, where jobs wait until their
//! provider has capacity ([`super::Scheduler::try_admit`]).
//!
//! Decides: which domain comes next, and in which parts a large domain is submitted.
//!
//! 1. Large domains and small ones are interleaved in proportion to their remaining recipients, so that both end
//!    together. Large domains are limited by the rate of RCPT commands, small ones by connections, because each needs a
//!    control and so gets more rejections; one kind after the other would leave first one resource idle, then the
//!    other. An endpoint deviates by up to [`MAX_LEAD`] probes in favor of the kind that needs less of the scarcer one.
//! 2. At an endpoint, small domains that have begun come before other small ones, so that verdicts come early and few
//!    domains are in progress.
//! 3. In the backlog, small domains come alternately from the front and the back, because a list in its own order has
//!    the larger of them first.
//!
//! Must not: hold recipients. A domain is an id of the scheduler, or whatever the caller of [`Backlog`] finds its
//! recipients by.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use super::limits::DomainTaskId;

/// The fewest unprobed recipients of a large domain.
const LARGE: usize = 50;

/// The most probes by which one kind of domain may be ahead of its share at an endpoint.
const MAX_LEAD: f64 = 250.0;

/// The most recipients of a domain in one job: a few batches, so that a thousand lanes with large domains need little
/// memory.
const PART: u32 = 200;

/// True if a domain with so many unprobed recipients is large.
pub(super) fn is_large(unprobed: usize) -> bool {
    unprobed >= LARGE
}

/// The domains that wait at an endpoint.
#[derive(Debug, Default)]
pub(super) struct EndpointQueue {
    /// Small domains of which some recipients were probed.
    begun: VecDeque<DomainTaskId>,
    small: WaitingTasks,
    large: WaitingTasks,
    /// Probes that large domains should have got by now, less those that they got.
    owed_to_large: f64,
}

/// Domains of one kind, each with the number of its probes.
#[derive(Debug, Default)]
struct WaitingTasks {
    tasks: VecDeque<(DomainTaskId, usize)>,
    probes: usize,
}

impl WaitingTasks {
    fn push(&mut self, id: DomainTaskId, probes: usize) {
        self.tasks.push_back((id, probes));
        self.probes += probes;
    }

    fn pop(&mut self) -> Option<DomainTaskId> {
        let (id, probes) = self.tasks.pop_front()?;
        self.probes -= probes;
        Some(id)
    }

    fn remove(&mut self, id: DomainTaskId) {
        if let Some(at) = self.tasks.iter().position(|(waiting, _)| *waiting == id)
            && let Some((_, probes)) = self.tasks.remove(at)
        {
            self.probes -= probes;
        }
    }
}

impl EndpointQueue {
    /// Adds a domain with so many unprobed recipients. `begun`: at least one probe of it was sent.
    pub(super) fn push(&mut self, id: DomainTaskId, unprobed: usize, begun: bool) {
        if is_large(unprobed) {
            self.large.push(id, unprobed);
        } else if begun {
            self.begun.push_back(id);
        } else {
            // A small domain mostly needs its control, too.
            self.small.push(id, unprobed + 1);
        }
    }

    /// Takes out the next domain. `spare_sessions`: another session is idle, so sessions are not scarce and small
    /// domains may be ahead; otherwise large domains may be.
    pub(super) fn pop(&mut self, spare_sessions: bool) -> Option<DomainTaskId> {
        let small_waits = !self.begun.is_empty() || !self.small.tasks.is_empty();
        let enough = if spare_sessions { MAX_LEAD } else { -MAX_LEAD };
        if self.owed_to_large >= enough || !small_waits {
            let large = self.large.pop();
            if large.is_some() {
                return large;
            }
        }
        self.begun.pop_front().or_else(|| self.small.pop())
    }

    /// Takes a domain out.
    pub(super) fn remove(&mut self, id: DomainTaskId) {
        self.begun.retain(|begun| *begun != id);
        self.small.remove(id);
        self.large.remove(id);
    }

    /// Counts `probes` that a domain got.
    #[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
    pub(super) fn count(&mut self, probes: u32, was_large: bool) {
        if self.large.probes == 0 || self.small.probes == 0 {
            self.owed_to_large = 0.0;
            return;
        }
        let share = self.large.probes as f64 / (self.large.probes + self.small.probes) as f64;
        self.owed_to_large += f64::from(probes) * (share - f64::from(u8::from(was_large)));
    }

    /// True if no domain waits.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of domains, including those whose tasks have ended meanwhile.
    pub(super) fn len(&self) -> usize {
        self.begun.len() + self.small.tasks.len() + self.large.tasks.len()
    }

    /// The number of probes that the domains need; some of them may be sent elsewhere.
    pub(super) fn probes(&self) -> usize {
        self.begun.len() + self.small.probes + self.large.probes
    }

    /// All domains, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = DomainTaskId> {
        let waiting = self.small.tasks.iter().chain(&self.large.tasks).map(|(id, _)| *id);
        self.begun.iter().copied().chain(waiting)
    }
}

/// Which recipients of a domain go into a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DomainPart {
    /// Their positions among the recipients of the domain.
    pub range: Range<u32>,
    /// No recipient of the domain is left in the backlog.
    pub is_last: bool,
}

/// Domains that wait outside the scheduler, by the key of their provider ([`super::Scheduler::lane_key`]).
#[derive(Debug)]
pub(crate) struct Backlog<T> {
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

impl<T> Default for Backlog<T> {
    fn default() -> Backlog<T> {
        Backlog { providers: HashMap::new() }
    }
}

impl<T: Clone> Backlog<T> {
    /// Adds a domain with so many recipients, at least one.
    pub(crate) fn push(&mut self, key: Arc<str>, domain: T, recipients: u32) {
        let none = || WaitingDomains { domains: VecDeque::new(), waiting: 0, returned: 0 };
        let provider = self.providers.entry(key).or_insert_with(|| ProviderBacklog {
            small: none(),
            large: none(),
            from_back: false,
        });
        let domains = if is_large(recipients as usize) { &mut provider.large } else { &mut provider.small };
        domains.waiting += u64::from(recipients);
        domains.domains.push_back((domain, 0..recipients));
    }

    /// True if no domain of any provider waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.providers.is_empty()
    }

    /// The next domain of a provider with the recipients that are due: all of a small domain, a part of a large one.
    pub(crate) fn next(&mut self, key: &str) -> Option<(T, DomainPart)> {
        let provider = self.providers.get_mut(key)?;
        let next = if provider.small.is_behind(&provider.large) {
            provider.from_back = !provider.from_back;
            provider.small.next(provider.from_back)
        } else {
            provider.large.next(false)
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

    fn next(&mut self, from_back: bool) -> Option<(T, DomainPart)> {
        let (domain, left) = if from_back { self.domains.pop_back() } else { self.domains.pop_front() }?;
        let to = left.end.min(left.start + PART);
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

    #[test]
    fn large_and_small_domains_end_together_and_each_recipient_is_returned_once() {
        let key: Arc<str> = "provider".into();
        let mut backlog = Backlog::default();
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
