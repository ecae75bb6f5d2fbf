//! What was learnt about a domain, as plain data: it comes out of one [`crate::probe::DomainProbe`] and goes into the next, so that
//! a long domain can be asked about in parts, and a run can go on where an earlier one stopped.
//!
//! Decides: which of two reports says more. Must not: grow old by itself; whoever keeps it knows how long it holds.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::address::{Address, Domain};
use crate::evidence::control::ControlOutcome;
use crate::evidence::mailbox::{Attempt, CatchAll, NotCatchAllProof, PositiveControl};
use crate::evidence::recipient::{RecipientId, RecipientKind};
use crate::reason::Verdict;

/// What is known about a domain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DomainFacts {
    /// By exchanger, each at most once.
    pub mx_hosts: Vec<MxHostFacts>,
    /// `postmaster` is asked about at most once per domain and run.
    pub postmaster_was_asked: bool,
    /// From which egress somebody was put off: only who comes back from there, with the same sender, is known again.
    pub egress: Option<usize>,
}

/// What is known about a domain at one exchanger.
#[derive(Clone, Debug, PartialEq)]
pub struct MxHostFacts {
    /// Which.
    pub mx_host: Domain,
    /// The made-up name that was asked about. One that was put off is asked about again by the same name.
    pub random_recipient: Option<Address>,
    /// Since when and until when it was put off, and how often.
    pub deferral: Option<Deferral>,
    /// Whether it accepts any name, where that was found out.
    pub catch_all: CatchAll,
    /// A made-up name was refused in words that mean nothing until somebody is accepted.
    pub refused_unclearly: bool,
    /// Whether `postmaster` was accepted.
    pub positive: PositiveControl,
    /// Listed addresses refused in clear words.
    pub clear_refusals: u32,
}

/// A question that got "not now".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deferral {
    /// How often.
    pub times: usize,
    /// When it was first.
    pub since: SystemTime,
    /// When it may be asked again.
    pub until: SystemTime,
}

impl MxHostFacts {
    /// Nothing yet.
    pub fn new(mx_host: Domain) -> MxHostFacts {
        MxHostFacts {
            mx_host,
            random_recipient: None,
            deferral: None,
            catch_all: CatchAll::NotAsked,
            refused_unclearly: false,
            positive: PositiveControl::NotAsked,
            clear_refusals: 0,
        }
    }

    /// An answer about a made-up name. A newer one says more than an older.
    fn learn(&mut self, random_recipient: Address, attempt: Attempt, usual_wait: Duration, latest: SystemTime) {
        if self.random_recipient.as_ref() != Some(&random_recipient) {
            *self =
                MxHostFacts { positive: self.positive.clone(), ..MxHostFacts::new(self.mx_host.clone()) };
        }
        self.random_recipient = Some(random_recipient);
        let before = self.deferral.take();
        match crate::evidence::control::shown(&attempt.classified) {
            ControlOutcome::Accepted => self.catch_all = CatchAll::Yes(Arc::new(attempt)),
            ControlOutcome::Rejected => self.catch_all = CatchAll::No(NotCatchAllProof::Control),
            ControlOutcome::RejectedUnclearly => self.refused_unclearly = true,
            ControlOutcome::Unclear => {}
            ControlOutcome::Failed => {
                let before = before.unwrap_or(Deferral { times: 0, since: attempt.at, until: attempt.at });
                let until = attempt.at + attempt.classified.meaning.retry_in.unwrap_or(usual_wait);
                let waits = !attempt.classified.reply.is_permanent() && until <= latest;
                self.deferral = waits.then_some(Deferral { times: before.times + 1, until, ..before });
            }
        }
    }

    fn is_decided(&self) -> bool {
        matches!(self.catch_all, CatchAll::Yes(_) | CatchAll::No(_) | CatchAll::Unclear)
    }
}

impl DomainFacts {
    /// What earlier answers to controls show, oldest first. A control that was put off waits on, if it was to wait no longer
    /// than until `latest`; `usual_wait` is for one that was not told how long.
    pub fn of(
        controls: impl IntoIterator<Item = (RecipientKind, Address, Attempt)>,
        usual_wait: Duration,
        latest: SystemTime,
    ) -> DomainFacts {
        let mut known = DomainFacts::default();
        for (who, address, attempt) in controls {
            let place = known.mx_hosts.iter().position(|at| at.mx_host == attempt.mx_host);
            let place = place.unwrap_or_else(|| {
                known.mx_hosts.push(MxHostFacts::new(attempt.mx_host.clone()));
                known.mx_hosts.len() - 1
            });
            let here = &mut known.mx_hosts[place];
            match who {
                RecipientKind::Listed(_) | RecipientKind::Recheck(_) => {}
                RecipientKind::Random => here.learn(address, attempt, usual_wait, latest),
                RecipientKind::Postmaster => {
                    known.postmaster_was_asked = true;
                    if attempt.classified.reply.is_positive() {
                        here.positive = PositiveControl::Accepted;
                    }
                }
            }
        }
        known
    }

    /// Takes over what another inquiry about the same domain learnt. What is decided stays.
    pub fn add(&mut self, other: DomainFacts) {
        self.postmaster_was_asked |= other.postmaster_was_asked;
        self.egress = other.egress.or(self.egress);
        for there in other.mx_hosts {
            match self.mx_hosts.iter_mut().find(|here| here.mx_host == there.mx_host) {
                Some(here) if there.is_decided() || !here.is_decided() => *here = there,
                Some(_) => {}
                None => self.mx_hosts.push(there),
            }
        }
    }

    /// Somebody was put off and has not come back yet.
    pub fn is_waiting(&self) -> bool {
        self.mx_hosts.iter().any(|at| at.deferral.is_some())
    }

    /// The same for who asks from this egress: a control that was put off at another has no wait to end there.
    #[must_use]
    pub fn for_egress(&self, egress: Option<usize>) -> DomainFacts {
        let mut known = DomainFacts { egress, ..self.clone() };
        if egress != self.egress {
            for at in &mut known.mx_hosts {
                if at.deferral.take().is_some() {
                    at.random_recipient = None;
                }
            }
        }
        known
    }

    /// The control that was put off and has not come back yet.
    pub fn waiting(&self) -> Option<&Address> {
        self.mx_hosts.iter().find(|at| at.deferral.is_some())?.random_recipient.as_ref()
    }

    /// Takes out what is known about one exchanger.
    pub(super) fn take(&mut self, mx_host: &Domain) -> Option<MxHostFacts> {
        let place = self.mx_hosts.iter().position(|at| at.mx_host == *mx_host)?;
        Some(self.mx_hosts.swap_remove(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decided_is_not_forgotten_for_what_is_not() {
        let host = Domain::parse("mx.acme.example").unwrap();
        let at = |catch_all| MxHostFacts { catch_all, ..MxHostFacts::new(host.clone()) };
        let known = |catch_all| DomainFacts { mx_hosts: vec![at(catch_all)], ..DomainFacts::default() };
        for (before, came, after) in [
            (CatchAll::No(NotCatchAllProof::Control), CatchAll::NotAsked, CatchAll::No(NotCatchAllProof::Control)),
            (CatchAll::NotAsked, CatchAll::Unclear, CatchAll::Unclear),
            (CatchAll::Unclear, CatchAll::No(NotCatchAllProof::Control), CatchAll::No(NotCatchAllProof::Control)),
        ] {
            let mut sum = known(before);
            sum.add(known(came));
            assert_eq!(sum, known(after));
        }
        let mut nothing = DomainFacts::default();
        nothing.add(known(CatchAll::Unclear));
        assert_eq!(nothing, known(CatchAll::Unclear));
    }
}
