//! How a text looks on a terminal: its width, colors, and signs beyond ASCII.
//!
//! Decides: colors and symbols. Nothing is said by color alone: each verdict has a symbol and its word beside it.

use std::time::SystemTime;

use crate::reason::Verdict;

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextStyle {
    /// Columns.
    pub width: usize,
    /// Long lines are wrapped; where they are not, each fact is one line.
    pub wraps: bool,
    /// With colors.
    pub has_color: bool,
    /// With signs beyond ASCII.
    pub has_unicode: bool,
}

impl Default for TextStyle {
    /// Plain: for files, logs and programs.
    fn default() -> TextStyle {
        TextStyle { width: 80, wraps: false, has_color: false, has_unicode: false }
    }
}

impl TextStyle {
    /// The sign of a verdict.
    pub(super) fn symbol(self, verdict: Verdict) -> char {
        match (verdict, self.has_unicode) {
            (Verdict::Deliverable, true) => '✓',
            (Verdict::Deliverable, false) => '+',
            (Verdict::Risky, _) => '!',
            (Verdict::Undeliverable, true) => '✗',
            (Verdict::Undeliverable, false) => 'x',
            (Verdict::Unknown, _) => '?',
            (Verdict::None, _) => ' ',
        }
    }

    /// The sign that a bar is made of.
    pub(super) fn block(self, verdict: Verdict) -> char {
        match (verdict, self.has_unicode) {
            (Verdict::Deliverable, true) => '█',
            (Verdict::Risky, true) => '▓',
            (Verdict::Undeliverable, true) => '▒',
            (Verdict::Unknown, true) => '░',
            (verdict, _) => self.symbol(verdict),
        }
    }

    /// The text in the color of a verdict, which is readable on a light and on a dark ground.
    pub(super) fn paint(self, verdict: Verdict, text: &str) -> String {
        let color = match verdict {
            Verdict::Deliverable => 32,
            Verdict::Risky => 172,
            Verdict::Undeliverable => 167,
            Verdict::Unknown => 245,
            Verdict::None => return text.to_owned(),
        };
        if self.has_color { format!("\x1b[38;5;{color}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// The text in bold.
    pub(super) fn bold(self, text: &str) -> String {
        if self.has_color { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// The text in lines that fit; each but the first begins with so many blanks, and the first has so many columns less.
    pub(super) fn wrap(self, text: &str, indent: usize) -> String {
        if !self.wraps {
            return text.to_owned();
        }
        let width = self.width.saturating_sub(indent).max(20);
        let mut wrapped = String::new();
        let mut column = 0;
        for word in text.split(' ') {
            let length = word.chars().count();
            if column > 0 && column + 1 + length > width {
                wrapped.push('\n');
                wrapped.extend(std::iter::repeat_n(' ', indent));
                column = 0;
            } else if column > 0 {
                wrapped.push(' ');
                column += 1;
            }
            wrapped.push_str(word);
            column += length;
        }
        wrapped
    }
}

/// A time to the minute, in UTC.
pub(in crate::report) fn time(at: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(at).to_string();
    format!("{} UTC", text.get(..16).unwrap_or(&text).replace('T', " "))
}
