//! The main job: a list in, verdicts and a cleaned list out.
//!
//! Where the network is used, a first pass over the list gathers the distinct recipients and probes them
//! ([`super::stateful_run`]). The last pass, offline the only one, judges and writes every row
//! ([`super::write_results`]).

use std::iter::repeat_with;

use super::cancel::CancelToken;
use super::clock::Clock;
use super::evidence_reader::EvidenceReader;
use super::list_job::OpenedList;
use super::network::NetworkJob;
use super::parallel;
use super::progress::Progress;
use super::stateful_run::StatefulRun;
use super::write_results::{OpenJob, RunStats};
use crate::error::{Error, Exit};
use crate::evidence::NotProbedReason;
use crate::policy::Policy;
use crate::report::Summary;
use crate::settings::{RunDepth, Settings, StateLocation};

/// Verifies a list without any network.
pub(super) fn verify_offline(
    opened: OpenedList,
    settings: &Settings,
    policy: Policy,
    cancel: &CancelToken,
) -> Result<Summary, Error> {
    needs_a_state_for_changes(&opened, settings)?;
    let mut open = OpenJob::new(opened, policy, true)?;
    let clock = Clock::system();
    let reader = || EvidenceReader::without_facts(NotProbedReason::Offline, clock.now().wall);
    let readers = repeat_with(reader).take(parallel::worker_count()).collect();
    // A part of the list is useless, and all of it is quickly judged again: a canceled job writes nothing.
    open.write_results(settings.risky_roles, readers, |_| cancel.check())?;
    let now = clock.now();
    open.finish(&RunStats { took: now.elapsed, ended: Some(now.wall), ..RunStats::default() })
}

/// Verifies a list over the network.
pub(super) async fn verify(
    opened: OpenedList,
    job: NetworkJob<'_>,
    progress: &mut (dyn FnMut(Progress) + Send),
    cancel: &CancelToken,
) -> Result<Summary, Error> {
    needs_a_state_for_changes(&opened, job.settings)?;
    let file = job.settings.state_file(&job.target.namespace()?)?;
    let verified = verify_with_state(opened, job, progress, cancel).await;
    verified.map_err(|error| error.in_state(file.as_deref()))
}

fn needs_a_state_for_changes(opened: &OpenedList, settings: &Settings) -> Result<(), Error> {
    if opened.job.changed_only && settings.state.location == StateLocation::Nowhere {
        return Err(Error::Usage {
            message: "`--changed-only` compares with the last reported results, and `--world` keeps none"
                .to_owned(),
            hint: "name a file for them with `--state FILE`".to_owned(),
        });
    }
    Ok(())
}

async fn verify_with_state(
    opened: OpenedList,
    job: NetworkJob<'_>,
    progress: &mut (dyn FnMut(Progress) + Send),
    cancel: &CancelToken,
) -> Result<Summary, Error> {
    let (policy, risky_roles) = (job.policy, job.settings.risky_roles);
    let is_unprobed = matches!(job.settings.depth, RunDepth::Dns(_));
    opened.profile(policy)?;
    // A state that cannot be used is found before any output is created.
    let mut run = StatefulRun::begin(job, &opened, cancel)?;
    let mut open = OpenJob::new(opened, policy, is_unprobed)?;
    let outcome = run.probe(&open.list, &open.how, cancel, progress).await?;
    progress(Progress::Writing);
    let still_to_probe = run.still_to_probe()?;
    let readers = run.evidence_readers(&outcome.conditions, parallel::many_workers())?;
    let validity = open.write_results(risky_roles, readers, |updates| run.record(updates))?;
    // Recipients that a limit left over wait for a later run.
    let left_over = (still_to_probe > 0).then_some(Exit::OutOfTime);
    let summary = open.finish(&RunStats {
        exit: outcome.early_exit(cancel).or(left_over),
        conditions: outcome.conditions.clone(),
        counts: outcome.counts,
        events: outcome.events.clone(),
        rejections: outcome.rejections.clone(),
        forced: outcome.forced.clone(),
        took: run.now().elapsed,
        ended: Some(run.now().wall),
        still_to_probe,
        out_of_time: outcome.out_of_time,
    })?;
    // After the outputs are in place: what they do not hold was not reported.
    run.finish(&outcome, validity)?;
    Ok(summary)
}
