//! What is told about a whole run: [`summary`] after it, [`forecast`] before it, each for people and for machines.

mod card;
mod forecast;
mod gate;
mod metrics;
mod stats;
mod summary;

pub use gate::{Gate, Gates};
pub use summary::{ProbeCounts, Summary};

pub use card::{card, dialogue};
pub use forecast::{Forecast, ForecastRows, NotProbedCounts};
pub use metrics::{claim, write};
pub use stats::text;
