//! How long results and facts stay valid: `data/lifetimes.toml`.
//!
//! Decides: nothing; it looks up. A result whose reason has no entry is never reused. Fails: with file and line, on a word
//! that is not a reason or a text that is not a time.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use toml::Spanned;

use super::file::PolicyError;
use crate::duration;
use crate::reason::{Fault, Reason};

const FILE: &str = "src/policy/data/lifetimes.toml";
const BUILT_IN: &str = include_str!("data/lifetimes.toml");

/// How long results and facts stay valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifetimes {
    reasons: BTreeMap<Reason, Duration>,
    /// The longest time for which a route is connected to, whatever its TTL.
    pub route: Duration,
    /// A route with a lower TTL is connected to for this long.
    pub route_at_least: Duration,
    /// How long it stays valid whether a domain is a catch-all.
    pub catch_all: Duration,
    /// How long an interrupted run can be resumed.
    pub run: Duration,
    /// How long answers stay in the state.
    pub retention: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    reasons: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    facts: Facts,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    route: Option<Spanned<String>>,
    route_at_least: Option<Spanned<String>>,
    catch_all: Option<Spanned<String>>,
    run: Option<Spanned<String>>,
    retention: Option<Spanned<String>>,
}

impl Lifetimes {
    /// The shipped lifetimes.
    #[expect(clippy::expect_used, reason = "the data are part of the program, and a test loads them")]
    pub fn built_in() -> &'static Lifetimes {
        static LIFETIMES: LazyLock<Lifetimes> = LazyLock::new(|| {
            let mut lifetimes = Lifetimes::default();
            lifetimes.extend(FILE, BUILT_IN).expect("built-in lifetimes");
            lifetimes
        });
        &LIFETIMES
    }

    /// How long a result with this reason stays valid; `None` if it must not be reused.
    pub fn of(&self, reason: Reason) -> Option<Duration> {
        self.reasons.get(&reason).copied()
    }

    /// How long a route with this TTL is connected to: at least long enough for the connection that it was looked up for.
    pub fn of_route(&self, ttl: Duration) -> Duration {
        const LEAST: Duration = Duration::from_secs(1);
        ttl.max(self.route_at_least).min(self.route).max(LEAST)
    }

    /// When a result with this reason expires, if it was found at `checked_at`.
    pub fn end(&self, reason: Reason, checked_at: Option<SystemTime>) -> Option<SystemTime> {
        checked_at?.checked_add(self.of(reason)?)
    }

    /// Replaces the entries that a file has; `name` is its name in errors.
    pub fn extend(&mut self, name: &str, text: &str) -> Result<(), PolicyError> {
        let file: File = toml::from_str(text).map_err(|fault| PolicyError::toml(name, text, &fault))?;
        let error = |value: &Spanned<String>, what: String| {
            let hint = "write a reason (`listproof guide verdicts`) and a time such as `\"30d\"`";
            PolicyError::at(name, text, value.span().start, what, hint)
        };
        let time =
            |text: &Spanned<String>| duration::parse(text.get_ref()).map_err(|fault| error(text, fault));
        for (word, text) in &file.reasons {
            let reason = Reason::from_word(word);
            let reason = reason.ok_or_else(|| error(text, format!("`{word}` is not a reason")))?;
            if reason.fault() == Fault::Us {
                return Err(error(text, format!("`{word}` is about the sender and cannot be reused")));
            }
            self.reasons.insert(reason, time(text)?);
        }
        for (text, fact) in [
            (&file.facts.route, &mut self.route),
            (&file.facts.route_at_least, &mut self.route_at_least),
            (&file.facts.catch_all, &mut self.catch_all),
            (&file.facts.run, &mut self.run),
            (&file.facts.retention, &mut self.retention),
        ] {
            if let Some(text) = text {
                *fact = time(text)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::{Cause, Finding, Verdict};

    /// Reasons that need no probe and no look-up: they are found anew in each run.
    const OFFLINE: [Finding; 5] = [
        Finding::Syntax,
        Finding::ProviderSyntax,
        Finding::Empty,
        Finding::Excluded,
        Finding::SpecialUseDomain,
    ];

    #[test]
    fn every_definite_reason_has_a_lifetime_and_no_unknown_one() {
        let lifetimes = Lifetimes::built_in();
        for reason in Reason::all().filter(|reason| !OFFLINE.map(Reason::from).contains(reason)) {
            let is_definite = reason.verdict() != Verdict::Unknown;
            assert_eq!(lifetimes.of(reason).is_some(), is_definite, "{reason}");
        }
    }

    #[test]
    fn a_route_is_connected_to_for_five_minutes_to_a_day() {
        let lifetimes = Lifetimes::built_in();
        for (ttl, seconds) in [(0, 300), (299, 300), (3_600, 3_600), (604_800, 86_400)] {
            assert_eq!(lifetimes.of_route(Duration::from_secs(ttl)), Duration::from_secs(seconds), "{ttl}");
        }
    }

    #[test]
    fn a_users_entry_replaces_one_and_errors_name_the_line() {
        let mut lifetimes = Lifetimes::built_in().clone();
        lifetimes.extend("own.toml", "[reasons]\naccepted = \"7d\"\n").unwrap();
        assert_eq!(lifetimes.of(Cause::Accepted.into()), Some(Duration::from_secs(7 * 86_400)));
        assert_eq!(lifetimes.catch_all, Lifetimes::built_in().catch_all);
        for (text, says) in [
            ("[reasons]\nbad = \"7d\"\n", "own.toml:2: `bad` is not a reason"),
            ("[reasons]\nip_blocklisted = \"7d\"\n", "own.toml:2: `ip_blocklisted` is about the sender"),
            ("[facts]\nroute = \"soon\"\n", "own.toml:2: "),
            ("[facts]\nroute = \"99999999999d\"\n", "own.toml:2: `99999999999d` is longer than"),
        ] {
            let fault = lifetimes.extend("own.toml", text).unwrap_err().to_string();
            assert!(fault.starts_with(says), "{fault}");
        }
    }
}
