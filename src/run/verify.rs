//! The main job: a list in, verdicts and a cleaned list out.
//!
//! Where the world is asked, a first pass over the list gathers the distinct addresses. The last pass, `--offline` the
//! only one, judges and writes every row. Memory holds neither rows nor addresses nor answers: those are in the state.

use std::collections::BTreeMap;

use super::ahead;
use super::found::{Facts, Found, Whole};
use super::intake::{Intake, Look};
use super::probing::{self, Asked, Job, Outcome};
use super::progress::Progress;
use super::repeats::Repeats;
use super::stop::Stop;
use super::told;
use crate::address::Address;
use crate::error::Error;
use crate::list::batch::Batch;
use crate::list::{Composed, Entry, List, Outputs, ReadOptions, Source, Target, WriteOptions};
use crate::policy::Policy;
use crate::report::{Gates, Summary};
use crate::run::clock::Clock;
use crate::settings::{Place, Reach, Settings};
use crate::state::State;
use crate::state::recall::Recall;
use crate::state::roster::Fresh;
use crate::state::runs::Begun;
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
    let mut asking = match reach {
        Reach::Offline => None,
        Reach::Dns(place) | Reach::Probe(place) => {
            Some(Asking::begin(&verify.settings, place, policy, &list, how)?)
        }
    };
    let outcome = match &mut asking {
        None => unasked(),
        Some(asking) => asking.ask(&list, how, stop.clone(), verify.quiet).await?,
    };
    let now = match &asking {
        None => Clock::system().now(),
        Some(asking) => asking.job.network.clock.now(),
    };
    let mut repeats = Repeats::of(&list, how);
    let (keys, compose) = (repeats.keys(), outputs.composer());
    let judges = ahead::hands(|| {
        let found = match &asking {
            None => Found::nothing(Unprobed::Offline, now.wall),
            Some(asking) => asking.found(outcome.whole.clone())?,
        };
        Ok::<_, Error>(Judge { intake: Intake::new(how), found })
    })?;
    let judge = |judge: &mut Judge, batch: &Batch, composed: &mut Composed| {
        composed.clear();
        for entry in batch.entries() {
            match entry {
                Entry::Rejected(rejected) => composed.reject(rejected),
                Entry::Row(row) => {
                    let mut seen = judge.intake.look(row.address());
                    let repaired = seen.repaired.take();
                    let key = seen.form.address().map(|address| keys.of(address));
                    let record = told::record(&mut judge.found, seen, *risky_roles)?;
                    compose.row(&row, &record, repaired.as_deref(), key, composed);
                }
            }
        }
        Ok(())
    };
    ahead::each(&list, judges, judge, |composed| {
        let firsts = repeats.first_of(composed.keys())?;
        Ok(outputs.write_all(composed, &firsts)?)
    })?;
    if let Some(asking) = &mut asking {
        asking.end(&outcome)?;
    }
    let finished = outputs.finish()?;
    let exit = outcome.early_exit(&stop).unwrap_or_else(|| verify.gates.exit(&finished.counts));
    let summary = Summary {
        input: form.name.clone(),
        form: form.sentence(),
        asked: outcome.asked,
        decisions: outcome.decisions,
        took: now.elapsed,
        unprobed: writing.unprobed,
        shut: outcome.whole.shut,
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

/// What a worker judges rows with.
struct Judge {
    intake: Intake,
    found: Found,
}

/// A run that asks, with its state.
struct Asking {
    job: Job,
    state: State,
    run: Begun,
    fresh: Fresh,
}

impl Asking {
    fn begin(
        settings: &Settings,
        place: &Place,
        policy: Policy,
        list: &List,
        how: Look,
    ) -> Result<Asking, Error> {
        let job = Job::of(settings, place, policy, false)?;
        let now = job.network.clock.now().wall;
        let mut state = settings.open_state(place, now)?;
        let far = if job.dns_only { "names" } else { "mailboxes" };
        let applied = if how.apply_suggestions { " applied" } else { "" };
        let identity = format!("{} {far}{applied}", list.identity()?);
        let run = state.begin(&identity, &list.form().name, settings.keeping.fresh, now)?;
        let fresh = if settings.keeping.fresh || job.dns_only {
            Fresh::nothing()
        } else {
            Fresh::of(run.at, settings.keeping.max_age)
        };
        Ok(Asking { job, state, run, fresh })
    }

    /// The first pass gathers who is to be asked about, unless an earlier process did so; then they are asked.
    async fn ask(&mut self, list: &List, how: Look, stop: Stop, quiet: bool) -> Result<Outcome, Error> {
        if !self.run.gathered {
            let mut arrivals = self.state.arrivals(self.run.id)?;
            let addresses = |intake: &mut Intake, batch: &Batch, addresses: &mut Vec<Address>| {
                addresses.clear();
                addresses.extend(batch.entries().filter_map(|entry| match entry {
                    Entry::Row(row) => match intake.look(row.address()).form {
                        Form::Fine(address) => Some(address),
                        _ => None,
                    },
                    Entry::Rejected(_) => None,
                }));
                Ok(())
            };
            ahead::each(list, ahead::intakes(how), addresses, |addresses| {
                Ok(addresses.iter().try_for_each(|address| arrivals.arrive(address))?)
            })?;
            arrivals.close(self.fresh)?;
        }
        let mut progress = Progress::of(self.state.still_to_ask(self.run.id)?, quiet);
        probing::ask(&self.job, &mut self.state, self.run, self.fresh, stop, &mut progress).await
    }

    fn found(&self, whole: Whole) -> Result<Found, Error> {
        let policy = self.job.policy;
        let recall = Recall::of(self.state.reader()?, policy);
        let facts = Facts { recall, policy, run: self.run.id, fresh: self.fresh };
        Ok(Found::of(facts, whole, self.job.network.clock.now().wall))
    }

    /// Ends the run, unless somebody is still to be asked in it: then the same command goes on with it.
    fn end(&mut self, outcome: &Outcome) -> Result<(), Error> {
        if outcome.whole.shut.is_some() || self.state.still_to_ask(self.run.id)? == 0 {
            self.state.end(self.run.id, self.job.network.clock.now().wall)?;
        }
        Ok(())
    }
}

fn unasked() -> Outcome {
    Outcome {
        whole: Whole { unprobed: Some(Unprobed::Offline), ..Whole::default() },
        dialogues: Vec::new(),
        asked: Asked::default(),
        decisions: BTreeMap::new(),
        out_of_time: false,
    }
}
