//! Errors that end a job, and the exit codes of the program.
//!
//! A bad row is a verdict, not an error. An error says what happened, where, and, in its hint, what to do next.

use std::path::Path;

use crate::list::{ErrorClass, ListError};
use crate::policy::PolicyError;
use crate::route::ResolverSetupError;
use crate::state::StateError;
use crate::world::WorldError;

/// How a job ended. The numbers are the exit codes of the program, for cron and other schedulers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Finished. Bad addresses in the list are not an error.
    Finished,
    /// An internal error.
    Internal,
    /// The command line is wrong.
    Usage,
    /// Finished, with more unknown rows than allowed.
    TooManyUnknown,
    /// A quality gate failed.
    GateFailed,
    /// Stopped at a deadline or a budget.
    OutOfTime,
    /// Another run has locked the state.
    StateLocked,
    /// No connection gets out, or nearly every provider rejects us.
    Blocked,
    /// The input can't be read.
    Unreadable,
    /// An output can't be written.
    Unwritable,
    /// The network or the DNS is down.
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
            Exit::StateLocked => 11,
            Exit::Blocked => 12,
            Exit::Unreadable => 65,
            Exit::Unwritable => 74,
            Exit::NetworkDown => 75,
            Exit::Misconfigured => 78,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        }
    }
}

/// An error that ends a job.
#[non_exhaustive]
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
    /// Values that contradict each other or cannot be read.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The list can't be read, or an output can't be written.
    #[error(transparent)]
    List(#[from] ListError),
    /// A policy file is wrong.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A scripted world is wrong.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The state can't be opened or used.
    #[error(transparent)]
    State(#[from] StateError),
    /// No name server is configured.
    #[error(transparent)]
    Resolver(#[from] ResolverSetupError),
    /// Stdout, the metrics or a log can't be written.
    #[error("cannot write {what}: {source}")]
    Unwritable {
        /// What can't be written.
        what: String,
        /// What to do.
        hint: &'static str,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The run would find out little, so it did not begin.
    #[error("the run did not begin, because the preflight failed\n  {what}")]
    Unready {
        /// The checks that failed.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The job was canceled before it had any result.
    #[error("stopped before any answer arrived: no file was written or replaced")]
    Stopped {
        /// How the job ended.
        exit: Exit,
    },
    /// A call of the operating system failed.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The error of the operating system.
        source: std::io::Error,
    },
}

impl Error {
    /// Adds the file to an error of the state.
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
            Error::Setting { hint, .. } | Error::Usage { hint, .. } | Error::Unready { hint, .. } => {
                Some(hint.clone())
            }
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

    /// How a job with this error ended.
    pub fn exit(&self) -> Exit {
        match self {
            Error::State(StateError::Locked { .. }) => Exit::StateLocked,
            Error::State(fault) if fault.is_about_writing() => Exit::Unwritable,
            Error::Setting { .. } | Error::Policy(_) | Error::World(_) | Error::State(_) => {
                Exit::Misconfigured
            }
            Error::Usage { .. } => Exit::Usage,
            Error::Unready { .. } => Exit::Blocked,
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
