//! Retries: when a deferred probe is repeated, when it is given up, and when a later run should probe again.
//!
//! Decides: the wait before each retry, and whether a wait may begin at all: [`RetryPolicy::permits`] is the one place where
//! `--max-wait` is enforced. `data/retry.toml` holds the waits and their reasons. Must not: wait itself. Can't know: how long a
//! server really greylists; where it names no time, the data guess. Fails: with file and line, on a file that is not valid TOML or
//! has an unknown key.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer};

use super::file::PolicyError;
use crate::duration;
use crate::reason::{Cause, Retry};

const FILE: &str = "src/policy/data/retry.toml";
const BUILT_IN: &str = include_str!("data/retry.toml");

/// The data of `retry.toml`, by section.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryRules {
    waits: Waits,
    tries: MostTries,
    later_run: LaterRun,
}

/// `[waits]`: before the first, second, ... retry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Waits {
    #[serde(deserialize_with = "durations")]
    deferred: Vec<Duration>,
    #[serde(deserialize_with = "durations")]
    rate: Vec<Duration>,
    #[serde(deserialize_with = "durations")]
    once: Vec<Duration>,
    #[serde(deserialize_with = "duration::deserialize")]
    shortest: Duration,
}

/// `[tries]`: after how many probes something is given up at an MX host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MostTries {
    /// Sessions that ended at the same recipient or control.
    pub drops: u8,
    /// Rejections of a recipient whose session ended without a control: from so many on, it counts as the cause of that.
    pub uncontrolled_rejections: u8,
    /// Probes of a recipient or control that the server wants over TLS.
    pub tls: usize,
    /// Replies to the random recipient that showed nothing.
    pub unclear_controls: u32,
    /// Random recipients whose rejection was revoked.
    pub revoked_controls: u8,
}

/// `[later_run]`: when a row that stays unknown is due again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct LaterRun {
    #[serde(deserialize_with = "duration::deserialize")]
    greylisted: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    failed: Duration,
}

/// A user's file: the sections that it has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    waits: Option<Waits>,
    tries: Option<MostTries>,
    later_run: Option<LaterRun>,
}

fn durations<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<Duration>, D::Error> {
    #[derive(Deserialize)]
    struct Wait(#[serde(deserialize_with = "duration::deserialize")] Duration);
    Ok(Vec::<Wait>::deserialize(source)?.into_iter().map(|Wait(wait)| wait).collect())
}

impl RetryRules {
    /// The shipped rules.
    #[expect(clippy::expect_used, reason = "the data are part of the program, and a test loads them")]
    pub fn built_in() -> &'static RetryRules {
        static RULES: LazyLock<RetryRules> = LazyLock::new(|| {
            let rules = toml::from_str(BUILT_IN).map_err(|fault| PolicyError::toml(FILE, BUILT_IN, &fault));
            rules.expect("built-in retry rules")
        });
        &RULES
    }

    /// These rules with the sections of a user's file in place of their own; `file` is its name in errors.
    pub fn with(self, file: &str, text: &str) -> Result<RetryRules, PolicyError> {
        let own: Sections = toml::from_str(text).map_err(|fault| PolicyError::toml(file, text, &fault))?;
        Ok(RetryRules {
            waits: own.waits.unwrap_or(self.waits),
            tries: own.tries.unwrap_or(self.tries),
            later_run: own.later_run.unwrap_or(self.later_run),
        })
    }

    /// How long after its reply a row that stays unknown is due again, where the server named no time. `None` where waiting alone
    /// changes nothing. `held_back` is how long results of an outage are held back.
    pub(super) fn later_run(&self, retry: Retry, held_back: Duration) -> Option<Duration> {
        match retry {
            Retry::No | Retry::AfterDelisting | Retry::AfterRepair | Retry::Days => None,
            Retry::WithTls | Retry::OtherMxHost => Some(Duration::ZERO),
            Retry::AsRequested => Some(self.later_run.greylisted),
            Retry::Once | Retry::Later | Retry::Slower | Retry::Hour => Some(self.later_run.failed),
            Retry::Day => Some(held_back),
        }
    }
}

/// The rules of a run for retries and for all other waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// A wait begins only if it ends within this time after the first deferral, or after the trouble began; zero allows none.
    max_wait: Duration,
    rules: &'static RetryRules,
}

impl RetryPolicy {
    /// The rules with the `--max-wait` of a run.
    pub fn new(max_wait: Duration, rules: &'static RetryRules) -> RetryPolicy {
        RetryPolicy { max_wait, rules }
    }

    /// The shipped rules with this `--max-wait`.
    pub fn built_in(max_wait: Duration) -> RetryPolicy {
        RetryPolicy::new(max_wait, RetryRules::built_in())
    }

    /// True if a wait may begin that follows others of this length in all. Nothing in a run waits longer.
    pub fn permits(self, waited: Duration, wait: Duration) -> bool {
        waited.saturating_add(wait) <= self.max_wait
    }

    /// The latest time at which a wait that begins now may end.
    pub fn latest(self, now: SystemTime) -> SystemTime {
        now + self.max_wait
    }

    /// The same, as time of the run.
    pub fn latest_in_run(self, now: Duration) -> Duration {
        now.saturating_add(self.max_wait)
    }

    /// The wait before the next probe after the `tries`-th deferral (from 1); `None` if there is none in this run. `requested` is
    /// the wait that the server named, `waited` the time since the first deferral.
    pub fn retry_after(
        self,
        cause: Cause,
        tries: usize,
        requested: Option<Duration>,
        waited: Duration,
    ) -> Option<Duration> {
        let waits = &self.rules.waits;
        let ladder = match cause.retry() {
            Retry::AsRequested | Retry::Later | Retry::Hour => &waits.deferred,
            Retry::Slower => &waits.rate,
            Retry::Once => &waits.once,
            _ => return None,
        };
        let by_ladder = *ladder.get(tries.checked_sub(1)?)?;
        let wait = requested.map_or(by_ladder, |requested| requested.max(waits.shortest));
        self.permits(waited, wait).then_some(wait)
    }

    /// The wait of a deferred control of an earlier run, where the server named no time.
    pub fn first_wait(self) -> Duration {
        self.rules.waits.deferred.first().copied().unwrap_or_default()
    }

    /// After how many probes something is given up.
    pub fn tries(self) -> MostTries {
        self.rules.tries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn greylisting_waits_as_requested_else_by_the_ladder() {
        let retry_policy = RetryPolicy::built_in(30 * MINUTE);
        let retry_after =
            |tries, requested, waited| retry_policy.retry_after(Cause::Greylisted, tries, requested, waited);
        assert_eq!(retry_after(1, None, Duration::ZERO), Some(5 * MINUTE));
        assert_eq!(retry_after(1, Some(2 * MINUTE), Duration::ZERO), Some(2 * MINUTE));
        assert_eq!(retry_after(1, Some(Duration::ZERO), Duration::ZERO), Some(MINUTE / 6));
        assert_eq!(retry_after(2, None, 5 * MINUTE), Some(15 * MINUTE));
        assert_eq!(retry_after(3, None, 20 * MINUTE), None, "an hour is more than `--max-wait` allows");
        assert_eq!(retry_after(1, Some(60 * MINUTE), Duration::ZERO), None);
    }

    #[test]
    fn after_a_rate_reply_the_first_retry_follows_in_a_minute() {
        let retry_policy = RetryPolicy::built_in(30 * MINUTE);
        let retry_after = |tries, waited| retry_policy.retry_after(Cause::RateLimited, tries, None, waited);
        assert_eq!(retry_after(1, Duration::ZERO), Some(MINUTE));
        assert_eq!(retry_after(2, MINUTE), Some(5 * MINUTE));
    }

    #[test]
    fn a_cause_that_another_probe_rarely_changes_gets_one_retry() {
        let retry_policy = RetryPolicy::built_in(600 * MINUTE);
        let retry_after = |tries| retry_policy.retry_after(Cause::ProtocolError, tries, None, Duration::ZERO);
        assert_eq!([retry_after(1), retry_after(2)], [Some(5 * MINUTE), None]);
    }

    #[test]
    fn without_max_wait_there_is_no_retry() {
        let retry_policy = RetryPolicy::built_in(Duration::ZERO);
        assert_eq!(
            retry_policy.retry_after(Cause::Greylisted, 1, Some(Duration::ZERO), Duration::ZERO),
            None
        );
    }

    #[test]
    fn causes_that_waiting_does_not_change_get_no_retry() {
        let retry_policy = RetryPolicy::built_in(600 * MINUTE);
        for cause in [Cause::MailboxUnknown, Cause::IpBlocklisted, Cause::Accepted, Cause::MailboxFull] {
            assert_eq!(retry_policy.retry_after(cause, 1, None, Duration::ZERO), None, "{cause:?}");
        }
    }

    #[test]
    fn a_users_file_replaces_whole_sections_and_errors_name_the_line() {
        let shipped = RetryRules::built_in();
        let own = "[waits]\ndeferred = [\"2m\"]\nrate = []\nonce = []\nshortest = \"1s\"\n";
        let own = Box::leak(Box::new(shipped.clone().with("own.toml", own).unwrap()));
        let retry_policy = RetryPolicy::new(60 * MINUTE, own);
        let wait = |tries| retry_policy.retry_after(Cause::Greylisted, tries, None, Duration::ZERO);
        assert_eq!([wait(1), wait(2)], [Some(2 * MINUTE), None]);
        assert_eq!(retry_policy.tries(), shipped.tries);
        for (text, says) in [
            ("\n[tries]\ndrop = 1\n", "own.toml:3: "),
            ("[later_run]\ngreylisted = \"soon\"\nfailed = \"1h\"\n", "own.toml:2: "),
        ] {
            let fault = shipped.clone().with("own.toml", text).unwrap_err().to_string();
            assert!(fault.starts_with(says), "{fault}");
        }
    }
}
