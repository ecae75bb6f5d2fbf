//! The reporting pass of a run: every row of the list is judged and written.
//!
//! Decides: nothing. Workers judge batches of rows ([`RowJudge`]), each with a reader of its own; the batches are
//! written in the order of the list. Memory holds a few batches, never the list.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::analyze::AnalyzeOptions;
use super::duplicates::DuplicateRows;
use super::evidence_reader::EvidenceReader;
use super::judge::{JudgeOptions, RowJudge, StateUpdates, Validity};
use super::list_job::{ListJob, OpenedList};
use super::parallel;
use super::probe_job::RunConditions;
use crate::error::{Error, Exit};
use crate::list::{List, OutputTarget, Outputs};
use crate::policy::{BouncePriors, Policy, Profile, SendingAdvice};
use crate::report::{Gates, PageOptions, ProbeCounts, ReportPage, Rerun, RowTally, Summary, html, markdown};
use crate::schedule::{HostRejection, ProviderEventKind};

/// An open list with its outputs.
pub(super) struct OpenJob {
    /// The list.
    pub(super) list: List,
    /// How cells are analyzed.
    pub(super) how: AnalyzeOptions,
    outputs: Outputs,
    target: OutputTarget,
    gates: Gates,
    unprobed: bool,
    changed_only: bool,
    tally: RowTally,
    priors: &'static BouncePriors,
    rerun: Rerun,
    pages: PageOptions,
    advice: &'static SendingAdvice,
    profile: Option<&'static Profile>,
}

/// How a run went, for its summary.
#[derive(Clone, Debug, Default)]
pub(super) struct RunStats {
    /// What holds for all rows.
    pub(super) conditions: RunConditions,
    /// Connections, probes and look-ups.
    pub(super) counts: ProbeCounts,
    /// How often each kind of event occurred at a provider.
    pub(super) events: BTreeMap<ProviderEventKind, u64>,
    /// Which MX hosts rejected us, if the run is blocked.
    pub(super) rejections: Vec<HostRejection>,
    /// The checks that failed before the run and were passed over.
    pub(super) forced: Vec<String>,
    /// How long the run took.
    pub(super) took: Duration,
    /// When it ended; `None` where its clock does not matter.
    pub(super) ended: Option<SystemTime>,
    /// How many recipients are still to be probed.
    pub(super) still_to_probe: u64,
    /// The clock stopped the run.
    pub(super) out_of_time: bool,
    /// The exit code, if it does not follow from the counts of verdicts.
    pub(super) exit: Option<Exit>,
}

impl OpenJob {
    /// Creates the outputs of a list. `unprobed`: recipients are not probed.
    pub(super) fn new(opened: OpenedList, policy: Policy, unprobed: bool) -> Result<OpenJob, Error> {
        let how = opened.analyze_options(policy);
        let priors = opened.bounce_priors(policy)?;
        let profile = opened.profile(policy)?;
        let OpenedList { list, job, .. } = opened;
        let form = list.format();
        tracing::info!(event = "list", "{}: {}", form.name, form.sentence());
        let target = job.target.unwrap_or_else(|| OutputTarget::Folder(form.default_folder()));
        let mut writing = job.writing;
        writing.profile = profile;
        writing.unprobed = unprobed;
        writing.excludes = how.exclusions.is_some();
        writing.originals = job.apply_suggestions;
        let outputs = Outputs::create(&target, form, &writing)?;
        if let Some(warning) = outputs.warning() {
            tracing::warn!(event = "columns", "{warning}");
        }
        let ListJob { gates, changed_only, rerun, pages, .. } = job;
        let advice = policy.sending();
        let tally = RowTally::default();
        Ok(OpenJob {
            list,
            how,
            outputs,
            target,
            gates,
            unprobed,
            changed_only,
            tally,
            priors,
            rerun,
            pages,
            advice,
            profile,
        })
    }

    /// Judges and writes every row, with one worker for each reader. `record` gets what changes in the state.
    pub(super) fn write_results(
        &mut self,
        risky_roles: bool,
        readers: Vec<EvidenceReader>,
        mut record: impl FnMut(&StateUpdates) -> Result<(), Error>,
    ) -> Result<Validity, Error> {
        let format = self.list.format();
        let header = format.columns.get(format.address_column).filter(|_| format.has_header);
        let header = header.cloned().unwrap_or_default();
        let options = JudgeOptions {
            risky_roles,
            changed_only: self.changed_only,
            header,
            keeps_addresses: self.pages.has_addresses,
        };
        let mut duplicates = DuplicateRows::of(&self.list, self.how.clone());
        let judge = |reader| {
            RowJudge::new(
                reader,
                self.how.clone(),
                self.outputs.composer(),
                duplicates.keys(),
                options.clone(),
            )
        };
        let judges = readers.into_iter().map(judge).collect();
        let mut validity = Validity::default();
        parallel::each(&self.list, judges, RowJudge::judge, |judged| {
            let firsts = duplicates.first_of(judged.composed.hashes())?;
            self.outputs.write_composed(&judged.composed, &firsts)?;
            self.tally.add(&judged.tally, &firsts);
            validity.add(judged.validity);
            record(&judged.updates)
        })?;
        Ok(validity)
    }

    /// Gives the files their names, the summary last.
    pub(super) fn finish(self, stats: &RunStats) -> Result<Summary, Error> {
        let finished = self.outputs.finish()?;
        for row in &finished.unlisted {
            // No log names an address.
            tracing::warn!(event = "unreadable", line = row.line, "line {}: {}", row.line, row.cause);
        }
        let unnamed = finished.counts.unreadable + finished.counts.further_addresses;
        let unnamed = unnamed.saturating_sub(finished.unlisted.len() as u64);
        if !finished.unlisted.is_empty() && unnamed > 0 {
            tracing::warn!(
                event = "unreadable",
                "{unnamed} more; with a folder for `-o`, a file lists them all"
            );
        }
        let form = self.list.format();
        let summary = Summary {
            input: form.name.clone(),
            format: self.list.sentence(),
            tally: self.tally,
            priors: self.priors,
            probed: stats.counts,
            provider_events: stats.events.clone(),
            took: stats.took,
            ended: stats.ended.unwrap_or(SystemTime::UNIX_EPOCH),
            unprobed: self.unprobed,
            changed_only: self.changed_only,
            still_to_probe: stats.still_to_probe,
            blocked: stats.conditions.blocked,
            rejections: stats.rejections.clone(),
            forced: stats.forced.clone(),
            out_of_time: stats.out_of_time,
            exit: stats.exit.unwrap_or_else(|| self.gates.exit(&finished.counts)),
            folder: match &self.target {
                OutputTarget::Folder(folder) => Some(folder.display().to_string()),
                OutputTarget::File(_) | OutputTarget::Stdout => None,
            },
            stem: form.stem(),
            ending: finished.ending,
            profile: self.profile,
            rerun: self.rerun,
            counts: finished.counts.clone(),
        };
        if matches!(self.target, OutputTarget::Folder(_)) {
            let page = ReportPage::of(&summary, self.advice);
            finished.write_report("report.html", html(&page).as_bytes())?;
            if self.pages.has_markdown {
                finished.write_report("report.md", markdown(&page).as_bytes())?;
            }
        }
        if let Some(text) = summary.handover() {
            finished.write_report("handover.txt", text.as_bytes())?;
        }
        finished.write_summary(summary.json().as_bytes())?;
        Ok(summary)
    }
}
