//! A check and its result.
//!
//! Decides: nothing. A result is a fact about this sender; a check that cannot be made says so and why.

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
    /// The list.
    List,
    /// The run.
    Run,
}

impl CheckGroup {
    /// All groups, in the order in which to read them.
    pub(super) const ALL: [CheckGroup; 4] =
        [CheckGroup::Host, CheckGroup::Sender, CheckGroup::List, CheckGroup::Run];
}

/// A check and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name, which stays.
    pub id: String,
    /// What it is about.
    pub group: CheckGroup,
    /// The result.
    pub status: CheckStatus,
    /// The result as a sentence about this sender.
    pub sentence: String,
    /// Why it matters.
    pub why: &'static str,
    /// What the DNS and the hosts answered.
    pub details: Vec<String>,
    /// What to do, ready to be pasted.
    pub fix: Option<String>,
}

/// What a check finds.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) status: CheckStatus,
    pub(crate) sentence: String,
    pub(crate) details: Vec<String>,
    pub(crate) fix: Option<String>,
}

impl Finding {
    pub(crate) fn new(status: CheckStatus, sentence: impl Into<String>) -> Finding {
        Finding { status, sentence: sentence.into(), details: Vec::new(), fix: None }
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Finding {
        self.details.push(detail.into());
        self
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Finding {
        self.fix = Some(fix.into());
        self
    }

    /// With all these details.
    pub(crate) fn details(self, details: impl IntoIterator<Item = String>) -> Finding {
        details.into_iter().fold(self, Finding::detail)
    }

    /// The texts come from DNS, hosts and flags, so they are cleaned.
    pub(crate) fn of(self, id: impl Into<String>, group: CheckGroup, why: &'static str) -> Check {
        Check {
            id: id.into(),
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
    /// The checks that failed, in their order.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.status == CheckStatus::Fail)
    }

    /// True if a check failed: then a run would learn nothing about addresses.
    pub fn has_failed(&self) -> bool {
        self.failed().next().is_some()
    }
}
