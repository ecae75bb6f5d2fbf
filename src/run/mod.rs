//! Runs: from a list, or a few addresses, to written results.
//!
//! This room answers "what is done in which order?", and it alone waits and spawns. [`verify`] runs three passes: it
//! reads the list and makes the worklist (`stateful_run`), probes the worklist (`engine`), and judges and writes each
//! row (`write_results`). [`check`] does the same for a few addresses, [`report`] repeats the last pass, [`plan`]
//! forecasts the second. Must not: decide what a reply means, what is probed next, or what a result is worth;
//! [`crate::policy`], [`crate::schedule`] and [`crate::verdict`] do.
//!
//! A probe passes these files. `engine` is the loop: it gets a routed domain, lets it wait in `job_source`, submits it
//! to the scheduler, runs the session in a task of `tasks`, classifies the reply, stores it, and stores the result with
//! the verdict of `judge`. Then `evidence_reader` reads the evidence back for each row, `judge` judges it, and
//! `write_results` writes it.
//!
//! | to change | open |
//! |---|---|
//! | what a cell shows before anything is probed | `analyze`, `domain_cache` |
//! | when a run does not begin | `preflight` |
//! | which domains are worth probing | `routed_domain` |
//! | what is probed, with which limits; how a run ends early | `probe_job` |
//! | when a run has no name service | `name_servers` |
//! | which stored facts count for a row | `evidence_reader` |
//! | which rows repeat an earlier one | `duplicates` |
//! | which rows are labels or footers | `row_status` |
//! | what the user excludes | `exclusions` |
//! | how workers share a list | `parallel` |
//! | the checks of the sender's side, of the list and of this machine | `check_sender`, `check_list` |
//! | the jobs that users of the library start | `verifier`, `list_job`, `classify` |
//! | the network, the clock, progress, cancellation | `network`, `clock`, `progress`, `cancel` |

mod analyze;
mod cancel;
mod check;
mod check_list;
mod check_sender;
mod classify;
mod clock;
mod domain_cache;
mod duplicates;
mod engine;
mod evidence_reader;
mod exclusions;
mod job_source;
mod judge;
mod list_job;
mod name_servers;
mod network;
mod parallel;
mod plan;
mod preflight;
mod probe_job;
mod progress;
mod report;
mod routed_domain;
mod row_status;
mod stateful_run;
mod tasks;
mod verifier;
mod verify;
mod write_results;

pub use analyze::{AnalyzeOptions, Analyzer};
pub use cancel::CancelToken;
pub use check::{CheckOutcome, OfflineChecker};
pub use classify::classify;
pub use engine::probe;
pub use evidence_reader::{EvidenceReader, FactFilter, FactReader};
pub use judge::judge_row;
pub use list_job::{ListJob, OpenedList};
pub use network::Network;
pub use probe_job::{ProbeJob, RunOutcome};
pub use progress::{Progress, ProgressReporter};
pub use verifier::Verifier;
