//! How the providers of a run respond to us: the difference between "one domain" and "every domain".
//!
//! Decides: when so many providers reject us or cannot be reached that the cause must be on our side. Providers are
//! counted, not lanes: a provider that is probed from several egresses counts once.

use crate::policy::Thresholds;

/// Why a run cannot work at all. The replies of such a run lead to no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunBlocked {
    /// No connection to any mail server could be opened.
    PortClosed,
    /// Nearly every provider rejects us.
    RejectedEverywhere,
}

impl RunBlocked {
    /// The word in the summary and in the state. It stays the same between versions.
    pub fn word(self) -> &'static str {
        match self {
            RunBlocked::PortClosed => "port_closed",
            RunBlocked::RejectedEverywhere => "refused_everywhere",
        }
    }

    /// The value of a [`RunBlocked::word`].
    pub fn from_word(word: &str) -> Option<RunBlocked> {
        [RunBlocked::PortClosed, RunBlocked::RejectedEverywhere]
            .into_iter()
            .find(|blocked| blocked.word() == word)
    }

    /// What happened, as a line of the summary.
    pub fn sentence(self) -> &'static str {
        match self {
            RunBlocked::PortClosed => {
                "no mail server could be reached: port 25 is closed here, or the network is down"
            }
            RunBlocked::RejectedEverywhere => {
                "nearly every mail provider rejects this server (its IP address or name), so the list was not judged"
            }
        }
    }

    /// What to do next.
    pub fn hint(self) -> &'static str {
        match self {
            RunBlocked::PortClosed => {
                "many hosts and clouds block port 25; run listproof where it is open, or use `--dns-only`"
            }
            RunBlocked::RejectedEverywhere => {
                "check the reputation of the IP address, its reverse DNS, the HELO name and the sender's SPF before \
                 another run"
            }
        }
    }
}

/// How one provider responded to us, over all its lanes.
#[expect(clippy::struct_excessive_bools, reason = "four facts, each of which can be without the others")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::schedule) struct ProviderContact {
    /// A connection was tried.
    pub(in crate::schedule) tried: bool,
    /// A connection to one of its IP addresses failed.
    pub(in crate::schedule) unreachable: bool,
    /// It replied to a probe with a reply about the mailbox.
    pub(in crate::schedule) answered: bool,
    /// It rejects us on each of its lanes.
    pub(in crate::schedule) rejects_us: bool,
}

impl ProviderContact {
    fn responded(self) -> bool {
        self.answered || self.rejects_us
    }
}

/// How many providers responded to us in which way.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::schedule) struct RunHealth {
    /// At least one connection was opened, whatever the server replied.
    pub(in crate::schedule) connected: bool,
    tried: usize,
    unreachable: usize,
    /// Answered or rejected us.
    responded: usize,
    rejecting: usize,
}

impl RunHealth {
    /// Counts a provider whose contact changed.
    pub(in crate::schedule) fn change(&mut self, before: ProviderContact, after: ProviderContact) {
        let count = |count: &mut usize, before: bool, after: bool| {
            *count = *count + usize::from(after) - usize::from(before);
        };
        count(&mut self.tried, before.tried, after.tried);
        count(&mut self.unreachable, before.unreachable, after.unreachable);
        count(&mut self.rejecting, before.rejects_us, after.rejects_us);
        count(&mut self.responded, before.responded(), after.responded());
    }

    /// Why the run cannot work at all, if that is so.
    pub(in crate::schedule) fn run_blocked(self, thresholds: &Thresholds) -> Option<RunBlocked> {
        let RunHealth { connected, tried, unreachable, responded, rejecting } = self;
        let (closed, rejected) = (thresholds.port_closed, thresholds.rejected_everywhere);
        if !connected {
            // A connection to a dead host may fail before a working host sends its greeting.
            let is_closed =
                unreachable >= closed.providers && unreachable * 100 >= tried * closed.unreachable_percent;
            return is_closed.then_some(RunBlocked::PortClosed);
        }
        let is_rejected =
            responded >= rejected.providers && rejecting * 100 >= responded * rejected.rejecting_percent;
        is_rejected.then_some(RunBlocked::RejectedEverywhere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECTED: RunHealth =
        RunHealth { connected: true, tried: 0, unreachable: 0, responded: 0, rejecting: 0 };

    #[test]
    fn a_run_is_blocked_when_eight_of_ten_providers_and_at_least_eight_reject_us() {
        let thresholds = Thresholds::built_in();
        let untried = ProviderContact::default();
        let rejects_us = ProviderContact { tried: true, rejects_us: true, ..untried };
        let answered = ProviderContact { tried: true, answered: true, ..untried };
        for (rejecting, answering, blocked) in [
            (7, 0, None),
            (8, 0, Some(RunBlocked::RejectedEverywhere)),
            (8, 2, Some(RunBlocked::RejectedEverywhere)),
            (8, 3, None),
        ] {
            let mut health = CONNECTED;
            (0..rejecting).for_each(|_| health.change(untried, rejects_us));
            (0..answering).for_each(|_| health.change(untried, answered));
            assert_eq!(health.run_blocked(thresholds), blocked, "{rejecting} of {}", rejecting + answering);
        }
    }

    #[test]
    fn a_provider_that_answers_after_a_rejection_counts_as_answering() {
        let (untried, mut health) = (ProviderContact::default(), CONNECTED);
        let rejects_us = ProviderContact { rejects_us: true, ..untried };
        (0..8).for_each(|_| health.change(untried, rejects_us));
        (0..2).for_each(|_| health.change(rejects_us, ProviderContact { answered: true, ..untried }));
        assert_eq!(health.run_blocked(Thresholds::built_in()), None);
    }
}
