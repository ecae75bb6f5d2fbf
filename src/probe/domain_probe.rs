//! The questions to one domain, from the first address to the last control, as a state machine.
//!
//! Decides: which address is asked next, when a made-up one is needed, when enough is known, and what each answer
//! leaves open. Must not: know about connections, lanes or pace (the scheduler asks it for the next few questions), nor
//! judge (it hands out [`MailboxEvidence`]). Can't know: whether a host tells the truth; that is what the controls are for.

mod finish;
mod mx_host_state;
mod replies;
mod select;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::control;
use super::control_plan::ControlPlan;
use super::retry_policy::RetryPolicy;
use crate::address::{Address, Domain};
use crate::evidence::{
    CatchAll, DomainFacts, MailboxEvidence, NotProbedReason, Obstacle, ObstacleKind, PositiveControl,
    Recipient,
};
use mx_host_state::{ControlState, MxHostState};

/// What an inquiry wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// [`DomainProbe::next_probes`] has questions.
    Probe,
    /// Answers are on their way.
    AwaitReplies,
    /// Nothing before this time of the run.
    Wait(Duration),
    /// The next exchanger should be asked: [`DomainProbe::advance`].
    NextMxHost,
    /// Everything is known that can be.
    Done,
}

/// What the operator's data say about a domain's exchanger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeStrategy {
    /// When the made-up name is asked about.
    pub turn: ControlPlan,
    /// Clear refusals of listed addresses that prove that the domain does not accept any name.
    pub proof: u32,
}

/// The questions to one domain.
#[derive(Debug)]
pub struct DomainProbe {
    domain: Domain,
    /// Exchangers not asked yet, best first; the front one is being asked.
    mx_hosts: VecDeque<Domain>,
    expectation: ProbeStrategy,
    retry_policy: RetryPolicy,
    questions: Vec<RecipientProbe>,
    /// Questions that may be asked now.
    ready: VecDeque<u32>,
    /// Questions that got a transient answer, by the time when they are due.
    waiting: BTreeSet<(Duration, u32)>,
    /// Questions answered and not yet handed out.
    answered: Vec<u32>,
    /// Refused in words that do not decide, since this exchanger last accepted somebody.
    undecided: Vec<u32>,
    /// How many were accepted with doubt.
    unconfirmed: u32,
    /// An acceptance that is being heard is doubted.
    doubts: bool,
    /// How many only another exchanger can answer.
    elsewhere: u32,
    here: MxHostState,
    /// About the other exchangers.
    known: DomainFacts,
    in_flight: u32,
    obstacle: Option<Arc<Obstacle>>,
}

/// One listed address. There are many, and most were not asked about yet.
#[derive(Debug)]
struct RecipientProbe {
    target: RecipientId,
    state: RecipientState,
    /// Sessions that ended when it was their oldest open question, or before its answer could be believed.
    drops: u8,
    /// It was found deliverable lately.
    was_deliverable: bool,
    address: Address,
    /// What was said, once something was.
    mailbox: Option<Box<MailboxEvidence>>,
}

impl RecipientProbe {
    fn mailbox(&mut self) -> &mut MailboxEvidence {
        self.mailbox.get_or_insert_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecipientState {
    /// May be asked, or is being asked.
    Open,
    /// Got a transient answer and is asked again.
    Waiting,
    /// Accepted here; worth something once the made-up name was refused.
    Accepted,
    /// Accepted here by a host that may accept anything by now.
    Unconfirmed,
    /// Refused in words that do not decide.
    Undecided,
    /// This exchanger can't answer, another might.
    NeedsNextMx,
    /// Nothing more to ask.
    Closed,
    /// Handed out.
    Emitted,
}

impl DomainProbe {
    /// An inquiry about a domain's listed addresses at its exchangers, best first, with what is known already.
    pub fn new(
        domain: Domain,
        mx_hosts: impl IntoIterator<Item = Domain>,
        listed: impl IntoIterator<Item = Recipient>,
        known: DomainFacts,
        expectation: ProbeStrategy,
        retry_policy: RetryPolicy,
        now: Timestamp,
    ) -> DomainProbe {
        let question = |listed: Recipient| {
            let earlier = Some(listed.earlier).filter(|earlier| !earlier.is_empty());
            let mailbox = |attempts| Box::new(MailboxEvidence { attempts, ..MailboxEvidence::default() });
            RecipientProbe {
                target: listed.target,
                state: RecipientState::NeedsNextMx,
                drops: 0,
                was_deliverable: listed.was_deliverable,
                address: listed.address,
                mailbox: earlier.map(mailbox),
            }
        };
        let mut domain_probe = DomainProbe {
            domain,
            mx_hosts: mx_hosts.into_iter().collect(),
            expectation,
            retry_policy,
            questions: listed.into_iter().map(question).collect(),
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            answered: Vec::new(),
            undecided: Vec::new(),
            unconfirmed: 0,
            doubts: false,
            elsewhere: 0,
            here: MxHostState::default(),
            known,
            in_flight: 0,
            obstacle: None,
        };
        domain_probe.arrive(now);
        domain_probe
    }

    /// The domain asked about.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whom a question is about.
    pub fn address_of(&self, who: RecipientKind) -> Option<Cow<'_, Address>> {
        match who {
            RecipientKind::Listed(place) | RecipientKind::Recheck(place) => {
                self.questions.get(place as usize).map(|question| Cow::Borrowed(&question.address))
            }
            RecipientKind::Random => self.here.random_recipient.as_ref().map(Cow::Borrowed),
            RecipientKind::Postmaster => control::postmaster(&self.domain).map(Cow::Owned),
        }
    }

    /// The exchanger that is being asked; `None` when none is left.
    pub fn mx_host(&self) -> Option<&Domain> {
        self.mx_hosts.front()
    }

    fn is_proven(&self) -> bool {
        matches!(self.here.catch_all, CatchAll::No(_)) || self.here.clear_refusals >= self.expectation.proof
    }

    /// Leaves what was not asked yet to a later run.
    pub fn give_up(&mut self, unprobed: NotProbedReason) {
        let deferral = std::mem::take(&mut self.waiting).into_iter().map(|(_, place)| place);
        for place in std::mem::take(&mut self.ready).into_iter().chain(deferral) {
            let question = &mut self.questions[place as usize];
            question.state = RecipientState::Closed;
            question.mailbox().unprobed = Some(unprobed);
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
    pub fn is_in_flight(&self) -> bool {
        self.in_flight > 0
    }

    /// An acceptance waits for a proof.
    pub fn has_unconfirmed(&self) -> bool {
        self.unconfirmed > 0
    }

    /// The exchanger gave no answers, for a reason that is no fact about any address: whoever still waits may be
    /// asked elsewhere.
    pub fn blocked(&mut self, what: ObstacleKind, now: Timestamp) {
        let Some(mx_host) = self.mx_hosts.front().cloned() else {
            return;
        };
        let obstacle = Arc::new(Obstacle { mx_host, at: now.wall, what });
        self.ready.clear();
        self.waiting.clear();
        for question in &mut self.questions {
            if matches!(question.state, RecipientState::Open | RecipientState::Waiting) {
                question.state = RecipientState::NeedsNextMx;
                self.elsewhere += 1;
            }
        }
        if self.here.accepted > 0 && !self.is_proven() && self.here.control_state != ControlState::Done {
            self.here.catch_all = CatchAll::Failed(obstacle.clone());
        }
        self.here.give_up();
        self.obstacle = Some(obstacle);
    }

    /// What this inquiry wants now. Brings questions that are due back into the queue.
    pub fn next(&mut self, now: Timestamp) -> NextStep {
        while let Some(&(at, place)) = self.waiting.first().filter(|(at, _)| *at <= now.elapsed) {
            self.waiting.remove(&(at, place));
            self.questions[place as usize].state = RecipientState::Open;
            self.ready.push_back(place);
        }
        let mut due = self.waiting.first().map(|(at, _)| *at);
        if let ControlState::Waiting(at) = self.here.control_state
            && at > now.elapsed
            && !self.is_proven()
        {
            due = Some(due.map_or(at, |due| due.min(at)));
        }
        if self.wants_probe(now) {
            return NextStep::Probe;
        }
        if self.in_flight > 0 || self.unconfirmed > 0 {
            return NextStep::AwaitReplies;
        }
        if let Some(due) = due {
            return NextStep::Wait(due);
        }
        if self.elsewhere > 0 && self.mx_hosts.len() > 1 { NextStep::NextMxHost } else { NextStep::Done }
    }
}
