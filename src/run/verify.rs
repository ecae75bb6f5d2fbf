//! The main job: a list in, verdicts and a cleaned list out.
//!
//! Where the world is asked, a first pass over the list gathers the distinct addresses ([`super::stateful_run`]). The last pass,
//! `--offline` the only one, judges and writes every row ([`super::write_results`]).

use std::iter::repeat_with;

use super::cancel::CancelToken;
use super::clock::Clock;
use super::evidence_reader::EvidenceReader;
use super::parallel;
use super::stateful_run::StatefulRun;
use super::write_results::{ListJob, OpenJob, RunStats};
use crate::error::{Error, Exit};
use crate::evidence::NotProbedReason;
use crate::list::List;
use crate::report::Summary;
use crate::settings::{NetworkTarget, RunDepth, Settings, StateLocation};

/// What is to be done.
#[derive(Debug)]
pub struct VerifyJob {
    /// The list, and what is to be written.
    pub listing: ListJob,
    /// How the world is asked.
    pub settings: Settings,
    /// Tell nothing but errors.
    pub quiet: bool,
}

/// Does it.
pub async fn verify(verify: VerifyJob) -> Result<Summary, Error> {
    let VerifyJob { listing, settings, quiet } = verify;
    if listing.changed_only && settings.keeping.kept == StateLocation::Nowhere {
        return Err(Error::Usage {
            message: "`--changed-only` compares with what was told before, and `--world` keeps nothing"
                .to_owned(),
            hint: "name a file for it with `--state FILE`".to_owned(),
        });
    }
    let list = listing.open()?;
    // From here on a signal ends the run cleanly, whatever it is about.
    let stop = CancelToken::on_signals()?;
    match &settings.reach {
        RunDepth::Offline => {
            offline(OpenJob::new(list, listing, settings.policy()?, true)?, &settings, &stop)
        }
        RunDepth::Dns(place) | RunDepth::Probe(place) => {
            let file = settings.state_file(&place.namespace()?)?;
            let told = asked(list, listing, &settings, place, stop, quiet).await;
            told.map_err(|error| error.in_state(file.as_deref()))
        }
    }
}

fn offline(mut open: OpenJob, settings: &Settings, stop: &CancelToken) -> Result<Summary, Error> {
    let clock = Clock::system();
    let nothing = || EvidenceReader::without_facts(NotProbedReason::Offline, clock.now().wall);
    let nothing = repeat_with(nothing).take(parallel::worker_count()).collect();
    // Half a list is no list, and all of it is soon told again.
    open.write_results(settings.risky_roles, nothing, |_| stop.go_on())?;
    open.finish(&RunStats { took: clock.now().elapsed, ..RunStats::default() })
}

async fn asked(
    list: List,
    listing: ListJob,
    settings: &Settings,
    place: &NetworkTarget,
    stop: CancelToken,
    quiet: bool,
) -> Result<Summary, Error> {
    // A state that can't be used is found before anything is written.
    let mut asking = StatefulRun::begin(settings, place, &list, &listing, &stop)?;
    let unprobed = matches!(settings.reach, RunDepth::Dns(_));
    let mut open = OpenJob::new(list, listing, settings.policy()?, unprobed)?;
    let outcome = asking.probe(&open.list, open.how, stop.clone(), quiet).await?;
    let still_to_probe = asking.still_to_probe()?;
    let found = asking.evidence_readers(&outcome.conditions, parallel::many_workers())?;
    let age = open.write_results(settings.risky_roles, found, |otherwise| asking.record(otherwise))?;
    // Whoever a cap left over waits for another day.
    let left_over = (still_to_probe > 0).then_some(Exit::OutOfTime);
    let summary = open.finish(&RunStats {
        exit: outcome.early_exit(&stop).or(left_over),
        conditions: outcome.conditions.clone(),
        counts: outcome.counts,
        events: outcome.events.clone(),
        took: asking.now().elapsed,
        still_to_probe,
        out_of_time: outcome.out_of_time,
    })?;
    // After the outputs: what they don't tell was not told.
    asking.finish(&outcome, age)?;
    Ok(summary)
}
