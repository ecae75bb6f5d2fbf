//! Whether the name servers still answer, by the look-ups of a run.
//!
//! Decides: when the run has no name service at all, and when one that answered before has gone: then its last silent
//! look-ups are held, to be made again, and nothing new is looked up until it answers or the patience of the run ends. A
//! look-up without an answer may as well be the fault of its own domain, so silence counts only where a query that needs no
//! other server gets no answer either. Must not: wait or look anything up; the engine does.

use std::time::Duration;

use crate::address::Domain;
use crate::policy::{NameServerThresholds, RetryPolicy};
use crate::route::Route;
use crate::state::NameHash;

/// A look-up that got no answer.
pub(super) struct SilentLookup {
    pub(super) key: NameHash,
    pub(super) domain: Domain,
    pub(super) route: Route,
}

/// What the run knows about its name servers.
pub(super) struct NameServerHealth {
    thresholds: NameServerThresholds,
    /// How long an outage is waited for.
    retry_policy: RetryPolicy,
    /// The name servers answered at least once in this run.
    has_answered: bool,
    /// When the first look-up began.
    began: Option<Duration>,
    /// Look-ups without an answer since the last answer.
    held: Vec<SilentLookup>,
    state: HealthState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HealthState {
    /// Nothing is wrong.
    Working,
    /// A test query is in flight because of so many silent look-ups.
    Suspected,
    /// Nothing answers since this time. The next test query is sent at this one, after this pause.
    Down { since: Duration, next: Duration, pause: Duration },
}

impl NameServerHealth {
    pub(super) fn new(thresholds: NameServerThresholds, retry_policy: RetryPolicy) -> NameServerHealth {
        NameServerHealth {
            thresholds,
            retry_policy,
            has_answered: false,
            began: None,
            held: Vec::new(),
            state: HealthState::Working,
        }
    }

    /// Must be called when a look-up begins. Returns true if it is the first one: then a test query should go with it.
    pub(super) fn on_begun(&mut self, now: Duration) -> bool {
        let is_first = self.began.is_none();
        self.began.get_or_insert(now);
        is_first
    }

    /// True if there was no answer of any kind in this run.
    pub(super) fn never_answered(&self) -> bool {
        !self.has_answered
    }

    /// A look-up or a test query got an answer of any kind. Returns the silent look-ups before it, which have failed; none
    /// after an outage, because those are made again.
    pub(super) fn on_answer(&mut self) -> Vec<SilentLookup> {
        self.has_answered = true;
        match self.state {
            HealthState::Down { .. } => Vec::new(),
            HealthState::Working | HealthState::Suspected => {
                self.state = HealthState::Working;
                std::mem::take(&mut self.held)
            }
        }
    }

    /// A look-up got no answer.
    pub(super) fn on_silence(&mut self, lookup: SilentLookup) {
        self.held.push(lookup);
    }

    /// True if new look-ups may begin.
    pub(super) fn may_look_up(&self) -> bool {
        self.state == HealthState::Working && !self.has_enough_silence()
    }

    fn has_enough_silence(&self) -> bool {
        self.held.len() as u64 >= self.thresholds.unanswered
    }

    /// True if look-ups are held whose fate is not decided.
    pub(super) fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    /// True if a test query is to be sent now. `is_last`: no look-up is in flight and none will follow, so that the silent
    /// ones must be decided.
    pub(super) fn wants_test(&mut self, is_last: bool, now: Duration) -> bool {
        match self.state {
            HealthState::Working
                if self.has_answered && (self.has_enough_silence() || (is_last && self.holds_any())) =>
            {
                self.state = HealthState::Suspected;
                true
            }
            HealthState::Down { since, next, pause } if next <= now => {
                let pause = (pause * 2).min(self.thresholds.longest_pause());
                self.state = HealthState::Down { since, next: Duration::MAX, pause };
                true
            }
            _ => false,
        }
    }

    /// Takes the result of a test query. Returns the look-ups that have failed (`Err`), or are to be made again (`Ok`).
    pub(super) fn on_test(
        &mut self,
        is_alive: bool,
        now: Duration,
    ) -> Result<Vec<SilentLookup>, Vec<SilentLookup>> {
        match self.state {
            HealthState::Down { since, pause, .. } if !is_alive => {
                self.state = HealthState::Down { since, next: now + pause, pause };
                Err(Vec::new())
            }
            HealthState::Down { .. } => {
                self.state = HealthState::Working;
                Ok(std::mem::take(&mut self.held))
            }
            HealthState::Working | HealthState::Suspected if is_alive => Err(self.on_answer()),
            HealthState::Suspected => {
                let pause = self.thresholds.first_pause();
                self.state = HealthState::Down { since: now, next: now + pause, pause };
                Err(Vec::new())
            }
            HealthState::Working => Err(Vec::new()),
        }
    }

    /// True if the run has no name service: the first look-ups got no answer of any kind, or an outage lasts longer than the
    /// run is patient. Until then [`NameServerHealth::next_wake`] says when to look again.
    pub(super) fn is_lost(&self, now: Duration) -> bool {
        match self.state {
            HealthState::Down { since, .. } => now >= self.retry_policy.latest_in_run(since),
            _ if self.has_answered => false,
            _ => self.has_enough_silence() || self.first_deadline().is_some_and(|at| now >= at),
        }
    }

    fn first_deadline(&self) -> Option<Duration> {
        self.began.filter(|_| !self.has_answered).map(|began| began + self.thresholds.first_wait())
    }

    /// The next time of the run at which something is to be decided.
    pub(super) fn next_wake(&self) -> Option<Duration> {
        match self.state {
            HealthState::Down { since, next, .. } => Some(next.min(self.retry_policy.latest_in_run(since))),
            _ => self.first_deadline(),
        }
    }

    /// Takes the silent look-ups of a run that ends.
    pub(super) fn take_held(&mut self) -> Vec<SilentLookup> {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Thresholds;
    use crate::route::DnsFault;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn health() -> NameServerHealth {
        let mut health =
            NameServerHealth::new(Thresholds::built_in().name_servers, RetryPolicy::built_in(seconds(600)));
        health.on_begun(seconds(1));
        health
    }

    fn silence(health: &mut NameServerHealth, times: u64) {
        for n in 0..times {
            let domain = Domain::parse(&format!("d{n}.example")).unwrap();
            let key = NameHash::of(domain.as_str());
            health.on_silence(SilentLookup { key, domain, route: Route::Failed(DnsFault::Timeout) });
        }
    }

    #[test]
    fn a_service_that_never_answers_is_lost_after_fifty_look_ups_or_twenty_seconds() {
        let mut health = health();
        silence(&mut health, 49);
        assert!(!health.is_lost(seconds(20)));
        assert_eq!(health.next_wake(), Some(seconds(21)));
        assert!(health.is_lost(seconds(21)), "twenty seconds");
        silence(&mut health, 1);
        assert!(health.is_lost(seconds(2)), "fifty look-ups");
    }

    #[test]
    fn silent_domains_among_others_are_no_outage() {
        let mut health = health();
        for _ in 0..10 {
            silence(&mut health, 49);
            assert!(health.may_look_up() && !health.wants_test(false, seconds(5)));
            assert_eq!(health.on_answer().len(), 49);
        }
        silence(&mut health, 50);
        assert!(!health.may_look_up() && health.wants_test(false, seconds(5)));
        assert!(!health.wants_test(false, seconds(5)), "one test at a time");
        assert_eq!(health.on_test(true, seconds(6)).err().map(|failed| failed.len()), Some(50));
        assert!(health.may_look_up() && !health.is_lost(seconds(9_999)));
    }

    #[test]
    fn the_last_silent_look_ups_are_decided_by_a_test() {
        let mut health = health();
        health.on_answer();
        silence(&mut health, 3);
        assert!(!health.wants_test(false, seconds(5)));
        assert!(health.wants_test(true, seconds(5)));
        assert_eq!(health.on_test(true, seconds(6)).err().map(|failed| failed.len()), Some(3));
    }

    #[test]
    fn an_outage_is_tested_gently_and_its_look_ups_are_made_again_when_it_ends() {
        let mut health = health();
        health.on_answer();
        silence(&mut health, 50);
        assert!(health.wants_test(false, seconds(10)));
        assert!(health.on_test(false, seconds(20)).is_err());
        let (mut now, mut tests) = (seconds(20), 0);
        while now < seconds(500) {
            now = health.next_wake().unwrap();
            assert!(health.wants_test(false, now) && !health.may_look_up() && !health.is_lost(now));
            silence(&mut health, 1);
            assert!(health.on_test(false, now).is_err());
            tests += 1;
        }
        assert!((5..40).contains(&tests), "{tests}");
        assert_eq!(health.on_test(true, now).ok().map(|again| again.len()), Some(50 + tests));
        assert!(health.may_look_up());
    }

    #[test]
    fn an_outage_that_outlasts_the_patience_of_the_run_ends_it() {
        let mut health = health();
        health.on_answer();
        silence(&mut health, 50);
        assert!(health.wants_test(false, seconds(10)));
        assert!(health.on_test(false, seconds(20)).is_err());
        assert!(!health.is_lost(seconds(619)) && health.is_lost(seconds(620)));
    }
}
