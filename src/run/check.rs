//! One or a few addresses: the same questions as for a list, answers as cards or as JSON.

use std::time::Duration;

use super::holder;
use super::intake::{Intake, Seen};
use super::probing::{self, Job};
use super::progress::Progress;
use super::stop::Stop;
use super::told;
use crate::address::Domain;
use crate::error::{Error, Exit};
use crate::run::clock::Clock;
use crate::run::found::{Facts, Found, Scope};
use crate::schedule::Shut;
use crate::settings::{Reach, Settings};
use crate::smtp::transcript::Transcript;
use crate::state::roster::Fresh;
use crate::state::runs::Command;
use crate::state::{State, StateError};
use crate::verdict::Record;
use crate::verdict::evidence::{Form, Unprobed};

/// What was found out about each address, in their order.
pub struct Checked {
    /// One record per address.
    pub records: Vec<Record>,
    /// The dialogues, if they were asked for.
    pub dialogues: Vec<(Domain, Transcript)>,
    /// How it ends.
    pub exit: Exit,
}

/// Looks at addresses without asking anybody, each as it comes, so that a stream of them never ends up in memory.
pub struct Offline {
    intake: Intake,
    found: Found,
    risky_roles: bool,
}

impl Offline {
    /// Looks by the lists of these settings.
    pub fn new(settings: &Settings) -> Result<Offline, Error> {
        Ok(Offline {
            intake: Intake::new(settings.policy()?.lists),
            found: Found::nothing(Unprobed::Offline, Clock::system().now().wall),
            risky_roles: settings.risky_roles,
        })
    }

    /// What the address shows.
    pub fn check(&mut self, text: &str) -> Result<Record, Error> {
        Ok(told::record(&mut self.found, self.intake.look(text), self.risky_roles)?)
    }
}

/// Asks about some addresses.
pub async fn check(texts: &[String], settings: &Settings, trace: bool) -> Result<Checked, Error> {
    let (Reach::Dns(place) | Reach::Probe(place)) = &settings.reach else {
        let mut offline = Offline::new(settings)?;
        let records = texts.iter().map(|text| offline.check(text)).collect::<Result<_, _>>()?;
        return Ok(Checked { records, dialogues: Vec::new(), exit: Exit::Finished });
    };
    let policy = settings.policy()?;
    let mut intake = Intake::new(policy.lists);
    let seen: Vec<Seen> = texts.iter().map(|text| intake.look(text)).collect();
    let job = Job::of(settings, place, policy, trace)?;
    let stop = Stop::on_signals()?;
    // While a run holds the state it is read, and not written.
    let (mut state, held) = match holder::open_state(settings, place, job.network.clock, &stop) {
        Err(Error::State(StateError::Held { file, .. })) => {
            // One that is being made has nothing to tell yet.
            let held = State::read_only(&file, job.network.clock.now().wall).ok();
            if let Some(held) = &held {
                held.must_be_about(&file, &place.universe()?)?;
            }
            (State::temporary()?, held)
        }
        state => (state?, None),
    };
    let now = job.network.clock.now().wall;
    let command = Command { identity: "check".to_owned(), input: "check".to_owned(), terms: String::new() };
    let run = state.begin(&command, Duration::ZERO, now, policy.lifetimes().run)?;
    // Who wants to see a dialogue wants a new one.
    let is_anew = settings.keeping.fresh || trace || job.dns_only;
    let fresh = if is_anew { Fresh::nothing() } else { Fresh::of(run.at, settings.keeping.max_age) };
    if let Some(held) = held.filter(|_| !is_anew) {
        state.borrow(&held, seen.iter().filter_map(|seen| seen.form.address()))?;
    }
    let mut arrivals = state.arrivals(run.id)?;
    for seen in &seen {
        if let Form::Fine(address) = &seen.form {
            arrivals.arrive(address)?;
        }
    }
    arrivals.close(fresh)?;
    let outcome = probing::ask(&job, &mut state, run, fresh, stop.clone(), &mut Progress::Quiet).await?;
    let exit = outcome.early_exit(&stop).unwrap_or(Exit::Finished);
    let whole = outcome.whole;
    let scope = Scope { policy, run: run.id, fresh, news: None };
    let now = job.network.clock.now().wall;
    let mut found = Found::of(Facts::of(&state, scope)?, whole.clone(), now);
    let row = |seen| told::row(&mut found, seen, settings.risky_roles);
    let rows = seen.into_iter().map(row).collect::<Result<Vec<_>, _>>()?;
    drop(found);
    // What the guards hold back must not come back as a fact.
    rows.iter().flat_map(|row| &row.retold).try_for_each(|retold| state.write_told(retold))?;
    let anomalies = whole.anomalies.iter().map(|lane| &**lane);
    state.has_told(run.id)?;
    state.end(run.id, now, whole.shut.map(Shut::word), anomalies, Some(now), None)?;
    let records = rows.into_iter().map(|row| row.record).collect();
    Ok(Checked { records, dialogues: outcome.dialogues, exit })
}
