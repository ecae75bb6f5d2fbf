//! SPF records: how they are selected among TXT records, and read as a whole before anything is evaluated (RFC 7208 4.5, 4.6).
//!
//! Decides: which record counts, and where its first error is.

use super::macros::MacroString;
use super::report::{SpfProblem, SpfResult};
use super::term::{Mechanism, Term};

/// A record without errors.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// The mechanisms, in order.
    pub(super) directives: Vec<Directive>,
    /// `redirect`, and the term.
    pub(super) redirect: Option<(MacroString, String)>,
    /// `exp`
    pub(super) explanation: Option<MacroString>,
}

/// A mechanism with its qualifier.
#[derive(Clone, Debug)]
pub(super) struct Directive {
    /// The term as it is written.
    pub(super) text: String,
    /// Where it begins in the record, in bytes.
    pub(super) offset: usize,
    /// The result if it matches.
    pub(super) result: SpfResult,
    pub(super) mechanism: Mechanism,
}

/// The SPF records among TXT records: those that begin with the version and a space, or are the version alone.
pub(super) fn select(texts: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let is_spf = |text: &Vec<u8>| {
        text.get(..6).is_some_and(|version| version.eq_ignore_ascii_case(b"v=spf1"))
            && text.get(6).is_none_or(|byte| *byte == b' ')
    };
    texts.into_iter().filter(is_spf).collect()
}

/// Reads a selected record. Terms are separated by spaces; each is checked, even behind `all`.
pub(super) fn parse(domain: &str, text: &str) -> Result<Record, SpfProblem> {
    let problem = |term: &str, offset, message| SpfProblem {
        domain: domain.to_owned(),
        term: Some(term.to_owned()),
        offset: Some(offset),
        message,
    };
    let mut record = Record::default();
    let mut offset = 0;
    for term in text.split(' ') {
        let at = offset;
        offset += term.len() + 1;
        if at == 0 || term.is_empty() {
            continue;
        }
        match Term::parse(term).map_err(|message| problem(term, at, message))? {
            Term::Directive(result, mechanism) => {
                record.directives.push(Directive { text: term.to_owned(), offset: at, result, mechanism });
            }
            Term::Redirect(target) => {
                if record.redirect.replace((target, term.to_owned())).is_some() {
                    return Err(problem(term, at, "`redirect` stands twice".to_owned()));
                }
            }
            Term::Explanation(target) => {
                if record.explanation.replace(target).is_some() {
                    return Err(problem(term, at, "`exp` stands twice".to_owned()));
                }
            }
            Term::Unknown => {}
        }
    }
    Ok(record)
}
