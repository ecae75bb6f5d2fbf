//! The thresholds of pace: ramp and back-off, sessions and batches, controls, queues and memory.

use std::time::Duration;

use serde::Deserialize;

/// `[ramp]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RampThresholds {
    /// The rate at which a lane starts.
    pub recipients_per_minute: u32,
    /// The rate grows after each so many successes.
    pub clean_answers: u32,
    /// The rate after enough successes, in percent of the rate before.
    pub growth_percent: u32,
    /// The rate and the batches after a reply that slows down, in percent of those before.
    pub slow_down_percent: u32,
}

impl RampThresholds {
    /// The rate after enough successes.
    pub(crate) fn faster(self, rate: u32) -> u32 {
        percent_of(rate, self.growth_percent)
    }

    /// The rate, or the size of a batch, after a reply that slows down.
    pub(crate) fn slower(self, rate: u32) -> u32 {
        percent_of(rate, self.slow_down_percent)
    }
}

fn percent_of(count: u32, percent: u32) -> u32 {
    u32::try_from(u64::from(count) * u64::from(percent) / 100).unwrap_or(u32::MAX)
}

/// `[backoff]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackoffThresholds {
    seconds: u64,
    growth: u32,
    overload_growth: u32,
    rate_seconds: u64,
}

impl BackoffThresholds {
    /// The first pause of an endpoint after a rejected or broken session.
    pub(crate) fn shortest(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// The pause that follows after so many others.
    pub(crate) fn after(self, pauses: u32) -> Duration {
        self.shortest().saturating_mul(self.growth.saturating_pow(pauses))
    }

    /// The pause after so many sessions in a row in which the server was overloaded.
    pub(crate) fn after_overloads(self, sessions: u32) -> Duration {
        match sessions.checked_sub(2) {
            None => Duration::ZERO,
            Some(pauses) => self.shortest().saturating_mul(self.overload_growth.saturating_pow(pauses)),
        }
    }

    /// The pause of a lane after a reply about our rate that names no time.
    pub(crate) fn after_rate_reply(self) -> Duration {
        Duration::from_secs(self.rate_seconds)
    }
}

/// `[idle]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdleThresholds {
    seconds: u64,
    wanted_seconds: u64,
}

impl IdleThresholds {
    /// How long an idle session waits for another batch.
    pub fn timeout(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// The same, where recipients only wait for their pace.
    pub fn timeout_if_wanted(self) -> Duration {
        Duration::from_secs(self.wanted_seconds)
    }
}

/// `[batch]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchThresholds {
    /// The most recipients in a batch.
    pub recipients: u32,
    /// The expected probes in a session for each rejection that it may have.
    pub probes_per_rejection: u32,
}

/// `[control]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlThresholds {
    unknown_percent: u32,
    rejection_cost_percent: u32,
    round_trip_cost_percent: u32,
    /// The most listed recipients that go before the random one.
    pub recipients_before: u32,
    /// The most listed recipients that go before a due retry of the random one.
    pub recipients_before_retry: usize,
}

impl ControlThresholds {
    /// The share of unknown recipients.
    pub(crate) fn unknown_share(self) -> f64 {
        f64::from(self.unknown_percent) / 100.0
    }

    /// The extra cost of a rejection, in probes.
    pub(crate) fn rejection_cost(self) -> f64 {
        f64::from(self.rejection_cost_percent) / 100.0
    }

    /// The cost of a round trip that only one domain waits for, in probes.
    pub(crate) fn round_trip_cost(self) -> f64 {
        f64::from(self.round_trip_cost_percent) / 100.0
    }
}

/// `[large_domain]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LargeDomainThresholds {
    recipients: usize,
    /// The most recipients in one job.
    pub part: u32,
    /// The most probes by which one kind of domain may be ahead of its share at an endpoint.
    pub lead: u32,
}

impl LargeDomainThresholds {
    /// True if a domain with so many unprobed recipients is large.
    pub(crate) fn is_large(self, unprobed: usize) -> bool {
        unprobed >= self.recipients
    }
}

/// `[backlog]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BacklogThresholds {
    seconds: u32,
    at_least: u32,
    low_seconds: u32,
    /// Recipients in memory from which on a provider gets few of them.
    pub many_recipients: usize,
    /// What a provider gets then.
    pub few_recipients: usize,
}

impl BacklogThresholds {
    /// The recipients that a lane with this rate per minute should have.
    pub(crate) fn target(self, per_minute: u32) -> usize {
        recipients_in(self.seconds, per_minute).max(self.at_least as usize)
    }

    /// The recipients below which a lane with this rate per minute has little to do.
    pub(crate) fn low_water(self, per_minute: u32) -> usize {
        recipients_in(self.low_seconds, per_minute)
    }
}

fn recipients_in(seconds: u32, per_minute: u32) -> usize {
    usize::try_from(u64::from(per_minute) * u64::from(seconds) / 60).unwrap_or(usize::MAX)
}

/// `[sockets]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketThresholds {
    /// Lanes that wait for each socket while DNS look-ups pause.
    pub waiting_lanes: usize,
    /// The most idle sessions that are examined for one with nothing to probe.
    pub examined: usize,
}

/// `[quiet]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietThreshold {
    seconds: u64,
}

impl QuietThreshold {
    /// How long a provider stays quiet before it is forgotten.
    pub fn longest(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
