//! One or a few addresses: the same questions as for a list, answers as cards or as JSON.

use std::time::Duration;

use super::analyze::{Analyzer, CellAnalysis};
use super::cancel::CancelToken;
use super::engine;
use super::probe_job::ProbeJob;
use super::progress::Progress;
use super::{judge, stateful_run};
use crate::address::Domain;
use crate::error::{Error, Exit};
use crate::evidence::{AddressStatus, NotProbedReason};
use crate::run::clock::Clock;
use crate::run::evidence_reader::{EvidenceReader, FactFilter, FactReader};
use crate::schedule::RunBlocked;
use crate::settings::{RunDepth, Settings};
use crate::smtp::Transcript;
use crate::state::{FreshnessPolicy, RunKey, State, StateError};
use crate::verdict::AddressResult;

/// What was found out about each address, in their order.
pub struct CheckOutcome {
    /// One record per address.
    pub records: Vec<AddressResult>,
    /// The dialogues, if they were asked for.
    pub dialogues: Vec<(Domain, Transcript)>,
    /// How it ends.
    pub exit: Exit,
}

/// Looks at addresses without asking anybody, each as it comes, so that a stream of them never ends up in memory.
pub struct OfflineChecker {
    analyzer: Analyzer,
    found: EvidenceReader,
    risky_roles: bool,
}

impl OfflineChecker {
    /// Looks by the lists of these settings.
    pub fn new(settings: &Settings) -> Result<OfflineChecker, Error> {
        Ok(OfflineChecker {
            analyzer: Analyzer::new(settings.policy()?.lists),
            found: EvidenceReader::without_facts(NotProbedReason::Offline, Clock::system().now().wall),
            risky_roles: settings.risky_roles,
        })
    }

    /// What the address shows.
    pub fn check(&mut self, text: &str) -> Result<AddressResult, Error> {
        Ok(judge::judge_row(&mut self.found, self.analyzer.analyze(text), self.risky_roles)?)
    }
}

/// Asks about some addresses.
pub async fn check(texts: &[String], settings: &Settings, trace: bool) -> Result<CheckOutcome, Error> {
    let (RunDepth::Dns(place) | RunDepth::Probe(place)) = &settings.reach else {
        let mut offline = OfflineChecker::new(settings)?;
        let records = texts.iter().map(|text| offline.check(text)).collect::<Result<_, _>>()?;
        return Ok(CheckOutcome { records, dialogues: Vec::new(), exit: Exit::Finished });
    };
    let policy = settings.policy()?;
    let mut analyzer = Analyzer::new(policy.lists);
    let seen: Vec<CellAnalysis> = texts.iter().map(|text| analyzer.analyze(text)).collect();
    let job = ProbeJob::of(settings, place, policy, trace)?;
    let stop = CancelToken::on_signals()?;
    // While a run holds the state it is read, and not written.
    let (mut state, held) = match stateful_run::open_state(settings, place, job.network.clock, &stop) {
        Err(Error::State(StateError::Locked { file, .. })) => {
            // One that is being made has nothing to tell yet.
            let held = State::read_only(&file, job.network.clock.now().wall).ok();
            if let Some(held) = &held {
                held.check_namespace(&file, &place.namespace()?)?;
            }
            (State::temporary()?, held)
        }
        state => (state?, None),
    };
    let now = job.network.clock.now().wall;
    let command = RunKey { identity: "check".to_owned(), input: "check".to_owned(), terms: String::new() };
    let run = state.begin(&command, Duration::ZERO, now, policy.lifetimes().run)?;
    // Who wants to see a dialogue wants a new one.
    let is_anew = settings.keeping.fresh || trace || job.dns_only;
    let fresh = if is_anew {
        FreshnessPolicy::nothing()
    } else {
        FreshnessPolicy::of(run.at, settings.keeping.max_age)
    };
    if let Some(held) = held.filter(|_| !is_anew) {
        state.import_from(&held, seen.iter().filter_map(|seen| seen.form.address()))?;
    }
    let mut worklist = state.build_worklist(run.id)?;
    for seen in &seen {
        if let AddressStatus::Valid(address) = &seen.form {
            worklist.add(address)?;
        }
    }
    worklist.finish(fresh)?;
    let outcome = engine::probe(&job, &mut state, run, fresh, stop.clone(), &mut Progress::Quiet).await?;
    let exit = outcome.early_exit(&stop).unwrap_or(Exit::Finished);
    let whole = outcome.conditions;
    let scope = FactFilter { policy, run: run.id, fresh, compared_run: None };
    let now = job.network.clock.now().wall;
    let mut found = EvidenceReader::new(FactReader::new(&state, scope)?, whole.clone(), now);
    let row = |seen| judge::row(&mut found, seen, settings.risky_roles);
    let rows = seen.into_iter().map(row).collect::<Result<Vec<_>, _>>()?;
    drop(found);
    // What the guards hold back must not come back as a fact.
    rows.iter().flat_map(|row| &row.update).try_for_each(|update| state.update_verdict(update))?;
    let anomalies = whole.anomalies.iter().map(|lane| &**lane);
    state.mark_reported(run.id)?;
    state.finish_run(run.id, now, whole.blocked.map(RunBlocked::word), anomalies, Some(now), None)?;
    let records = rows.into_iter().map(|row| row.result).collect();
    Ok(CheckOutcome { records, dialogues: outcome.dialogues, exit })
}
