//! From evidence to a verdict.
//!
//! [`evidence`] is what a run found out about an address, [`decide`] the one pure function that judges it, [`record`]
//! what is told about a row.

pub mod record;

pub use record::{Confidence, Judgement, Kinds, Record};
