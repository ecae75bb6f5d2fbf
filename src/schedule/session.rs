//! One session as the scheduler sees it: what it may still do, and what happens on it.
//!
//! `batch` puts questions on it, `replies` takes what comes back, `closing_control` asks for proof that the host still tells names
//! apart, `idle` is the time between flights, `end` what its end means.

mod batch;
mod closing_control;
mod end;
mod idle;
mod replies;

use std::time::Duration;

use super::endpoint::EndpointTls;
use super::{
    Action, ConnectionAction, DomainTaskId, EndpointId, LINGER, LaneId, REST, Scheduler, SessionId, Timer,
};
use crate::evidence::{ClassifiedReply, RecipientKind};
use crate::policy::SessionLimits;
use crate::reason::Finding;
use crate::smtp::{Capabilities, EndReason, ProbeId, ProbeReply, Reply, SessionEnd, SmtpEvent, Stage};
use closing_control::UnconfirmedAcceptances;

/// What happened on a session, with its meaning.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionEvent {
    /// Ready for the first flight.
    Ready(Capabilities),
    /// A recipient's answer.
    Reply(ProbeId, ClassifiedReply),
    /// The recipient was not asked, because the server does not take such addresses.
    NotSupported(ProbeId),
    /// The flight is over.
    BatchDone,
    /// The session ended with a refusal.
    Rejected(ClassifiedReply),
    /// The session ended otherwise; `None` after our QUIT.
    Ended(Option<Finding>),
    /// The TLS handshake failed; nothing else is wrong.
    TlsFailed,
}

/// A session.
#[derive(Debug)]
pub(super) struct SessionState {
    endpoint: EndpointId,
    state: SessionPhase,
    session_limits: SessionLimits,
    capabilities: Capabilities,
    in_flight: Vec<InFlightProbe>,
    /// What came back of it.
    answered: Vec<(ProbeId, ClassifiedReply)>,
    transactions: u32,
    refused: u32,
    /// Of these, as unknown.
    unknown: u32,
    answers: u32,
    /// When it last had nothing to do.
    idle_since: Duration,
    /// What makes this session useless for more questions.
    spoilt: Option<ClassifiedReply>,
    /// Its acceptances may be lies, so a transaction is kept for a closing control.
    may_discard: bool,
    unconfirmed: UnconfirmedAcceptances,
}

/// A question under way.
#[derive(Clone, Copy, Debug)]
struct InFlightProbe {
    ask: ProbeId,
    task: DomainTaskId,
    who: RecipientKind,
    /// How many recipients its transaction had before it.
    place: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SessionPhase {
    /// Opening, or in flight.
    Working,
    /// Ready for a flight.
    Idle,
    /// Saying QUIT.
    Leaving,
}

impl SessionState {
    /// A session on its way.
    pub(super) fn new(
        endpoint: EndpointId,
        session_limits: SessionLimits,
        may_discard: bool,
    ) -> SessionState {
        SessionState {
            endpoint,
            state: SessionPhase::Working,
            session_limits,
            capabilities: Capabilities::default(),
            in_flight: Vec::new(),
            answered: Vec::new(),
            transactions: 0,
            refused: 0,
            unknown: 0,
            answers: 0,
            idle_since: Duration::ZERO,
            spoilt: None,
            may_discard,
            unconfirmed: UnconfirmedAcceptances::default(),
        }
    }

    fn most_transactions(&self) -> u32 {
        self.session_limits.transactions.min(self.capabilities.mail_max.unwrap_or(u32::MAX))
    }

    fn transactions_left(&self) -> u32 {
        let most = self.most_transactions();
        let kept = u32::from(self.may_discard && most > 1);
        (most - kept).saturating_sub(self.transactions)
    }

    /// Is there a transaction left for a closing control?
    fn may_close(&self) -> bool {
        self.transactions < self.most_transactions()
    }

    /// Refused recipients that it may still have.
    pub(super) fn refusals_left(&self) -> u32 {
        self.session_limits.rejections.saturating_sub(self.refused)
    }

    /// Of these, the ones that questions may use. Where refusals came that prove nothing, as those that put off do, one is
    /// kept for the closing control of what was accepted with doubt.
    fn refusals_to_spare(&self) -> u32 {
        let keeps_one = !self.unconfirmed.is_empty() && self.refused > self.unknown;
        self.refusals_left().saturating_sub(u32::from(keeps_one))
    }

    fn recipients(&self) -> u32 {
        self.session_limits.recipients.min(self.capabilities.rcpt_max.unwrap_or(u32::MAX)).max(1)
    }

    fn is_used_up(&self) -> bool {
        self.spoilt.is_some() || self.transactions_left() == 0 || self.refusals_to_spare() == 0
    }
}

/// Makes what the wire tells into what the scheduler hears; `classified` adds what a reply means.
pub fn meant(event: SmtpEvent, mut classified: impl FnMut(Stage, Reply) -> ClassifiedReply) -> SessionEvent {
    match event {
        SmtpEvent::Ready(capabilities) => SessionEvent::Ready(capabilities),
        SmtpEvent::BatchDone => SessionEvent::BatchDone,
        SmtpEvent::Reply(ask, ProbeReply::Rcpt(reply)) => {
            SessionEvent::Reply(ask, classified(Stage::Rcpt, reply))
        }
        SmtpEvent::Reply(ask, ProbeReply::Mail(reply)) => {
            SessionEvent::Reply(ask, classified(Stage::Mail, reply))
        }
        SmtpEvent::Reply(ask, ProbeReply::NoSmtputf8) => SessionEvent::NotSupported(ask),
        SmtpEvent::Ended(SessionEnd { stage, reason }) => match reason {
            EndReason::Quit => SessionEvent::Ended(None),
            EndReason::Rejected(reply) => SessionEvent::Rejected(classified(stage, reply)),
            EndReason::HungUp => SessionEvent::Ended(Some(Finding::Disconnected)),
            EndReason::TimedOut => SessionEvent::Ended(Some(Finding::Timeout)),
            EndReason::Malformed(_) => SessionEvent::Ended(Some(Finding::MalformedReply)),
            EndReason::Connect(_) => SessionEvent::Ended(Some(Finding::ConnectFailed)),
            EndReason::Tls(_) => SessionEvent::TlsFailed,
        },
    }
}

impl Scheduler {
    pub(super) fn dispatch_event(&mut self, id: SessionId, heard: SessionEvent) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        match heard {
            SessionEvent::Ready(capabilities) => {
                session.capabilities = capabilities;
                self.census.connected = true;
                self.rest(id);
            }
            // Believed when the flight has landed: a server that says too much may have answered somebody else.
            SessionEvent::Reply(ask, classified) => session.answered.push((ask, classified)),
            SessionEvent::NotSupported(ask) => self.unable(id, ask),
            SessionEvent::BatchDone => {
                self.believe(id);
                self.rest(id);
            }
            SessionEvent::Rejected(_) | SessionEvent::Ended(_) | SessionEvent::TlsFailed => {
                self.ended(id, &heard)
            }
        }
    }

    /// The lane of a session.
    fn lane_of(&self, id: SessionId) -> Option<LaneId> {
        self.sessions.get(&id).map(|session| self.endpoints[session.endpoint].lane)
    }

    fn wake_lane(&mut self, lane: LaneId) {
        self.timers.insert((self.now.elapsed, Timer::Lane(lane)));
    }

    /// Moves a session between the counts of its door and lane.
    fn set_state(&mut self, id: SessionId, state: SessionPhase) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let endpoint = &mut self.endpoints[session.endpoint];
        let lane = &mut self.lanes[endpoint.lane];
        match session.state {
            SessionPhase::Working => endpoint.working -= 1,
            SessionPhase::Idle => {
                endpoint.idle.retain(|other| *other != id);
                self.idle.remove(&id);
            }
            SessionPhase::Leaving => lane.leaving -= 1,
        }
        match state {
            SessionPhase::Working => endpoint.working += 1,
            SessionPhase::Idle => {
                endpoint.idle.push(id);
                self.idle.insert(id);
            }
            SessionPhase::Leaving => lane.leaving += 1,
        }
        session.state = state;
    }
}
