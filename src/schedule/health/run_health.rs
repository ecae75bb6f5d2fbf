//! How the providers of a run respond to us: the difference between "one domain" and "every domain".
//!
//! Decides: when so many providers reject us or cannot be reached that the cause must be on our side. Providers are
//! counted, not lanes: a provider that is probed from several egresses counts once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::evidence::EarlierContact;
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
#[expect(clippy::struct_excessive_bools, reason = "facts, each of which can be without the others")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::schedule) struct ProviderContact {
    /// A connection was tried.
    pub(in crate::schedule) tried: bool,
    /// It was drawn, and will be tried before the run may stop.
    pub(in crate::schedule) drawn: bool,
    /// A connection to one of its IP addresses failed.
    pub(in crate::schedule) unreachable: bool,
    /// It replied to a probe with a reply about the mailbox.
    pub(in crate::schedule) answered: bool,
    /// It rejects us on each of its lanes.
    pub(in crate::schedule) rejects_us: bool,
    /// How it responded to the last earlier run that contacted it.
    pub(in crate::schedule) earlier: Option<EarlierContact>,
}

impl ProviderContact {
    /// It counts where nearly every provider may reject us: it was contacted, or served us before. One that could not be
    /// reached says nothing, nor one that rejected us before and does so still.
    fn was_contacted(self) -> bool {
        let is_unchanged = self.earlier == Some(EarlierContact::RejectedUs) && !self.answered;
        let is_silent = self.unreachable && !self.answered && !self.rejects_us;
        let served = self.earlier == Some(EarlierContact::Served);
        served || ((self.tried || self.drawn) && !is_unchanged && !is_silent)
    }

    fn rejects_us_now(self) -> bool {
        self.rejects_us && self.was_contacted()
    }

    /// It counts where every connection may fail.
    fn was_tried(self) -> bool {
        let is_unchanged = self.earlier == Some(EarlierContact::Unreachable) && self.unreachable;
        self.earlier == Some(EarlierContact::Served) || ((self.tried || self.drawn) && !is_unchanged)
    }

    fn is_unreachable_now(self) -> bool {
        self.unreachable && self.was_tried()
    }
}

/// How many providers responded to us in which way.
#[derive(Clone, Debug, Default)]
pub(in crate::schedule) struct RunHealth {
    /// At least one connection was opened, whatever the server replied.
    pub(in crate::schedule) connected: bool,
    /// How providers without lanes here responded to earlier runs.
    earlier: HashMap<Arc<str>, EarlierContact>,
    /// Of these, those that served us.
    served_elsewhere: usize,
    /// Providers that were drawn.
    pub(in crate::schedule) drawn: usize,
    /// Providers to which a connection was tried.
    tried_at_all: usize,
    tried: usize,
    unreachable: usize,
    contacted: usize,
    rejecting: usize,
    answered: usize,
}

impl RunHealth {
    /// Counts a provider whose contact changed.
    pub(in crate::schedule) fn change(&mut self, before: ProviderContact, after: ProviderContact) {
        let mut count = |count: fn(&mut RunHealth) -> &mut usize, is: fn(ProviderContact) -> bool| {
            let count = count(self);
            *count = *count + usize::from(is(after)) - usize::from(is(before));
        };
        count(|health| &mut health.tried_at_all, |contact| contact.tried);
        count(|health| &mut health.tried, ProviderContact::was_tried);
        count(|health| &mut health.unreachable, ProviderContact::is_unreachable_now);
        count(|health| &mut health.contacted, ProviderContact::was_contacted);
        count(|health| &mut health.rejecting, ProviderContact::rejects_us_now);
        count(|health| &mut health.answered, |contact| contact.answered);
    }

    /// Adds how a provider without lanes here responded to an earlier run. The better of two contacts counts.
    pub(in crate::schedule) fn add_earlier(&mut self, key: &str, contact: EarlierContact) {
        let before = self.earlier.insert(key.into(), contact);
        if before == Some(EarlierContact::Served) {
            self.earlier.insert(key.into(), EarlierContact::Served);
        } else {
            self.served_elsewhere += usize::from(contact == EarlierContact::Served);
        }
    }

    /// Takes out how a provider that gets its first lane responded to an earlier run.
    pub(in crate::schedule) fn take_earlier(&mut self, key: &str) -> Option<EarlierContact> {
        let earlier = self.earlier.remove(key)?;
        self.served_elsewhere -= usize::from(earlier == EarlierContact::Served);
        Some(earlier)
    }

    /// Why the run cannot work at all, as far as the contacts so far show.
    pub(in crate::schedule) fn run_blocked(&self, thresholds: &Thresholds) -> Option<RunBlocked> {
        let (closed, rejected) = (thresholds.port_closed, thresholds.rejected_everywhere);
        if !self.connected {
            // A connection to a dead host may fail before a working host sends its greeting.
            let tried = self.tried + self.served_elsewhere;
            let is_closed = self.unreachable >= closed.providers
                && self.unreachable * 100 >= tried * closed.unreachable_percent;
            return is_closed.then_some(RunBlocked::PortClosed);
        }
        let contacted = self.contacted + self.served_elsewhere;
        let is_rejected = self.rejecting >= rejected.providers
            && self.rejecting * 100 >= contacted * rejected.rejecting_percent;
        is_rejected.then_some(RunBlocked::RejectedEverywhere)
    }

    /// Why a list that has ended was blocked, though it has too few providers to stop it early: all of them reject us.
    pub(in crate::schedule) fn run_blocked_at_end(&self, thresholds: &Thresholds) -> Option<RunBlocked> {
        let few = thresholds.contacted.providers_at_end..thresholds.rejected_everywhere.providers;
        let is_rejected = few.contains(&self.tried_at_all)
            && self.rejecting == self.tried_at_all
            && self.answered == 0
            && self.served_elsewhere == 0;
        is_rejected.then_some(RunBlocked::RejectedEverywhere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTRIED: ProviderContact = ProviderContact {
        tried: false,
        drawn: false,
        unreachable: false,
        answered: false,
        rejects_us: false,
        earlier: None,
    };
    const PENDING: ProviderContact = ProviderContact { tried: true, ..UNTRIED };
    const REJECTS: ProviderContact = ProviderContact { rejects_us: true, ..PENDING };
    const ANSWERED: ProviderContact = ProviderContact { answered: true, ..PENDING };
    const DOWN: ProviderContact = ProviderContact { unreachable: true, ..PENDING };

    fn earlier(contact: ProviderContact, earlier: EarlierContact) -> ProviderContact {
        ProviderContact { earlier: Some(earlier), ..contact }
    }

    fn health(connected: bool, contacts: &[(usize, ProviderContact)]) -> RunHealth {
        let mut health = RunHealth { connected, ..RunHealth::default() };
        for &(count, contact) in contacts {
            (0..count).for_each(|_| health.change(UNTRIED, contact));
        }
        health
    }

    /// So many providers.
    type Contacts = (usize, ProviderContact);

    #[test]
    fn a_run_is_blocked_when_eight_of_ten_contacted_providers_and_at_least_eight_reject_us() {
        let blocked = Some(RunBlocked::RejectedEverywhere);
        let old = earlier(REJECTS, EarlierContact::RejectedUs);
        let served = earlier(UNTRIED, EarlierContact::Served);
        let table: &[(&[Contacts], Option<RunBlocked>)] = &[
            (&[(7, REJECTS)], None),
            (&[(8, REJECTS)], blocked),
            (&[(8, REJECTS), (2, ANSWERED)], blocked),
            (&[(8, REJECTS), (3, ANSWERED)], None),
            (&[(8, REJECTS), (3, PENDING)], None),
            (&[(8, REJECTS), (30, DOWN)], blocked),
            (&[(8, REJECTS), (3, served)], None),
            (&[(50, old)], None),
            (&[(50, old), (8, REJECTS)], blocked),
            (&[(50, old), (8, REJECTS), (3, earlier(ANSWERED, EarlierContact::RejectedUs))], None),
        ];
        for (contacts, expected) in table {
            assert_eq!(health(true, contacts).run_blocked(Thresholds::built_in()), *expected, "{contacts:?}");
        }
    }

    #[test]
    fn port_25_is_closed_when_nine_of_ten_tried_providers_and_at_least_five_are_unreachable() {
        let closed = Some(RunBlocked::PortClosed);
        let old = earlier(DOWN, EarlierContact::Unreachable);
        let served = earlier(UNTRIED, EarlierContact::Served);
        let table: &[(&[Contacts], Option<RunBlocked>)] = &[
            (&[(4, DOWN)], None),
            (&[(5, DOWN)], closed),
            (&[(9, DOWN), (1, PENDING)], closed),
            (&[(5, DOWN), (1, PENDING)], None),
            (&[(5, DOWN), (1, served)], None),
            (&[(40, old)], None),
            (&[(40, old), (5, DOWN)], closed),
        ];
        for (contacts, expected) in table {
            assert_eq!(
                health(false, contacts).run_blocked(Thresholds::built_in()),
                *expected,
                "{contacts:?}"
            );
        }
    }

    #[test]
    fn a_short_list_is_blocked_at_its_end_only_if_every_provider_rejects_us() {
        let old = earlier(REJECTS, EarlierContact::RejectedUs);
        for (contacts, is_blocked) in [
            (&[(2, REJECTS)][..], false),
            (&[(3, REJECTS)], true),
            (&[(7, REJECTS)], true),
            (&[(3, REJECTS), (1, ANSWERED)], false),
            (&[(3, REJECTS), (1, DOWN)], false),
            (&[(3, REJECTS), (3, old)], false),
        ] {
            let blocked = health(true, contacts).run_blocked_at_end(Thresholds::built_in());
            assert_eq!(blocked.is_some(), is_blocked, "{contacts:?}");
        }
    }

    #[test]
    fn providers_of_earlier_runs_count_once() {
        let mut health = health(true, &[(8, REJECTS)]);
        health.add_earlier("a", EarlierContact::Served);
        health.add_earlier("a", EarlierContact::RejectedUs);
        health.add_earlier("b", EarlierContact::Served);
        assert!(health.run_blocked(Thresholds::built_in()).is_some(), "eight of ten");
        health.add_earlier("c", EarlierContact::Served);
        assert_eq!(health.run_blocked(Thresholds::built_in()), None, "eight of eleven");
        assert_eq!(health.take_earlier("a"), Some(EarlierContact::Served));
        health.change(UNTRIED, earlier(UNTRIED, EarlierContact::Served));
        assert_eq!(health.run_blocked(Thresholds::built_in()), None, "still eight of eleven");
    }

    #[test]
    fn a_provider_that_answers_after_a_rejection_counts_as_answering() {
        let mut health = health(true, &[(8, REJECTS)]);
        (0..2).for_each(|_| health.change(REJECTS, ANSWERED));
        assert_eq!(health.run_blocked(Thresholds::built_in()), None);
    }
}
