//! Acceptances that prove nothing yet: some hosts accept, and discard, after too many unknown names.
//!
//! Decides: at operators that nobody knows, whether an acceptance after unknown names is believed. A clear refusal later in
//! the same session shows that the host still tells names apart, and mostly comes by itself; a session that would end
//! without one asks about a made-up name at a domain that refused somebody before. A host that accepts that name is caught:
//! its doubtful acceptances are taken back, and asked again in sessions that end before the lies begin.

use std::time::Duration;

use super::{Action, ConnectionAction, InFlightProbe, LaneId, Scheduler, SessionId, SessionPhase, Timer};
use crate::evidence::{ClassifiedReply, ObstacleKind, RecipientKind, RecordedReply, Timestamp};
use crate::probe;
use crate::reason::{Cause, Fault, Finding};
use crate::schedule::DomainTaskId;
use crate::schedule::provider_event::ProviderEventKind;
use crate::smtp::{Batch, ProbeId, RcptProbe, Stage, Transaction};

/// The doubts of a session.
#[derive(Debug, Default)]
pub(super) struct UnconfirmedAcceptances {
    /// Listed addresses that were accepted, by their places.
    accepted: Vec<(DomainTaskId, u32)>,
    /// Made-up names that were accepted, of which their inquiries don't know yet, and when.
    parked: Vec<(InFlightProbe, ClassifiedReply, Timestamp)>,
    /// All of these answers as they are to be kept, once they count.
    unkept: Vec<RecordedReply>,
    /// How many unknown names the session had refused when doubt began.
    refused_before: u32,
    /// The closing control that is under way.
    closing: Option<ProbeId>,
    /// It waits for its pace.
    pub(super) is_waiting: bool,
}

impl UnconfirmedAcceptances {
    pub(super) fn is_empty(&self) -> bool {
        self.accepted.is_empty() && self.parked.is_empty()
    }
}

impl Scheduler {
    /// Must this acceptance be proven?
    pub(super) fn is_unconfirmed(&self, id: SessionId, classified: &ClassifiedReply) -> bool {
        let Some(session) = self.sessions.get(&id) else {
            return false;
        };
        let lane = &self.lanes[self.endpoints[session.endpoint].lane];
        let threshold = self.limits.thresholds.discard;
        let too_many =
            session.unknown >= threshold.unknown_in_session || lane.unknown_names >= threshold.unknown_in_run;
        let can_be_tested = self.endpoints[session.endpoint].rejected_domain.is_some();
        classified.reply.is_positive() && lane.provider.may_discard && too_many && can_be_tested
    }

    /// Takes an acceptance with doubt.
    pub(super) fn doubt(&mut self, id: SessionId, asked: InFlightProbe, classified: ClassifiedReply) {
        let now = self.now;
        let unkept = self.lane_of(id).and_then(|lane| self.to_keep(&asked, lane, &classified));
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.unconfirmed.unkept.extend(unkept);
        if session.unconfirmed.is_empty() {
            session.unconfirmed.refused_before = session.unknown;
        }
        match asked.who {
            RecipientKind::Listed(place) if classified.meaning.cause == Cause::Accepted => {
                session.unconfirmed.accepted.push((asked.task, place));
                if let Some(task) = self.tasks[asked.task].as_mut() {
                    task.domain_probe.on_unconfirmed_acceptance(place, classified, now);
                }
            }
            _ => session.unconfirmed.parked.push((asked, classified, now)),
        }
        self.go_on(asked.task);
    }

    /// The host still tells names apart: what it accepted was accepted.
    pub(super) fn confirm_acceptances(&mut self, id: SessionId) {
        let Some(lane) = self.lane_of(id) else {
            return;
        };
        let Some(UnconfirmedAcceptances { accepted, parked, unkept, .. }) = self.take_unconfirmed(id) else {
            return;
        };
        self.actions.extend(unkept.into_iter().map(Action::Record));
        if !accepted.is_empty() {
            self.confirm_lane(lane);
        }
        for (task_id, place) in accepted {
            if let Some(task) = self.tasks[task_id].as_mut() {
                task.domain_probe.confirm(place);
            }
            self.go_on(task_id);
        }
        for (InFlightProbe { task: task_id, who, .. }, classified, heard_at) in parked {
            if let Some(task) = self.tasks[task_id].as_mut() {
                task.domain_probe.on_reply(who, classified, heard_at);
            }
            self.go_on(task_id);
        }
    }

    /// Nothing shows that the host still tells names apart: what it accepted is asked again.
    pub(super) fn revoke_acceptances(&mut self, id: SessionId) -> usize {
        let now = self.now;
        let Some(UnconfirmedAcceptances { accepted, parked, .. }) = self.take_unconfirmed(id) else {
            return 0;
        };
        let count = accepted.len() + parked.len();
        for (task_id, place) in accepted {
            if let Some(task) = self.tasks[task_id].as_mut() {
                task.domain_probe.revoke(place, now);
            }
            self.go_on(task_id);
        }
        for (InFlightProbe { task: task_id, who, .. }, ..) in parked {
            if let Some(task) = self.tasks[task_id].as_mut() {
                task.domain_probe.on_connection_lost(who, ObstacleKind::NoReply(Finding::Disconnected), now);
            }
            self.go_on(task_id);
        }
        count
    }

    fn take_unconfirmed(&mut self, id: SessionId) -> Option<UnconfirmedAcceptances> {
        let session = self.sessions.get_mut(&id).filter(|session| !session.unconfirmed.is_empty())?;
        // A closing control that is under way is still to come.
        let closing = session.unconfirmed.closing;
        Some(std::mem::replace(
            &mut session.unconfirmed,
            UnconfirmedAcceptances { closing, ..UnconfirmedAcceptances::default() },
        ))
    }

    /// Sends the closing control of an idle session that has doubts, if it leaves together with QUIT. `false` when it needs
    /// none or can't have one.
    pub(super) fn close(&mut self, id: SessionId, is_last: bool) -> bool {
        let has_unconfirmed = self.sessions.get(&id).is_some_and(|session| !session.unconfirmed.is_empty());
        if !has_unconfirmed {
            return false;
        }
        match self.closing(id) {
            Ok(None) => return false,
            Ok(Some(closing)) => {
                self.set_state(id, SessionPhase::Working);
                self.actions.push_back(Action::Connection(ConnectionAction::Send(
                    id,
                    Batch { transactions: vec![closing], is_last },
                )));
            }
            Err(wait) => {
                self.set_state(id, SessionPhase::Working);
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.unconfirmed.is_waiting = true;
                }
                self.timers.insert((self.now.elapsed + wait, Timer::Linger(id)));
            }
        }
        true
    }

    /// The closing control of an idle session, which counts as asked from now on. `None` where it can't have one; an error
    /// says after which time it can.
    pub(super) fn closing(&mut self, id: SessionId) -> Result<Option<Transaction>, Duration> {
        let Some(session) = self.sessions.get(&id).filter(|session| session.state == SessionPhase::Idle)
        else {
            return Ok(None);
        };
        let endpoint = &self.endpoints[session.endpoint];
        let lane = &mut self.lanes[endpoint.lane];
        let under_way = u32::try_from(session.in_flight.len()).unwrap_or(u32::MAX);
        let may = session.may_close()
            && session.refusals_left() > under_way
            && session.spoilt.is_none()
            && lane.paused.is_none()
            && lane.unknown_left(self.now.elapsed) > 0;
        let domain = endpoint.rejected_domain.clone().filter(|_| may);
        let Some(address) = domain.and_then(|domain| probe::random_recipient(&domain, &mut self.random))
        else {
            return Ok(None);
        };
        lane.asks.take(1)?;
        lane.in_flight += 1;
        let ask = ProbeId(self.next_probe);
        self.next_probe += 1;
        if let Some(session) = self.sessions.get_mut(&id) {
            session.transactions += 1;
            session.unconfirmed.closing = Some(ask);
        }
        Ok(Some(Transaction { recipients: vec![RcptProbe { id: ask, address }] }))
    }

    /// Is this the closing control?
    pub(super) fn is_closing(&self, id: SessionId, ask: ProbeId) -> bool {
        self.sessions.get(&id).is_some_and(|session| session.unconfirmed.closing == Some(ask))
    }

    /// The closing control was answered.
    pub(super) fn closed(&mut self, id: SessionId, classified: &ClassifiedReply) {
        self.account(id, classified);
        let Some(lane_id) = self.forget_closing(id) else {
            return;
        };
        let cause = classified.meaning.cause;
        // Where a refusal has cleared all doubts meanwhile, the lies begin after it.
        let refused_before = self.sessions.get(&id).map_or(0, |session| {
            if session.unconfirmed.is_empty() { session.unknown } else { session.unconfirmed.refused_before }
        });
        if classified.reply.is_positive() {
            let taken_back = self.revoke_acceptances(id);
            if let Some(session) = self.sessions.get_mut(&id) {
                session.session_limits.rejections = 0;
            }
            self.decided(ProviderEventKind::AcceptAllDetected, lane_id, taken_back);
            if refused_before > 0 {
                self.lower_rejection_limit(lane_id, refused_before);
            } else {
                // It lies from the first answer on: nothing can be learnt here any more.
                self.open_breaker(lane_id, classified);
            }
        } else if classified.stage != Stage::Rcpt || cause.fault() == Fault::Us {
            self.revoke_acceptances(id);
        } else {
            // However it says it: it does not accept the name.
            self.confirm_acceptances(id);
        }
    }

    /// So many refusals are all that a session may have at a lane, also one that is open.
    fn lower_rejection_limit(&mut self, lane_id: LaneId, refused: u32) {
        let session_limits = &mut self.lanes[lane_id].session_limits;
        session_limits.rejections = session_limits.rejections.min(refused);
        let mut used_up = Vec::new();
        for (&id, session) in &mut self.sessions {
            if self.endpoints[session.endpoint].lane == lane_id {
                session.session_limits.rejections = session.session_limits.rejections.min(refused);
                if session.state == SessionPhase::Idle && session.is_used_up() {
                    used_up.push(id);
                }
            }
        }
        used_up.sort_unstable();
        for id in used_up {
            self.leave(id);
        }
    }

    /// Takes the closing control off its session.
    pub(super) fn forget_closing(&mut self, id: SessionId) -> Option<usize> {
        let session = self.sessions.get_mut(&id)?;
        let lane = self.endpoints[session.endpoint].lane;
        if session.unconfirmed.closing.take().is_some() {
            self.lanes[lane].in_flight -= 1;
        }
        Some(lane)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::address::{Address, Domain};
    use crate::evidence::{
        CatchAll, DomainFacts, MxHostFacts, NotCatchAllProof, ProbeResult, Recipient, RecipientId,
    };
    use crate::policy::{Pace, Providers, ReplyContext, ReplyRules, Thresholds};
    use crate::probe::RetryPolicy;
    use crate::schedule::{DomainJob, MxHop, RunLimits, SessionEvent};
    use crate::smtp::{Capabilities, IpFamilies, Reply};

    fn answers(found: &[ProbeResult]) -> usize {
        found.iter().map(|found| found.mailbox.attempts.len()).sum()
    }

    /// A host that heard so many unknown names from us in a run before, and refused a made-up one then, is asked about two
    /// mailboxes and accepts everything now; how many acceptances are handed out.
    fn believed_after(unknown_before: usize) -> usize {
        let (domain, host) =
            (Domain::parse("acme.example").unwrap(), Domain::parse("mx.acme.example").unwrap());
        let now = Timestamp { elapsed: Duration::ZERO, wall: UNIX_EPOCH };
        let limits = RunLimits {
            pace: Pace::Fast,
            retry_policy: RetryPolicy { max_wait: Duration::ZERO },
            sessions: 1,
            thresholds: Thresholds::built_in(),
            egresses: vec![IpFamilies::Both],
        };
        let mut scheduler = Scheduler::new(limits, fastrand::Rng::with_seed(1), now);
        let stop = MxHop {
            provider: Providers::built_in().of(&host).clone(),
            host: host.clone(),
            addresses: vec![[192, 0, 2, 1].into()],
        };
        let stops = vec![stop];
        let lane = Scheduler::lane_key(&stops, &stops[0]);
        scheduler.spent(0, &lane, Duration::from_secs(60), unknown_before);
        let refused =
            MxHostFacts { catch_all: CatchAll::No(NotCatchAllProof::Control), ..MxHostFacts::new(host) };
        let known = DomainFacts { mx_hosts: vec![refused], ..DomainFacts::default() };
        let listed = [(RecipientId(1), "jane@acme.example"), (RecipientId(2), "joe@acme.example")];
        let listed = listed.map(|(target, text)| Recipient::from((target, Address::parse(text).unwrap())));
        scheduler.order(DomainJob { domain, mx_hosts: stops, listed: listed.into(), known }, now);
        scheduler.close_job_source();
        let reply = Reply::parse(b"250 2.1.5 Ok\r\n").unwrap();
        let context = ReplyContext { stage: Stage::Rcpt, provider: None };
        let accepted = ClassifiedReply {
            stage: Stage::Rcpt,
            meaning: ReplyRules::built_in().classify(&reply, &context).into(),
            reply,
        };
        let mut believed = 0;
        while !scheduler.is_idle() {
            while let Some(action) = scheduler.action() {
                let (session, heard) = match action {
                    Action::Connection(ConnectionAction::Open(opening)) => (
                        opening.session,
                        vec![SessionEvent::Ready(Capabilities {
                            pipelining: true,
                            ..Capabilities::default()
                        })],
                    ),
                    Action::Connection(ConnectionAction::Send(session, batch)) => {
                        let asks = batch.transactions.iter().flat_map(|transaction| &transaction.recipients);
                        let mut heard: Vec<SessionEvent> =
                            asks.map(|ask| SessionEvent::Reply(ask.id, accepted.clone())).collect();
                        heard.push(if batch.is_last {
                            SessionEvent::Ended(None)
                        } else {
                            SessionEvent::BatchDone
                        });
                        (session, heard)
                    }
                    Action::Connection(ConnectionAction::Quit(session)) => {
                        (session, vec![SessionEvent::Ended(None)])
                    }
                    Action::Completed(found) => {
                        believed += answers(&found);
                        continue;
                    }
                    _ => continue,
                };
                for heard in heard {
                    scheduler.hear(session, heard, now);
                }
            }
            scheduler.wake(Timestamp { elapsed: scheduler.next_wake().unwrap_or_default(), ..now });
        }
        while let Some(action) = scheduler.action() {
            believed += if let Action::Completed(found) = action { answers(&found) } else { 0 };
        }
        believed
    }

    #[test]
    fn a_host_that_heard_too_many_unknown_names_before_this_run_is_doubted_in_it() {
        assert_eq!(believed_after(0), 2, "nobody had reason to lie");
        assert_eq!(believed_after(100), 0);
    }
}
