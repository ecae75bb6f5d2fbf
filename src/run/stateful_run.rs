//! A run over a list with its state: how it begins, its worklist, and how it ends.
//!
//! Decides: whether an earlier run resumes, whether anything has to be probed at all, and when a run is finished.

use std::time::Duration;

use super::analyze::{AnalyzeOptions, Analyzer};
use super::cancel::CancelToken;
use super::clock::Clock;
use super::engine;
use super::evidence_reader::{EvidenceReader, FactFilter, FactReader};
use super::judge::{StateUpdates, Validity};
use super::list_job::OpenedList;
use super::network::NetworkJob;
use super::parallel;
use super::preflight::Preflight;
use super::probe_job::{ProbeJob, RunConditions, RunOutcome};
use super::progress::{Progress, ProgressReporter};
use crate::address::Address;
use crate::error::Error;
use crate::evidence::{AddressStatus, Timestamp};
use crate::list::{List, ListEntry, RowBatch};
use crate::schedule::RunBlocked;
use crate::settings::{NetworkTarget, Settings};
use crate::state::{FreshnessPolicy, RunHandle, RunKey, State, StateError};

/// How often the lock of a state that another run holds is tried.
const TRY_LOCK_EVERY: Duration = Duration::from_millis(100);

/// A run with its state.
pub(super) struct StatefulRun {
    job: ProbeJob,
    state: State,
    run: RunHandle,
    fresh: FreshnessPolicy,
    /// The results of an earlier run are all still fresh: nothing is probed.
    is_all_fresh: bool,
    /// The reason of each row is compared with the last reported one, and recorded.
    compares_reasons: bool,
    /// What is checked before the first probe.
    preflight: Option<Preflight>,
}

impl StatefulRun {
    /// Opens the state, and finds or begins the run.
    pub(super) fn begin(
        job: NetworkJob<'_>,
        opened: &OpenedList,
        cancel: &CancelToken,
    ) -> Result<StatefulRun, Error> {
        let NetworkJob { settings, target, policy, .. } = job;
        let OpenedList { list, job: list_job, .. } = opened;
        let how = opened.analyze_options(policy);
        let preflight = Preflight::of(settings)?;
        let job = ProbeJob::new(job, false)?;
        let mut state = open_state(settings, target, job.network.clock, cancel)?;
        let now = job.network.clock.now().wall;
        let command = RunKey {
            identity: identity(list, &how, job.dns_only)?,
            input: list.format().name.clone(),
            terms: terms(settings, &job, &how),
        };
        let anew = settings.state.fresh;
        let fresh = |at| {
            // A run that only looks up routes reports no replies.
            if anew || job.dns_only {
                FreshnessPolicy::nothing()
            } else {
                FreshnessPolicy::of(at, settings.state.max_age, now)
            }
        };
        let known = if anew { None } else { state.fresh_run(&command, fresh(now))? };
        // The evidence of a resumed run is as old as the run.
        let resume_within =
            if anew { Duration::ZERO } else { settings.state.max_age.unwrap_or(Duration::MAX) };
        let (run, is_all_fresh) = match known {
            Some(run) => (run, true),
            None => (state.begin(&command, resume_within, now, policy.lifetimes().run)?, false),
        };
        // Where every row is reused unchanged, no reason differs from the last reported one.
        let compares_reasons = state.is_persistent() && (list_job.changed_only || !is_all_fresh);
        let run = RunHandle { is_resumed: run.is_resumed && !is_all_fresh, ..run };
        let fresh = fresh(if is_all_fresh { now } else { run.at });
        Ok(StatefulRun { job, state, run, fresh, is_all_fresh, compares_reasons, preflight })
    }

    /// Makes the worklist, unless an earlier process did so, and probes it.
    pub(super) async fn probe(
        &mut self,
        list: &List,
        how: &AnalyzeOptions,
        cancel: &CancelToken,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<RunOutcome, Error> {
        if self.is_all_fresh {
            return Ok(self.job.outcome());
        }
        if !self.run.has_worklist {
            let mut worklist = self.state.build_worklist(self.run.id)?.case_sensitive(how.case_sensitive);
            let analyze = |analyzer: &mut Analyzer, batch: &RowBatch, found: &mut Vec<Address>| {
                found.clear();
                found.extend(recipients(analyzer, batch));
                Ok(())
            };
            parallel::each(list, parallel::analyzers(how), analyze, |addresses| {
                // This process has probed nothing yet, so there is nothing new to write.
                cancel.check()?;
                Ok(addresses.drain(..).try_for_each(|address| worklist.add(&address))?)
            })?;
            worklist.finish(self.fresh)?;
        }
        let still_to_probe = self.state.still_to_probe(self.run.id)?;
        let forced = match &self.preflight {
            Some(checks) if still_to_probe > 0 => tokio::select! {
                biased;
                // The run ends where it would have begun.
                () = cancel.canceled() => Vec::new(),
                forced = Box::pin(checks.check(&self.job, &mut self.state, self.run.id)) => forced?,
            },
            _ => Vec::new(),
        };
        let mut progress = ProgressReporter::new(still_to_probe, progress);
        let mut outcome =
            engine::probe(&self.job, &mut self.state, self.run, self.fresh, cancel, &mut progress).await?;
        outcome.forced = forced;
        // A rejection of one spelling of an address condemns no other one.
        if !self.job.dns_only
            && outcome.early_exit(cancel).is_none()
            // What a limit left over has waited long enough.
            && self.state.still_to_probe(self.run.id)? == 0
            && self.state.add_rejected_spellings(self.run.id, self.fresh)? > 0
        {
            // The first part of the run has stored replies, as an earlier process would have.
            let run = RunHandle { is_resumed: true, ..self.run };
            let others = engine::probe(&self.job, &mut self.state, run, self.fresh, cancel, &mut progress);
            outcome.add(others.await?);
        }
        Ok(outcome)
    }

    /// How many recipients are still to be probed.
    pub(super) fn still_to_probe(&self) -> Result<u64, Error> {
        Ok(self.state.still_to_probe(self.run.id)?)
    }

    /// Readers of the evidence, one for each worker that judges rows.
    pub(super) fn evidence_readers(
        &self,
        conditions: &RunConditions,
        worker_count: usize,
    ) -> Result<Vec<EvidenceReader>, Error> {
        let filter = FactFilter {
            policy: self.job.policy,
            run: self.run.id,
            fresh: self.fresh,
            compared_run: self.compares_reasons.then_some(self.run),
        };
        let reader = |facts| EvidenceReader::new(facts, conditions.clone(), self.now().wall);
        let facts = FactReader::several(&self.state, filter, worker_count, !self.is_all_fresh)?;
        Ok(facts.into_iter().map(reader).collect())
    }

    /// Now, by the clock of the network.
    pub(super) fn now(&self) -> Timestamp {
        self.job.network.clock.now()
    }

    /// Records verdicts and reasons that changed.
    pub(super) fn record(&mut self, StateUpdates { verdicts, notes }: &StateUpdates) -> Result<(), Error> {
        // No later run reads a temporary state, and a write would wait for its readers.
        if self.state.is_persistent() {
            verdicts.iter().try_for_each(|update| self.state.update_verdict(update))?;
            self.state.add_notes(notes)?;
        }
        Ok(())
    }

    /// Must be called when all results are written. The run is finished, unless recipients are still to be probed: then
    /// the same command resumes it.
    pub(super) fn finish(&mut self, outcome: &RunOutcome, validity: Validity) -> Result<(), Error> {
        let RunConditions { blocked, anomalies, .. } = &outcome.conditions;
        if self.compares_reasons {
            self.state.write_notes(self.run)?;
        }
        self.state.mark_reported(self.run.id)?;
        let is_finished = blocked.is_some() || self.still_to_probe()? == 0;
        if !is_finished {
            self.state.pause_run(self.run.id, self.now().wall, outcome.stopped_because())?;
        }
        if !self.is_all_fresh && is_finished {
            let Validity { fresh_until, oldest } = validity;
            let blocked = blocked.map(RunBlocked::word);
            let anomalies = anomalies.iter().map(|lane| &**lane);
            self.state.finish_run(self.run.id, self.now().wall, blocked, anomalies, fresh_until, oldest)?;
        }
        self.state.commit()?;
        if is_finished && self.state.is_persistent() {
            self.state.retain(self.job.policy.lifetimes().retention, self.now().wall)?;
        }
        Ok(())
    }
}

/// Opens the state of a run, and waits for another run that holds it if the settings say so. Fails once the job is canceled.
#[expect(
    clippy::disallowed_methods,
    reason = "the holder lives in real time, and nothing of this run is in progress yet"
)]
pub(super) fn open_state(
    settings: &Settings,
    target: &NetworkTarget,
    clock: Clock,
    cancel: &CancelToken,
) -> Result<State, Error> {
    let mut is_reported = false;
    loop {
        match settings.open_state(target, clock.now().wall) {
            Err(Error::State(held @ StateError::Locked { .. })) if settings.state.wait_lock => {
                if !is_reported {
                    tracing::warn!(event = "waiting", "waiting, because {held}");
                    is_reported = true;
                }
                cancel.check()?;
                std::thread::sleep(TRY_LOCK_EVERY);
            }
            opened => return opened,
        }
    }
}

/// The terms of a run ([`RunKey::terms`]).
fn terms(settings: &Settings, job: &ProbeJob, how: &AnalyzeOptions) -> String {
    let max_age = settings.state.max_age.map(|age| format!("no older than {} s", age.as_secs()));
    let allowed = job.network.allowed.to_string();
    let allowed = (!allowed.is_empty()).then(|| format!("also at {allowed}"));
    let excluded = how.exclusions.as_ref().map(|excluded| format!("without{}", excluded.identity()));
    let case = how.case_sensitive.then(|| "case-sensitive".to_owned());
    [max_age, allowed, excluded, case].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The identity of a command ([`RunKey::identity`]).
pub(super) fn identity(list: &List, how: &AnalyzeOptions, dns_only: bool) -> Result<String, Error> {
    let far = if dns_only { "names" } else { "mailboxes" };
    let applied = if how.apply_suggestions { " applied" } else { "" };
    Ok(format!("{} {far}{applied}", list.identity()?))
}

/// The addresses of a batch that can be probed.
fn recipients(analyzer: &mut Analyzer, batch: &RowBatch) -> impl Iterator<Item = Address> {
    batch.entries().filter_map(|entry| match entry {
        ListEntry::Row(row) => match analyzer.analyze(row.address()).form {
            AddressStatus::Valid(address) => Some(address),
            _ => None,
        },
        ListEntry::Unreadable(_) => None,
    })
}
