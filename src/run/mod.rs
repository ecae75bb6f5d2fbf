//! Runs: from a list, or a few addresses, to verdicts.
//!
//! [`verify`], [`check`], [`plan`] and [`report`] are the jobs, [`stateful_run`] a run with its state, [`engine`] the only place
//! that waits and spawns. Around it: [`clock`], [`network`], [`cancel`], [`wait_for_state`], [`progress`]; before it [`parallel`], [`analyzer`],
//! [`routing`] and [`job_source`], after it [`evidence_reader`], [`duplicates`], [`judged_row`], [`judge`] and [`write_results`]; [`domain_cache`] is [`analyzer`]'s.

mod parallel;
mod stateful_run;
mod check;
mod clock;
mod routing;
mod job_source;
mod evidence_reader;
mod wait_for_state;
mod analyze;
mod judge;
mod domain_cache;
mod network;
mod plan;
mod engine;
mod progress;
mod duplicates;
mod report;
mod sockets;
mod cancel;
mod write_results;
mod judged_row;
mod verify;

pub use analyze::{AnalyzeOptions, Analyzer};
pub use cancel::{CancelToken};
pub use check::{OfflineChecker, check};
pub use clock::{Clock, cpu};
pub use engine::{ProbeJob, ask};
pub use engine::outcome::{RunOutcome};
pub use evidence_reader::{EvidenceReader, FactFilter, FactReader};
pub use judged_row::{record};
pub use network::{Network};
pub use plan::{PlanJob, plan};
pub use progress::{Progress};
pub use report::{ReportJob, report};
pub use sockets::{available};
pub use verify::{VerifyJob, verify};
pub use write_results::{ListJob};
