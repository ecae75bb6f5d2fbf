//! Reports on runs and addresses, for people and for programs.
//!
//! Owns the question "how is it said?": the summary after a run, the plan before it, metrics, cards, dialogues, figures of a
//! state, and the gates that turn a finished run into a failed one. Prints nothing.
//!
//! Open `summary` (from the counts of `tally`) and `forecast` for the two texts about a run, `metrics` for Prometheus, `gate` for gates, `page` for the report as a page, `card` for one
//! address and for dialogues, `stats` for a state.

mod card;
mod forecast;
mod gate;
mod metrics;
mod page;
mod stats;
mod summary;
mod tally;

pub use card::{card, dialogue};
pub use forecast::{Forecast, ForecastRows, NotProbedCounts};
pub use gate::{Gate, GateLimit, Gates};
pub use metrics::{claim, write};
pub use page::{PageOptions, ReportPage, html, markdown};
pub use stats::text;
pub use summary::{
    BounceBasis, BounceEstimate, Decision, Headline, Outlook, ProbeCounts, RejectionScope, Rerun, RetryPlan,
    RetryTime, ScopeWord, Summary, SummaryStep, TextStyle,
};
pub use tally::{
    BatchTally, DomainCounts, DomainTable, ProviderCounts, ProviderName, Rejection, RowGroup, RowTally,
};
