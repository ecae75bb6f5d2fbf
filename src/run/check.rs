//! One or a few addresses: the same questions as for a list, answers as cards or as JSON.

use std::sync::Arc;

use super::intake::look;
use super::network::Network;
use super::probing::{self, Job};
use super::progress::Progress;
use super::roster::Roster;
use super::stop::Stop;
use super::{sockets, told};
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

/// Asks about some addresses.
pub async fn check(texts: &[String], settings: &Settings, trace: bool) -> Result<Checked, Error> {
    let policy = settings.policy()?;
    let mut roster = Roster::default();
    for text in texts {
        if let Form::Fine(address) = look(text, policy.lists).form {
            roster.enter(&address);
        }
    }
    let (mut found, mut dialogues, mut exit) =
        (Found::nothing(Unprobed::Offline), Vec::new(), Exit::Finished);
    let clock = match &settings.reach {
        Reach::Offline => Clock::system(),
        Reach::Dns(place) | Reach::Probe(place) => {
            let network = Arc::new(Network::of(place)?);
            let clock = network.clock;
            let job = Job {
                network,
                policy,
                dns_only: matches!(settings.reach, Reach::Dns(_)),
                pace: settings.pace,
                max_wait: settings.max_wait,
                max_duration: settings.max_duration,
                sessions: sockets::available(),
                trace,
            };
            let stop = Stop::on_signals()?;
            let outcome = probing::ask(&job, roster.take_domains(), stop.clone(), &mut Progress::Quiet).await;
            exit = match stop.wished() {
                Some(exit) => exit,
                None if outcome.found.shut.is_some() => Exit::ShutOut,
                None if outcome.out_of_time => Exit::OutOfTime,
                None => Exit::Finished,
            };
            (found, dialogues) = (outcome.found, outcome.dialogues);
            clock
        }
    };
    let now = clock.now().wall;
    let judge = |text: &String| {
        told::record(
            &found,
            look(text, policy.lists),
            &roster,
            settings.risky_roles,
            now,
        )
    };
    Ok(Checked {
        records: texts.iter().map(judge).collect(),
        dialogues,
        exit,
    })
}
