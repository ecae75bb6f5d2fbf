//! How many addresses are expected to bounce, by verdict and reason: `data/bounces.toml`.
//!
//! Decides: which entry a row has. Must not: estimate; the report does. Fails: with file and line, on a word that is no
//! reason or verdict, a share outside 0 to 100, or a row kind without a rate.

use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;
use toml::Spanned;

use super::file::{PolicyError, read_file};
use crate::reason::{Confidence, Reason, Verdict};

const FILE: &str = "src/policy/data/bounces.toml";
const BUILT_IN: &str = include_str!("data/bounces.toml");

/// Expected shares of hard bounces, and what the headline of a summary follows from.
#[derive(Clone, Debug, PartialEq)]
pub struct BouncePriors {
    /// When a list is ready.
    pub headline: HeadlineThresholds,
    rates: Vec<BounceRate>,
}

/// `[headline]`; shares are percent.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadlineThresholds {
    /// The highest expected rate of a list that is ready to send.
    pub ready: f64,
    /// The highest share of unknown addresses of a list that may be sent.
    pub unknown: f64,
    /// Standard deviations that a range allows for chance.
    pub deviations: f64,
    /// How many times lower or higher a concluded share may be.
    pub spread: f64,
    /// Decided rows that a concluded share needs.
    pub decided: u64,
    /// The share of domains from which on their rejections have a cause here.
    pub every_domain: f64,
}

/// The expected share of hard bounces among some rows.
#[derive(Clone, Debug, PartialEq)]
pub struct BounceRate {
    /// What these rows are called.
    pub name: String,
    /// The share.
    pub share: BounceShare,
    reasons: Vec<Reason>,
    verdict: Option<Verdict>,
    confidence: Option<Confidence>,
}

/// A share of hard bounces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BounceShare {
    /// From the first to the second, as fractions of 1.
    Between(f64, f64),
    /// As among the decided rows of the list.
    LikeList,
    /// As among the decided rows of free providers.
    LikeFree,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    headline: Option<Spanned<HeadlineThresholds>>,
    #[serde(default)]
    rate: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(default)]
    reasons: Vec<String>,
    verdict: Option<String>,
    confidence: Option<String>,
    low: Option<f64>,
    high: Option<f64>,
    like: Option<String>,
}

impl BouncePriors {
    /// The shipped ones.
    pub fn built_in() -> &'static BouncePriors {
        static SHIPPED: LazyLock<BouncePriors> = LazyLock::new(|| {
            let none = HeadlineThresholds {
                ready: 0.0,
                unknown: 0.0,
                deviations: 0.0,
                spread: 1.0,
                decided: 0,
                every_domain: 0.0,
            };
            match (BouncePriors { headline: none, rates: Vec::new() }).with(FILE, BUILT_IN) {
                Ok(priors) => priors,
                // A test reads the shipped file, so this can't happen in a build that passed it.
                Err(fault) => unreachable!("the shipped policy is wrong: {fault}"),
            }
        });
        &SHIPPED
    }

    /// The shipped ones, with what this file has in their place.
    pub fn with_file(&self, path: &Path) -> Result<BouncePriors, PolicyError> {
        let (name, text) =
            read_file(path, "`--bounce-priors` takes a file like `bounces.toml` of the shipped policy")?;
        self.clone().with(&name, &text)
    }

    /// These with what a text has in their place; `name` is its name in errors.
    pub fn with(mut self, name: &str, text: &str) -> Result<BouncePriors, PolicyError> {
        let file: File = toml::from_str(text).map_err(|fault| PolicyError::toml(name, text, &fault))?;
        let hint = "the head of the shipped `bounces.toml` says which keys there are and what they mean";
        if let Some(headline) = file.headline {
            let HeadlineThresholds { ready, unknown, deviations, spread, every_domain, .. } =
                *headline.get_ref();
            let is_right = [ready, unknown, every_domain].iter().all(|share| (0.0..=100.0).contains(share))
                && (0.0..=10.0).contains(&deviations)
                && (1.0..=100.0).contains(&spread);
            if !is_right {
                let what =
                    "a share is not 0 to 100, `deviations` not 0 to 10, or `spread` not 1 to 100".to_owned();
                return Err(PolicyError::at(name, text, headline.span().start, what, hint));
            }
            self.headline = headline.into_inner();
        }
        if !file.rate.is_empty() {
            let rates = file.rate.iter().map(|entry| {
                BounceRate::new(entry.get_ref())
                    .map_err(|what| PolicyError::at(name, text, entry.span().start, what, hint))
            });
            self.rates = rates.collect::<Result<_, _>>()?;
            for reason in Reason::all().filter(|reason| reason.verdict() != Verdict::None) {
                if self.rate_of(reason, Confidence::Inferred).is_none() {
                    let what = format!("no `[[rate]]` is for rows with the reason `{reason}`");
                    return Err(PolicyError::at(name, text, 0, what, hint));
                }
            }
        }
        Ok(self)
    }

    /// The rate of rows with this reason; `None` for rows without a verdict.
    pub fn rate_of(&self, reason: Reason, confidence: Confidence) -> Option<&BounceRate> {
        let verdict = reason.verdict();
        self.rates.iter().find(|rate| {
            verdict != Verdict::None
                && (rate.reasons.contains(&reason) || rate.verdict == Some(verdict))
                && rate.confidence.is_none_or(|only| only == confidence)
        })
    }

    /// All rates, in the order in which they are looked up.
    pub fn rates(&self) -> &[BounceRate] {
        &self.rates
    }
}

impl BounceRate {
    fn new(entry: &Entry) -> Result<BounceRate, String> {
        let share = match (entry.low, entry.high, entry.like.as_deref()) {
            (Some(low), Some(high), None) if 0.0 <= low && low <= high && high <= 100.0 => {
                BounceShare::Between(low / 100.0, high / 100.0)
            }
            (None, None, Some("list")) => BounceShare::LikeList,
            (None, None, Some("free")) => BounceShare::LikeFree,
            _ => {
                return Err(
                    "a rate has `low` and `high`, percent, or `like = \"list\"` or `\"free\"`".to_owned()
                );
            }
        };
        let reason =
            |word: &String| Reason::from_word(word).ok_or_else(|| format!("`{word}` is not a reason"));
        let verdict = |word: &String| {
            let known = Verdict::ALL.into_iter().find(|verdict| verdict.word() == word);
            known.ok_or_else(|| format!("`{word}` is not a verdict"))
        };
        let confidence = |word: &String| {
            let known =
                [Confidence::Confirmed, Confidence::Inferred].into_iter().find(|one| one.word() == word);
            known.ok_or_else(|| format!("`{word}` is not a confidence"))
        };
        if entry.reasons.is_empty() == entry.verdict.is_none() {
            return Err("a rate names either `reasons` or a `verdict`".to_owned());
        }
        Ok(BounceRate {
            name: entry.name.chars().filter(|c| !c.is_control()).collect(),
            share,
            reasons: entry.reasons.iter().map(reason).collect::<Result<_, _>>()?,
            verdict: entry.verdict.as_ref().map(verdict).transpose()?,
            confidence: entry.confidence.as_ref().map(confidence).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::{Cause, Finding};

    #[test]
    fn each_reason_has_a_rate_and_confidence_makes_a_difference() {
        let priors = BouncePriors::built_in();
        let name = |reason: Reason, confidence| priors.rate_of(reason, confidence).unwrap().name.as_str();
        assert_eq!(name(Cause::Accepted.into(), Confidence::Confirmed), "deliverable");
        assert_eq!(name(Finding::CatchAll.into(), Confidence::Inferred), "catch-all");
        assert_eq!(name(Finding::Disposable.into(), Confidence::Inferred), "other risky");
        assert_eq!(name(Cause::MailboxUnknown.into(), Confidence::Confirmed), "undeliverable");
        assert_eq!(name(Cause::MailboxUnknown.into(), Confidence::Inferred), "undeliverable, not confirmed");
        assert_eq!(priors.rate_of(Finding::Empty.into(), Confidence::Confirmed), None);
    }

    #[test]
    fn a_users_file_replaces_parts_and_errors_name_the_line() {
        let shipped = BouncePriors::built_in();
        let headline = "[headline]\nready = 3.0\nunknown = 10.0\ndeviations = 0.0\nspread = 1.0\ndecided = 5\nevery_domain = 80.0\n";
        let own = shipped.clone().with("own.toml", headline).unwrap();
        assert_eq!((own.headline.ready, &own.rates), (3.0, &shipped.rates));
        for (text, says) in [
            (
                "[headline]\nready = 101.0\nunknown = 10.0\ndeviations = 0.0\nspread = 1.0\ndecided = 5\nevery_domain = 80.0\n",
                "own.toml:1: a share",
            ),
            (
                "[[rate]]\nname = \"x\"\nverdict = \"good\"\nlow = 1.0\nhigh = 2.0\n",
                "own.toml:1: `good` is not a verdict",
            ),
            (
                "[[rate]]\nname = \"x\"\nreasons = [\"bad\"]\nlow = 1.0\nhigh = 2.0\n",
                "own.toml:1: `bad` is not a reason",
            ),
            (
                "[[rate]]\nname = \"x\"\nverdict = \"risky\"\nlow = 3.0\nhigh = 2.0\n",
                "own.toml:1: a rate has `low`",
            ),
            (
                "[[rate]]\nname = \"x\"\nverdict = \"risky\"\nlike = \"list\"\n",
                "own.toml:1: no `[[rate]]` is for rows",
            ),
            ("[[rate]]\nlow = \"x\"\n", "own.toml:2: "),
        ] {
            let fault = shipped.clone().with("own.toml", text).unwrap_err().to_string();
            assert!(fault.starts_with(says), "{fault}");
        }
    }
}
