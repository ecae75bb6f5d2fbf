//! What is known about the world, as data: operators, reply rules, thresholds, word lists.
//!
//! Each kind of data has a loader that refuses what it does not understand and names the file and the line. Code here
//! knows mechanisms only: no provider, no server program and no wording stands in it. A user's folder (`--policy DIR`)
//! adds to the shipped data or replaces entries by id.

mod lifetimes;
mod lists;
mod providers;
mod replies;
mod thresholds;

use std::io::ErrorKind;
use std::path::Path;

use lifetimes::Lifetimes;
use lists::AddressLists;
pub use providers::{Pace, Provider, Providers, RateLimits, SessionLimits};
use replies::{ReplyRules, RuleFile};
pub use thresholds::Thresholds;

/// Everything that is known. What comes with the program is read when it is first needed: an offline run reads no reply.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    own_providers: Option<&'static Providers>,
    own_replies: Option<&'static ReplyRules>,
    own_lifetimes: Option<&'static Lifetimes>,
    own_thresholds: Option<&'static Thresholds>,
    /// Which words and domains are special.
    pub lists: &'static AddressLists,
}

impl Policy {
    /// What comes with the program.
    pub fn built_in() -> Policy {
        Policy {
            own_providers: None,
            own_replies: None,
            own_lifetimes: None,
            own_thresholds: None,
            lists: AddressLists::built_in(),
        }
    }

    /// Who runs which hosts, and how gently they are asked.
    pub fn providers(&self) -> &'static Providers {
        self.own_providers.unwrap_or_else(Providers::built_in)
    }

    /// What replies mean.
    pub fn replies(&self) -> &'static ReplyRules {
        self.own_replies.unwrap_or_else(ReplyRules::built_in)
    }

    /// How long facts hold.
    pub fn lifetimes(&self) -> &'static Lifetimes {
        self.own_lifetimes.unwrap_or_else(Lifetimes::built_in)
    }

    /// When a run draws a conclusion.
    pub fn thresholds(&self) -> &'static Thresholds {
        self.own_thresholds.unwrap_or_else(Thresholds::built_in)
    }

    /// What comes with the program, changed by a user's folder if there is one.
    pub fn of(folder: Option<&Path>) -> Result<Policy, PolicyError> {
        folder.map_or_else(|| Ok(Policy::built_in()), Policy::with_folder)
    }

    /// What comes with the program, changed by the files of a user's folder. It lives as long as the program: a run has
    /// one policy.
    pub fn with_folder(folder: &Path) -> Result<Policy, PolicyError> {
        let mut policy =
            Policy { lists: Box::leak(Box::new(AddressLists::with_files(folder)?)), ..Policy::built_in() };
        if let Some((name, text)) = read(folder, "providers.toml")? {
            let mut providers = policy.providers().clone();
            providers.extend(&name, &text)?;
            policy.own_providers = Some(Box::leak(Box::new(providers)));
        }
        if let Some((name, text)) = read(folder, "replies.toml")? {
            let rules = ReplyRules::load(&[RuleFile { name: &name, text: &text }])?;
            policy.own_replies = Some(Box::leak(Box::new(rules)));
        }
        if let Some((name, text)) = read(folder, "lifetimes.toml")? {
            let mut lifetimes = policy.lifetimes().clone();
            lifetimes.extend(&name, &text)?;
            policy.own_lifetimes = Some(Box::leak(Box::new(lifetimes)));
        }
        if let Some((name, text)) = read(folder, "thresholds.toml")? {
            let thresholds = policy.thresholds().with(&name, &text)?;
            policy.own_thresholds = Some(Box::leak(Box::new(thresholds)));
        }
        Ok(policy)
    }
}

/// A user's file with its name; `None` where there is none.
fn read(folder: &Path, name: &str) -> Result<Option<(String, String)>, PolicyError> {
    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path.display().to_string(), text))),
        Err(error) if error.kind() == ErrorKind::NotFound && folder.is_dir() => Ok(None),
        Err(error) => Err(PolicyError {
            file: path.display().to_string(),
            line: 1,
            what: error.to_string(),
            hint: "`--policy` takes a folder that you may read".to_owned(),
        }),
    }
}

impl From<lists::PolicyListError> for PolicyError {
    fn from(fault: lists::PolicyListError) -> PolicyError {
        let hint = "a user's list has one entry a line; a `-` in front removes a shipped one".to_owned();
        match fault {
            lists::PolicyListError::Unreadable { file, source } => {
                PolicyError { file: file.display().to_string(), line: 1, what: source.to_string(), hint }
            }
            lists::PolicyListError::Line { file, line, what } => {
                PolicyError { file: file.display().to_string(), line, what, hint }
            }
        }
    }
}

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

pub use lifetimes::Lifetimes;
pub use lists::AddressLists;
pub use replies::cache::ReplyCache;
pub use replies::load::RuleFile;
pub use replies::normalize::normalized_text;
pub use replies::rule::{ReplyRule, RuleId};
pub use replies::{Meaning, ReplyContext, ReplyRules};
pub use thresholds::{AnomalyThresholds, RampThresholds};
