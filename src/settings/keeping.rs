//! Where facts are kept, and which of them may be used.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::file::FileSettings;
use super::{Place, Reach, SMTP_PORT, Settings};
use crate::cli::Probing;
use crate::error::Error;
use crate::state::{Key, State, Universe, default_file};
use crate::world::WorldError;

/// What is kept, and what that was kept is used.
#[derive(Clone, Debug, PartialEq)]
pub struct Keeping {
    /// Where.
    pub kept: Kept,
    /// Nothing that is known is used, and no earlier run goes on.
    pub fresh: bool,
    /// Older facts are not used.
    pub max_age: Option<Duration>,
    /// Wait for another run that uses the state.
    pub wait_lock: bool,
}

/// Where facts are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Until the run ends.
    Nowhere,
    /// In the usual place of their universe.
    Usual,
    /// In this file.
    In(PathBuf),
}

impl Keeping {
    pub(super) fn of(typed: &Probing, files: &FileSettings) -> Keeping {
        let named = typed.state.clone().or_else(|| files.state.clone().filter(|_| typed.world.is_none()));
        Keeping {
            kept: match named {
                _ if typed.no_state => Kept::Nowhere,
                Some(file) => Kept::In(file),
                // A scripted world is for trying: the next run should show the same.
                None if typed.world.is_some() => Kept::Nowhere,
                None => Kept::Usual,
            },
            fresh: typed.fresh,
            max_age: typed.max_age.or(files.max_age),
            wait_lock: typed.wait_lock,
        }
    }
}

impl Settings {
    /// The file of the state; `None` where nothing is kept.
    pub fn state_file(&self, universe: &Universe) -> Result<Option<PathBuf>, Error> {
        Ok(match &self.keeping.kept {
            Kept::Nowhere => None,
            Kept::Usual => Some(default_file(universe)?),
            Kept::In(file) => Some(file.clone()),
        })
    }

    /// The file of the state and those that come and go beside it; none where nothing is kept.
    pub fn state_files(&self) -> Result<Vec<PathBuf>, Error> {
        let (Reach::Dns(place) | Reach::Probe(place)) = &self.reach else {
            return Ok(Vec::new());
        };
        let files = |file: PathBuf| {
            ["", ".lock", "-wal", "-shm", "-journal"].map(|ending| {
                let mut name = file.clone().into_os_string();
                name.push(ending);
                PathBuf::from(name)
            })
        };
        Ok(self.state_file(&place.universe()?)?.map(files).into_iter().flatten().collect())
    }

    /// Opens the state for a run at this place. Fails where another run holds it.
    pub fn open_state(&self, place: &Place, now: SystemTime) -> Result<State, Error> {
        let universe = place.universe()?;
        Ok(match self.state_file(&universe)? {
            None => State::temporary()?,
            Some(file) => State::open(&file, &universe, now)?,
        })
    }
}

impl Place {
    /// What facts found there are about.
    pub fn universe(&self) -> Result<Universe, Error> {
        Ok(match self {
            Place::World { file, .. } => {
                let text = std::fs::read_to_string(file)
                    .map_err(|source| WorldError::Unreadable { path: file.display().to_string(), source })?;
                Universe(format!("the world {:016x}", Key::of(&text)))
            }
            Place::Internet { dns, smtp_port: SMTP_PORT, .. } if dns.is_empty() => Universe::internet(),
            Place::Internet { dns, smtp_port, .. } => {
                let mut servers: Vec<String> = dns.iter().map(ToString::to_string).collect();
                servers.sort_unstable();
                let servers = if servers.is_empty() { "the system's".to_owned() } else { servers.join(", ") };
                Universe(format!("name servers {servers}, mail servers at port {smtp_port}"))
            }
        })
    }
}
