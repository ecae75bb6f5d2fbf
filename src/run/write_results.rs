//! The last pass over a list: every row is judged and written.
//!
//! Decides: nothing. Rows are judged by workers, each with a reader of its own, and written in their order. Memory holds a
//! few batches of rows, never the list.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::analyze::AnalyzeOptions;
use super::duplicates::DuplicateRows;
use super::evidence_reader::{EvidenceReader, RunConditions};
use super::judge::{JudgeOptions, RowJudge};
use super::list_job::{ListJob, OpenedList};
use super::parallel;
use crate::error::{Error, Exit};
use crate::list::{List, OutputTarget, Outputs};
use crate::policy::Policy;
use crate::report::{Gates, ProbeCounts, Summary};
use crate::schedule::ProviderEventKind;
use crate::state::{ReportedNote, VerdictUpdate};

/// A list that is open, with its outputs.
pub(super) struct OpenJob {
    /// The list.
    pub list: List,
    /// How its addresses are looked at.
    pub how: AnalyzeOptions,
    outputs: Outputs,
    target: OutputTarget,
    gates: Gates,
    unprobed: bool,
    changed_only: bool,
}

/// What is told otherwise than before, for the state.
#[derive(Default)]
pub(super) struct StateUpdates {
    /// About addresses that were asked about.
    pub update: Vec<VerdictUpdate>,
    /// About rows.
    pub notes: Vec<ReportedNote>,
}

/// How long what was told holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Validity {
    /// Nothing needs to be asked again before this; `None` when nothing was asked that grows old.
    pub fresh_until: Option<SystemTime>,
    /// The oldest evidence that was used.
    pub oldest: Option<SystemTime>,
}

/// How a run went, for its summary.
#[derive(Clone, Debug, Default)]
pub(super) struct RunStats {
    /// What holds for all rows.
    pub whole: RunConditions,
    /// What it cost the others.
    pub asked: ProbeCounts,
    /// How often the scheduler decided what about an operator.
    pub decisions: BTreeMap<ProviderEventKind, u64>,
    /// How long it took.
    pub took: Duration,
    /// How many are still to be asked.
    pub still_to_ask: u64,
    /// The clock ended it.
    pub out_of_time: bool,
    /// How it ends when not by its counts.
    pub exit: Option<Exit>,
}

impl OpenJob {
    /// Prepares the outputs of a list. `unprobed`: mailboxes are not asked about.
    pub(super) fn of(opened: OpenedList, policy: Policy, unprobed: bool) -> Result<OpenJob, Error> {
        let OpenedList { list, job: listing } = opened;
        let how = listing.analyze_options(policy);
        let form = list.format();
        tracing::info!(event = "list", "{}: {}", form.name, form.sentence());
        let target = listing.target.unwrap_or_else(|| OutputTarget::Folder(form.default_folder()));
        let mut writing = listing.writing;
        writing.unprobed = unprobed;
        writing.originals = listing.apply_suggestions;
        let outputs = Outputs::create(&target, form, &writing)?;
        if let Some(warning) = outputs.warning() {
            tracing::warn!(event = "columns", "{warning}");
        }
        let ListJob { gates, changed_only, .. } = listing;
        Ok(OpenJob { list, how, outputs, target, gates, unprobed, changed_only })
    }

    /// Judges and writes every row, each worker with its own view of what was found. `keep` hears what is told otherwise
    /// than before.
    pub(super) fn tell(
        &mut self,
        risky_roles: bool,
        found: Vec<EvidenceReader>,
        mut keep: impl FnMut(&StateUpdates) -> Result<(), Error>,
    ) -> Result<Validity, Error> {
        let telling = JudgeOptions { risky_roles, changed_only: self.changed_only };
        let mut repeats = DuplicateRows::of(&self.list, self.how);
        let judge = |found| RowJudge::of(found, self.how, self.outputs.composer(), repeats.keys(), telling);
        let judges = found.into_iter().map(judge).collect();
        let mut age = Validity::default();
        parallel::each(&self.list, judges, RowJudge::judge, |outcome| {
            let firsts = repeats.first_of(outcome.composed.hashes())?;
            self.outputs.write_composed(&outcome.composed, &firsts)?;
            age.add(outcome.age);
            keep(&outcome.otherwise)
        })?;
        Ok(age)
    }

    /// Puts the files in their places, the summary last.
    pub(super) fn finish(self, stats: &RunStats) -> Result<Summary, Error> {
        let finished = self.outputs.finish()?;
        let form = self.list.format();
        let summary = Summary {
            input: form.name.clone(),
            format: form.sentence(),
            probed: stats.asked,
            provider_events: stats.decisions.clone(),
            took: stats.took,
            unprobed: self.unprobed,
            changed_only: self.changed_only,
            still_to_probe: stats.still_to_ask,
            blocked: stats.whole.shut,
            out_of_time: stats.out_of_time,
            exit: stats.exit.unwrap_or_else(|| self.gates.exit(&finished.counts)),
            folder: match &self.target {
                OutputTarget::Folder(folder) => Some(folder.display().to_string()),
                OutputTarget::File(_) | OutputTarget::Stdout => None,
            },
            stem: form.stem(),
            counts: finished.counts.clone(),
        };
        finished.write_summary(summary.json().as_bytes())?;
        Ok(summary)
    }
}

impl Validity {
    /// With what was told about another row.
    pub(super) fn add(&mut self, other: Validity) {
        let earlier = |one: Option<SystemTime>, other: Option<SystemTime>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self.fresh_until = earlier(self.fresh_until, other.fresh_until);
        self.oldest = earlier(self.oldest, other.oldest);
    }
}
