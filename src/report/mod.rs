//! What is told about a whole run: [`summary`] after it, [`forecast`] before it, each for people and for machines.

pub mod card;
pub mod forecast;
pub mod gate;
pub mod metrics;
pub mod stats;
pub mod summary;

pub use gate::{Gate, Gates};
pub use summary::{ProbeCounts, Summary};
