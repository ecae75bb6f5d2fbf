//! Simulation: the real scheduler in a generated world, under a virtual clock.
//!
//! This room owns the question how long a list takes and what it costs, compared with what is possible. Nothing is
//! simulated but time and receivers; what is started when is decided by the same [`crate::schedule::Scheduler`] that
//! runs on the Internet. Other rooms get figures from here, never a fact about an address. Can't know: how real
//! receivers behave beyond their limits. A simulation shows what the scheduler makes of limits, not which limits
//! there are.
//!
//! | file | open it for |
//! |---|---|
//! | `setup` | what a simulation starts with: the mix of a list, as data, and the setup of the run |
//! | `list` | the generated list and its providers |
//! | `from_list` | a real list instead of a generated one |
//! | `simulation` | the order of events |
//! | `receivers` | what the servers reply and count |
//! | `bound` | the least time that any run needs within the limits |
//! | `report` | the figures, and the log from which others can work them out again |

mod bound;
mod from_list;
mod list;
mod receivers;
mod report;
mod setup;
mod simulation;
#[cfg(test)]
mod tests;

pub(crate) use from_list::RealDomain;
pub use list::GeneratedList;
pub use report::{MeasuredCost, SimulationReport};
pub use setup::{ShippedMix, SimulationSetup};
pub use simulation::run;
