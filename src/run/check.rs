//! One or a few addresses: the same probes as for a list, results in memory.

use std::time::Duration;

use super::analyze::{Analyzer, CellAnalysis};
use super::cancel::CancelToken;
use super::clock::Clock;
use super::engine;
use super::evidence_reader::{EvidenceReader, FactFilter, FactReader};
use super::network::NetworkJob;
use super::probe_job::ProbeJob;
use super::progress::ProgressReporter;
use super::{judge, stateful_run};
use crate::address::Domain;
use crate::error::{Error, Exit};
use crate::evidence::{AddressStatus, NotProbedReason};
use crate::policy::Policy;
use crate::schedule::RunBlocked;
use crate::smtp::Transcript;
use crate::state::{FreshnessPolicy, RunKey, State, StateError};
use crate::verdict::AddressResult;

/// The results of checking some addresses.
pub struct CheckOutcome {
    /// One result per address, in the order of the addresses.
    pub results: Vec<AddressResult>,
    /// The dialogue with each MX host; empty unless asked for.
    pub dialogues: Vec<(Domain, Transcript)>,
    /// How the job ended.
    pub exit: Exit,
}

impl CheckOutcome {
    pub(super) fn offline(results: Vec<AddressResult>) -> CheckOutcome {
        CheckOutcome { results, dialogues: Vec::new(), exit: Exit::Finished }
    }
}

/// Checks addresses without any network, one at a time, so that a long stream of addresses needs no memory.
pub struct OfflineChecker {
    analyzer: Analyzer,
    reader: EvidenceReader,
    risky_roles: bool,
}

impl OfflineChecker {
    pub(super) fn new(policy: Policy, risky_roles: bool) -> OfflineChecker {
        OfflineChecker {
            analyzer: Analyzer::new(policy.lists),
            reader: EvidenceReader::without_facts(NotProbedReason::Offline, Clock::system().now().wall),
            risky_roles,
        }
    }

    /// The result of one address.
    pub fn check(&mut self, address: &str) -> Result<AddressResult, Error> {
        Ok(judge::judge_row(&mut self.reader, self.analyzer.analyze(address), self.risky_roles)?)
    }
}

/// Checks some addresses over the network. `trace` probes anew and keeps the dialogues.
pub(super) async fn check<S: AsRef<str>>(
    addresses: &[S],
    job: NetworkJob<'_>,
    trace: bool,
    cancel: &CancelToken,
) -> Result<CheckOutcome, Error> {
    let NetworkJob { settings, target, policy, .. } = job;
    let mut analyzer = Analyzer::new(policy.lists);
    let cells: Vec<CellAnalysis> =
        addresses.iter().map(|address| analyzer.analyze(address.as_ref())).collect();
    let job = ProbeJob::new(job, trace)?;
    // While another run has locked the state, it is read and not written.
    let (mut state, locked) = match stateful_run::open_state(settings, target, job.network.clock, cancel) {
        Err(Error::State(StateError::Locked { file, .. })) => {
            // A state that is just being created has no facts yet.
            let locked = State::read_only(&file, job.network.clock.now().wall).ok();
            if let Some(locked) = &locked {
                locked.check_namespace(&file, &target.namespace()?)?;
            }
            (State::temporary()?, locked)
        }
        state => (state?, None),
    };
    let now = job.network.clock.now().wall;
    let key = RunKey { identity: "check".to_owned(), input: "check".to_owned(), terms: String::new() };
    let run = state.begin(&key, Duration::ZERO, now, policy.lifetimes().run)?;
    // A stored fact has no dialogue to show.
    let is_anew = settings.state.fresh || trace || job.dns_only;
    let fresh = if is_anew {
        FreshnessPolicy::nothing()
    } else {
        FreshnessPolicy::of(run.at, settings.state.max_age, now)
    };
    if let Some(locked) = locked.filter(|_| !is_anew) {
        state.import_from(&locked, cells.iter().filter_map(|analysis| analysis.form.address()))?;
    }
    let mut worklist = state.build_worklist(run.id)?;
    for analysis in &cells {
        if let AddressStatus::Valid(address) = &analysis.form {
            worklist.add(address)?;
        }
    }
    worklist.finish(fresh)?;
    let mut silent = |_| ();
    let mut progress = ProgressReporter::new(0, &mut silent);
    let outcome = engine::probe(&job, &mut state, run, fresh, cancel, &mut progress).await?;
    let exit = outcome.early_exit(cancel).unwrap_or(Exit::Finished);
    let conditions = outcome.conditions;
    let filter = FactFilter { policy, run: run.id, fresh, compared_run: None };
    let now = job.network.clock.now().wall;
    let mut reader = EvidenceReader::new(FactReader::new(&state, filter)?, conditions.clone(), now);
    let row = |analysis| judge::row(&mut reader, analysis, settings.risky_roles);
    let rows = cells.into_iter().map(row).collect::<Result<Vec<_>, _>>()?;
    drop(reader);
    // A result that the guards hold back must not be stored as a fact.
    rows.iter().flat_map(|row| &row.update).try_for_each(|update| state.update_verdict(update))?;
    let anomalies = conditions.anomalies.iter().map(|lane| &**lane);
    state.mark_reported(run.id)?;
    state.finish_run(run.id, now, conditions.blocked.map(RunBlocked::word), anomalies, Some(now), None)?;
    let results = rows.into_iter().map(|row| row.result).collect();
    Ok(CheckOutcome { results, dialogues: outcome.dialogues, exit })
}
