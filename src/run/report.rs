//! `report`: the files and the summary again, from stored facts. No server is contacted.
//!
//! Decides: which run is reported: the newest over this list that probed mail servers, else the newest that used only DNS.
//! Replies are classified by the current policy.

use std::path::Path;
use std::time::SystemTime;

use super::cancel::CancelToken;
use super::clock::Clock;
use super::evidence_reader::{EvidenceReader, FactFilter, FactReader};
use super::list_job::OpenedList;
use super::parallel;
use super::probe_job::RunConditions;
use super::stateful_run::identity;
use super::write_results::{OpenJob, RunStats};
use crate::error::Error;
use crate::evidence::NotProbedReason;
use crate::policy::Policy;
use crate::report::Summary;
use crate::schedule::RunBlocked;
use crate::state::{FreshnessPolicy, State, StateError};

/// How a report is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReportTerms {
    /// The current policy.
    pub(super) policy: Policy,
    /// Role accounts are risky.
    pub(super) risky_roles: bool,
    /// Also write today's verdicts into the state.
    pub(super) rejudge: bool,
}

/// Reports on a list from the state in this file.
pub(super) fn report(
    opened: OpenedList,
    file: &Path,
    terms: ReportTerms,
    cancel: &CancelToken,
) -> Result<Summary, Error> {
    let ReportTerms { policy, risky_roles, rejudge } = terms;
    let clock = Clock::system();
    let mut state = if rejudge {
        State::of_owner(file, clock.now().wall)?
    } else {
        State::read_only(file, clock.now().wall)?
    };
    let how = opened.analyze_options(policy);
    let mut past = None;
    for dns_only in [false, true] {
        if past.is_none() {
            past = state.last_run(&identity(&opened.list, &how, dns_only)?)?.map(|past| (past, dns_only));
        }
    }
    let (past, dns_only) = past.ok_or(StateError::NoRun)?;
    let conditions = RunConditions {
        not_probed: Some(if dns_only { NotProbedReason::DnsOnly } else { NotProbedReason::Deadline }),
        blocked: past.blocked.as_deref().and_then(RunBlocked::from_word),
        anomalies: past.anomalies.iter().map(|lane| lane.as_str().into()).collect(),
        unresolved: None,
    };
    let run = past.run;
    let fresh = if dns_only {
        FreshnessPolicy::nothing()
    } else {
        FreshnessPolicy::of(run.at, None, clock.now().wall)
    };
    let now: SystemTime = past.ended.unwrap_or(clock.now().wall);
    let filter = FactFilter { policy, run: run.id, fresh, compared_run: None };
    let reader = |facts| EvidenceReader::new(facts, conditions.clone(), now);
    let readers = FactReader::several(&state, filter, parallel::many_workers(), false)?
        .into_iter()
        .map(reader)
        .collect();
    let mut open = OpenJob::new(opened, policy, dns_only)?;
    // A part of the report is useless, and all of it is quickly made again: a canceled job writes nothing.
    open.write_results(risky_roles, readers, |updates| {
        cancel.check()?;
        if rejudge {
            updates.verdicts.iter().try_for_each(|update| state.update_verdict(update))?;
        }
        Ok(())
    })?;
    state.commit()?;
    let still_to_probe = state.still_to_probe(run.id)?;
    open.finish(&RunStats {
        conditions,
        still_to_probe,
        ended: Some(clock.now().wall),
        ..RunStats::default()
    })
}
