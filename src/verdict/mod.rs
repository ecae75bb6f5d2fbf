//! From evidence to a verdict.
//!
//! [`evidence`] is what a run found out about an address, [`mod@decide`] the one pure function that judges it, [`record`]
//! what is told about a row.

pub mod decide;
pub mod evidence;
pub mod record;

pub use decide::decide;
pub use evidence::Evidence;
pub use record::{Confidence, Judgment, AddressKinds, AddressResult};
