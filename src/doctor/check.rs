//! A check and its result.
//!
//! Decides: nothing. A result is a fact about this sender; a check that cannot be made says so and why.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use crate::smtp::sanitize;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// All is well.
    Pass,
    /// Some receivers may mind.
    Warn,
    /// Receivers will reject probes for this, so a run would learn nothing about addresses.
    Fail,
    /// The facts could not be had.
    CouldNotConfirm,
    /// The check it depends on failed.
    NotRun,
}

impl CheckStatus {
    /// The word in JSON and texts.
    pub fn word(self) -> &'static str {
        match self {
            CheckStatus::Pass => "pass",
            CheckStatus::Warn => "warn",
            CheckStatus::Fail => "fail",
            CheckStatus::CouldNotConfirm => "could_not_confirm",
            CheckStatus::NotRun => "not_run",
        }
    }
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckGroup {
    /// This host.
    Host,
    /// The sender's domain.
    Sender,
}

/// A check and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name, which stays.
    pub id: &'static str,
    /// What it is about.
    pub group: CheckGroup,
    /// The result.
    pub status: CheckStatus,
    /// The result as a sentence about this sender.
    pub sentence: String,
    /// Why it matters.
    pub why: &'static str,
    /// What the DNS answered.
    pub details: Vec<String>,
    /// What to do, ready to be pasted.
    pub fix: Option<String>,
}

/// What a check finds.
pub(super) struct Finding {
    pub(super) status: CheckStatus,
    pub(super) sentence: String,
    pub(super) details: Vec<String>,
    pub(super) fix: Option<String>,
}

impl Finding {
    pub(super) fn new(status: CheckStatus, sentence: impl Into<String>) -> Finding {
        Finding { status, sentence: sentence.into(), details: Vec::new(), fix: None }
    }

    pub(super) fn detail(mut self, detail: impl Into<String>) -> Finding {
        self.details.push(detail.into());
        self
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Finding {
        self.fix = Some(fix.into());
        self
    }

    /// The texts come from DNS and flags, so they are cleaned.
    pub(super) fn of(self, id: &'static str, group: CheckGroup, why: &'static str) -> Check {
        Check {
            id,
            group,
            status: self.status,
            sentence: sanitize(&self.sentence),
            why,
            details: self.details.iter().map(|detail| sanitize(detail)).collect(),
            fix: self.fix.as_deref().map(sanitize),
        }
    }
}

/// All checks of one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckList {
    /// The checks, in the order in which to read them.
    pub checks: Vec<Check>,
}

impl CheckList {
    /// True if a check failed: then a run would learn nothing about addresses.
    pub fn has_failed(&self) -> bool {
        self.checks.iter().any(|check| check.status == CheckStatus::Fail)
    }
}

impl Display for CheckList {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(out, "{:18}{:14}{}", check.status.word(), check.id, check.sentence)?;
            if matches!(check.status, CheckStatus::Pass | CheckStatus::NotRun) {
                continue;
            }
            writeln!(out, "{:18}why: {}", "", check.why)?;
            for detail in &check.details {
                writeln!(out, "{:18}DNS: {detail}", "")?;
            }
            if let Some(fix) = &check.fix {
                writeln!(out, "{:18}fix: {fix}", "")?;
            }
        }
        Ok(())
    }
}
