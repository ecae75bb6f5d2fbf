//! What is known about the world, as data: operators, reply rules, word lists.
//!
//! Each kind of data has a loader that refuses what it does not understand and names the file and the line. Code here
//! knows mechanisms only: no provider, no server program and no wording stands in it. A user's folder (`--policy DIR`)
//! adds to the shipped data or replaces entries by id.

pub mod lists;
pub mod providers;
pub mod replies;

pub use providers::{Limits, Manners, Pace, Provider, Providers};

/// Why a policy file was refused: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct PolicyError {
    /// The file, as it was named by the user; built-in files carry their name in the source tree.
    pub file: String,
    /// Line in the file, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to do next.
    pub hint: String,
}

impl PolicyError {
    /// An error of the TOML reader, with its line.
    pub fn toml(file: &str, text: &str, fault: &toml::de::Error) -> PolicyError {
        PolicyError {
            file: file.to_owned(),
            line: fault.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1),
            what: fault.message().to_owned(),
            hint: "the head of the shipped file says which keys there are and what they mean".to_owned(),
        }
    }
}
