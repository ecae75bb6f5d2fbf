//! Where a value of a setting was written, for errors.
//!
//! Decides: how an error names a wrong value: as the flag, the variable, or the line of the file that sets it.

use std::path::PathBuf;

use crate::error::Error;

/// Where a value was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// As a flag, or by a program that uses the library.
    #[default]
    Flag,
    /// In the environment.
    Variable,
    /// In a settings file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// Where the values of a layer were written that are checked only when all layers are merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// Of the HELO names.
    pub helo: Origin,
    /// Of the envelope senders.
    pub mail_from: Origin,
    /// Of the name servers.
    pub dns: Origin,
    /// Of source addresses and proxies.
    pub egress: Origin,
}

impl Origins {
    /// All values of one source that has no lines.
    pub(super) fn all(origin: &Origin) -> Origins {
        let of = || origin.clone();
        Origins { helo: of(), mail_from: of(), dns: of(), egress: of() }
    }
}

impl Origin {
    /// The error about a wrong value of the setting `key`, which is the long flag with underscores.
    pub(super) fn fault(&self, key: &str, value: &str, what: &str, hint: &str) -> Error {
        let flag = format!("--{}", key.replace('_', "-"));
        let (message, hint) = match self {
            Origin::Flag => (format!("`{flag} {value}` {what}"), hint.to_owned()),
            Origin::Variable => (
                format!("`LISTPROOF_{}={value}` in the environment {what}", key.to_uppercase()),
                format!("{hint}; `{flag}` wins over the environment"),
            ),
            Origin::File { path, line } => {
                (format!("{}:{line}: `{key} = \"{value}\"` {what}", path.display()), hint.to_owned())
            }
        };
        Error::Setting { message, hint }
    }
}
