//! Reading a list: its bytes, what they are, and its rows.
//!
//! Owns the question which text of a row should be an address. Nothing here writes a file or judges an address. The files
//! in the order in which a list passes them: `source` (bytes, unpacked), `encoding` (with `likelihood` and `languages`),
//! `decode` (UTF-8), `sniff` (delimiter),
//! `header`, `address_column`, `detect` (all of these make a [`ListFormat`](super::ListFormat)), `read` (rows),
//! `several` (addresses side by side in a cell).

mod address_column;
mod decode;
mod detect;
mod encoding;
mod header;
mod languages;
mod likelihood;
mod options;
mod read;
mod several;
mod sniff;
mod source;

pub(crate) use address_column::is_address_column_name;
pub use options::{HeaderChoice, ReadOptions};
pub use read::{List, Rows, open};
