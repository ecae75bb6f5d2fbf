//! The state: one `SQLite` database with the facts that runs gather, so that an interrupted run resumes and no
//! recipient is probed twice while its result is fresh.
//!
//! This room answers "what is known, and since when?". It stores what servers and the DNS answered; what a reply means
//! is decided by [`crate::policy`] when it is read, and what a result is worth by [`crate::verdict`]. Must not: judge,
//! or know the text of a reply. Without a state file the same tables stand in a temporary one.
//!
//! A probe passes five files. `worklist`: which recipients a run has still to probe. `query` reads facts, `decode`
//! turns a row of a table into a fact. `write` stores replies and results. `encoding` is how both write a value.
//!
//! | to change | open |
//! |---|---|
//! | a table, a view | `schema/`, and a new migration in `migrate` |
//! | where a state file is, what is refused | `open`, `lock` |
//! | when a run resumes, when it is finished | `runs` |
//! | which stored results are fresh enough | `worklist` |
//! | how MX hosts responded to earlier runs | `contacts` |
//! | what counts no longer when an MX host is dropped | `rerouted` |
//! | the limits that later runs count against | `usage` |
//! | what preflights found | `preflight` |
//! | `--changed-only` | `last_reported` |
//! | `state stats`, `prune`, `forget`, `export` | `maintenance` |
//! | what was probed at a host | `attempts` |
//! | connections, transactions, ids | `store` |

mod attempts;
mod contacts;
mod decode;
mod encoding;
mod error;
mod freshness;
mod last_reported;
mod lock;
mod maintenance;
mod migrate;
mod open;
mod preflight;
mod query;
mod rerouted;
mod runs;
mod spellings;
mod store;
mod usage;
mod worklist;
mod write;

pub use attempts::HostAttempt;
pub(crate) use decode::StoredResult;
pub use error::{DatabaseError, StateError};
pub use freshness::FreshnessPolicy;
pub(crate) use last_reported::{ChangeStatus, ReportedNote};
pub(crate) use lock::StateLock;
pub use maintenance::{PruneCounts, StateStats};
pub use migrate::backups;
pub(crate) use open::MOST_READERS;
pub use open::{Namespace, default_file};
pub(crate) use query::{FactQueries, StoredRoute};
pub use runs::{RunHandle, RunKey};
pub(crate) use store::{DomainContact, EgressId, NameHash};
pub use store::{RunId, State};
pub use worklist::WorklistBuilder;
pub(crate) use write::{ReportedVerdict, RouteTimes, VerdictUpdate};
