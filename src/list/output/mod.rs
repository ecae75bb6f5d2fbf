//! Writing results: added columns, files, dialects.

mod added_columns;
mod column_prefix;
mod columns;
mod compose;
mod dialect;
mod files;
mod layout;
mod value;
mod verdict_files;
mod write;

pub(crate) use columns::earlier;
pub use columns::{Column, ColumnSet};
pub use compose::{Composed, Composer};
pub use dialect::Dialect;
pub(crate) use dialect::is_told;
pub(crate) use value::OutputRow;
pub use write::{FinishedOutputs, OutputCounts, OutputTarget, Outputs, WriteOptions};
