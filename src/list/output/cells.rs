//! The added cells of a row.
//!
//! Decides: the value of each added column, and how it is written as CSV or JSON. An empty cell means "not determined". No
//! value is a formula to a spreadsheet. Must not: judge, or know where in a row the added cells stand.
//!
//! Most rows of many lists were not probed, and their added cells differ only in the address. So the cells that such rows
//! share are written once, as a [`Pattern`].

use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;
use std::time::SystemTime;

use crate::address::{AddressKinds, Domain};
use crate::list::columns::{Column, Content, Heading};
use crate::list::format::{write_cell, write_string};
use crate::verdict::{AddressResult, Judgment};

/// What the added cells of one row are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutputRow<'a> {
    pub(super) result: &'a AddressResult,
    /// Local part and domain of the row's address, where `result` is shared by many plain addresses.
    pub(super) plain: Option<(&'a str, &'a str)>,
    /// The text of the address cell, where another address was judged.
    pub(super) original: Option<&'a str>,
}

/// The value of one added cell.
#[derive(Debug, PartialEq)]
pub(super) enum OutputValue<'a> {
    /// Not determined.
    None,
    /// A word of the vocabulary: lower-case letters and `_`, so that it needs no quotes.
    Word(&'static str),
    /// A domain; it needs no quotes either.
    Name(&'a str),
    /// Local part and domain of an address that needs no quotes.
    Plain(&'a str, &'a str),
    /// An id or a text.
    Text(&'a str),
    /// The text that was written to `scratch`.
    Scratch,
    Flag(bool),
    Number(u64),
}

impl OutputValue<'_> {
    /// Writes the value as a cell; `scratch` as it is after the call that made the value.
    pub(super) fn write(&self, scratch: &str, delimiter: u8, out: &mut Vec<u8>) {
        match *self {
            OutputValue::None => {}
            OutputValue::Word(word) | OutputValue::Name(word) => out.extend_from_slice(word.as_bytes()),
            OutputValue::Plain(local, domain) => {
                for piece in [local, "@", domain] {
                    out.extend_from_slice(piece.as_bytes());
                }
            }
            OutputValue::Text(text) => write_cell(out, text, delimiter),
            OutputValue::Scratch => write_cell(out, scratch, delimiter),
            OutputValue::Flag(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
            OutputValue::Number(number) => {
                let _ = write!(out, "{number}");
            }
        }
    }

    /// Writes the value as JSON; `scratch` as it is after the call that made the value.
    pub(super) fn write_json(&self, scratch: &str, out: &mut Vec<u8>) {
        match *self {
            OutputValue::None => out.extend_from_slice(b"null"),
            OutputValue::Word(text) | OutputValue::Name(text) | OutputValue::Text(text) => {
                write_string(out, text);
            }
            OutputValue::Plain(local, domain) => {
                for piece in ["\"", local, "@", domain, "\""] {
                    out.extend_from_slice(piece.as_bytes());
                }
            }
            OutputValue::Scratch => write_string(out, scratch),
            OutputValue::Flag(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
            OutputValue::Number(number) => {
                let _ = write!(out, "{number}");
            }
        }
    }
}

impl Heading {
    /// The value of this column for a row; `scratch` is overwritten when the value has to be composed.
    pub(super) fn value<'a>(&'a self, output: OutputRow<'a>, scratch: &mut String) -> OutputValue<'a> {
        match &self.content {
            Content::Column(column) => column.value(output, scratch),
            Content::Words(words) => match words.word(output.result.judgment.reason) {
                "" => OutputValue::None,
                word => OutputValue::Text(word),
            },
            Content::Flags(words, kinds) => {
                let of_kinds = kinds
                    .iter()
                    .filter(|(column, _)| column.value(output, scratch) == OutputValue::Flag(true));
                let of_kinds: Vec<&str> = of_kinds.map(|(_, word)| word.as_str()).collect();
                let flags = [words.word(output.result.judgment.reason)].into_iter().chain(of_kinds);
                *scratch = flags.filter(|flag| !flag.is_empty()).collect::<Vec<_>>().join(" ");
                if scratch.is_empty() { OutputValue::None } else { OutputValue::Scratch }
            }
        }
    }
}

/// The most bytes of `smtp_text`.
const MAX_SMTP_TEXT_BYTES: usize = 255;

impl Column {
    /// The value of this column for a row; `scratch` is overwritten when the value has to be composed.
    pub(super) fn value<'a>(self, output: OutputRow<'a>, scratch: &mut String) -> OutputValue<'a> {
        let result = output.result;
        let judgment = &result.judgment;
        let mut compose = |compose: &dyn Fn(&mut String)| {
            scratch.clear();
            compose(scratch);
            OutputValue::Scratch
        };
        let word =
            |word: &'static str| if word.is_empty() { OutputValue::None } else { OutputValue::Word(word) };
        let text = |text: Option<&'a str>| text.map_or(OutputValue::None, OutputValue::Text);
        let name = |name: Option<&'a Domain>| {
            name.map_or(OutputValue::None, |name| OutputValue::Name(name.as_str()))
        };
        let flag = |flag: Option<bool>| flag.map_or(OutputValue::None, OutputValue::Flag);
        let mut time = |time: Option<SystemTime>| match time {
            None => OutputValue::None,
            Some(time) => compose(&|text| {
                let _ = write!(text, "{}", humantime::format_rfc3339_seconds(time));
            }),
        };
        match self {
            Column::Verdict => word(judgment.reason.verdict().word()),
            Column::Reason => OutputValue::Word(judgment.reason.word()),
            Column::Fault => OutputValue::Word(judgment.reason.fault().word()),
            Column::Action => word(judgment.reason.action()),
            Column::DidYouMean => match &result.did_you_mean {
                None => OutputValue::None,
                Some(address) => compose(&|text| {
                    text.push_str(address);
                    quote_formula(text);
                }),
            },
            Column::EmailNormalized => match (output.plain, &result.address) {
                (Some((local, domain)), _) => OutputValue::Plain(local, domain),
                (None, None) => OutputValue::None,
                (None, Some(address)) => match address.domain() {
                    Some(domain) if is_plain(address.local()) => {
                        OutputValue::Plain(address.local(), domain.as_str())
                    }
                    _ => compose(&|text| {
                        let _ = write!(text, "{address}");
                        quote_formula(text);
                    }),
                },
            },
            Column::Domain => match output.plain {
                Some((_, domain)) => OutputValue::Name(domain),
                None => name(result.address.as_ref().and_then(|a| a.domain())),
            },
            Column::Provider => text(result.provider.as_deref()),
            Column::MxHost => name(result.mx_host.as_ref()),
            Column::IsCatchAll => flag(result.catch_all),
            Column::IsRole => flag(result.kinds.role),
            Column::IsDisposable => flag(result.kinds.disposable),
            Column::IsFree => flag(result.kinds.free),
            Column::IsTagged => flag(result.kinds.tagged),
            Column::IsRelay => flag(result.kinds.relay),
            Column::SmtpCode => result
                .reply
                .as_ref()
                .map_or(OutputValue::None, |reply| OutputValue::Number(u64::from(reply.code))),
            Column::EnhancedCode => match result.reply.as_ref().and_then(|reply| reply.enhanced) {
                None => OutputValue::None,
                Some(code) => compose(&|text| {
                    let _ = write!(text, "{code}");
                }),
            },
            Column::SmtpText => match &result.reply {
                None => OutputValue::None,
                Some(reply) => compose(&|text| {
                    let _ = write!(text, "{reply}");
                    cut(text, MAX_SMTP_TEXT_BYTES);
                }),
            },
            Column::Rule => OutputValue::Text(&judgment.rule),
            Column::Confidence => OutputValue::Word(judgment.confidence.word()),
            Column::Attempts => OutputValue::Number(u64::from(result.attempts)),
            Column::CheckedAt => time(result.checked_at),
            Column::ExpiresAt => time(result.expires_at),
            Column::RetryAfter => time(judgment.retry_after),
            // Written when the rows before are known.
            Column::DuplicateOf => OutputValue::None,
            Column::Repairs if result.repairs.is_empty() => OutputValue::None,
            Column::Repairs => compose(&|text| {
                let words: Vec<&str> = result.repairs.iter().map(|repair| repair.word()).collect();
                text.push_str(&words.join(" "));
            }),
            Column::EmailOriginal => match output.original {
                Some(original) if original.starts_with(FORMULA_STARTS) => compose(&|text| {
                    // The mark that makes a cell a text in spreadsheets.
                    text.extend(["'", original]);
                }),
                original => text(original),
            },
        }
    }
}

/// Cuts a text to at most so many bytes, between two characters.
fn cut(text: &mut String, bytes: usize) {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

/// With these characters a formula begins in some spreadsheet.
pub(super) const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// True for a usual local part, which is not a formula and needs no quotes with any delimiter.
fn is_plain(local: &str) -> bool {
    let is_usual = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+');
    !local.starts_with(FORMULA_STARTS) && local.bytes().all(is_usual)
}

/// Quotes the local part (RFC 5321 4.1.2) of an address that begins like a formula; the address means the same.
fn quote_formula(address: &mut String) {
    if address.starts_with(FORMULA_STARTS)
        && let Some(at) = address.rfind('@')
    {
        address.insert(at, '"');
        address.insert(0, '"');
    }
}

/// The added columns, and the patterns of the rows before.
#[derive(Clone, Debug)]
pub(super) struct AddedColumns {
    columns: Vec<Heading>,
    patterns: [Pattern; PATTERNS],
    /// Overwritten by each value; kept for its memory.
    scratch: String,
}

/// The added cells that rows share, without those that differ from row to row.
#[derive(Clone, Debug, Default)]
struct Pattern {
    /// The pattern is for all rows without probes that have this judgment and these kinds; `None` where the row has probes,
    /// and the pattern is for that row only.
    of: Option<(Judgment, AddressKinds)>,
    text: Vec<u8>,
    /// Offsets in `text` of the cells that differ, and their columns.
    varying: Vec<(usize, usize)>,
}

/// A pattern for each combination of the five kinds of address.
const PATTERNS: usize = 32;

impl AddedColumns {
    pub(super) fn new(columns: Vec<Heading>) -> AddedColumns {
        AddedColumns {
            columns,
            patterns: std::array::from_fn(|_| Pattern::default()),
            scratch: String::new(),
        }
    }

    pub(super) fn headings(&self) -> &[Heading] {
        &self.columns
    }

    /// Writes the cells of a row with delimiters between them. Returns the range of the [`Column::DuplicateOf`] cell in
    /// `out`, or the end of `out` without that column.
    pub(super) fn write(&mut self, output: OutputRow<'_>, delimiter: u8, out: &mut Vec<u8>) -> Range<usize> {
        let AddedColumns { columns, patterns, scratch } = self;
        let pattern = &mut patterns[pattern_index(output.result.kinds)];
        if !pattern.is_of(output.result) {
            pattern.compose(columns, output, scratch, delimiter);
        }
        let mut gap = None;
        let mut written = 0;
        for &(at, column) in &pattern.varying {
            out.extend_from_slice(&pattern.text[written..at]);
            written = at;
            let column = &columns[column];
            column.value(output, scratch).write(scratch, delimiter, out);
            if column.is(Column::DuplicateOf) {
                gap = Some(out.len()..out.len());
            }
        }
        out.extend_from_slice(&pattern.text[written..]);
        gap.unwrap_or(out.len()..out.len())
    }

    /// Writes the fields of an object, with a comma before each but the first of an object without other fields. Returns
    /// the range of the [`Column::DuplicateOf`] value in `out`, if there is one.
    pub(super) fn write_json(
        &mut self,
        output: OutputRow<'_>,
        has_fields: bool,
        write_key: impl Fn(&str, &mut Vec<u8>),
        out: &mut Vec<u8>,
    ) -> Option<Range<usize>> {
        let mut gap = None;
        for (n, column) in self.columns.iter().enumerate() {
            if n > 0 || has_fields {
                out.push(b',');
            }
            write_key(&column.name, out);
            let start = out.len();
            column.value(output, &mut self.scratch).write_json(&self.scratch, out);
            if column.is(Column::DuplicateOf) {
                gap = Some(start..out.len());
            }
        }
        gap
    }
}

fn pattern_index(kinds: AddressKinds) -> usize {
    let kinds = [kinds.role, kinds.disposable, kinds.free, kinds.tagged, kinds.relay];
    kinds.into_iter().fold(0, |index, kind| index << 1 | usize::from(kind == Some(true)))
}

/// What the added cells of a row without probes follow from, except the varying ones; `None` for a row with probes.
fn without_probes(result: &AddressResult) -> Option<(&Judgment, AddressKinds)> {
    match result {
        AddressResult {
            judgment,
            did_you_mean: _,
            address: _,
            repairs: _,
            kinds,
            provider: None,
            mx_host: None,
            catch_all: None,
            reply: None,
            attempts: 0,
            checked_at: None,
            expires_at: None,
        } => Some((judgment, *kinds)),
        _ => None,
    }
}

/// True for a column in which rows with the same pattern may differ.
fn is_varying(heading: &Heading) -> bool {
    use Column::{DidYouMean, Domain, DuplicateOf, EmailNormalized, EmailOriginal, Repairs};
    matches!(
        heading.content,
        Content::Column(DidYouMean | EmailNormalized | Domain | DuplicateOf | EmailOriginal | Repairs)
    )
}

impl Pattern {
    fn is_of(&self, result: &AddressResult) -> bool {
        let (Some((judgment, kinds)), Some(other)) = (&self.of, without_probes(result)) else {
            return false;
        };
        (judgment, *kinds) == other
    }

    fn compose(&mut self, columns: &[Heading], output: OutputRow<'_>, scratch: &mut String, delimiter: u8) {
        let Pattern { of, text, varying } = self;
        *of = without_probes(output.result).map(|(judgment, kinds)| (judgment.clone(), kinds));
        text.clear();
        varying.clear();
        for (n, column) in columns.iter().enumerate() {
            if n > 0 {
                text.push(delimiter);
            }
            if is_varying(column) {
                varying.push((text.len(), n));
            } else {
                column.value(output, scratch).write(scratch, delimiter, text);
            }
        }
    }
}

/// Writes one result as a JSON object and a line end: `email`, the columns of
/// [`ColumnSet::Full`](crate::list::ColumnSet::Full), and `repairs`. `email` is the text as it was given; a value that was
/// not determined is `null`. This is what `check --json` prints.
pub fn write_object(out: &mut Vec<u8>, email: &str, result: &AddressResult) {
    out.extend_from_slice(b"{\"email\":");
    write_string(out, email);
    let mut scratch = String::new();
    for column in Column::FULL.iter().chain(&[Column::Repairs]) {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(column.name().as_bytes());
        out.extend_from_slice(b"\":");
        let output = OutputRow { result, plain: None, original: None };
        column.value(output, &mut scratch).write_json(&scratch, out);
    }
    out.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_address_is_no_formula() {
        for (address, expected) in [
            ("ann@x.example", "ann@x.example"),
            ("=1+1@x.example", "\"=1+1\"@x.example"),
            ("+tag@x.example", "\"+tag\"@x.example"),
            ("\"=x\"@x.example", "\"=x\"@x.example"),
        ] {
            let mut text = address.to_owned();
            quote_formula(&mut text);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let mut text = "aé€".repeat(60);
        cut(&mut text, 255);
        assert_eq!((text.len(), text.ends_with('é')), (255, true));
        cut(&mut text, 254);
        assert_eq!(text.len(), 253);
    }
}
