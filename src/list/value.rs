//! What stands in each of our columns.
//!
//! Decides: the value of a cell. Empty means "not determined". Must not: judge.
//! No value of ours can be taken for a formula by a spreadsheet.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::SystemTime;

use super::columns::{Column, Content, Heading};
use super::{cell, json};
use crate::address::Domain;
use crate::verdict::Record;

/// What is told about one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    pub(super) record: &'a Record,
    /// The two parts of the row's address, where `record` tells of all that are alike.
    pub(super) plain: Option<(&'a str, &'a str)>,
    /// The address as it was found, where another one was judged.
    pub(super) original: Option<&'a str>,
}

/// What stands in one cell of ours.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
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

impl Value<'_> {
    /// Writes it as a cell; `scratch` is the text that was given.
    pub(super) fn write(&self, scratch: &str, delimiter: u8, out: &mut Vec<u8>) {
        match *self {
            Value::None => {}
            Value::Word(word) | Value::Name(word) => out.extend_from_slice(word.as_bytes()),
            Value::Plain(local, domain) => {
                for piece in [local, "@", domain] {
                    out.extend_from_slice(piece.as_bytes());
                }
            }
            Value::Text(text) => cell::write(out, text, delimiter),
            Value::Scratch => cell::write(out, scratch, delimiter),
            Value::Flag(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
            Value::Number(number) => {
                let _ = write!(out, "{number}");
            }
        }
    }

    /// Writes it as JSON; `scratch` is the text that was given.
    pub(super) fn write_json(&self, scratch: &str, out: &mut Vec<u8>) {
        match *self {
            Value::None => out.extend_from_slice(b"null"),
            Value::Word(text) | Value::Name(text) | Value::Text(text) => json::write_string(out, text),
            Value::Plain(local, domain) => {
                for piece in ["\"", local, "@", domain, "\""] {
                    out.extend_from_slice(piece.as_bytes());
                }
            }
            Value::Scratch => json::write_string(out, scratch),
            Value::Flag(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
            Value::Number(number) => {
                let _ = write!(out, "{number}");
            }
        }
    }
}

impl Heading {
    /// What stands in it; `scratch` is overwritten when that has to be composed.
    pub(super) fn value<'a>(&'a self, told: Told<'a>, scratch: &mut String) -> Value<'a> {
        match &self.content {
            Content::Column(column) => column.value(told, scratch),
            Content::Words(words) => match words.of(told.record.judgement.reason) {
                "" => Value::None,
                word => Value::Text(word),
            },
        }
    }
}

/// `smtp_text` is cut to so many bytes.
const MAX_SMTP_TEXT_BYTES: usize = 255;

impl Column {
    /// The value of this column; `scratch` is overwritten when the value has to be composed.
    pub(super) fn value<'a>(self, told: Told<'a>, scratch: &mut String) -> Value<'a> {
        let record = told.record;
        let judgement = &record.judgement;
        let mut compose = |compose: &dyn Fn(&mut String)| {
            scratch.clear();
            compose(scratch);
            Value::Scratch
        };
        let text = |text: Option<&'a str>| text.map_or(Value::None, Value::Text);
        let name = |name: Option<&'a Domain>| name.map_or(Value::None, |name| Value::Name(name.as_str()));
        let flag = |flag: Option<bool>| flag.map_or(Value::None, Value::Flag);
        let mut time = |time: Option<SystemTime>| match time {
            None => Value::None,
            Some(time) => compose(&|text| {
                let _ = write!(text, "{}", humantime::format_rfc3339_seconds(time));
            }),
        };
        match self {
            Column::Verdict => Value::Word(judgement.reason.verdict().word()),
            Column::Reason => Value::Word(judgement.reason.word()),
            Column::Fault => Value::Word(judgement.reason.fault().word()),
            Column::Action => Value::Word(judgement.reason.verdict().action()),
            Column::DidYouMean => match &record.did_you_mean {
                None => Value::None,
                Some(address) => compose(&|text| {
                    text.push_str(address);
                    never_a_formula(text);
                }),
            },
            Column::EmailNormalized => match (told.plain, &record.address) {
                (Some((local, domain)), _) => Value::Plain(local, domain),
                (None, None) => Value::None,
                (None, Some(address)) => match address.domain() {
                    Some(domain) if is_plain(address.local()) => {
                        Value::Plain(address.local(), domain.as_str())
                    }
                    _ => compose(&|text| {
                        let _ = write!(text, "{address}");
                        never_a_formula(text);
                    }),
                },
            },
            Column::Domain => match told.plain {
                Some((_, domain)) => Value::Name(domain),
                None => name(record.address.as_ref().and_then(|a| a.domain())),
            },
            Column::Provider => text(record.provider.as_deref()),
            Column::MxHost => name(record.mx_host.as_ref()),
            Column::IsCatchAll => flag(record.catch_all),
            Column::IsRole => flag(record.kinds.role),
            Column::IsDisposable => flag(record.kinds.disposable),
            Column::IsFree => flag(record.kinds.free),
            Column::IsTagged => flag(record.kinds.tagged),
            Column::SmtpCode => {
                record.reply.as_ref().map_or(Value::None, |reply| Value::Number(u64::from(reply.code)))
            }
            Column::EnhancedCode => match record.reply.as_ref().and_then(|reply| reply.enhanced) {
                None => Value::None,
                Some(code) => compose(&|text| {
                    let _ = write!(text, "{code}");
                }),
            },
            Column::SmtpText => match &record.reply {
                None => Value::None,
                Some(reply) => compose(&|text| {
                    let _ = write!(text, "{reply}");
                    cut(text, MAX_SMTP_TEXT_BYTES);
                }),
            },
            Column::Rule => Value::Text(&judgement.rule),
            Column::Confidence => Value::Word(judgement.confidence.word()),
            Column::Attempts => Value::Number(u64::from(record.attempts)),
            Column::CheckedAt => time(record.checked_at),
            Column::ExpiresAt => time(record.expires_at),
            Column::RetryAfter => time(judgement.retry_after),
            // Shows when the rows before are known.
            Column::DuplicateOf => Value::None,
            Column::Repairs if record.repairs.is_empty() => Value::None,
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
