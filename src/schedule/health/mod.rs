//! Health: are we welcome, and does it work at all.
//!
//! 1. An endpoint that rejects sessions or breaks them pauses, each time four times as long. After too many in a row,
//!    or where the pause outlasts the run's patience, it is abandoned.
//! 2. A lane whose sessions are rejected for what we are, so many in a row, is paused for the rest of the run: its
//!    breaker opens. It opens at the first session where other egresses were rejected before and nothing was answered.
//! 3. A run that does not wait does not try again: the first rejection decides.
//! 4. Port 25 is closed if nearly no provider can be reached; the run is blocked if nearly all of many reject us. Before
//!    that, some more are contacted, drawn at random; what earlier runs showed counts. A shorter list is blocked at its
//!    end, if every provider rejects us.
//! 5. No pause ends later than `--max-wait` after the trouble began, neither of the endpoint nor of the task that waits.
//! 6. At a provider without data, an address that rejects us leaves the others, which may be other machines.
//!
//! Must not: send, or choose where recipients are probed instead. Can't know: whether a rejection is about one machine
//! of the provider or about us; thresholds decide.
//!
//! | file | open it for |
//! |---|---|
//! | `endpoint_health` | pauses of an endpoint, and its end |
//! | `lane_health` | the breaker of a lane, and what rejects us there |
//! | `run_health` | how the providers of a run respond: port closed, rejected everywhere |

mod endpoint_health;
mod lane_health;
mod run_health;

pub(super) use endpoint_health::EndpointHealth;
pub(super) use lane_health::LaneHealth;
pub use run_health::RunBlocked;
pub(super) use run_health::{ProviderContact, RunHealth};
