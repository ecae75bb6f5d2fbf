//! How the operators received us: what tells "one domain" from "every domain".
//!
//! Decides: when the trouble is so general that it must be ours. Operators are counted, not lanes: an operator that is
//! asked from many egresses is one witness.

use crate::policy::Thresholds;

/// Why the whole run can't get out. Nothing that servers said in such a run is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunBlocked {
    /// No connection at all came about.
    PortClosed,
    /// Nearly every operator refuses us.
    RejectedEverywhere,
}

impl RunBlocked {
    /// The word in the summary.
    pub fn word(self) -> &'static str {
        match self {
            RunBlocked::PortClosed => "port_closed",
            RunBlocked::RejectedEverywhere => "refused_everywhere",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<RunBlocked> {
        [RunBlocked::PortClosed, RunBlocked::RejectedEverywhere].into_iter().find(|shut| shut.word() == word)
    }

    /// What happened, for people.
    pub fn sentence(self) -> &'static str {
        match self {
            RunBlocked::PortClosed => {
                "no mail server could be reached: port 25 is closed here, or the network is down"
            }
            RunBlocked::RejectedEverywhere => {
                "nearly every operator refuses us, so the trouble is ours and not the list's"
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
                "check the address's reputation, reverse DNS, HELO name and the sender's SPF before another run"
            }
        }
    }
}

/// How one operator received us.
#[expect(clippy::struct_excessive_bools, reason = "four facts, each of which can be without the others")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ProviderContact {
    /// A connection was tried.
    pub(super) tried: bool,
    /// An address of it could not be reached.
    pub(super) unreachable: bool,
    /// It answered a question about a mailbox.
    pub(super) answered: bool,
    /// It is left alone, from wherever it was asked, because it refuses us.
    pub(super) refused: bool,
}

/// How the operators received us.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RunHealth {
    /// A connection came about, whatever was said on it.
    pub(super) connected: bool,
    tried: usize,
    unreachable: usize,
    /// Answered or refused us.
    heard: usize,
    refused: usize,
}

impl RunHealth {
    /// An operator was received differently before.
    pub(super) fn change(&mut self, before: ProviderContact, after: ProviderContact) {
        let heard = |reception: ProviderContact| reception.answered || reception.refused;
        let count = |count: &mut usize, before: bool, after: bool| {
            *count = *count + usize::from(after) - usize::from(before);
        };
        count(&mut self.tried, before.tried, after.tried);
        count(&mut self.unreachable, before.unreachable, after.unreachable);
        count(&mut self.refused, before.refused, after.refused);
        count(&mut self.heard, heard(before), heard(after));
    }

    /// Are we shut out everywhere?
    pub(super) fn shut(self, thresholds: &Thresholds) -> Option<RunBlocked> {
        let RunHealth { connected, tried, unreachable, heard, refused } = self;
        let (closed, out) = (thresholds.port_closed, thresholds.rejected_everywhere);
        if !connected {
            // Dead hosts may fail faster than a living one greets.
            let nowhere =
                unreachable >= closed.providers && unreachable * 100 >= tried * closed.unreachable_percent;
            return nowhere.then_some(RunBlocked::PortClosed);
        }
        let everywhere = heard >= out.providers && refused * 100 >= heard * out.rejecting_percent;
        everywhere.then_some(RunBlocked::RejectedEverywhere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_eight_operators_of_ten_and_at_least_eight() {
        let thresholds = Thresholds::built_in();
        let nobody = ProviderContact::default();
        let refused = ProviderContact { tried: true, refused: true, ..nobody };
        let answered = ProviderContact { tried: true, answered: true, ..nobody };
        for (refusing, answering, shut) in [
            (7, 0, None),
            (8, 0, Some(RunBlocked::RejectedEverywhere)),
            (8, 2, Some(RunBlocked::RejectedEverywhere)),
            (8, 3, None),
        ] {
            let mut census = RunHealth { connected: true, ..RunHealth::default() };
            (0..refusing).for_each(|_| census.change(nobody, refused));
            (0..answering).for_each(|_| census.change(nobody, answered));
            assert_eq!(census.shut(thresholds), shut, "{refusing} of {}", refusing + answering);
        }
    }

    #[test]
    fn an_operator_that_answers_after_all_is_no_witness_against_us() {
        let (nobody, mut census) =
            (ProviderContact::default(), RunHealth { connected: true, ..RunHealth::default() });
        let refused = ProviderContact { refused: true, ..nobody };
        (0..8).for_each(|_| census.change(nobody, refused));
        (0..2).for_each(|_| census.change(refused, ProviderContact { answered: true, ..nobody }));
        assert_eq!(census.shut(Thresholds::built_in()), None);
    }
}
