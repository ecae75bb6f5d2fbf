//! Verdicts: one pure function judges the evidence about an address.
//!
//! Owns the question "is the address good?". No other room makes a verdict, and no error becomes one. To change a verdict, open
//! `decide`: its doc comment is the decision table. `result` holds the values behind the columns of a row.

mod decide;
mod result;

pub(crate) use decide::DecidingReply;
pub use decide::decide;
pub use result::{AddressResult, Judgment};
