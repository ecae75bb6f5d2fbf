//! A file of vCards (versions 2.1 to 4.0) as a list: a row for each e-mail address, with the name of its card beside it.
//!
//! Decides: which properties are read (RFC 6350 6.2.1, 6.4.2; RFC 2426; vCard 2.1 with its quoted-printable values). A card
//! without an address is a row without one. Each row stands on the line of its property, so that line numbers are those of
//! the file. Must not: judge an address. Can't know: which of several addresses of a card is the preferred one.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};

use crate::list::error::CopyError;

/// More of a property is not read: photos are long, names are not.
const MAX_PROPERTY_BYTES: usize = 16 << 10;
/// More addresses of one card are rows of their own without its name.
const MAX_ADDRESSES: usize = 1_000;

/// True for a file that begins with a card.
pub(in crate::list) fn is_vcard(start: &[u8]) -> bool {
    const BEGIN: &[u8] = b"BEGIN:VCARD";
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    start.get(..BEGIN.len()).is_some_and(|start| start.eq_ignore_ascii_case(BEGIN))
}

/// Writes the cards as CSV to a new file, and returns it.
pub(in crate::list) fn copy_cards(
    file: impl Read,
    new_file: impl FnOnce() -> Result<File, CopyError>,
) -> Result<File, CopyError> {
    let mut rows = CardRows { out: BufWriter::new(new_file()?), line: 1 };
    rows.write(b"name,email")?;
    let mut lines = BufReader::new(file);
    let mut card = Card::default();
    // The property that is read, the line where it begins, and the number of the current line.
    let (mut property, mut begins, mut line) = (Vec::new(), 0, 0);
    let mut text = Vec::new();
    loop {
        let is_last = !read_line(&mut lines, &mut text)?;
        line += 1;
        let is_folded = matches!(text.first(), Some(b' ' | b'\t'));
        if !is_last && (is_folded || continues(&property)) {
            let more = if is_folded { &text[1..] } else { &text[..] };
            if !is_folded {
                property.pop();
            }
            if property.len() < MAX_PROPERTY_BYTES {
                property.extend_from_slice(more);
            }
            continue;
        }
        if card.add(&property, begins) || card.addresses.len() == MAX_ADDRESSES || is_last {
            rows.write_card(&mut card)?;
        }
        if is_last {
            rows.write(b"\n")?;
            return rows.out.into_inner().map_err(|error| CopyError::Copy(error.into_error()));
        }
        std::mem::swap(&mut property, &mut text);
        begins = line;
    }
}

/// Reads a line without its end, and not more of it than a property may have; false at the end of the file.
fn read_line(lines: &mut impl BufRead, text: &mut Vec<u8>) -> Result<bool, CopyError> {
    text.clear();
    let mut is_any = false;
    loop {
        let buffer = lines.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        is_any = true;
        let end = memchr::memchr(b'\n', buffer);
        let part = &buffer[..end.unwrap_or(buffer.len())];
        let room = MAX_PROPERTY_BYTES.saturating_sub(text.len());
        text.extend_from_slice(&part[..part.len().min(room)]);
        let read = end.map_or(buffer.len(), |end| end + 1);
        lines.consume(read);
        if end.is_some() {
            break;
        }
    }
    if text.last() == Some(&b'\r') {
        text.pop();
    }
    Ok(is_any)
}

/// True for a quoted-printable value (vCard 2.1) that goes on in the next line.
fn continues(property: &[u8]) -> bool {
    property.last() == Some(&b'=')
        && Property::of(property).is_some_and(|property| property.is_quoted_printable())
}

/// What is known of a card so far.
#[derive(Default)]
struct Card {
    formatted_name: Option<Vec<u8>>,
    name: Option<Vec<u8>>,
    organization: Option<Vec<u8>>,
    /// The addresses, each with its line.
    addresses: Vec<(u64, Vec<u8>)>,
    /// The line on which it begins; 0 outside of cards.
    begins: u64,
}

impl Card {
    /// Adds a property; true at the end of the card.
    fn add(&mut self, line_text: &[u8], line: u64) -> bool {
        let Some(property) = Property::of(line_text) else { return false };
        let name = property.name.to_ascii_uppercase();
        match &name[..] {
            b"BEGIN" if self.begins == 0 => self.begins = line,
            b"END" => return true,
            b"FN" => self.formatted_name = Some(property.text()),
            b"N" => {
                let text = property.text();
                let mut parts = text.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
                let (family, given) = (parts.next().unwrap_or(b""), parts.next().unwrap_or(b""));
                self.name = Some([given, b" ", family].concat().trim_ascii().to_vec());
            }
            b"ORG" => self.organization = Some(property.text()),
            b"EMAIL" => self.addresses.push((line, property.text())),
            _ => {}
        }
        false
    }
}

/// One line of a card: `group.NAME;PARAMETER=value:VALUE`.
struct Property<'a> {
    name: &'a [u8],
    parameters: &'a [u8],
    value: &'a [u8],
}

impl Property<'_> {
    fn of(line: &[u8]) -> Option<Property<'_>> {
        let mut quoted = false;
        let colon = line.iter().position(|&byte| {
            quoted ^= byte == b'"';
            byte == b':' && !quoted
        })?;
        let (head, value) = (&line[..colon], &line[colon + 1..]);
        let end = memchr::memchr(b';', head).unwrap_or(head.len());
        let (name, parameters) = head.split_at(end);
        let group = memchr::memchr(b'.', name).map_or(0, |dot| dot + 1);
        Some(Property { name: name[group..].trim_ascii(), parameters, value })
    }

    /// The value of a parameter, in upper case.
    fn parameter(&self, name: &str) -> Option<String> {
        let parameters = String::from_utf8_lossy(self.parameters).to_uppercase();
        let mut pairs = parameters.split(';').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim_matches('"').to_owned())
    }

    /// Version 2.1 leaves out the name of the parameter.
    fn is_quoted_printable(&self) -> bool {
        let parameters = self.parameters.to_ascii_uppercase();
        memchr::memmem::find(&parameters, b"QUOTED-PRINTABLE").is_some()
    }

    /// The value as one line of text.
    fn text(&self) -> Vec<u8> {
        let mut bytes = Cow::Borrowed(self.value);
        if self.is_quoted_printable() {
            bytes = Cow::Owned(quoted_printable(self.value));
        }
        let charset = self.parameter("CHARSET");
        let encoding = charset.and_then(|label| encoding_rs::Encoding::for_label(label.as_bytes()));
        if let Some(encoding) = encoding {
            bytes = Cow::Owned(encoding.decode_without_bom_handling(&bytes).0.into_owned().into_bytes());
        }
        let mut text = Vec::with_capacity(bytes.len());
        let mut rest = bytes.iter().copied();
        while let Some(byte) = rest.next() {
            match byte {
                b'\\' => match rest.next() {
                    Some(b'n' | b'N') => text.push(b' '),
                    Some(escaped) => text.push(escaped),
                    None => {}
                },
                b'\r' | b'\n' => text.push(b' '),
                _ => text.push(byte),
            }
        }
        text.trim_ascii().to_vec()
    }
}

/// The bytes of a quoted-printable value (RFC 2045 6.7).
fn quoted_printable(value: &[u8]) -> Vec<u8> {
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(&byte) = value.get(at) {
        let digits = (value.get(at + 1).copied().and_then(hex), value.get(at + 2).copied().and_then(hex));
        if let (b'=', (Some(high), Some(low))) = (byte, digits) {
            bytes.push(high << 4 | low);
            at += 3;
        } else {
            bytes.push(byte);
            at += 1;
        }
    }
    bytes
}

/// Writes rows on the lines where their properties are.
struct CardRows {
    out: BufWriter<File>,
    /// The number of the line that is being written.
    line: u64,
}

impl CardRows {
    fn write(&mut self, bytes: &[u8]) -> Result<(), CopyError> {
        self.out.write_all(bytes).map_err(CopyError::Copy)
    }

    /// Writes the rows of a card, and empties it.
    fn write_card(&mut self, card: &mut Card) -> Result<(), CopyError> {
        let Card { formatted_name, name, organization, mut addresses, begins } = std::mem::take(card);
        let filled = |name: &Vec<u8>| !name.is_empty();
        let names = [formatted_name, name, organization];
        let name = names.into_iter().flatten().find(filled).unwrap_or_default();
        if addresses.is_empty() && begins > 0 {
            addresses.push((begins, Vec::new()));
        }
        for (line, address) in addresses {
            self.write(b"\n")?;
            self.line += 1;
            while self.line < line {
                self.write(b"\n")?;
                self.line += 1;
            }
            let mut row = Vec::new();
            write_bytes(&mut row, &name);
            row.push(b',');
            write_bytes(&mut row, &address);
            self.write(&row)?;
        }
        Ok(())
    }
}

/// Writes bytes of any encoding as a cell in quotes.
fn write_bytes(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for &byte in text {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}
