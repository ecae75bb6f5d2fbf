//! Rows that are no row of the list by their position: labels between the rows, footers behind them.
//!
//! Decides: that a text without an @ stands for no address where it repeats the header of its column, where it is alone in
//! its row, or behind the last address of the list. A single word that may be a damaged address stays a syntax fault. Must
//! not: look at a cell with an @.

use crate::evidence::AddressStatus;
use crate::list::{Row, is_address_column_name};
use crate::policy::AddressLists;

/// True for a label or a footer. `header` is the name of the address column; `is_behind_addresses`: no row with an @ comes after this one.
pub(super) fn is_no_row(
    row: &Row<'_>,
    header: &str,
    is_behind_addresses: bool,
    status: &AddressStatus,
    lists: &AddressLists,
) -> bool {
    let text = row.address().trim();
    if !matches!(status, AddressStatus::Invalid(_)) || text.contains('@') {
        return false;
    }
    let has_words = text.contains(char::is_whitespace) || text.ends_with(':');
    is_address_column_name(text)
        || text.eq_ignore_ascii_case(header.trim())
        || (row.is_alone_in_its_row() && (has_words || lists.placeholders.is_line(text)))
        || (is_behind_addresses
            && (has_words || lists.placeholders.is_line(text) || !text.contains(char::is_alphabetic)))
}
