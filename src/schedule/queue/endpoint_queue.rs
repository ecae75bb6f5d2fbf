//! The queue of an endpoint: the domains with recipients that may be probed there now.
//!
//! Decides: which of them is next. A domain is in the queue once.

use std::collections::VecDeque;

use crate::policy::LargeDomainThresholds;
use crate::schedule::limits::DomainTaskId;

/// The domains that wait at an endpoint.
#[derive(Debug)]
pub(in crate::schedule) struct EndpointQueue {
    thresholds: LargeDomainThresholds,
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
    /// An empty queue.
    pub(in crate::schedule) fn new(thresholds: LargeDomainThresholds) -> EndpointQueue {
        let (begun, small, large) = (VecDeque::new(), WaitingTasks::default(), WaitingTasks::default());
        EndpointQueue { thresholds, begun, small, large, owed_to_large: 0.0 }
    }

    /// Takes out all domains.
    pub(in crate::schedule) fn take(&mut self) -> EndpointQueue {
        std::mem::replace(self, EndpointQueue::new(self.thresholds))
    }

    /// Removes all domains.
    pub(in crate::schedule) fn clear(&mut self) {
        *self = EndpointQueue::new(self.thresholds);
    }

    /// Adds a domain with so many unprobed recipients. `begun`: at least one probe of it was sent.
    pub(in crate::schedule) fn push(&mut self, id: DomainTaskId, unprobed: usize, begun: bool) {
        if self.thresholds.is_large(unprobed) {
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
    pub(in crate::schedule) fn pop(&mut self, spare_sessions: bool) -> Option<DomainTaskId> {
        let small_waits = !self.begun.is_empty() || !self.small.tasks.is_empty();
        let lead = f64::from(self.thresholds.lead);
        let enough = if spare_sessions { lead } else { -lead };
        if self.owed_to_large >= enough || !small_waits {
            let large = self.large.pop();
            if large.is_some() {
                return large;
            }
        }
        self.begun.pop_front().or_else(|| self.small.pop())
    }

    /// Takes a domain out.
    pub(in crate::schedule) fn remove(&mut self, id: DomainTaskId) {
        self.begun.retain(|begun| *begun != id);
        self.small.remove(id);
        self.large.remove(id);
    }

    /// Counts `probes` that a domain got.
    #[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
    pub(in crate::schedule) fn count(&mut self, probes: u32, was_large: bool) {
        if self.large.probes == 0 || self.small.probes == 0 {
            self.owed_to_large = 0.0;
            return;
        }
        let share = self.large.probes as f64 / (self.large.probes + self.small.probes) as f64;
        self.owed_to_large += f64::from(probes) * (share - f64::from(u8::from(was_large)));
    }

    /// True if no domain waits.
    pub(in crate::schedule) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of domains.
    pub(in crate::schedule) fn len(&self) -> usize {
        self.begun.len() + self.small.tasks.len() + self.large.tasks.len()
    }

    /// The number of probes that the domains need; some of them may be sent elsewhere.
    pub(in crate::schedule) fn probes(&self) -> usize {
        self.begun.len() + self.small.probes + self.large.probes
    }

    /// All domains, in no particular order.
    pub(in crate::schedule) fn iter(&self) -> impl Iterator<Item = DomainTaskId> {
        let waiting = self.small.tasks.iter().chain(&self.large.tasks).map(|(id, _)| *id);
        self.begun.iter().copied().chain(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Thresholds;

    #[test]
    fn a_small_domain_that_has_begun_comes_before_the_others() {
        let mut queue = EndpointQueue::new(Thresholds::built_in().large_domain);
        queue.push(1, 2, false);
        queue.push(2, 2, true);
        assert_eq!([queue.pop(true), queue.pop(true), queue.pop(true)], [Some(2), Some(1), None]);
        assert_eq!((queue.len(), queue.probes()), (0, 0));
    }

    #[test]
    fn large_and_small_domains_share_an_endpoint_by_their_probes() {
        let mut queue = EndpointQueue::new(Thresholds::built_in().large_domain);
        (0..20).for_each(|id| queue.push(id, 9, false));
        queue.push(99, 1000, false);
        // No session is to spare, so the large domain may be ahead.
        assert_eq!(queue.pop(false), Some(99));
        queue.push(99, 900, true);
        queue.count(5000, true);
        assert_eq!(queue.pop(false), Some(0), "it is far ahead now");
    }
}
