//! Runs: from a list, or a few addresses, to verdicts.
//!
//! [`verify`], [`check`], [`plan`] and [`report`] are the jobs, [`stateful_run`] a run with its state, [`engine`] the only place
//! that waits and spawns. Around it: [`clock`], [`network`], [`cancel`], [`wait_for_state`], [`progress`]; before it [`parallel`], [`analyzer`],
//! [`routing`] and [`job_source`], after it [`evidence_reader`], [`duplicates`], [`judged_row`], [`judge`] and [`write_results`]; [`domain_cache`] is [`analyzer`]'s.

pub mod parallel;
pub mod stateful_run;
pub mod check;
pub mod clock;
pub mod routing;
pub mod job_source;
pub mod evidence_reader;
pub mod wait_for_state;
pub mod analyze;
pub mod judge;
mod domain_cache;
pub mod network;
pub mod plan;
pub mod engine;
pub mod progress;
pub mod duplicates;
pub mod report;
pub mod sockets;
pub mod cancel;
pub mod write_results;
pub mod judged_row;
pub mod verify;
