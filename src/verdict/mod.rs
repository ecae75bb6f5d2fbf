//! From evidence to a verdict.
//!
//! [`evidence`] is what a run found out about an address, [`mod@decide`] the one pure function that judges it, [`record`]
//! what is told about a row.

mod decide;

mod record;

pub use decide::{DecidingReply, decide};
pub use record::{AddressResult, Judgment};
