//! How the user wants a list to be read.
//!
//! Decides: nothing; what is not given is found by the other files of this room.

use crate::list::format::Encoding;

/// How the user wants a list to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The address column: its name (case does not count) or its number from 1 on. Where its cell is empty, the one of the
    /// next column counts. Empty: the column is found by its name, or else by its cells.
    pub columns: Vec<String>,
    /// Make a row of each address in a cell; otherwise the first one is judged and the others are listed as unreadable.
    pub split_cells: bool,
    /// Which line is the header.
    pub header: HeaderChoice,
    /// The byte between cells; `None`: found by how well it explains the rows.
    pub delimiter: Option<u8>,
    /// The encoding; `None`: found by the bytes.
    pub encoding: Option<Encoding>,
    /// The sheet of a workbook; `None`: the first visible one that holds addresses.
    pub sheet: Option<String>,
}

/// Which line of a list is its header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeaderChoice {
    /// The one that is found.
    #[default]
    Search,
    /// The row that starts on this line, from 1 on.
    Line(u64),
    /// The list has no header.
    Nowhere,
}
