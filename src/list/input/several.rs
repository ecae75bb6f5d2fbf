//! Addresses in a cell: whether it holds one, and which ones where it holds several.
//!
//! Decides: where one address ends and the next begins. Must not: judge or repair an address. Can't know: whether the first
//! one is the one that matters.

use crate::address::{self, Address, find_addresses};

/// The addresses in a cell that has several, each once; `None` for one or none.
///
/// Addresses are separated by commas, semicolons, pipes or white space outside of quotes and angle brackets. A piece
/// without an @ is a name or a remark.
pub(super) fn addresses_in(text: &str) -> Option<Vec<&str>> {
    // Markup, a formula or a display name may repeat one address.
    if memchr::memchr_iter(b'@', text.as_bytes()).count() < 2 || address::holds_one(text) {
        return None;
    }
    let mut found: Vec<&str> = Vec::new();
    for piece in pieces(text, |c| matches!(c, ',' | ';' | '|' | '\n' | '\r' | '\t' | '，' | '；' | '、')) {
        if piece.matches('@').count() < 2 {
            found.push(piece);
        } else if let Some(address) = after_display_name(piece) {
            found.push(address);
        } else {
            pieces(piece, char::is_whitespace).for_each(|word| add_word(word, &mut found));
        }
    }
    let mut each_once: Vec<&str> = Vec::new();
    for address in found.into_iter().filter_map(with_at) {
        if !each_once.iter().any(|known| known.eq_ignore_ascii_case(address)) {
            each_once.push(address);
        }
    }
    (each_once.len() > 1).then_some(each_once)
}

/// True for a cell with one address, also as exports write it (`Name <a@b>`, `mailto:`).
pub(super) fn looks_like_address(cell: &str) -> bool {
    let mut text = cell.trim();
    if let Some((_, rest)) = text.split_once('<') {
        text = rest.split('>').next().unwrap_or(rest);
    }
    text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\u{feff}'));
    text = text.strip_prefix("mailto:").unwrap_or(text);
    let plausible =
        text.find('@').is_some_and(|at| at > 0) && !text.contains([' ', ',', ';', '|', '\t', '/', ':']);
    plausible && Address::parse(text).is_ok()
}

/// True for a cell with one address, or with several and nothing else.
pub(super) fn holds_addresses(cell: &str) -> bool {
    looks_like_address(cell)
        || addresses_in(cell).is_some_and(|found| found.into_iter().all(looks_like_address))
}

/// Adds a word, or the addresses in it, where brackets, markup or a sign separate them.
fn add_word<'a>(word: &'a str, found: &mut Vec<&'a str>) {
    let inside = if word.matches('@').count() > 1 { find_addresses(word) } else { Vec::new() };
    if inside.len() > 1 {
        found.extend(inside.into_iter().map(|one| &word[one.range]));
    } else {
        found.push(word);
    }
}

/// A piece with an @ in its middle, without quotes around it.
fn with_at(piece: &str) -> Option<&str> {
    let inner = piece.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let piece = inner.filter(|inner| !inner.contains('"')).unwrap_or(piece);
    let at = piece.find('@')?;
    (at > 0 && at + 1 < piece.len()).then_some(piece)
}

/// The address in angle brackets behind a name that has an @ of its own, as in `"ann@x.example" <ann@x.example>`.
fn after_display_name(piece: &str) -> Option<&str> {
    let open = piece.find('<')?;
    let address = &piece[open..];
    let is_last = address.ends_with('>') && address.matches(['<', '>']).count() == 2;
    (open > 0 && is_last && address.contains('@')).then_some(address)
}

/// The trimmed pieces between separators that are neither in quotes nor in angle brackets.
fn pieces(text: &str, separates: impl Fn(char) -> bool) -> impl Iterator<Item = &str> {
    let mut start = 0;
    let mut quoted = false;
    let mut bracketed = false;
    let mut cuts: Vec<&str> = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '<' if !quoted => bracketed = true,
            '>' if !quoted => bracketed = false,
            c if separates(c) && !quoted && !bracketed => {
                cuts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    cuts.push(&text[start..]);
    cuts.into_iter().map(str::trim).filter(|piece| !piece.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_addresses_in_a_cell_are_found() {
        let two: &[&str] = &["ann@x.example", "bob@y.example"];
        let table: [(&str, Option<&[&str]>); 26] = [
            ("ann@x.example", None),
            ("", None),
            ("Lee, Ann <ann@x.example>", None),
            ("\"a@b, c\"@x.example", None),
            ("ann@@x.example", None),
            ("ann@x.example;bob@y.example", Some(two)),
            ("ann@x.example, , bob@y.example,", Some(two)),
            ("ann@x.example\nbob@y.example", Some(two)),
            ("ann@x.example bob@y.example", Some(two)),
            ("Lee, Ann <ann@x.example>; <b@y.example>", Some(&["Ann <ann@x.example>", "<b@y.example>"])),
            ("\"Lee; A\" <ann@x.example>, b@y.example", Some(&["\"Lee; A\" <ann@x.example>", "b@y.example"])),
            ("ann@x.example (private), b@y.example", Some(&["ann@x.example (private)", "b@y.example"])),
            ("ann@x.example/bob@y.example", Some(two)),
            ("<ann@x.example><bob@y.example>", Some(two)),
            ("\"ann@x.example\",\"bob@y.example\"", Some(two)),
            ("ann@x.example、bob@y.example", Some(two)),
            ("ann@x.example or bob@y.example", Some(two)),
            ("ann@x.example, @ann", None),
            ("\"ann@x.example\" <ann@x.example>", None),
            ("ann@x.example <ann@y.example>", None),
            ("ann@x.example; ANN@x.example", None),
            ("[ann@x.example](mailto:ann@x.example)", None),
            ("<a href=\"mailto:ann@x.example\">ann@x.example</a>", None),
            ("[ann@x.example](mailto:bob@y.example)", Some(two)),
            ("<a href=\"mailto:ann@x.example\">bob@y.example</a>", Some(two)),
            ("a@home <ann@x.example>, bob@y.example", Some(&["<ann@x.example>", "bob@y.example"])),
        ];
        for (text, expected) in table {
            assert_eq!(addresses_in(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_cell_with_one_address_as_exports_write_it_looks_like_an_address() {
        for cell in ["ann@x.example", " Ann <ann@x.example>", "\"ann@x.example\"", "mailto:ann@x.example"] {
            assert!(looks_like_address(cell), "{cell}");
        }
        for cell in
            ["", "@ann", "ann", "write to ann@x.example", "https://x.example/@ann", "a@x.example;b@y.example"]
        {
            assert!(!looks_like_address(cell), "{cell}");
        }
    }
}
