//! What stands in each of our columns.
//!
//! Decides: the value of a cell. Empty means "not determined". Must not: judge.
//! No value of ours can be taken for a formula by a spreadsheet.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::SystemTime;

use crate::address::Domain;
use crate::list::output::columns::{Column, Content, Heading};
use crate::list::{format, input};
use crate::verdict::AddressResult;

/// What is told about one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutputRow<'a> {
    pub(super) record: &'a AddressResult,
    /// The two parts of the row's address, where `record` tells of all that are alike.
    pub(super) plain: Option<(&'a str, &'a str)>,
    /// The address as it was found, where another one was judged.
    pub(super) original: Option<&'a str>,
}

/// What stands in one cell of ours.
#[derive(Debug, PartialEq)]
pub(super) enum OutputValue<'a> {
    /// Not determined.
    None,
    /// A word of the vocabulary: small letters and `_`, which no list takes for a delimiter.
    Word(&'static str),
    /// A domain: nothing in it needs quotes either.
    Name(&'a str),
    /// An address of which nothing needs care: the parts left and right of the @.
    Plain(&'a str, &'a str),
    /// An id or a text.
    Text(&'a str),
    /// In the scratch text that was given.
    Scratch,
    Flag(bool),
    Number(u64),
}

impl OutputValue<'_> {
    /// Writes it as a cell; `scratch` is the text that was given.
    pub(super) fn write(&self, scratch: &str, delimiter: u8, out: &mut Vec<u8>) {
        match *self {
            OutputValue::None => {}
            OutputValue::Word(word) | OutputValue::Name(word) => out.extend_from_slice(word.as_bytes()),
            OutputValue::Plain(local, domain) => {
                for piece in [local, "@", domain] {
                    out.extend_from_slice(piece.as_bytes());
                }
            }
            OutputValue::Text(text) => input::write(out, text, delimiter),
            OutputValue::Scratch => input::write(out, scratch, delimiter),
            OutputValue::Flag(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
            OutputValue::Number(number) => {
                let _ = write!(out, "{number}");
            }
        }
    }

    /// Writes it as JSON; `scratch` is the text that was given.
    pub(super) fn write_json(&self, scratch: &str, out: &mut Vec<u8>) {
        match *self {
            OutputValue::None => out.extend_from_slice(b"null"),
            OutputValue::Word(text) | OutputValue::Name(text) | OutputValue::Text(text) => {
                format::write_string(out, text)
            }
            OutputValue::Plain(local, domain) => {
                for piece in ["\"", local, "@", domain, "\""] {
                    out.extend_from_slice(piece.as_bytes());
                }
            }
            OutputValue::Scratch => format::write_string(out, scratch),
            OutputValue::Flag(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
            OutputValue::Number(number) => {
                let _ = write!(out, "{number}");
            }
        }
    }
}

impl Heading {
    /// What stands in it; `scratch` is overwritten when that has to be composed.
    pub(super) fn value<'a>(&'a self, told: OutputRow<'a>, scratch: &mut String) -> OutputValue<'a> {
        match &self.content {
            Content::Column(column) => column.value(told, scratch),
            Content::Words(words) => match words.of(told.record.judgment.reason) {
                "" => OutputValue::None,
                word => OutputValue::Text(word),
            },
        }
    }
}

/// `smtp_text` is cut to so many bytes.
const MAX_SMTP_TEXT_BYTES: usize = 255;

impl Column {
    /// The value of this column; `scratch` is overwritten when the value has to be composed.
    pub(super) fn value<'a>(self, told: OutputRow<'a>, scratch: &mut String) -> OutputValue<'a> {
        let record = told.record;
        let judgment = &record.judgment;
        let mut compose = |compose: &dyn Fn(&mut String)| {
            scratch.clear();
            compose(scratch);
            OutputValue::Scratch
        };
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
            Column::Verdict => OutputValue::Word(judgment.reason.verdict().word()),
            Column::Reason => OutputValue::Word(judgment.reason.word()),
            Column::Fault => OutputValue::Word(judgment.reason.fault().word()),
            Column::Action => OutputValue::Word(judgment.reason.verdict().action()),
            Column::DidYouMean => match &record.did_you_mean {
                None => OutputValue::None,
                Some(address) => compose(&|text| {
                    text.push_str(address);
                    never_a_formula(text);
                }),
            },
            Column::EmailNormalized => match (told.plain, &record.address) {
                (Some((local, domain)), _) => OutputValue::Plain(local, domain),
                (None, None) => OutputValue::None,
                (None, Some(address)) => match address.domain() {
                    Some(domain) if is_plain(address.local()) => {
                        OutputValue::Plain(address.local(), domain.as_str())
                    }
                    _ => compose(&|text| {
                        let _ = write!(text, "{address}");
                        never_a_formula(text);
                    }),
                },
            },
            Column::Domain => match told.plain {
                Some((_, domain)) => OutputValue::Name(domain),
                None => name(record.address.as_ref().and_then(|a| a.domain())),
            },
            Column::Provider => text(record.provider.as_deref()),
            Column::MxHost => name(record.mx_host.as_ref()),
            Column::IsCatchAll => flag(record.catch_all),
            Column::IsRole => flag(record.kinds.role),
            Column::IsDisposable => flag(record.kinds.disposable),
            Column::IsFree => flag(record.kinds.free),
            Column::IsTagged => flag(record.kinds.tagged),
            Column::SmtpCode => record
                .reply
                .as_ref()
                .map_or(OutputValue::None, |reply| OutputValue::Number(u64::from(reply.code))),
            Column::EnhancedCode => match record.reply.as_ref().and_then(|reply| reply.enhanced) {
                None => OutputValue::None,
                Some(code) => compose(&|text| {
                    let _ = write!(text, "{code}");
                }),
            },
            Column::SmtpText => match &record.reply {
                None => OutputValue::None,
                Some(reply) => compose(&|text| {
                    let _ = write!(text, "{reply}");
                    cut(text, MAX_SMTP_TEXT_BYTES);
                }),
            },
            Column::Rule => OutputValue::Text(&judgment.rule),
            Column::Confidence => OutputValue::Word(judgment.confidence.word()),
            Column::Attempts => OutputValue::Number(u64::from(record.attempts)),
            Column::CheckedAt => time(record.checked_at),
            Column::ExpiresAt => time(record.expires_at),
            Column::RetryAfter => time(judgment.retry_after),
            // Shows when the rows before are known.
            Column::DuplicateOf => OutputValue::None,
            Column::Repairs if record.repairs.is_empty() => OutputValue::None,
            Column::Repairs => compose(&|text| {
                let words: Vec<&str> = record.repairs.iter().map(|repair| repair.word()).collect();
                text.push_str(&words.join(" "));
            }),
            Column::EmailOriginal => match told.original {
                Some(original) if original.starts_with(FORMULA_STARTS) => compose(&|text| {
                    // A spreadsheet's own mark for a text.
                    text.extend(["'", original]);
                }),
                original => text(original),
            },
        }
    }
}

/// Shortens a text to so many bytes or a few less, between two characters.
fn cut(text: &mut String, bytes: usize) {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

/// What a formula starts with, in one spreadsheet or another.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// True for the usual local part, which is no formula and needs no quotes in any list.
fn is_plain(local: &str) -> bool {
    let is_usual = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+');
    !local.starts_with(FORMULA_STARTS) && local.bytes().all(is_usual)
}

/// An address may start with `=`, `+` or `-`, which a spreadsheet takes for a formula. The same address with its
/// local part in quotes (RFC 5321 4.1.2) is harmless.
fn never_a_formula(address: &mut String) {
    if address.starts_with(FORMULA_STARTS)
        && let Some(at) = address.rfind('@')
    {
        address.insert(at, '"');
        address.insert(0, '"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ours_is_never_a_formula() {
        for (address, expected) in [
            ("ann@x.example", "ann@x.example"),
            ("=1+1@x.example", "\"=1+1\"@x.example"),
            ("+tag@x.example", "\"+tag\"@x.example"),
            ("\"=x\"@x.example", "\"=x\"@x.example"),
        ] {
            let mut text = address.to_owned();
            never_a_formula(&mut text);
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
