//! SPF: may this client send mail for this domain (RFC 7208)?
//!
//! Owns the evaluation of SPF records. It asks through [`crate::route::Dns`] and uses nothing else, so the same answers give
//! the same report. Other rooms call [`check_spf`]; the report names the term that decided and has every look-up.
//!
//! | to see | open |
//! |---|---|
//! | which names and addresses are asked about | `request.rs` |
//! | the grammar of a record | `record.rs`, `term.rs` |
//! | macros | `macros.rs`, `expand.rs` |
//! | the order of evaluation, results, `include`, `redirect` | `evaluate.rs` |
//! | whether one mechanism matches | `matching.rs` |
//! | the limits, and each DNS query | `lookup.rs` |
//! | what is reported | `report.rs`, `text.rs` |

mod evaluate;
mod expand;
mod lookup;
mod macros;
mod matching;
mod record;
mod report;
mod request;
mod start;
mod term;
#[cfg(test)]
mod tests;
mod text;

pub(super) use lookup::reverse_name;
pub use report::{SpfBranch, SpfProblem, SpfQuery, SpfReport, SpfResult, SpfTerm};
pub use request::SpfRequest;
pub use start::check_spf;
pub(super) use start::evaluate_spf;
