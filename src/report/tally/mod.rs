//! What the rows of a list have in common, counted while they are judged: reasons, providers, domains, kinds, typos, retries.
//!
//! `rows` has the rows of one batch, made by a worker; `counts` adds batches up, when it is known which rows repeat an
//! earlier one; `domains` counts domains in bounded memory. Must not: hold an address, unless the user wants
//! examples.

mod counts;
mod domains;
mod rows;

pub use counts::{ProviderCounts, ProviderName, Rejection, RowTally};
pub use domains::{DomainCounts, DomainTable};
pub use rows::{BatchTally, RowGroup};
