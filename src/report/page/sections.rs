//! The tables of a page: what stands in their rows, as texts and numbers.

use super::charts::BarSegment;

/// A verdict.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VerdictLine {
    /// Its word.
    pub(super) word: &'static str,
    /// Its sign, so that nothing is said by color alone.
    pub(super) symbol: char,
    /// Rows.
    pub(super) rows: String,
    /// Percent of the rows with a verdict.
    pub(super) share: String,
    /// What to do with them.
    pub(super) action: &'static str,
}

/// A reason.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ReasonLine {
    /// The word of its verdict.
    pub(super) verdict: &'static str,
    /// The sign of its verdict.
    pub(super) symbol: char,
    /// Its word.
    pub(super) reason: &'static str,
    /// Rows.
    pub(super) rows: String,
    /// What it means.
    pub(super) sentence: &'static str,
    /// Addresses with this reason, where the user wants them.
    pub(super) examples: Vec<String>,
}

/// A range of hard bounces.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EstimateLine {
    /// What is sent.
    pub(super) name: &'static str,
    /// To how many.
    pub(super) addresses: String,
    /// Hard bounces, from and to.
    pub(super) bounces: String,
    /// The same in percent.
    pub(super) percent: String,
}

/// A share that the estimate assumes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BasisLine {
    /// Which rows.
    pub(super) name: String,
    /// How many.
    pub(super) addresses: String,
    /// Percent, from and to.
    pub(super) percent: String,
    /// Where that is from.
    pub(super) from: &'static str,
}

/// Rows of a provider or a domain.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GroupLine {
    /// Its name.
    pub(super) name: String,
    /// Rows.
    pub(super) rows: String,
    /// By verdict.
    pub(super) verdicts: Vec<String>,
    /// Rows whose reply is about us.
    pub(super) rejecting: String,
    /// Its bar.
    pub(super) bar: Vec<BarSegment>,
    /// The host that rejects us, and its words.
    pub(super) words: Option<String>,
}

/// Rows with one cause.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CauseLine {
    /// The reason.
    pub(super) reason: &'static str,
    /// What it means.
    pub(super) sentence: &'static str,
    /// Rows.
    pub(super) rows: String,
    /// The length of its bar.
    pub(super) length: u64,
}

/// A name and a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fact {
    /// What it is.
    pub(super) name: String,
    /// What it is like.
    pub(super) value: String,
}

impl Fact {
    pub(super) fn new(name: impl Into<String>, value: impl Into<String>) -> Fact {
        Fact { name: name.into(), value: value.into() }
    }
}

/// A step, with the command to run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StepLine {
    /// What to do.
    pub(super) text: String,
    /// The command.
    pub(super) command: Option<String>,
}

/// A domain that is probably mistyped.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TypoLine {
    /// As it is.
    pub(super) domain: String,
    /// As it was probably meant.
    pub(super) meant: String,
    /// Rows.
    pub(super) rows: String,
}
