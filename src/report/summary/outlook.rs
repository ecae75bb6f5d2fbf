//! What follows from the figures of a run: the conclusions that each form of its summary shows.
//!
//! Decides: nothing; it puts together what the files beside it decide.

use super::data::Summary;
use super::estimate::BounceEstimate;
use super::headline::Headline;
use super::next_steps::{SummaryStep, next_steps};
use super::rejection_scope::RejectionScope;
use super::retry_plan::RetryPlan;
use crate::report::tally::{ProviderCounts, ProviderName};

/// The conclusions of a summary.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook<'a> {
    /// May the list be sent?
    pub headline: Headline,
    /// Hard bounces when the list is sent as it is.
    pub list: BounceEstimate,
    /// Hard bounces when only the deliverable rows are sent.
    pub cleaned: BounceEstimate,
    /// Rows by provider; none where no server was asked.
    pub providers: Vec<(ProviderName<'a>, ProviderCounts)>,
    /// One domain or every domain? `None` where no domain rejects us.
    pub rejections: Option<RejectionScope>,
    /// When to ask again.
    pub again: RetryPlan,
    /// What to do now, at most three steps.
    pub steps: Vec<SummaryStep>,
}

impl Summary {
    /// The conclusions of this summary.
    pub fn outlook(&self) -> Outlook<'_> {
        let list = BounceEstimate::of_list(&self.tally, self.priors);
        let cleaned = BounceEstimate::of_cleaned(&self.tally, self.priors);
        let limits = &self.priors.headline;
        let headline = match self.unfinished() {
            Some(because) => Headline::stop(because),
            None => Headline::of(&self.tally, limits, &list, &cleaned),
        };
        let again = RetryPlan::of(&self.tally, self.ended);
        let steps = next_steps(self, headline.decision, &again);
        Outlook {
            headline,
            list,
            cleaned,
            providers: if self.probed.domains == 0 && self.unprobed {
                Vec::new()
            } else {
                self.tally.providers()
            },
            rejections: RejectionScope::of(&self.tally, limits),
            again,
            steps,
        }
    }
}
