//! Pacing: may something start now, and how much.
//!
//! 1. A lane opens no more connections and probes no more recipients in any minute than its provider's rates allow.
//! 2. It has at most so many connections open as its ramp has reached. It starts with one, unless the run is fast.
//! 3. It ramps up after enough recipients that were accepted or clearly rejected: one more connection, half as much rate
//!    again (`thresholds.toml`, `ramp`).
//! 4. After a reply about our rate, or about the load of the server, it has half the rate, one connection and batches of half the size, and pauses.
//! 5. Unknown recipients, listed or random, count against the provider's hourly and daily limits, those of earlier
//!    runs too. What is in flight counts as unknown until its reply is there.
//! 6. An IP address of a provider without data is a machine that other providers may share: it has limits of its own
//!    beside those of each lane. What starts takes the tokens of both or of neither, and an endpoint that waits for its
//!    machine does not delay its lane.
//!
//! Must not: choose recipients, open connections, wait, or know a domain. No other part counts or waits in
//! order to spare a provider.
//!
//! | file | open it for |
//! |---|---|
//! | `rate` | the limiter of one rate, and the clock that it reads |
//! | `lane_pace` | the rates, connections and batches of a lane |
//! | `machine`, `tokens` | IP addresses that lanes share; what lane and machine allow together |
//! | `unknown_usage` | the hourly and daily limits of unknown recipients |

mod lane_pace;
mod machine;
mod rate;
mod tokens;
mod unknown_usage;

pub(super) use lane_pace::LanePace;
pub(super) use machine::{Machine, MachineKey};
pub(super) use rate::RunClock;
pub(super) use tokens::ConnectionTurn;
pub(super) use unknown_usage::UnknownUsage;
