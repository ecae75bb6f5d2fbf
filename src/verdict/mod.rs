//! From evidence to a verdict.
//!
//! [`evidence`] is what a run found out about an address, [`mod@decide`] the one pure function that judges it, [`record`]
//! what is told about a row.

mod decide;

mod record;

pub use crate::address::AddressKinds;
pub use crate::evidence::Evidence;
pub use crate::reason::Confidence;
pub use decide::decide;
pub use record::{AddressResult, Judgment};
