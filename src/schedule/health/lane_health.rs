//! The health of a lane: the sessions in a row that were rejected, the breaker, and what rejects us there.

use crate::evidence::ClassifiedReply;
use crate::reason::{Cause, Fault, Verdict};

/// The health of one lane.
#[derive(Debug, Default)]
pub(in crate::schedule) struct LaneHealth {
    /// Sessions in a row that were rejected for what we are.
    consecutive_rejections: u32,
    /// The last session was cut short.
    was_cut: bool,
    /// The reply that opened the breaker. The lane is paused for the rest of the run.
    breaker_opened_by: Option<Box<ClassifiedReply>>,
    /// The first reply since the last acceptance that rejects us for what we are, not for our rate.
    rejected_us: Option<Box<ClassifiedReply>>,
}

impl LaneHealth {
    /// The reply that opened the breaker, if it is open.
    pub(in crate::schedule) fn breaker_opened_by(&self) -> Option<&ClassifiedReply> {
        self.breaker_opened_by.as_deref()
    }

    /// True if the breaker is open.
    pub(in crate::schedule) fn is_open(&self) -> bool {
        self.breaker_opened_by.is_some()
    }

    /// Opens the breaker. False if it was open before.
    pub(in crate::schedule) fn open_breaker(&mut self, classified: &ClassifiedReply) -> bool {
        let is_new = self.breaker_opened_by.is_none();
        if is_new {
            self.breaker_opened_by = Some(Box::new(classified.clone()));
        }
        is_new
    }

    /// Counts a reply that is not about us.
    pub(in crate::schedule) fn record_success(&mut self) {
        self.consecutive_rejections = 0;
    }

    /// Counts a session that was rejected for what we are. Returns how many there were in a row.
    pub(in crate::schedule) fn record_rejected_session(&mut self) -> u32 {
        self.consecutive_rejections += 1;
        self.consecutive_rejections
    }

    /// Sessions in a row that were rejected for what we are.
    pub(in crate::schedule) fn consecutive_rejections(&self) -> u32 {
        self.consecutive_rejections
    }

    /// Records whether a session was cut short. Returns whether the one before was.
    pub(in crate::schedule) fn record_end(&mut self, was_cut: bool) -> bool {
        std::mem::replace(&mut self.was_cut, was_cut)
    }

    /// Remembers a reply that rejects us for what we are, not for our rate or a protocol fault, until the lane
    /// accepts a recipient.
    pub(in crate::schedule) fn record_block_signal(&mut self, classified: &ClassifiedReply) {
        let cause = classified.meaning.cause;
        let is_block = cause.fault() == Fault::Us
            && cause.verdict() == Verdict::Unknown
            && classified.reply.is_permanent();
        let is_about_conduct =
            matches!(cause, Cause::RateLimited | Cause::TlsRequired | Cause::ProtocolError);
        if is_block && !is_about_conduct && self.rejected_us.is_none() {
            self.rejected_us = Some(Box::new(classified.clone()));
        }
    }

    /// The reply by which the lane rejects us, if it does.
    pub(in crate::schedule) fn rejection(&self) -> Option<&ClassifiedReply> {
        self.breaker_opened_by.as_deref().or(self.rejected_us.as_deref())
    }

    /// Takes out the first reply since the last acceptance that rejects us for what we are.
    pub(in crate::schedule) fn take_block_signal(&mut self) -> Option<Box<ClassifiedReply>> {
        self.rejected_us.take()
    }

    /// True if a new lane would be as healthy.
    pub(in crate::schedule) fn has_nothing_to_remember(&self) -> bool {
        self.breaker_opened_by.is_none()
            && self.rejected_us.is_none()
            && self.consecutive_rejections == 0
            && !self.was_cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{ReplyContext, ReplyRules};
    use crate::smtp::{Reply, Stage};

    fn classified(words: &str) -> ClassifiedReply {
        let reply = Reply::parse(format!("{words}\r\n").as_bytes()).unwrap();
        let context = ReplyContext { stage: Stage::Rcpt, provider: None };
        let meaning = ReplyRules::built_in().classify(&reply, &context).into();
        ClassifiedReply { stage: Stage::Rcpt, reply, meaning }
    }

    #[test]
    fn only_a_permanent_reply_about_what_we_are_is_a_block_signal() {
        let blocked = classified("554 5.7.1 Your IP address is blocked using zen.spamhaus.org");
        for (classified, is_signal) in [
            (blocked.clone(), true),
            (classified("550 5.1.1 User unknown"), false),
            (classified("450 4.7.1 Error: too many recipients from 192.0.2.1"), false),
            (classified("530 5.7.0 Must issue a STARTTLS command first"), false),
        ] {
            let mut health = LaneHealth::default();
            health.record_block_signal(&classified);
            assert_eq!(health.take_block_signal().is_some(), is_signal, "{classified:?}");
        }
    }

    #[test]
    fn the_first_reply_opens_the_breaker_and_stays() {
        let [first, second] = ["554 5.7.1 blocked", "554 5.7.1 denied"].map(classified);
        let mut health = LaneHealth::default();
        assert!(health.open_breaker(&first) && !health.open_breaker(&second));
        assert_eq!(health.breaker_opened_by(), Some(&first));
    }
}
