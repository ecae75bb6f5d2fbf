//! What can stop a run, and the exit codes.
//!
//! Row trouble is no error but a verdict. An error says what happened, where, and, in its hint, what to do next.

use std::path::Path;

use crate::list::{ErrorClass, ListError};
use crate::policy::PolicyError;
use crate::route::ResolverSetupError;
use crate::state::StateError;
use crate::world::WorldError;

/// How a run ended, as schedulers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Finished. Bad addresses in the list are not an error.
    Finished,
    /// Something is wrong inside.
    Internal,
    /// The command line is wrong.
    Usage,
    /// Finished, with more unknowns than allowed.
    TooManyUnknown,
    /// A quality gate failed.
    GateFailed,
    /// Stopped at a deadline or a budget.
    OutOfTime,
    /// Another run holds the state.
    Held,
    /// We can't get out, or are refused everywhere.
    ShutOut,
    /// The input can't be read.
    Unreadable,
    /// An output can't be written.
    Unwritable,
    /// Network or DNS are down for everything.
    NetworkDown,
    /// The configuration is wrong or incomplete.
    Misconfigured,
    /// Interrupted (SIGINT) after everything known was written.
    Interrupted,
    /// Terminated (SIGTERM) after everything known was written.
    Terminated,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Finished => 0,
            Exit::Internal => 1,
            Exit::Usage => 2,
            Exit::TooManyUnknown => 3,
            Exit::GateFailed => 4,
            Exit::OutOfTime => 10,
            Exit::Held => 11,
            Exit::ShutOut => 12,
            Exit::Unreadable => 65,
            Exit::Unwritable => 74,
            Exit::NetworkDown => 75,
            Exit::Misconfigured => 78,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        }
    }
}

/// What stops a run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is missing or wrong.
    #[error("{message}")]
    Setting {
        /// What is wrong, with the setting's name.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A combination of flags that can't be meant.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The list can't be read, or the outputs not written.
    #[error(transparent)]
    List(#[from] ListError),
    /// A policy file is wrong.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A scripted world is wrong.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The state can't be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// No name servers.
    #[error(transparent)]
    Resolver(#[from] ResolverSetupError),
    /// What is no output of a list can't be written: stdout, metrics, a log.
    #[error("cannot write {what}: {source}")]
    Unwritable {
        /// What, or where to.
        what: String,
        /// What to do.
        hint: &'static str,
        /// The system's words.
        source: std::io::Error,
    },
    /// A signal ended it before there was anything to tell.
    #[error("stopped before there was anything to tell: no file was written or replaced")]
    Stopped {
        /// Which signal.
        exit: Exit,
    },
    /// The operating system refused something that listproof needs to work at all.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's words.
        source: std::io::Error,
    },
}

impl Error {
    /// The same, now that it is known in which file the state is.
    #[must_use]
    pub fn in_state(self, file: Option<&Path>) -> Error {
        match (self, file) {
            (Error::State(fault), Some(file)) => fault.at(file).into(),
            (error, _) => error,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Setting { hint, .. } | Error::Usage { hint, .. } => Some(hint.clone()),
            Error::Unwritable { hint, .. } => Some((*hint).to_owned()),
            Error::List(fault) => Some(fault.hint()),
            Error::Policy(fault) => Some(fault.hint.clone()),
            Error::World(fault) => Some(fault.hint()),
            Error::State(fault) => Some(fault.hint()),
            Error::Resolver(_) => {
                Some("name a resolver with `--dns ADDR`, or repair `/etc/resolv.conf`".to_owned())
            }
            Error::Stopped { .. } => Some("run the same command again".to_owned()),
            Error::System { .. } => None,
        }
    }

    /// The exit code's name.
    pub fn exit(&self) -> Exit {
        match self {
            Error::State(StateError::Locked { .. }) => Exit::Held,
            Error::State(fault) if fault.is_about_writing() => Exit::Unwritable,
            Error::Setting { .. } | Error::Policy(_) | Error::World(_) | Error::State(_) => {
                Exit::Misconfigured
            }
            Error::Usage { .. } => Exit::Usage,
            Error::Unwritable { .. } => Exit::Unwritable,
            Error::List(fault) => match fault.class() {
                ErrorClass::Usage => Exit::Usage,
                ErrorClass::Unreadable => Exit::Unreadable,
                ErrorClass::Unwritable => Exit::Unwritable,
            },
            Error::Resolver(_) => Exit::NetworkDown,
            Error::Stopped { exit } => *exit,
            Error::System { .. } => Exit::Internal,
        }
    }
}
