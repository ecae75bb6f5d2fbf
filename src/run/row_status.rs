//! Rows that are no row of the list by their position: labels between the rows, footers behind them.
//!
//! Decides: that a text without an @ stands for no address where it repeats the header of its column, where several words
//! are alone in their row, and where a sum or the words of a footer stand behind the last address of the list. What may be a
//! damaged address stays a syntax fault. Must
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
    let is_line = || lists.placeholders.is_line(text);
    is_address_column_name(text)
        || text.eq_ignore_ascii_case(header.trim())
        || (row.is_alone_in_its_row() && (has_words || is_line()))
        || (is_behind_addresses && (is_sum(text) || is_line()))
}

/// True for a number that is too short for a telephone.
fn is_sum(text: &str) -> bool {
    const MOST_DIGITS: usize = 6;
    text.bytes().all(|b| b.is_ascii_digit() || b"., ".contains(&b))
        && text.bytes().filter(u8::is_ascii_digit).count() <= MOST_DIGITS
}
