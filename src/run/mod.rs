//! Runs: from a list, or a few addresses, to verdicts. The only room that spawns tasks and waits.
//!
//! Owns the question "what happens when in a job?". Other rooms decide what to probe, what a reply means and what the
//! verdict is; this one moves facts between them, stores them before anything follows from them, and writes the results.
//!
//! Open `verifier` for the public jobs, `list_job` for what a job over a list reads and writes; `verify`, `check`, `plan` and
//! `report` for one job each, `classify` for a single reply; `stateful_run` for a run with its state, `wait_for_state` for
//! how it opens it; `engine` for the loop over DNS, connections and scheduler; `parallel`, `analyze`, `domain_cache`,
//! `routing` and `job_source` for what comes before a probe; `evidence_reader`, `duplicates`, `judged_row`, `judge` and
//! `write_results` for what comes after; `network` and `clock` for what is real or scripted; `cancel` and `progress` for the
//! caller.

mod analyze;
mod cancel;
mod check;
mod classify;
mod clock;
mod domain_cache;
mod duplicates;
mod engine;
mod evidence_reader;
mod job_source;
mod judge;
mod judged_row;
mod list_job;
mod network;
mod parallel;
mod plan;
mod progress;
mod report;
mod routing;
mod stateful_run;
mod verifier;
mod verify;
mod wait_for_state;
mod write_results;

pub use analyze::{AnalyzeOptions, Analyzer};
pub use cancel::CancelToken;
pub use check::{CheckOutcome, OfflineChecker};
pub use classify::classify;
pub use engine::RunOutcome;
pub use engine::{ProbeJob, ask};
pub use evidence_reader::{EvidenceReader, FactFilter, FactReader};
pub use judged_row::record;
pub use list_job::{ListJob, OpenedList};
pub use network::Network;
pub use progress::{Progress, ProgressReporter};
pub use verifier::Verifier;
