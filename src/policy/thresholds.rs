//! When a run draws a conclusion and how it paces itself: the numbers behind the breaker, the early stop, the anomaly guard, the
//! ramp-up, back-off, batches and queues.
//!
//! Decides: nothing; `data/thresholds.toml` holds the numbers and their reasons. Fails: with file and line, on a file that
//! is not valid TOML or has an unknown key.

mod pace;

use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;

use super::file::PolicyError;
pub(crate) use pace::{
    BacklogThresholds, BatchThresholds, ControlThresholds, LargeDomainThresholds, RampThresholds,
};
use pace::{BackoffThresholds, IdleThresholds, QuietThreshold, SocketThresholds};

/// The shipped thresholds.
const BUILT_IN: &str = include_str!("data/thresholds.toml");

/// Generates [`Thresholds`], and a user's file that has some of its sections.
macro_rules! sections {
    ($($(#[doc = $doc:literal])* $field:ident = $section:literal: $thresholds:ty;)+) => {
        /// All thresholds, by section of `thresholds.toml`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Thresholds { $($(#[doc = $doc])* #[serde(rename = $section)] pub $field: $thresholds,)+ }

        /// A user's file: the sections that it has.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Sections { $(#[serde(rename = $section)] $field: Option<$thresholds>,)+ }

        impl Thresholds {
            /// These thresholds with the sections of a user's file in place of their own; `file` is its name in errors.
            pub fn with(self, file: &str, text: &str) -> Result<Thresholds, PolicyError> {
                let own: Sections =
                    toml::from_str(text).map_err(|fault| PolicyError::toml(file, text, &fault))?;
                Ok(Thresholds { $($field: own.$field.unwrap_or(self.$field),)+ })
            }
        }
    };
}

sections! {
    /// When a lane's breaker opens because the provider rejects us.
    breaker = "breaker": BreakerThresholds;
    /// When an endpoint that breaks connections is abandoned.
    broken_connections = "broken": ConnectionThresholds;
    /// When a run stops because nearly all providers reject us.
    rejected_everywhere = "shut_out": RejectedEverywhereThresholds;
    /// When a run stops because no connection succeeds.
    port_closed = "port_closed": PortClosedThresholds;
    /// Which providers count as contacted.
    contacted = "contacted": ContactedThresholds;
    /// When too many mailboxes of a provider are suddenly reported missing.
    anomaly = "anomaly": AnomalyThresholds;
    /// When an acceptance at a host that may accept and discard needs a closing control.
    discard = "doubt": DiscardThresholds;
    /// How much of the MX hosts of a domain is tried.
    mx = "mx": MxThresholds;
    /// How a lane starts, ramps up and slows down.
    ramp = "ramp": RampThresholds;
    /// How long an endpoint pauses.
    backoff = "backoff": BackoffThresholds;
    /// How long an idle session stays.
    idle = "idle": IdleThresholds;
    /// How large a batch is.
    batch = "batch": BatchThresholds;
    /// When the random recipient of a domain is probed.
    control = "control": ControlThresholds;
    /// How large and small domains share a provider.
    large_domain = "large_domain": LargeDomainThresholds;
    /// How much of a list a provider has in memory.
    backlog = "backlog": BacklogThresholds;
    /// What happens where sockets are scarce.
    sockets = "sockets": SocketThresholds;
    /// When a provider is forgotten.
    quiet = "quiet": QuietThreshold;
    /// When a run has no name service.
    name_servers = "name_servers": NameServerThresholds;
    /// When an MX host counts as silent in a run that is stopped.
    silence = "silence": SilenceThreshold;
}

/// `[breaker]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerThresholds {
    /// Consecutive sessions in which the provider rejected us.
    pub sessions: u32,
}

/// `[broken]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionThresholds {
    /// Consecutive sessions without a reply.
    pub sessions: u32,
    /// The limit if the last of these sessions timed out. It is lower, because such a session takes minutes.
    #[serde(rename = "silent")]
    pub timed_out_sessions: u32,
}

/// `[shut_out]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RejectedEverywhereThresholds {
    /// Fewest providers that replied, by answering probes or by rejecting us.
    #[serde(rename = "operators")]
    pub providers: usize,
    /// Share of these that rejected us.
    #[serde(rename = "refusing_percent")]
    pub rejecting_percent: usize,
}

/// `[contacted]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactedThresholds {
    /// Providers that are contacted before the run stops, drawn at random.
    pub sample: usize,
    /// How old a contact of an earlier run may be.
    pub earlier_days: u32,
    /// Fewest providers of a list that is blocked at its end.
    #[serde(rename = "operators_at_end")]
    pub providers_at_end: usize,
}

impl ContactedThresholds {
    /// How old a contact of an earlier run may be.
    pub fn earlier(&self) -> Duration {
        Duration::from_secs(u64::from(self.earlier_days) * 86_400)
    }
}

/// `[mx]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MxThresholds {
    /// Addresses of an MX host that are tried.
    pub addresses: usize,
    /// Addresses that reject us after which their provider is paused.
    pub rejecting: u32,
}

/// `[port_closed]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortClosedThresholds {
    /// Fewest unreachable providers.
    #[serde(rename = "operators")]
    pub providers: usize,
    /// Share of all tried providers that must be unreachable.
    pub unreachable_percent: usize,
}

/// `[anomaly]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnomalyThresholds {
    /// Fewest probed recipients.
    #[serde(rename = "asked")]
    pub probed: u32,
    /// An anomaly if more of these are unknown, and none is accepted.
    pub unknown_percent: u32,
    /// A recipient counts as recently deliverable if its result is at most this old.
    pub recently_days: u32,
    /// Fewest recently deliverable recipients that were probed again.
    pub recently_deliverable: u32,
    /// An anomaly if more of these are unknown.
    pub recently_gone_percent: u32,
    /// A result that was held back counts when a probe this much later confirms it.
    pub held_back_hours: u32,
}

impl AnomalyThresholds {
    /// How long a result of an anomaly is held back.
    pub fn held_back(&self) -> Duration {
        Duration::from_secs(u64::from(self.held_back_hours) * 3600)
    }

    /// How old the result of a recently deliverable recipient may be.
    pub fn recently(&self) -> Duration {
        Duration::from_secs(u64::from(self.recently_days) * 86_400)
    }
}

/// `[doubt]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscardThresholds {
    /// An acceptance is provisional after this many unknown recipients in the session.
    pub unknown_in_session: u32,
    /// An acceptance is provisional after this many unknown recipients in the run.
    pub unknown_in_run: u32,
}

/// `[silence]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SilenceThreshold {
    seconds: u64,
}

impl SilenceThreshold {
    /// The shortest silence.
    pub fn shortest(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// `[name_servers]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameServerThresholds {
    /// Look-ups in a row without an answer.
    pub unanswered: u64,
    /// A run whose first look-ups got no answer for so long ends.
    pub seconds: u64,
    /// The first and the longest pause between two test queries in an outage.
    pub test_seconds: [u64; 2],
}

impl NameServerThresholds {
    /// How long a run waits for its first answer.
    pub fn first_wait(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// The pause before the first test query in an outage.
    pub fn first_pause(&self) -> Duration {
        Duration::from_secs(self.test_seconds[0])
    }

    /// The longest pause between two test queries.
    pub fn longest_pause(&self) -> Duration {
        Duration::from_secs(self.test_seconds[1])
    }
}

impl Thresholds {
    /// The shipped thresholds.
    pub fn built_in() -> &'static Thresholds {
        static SHIPPED: LazyLock<Thresholds> = LazyLock::new(|| match toml::from_str(BUILT_IN) {
            Ok(thresholds) => thresholds,
            // A test reads the shipped file, so this can't happen in a build that passed it.
            Err(fault) => unreachable!("the shipped policy is wrong: {fault}"),
        });
        &SHIPPED
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
