//! One cell: its text, the several addresses that people put into it, and how a text is written as a cell.
//!
//! Decides: which pieces of a text are addresses of their own. Must not: repair or judge an address.

use std::borrow::Cow;
use std::io::Write;

/// The text of a cell as a CSV reader sees it: without its quotes, doubled quotes made one.
pub(super) fn unquote(cell: &[u8]) -> Cow<'_, [u8]> {
    let [b'"', rest @ ..] = cell else {
        return Cow::Borrowed(cell);
    };
    if let [inner @ .., b'"'] = rest
        && memchr::memchr(b'"', inner).is_none()
    {
        return Cow::Borrowed(inner);
    }
    let mut text = Vec::with_capacity(rest.len());
    let mut bytes = rest.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'"' {
            text.push(byte);
        } else if bytes.peek() == Some(&b'"') {
            text.push(b'"');
            bytes.next();
        } else {
            // What stands after the closing quote belongs to the cell as it is.
            text.extend(bytes);
            break;
        }
    }
    Cow::Owned(text)
}

/// Writes a text as a cell, in quotes if it needs them.
pub(super) fn write(out: &mut Vec<u8>, text: &str, delimiter: u8) {
    let bytes = text.as_bytes();
    let needs_quotes =
        memchr::memchr3(delimiter, b'"', b'\n', bytes).is_some() || memchr::memchr(b'\r', bytes).is_some();
    if needs_quotes {
        write_quoted(out, text);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

fn write_quoted(out: &mut Vec<u8>, text: &str) {
    let mut writer = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .from_writer(Vec::with_capacity(text.len() + 8));
    let written = writer.write_record([text]).is_ok();
    if let (true, Ok(mut cell)) = (written, writer.into_inner()) {
        cell.pop();
        let _ = out.write_all(&cell);
    }
}

/// The addresses in a cell that holds several; `None` when it holds one or none.
///
/// Addresses stand between commas, semicolons, pipes or white space, none of which counts inside quotes or angle
/// brackets. A piece without an @ is a name or a remark and no address.
pub(super) fn addresses(text: &str) -> Option<Vec<&str>> {
    if memchr::memchr_iter(b'@', text.as_bytes()).count() < 2 {
        return None;
    }
    let mut found: Vec<&str> = Vec::new();
    for piece in pieces(text, |c| matches!(c, ',' | ';' | '|' | '\n' | '\r' | '\t')) {
        if piece.matches('@').count() < 2 {
            found.extend(piece.contains('@').then_some(piece));
        } else {
            found.extend(pieces(piece, char::is_whitespace).filter(|word| word.contains('@')));
        }
    }
    (found.len() > 1).then_some(found)
}

/// The trimmed pieces between separators that stand neither in quotes nor in angle brackets.
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn several_addresses_are_told_from_one() {
        let table: [(&str, Option<&[&str]>); 12] = [
            ("ann@x.example", None),
            ("", None),
            ("Lee, Ann <ann@x.example>", None),
            ("\"a@b, c\"@x.example", None),
            ("ann@@x.example", None),
            ("ann@x.example;bob@y.example", Some(&["ann@x.example", "bob@y.example"])),
            ("ann@x.example, , bob@y.example,", Some(&["ann@x.example", "bob@y.example"])),
            ("ann@x.example\nbob@y.example", Some(&["ann@x.example", "bob@y.example"])),
            ("ann@x.example bob@y.example", Some(&["ann@x.example", "bob@y.example"])),
            ("Lee, Ann <ann@x.example>; <b@y.example>", Some(&["Ann <ann@x.example>", "<b@y.example>"])),
            ("\"Lee; A\" <ann@x.example>, b@y.example", Some(&["\"Lee; A\" <ann@x.example>", "b@y.example"])),
            ("ann@x.example (private), b@y.example", Some(&["ann@x.example (private)", "b@y.example"])),
        ];
        for (text, expected) in table {
            assert_eq!(addresses(text).as_deref(), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_written_cell_reads_back_by_us_and_by_the_csv_crate(
            text in "[a-c,;\"\r\n \té]{0,12}",
            delimiter in prop::sample::select(b",;\t|".as_slice()),
        ) {
            let mut cell = Vec::new();
            write(&mut cell, &text, delimiter);
            prop_assert_eq!(&*unquote(&cell), text.as_bytes());
            cell.extend_from_slice(&[delimiter, b'x']);
            let mut reader = csv::ReaderBuilder::new()
                .delimiter(delimiter).has_headers(false).from_reader(cell.as_slice());
            let record = reader.records().next().unwrap().unwrap();
            prop_assert_eq!(record.iter().collect::<Vec<_>>(), [text.as_str(), "x"]);
        }
    }
}
