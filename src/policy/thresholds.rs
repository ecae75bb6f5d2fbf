//! When a run draws a conclusion: the numbers behind the breaker, the early stop, the anomaly guard and the ramp.
//!
//! Decides: nothing; `data/thresholds.toml` holds the numbers and their reasons. Fails: with file and line.

use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;

use super::PolicyError;

/// The shipped numbers.
const BUILT_IN: &str = include_str!("data/thresholds.toml");

/// All of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// When an operator that refuses us is left alone.
    pub breaker: BreakerThresholds,
    /// When an address that breaks connections is given up.
    pub broken: ConnectionThresholds,
    /// When everybody refuses us.
    pub shut_out: RejectedEverywhereThresholds,
    /// When no connection gets out.
    pub port_closed: PortClosedThresholds,
    /// When too many mailboxes vanish at once.
    pub anomaly: AnomalyThresholds,
    /// When an acceptance at an unknown operator needs proof.
    pub doubt: DiscardThresholds,
    /// How a lane starts and climbs.
    pub ramp: RampThresholds,
}

/// `[breaker]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerThresholds {
    /// Sessions refused in a row.
    pub sessions: u32,
}

/// `[broken]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionThresholds {
    /// Sessions without an answer in a row.
    pub sessions: u32,
    /// Of these, ones in which the host let a time limit pass.
    pub silent: u32,
}

/// `[shut_out]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RejectedEverywhereThresholds {
    /// Operators that answered or refused us, at least.
    pub operators: usize,
    /// Share of them that refused us.
    pub refusing_percent: usize,
}

/// `[port_closed]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortClosedThresholds {
    /// Operators that could not be reached, at least.
    pub operators: usize,
    /// Share of those tried that they must be.
    pub unreachable_percent: usize,
}

/// `[anomaly]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnomalyThresholds {
    /// Addresses asked about, at least.
    pub asked: u32,
    /// More unknown ones than this among them, and nobody accepted.
    pub unknown_percent: u32,
    /// What was found out no longer ago counts as lately.
    pub recently_days: u32,
    /// Addresses that were deliverable lately and were asked about again, at least.
    pub recently_deliverable: u32,
    /// More unknown ones than this among them.
    pub recently_gone_percent: u32,
    /// The same answer so much later counts.
    pub held_back_hours: u32,
}

impl AnomalyThresholds {
    /// How long an answer is held back.
    pub fn held_back(&self) -> Duration {
        Duration::from_secs(u64::from(self.held_back_hours) * 3600)
    }

    /// How long ago lately is.
    pub fn recently(&self) -> Duration {
        Duration::from_secs(u64::from(self.recently_days) * 86_400)
    }
}

/// `[doubt]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscardThresholds {
    /// Unknown names in the session.
    pub unknown_in_session: u32,
    /// Unknown names in the run.
    pub unknown_in_run: u32,
}

/// `[ramp]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RampThresholds {
    /// The first rate.
    pub recipients_per_minute: u32,
    /// Clean answers for each step.
    pub clean_answers: u32,
}

/// A user's file: sections of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    breaker: Option<BreakerThresholds>,
    broken: Option<ConnectionThresholds>,
    shut_out: Option<RejectedEverywhereThresholds>,
    port_closed: Option<PortClosedThresholds>,
    anomaly: Option<AnomalyThresholds>,
    doubt: Option<DiscardThresholds>,
    ramp: Option<RampThresholds>,
}

impl Thresholds {
    /// The shipped ones.
    pub fn built_in() -> &'static Thresholds {
        static SHIPPED: LazyLock<Thresholds> = LazyLock::new(|| match toml::from_str(BUILT_IN) {
            Ok(thresholds) => thresholds,
            // A test reads the shipped file, so this can't happen in a build that passed it.
            Err(fault) => unreachable!("the shipped policy is wrong: {fault}"),
        });
        &SHIPPED
    }

    /// These, with the sections of a user's file in the place of their own; `file` is for the messages.
    pub fn with(self, file: &str, text: &str) -> Result<Thresholds, PolicyError> {
        let own: Sections = toml::from_str(text).map_err(|fault| PolicyError::toml(file, text, &fault))?;
        Ok(Thresholds {
            breaker: own.breaker.unwrap_or(self.breaker),
            broken: own.broken.unwrap_or(self.broken),
            shut_out: own.shut_out.unwrap_or(self.shut_out),
            port_closed: own.port_closed.unwrap_or(self.port_closed),
            anomaly: own.anomaly.unwrap_or(self.anomaly),
            doubt: own.doubt.unwrap_or(self.doubt),
            ramp: own.ramp.unwrap_or(self.ramp),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_file_replaces_whole_sections_and_errors_name_the_line() {
        let shipped = *Thresholds::built_in();
        let own = shipped.with("mine.toml", "[breaker]\nsessions = 1\n").unwrap();
        assert_eq!(own, Thresholds { breaker: BreakerThresholds { sessions: 1 }, ..shipped });
        let fault = shipped.with("mine.toml", "\n[breaker]\nsession = 1\n").unwrap_err();
        assert!(fault.to_string().starts_with("mine.toml:3: "), "{fault}");
    }
}
