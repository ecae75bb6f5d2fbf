//! The health of an endpoint: sessions in a row that broke or were rejected, its pauses, and its end.

use std::time::Duration;

use crate::evidence::{ClassifiedReply, ObstacleKind};
use crate::policy::{RetryPolicy, Thresholds};
use crate::reason::Finding;

/// The health of one endpoint.
#[derive(Debug, Default)]
pub(in crate::schedule) struct EndpointHealth {
    /// Sessions in a row that broke before the server replied to a probe.
    consecutive_failures: u32,
    /// How the last of these sessions broke.
    last_failure: Option<Finding>,
    /// Sessions in which a reply belonged to no probe.
    out_of_step: u32,
    /// Sessions in which the server rejected every recipient, one that it had accepted before as well.
    turned: u32,
    /// Sessions in a row that the server rejected.
    consecutive_rejections: u32,
    /// Sessions in a row in which the server was overloaded.
    overloads: u32,
    /// Since when the endpoint has had trouble: no reply came after it that is about neither us nor the load of the server.
    trouble_since: Option<Duration>,
    /// Nothing starts here before this time of the run.
    paused_until: Duration,
    /// Why the endpoint is not used again in this run.
    abandoned: Option<ObstacleKind>,
}

impl EndpointHealth {
    /// Why the endpoint is not used again in this run, if so.
    pub(in crate::schedule) fn abandoned(&self) -> Option<&ObstacleKind> {
        self.abandoned.as_ref()
    }

    /// Uses the endpoint no more in this run.
    pub(in crate::schedule) fn abandon(&mut self, obstacle: ObstacleKind) {
        self.abandoned = Some(obstacle);
    }

    /// Nothing starts here before this time of the run.
    pub(in crate::schedule) fn paused_until(&self) -> Duration {
        self.paused_until
    }

    /// True if nothing may start here now.
    pub(in crate::schedule) fn is_paused(&self, now: Duration) -> bool {
        self.paused_until > now
    }

    /// Counts a reply that is not about us.
    pub(in crate::schedule) fn record_success(&mut self) {
        (self.consecutive_failures, self.consecutive_rejections) = (0, 0);
    }

    /// Counts a reply that is about neither us nor the load of the server.
    pub(in crate::schedule) fn end_trouble(&mut self) {
        (self.trouble_since, self.overloads) = (None, 0);
    }

    /// Counts a session in which the server is overloaded. Returns the pause that follows: none the first time, because a
    /// lower rate may be enough; then each is longer than the one before.
    pub(in crate::schedule) fn record_overload(&mut self, thresholds: &Thresholds) -> Duration {
        self.overloads += 1;
        thresholds.backoff.after_overloads(self.overloads)
    }

    /// Pauses the endpoint. False if the pause would end later than the run waits after the trouble began.
    pub(in crate::schedule) fn pause(
        &mut self,
        pause: Duration,
        retry_policy: RetryPolicy,
        now: Duration,
    ) -> bool {
        let since = *self.trouble_since.get_or_insert(now);
        let is_permitted = retry_policy.permits(now.saturating_sub(since), pause);
        if is_permitted {
            self.paused_until = self.paused_until.max(now + pause);
        }
        is_permitted
    }

    /// Counts a session that the server rejected.
    pub(in crate::schedule) fn record_rejection(&mut self) {
        self.consecutive_rejections += 1;
    }

    /// The pause that follows from the rejection that [`EndpointHealth::record_rejection`] counted; `None` if the endpoint
    /// is to be abandoned.
    pub(in crate::schedule) fn pause_after_rejection(
        &self,
        classified: &ClassifiedReply,
        thresholds: &Thresholds,
        retry_policy: RetryPolicy,
    ) -> Option<Duration> {
        let rejections = self.consecutive_rejections;
        let by_count = thresholds.backoff.after(rejections.saturating_sub(1));
        let pause = classified.meaning.retry_in.unwrap_or(by_count);
        let is_impatient = !retry_policy.permits(Duration::ZERO, thresholds.backoff.shortest());
        let is_enough = is_impatient || rejections >= thresholds.breaker.sessions;
        (!is_enough).then_some(pause)
    }

    /// Counts a session that broke before the server replied to a probe. Each pause is longer than the one
    /// before; `None` if the endpoint is to be abandoned, after too many or if no connection is possible.
    pub(in crate::schedule) fn record_failure(
        &mut self,
        finding: Finding,
        thresholds: &Thresholds,
    ) -> Option<Duration> {
        let enough = match finding {
            Finding::ConnectFailed => 1,
            Finding::Timeout => thresholds.broken_connections.timed_out_sessions,
            _ => thresholds.broken_connections.sessions,
        };
        let pause = thresholds.backoff.after(self.consecutive_failures);
        self.consecutive_failures += 1;
        self.last_failure = Some(finding);
        (self.consecutive_failures < enough).then_some(pause)
    }

    /// Records a host that says nothing in a session that is still open, without a pause.
    pub(in crate::schedule) fn note_silence(&mut self) {
        self.last_failure = Some(Finding::Timeout);
        self.consecutive_failures = self.consecutive_failures.max(1);
    }

    /// Counts a session in which the server rejected every recipient. Each pause is longer than the one before;
    /// `None` if the endpoint is to be abandoned.
    pub(in crate::schedule) fn record_turn(&mut self, thresholds: &Thresholds) -> Option<Duration> {
        let pause = thresholds.backoff.after(self.turned);
        self.turned += 1;
        (self.turned < thresholds.breaker.sessions).then_some(pause)
    }

    /// Counts a session in which a reply belonged to no probe. After too many the endpoint is to be abandoned: then it
    /// returns why.
    pub(in crate::schedule) fn record_out_of_step(
        &mut self,
        thresholds: &Thresholds,
    ) -> Option<ObstacleKind> {
        self.out_of_step += 1;
        let is_enough = self.out_of_step >= thresholds.broken_connections.sessions;
        is_enough.then_some(ObstacleKind::NoReply(Finding::MalformedReply))
    }

    /// How the last session broke, if no reply came since.
    pub(in crate::schedule) fn failure(&self) -> Option<Finding> {
        self.last_failure.filter(|_| self.consecutive_failures > 0)
    }

    /// True if a new endpoint would be the same.
    pub(in crate::schedule) fn has_nothing_to_remember(&self, now: Duration) -> bool {
        self.abandoned.is_none()
            && self.consecutive_failures == 0
            && self.out_of_step == 0
            && self.turned == 0
            && self.consecutive_rejections == 0
            && self.overloads == 0
            && self.paused_until <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn each_pause_is_four_times_as_long_and_too_many_broken_sessions_end_it() {
        let thresholds = Thresholds::built_in();
        let (mut health, mut pauses) = (EndpointHealth::default(), Vec::new());
        while let Some(pause) = health.record_failure(Finding::Disconnected, thresholds) {
            pauses.push(pause);
        }
        assert!(pauses.windows(2).all(|pair| pair[1] == pair[0] * 4), "{pauses:?}");
        assert_eq!(pauses.len() + 1, thresholds.broken_connections.sessions as usize);
    }

    #[test]
    fn an_endpoint_that_cannot_be_connected_to_is_abandoned_immediately() {
        let mut health = EndpointHealth::default();
        assert_eq!(health.record_failure(Finding::ConnectFailed, Thresholds::built_in()), None);
    }

    #[test]
    fn pauses_end_within_the_patience_of_the_run_from_the_first_trouble_on() {
        let retry_policy = RetryPolicy::built_in(HOUR);
        let mut health = EndpointHealth::default();
        assert!(!health.pause(HOUR * 2, retry_policy, Duration::ZERO));
        assert!(health.pause(HOUR / 2, retry_policy, Duration::ZERO));
        assert!(!health.pause(HOUR / 2, retry_policy, HOUR), "the trouble began an hour ago");
        health.end_trouble();
        assert!(health.pause(HOUR / 2, retry_policy, HOUR));
        assert_eq!(health.paused_until(), HOUR * 3 / 2);
    }

    #[test]
    fn an_overload_pauses_from_the_second_time_on_and_longer_each_time() {
        let mut health = EndpointHealth::default();
        let thresholds = Thresholds::built_in();
        let pauses = [(); 4].map(|()| health.record_overload(thresholds));
        let first = thresholds.backoff.shortest();
        assert_eq!(pauses, [Duration::ZERO, first, first * 2, first * 4]);
        assert!(!health.has_nothing_to_remember(HOUR));
    }
}
