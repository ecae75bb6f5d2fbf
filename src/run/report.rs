//! `report`: files and summary again, from what is known. Nobody is asked.
//!
//! Decides: which run is told about: the newest over this list that asked mail servers, else the newest that asked names. What servers said is read by the rules of today.

use std::path::Path;
use std::time::SystemTime;

use super::cancel::CancelToken;
use super::clock::Clock;
use super::evidence_reader::{EvidenceReader, FactFilter, FactReader};
use super::parallel;
use super::probe_job::RunConditions;
use super::stateful_run::identity;
use super::write_results::{ListJob, OpenJob, RunStats};
use crate::error::Error;
use crate::evidence::NotProbedReason;
use crate::policy::Policy;
use crate::report::Summary;
use crate::schedule::RunBlocked;
use crate::state::{FreshnessPolicy, State, StateError};

/// What is to be reported.
#[derive(Debug)]
pub struct ReportJob {
    /// The list, and what is to be written.
    pub listing: ListJob,
    /// The rules of today.
    pub policy: Policy,
    /// Role addresses are risky.
    pub risky_roles: bool,
    /// Also write today's judgements into the state.
    pub rejudge: bool,
}

/// Does it.
pub fn report(report: ReportJob, file: &Path) -> Result<Summary, Error> {
    let ReportJob { listing, policy, risky_roles, rejudge } = report;
    let clock = Clock::system();
    let mut state = if rejudge {
        State::of_owner(file, clock.now().wall)?
    } else {
        State::read_only(file, clock.now().wall)?
    };
    let list = listing.open()?;
    let how = listing.analyze_options(policy);
    let mut past = None;
    for dns_only in [false, true] {
        if past.is_none() {
            past = state.last_run(&identity(&list, how, dns_only)?)?.map(|past| (past, dns_only));
        }
    }
    let (past, dns_only) = past.ok_or(StateError::NoRun)?;
    let whole = RunConditions {
        not_probed: Some(if dns_only { NotProbedReason::DnsOnly } else { NotProbedReason::Deadline }),
        blocked: past.blocked.as_deref().and_then(RunBlocked::from_word),
        anomalies: past.anomalies.iter().map(|lane| lane.as_str().into()).collect(),
    };
    let run = past.run;
    let fresh = if dns_only { FreshnessPolicy::nothing() } else { FreshnessPolicy::of(run.at, None) };
    let now: SystemTime = past.ended.unwrap_or(clock.now().wall);
    let scope = FactFilter { policy, run: run.id, fresh, compared_run: None };
    let found = |facts| EvidenceReader::new(facts, whole.clone(), now);
    let founds =
        FactReader::several(&state, scope, parallel::many_workers(), false)?.into_iter().map(found).collect();
    let mut open = OpenJob::new(list, listing, policy, dns_only)?;
    // All of it, or nothing: it is soon told again.
    let stop = CancelToken::on_signals()?;
    open.write_results(risky_roles, founds, |otherwise| {
        stop.go_on()?;
        if rejudge {
            otherwise.verdicts.iter().try_for_each(|update| state.update_verdict(update))?;
        }
        Ok(())
    })?;
    state.commit()?;
    let still_to_probe = state.still_to_probe(run.id)?;
    open.finish(&RunStats { conditions: whole, still_to_probe, ..RunStats::default() })
}
