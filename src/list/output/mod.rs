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

pub use columns::{Column, ColumnSet, earlier};
pub use compose::{Composed, Composer};
pub use dialect::{Dialect, is_told};
pub use value::OutputRow;
pub use write::{FinishedOutputs, OutputCounts, OutputTarget, Outputs, WriteOptions};
