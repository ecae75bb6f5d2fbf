//! What an evaluation reports: the result, the term that decided, and every look-up.
//!
//! Decides: nothing.

use serde::Serialize;

/// A result of SPF (RFC 7208 2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SpfResult {
    /// There is no SPF record, or no domain to ask about.
    None,
    /// The domain says nothing about the client.
    Neutral,
    /// The client may send for the domain.
    Pass,
    /// The client may not send for the domain.
    Fail,
    /// The client probably may not send for the domain.
    SoftFail,
    /// A look-up failed; later the result may be another one.
    TempError,
    /// The records are wrong.
    PermError,
}

impl SpfResult {
    /// The word of the RFC.
    pub fn word(self) -> &'static str {
        match self {
            SpfResult::None => "none",
            SpfResult::Neutral => "neutral",
            SpfResult::Pass => "pass",
            SpfResult::Fail => "fail",
            SpfResult::SoftFail => "softfail",
            SpfResult::TempError => "temperror",
            SpfResult::PermError => "permerror",
        }
    }
}

/// An evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpfReport {
    /// The result.
    pub result: SpfResult,
    /// The term that decided, as it stands in its record. `None` if no term matched.
    pub decided_by: Option<String>,
    /// Why the result is an error or `none`.
    pub problem: Option<SpfProblem>,
    /// Terms that cost a look-up; at most 10 are allowed (RFC 7208 4.6.4).
    pub lookups: u32,
    /// Terms whose look-up found nothing; at most 2 are allowed.
    pub void_lookups: u32,
    /// The record, its terms and the records they lead to. `None` if no record was looked up.
    pub tree: Option<SpfBranch>,
    /// The domain's explanation of a `fail`.
    pub explanation: Option<String>,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpfProblem {
    /// The domain of the record.
    pub domain: String,
    /// The term.
    pub term: Option<String>,
    /// Where the term begins in the record, in bytes.
    pub offset: Option<usize>,
    /// What is wrong.
    pub message: String,
}

/// The record of a domain and what its terms looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpfBranch {
    /// The domain.
    pub domain: String,
    /// Its SPF record.
    pub record: Option<String>,
    /// The result of this record.
    pub result: SpfResult,
    /// The terms that were evaluated, in order.
    pub terms: Vec<SpfTerm>,
}

/// An evaluated term.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SpfTerm {
    /// The term as it stands in the record.
    pub term: String,
    /// True if it matched the client.
    pub matched: bool,
    /// Look-ups that count against the limit, with those of the records it leads to.
    pub lookups: u32,
    /// True if its look-up found nothing.
    pub void: bool,
    /// Its DNS queries.
    pub queries: Vec<SpfQuery>,
    /// The record that it leads to.
    pub record: Option<Box<SpfBranch>>,
}

/// A DNS query of a term.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpfQuery {
    /// The name.
    pub name: String,
    /// The record type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// How many records were found, or why none.
    pub answer: String,
}
