//! What an answer leaves open: of a listed address, of the made-up one, of `postmaster`.
//!
//! Decides: whether a question is closed, asked again, or for another exchanger, and what a control proves.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::mx_host_state::ControlState;
use super::{DomainProbe, RecipientState};
use crate::address::Domain;
use crate::evidence::{
    self, Attempt, CatchAll, ClassifiedReply, ControlOutcome, Deferral, NotCatchAllProof, Obstacle,
    ObstacleKind, PositiveControl, RecipientKind, Timestamp,
};
use crate::policy::comparable_text;
use crate::reason::{Cause, Confidence, Finding, Verdict};

/// Sessions that a question may end before it is given up.
const DROPS: u8 = 2;

impl DomainProbe {
    /// An answer to a question that [`DomainProbe::next_probes`] gave out.
    pub fn heard(&mut self, who: RecipientKind, classified: ClassifiedReply, now: Timestamp) {
        self.in_flight -= 1;
        match who {
            RecipientKind::Listed(place) => self.on_recipient_reply(place, classified, now),
            RecipientKind::Random => self.on_control_reply(classified, now),
            RecipientKind::Recheck(_) | RecipientKind::Postmaster => {
                self.on_positive_control(who, &classified)
            }
        }
    }

    /// A question that was given out and never answered: it is as if it had not been asked.
    pub fn unanswered(&mut self, who: RecipientKind) {
        self.in_flight -= 1;
        match who {
            RecipientKind::Listed(place) if matches!(self.here.catch_all, CatchAll::Yes(_)) => {
                self.questions[place as usize].state = RecipientState::Closed;
            }
            // Behind the others: should it be what ended the session, they still get their turn.
            RecipientKind::Listed(place) => self.ready.push_back(place),
            RecipientKind::Random => self.here.control_state = ControlState::NotSent,
            RecipientKind::Recheck(_) => {}
            RecipientKind::Postmaster => self.known.postmaster_was_asked = false,
        }
    }

    /// Like [`DomainProbe::heard`], but the host may accept anything by now: an acceptance counts when [`DomainProbe::believe`]
    /// follows.
    pub fn on_unconfirmed_acceptance(&mut self, place: u32, classified: ClassifiedReply, now: Timestamp) {
        self.doubts = true;
        self.heard(RecipientKind::Listed(place), classified, now);
        self.doubts = false;
    }

    /// An acceptance that was doubted is true.
    pub fn believe(&mut self, place: u32) {
        let question = &mut self.questions[place as usize];
        if question.state == RecipientState::Unconfirmed {
            question.state = RecipientState::Accepted;
            self.unconfirmed -= 1;
            self.answered.push(place);
            self.accepted(place);
        }
    }

    /// An acceptance that was doubted may be a lie: it is as if it had not been asked.
    pub fn revoke(&mut self, place: u32, now: Timestamp) {
        let question = &mut self.questions[place as usize];
        if question.state != RecipientState::Unconfirmed {
            return;
        }
        self.unconfirmed -= 1;
        self.here.accepted -= 1;
        question.mailbox().attempts.pop();
        self.in_flight += 1;
        question.state = RecipientState::Open;
        self.dropped(RecipientKind::Listed(place), ObstacleKind::NoReply(Finding::Disconnected), now);
    }

    /// Somebody was accepted, so the refusals before were about their mailboxes.
    fn accepted(&mut self, place: u32) {
        self.here.accepted_last = Some(place);
        self.confirm_undecided();
    }

    fn confirm_undecided(&mut self) {
        for place in std::mem::take(&mut self.undecided) {
            let question = &mut self.questions[place as usize];
            question.state = RecipientState::Closed;
            question.mailbox().positive = PositiveControl::Accepted;
            self.answered.push(place);
        }
    }

    /// The oldest open question of a session that broke off: it may be what the server did not bear. When it ends a
    /// second session it is given up here, and this is true.
    pub fn dropped(&mut self, who: RecipientKind, what: ObstacleKind, now: Timestamp) -> bool {
        let drops = match who {
            RecipientKind::Listed(place) => &mut self.questions[place as usize].drops,
            RecipientKind::Recheck(_) | RecipientKind::Random | RecipientKind::Postmaster => {
                &mut self.here.control_drops
            }
        };
        *drops = drops.saturating_add(1);
        let is_last = *drops >= DROPS;
        let Some(mx_host) = self.mx_hosts.front().cloned().filter(|_| is_last) else {
            self.unanswered(who);
            return false;
        };
        self.in_flight -= 1;
        let obstacle = Arc::new(Obstacle { mx_host, at: now.wall, what });
        match who {
            RecipientKind::Listed(place) => {
                let question = &mut self.questions[place as usize];
                question.state = RecipientState::NeedsNextMx;
                question.mailbox().obstacle = Some(obstacle);
                self.elsewhere += 1;
            }
            RecipientKind::Random => self.finish_control(CatchAll::Failed(obstacle)),
            RecipientKind::Recheck(_) | RecipientKind::Postmaster => {
                self.here.positive = PositiveControl::Silent
            }
        }
        true
    }

    fn on_recipient_reply(&mut self, place: u32, classified: ClassifiedReply, now: Timestamp) {
        if let Some(mx_host) = self.mx_hosts.front().cloned() {
            let question = &mut self.questions[place as usize];
            let attempts = &mut question.mailbox().attempts;
            // Most are never asked again, and there are many.
            attempts.reserve_exact(1);
            attempts.push(Attempt { mx_host, at: now.wall, classified });
            self.apply_reply(place, now);
        }
    }

    /// Weighs the newest answer about a listed address that this exchanger gave.
    pub(super) fn apply_reply(&mut self, place: u32, now: Timestamp) {
        let question = &mut self.questions[place as usize];
        let attempts = question.mailbox.as_deref().map_or(&[][..], |mailbox| &mailbox.attempts);
        let here = self.mx_hosts.front();
        let mut attempts = attempts.iter().filter(|attempt| Some(&attempt.mx_host) == here);
        let tries = attempts.clone().count();
        let (first, Some(Attempt { at, classified: ClassifiedReply { reply, meaning, .. }, .. })) =
            (attempts.clone().next(), attempts.next_back())
        else {
            return;
        };
        let cause = meaning.cause;
        question.state = match cause {
            Cause::Accepted => {
                self.here.accepted += 1;
                self.unconfirmed += u32::from(self.doubts);
                if self.doubts { RecipientState::Unconfirmed } else { RecipientState::Accepted }
            }
            Cause::Ambiguous if reply.is_permanent() && meaning.if_about_mailbox.is_some() => {
                self.undecided.push(place);
                RecipientState::Undecided
            }
            Cause::RelayDenied | Cause::SenderBlocked | Cause::DomainNoMail => {
                self.elsewhere += 1;
                RecipientState::NeedsNextMx
            }
            Cause::MailboxUnknown if meaning.confidence == Confidence::Confirmed => {
                self.here.clear_refusals += 1;
                RecipientState::Closed
            }
            cause if cause.verdict() == Verdict::Unknown && !reply.is_permanent() => {
                self.here.transient_answers += 1;
                let waited = waited(first.map_or(*at, |first| first.at), now);
                let again = self.retry_policy.retry_after(cause, tries, meaning.retry_in, waited);
                match again.filter(|_| !matches!(self.here.catch_all, CatchAll::Yes(_))) {
                    Some(wait) => {
                        self.waiting.insert((due(*at, wait, now), place));
                        RecipientState::Waiting
                    }
                    None => RecipientState::Closed,
                }
            }
            // Once more over TLS, which the scheduler switches on; a second such answer is the last.
            Cause::TlsRequired if tries == 1 => {
                self.ready.push_back(place);
                RecipientState::Open
            }
            _ => RecipientState::Closed,
        };
        match question.state {
            RecipientState::Accepted => {
                self.answered.push(place);
                self.accepted(place);
            }
            RecipientState::Closed => self.answered.push(place),
            _ => {}
        }
        if self.here.accepted > 0 && self.here.refused_unclearly {
            self.finish_control(CatchAll::No(NotCatchAllProof::UnclearControl));
        }
    }

    fn on_control_reply(&mut self, classified: ClassifiedReply, now: Timestamp) {
        let Some(mx_host) = self.mx_hosts.front().cloned() else {
            return;
        };
        self.here.control_tries += 1;
        match evidence::shown(&classified) {
            ControlOutcome::Accepted => {
                let attempt = Attempt { mx_host, at: now.wall, classified };
                self.finish_control(CatchAll::Yes(Arc::new(attempt)));
            }
            ControlOutcome::Rejected => self.finish_control(CatchAll::No(NotCatchAllProof::Control)),
            ControlOutcome::RejectedUnclearly => {
                self.here.refused_unclearly = true;
                self.here.control_state = ControlState::Done;
                if self.here.accepted > 0 {
                    self.finish_control(CatchAll::No(NotCatchAllProof::UnclearControl));
                }
            }
            ControlOutcome::Unclear => {
                self.here.unclear_answers += 1;
                if self.here.unclear_answers < 2 {
                    self.here.control_state = ControlState::NotSent;
                } else {
                    self.finish_control(CatchAll::Unclear);
                }
            }
            ControlOutcome::Failed => self.on_control_failure(mx_host, classified, now),
        }
    }

    /// Nothing was learnt from the made-up name; it is asked about again where time may help.
    fn on_control_failure(&mut self, mx_host: Domain, classified: ClassifiedReply, now: Timestamp) {
        let ClassifiedReply { reply, meaning, .. } = &classified;
        let since = self.here.deferral.map_or(now.wall, |deferral| deferral.since);
        let tries = self.here.control_tries;
        let again = self.retry_policy.retry_after(meaning.cause, tries, meaning.retry_in, waited(since, now));
        match again.filter(|_| !reply.is_permanent()) {
            Some(wait) => {
                self.here.deferral = Some(Deferral { times: tries, since, until: now.wall + wait });
                self.here.control_state = ControlState::Waiting(now.elapsed + wait);
            }
            None if meaning.cause == Cause::TlsRequired && tries == 1 => {
                self.here.control_state = ControlState::NotSent;
            }
            None => {
                let what = ObstacleKind::Rejected(Box::new(classified));
                let obstacle = Obstacle { mx_host, at: now.wall, what };
                self.finish_control(CatchAll::Failed(Arc::new(obstacle)));
            }
        }
    }

    pub(super) fn finish_control(&mut self, outcome: CatchAll) {
        self.here.control_state = ControlState::Done;
        if matches!(outcome, CatchAll::Yes(_)) {
            let deferral = std::mem::take(&mut self.waiting).into_iter().map(|(_, place)| place);
            for place in std::mem::take(&mut self.ready).into_iter().chain(deferral) {
                self.questions[place as usize].state = RecipientState::Closed;
            }
        }
        self.here.catch_all = outcome;
    }

    /// Does the host accept anybody? Asked for the sake of those who were refused in words that do not decide.
    fn on_positive_control(&mut self, who: RecipientKind, classified: &ClassifiedReply) {
        if classified.reply.is_positive() {
            if who == RecipientKind::Postmaster {
                self.here.positive = PositiveControl::Accepted;
            }
            return self.confirm_undecided();
        }
        let name = match who {
            RecipientKind::Recheck(place) | RecipientKind::Listed(place) => {
                self.questions[place as usize].address.local()
            }
            RecipientKind::Random | RecipientKind::Postmaster => "postmaster",
        };
        let words = comparable_text(&classified.reply, name);
        let same = self.undecided.iter().any(|place| {
            let question = &self.questions[*place as usize];
            let refusal = question.mailbox.as_deref().and_then(|mailbox| mailbox.attempts.last());
            refusal.is_some_and(|attempt| {
                comparable_text(&attempt.classified.reply, question.address.local()) == words
            })
        });
        self.here.positive = if same { PositiveControl::SameWords } else { PositiveControl::Silent };
    }

    /// A question that this exchanger can't be asked at all.
    pub fn unable(&mut self, who: RecipientKind, what: ObstacleKind, now: Timestamp) {
        self.in_flight -= 1;
        let (RecipientKind::Listed(place), Some(mx_host)) = (who, self.mx_hosts.front().cloned()) else {
            return;
        };
        let question = &mut self.questions[place as usize];
        question.state = RecipientState::Closed;
        question.mailbox().obstacle = Some(Arc::new(Obstacle { mx_host, at: now.wall, what }));
    }
}

/// How long the run has waited since a first "not now"; what was waited before it began does not count.
fn waited(since: SystemTime, now: Timestamp) -> Duration {
    now.wall.duration_since(since).unwrap_or_default().min(now.elapsed)
}

/// When a wait that began at a time of day ends, as a time of the run. A clock that was ahead then makes it no longer.
pub(super) fn due(began: SystemTime, wait: Duration, now: Timestamp) -> Duration {
    let left = (began + wait).duration_since(now.wall).unwrap_or_default();
    now.elapsed + left.min(wait)
}
