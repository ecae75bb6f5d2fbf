//! The local part of an address: a dot-string or a quoted string (RFC 5321 4.1.2, RFC 6531 3.3).
//!
//! Decides: where the local part ends, and its shortest form, which is the one to send. Must not: look at what follows
//! the @.

use std::borrow::Cow;

use super::characters::{reject_artifacts, reject_look_alikes};
use super::fault::{FaultKind, SyntaxFault, char_start, character_fault, fault};

/// The most octets of a local part as it is typed (RFC 5321 4.5.3.1.1).
pub(super) const MAX_BYTES: usize = 64;

/// Reads the local part of an address. Returns its shortest form and the offset of the @ after it.
pub(super) fn parse(text: &str) -> Result<(Cow<'_, str>, usize), SyntaxFault> {
    let (local, at) = match text.as_bytes().first() {
        None => return fault(FaultKind::Empty, 0),
        Some(b'"') => quoted(text)?,
        Some(_) => {
            let at = dot_string(text)?;
            (Cow::Borrowed(&text[..at]), at)
        }
    };
    if at > MAX_BYTES {
        return fault(FaultKind::LocalTooLong, char_start(text, MAX_BYTES));
    }
    Ok((local, at))
}

/// `atext` of RFC 5321 as a table, so that scanning a local part costs one load per byte.
const ATEXT: [bool; 256] = {
    let mut table = [false; 256];
    let letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~";
    let mut i = 0;
    while i < letters.len() {
        table[letters[i] as usize] = true;
        i += 1;
    }
    table
};

/// Reads a dot-string: atoms with single dots between them. Returns the offset of the @ after it.
fn dot_string(text: &str) -> Result<usize, SyntaxFault> {
    let bytes = text.as_bytes();
    let mut atom = 0;
    let mut international = false;
    for (at, &b) in bytes.iter().enumerate() {
        match b {
            _ if ATEXT[usize::from(b)] => {}
            b'.' if at > atom => atom = at + 1,
            0x80.. => international = true,
            b'@' if at > atom => {
                if international {
                    reject_artifacts(&text[..at])?;
                    reject_look_alikes(&text[..at])?;
                }
                return Ok(at);
            }
            // In a text without an @ the missing @ is the fault.
            _ if memchr::memchr(b'@', bytes).is_none() => break,
            b'@' if at == 0 => return fault(FaultKind::NoLocalPart, 0),
            b'@' => return fault(FaultKind::TrailingDot, at - 1),
            b'.' if at == 0 => return fault(FaultKind::LeadingDot, 0),
            b'.' => return fault(FaultKind::DoubleDot, at),
            b'"' => return fault(FaultKind::MisplacedQuote, at),
            _ => return fault(character_fault(b, FaultKind::LocalCharacter), at),
        }
    }
    fault(FaultKind::NoAt, text.len())
}

/// Reads a quoted string: printable ASCII and anything beyond ASCII, with a backslash before `"` and `\`. Returns the
/// shortest form of the same local part, which RFC 5321 4.1.2 asks to be sent, and the offset of the @ after it.
fn quoted(text: &str) -> Result<(Cow<'_, str>, usize), SyntaxFault> {
    let bytes = text.as_bytes();
    let mut content = String::with_capacity(bytes.len().min(MAX_BYTES));
    let mut at = 1;
    let mut run = at;
    loop {
        match bytes.get(at) {
            None => return fault(FaultKind::UnclosedQuote, 0),
            Some(b'"') => break,
            Some(b'\\') => match bytes.get(at + 1) {
                Some(b' '..=b'~') => {
                    content.push_str(&text[run..at]);
                    run = at + 1;
                    at += 2;
                }
                None => return fault(FaultKind::UnclosedQuote, 0),
                Some(_) => return fault(FaultKind::BadEscape, at),
            },
            Some(0..=31 | 127) => return fault(FaultKind::ControlCharacter, at),
            Some(_) => at += 1,
        }
    }
    content.push_str(&text[run..at]);
    let end = at + 1;
    match bytes.get(end) {
        Some(b'@') => {}
        None => return fault(FaultKind::NoAt, text.len()),
        Some(_) => return fault(FaultKind::MisplacedQuote, at),
    }
    if !content.is_ascii() {
        reject_artifacts(&text[..end])?;
        reject_look_alikes(&text[..end])?;
    }
    let local = if is_dot_string(&content) { content } else { in_quotes(&content) };
    Ok((local.into(), end))
}

fn is_dot_string(content: &str) -> bool {
    let atom = |atom: &str| !atom.is_empty() && atom.bytes().all(|b| ATEXT[usize::from(b)] || b >= 0x80);
    content.split('.').all(atom)
}

fn in_quotes(content: &str) -> String {
    let mut quoted = String::with_capacity(content.len() + 2);
    quoted.push('"');
    for c in content.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}
