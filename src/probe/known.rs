//! What was learnt about a domain, as plain data: it comes out of one [`super::Inquiry`] and goes into the next, so that
//! a long domain can be asked about in parts, and a run can go on where an earlier one stopped.
//!
//! Decides: which of two reports says more. Must not: grow old by itself; whoever keeps it knows how long it holds.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::control::{self, Shown};
use super::inquiry::{Target, Who};
use crate::address::{Address, Domain};
use crate::reason::Verdict;
use crate::verdict::evidence::{Attempt, CatchAll, Positive, Proof};

/// A listed address to ask about.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Its name in this run.
    pub target: Target,
    /// Who.
    pub address: Address,
    /// What servers said to earlier questions about it that is still good, oldest first. A wait that they asked for goes
    /// on; what they said comes out again with the new answers.
    pub earlier: Vec<Attempt>,
    /// It was found deliverable lately.
    pub was_deliverable: bool,
}

impl From<(Target, Address)> for Listed {
    fn from((target, address): (Target, Address)) -> Listed {
        Listed { target, address, earlier: Vec::new(), was_deliverable: false }
    }
}

impl Listed {
    /// It was put off, and has not come back yet.
    pub fn is_waiting(&self) -> bool {
        self.earlier.last().is_some_and(|Attempt { said, .. }| {
            said.meaning.cause.verdict() == Verdict::Unknown && !said.reply.is_permanent()
        })
    }
}

/// What is known about a domain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// By exchanger, each at most once.
    pub exchangers: Vec<AtExchanger>,
    /// `postmaster` is asked about at most once per domain and run.
    pub postmaster_was_asked: bool,
    /// From which egress somebody was put off: only who comes back from there, with the same sender, is known again.
    pub egress: Option<usize>,
}

/// What is known about a domain at one exchanger.
#[derive(Clone, Debug, PartialEq)]
pub struct AtExchanger {
    /// Which.
    pub exchanger: Domain,
    /// The made-up name that was asked about. One that was put off is asked about again by the same name.
    pub made_up: Option<Address>,
    /// Since when and until when it was put off, and how often.
    pub put_off: Option<PutOff>,
    /// Whether it accepts any name, where that was found out.
    pub catch_all: CatchAll,
    /// A made-up name was refused in words that mean nothing until somebody is accepted.
    pub refused_unclearly: bool,
    /// Whether `postmaster` was accepted.
    pub positive: Positive,
    /// Listed addresses refused in clear words.
    pub clear_refusals: u32,
}

/// A question that got "not now".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutOff {
    /// How often.
    pub times: usize,
    /// When it was first.
    pub since: SystemTime,
    /// When it may be asked again.
    pub until: SystemTime,
}

impl AtExchanger {
    /// Nothing yet.
    pub fn new(exchanger: Domain) -> AtExchanger {
        AtExchanger {
            exchanger,
            made_up: None,
            put_off: None,
            catch_all: CatchAll::NotAsked,
            refused_unclearly: false,
            positive: Positive::NotAsked,
            clear_refusals: 0,
        }
    }

    /// An answer about a made-up name. A newer one says more than an older.
    fn learn(&mut self, made_up: Address, attempt: Attempt, usual_wait: Duration, latest: SystemTime) {
        if self.made_up.as_ref() != Some(&made_up) {
            *self =
                AtExchanger { positive: self.positive.clone(), ..AtExchanger::new(self.exchanger.clone()) };
        }
        self.made_up = Some(made_up);
        let before = self.put_off.take();
        match control::shown(&attempt.said) {
            Shown::AcceptsAny => self.catch_all = CatchAll::Yes(Arc::new(attempt)),
            Shown::Refuses => self.catch_all = CatchAll::No(Proof::Control),
            Shown::RefusesUnclearly => self.refused_unclearly = true,
            Shown::Unclear => {}
            Shown::Nothing => {
                let before = before.unwrap_or(PutOff { times: 0, since: attempt.at, until: attempt.at });
                let until = attempt.at + attempt.said.meaning.retry_in.unwrap_or(usual_wait);
                let waits = !attempt.said.reply.is_permanent() && until <= latest;
                self.put_off = waits.then_some(PutOff { times: before.times + 1, until, ..before });
            }
        }
    }

    fn is_decided(&self) -> bool {
        matches!(self.catch_all, CatchAll::Yes(_) | CatchAll::No(_) | CatchAll::Unclear)
    }
}

impl Known {
    /// What earlier answers to controls show, oldest first. A control that was put off waits on, if it was to wait no longer
    /// than until `latest`; `usual_wait` is for one that was not told how long.
    pub fn of(
        controls: impl IntoIterator<Item = (Who, Address, Attempt)>,
        usual_wait: Duration,
        latest: SystemTime,
    ) -> Known {
        let mut known = Known::default();
        for (who, address, attempt) in controls {
            let place = known.exchangers.iter().position(|at| at.exchanger == attempt.exchanger);
            let place = place.unwrap_or_else(|| {
                known.exchangers.push(AtExchanger::new(attempt.exchanger.clone()));
                known.exchangers.len() - 1
            });
            let here = &mut known.exchangers[place];
            match who {
                Who::Listed(_) | Who::Again(_) => {}
                Who::MadeUp => here.learn(address, attempt, usual_wait, latest),
                Who::Postmaster => {
                    known.postmaster_was_asked = true;
                    if attempt.said.reply.is_positive() {
                        here.positive = Positive::Accepted;
                    }
                }
            }
        }
        known
    }

    /// Takes over what another inquiry about the same domain learnt. What is decided stays.
    pub fn add(&mut self, other: Known) {
        self.postmaster_was_asked |= other.postmaster_was_asked;
        self.egress = other.egress.or(self.egress);
        for there in other.exchangers {
            match self.exchangers.iter_mut().find(|here| here.exchanger == there.exchanger) {
                Some(here) if there.is_decided() || !here.is_decided() => *here = there,
                Some(_) => {}
                None => self.exchangers.push(there),
            }
        }
    }

    /// Somebody was put off and has not come back yet.
    pub fn is_waiting(&self) -> bool {
        self.exchangers.iter().any(|at| at.put_off.is_some())
    }

    /// The same for who asks from this egress: a control that was put off at another has no wait to end there.
    #[must_use]
    pub fn seen_from(&self, egress: Option<usize>) -> Known {
        let mut known = Known { egress, ..self.clone() };
        if egress != self.egress {
            for at in &mut known.exchangers {
                if at.put_off.take().is_some() {
                    at.made_up = None;
                }
            }
        }
        known
    }

    /// The control that was put off and has not come back yet.
    pub fn waiting(&self) -> Option<&Address> {
        self.exchangers.iter().find(|at| at.put_off.is_some())?.made_up.as_ref()
    }

    /// Takes out what is known about one exchanger.
    pub(super) fn take(&mut self, exchanger: &Domain) -> Option<AtExchanger> {
        let place = self.exchangers.iter().position(|at| at.exchanger == *exchanger)?;
        Some(self.exchangers.swap_remove(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decided_is_not_forgotten_for_what_is_not() {
        let host = Domain::parse("mx.acme.example").unwrap();
        let at = |catch_all| AtExchanger { catch_all, ..AtExchanger::new(host.clone()) };
        let known = |catch_all| Known { exchangers: vec![at(catch_all)], ..Known::default() };
        for (before, came, after) in [
            (CatchAll::No(Proof::Control), CatchAll::NotAsked, CatchAll::No(Proof::Control)),
            (CatchAll::NotAsked, CatchAll::Unclear, CatchAll::Unclear),
            (CatchAll::Unclear, CatchAll::No(Proof::Control), CatchAll::No(Proof::Control)),
        ] {
            let mut sum = known(before);
            sum.add(known(came));
            assert_eq!(sum, known(after));
        }
        let mut nothing = Known::default();
        nothing.add(known(CatchAll::Unclear));
        assert_eq!(nothing, known(CatchAll::Unclear));
    }
}
