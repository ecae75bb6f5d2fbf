//! One or a few addresses: the same questions as for a list, answers as cards or as JSON.

use std::time::SystemTime;

use super::intake::{Intake, Seen};
use super::probing::{self, Job};
use super::progress::Progress;
use super::roster::Roster;
use super::stop::Stop;
use super::told;
use crate::address::Domain;
use crate::error::{Error, Exit};
use crate::run::clock::Clock;
use crate::run::found::Found;
use crate::settings::{Reach, Settings};
use crate::smtp::transcript::Transcript;
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
    roster: Roster,
    risky_roles: bool,
    now: SystemTime,
}

impl Offline {
    /// Looks by the lists of these settings.
    pub fn new(settings: &Settings) -> Result<Offline, Error> {
        Ok(Offline {
            intake: Intake::new(settings.policy()?.lists),
            found: Found::nothing(Unprobed::Offline),
            roster: Roster::default(),
            risky_roles: settings.risky_roles,
            now: Clock::system().now().wall,
        })
    }

    /// What the address shows.
    pub fn check(&mut self, text: &str) -> Record {
        told::record(&self.found, self.intake.look(text), &self.roster, self.risky_roles, self.now)
    }
}

/// Asks about some addresses.
pub async fn check(texts: &[String], settings: &Settings, trace: bool) -> Result<Checked, Error> {
    let (Reach::Dns(place) | Reach::Probe(place)) = &settings.reach else {
        let mut offline = Offline::new(settings)?;
        let records = texts.iter().map(|text| offline.check(text)).collect();
        return Ok(Checked { records, dialogues: Vec::new(), exit: Exit::Finished });
    };
    let policy = settings.policy()?;
    let mut intake = Intake::new(policy.lists);
    let mut roster = Roster::default();
    let seen: Vec<Seen> = texts.iter().map(|text| intake.look(text)).collect();
    for seen in &seen {
        if let Form::Fine(address) = &seen.form {
            roster.enter(address);
        }
    }
    let job = Job::of(settings, place, policy, trace)?;
    let stop = Stop::on_signals()?;
    let outcome = probing::ask(&job, roster.take_domains(), stop.clone(), &mut Progress::Quiet).await;
    let exit = outcome.early_exit(&stop).unwrap_or(Exit::Finished);
    let now = job.network.clock.now().wall;
    let record = |seen| told::record(&outcome.found, seen, &roster, settings.risky_roles, now);
    Ok(Checked { records: seen.into_iter().map(record).collect(), dialogues: outcome.dialogues, exit })
}
