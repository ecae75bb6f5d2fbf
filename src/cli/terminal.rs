//! What the terminal can show: its width, colors, signs beyond ASCII.
//!
//! Decides: plain text of 80 columns off a terminal; no colors with `NO_COLOR` or `--no-color`, neither colors nor signs with
//! `TERM=dumb`.

use std::io::{self, IsTerminal};

use terminal_size::{Width, terminal_size_of};

use listproof::report::TextStyle;

/// A narrower terminal is written to as if it had this width.
const LEAST_COLUMNS: usize = 40;
/// Longer lines are hard to read.
const MOST_COLUMNS: usize = 120;

/// The style of what is written to stdout, or else to stderr.
pub(super) fn style(no_color: bool, to_stdout: bool) -> TextStyle {
    let (is_terminal, size) = if to_stdout {
        (io::stdout().is_terminal(), terminal_size_of(io::stdout()))
    } else {
        (io::stderr().is_terminal(), terminal_size_of(io::stderr()))
    };
    if !is_terminal {
        return TextStyle::default();
    }
    let width = size.map_or(80, |(Width(columns), _)| usize::from(columns));
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    TextStyle {
        width: width.clamp(LEAST_COLUMNS, MOST_COLUMNS),
        wraps: true,
        has_color: !is_plain(no_color) && !is_dumb,
        has_unicode: !is_dumb,
    }
}

/// True if the user wants no colors.
pub(super) fn is_plain(no_color: bool) -> bool {
    no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
