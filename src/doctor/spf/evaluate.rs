//! The evaluation of a domain's record: `check_host` of RFC 7208 4.
//!
//! Decides: the result, from the terms in order. Fails: never; an error is a result with its place.

use std::future::Future;
use std::pin::Pin;

use super::lookup::{Lookups, Stop, failed};
use super::macros::MacroString;
use super::matching::is_match;
use super::record::{self, Directive, Record};
use super::report::{SpfBranch, SpfProblem, SpfResult, SpfTerm};
use super::request::domain_fault;
use super::term::Mechanism;
use crate::route::{DnsRecord, RecordType};

/// The result of a domain's record.
pub(super) struct Outcome {
    pub(super) result: SpfResult,
    pub(super) decided_by: Option<String>,
    pub(super) problem: Option<SpfProblem>,
    /// The `exp` of the record that decided, and its domain.
    pub(super) explanation: Option<(MacroString, String)>,
    pub(super) branch: SpfBranch,
}

impl Outcome {
    fn new(branch: SpfBranch) -> Outcome {
        Outcome { result: branch.result, decided_by: None, problem: None, explanation: None, branch }
    }

    fn ended(mut self, result: SpfResult, problem: SpfProblem) -> Outcome {
        (self.result, self.branch.result) = (result, result);
        self.problem = Some(problem);
        self
    }

    /// Ends with an error at a term of the record.
    fn stopped(mut self, stop: Stopped, term: &str) -> Outcome {
        self.decided_by = Some(term.to_owned());
        self.ended(stop.result, stop.problem)
    }
}

/// An error with its place.
struct Stopped {
    result: SpfResult,
    problem: SpfProblem,
}

impl Stopped {
    fn at(stop: Stop, domain: &str, term: &str, offset: Option<usize>) -> Stopped {
        let (result, message) = match stop {
            Stop::Permanent(message) => (SpfResult::PermError, message),
            Stop::Temporary(message) => (SpfResult::TempError, message),
        };
        let (domain, term) = (domain.to_owned(), Some(term.to_owned()));
        Stopped { result, problem: SpfProblem { domain, term, offset, message } }
    }
}

/// Evaluates the record of a domain. Records that it leads to are evaluated in the same way.
pub(super) fn check_host<'e>(
    lookups: &'e mut Lookups<'_>,
    domain: String,
) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'e>> {
    Box::pin(async move {
        let branch =
            SpfBranch { domain: domain.clone(), record: None, result: SpfResult::None, terms: Vec::new() };
        let mut outcome = Outcome::new(branch);
        let problem =
            |message: String| SpfProblem { domain: domain.clone(), term: None, offset: None, message };
        if let Some(fault) = domain_fault(&domain) {
            return outcome.ended(SpfResult::None, problem(fault.to_owned()));
        }
        let texts = match lookups.records(&domain, RecordType::Txt).await {
            Ok(records) => records.into_iter().filter_map(text).collect(),
            Err(fault) => {
                let stop = Stopped::at(failed(&domain, RecordType::Txt, &fault), &domain, "", None);
                return outcome.ended(SpfResult::TempError, problem(stop.problem.message));
            }
        };
        let mut records = record::select(texts);
        let record = match (records.len(), records.pop()) {
            (1, Some(record)) => record,
            (0, _) | (_, None) => {
                return outcome.ended(SpfResult::None, problem("there is no SPF record".to_owned()));
            }
            (count, _) => {
                let message = format!("there are {count} SPF records");
                return outcome.ended(SpfResult::PermError, problem(message));
            }
        };
        let text = String::from_utf8_lossy(&record).into_owned();
        outcome.branch.record = Some(text.clone());
        match record::parse(&domain, &text) {
            Ok(record) => evaluate(lookups, &domain, &record, outcome).await,
            Err(problem) => {
                outcome.decided_by.clone_from(&problem.term);
                outcome.ended(SpfResult::PermError, problem)
            }
        }
    })
}

fn text(record: DnsRecord) -> Option<Vec<u8>> {
    match record {
        DnsRecord::Text(text) => Some(text),
        DnsRecord::Address(_) | DnsRecord::Mx(..) | DnsRecord::Name(_) => None,
    }
}

/// The first mechanism that matches decides; without one, `redirect`; without that, the result is neutral (4.7).
async fn evaluate(lookups: &mut Lookups<'_>, domain: &str, record: &Record, mut outcome: Outcome) -> Outcome {
    for directive in &record.directives {
        let (mut term, before) = begin(lookups, &directive.text);
        let matched = match &directive.mechanism {
            Mechanism::Include(target) => {
                let (matched, branch) = include(lookups, domain, directive, target, &mut term).await;
                term.record = branch.map(Box::new);
                matched
            }
            mechanism => is_match(lookups, mechanism, domain)
                .await
                .map_err(|stop| Stopped::at(stop, domain, &directive.text, Some(directive.offset))),
        };
        term.matched = matches!(matched, Ok(true));
        outcome.branch.terms.push(end(lookups, term, before));
        match matched {
            Ok(false) => {}
            Ok(true) => {
                (outcome.result, outcome.branch.result) = (directive.result, directive.result);
                outcome.decided_by = Some(directive.text.clone());
                outcome.explanation = record.explanation.clone().map(|spec| (spec, domain.to_owned()));
                return outcome;
            }
            Err(stop) => return outcome.stopped(stop, &directive.text),
        }
    }
    if let Some((target, text)) = &record.redirect {
        return redirect(lookups, domain, target, text, outcome).await;
    }
    (outcome.result, outcome.branch.result) = (SpfResult::Neutral, SpfResult::Neutral);
    outcome
}

/// Starts a term: forgets the queries before it.
fn begin(lookups: &mut Lookups<'_>, text: &str) -> (SpfTerm, u32) {
    lookups.take_queries();
    (SpfTerm { term: text.to_owned(), ..SpfTerm::default() }, lookups.counted)
}

/// Ends a term, with the queries that were not taken yet.
fn end(lookups: &mut Lookups<'_>, mut term: SpfTerm, before: u32) -> SpfTerm {
    let (queries, void) = lookups.take_queries();
    term.lookups = lookups.counted - before;
    term.queries.extend(queries);
    term.void |= void;
    term
}

/// Evaluates the record that a term leads to. A domain without a record counts as void.
async fn lead(
    lookups: &mut Lookups<'_>,
    domain: &str,
    target: &MacroString,
    term: &mut SpfTerm,
) -> Result<Outcome, (Stop, Option<SpfBranch>)> {
    lookups.count().map_err(|stop| (stop, None))?;
    let name = lookups.target(Some(target), domain).await.map_err(|stop| (stop, None))?;
    (term.queries, term.void) = lookups.take_queries();
    let mut led = check_host(lookups, name.clone()).await;
    if led.result == SpfResult::None {
        let stop = lookups.count_void().err().unwrap_or_else(|| {
            let why = led.problem.take().map(|problem| problem.message).unwrap_or_default();
            Stop::Permanent(format!("`{name}` has no SPF record: {why}"))
        });
        let (queries, void) = lookups.take_queries();
        term.queries.extend(queries);
        term.void |= void;
        return Err((stop, Some(led.branch)));
    }
    Ok(led)
}

/// A record that is included matches if its result is pass (5.2).
async fn include(
    lookups: &mut Lookups<'_>,
    domain: &str,
    directive: &Directive,
    target: &MacroString,
    term: &mut SpfTerm,
) -> (Result<bool, Stopped>, Option<SpfBranch>) {
    let place = |stop| Stopped::at(stop, domain, &directive.text, Some(directive.offset));
    match lead(lookups, domain, target, term).await {
        Err((stop, branch)) => (Err(place(stop)), branch),
        Ok(Outcome { result, problem: Some(problem), branch, .. }) => {
            (Err(Stopped { result, problem }), Some(branch))
        }
        Ok(Outcome { result, branch, .. }) => (Ok(result == SpfResult::Pass), Some(branch)),
    }
}

/// The result, the explanation and the deciding term are those of the target (6.1).
async fn redirect(
    lookups: &mut Lookups<'_>,
    domain: &str,
    target: &MacroString,
    text: &str,
    mut outcome: Outcome,
) -> Outcome {
    let (mut term, before) = begin(lookups, text);
    match lead(lookups, domain, target, &mut term).await {
        Err((stop, branch)) => {
            term.record = branch.map(Box::new);
            outcome.branch.terms.push(end(lookups, term, before));
            outcome.stopped(Stopped::at(stop, domain, text, None), text)
        }
        Ok(led) => {
            term.record = Some(Box::new(led.branch));
            term.matched = true;
            outcome.branch.terms.push(end(lookups, term, before));
            outcome.branch.result = led.result;
            Outcome {
                result: led.result,
                decided_by: led.decided_by,
                problem: led.problem,
                explanation: led.explanation,
                branch: outcome.branch,
            }
        }
    }
}
