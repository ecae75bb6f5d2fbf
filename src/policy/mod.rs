//! Policy is data: what replies mean, which operator a host belongs to, which domains are special.
//!
//! Each kind of data has a loader that refuses what it does not understand and names the file and the line. Code here
//! knows mechanisms only; no provider, no server program and no wording stands in it.

pub mod replies;

/// Why a policy file was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}\nhint: {hint}")]
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
