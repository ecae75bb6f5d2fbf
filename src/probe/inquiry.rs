//! The questions to one domain, from the first address to the last control, as a state machine.
//!
//! Decides: which address is asked next, when a made-up one is needed, when enough is known, and what each answer
//! leaves open. Must not: know about connections, lanes or pace (the scheduler asks it for the next few questions), nor
//! judge (it hands out [`Inquired`]). Can't know: whether a host tells the truth; that is what the controls are for.

mod answers;
mod asking;
mod here;
mod settle;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::control;
use super::known::{Known, Listed};
use super::patience::Patience;
use super::turn::Turn;
use crate::address::{Address, Domain};
use crate::verdict::evidence::{CatchAll, Inquired, Obstacle, Positive, Trouble, Unprobed};
use here::{Control, Here};

/// Names a listed address across the whole run: its place among those of its list, from 1 on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target(pub i64);

/// What was found out about a listed address.
#[derive(Debug)]
pub struct Found {
    /// Its name in this run.
    pub target: Target,
    /// Who.
    pub address: Address,
    /// It had been found deliverable lately.
    pub was_deliverable: bool,
    /// What servers said about it.
    pub inquired: Box<Inquired>,
}

impl Found {
    /// As if it had never been asked about.
    pub fn again(self) -> Listed {
        let Found { target, address, was_deliverable, .. } = self;
        Listed { target, address, earlier: Vec::new(), was_deliverable }
    }
}

/// Whom a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// A listed address, by its place in the inquiry.
    Listed(u32),
    /// One that was accepted here before, once more: does the host still accept anybody?
    Again(u32),
    /// The made-up one.
    MadeUp,
    /// `postmaster`, as the positive control.
    Postmaster,
}

/// Now, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since the run began.
    pub elapsed: Duration,
    /// The time of day.
    pub wall: SystemTime,
}

/// What an inquiry wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// [`Inquiry::asks`] has questions.
    Ask,
    /// Answers are on their way.
    Hear,
    /// Nothing before this time of the run.
    Wait(Duration),
    /// The next exchanger should be asked: [`Inquiry::advance`].
    Move,
    /// Everything is known that can be.
    Done,
}

/// What the operator's data say about a domain's exchanger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// When the made-up name is asked about.
    pub turn: Turn,
    /// Clear refusals of listed addresses that prove that the domain does not accept any name.
    pub proof: u32,
}

/// The questions to one domain.
#[derive(Debug)]
pub struct Inquiry {
    domain: Domain,
    /// Exchangers not asked yet, best first; the front one is being asked.
    exchangers: VecDeque<Domain>,
    expectation: Expectation,
    patience: Patience,
    questions: Vec<Question>,
    /// Questions that may be asked now.
    ready: VecDeque<u32>,
    /// Questions that got a transient answer, by the time when they are due.
    waiting: BTreeSet<(Duration, u32)>,
    /// Questions answered and not yet handed out.
    answered: Vec<u32>,
    /// Refused in words that do not decide, since this exchanger last accepted somebody.
    undecided: Vec<u32>,
    /// How many were accepted with doubt.
    doubted: u32,
    /// An acceptance that is being heard is doubted.
    doubts: bool,
    /// How many only another exchanger can answer.
    elsewhere: u32,
    here: Here,
    /// About the other exchangers.
    known: Known,
    flying: u32,
    trouble: Option<Arc<Trouble>>,
}

/// One listed address. There are many, and most were not asked about yet.
#[derive(Debug)]
struct Question {
    target: Target,
    state: State,
    /// Sessions that ended when it was their oldest open question, or before its answer could be believed.
    drops: u8,
    /// It was found deliverable lately.
    was_deliverable: bool,
    address: Address,
    /// What was said, once something was.
    inquired: Option<Box<Inquired>>,
}

impl Question {
    fn inquired(&mut self) -> &mut Inquired {
        self.inquired.get_or_insert_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// May be asked, or is being asked.
    Open,
    /// Got a transient answer and is asked again.
    Waiting,
    /// Accepted here; worth something once the made-up name was refused.
    Accepted,
    /// Accepted here by a host that may accept anything by now.
    Doubted,
    /// Refused in words that do not decide.
    Undecided,
    /// This exchanger can't answer, another might.
    Elsewhere,
    /// Nothing more to ask.
    Closed,
    /// Handed out.
    Gone,
}

impl Inquiry {
    /// An inquiry about a domain's listed addresses at its exchangers, best first, with what is known already.
    pub fn new(
        domain: Domain,
        exchangers: impl IntoIterator<Item = Domain>,
        listed: impl IntoIterator<Item = Listed>,
        known: Known,
        expectation: Expectation,
        patience: Patience,
        now: Moment,
    ) -> Inquiry {
        let question = |listed: Listed| {
            let earlier = Some(listed.earlier).filter(|earlier| !earlier.is_empty());
            let inquired = |attempts| Box::new(Inquired { attempts, ..Inquired::default() });
            Question {
                target: listed.target,
                state: State::Elsewhere,
                drops: 0,
                was_deliverable: listed.was_deliverable,
                address: listed.address,
                inquired: earlier.map(inquired),
            }
        };
        let mut inquiry = Inquiry {
            domain,
            exchangers: exchangers.into_iter().collect(),
            expectation,
            patience,
            questions: listed.into_iter().map(question).collect(),
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            answered: Vec::new(),
            undecided: Vec::new(),
            doubted: 0,
            doubts: false,
            elsewhere: 0,
            here: Here::default(),
            known,
            flying: 0,
            trouble: None,
        };
        inquiry.arrive(now);
        inquiry
    }

    /// The domain asked about.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whom a question is about.
    pub fn address_of(&self, who: Who) -> Option<Cow<'_, Address>> {
        match who {
            Who::Listed(place) | Who::Again(place) => {
                self.questions.get(place as usize).map(|question| Cow::Borrowed(&question.address))
            }
            Who::MadeUp => self.here.made_up.as_ref().map(Cow::Borrowed),
            Who::Postmaster => control::postmaster(&self.domain).map(Cow::Owned),
        }
    }

    /// The exchanger that is being asked; `None` when none is left.
    pub fn exchanger(&self) -> Option<&Domain> {
        self.exchangers.front()
    }

    fn is_proven(&self) -> bool {
        matches!(self.here.catch_all, CatchAll::No(_)) || self.here.clear_refusals >= self.expectation.proof
    }

    /// Leaves what was not asked yet to a later run.
    pub fn give_up(&mut self, unprobed: Unprobed) {
        let put_off = std::mem::take(&mut self.waiting).into_iter().map(|(_, place)| place);
        for place in std::mem::take(&mut self.ready).into_iter().chain(put_off) {
            let question = &mut self.questions[place as usize];
            question.state = State::Closed;
            question.inquired().unprobed = Some(unprobed);
        }
        self.here.give_up();
    }

    /// Was this address found deliverable lately?
    pub fn was_deliverable(&self, place: u32) -> bool {
        self.questions[place as usize].was_deliverable
    }

    /// Listed addresses that may be asked about now, or after a control.
    pub fn unasked(&self) -> usize {
        self.ready.len()
    }

    /// Questions are under way.
    pub fn is_flying(&self) -> bool {
        self.flying > 0
    }

    /// An acceptance waits for a proof.
    pub fn is_doubted(&self) -> bool {
        self.doubted > 0
    }

    /// The exchanger gave no answers, for a reason that is no fact about any address: whoever still waits may be
    /// asked elsewhere.
    pub fn blocked(&mut self, what: Obstacle, now: Moment) {
        let Some(exchanger) = self.exchangers.front().cloned() else {
            return;
        };
        let trouble = Arc::new(Trouble { exchanger, at: now.wall, what });
        self.ready.clear();
        self.waiting.clear();
        for question in &mut self.questions {
            if matches!(question.state, State::Open | State::Waiting) {
                question.state = State::Elsewhere;
                self.elsewhere += 1;
            }
        }
        if self.here.accepted > 0 && !self.is_proven() && self.here.made_up_state != Control::Settled {
            self.here.catch_all = CatchAll::Failed(trouble.clone());
        }
        self.here.give_up();
        self.trouble = Some(trouble);
    }

    /// What this inquiry wants now. Brings questions that are due back into the queue.
    pub fn next(&mut self, now: Moment) -> Next {
        while let Some(&(at, place)) = self.waiting.first().filter(|(at, _)| *at <= now.elapsed) {
            self.waiting.remove(&(at, place));
            self.questions[place as usize].state = State::Open;
            self.ready.push_back(place);
        }
        let mut due = self.waiting.first().map(|(at, _)| *at);
        if let Control::Waiting(at) = self.here.made_up_state
            && at > now.elapsed
            && !self.is_proven()
        {
            due = Some(due.map_or(at, |due| due.min(at)));
        }
        if self.wants_ask(now) {
            return Next::Ask;
        }
        if self.flying > 0 || self.doubted > 0 {
            return Next::Hear;
        }
        if let Some(due) = due {
            return Next::Wait(due);
        }
        if self.elsewhere > 0 && self.exchangers.len() > 1 { Next::Move } else { Next::Done }
    }
}
