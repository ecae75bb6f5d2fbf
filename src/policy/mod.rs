//! What is known about the world, as data: operators, reply rules, word lists.
//!
//! Loaders fail with file and line; a user's folder (`--policy DIR`) adds to the shipped data or replaces entries by id.

pub mod providers;
pub mod replies;

pub use providers::{Limits, Manners, Pace, Provider, Providers};

/// A policy file that can't be used: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {message}", line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct PolicyError {
    /// The file, as it was named.
    pub file: String,
    /// Line in it, from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do next.
    pub hint: String,
}

impl PolicyError {
    /// An error at a line of a file.
    pub fn new(
        file: &str,
        line: Option<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> PolicyError {
        PolicyError {
            file: file.to_owned(),
            line,
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// An error of the TOML reader, with its line.
    pub fn toml(file: &str, text: &str, fault: &toml::de::Error) -> PolicyError {
        let line = fault
            .span()
            .map(|span| text[..span.start].matches('\n').count() + 1);
        PolicyError::new(
            file,
            line,
            fault.message(),
            "see the head of the shipped file for the keys and what they mean",
        )
    }
}
