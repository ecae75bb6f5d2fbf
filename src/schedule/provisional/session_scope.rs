//! Closing controls: they confirm acceptances that prove nothing yet, because some servers accept and discard every
//! recipient after too many unknown ones.
//!
//! Decides: at providers that may do so, whether an acceptance that comes after unknown recipients counts. A clear
//! rejection later in the same session shows that the server still distinguishes recipients, and mostly comes by
//! itself. A session that would end without one probes a random recipient at a domain where the server rejected a
//! recipient before: the closing control. If the server accepts it, all unconfirmed acceptances are revoked, and
//! their recipients are probed again in sessions that end before so many unknown ones.

use std::time::Duration;

use super::session_results::{ClosingControl, HeldAcceptances};
use crate::evidence::{ClassifiedReply, ObstacleKind};
use crate::probe;
use crate::reason::Fault;
use crate::schedule::action::{Action, ConnectionAction, ProviderEventKind};
use crate::schedule::in_flight::InFlightProbe;
use crate::schedule::limits::{LaneId, SessionId, Timer};
use crate::schedule::scheduler::Scheduler;
use crate::schedule::session::SessionPhase;
use crate::smtp::{Batch, ProbeId, RcptProbe, Stage, Transaction};

impl Scheduler {
    /// True if the reply is an acceptance that needs confirmation, and a closing control can give it.
    pub(in crate::schedule) fn is_unconfirmed(&self, id: SessionId, classified: &ClassifiedReply) -> bool {
        let Some(session) = self.sessions.get(&id) else {
            return false;
        };
        let lane = &self.lanes[self.endpoints[session.endpoint].lane];
        let threshold = self.limits.thresholds.discard;
        let endpoint = &self.endpoints[session.endpoint];
        let too_many = session.unknown >= threshold.unknown_in_session
            || self.unknown_in_run(session.endpoint) >= threshold.unknown_in_run
            || endpoint.accepts_any_later;
        let can_be_tested = endpoint.rejected_domain.is_some();
        classified.reply.is_positive() && lane.provider.may_discard && too_many && can_be_tested
    }

    /// Holds back an acceptance until it is confirmed.
    pub(in crate::schedule) fn hold_acceptance(
        &mut self,
        id: SessionId,
        probe: InFlightProbe,
        classified: ClassifiedReply,
    ) {
        let now = self.now;
        let to_record = self.lane_of(id).and_then(|lane| self.to_record(&probe, lane, &classified));
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let unknown = session.unknown;
        if let Some((position, classified)) =
            session.provisional.hold_acceptance(probe, classified, to_record, unknown, now)
            && let Some(task) = self.tasks[probe.task].as_mut()
        {
            task.domain_probe.on_unconfirmed_acceptance(position, classified, now);
        }
        self.advance(probe.task);
    }

    /// Confirms the acceptances of a session whose server still distinguishes recipients.
    pub(in crate::schedule) fn confirm_acceptances(&mut self, id: SessionId) {
        let Some(lane) = self.lane_of(id) else {
            return;
        };
        let Some(HeldAcceptances { accepted, parked, to_record }) = self.take_unconfirmed(id) else {
            return;
        };
        self.actions.extend(to_record.into_iter().map(Action::Record));
        if !accepted.is_empty()
            && let Some(endpoint) = self.sessions.get(&id).map(|session| session.endpoint)
        {
            self.confirm_lane(lane, endpoint);
        }
        for (task_id, position) in accepted {
            if let Some(task) = self.tasks[task_id].as_mut() {
                task.domain_probe.confirm(position);
                self.actions.extend(task.domain_probe.take_reopened().into_iter().map(Action::Revoked));
            }
            self.advance(task_id);
        }
        for (InFlightProbe { task: task_id, kind, .. }, classified, received_at) in parked {
            if let Some(task) = self.tasks[task_id].as_mut() {
                task.domain_probe.on_reply(kind, classified, received_at);
            }
            self.advance(task_id);
        }
    }

    /// Revokes the unconfirmed acceptances of a session: their recipients are probed again. Returns their number.
    pub(in crate::schedule) fn revoke_acceptances(&mut self, id: SessionId) -> usize {
        let now = self.now;
        let Some(held) = self.take_unconfirmed(id) else {
            return 0;
        };
        let count = held.len();
        let HeldAcceptances { accepted, parked, .. } = held;
        for (task_id, position) in accepted {
            if let Some(task) = self.tasks[task_id].as_mut() {
                task.domain_probe.revoke(position, now);
            }
            self.advance(task_id);
        }
        for (InFlightProbe { task: task_id, kind, .. }, classified, _) in parked {
            if let Some(task) = self.tasks[task_id].as_mut() {
                let why = ObstacleKind::Rejected(Box::new(classified));
                task.domain_probe.on_connection_lost(kind, why, now);
            }
            self.advance(task_id);
        }
        count
    }

    fn take_unconfirmed(&mut self, id: SessionId) -> Option<HeldAcceptances> {
        self.sessions.get_mut(&id)?.provisional.take()
    }

    /// The closing control that an idle session needs: acceptances come first, because they may confirm rejections.
    fn needed_control(&self, id: SessionId) -> Option<ClosingControl> {
        let provisional = &self.sessions.get(&id)?.provisional;
        if provisional.holds_acceptances() {
            return Some(ClosingControl::Negative);
        }
        provisional
            .holds_rejections()
            .then(|| self.postmaster_domain(id).map_or(ClosingControl::Positive, ClosingControl::Postmaster))
    }

    /// Sends the closing control of an idle session with provisional results, now or as soon as the pace allows it.
    /// `is_last`: QUIT leaves with it. False if the session needs no closing control or can't have one.
    pub(in crate::schedule) fn send_closing_control(&mut self, id: SessionId, is_last: bool) -> bool {
        let Some(kind) = self.needed_control(id) else {
            return false;
        };
        match self.make_closing_control(id, kind) {
            Ok(None) => return false,
            Ok(Some(control)) => {
                let needs_another = kind == ClosingControl::Negative
                    && self.sessions.get(&id).is_some_and(|session| session.provisional.holds_rejections());
                self.set_phase(id, SessionPhase::Working);
                self.actions.push_back(Action::Connection(ConnectionAction::Send(
                    id,
                    Batch { transactions: vec![control], is_last: is_last && !needs_another },
                )));
            }
            Err(wait) => {
                self.set_phase(id, SessionPhase::Working);
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.provisional.wait_for_pace();
                }
                self.timers.insert((self.now.elapsed + wait, Timer::IdleTimeout(id)));
            }
        }
        true
    }

    /// Makes the closing control of acceptances, to leave with a batch. `None` if the session can't have one now.
    pub(in crate::schedule) fn make_negative_control(&mut self, id: SessionId) -> Option<Transaction> {
        self.make_closing_control(id, ClosingControl::Negative).ok().flatten()
    }

    /// Makes the closing control of an idle session, and counts it as in flight. `None` if the session can't have
    /// one; the error is the time after which the pace allows one.
    fn make_closing_control(
        &mut self,
        id: SessionId,
        kind: ClosingControl,
    ) -> Result<Option<Transaction>, Duration> {
        let Some(session) = self.sessions.get(&id).filter(|session| session.phase == SessionPhase::Idle)
        else {
            return Ok(None);
        };
        let endpoint_id = session.endpoint;
        let endpoint = &self.endpoints[endpoint_id];
        let lane = &self.lanes[endpoint.lane];
        let in_flight = u32::try_from(session.in_flight.len()).unwrap_or(u32::MAX);
        // A positive control is hardly rejected, so one may follow the only rejection that the session may get.
        let has_rejection_left = session.rejections_left() > in_flight
            || (kind == ClosingControl::Positive && session.rejected <= 1);
        let is_possible = session.has_transaction_for_control()
            && session.has_probe_for_control()
            && has_rejection_left
            && session.spoiled_by.is_none()
            && !lane.health.is_open()
            && self.unknown_left(endpoint_id) > 0;
        let address = match kind {
            _ if !is_possible => None,
            ClosingControl::Postmaster(task) => {
                self.tasks[task].as_ref().and_then(|task| task.domain_probe.postmaster())
            }
            ClosingControl::Negative => endpoint
                .rejected_domain
                .as_ref()
                .and_then(|domain| probe::random_recipient(domain, &mut self.random)),
            ClosingControl::Positive => session
                .provisional
                .accepted()
                .or_else(|| self.accepted_at(endpoint_id))
                .cloned()
                .filter(|address| session.capabilities.smtputf8 || !address.needs_smtputf8()),
        };
        let Some(address) = address else {
            return Ok(None);
        };
        self.take_recipients(endpoint_id, 1)?;
        self.add_in_flight(endpoint_id, 1);
        if let ClosingControl::Postmaster(task) = kind
            && let Some(task) = self.tasks[task].as_mut()
        {
            task.domain_probe.note_postmaster();
        }
        let probe = ProbeId(self.next_probe);
        self.next_probe += 1;
        if let Some(session) = self.sessions.get_mut(&id) {
            session.transactions += 1;
            session.sent += 1;
            session.provisional.set_closing_control(probe, kind);
        }
        Ok(Some(Transaction { recipients: vec![RcptProbe { id: probe, address }] }))
    }

    /// True if the probe is the closing control of the session.
    pub(in crate::schedule) fn is_closing_control(&self, id: SessionId, probe: ProbeId) -> bool {
        self.sessions.get(&id).is_some_and(|session| session.provisional.is_closing_control(probe))
    }

    /// Handles the reply to the closing control.
    pub(in crate::schedule) fn on_closing_control(&mut self, id: SessionId, classified: &ClassifiedReply) {
        self.count_reply(id, classified);
        let Some((lane_id, kind)) = self.take_closing_control(id) else {
            return;
        };
        match kind {
            ClosingControl::Negative => {}
            ClosingControl::Positive => return self.on_positive_closing_control(id, lane_id, classified),
            ClosingControl::Postmaster(task) => return self.on_postmaster(id, lane_id, task, classified),
        }
        let cause = classified.meaning.cause;
        let unknown_before =
            self.sessions.get(&id).map_or(0, |session| session.provisional.unknown_before(session.unknown));
        if classified.reply.is_positive() {
            let revoked = self.revoke_acceptances(id);
            if let Some(session) = self.sessions.get_mut(&id) {
                session.session_limits.rejections = 0;
                self.endpoints[session.endpoint].accepts_any_later = true;
                self.lanes[lane_id].pace.limit_probes(session.provisional.replies_at_rejection());
            }
            self.report_event(ProviderEventKind::AcceptAllDetected, lane_id, revoked);
            if unknown_before > 0 {
                self.lower_rejection_limit(lane_id, unknown_before);
            } else {
                // The server accepts any recipient from the first one on, so its replies say nothing.
                self.open_breaker(lane_id, classified);
            }
        } else if classified.stage != Stage::Rcpt || cause.fault() == Fault::Us {
            self.revoke_acceptances(id);
        } else {
            // Whatever the reply text is, the server does not accept the random recipient.
            self.confirm_acceptances(id);
        }
    }

    /// Lowers the rejections that a session of the lane may have, also for open sessions.
    fn lower_rejection_limit(&mut self, lane_id: LaneId, max: u32) {
        self.lanes[lane_id].pace.limit_rejections(max);
        let mut used_up = Vec::new();
        for (&id, session) in &mut self.sessions {
            if self.endpoints[session.endpoint].lane == lane_id {
                session.session_limits.rejections = session.session_limits.rejections.min(max);
                if session.phase == SessionPhase::Idle && session.is_used_up() {
                    used_up.push(id);
                }
            }
        }
        used_up.sort_unstable();
        for id in used_up {
            self.release(id);
        }
    }

    /// Takes the closing control off a session that ends.
    pub(in crate::schedule) fn drop_closing_control(&mut self, id: SessionId) {
        let _ = self.take_closing_control(id);
    }

    /// Takes the closing control off its session. Returns the lane of the session, and what the control confirms.
    pub(super) fn take_closing_control(&mut self, id: SessionId) -> Option<(LaneId, ClosingControl)> {
        let session = self.sessions.get_mut(&id)?;
        let endpoint = session.endpoint;
        let kind = session.provisional.take_closing_control()?;
        self.remove_in_flight(endpoint);
        Some((self.endpoints[endpoint].lane, kind))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::address::{Address, Domain};
    use crate::evidence::{
        CatchAll, DomainFacts, MxHostFacts, NotCatchAllProof, ProbeResult, Recipient, RecipientId, Timestamp,
    };
    use crate::policy::{Pace, Providers, ReplyContext, ReplyRules, RetryPolicy, Thresholds};
    use crate::schedule::{DomainJob, MxHop, RunLimits, SessionEvent};
    use crate::smtp::{Capabilities, IpFamilies, Reply};

    fn count_replies(results: &[ProbeResult]) -> usize {
        results.iter().map(|result| result.mailbox.attempts.len()).sum()
    }

    /// A server got so many unknown recipients in an earlier run, and rejected a random one then. Now it accepts both
    /// recipients that are probed, and every other one. Returns how many acceptances are in the results.
    fn acceptances_after(unknown_before: usize) -> usize {
        let (domain, host) =
            (Domain::parse("acme.example").unwrap(), Domain::parse("mx.acme.example").unwrap());
        let now = Timestamp { elapsed: Duration::ZERO, wall: UNIX_EPOCH };
        let limits = RunLimits {
            pace: Pace::Fast,
            retry_policy: RetryPolicy::built_in(Duration::ZERO),
            sessions: 1,
            thresholds: Thresholds::built_in(),
            confirm: false,
            egresses: vec![IpFamilies::Both],
        };
        let mut scheduler = Scheduler::new(limits, fastrand::Rng::with_seed(1), now);
        let mx_hop = MxHop {
            provider: Providers::built_in().of(&host).clone(),
            host: host.clone(),
            addresses: vec![[192, 0, 2, 1].into()],
        };
        let mx_hosts = vec![mx_hop];
        let lane = Scheduler::lane_key(&mx_hosts, &mx_hosts[0]);
        scheduler.seed_unknown_usage(0, &lane, Duration::from_secs(60), unknown_before);
        let rejected =
            MxHostFacts { catch_all: CatchAll::No(NotCatchAllProof::Control), ..MxHostFacts::new(host) };
        let facts = DomainFacts { mx_hosts: vec![rejected], ..DomainFacts::default() };
        let recipients = [(RecipientId(1), "jane@acme.example"), (RecipientId(2), "joe@acme.example")];
        let recipients =
            recipients.map(|(target, text)| Recipient::from((target, Address::parse(text).unwrap())));
        scheduler.submit(DomainJob { domain, mx_hosts, recipients: recipients.into(), facts }, now);
        scheduler.close_job_source();
        let reply = Reply::parse(b"250 2.1.5 Ok\r\n").unwrap();
        let context = ReplyContext { stage: Stage::Rcpt, provider: None };
        let accepted = ClassifiedReply {
            stage: Stage::Rcpt,
            meaning: ReplyRules::built_in().classify(&reply, &context).into(),
            reply,
        };
        let mut acceptances = 0;
        while !scheduler.is_idle() {
            while let Some(action) = scheduler.next_action() {
                let (session, events) = match action {
                    Action::Connection(ConnectionAction::Open(opening)) => (
                        opening.session,
                        vec![SessionEvent::Ready(Capabilities {
                            pipelining: true,
                            ..Capabilities::default()
                        })],
                    ),
                    Action::Connection(ConnectionAction::Send(session, batch)) => {
                        let probes =
                            batch.transactions.iter().flat_map(|transaction| &transaction.recipients);
                        let mut events: Vec<SessionEvent> =
                            probes.map(|probe| SessionEvent::Reply(probe.id, accepted.clone())).collect();
                        events.push(if batch.is_last {
                            SessionEvent::Ended(None)
                        } else {
                            SessionEvent::BatchDone
                        });
                        (session, events)
                    }
                    Action::Connection(ConnectionAction::Quit(session)) => {
                        (session, vec![SessionEvent::Ended(None)])
                    }
                    Action::Completed(results) => {
                        acceptances += count_replies(&results);
                        continue;
                    }
                    _ => continue,
                };
                for event in events {
                    scheduler.on_session_event(session, event, now);
                }
            }
            scheduler.wake(Timestamp { elapsed: scheduler.next_wake().unwrap_or_default(), ..now });
        }
        while let Some(action) = scheduler.next_action() {
            acceptances += if let Action::Completed(results) = action { count_replies(&results) } else { 0 };
        }
        acceptances
    }

    #[test]
    fn acceptances_need_confirmation_where_an_earlier_run_probed_too_many_unknown_recipients() {
        assert_eq!(acceptances_after(0), 2, "too few unknown recipients before");
        assert_eq!(acceptances_after(100), 0);
    }
}
