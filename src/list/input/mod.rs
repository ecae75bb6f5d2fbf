//! Reading a list: its bytes, what they are, and its rows.
//!
//! Owns the question which text of a row should be an address. Nothing here writes a file or judges an address. The files
//! in the order in which a list passes them: `source` (bytes, unpacked), `decode` (UTF-8), `sniff` (delimiter and
//! header), `address_column`, `detect` (all of these make a [`ListFormat`](super::ListFormat)), `read` (rows).

mod address_column;
mod decode;
mod detect;
mod read;
mod sniff;
mod source;

pub(crate) use address_column::is_address_column_name;
pub use detect::ReadOptions;
pub use read::{List, Rows, open};
