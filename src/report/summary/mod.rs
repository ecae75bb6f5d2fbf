//! The summary of a run, for people and for programs: may the list be sent, why, and what to do next.
//!
//! `data` has the figures of a run. `outlook` draws the conclusions that every form of the summary shows: `headline`, from the
//! bounces that `estimate` expects; `retry_plan`, when to ask again; `rejection_scope`, whether one domain rejects us or every
//! domain; `next_steps`, what to do. `text` and `json` write them; `style` is how a text looks on a terminal.

mod data;
mod estimate;
mod handover;
mod headline;
mod json;
mod next_steps;
mod outlook;
mod rejection_scope;
mod rerun;
mod retry_plan;
mod style;
mod text;

pub use data::{ProbeCounts, Summary};
pub use estimate::{BounceBasis, BounceEstimate};
pub(super) use headline::percent as percent_text;
pub use headline::{Decision, Headline};
pub use next_steps::SummaryStep;
pub use outlook::Outlook;
pub use rejection_scope::{RejectionScope, ScopeWord};
pub use rerun::Rerun;
pub use retry_plan::{RetryPlan, RetryTime};
pub use style::TextStyle;
pub(super) use style::time as time_text;
