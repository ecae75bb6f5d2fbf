//! Writing results: the rows of a list with the added columns, in one file or in a folder of files.
//!
//! Owns the question which bytes go to which file. Nothing here judges an address. The files in the order in which a row
//! passes them: `compose` (a row for each file that it may go to, on any thread), which uses `cells` (the added cells) and
//! `layout` (where these stand in a row); then `write` (which file gets the row; counts), which uses `files` (what may be
//! replaced, and when), `split` (long files in parts) and `spreadsheet` (the copy without formulas). `profile`: rows as a
//! product takes them.

mod cells;
mod compose;
mod files;
mod hand_over;
mod layout;
mod mail_date;
mod options;
mod output_file;
mod profile;
mod split;
mod spreadsheet;
mod write;

pub use cells::write_object;
pub(crate) use compose::{Composed, Composer};
pub use hand_over::HandOver;
pub use options::{ByteOrderMark, OutputTarget, WriteOptions};
pub use write::{OutputCounts, Outputs};
