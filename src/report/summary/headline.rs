//! The headline of a run: may the list be sent?
//!
//! Decides: one of three words and the one reason for it, from the expected bounces and from how the run ended. A rate alone
//! never stops a list whose lower end is low.

use super::estimate::BounceEstimate;
use crate::policy::HeadlineThresholds;
use crate::reason::Verdict;
use crate::report::tally::RowTally;

/// May the list be sent?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// As it is.
    Ready,
    /// The cleaned list may be sent.
    CleanFirst,
    /// Neither may, at this time.
    DoNotSend,
}

impl Decision {
    /// The word in the summary.
    pub fn word(self) -> &'static str {
        match self {
            Decision::Ready => "ready",
            Decision::CleanFirst => "clean_first",
            Decision::DoNotSend => "do_not_send",
        }
    }

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Decision::Ready => "ready to send",
            Decision::CleanFirst => "clean first",
            Decision::DoNotSend => "do not send yet",
        }
    }
}

/// A decision, with the one reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headline {
    /// The decision.
    pub decision: Decision,
    /// Why, in a sentence without a full stop.
    pub because: String,
}

impl Headline {
    /// The headline of a run that did all of its work.
    pub(super) fn of(
        tally: &RowTally,
        limits: &HeadlineThresholds,
        list: &BounceEstimate,
        cleaned: &BounceEstimate,
    ) -> Headline {
        if list.addresses == 0 {
            return Headline::stop("the list has no address that can be judged".to_owned());
        }
        let ready = limits.ready;
        if rounded(list.high_rate) <= ready {
            let (low, high) = (percent(list.low_rate), percent(list.high_rate));
            let because = format!("{low} to {high} % hard bounces are expected");
            return Headline { decision: Decision::Ready, because };
        }
        let unknown = tally.of(Verdict::Unknown);
        if list.low_rate > ready && exceeds(unknown, limits.unknown, list.addresses) {
            return Headline::stop(format!("{unknown} of {} addresses are still unknown", list.addresses));
        }
        if cleaned.addresses == 0 && list.low_rate > ready {
            return Headline::stop("no address is known to be deliverable".to_owned());
        }
        let because = format!(
            "up to {} % hard bounces are expected as it is, and more than {} % harms a sender",
            percent(list.percent().1),
            percent(ready)
        );
        Headline { decision: Decision::CleanFirst, because }
    }

    /// The headline of a list that must not be sent yet.
    pub(super) fn stop(because: String) -> Headline {
        Headline { decision: Decision::DoNotSend, because }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share of rows needs no exact arithmetic")]
fn exceeds(rows: u64, percent: f64, of: u64) -> bool {
    rows as f64 * 100.0 > percent * of as f64
}

/// As it is printed: a rate that is printed as the limit does not exceed it.
fn rounded(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}

/// A rate as text: one digit after the point below 10.
pub(in crate::report) fn percent(rate: f64) -> String {
    if rate >= 9.95 { format!("{rate:.0}") } else { format!("{rate:.1}").trim_end_matches(".0").to_owned() }
}
