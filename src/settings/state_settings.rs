//! Where facts are kept, and which of them may be used.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::file::FileSettings;
use super::{NetworkTarget, RunDepth, SMTP_PORT, Settings};
use crate::cli::ProbeArgs;
use crate::error::Error;
use crate::state::{NameHash, Namespace, State, default_file};
use crate::world::WorldError;

/// What is kept, and what that was kept is used.
#[derive(Clone, Debug, PartialEq)]
pub struct StateSettings {
    /// Where.
    pub kept: StateLocation,
    /// Nothing that is known is used, and no earlier run goes on.
    pub fresh: bool,
    /// Older facts are not used.
    pub max_age: Option<Duration>,
    /// Wait for another run that uses the state.
    pub wait_lock: bool,
}

/// Where facts are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateLocation {
    /// Until the run ends.
    Nowhere,
    /// In the usual place of their universe.
    Usual,
    /// In this file.
    In(PathBuf),
}

impl StateSettings {
    pub(super) fn of(typed: &ProbeArgs, files: &FileSettings) -> StateSettings {
        let named = typed.state.clone().or_else(|| files.state.clone().filter(|_| typed.world.is_none()));
        StateSettings {
            kept: match named {
                _ if typed.no_state => StateLocation::Nowhere,
                Some(file) => StateLocation::In(file),
                // A scripted world is for trying: the next run should show the same.
                None if typed.world.is_some() => StateLocation::Nowhere,
                None => StateLocation::Usual,
            },
            fresh: typed.fresh,
            max_age: typed.max_age.or(files.max_age),
            wait_lock: typed.wait_lock,
        }
    }
}

impl Settings {
    /// The file of the state; `None` where nothing is kept.
    pub fn state_file(&self, namespace: &Namespace) -> Result<Option<PathBuf>, Error> {
        Ok(match &self.keeping.kept {
            StateLocation::Nowhere => None,
            StateLocation::Usual => Some(default_file(namespace)?),
            StateLocation::In(file) => Some(file.clone()),
        })
    }

    /// The file of the state and those that come and go beside it; none where nothing is kept.
    pub fn state_files(&self) -> Result<Vec<PathBuf>, Error> {
        let (RunDepth::Dns(place) | RunDepth::Probe(place)) = &self.reach else {
            return Ok(Vec::new());
        };
        let files = |file: PathBuf| {
            ["", ".lock", "-wal", "-shm", "-journal"].map(|ending| {
                let mut name = file.clone().into_os_string();
                name.push(ending);
                PathBuf::from(name)
            })
        };
        Ok(self.state_file(&place.namespace()?)?.map(files).into_iter().flatten().collect())
    }

    /// Opens the state for a run at this place. Fails where another run holds it.
    pub fn open_state(&self, place: &NetworkTarget, now: SystemTime) -> Result<State, Error> {
        let namespace = place.namespace()?;
        Ok(match self.state_file(&namespace)? {
            None => State::temporary()?,
            Some(file) => State::open(&file, &namespace, now)?,
        })
    }
}

impl NetworkTarget {
    /// What facts found there are about.
    pub fn namespace(&self) -> Result<Namespace, Error> {
        Ok(match self {
            NetworkTarget::World { file, .. } => {
                let text = std::fs::read_to_string(file)
                    .map_err(|source| WorldError::Unreadable { path: file.display().to_string(), source })?;
                Namespace(format!("the world {:016x}", NameHash::of(&text)))
            }
            NetworkTarget::Internet { dns, smtp_port: SMTP_PORT, .. } if dns.is_empty() => {
                Namespace::internet()
            }
            NetworkTarget::Internet { dns, smtp_port, .. } => {
                let mut servers: Vec<String> = dns.iter().map(ToString::to_string).collect();
                servers.sort_unstable();
                let servers = if servers.is_empty() { "the system's".to_owned() } else { servers.join(", ") };
                Namespace(format!("name servers {servers}, mail servers at port {smtp_port}"))
            }
        })
    }
}
