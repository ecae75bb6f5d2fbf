//! Runs: from a list, or a few addresses, to verdicts.
//!
//! [`verify`], [`check`], [`plan`] and [`report`] are the jobs, [`stateful_run`] a run with its state, [`engine`] the only place
//! that waits and spawns. Around it: [`clock`], [`network`], [`cancel`], [`wait_for_state`], [`progress`]; before it [`parallel`], [`analyzer`],
//! [`routing`] and [`job_source`], after it [`evidence_reader`], [`duplicates`], [`judged_row`], [`judge`] and [`write_results`]; [`domain_cache`] is [`analyzer`]'s.

mod analyze;
mod cancel;
mod check;
mod clock;
mod domain_cache;
mod duplicates;
mod engine;
mod evidence_reader;
mod job_source;
mod judge;
mod judged_row;
mod network;
mod parallel;
mod plan;
mod progress;
mod report;
mod routing;
mod sockets;
mod stateful_run;
mod verify;
mod wait_for_state;
mod write_results;

pub use analyze::{AnalyzeOptions, Analyzer};
pub use cancel::CancelToken;
pub use check::{OfflineChecker, check};
pub use clock::{Clock, cpu};
pub use engine::outcome::RunOutcome;
pub use engine::{ProbeJob, ask};
pub use evidence_reader::{EvidenceReader, FactFilter, FactReader};
pub use judged_row::record;
pub use network::Network;
pub use plan::{PlanJob, plan};
pub use progress::Progress;
pub use report::{ReportJob, report};
pub use sockets::available;
pub use verify::{VerifyJob, verify};
pub use write_results::ListJob;
