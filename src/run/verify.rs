//! The main job: a list in, verdicts and a cleaned list out.
//!
//! Where the world is asked, a first pass over the list gathers the distinct addresses. The last pass, `--offline` the
//! only one, judges and writes every row. Memory holds addresses and answers, never rows.

use std::collections::BTreeMap;

use super::ahead;
use super::found::Found;
use super::intake::{Intake, Look};
use super::probing::{self, Asked, Job, Outcome};
use super::progress::Progress;
use super::repeats::Repeats;
use super::roster::Roster;
use super::stop::Stop;
use super::told;
use crate::address::Address;
use crate::error::Error;
use crate::list::batch::Batch;
use crate::list::{Composed, Entry, List, Outputs, ReadOptions, Source, Target, WriteOptions};
use crate::report::{Gates, Summary};
use crate::run::clock::Clock;
use crate::settings::{Reach, Settings};
use crate::verdict::evidence::{Form, Unprobed};

/// What is to be done.
#[derive(Debug)]
pub struct Verify {
    /// The list.
    pub source: Source,
    /// How it is read.
    pub reading: ReadOptions,
    /// Where the results go; `None` is the folder named after the list.
    pub target: Option<Target>,
    /// How they are written.
    pub writing: WriteOptions,
    /// Put addresses right that can't work as they are typed.
    pub apply_suggestions: bool,
    /// When a finished run counts as failed.
    pub gates: Gates,
    /// How the world is asked.
    pub settings: Settings,
    /// Tell nothing but errors.
    pub quiet: bool,
}

/// Does it.
pub async fn verify(verify: Verify) -> Result<Summary, Error> {
    let Settings { reach, risky_roles, .. } = &verify.settings;
    let policy = verify.settings.policy()?;
    let list = crate::list::open(&verify.source, &verify.reading)?;
    let form = list.form().clone();
    tracing::info!(event = "list", "{}: {}", form.name, form.sentence());
    let target = verify.target.unwrap_or_else(|| Target::Folder(form.default_folder()));
    let mut writing = verify.writing;
    writing.unprobed = !matches!(reach, Reach::Probe(_));
    writing.originals = verify.apply_suggestions;
    let mut outputs = Outputs::create(&target, &form, &writing)?;
    if let Some(warning) = outputs.warning() {
        tracing::warn!(event = "columns", "{warning}");
    }

    let how = Look { lists: policy.lists, apply_suggestions: verify.apply_suggestions };
    // From here on a signal ends the run cleanly, also while the list is still being read.
    let stop = Stop::on_signals()?;
    let mut roster = Roster::default();
    if !matches!(reach, Reach::Offline) {
        gather(&list, how, &mut roster)?;
    }
    let (outcome, clock) = match reach {
        Reach::Offline => (unasked(), Clock::system()),
        Reach::Dns(place) | Reach::Probe(place) => {
            let job = Job::of(&verify.settings, place, policy, false)?;
            let mut progress = Progress::of(roster.len() as u64, verify.quiet);
            let domains = roster.take_domains();
            (probing::ask(&job, domains, stop.clone(), &mut progress).await, job.network.clock)
        }
    };

    let now = clock.now();
    let mut repeats = Repeats::of(&list, how);
    let (keys, compose) = (repeats.keys(), outputs.composer());
    let judge = |intake: &mut Intake, batch: &Batch| {
        let mut composed = Composed::default();
        for entry in batch.entries() {
            match entry {
                Entry::Rejected(rejected) => composed.reject(rejected),
                Entry::Row(row) => {
                    let mut seen = intake.look(row.address());
                    let repaired = seen.repaired.take();
                    let key = seen.form.address().map(|address| keys.of(address));
                    let record = told::record(&outcome.found, seen, &roster, *risky_roles, now.wall);
                    compose.row(&row, &record, repaired.as_deref(), key, &mut composed);
                }
            }
        }
        composed
    };
    ahead::each(&list, how, judge, |composed| {
        let firsts = repeats.first_of(composed.keys())?;
        Ok(outputs.write_all(&composed, &firsts)?)
    })?;
    let finished = outputs.finish()?;
    let exit = outcome.early_exit(&stop).unwrap_or_else(|| verify.gates.exit(&finished.counts));
    let summary = Summary {
        input: form.name.clone(),
        form: form.sentence(),
        asked: outcome.asked,
        decisions: outcome.decisions,
        took: now.elapsed,
        unprobed: writing.unprobed,
        shut: outcome.found.shut,
        exit,
        folder: match &target {
            Target::Folder(folder) => Some(folder.display().to_string()),
            Target::File(_) | Target::Stdout => None,
        },
        stem: form.stem(),
        counts: finished.counts.clone(),
    };
    finished.summary(summary.json().as_bytes())?;
    Ok(summary)
}

/// The first pass: who is to be asked about.
fn gather(list: &List, how: Look, roster: &mut Roster) -> Result<(), Error> {
    let addresses = |intake: &mut Intake, batch: &Batch| {
        let fine = batch.entries().filter_map(|entry| match entry {
            Entry::Row(row) => match intake.look(row.address()).form {
                Form::Fine(address) => Some(address),
                _ => None,
            },
            Entry::Rejected(_) => None,
        });
        fine.collect::<Vec<Address>>()
    };
    ahead::each(list, how, addresses, |addresses| {
        for address in &addresses {
            roster.enter(address);
        }
        Ok(())
    })
}

fn unasked() -> Outcome {
    Outcome {
        found: Found::nothing(Unprobed::Offline),
        dialogues: Vec::new(),
        asked: Asked::default(),
        decisions: BTreeMap::new(),
        out_of_time: false,
    }
}
