//! Columns that a query selects and a decoder reads, from one list.

/// Declares the columns of a decoder: a constant with the list for `SELECT`, and a constant with the number of each
/// column. The numbers begin at `from`, for a list that follows another.
macro_rules! columns {
    ($(#[$doc:meta])* $list:ident from $from:expr; $($column:ident = $sql:literal,)+) => {
        $(#[$doc])*
        pub(super) const $list: &str = $crate::state::columns::columns!(@list $($sql),+);
        $crate::state::columns::columns!(@number $from; $($column,)+);
    };
    (@list $first:literal $(, $more:literal)*) => { concat!($first $(, ", ", $more)*) };
    (@number $number:expr; $column:ident, $($more:ident,)*) => {
        const $column: usize = $number;
        $crate::state::columns::columns!(@number $column + 1; $($more,)*);
    };
    (@number $number:expr;) => {};
}

pub(super) use columns;
