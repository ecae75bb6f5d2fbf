//! Which encoding a list has.
//!
//! Decides: by a byte order mark, by the places of NULs (UTF-16), otherwise at the first byte beyond ASCII, on the megabyte
//! from there. Valid UTF-8 is UTF-8, also with a few broken rows, whose bytes are read as Windows-1252. For other bytes each
//! encoding gets a score (`likelihood`), the guess of `chardetng` counts too, and the best one is taken if it is clearly
//! better than every encoding that gives another text. A short list with Latin letters only is Windows-1252 where that is
//! not so. Fails: where no encoding fits well, or two do; names are never rewritten by a guess. Can't know: what comes
//! after that megabyte.

use std::collections::{BTreeMap, HashSet};
use std::sync::OnceLock;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};

use super::likelihood::{DecodedCells, decode};
use crate::list::format::Encoding;

/// How many bytes from the first one beyond ASCII on are looked at.
pub(super) const LOOKED_AT_BYTES: usize = 1 << 20;
/// In so many first bytes of a list the countries of addresses are counted.
const HINT_BYTES: usize = 64 << 10;
/// Most bytes of different cells that are decoded in each encoding.
const MOST_CELL_BYTES: usize = 24 << 10;
/// A cell says no more beyond this length.
const MOST_BYTES_OF_CELL: usize = 400;
/// UTF-8 stays UTF-8 where at most one row in so many is broken.
const ONE_BROKEN_ROW_OF: usize = 1_000;
/// The best encoding must be so much more likely, as a logarithm, than the next one with another text.
const CLEARLY: f32 = 7.0;
/// A list is short up to so many different cells with bytes beyond ASCII.
const SHORT_CELLS: usize = 25;
/// No encoding fits if each byte is less likely than this, as a logarithm.
const WORST_BYTE: f32 = -7.5;
/// How much the guess of `chardetng` counts, for many cells.
const GUESS: f32 = 8.0;

/// The encodings that are found, with the logarithm of how frequent they are among lists that are not UTF-8.
const FOUND: [(&str, f32); 27] = [
    ("windows-1252", 4.0),
    ("windows-1250", 0.0),
    ("windows-1251", 0.0),
    ("windows-1253", 0.0),
    ("windows-1254", 0.0),
    ("windows-1255", 0.0),
    ("windows-1256", 0.0),
    ("windows-1257", -1.0),
    ("windows-1258", -2.0),
    ("windows-874", 0.0),
    ("gbk", 0.0),
    ("big5", 0.0),
    ("shift_jis", 0.0),
    ("euc-jp", -1.5),
    ("euc-kr", 0.0),
    ("koi8-r", -1.5),
    ("koi8-u", -2.0),
    ("iso-8859-2", -1.5),
    ("iso-8859-4", -4.0),
    ("iso-8859-5", -2.5),
    ("iso-8859-6", -2.5),
    ("iso-8859-7", -1.5),
    ("iso-8859-8", -2.0),
    ("iso-8859-13", -3.0),
    ("iso-8859-16", -4.0),
    ("ibm866", -4.0),
    ("macintosh", -5.0),
];

/// The encoding is not known; the likely ones.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the encoding is not known")]
pub(super) struct UnknownEncoding {
    pub(super) likely: Vec<Encoding>,
}

/// Decides the encoding of one list where its first bytes are ASCII, once for all of its readers.
#[derive(Debug, Default)]
pub(super) struct EncodingFinder {
    /// The top-level domain of a country that most addresses have.
    domain: Option<String>,
    found: OnceLock<Result<Encoding, UnknownEncoding>>,
}

impl EncodingFinder {
    /// A finder for a list that begins with these bytes.
    pub(super) fn of(start: &[u8]) -> EncodingFinder {
        let start = &start[..start.len().min(HINT_BYTES)];
        EncodingFinder { domain: country_domain(start), found: OnceLock::new() }
    }

    /// The encoding of a list that has these bytes from the first one beyond ASCII on.
    pub(super) fn find(&self, bytes: &[u8]) -> Result<Encoding, UnknownEncoding> {
        self.found.get_or_init(|| find(bytes, self.domain.as_deref())).clone()
    }

    /// The encoding, if a reader has met bytes beyond ASCII.
    pub(super) fn found(&self) -> Option<Encoding> {
        self.found.get().and_then(|found| found.as_ref().ok()).copied()
    }
}

/// The encoding that a byte order mark or the places of NULs show, and how many bytes of marks there are.
pub(super) fn marked_encoding(start: &[u8]) -> Option<(Encoding, usize)> {
    for (mark, encoding) in [
        (&[0xef, 0xbb, 0xbf][..], Encoding::UTF_8),
        (&[0xff, 0xfe], Encoding::UTF_16LE),
        (&[0xfe, 0xff], Encoding::UTF_16BE),
    ] {
        if start.starts_with(mark) {
            // There are two marks when a program added one to a file that had one.
            let marks = start.chunks_exact(mark.len()).take_while(|piece| *piece == mark).count();
            return Some((encoding, marks * mark.len()));
        }
    }
    let pairs = start.len() / 2;
    let nuls_at = |place| start.chunks_exact(2).filter(|pair| pair[place] == 0).count();
    let (first, second) = (nuls_at(0), nuls_at(1));
    // Text of mostly western letters: every other byte is NUL, and the bytes between are not.
    if second > pairs / 2 && first <= pairs / 20 {
        return Some((Encoding::UTF_16LE, 0));
    }
    if first > pairs / 2 && second <= pairs / 20 {
        return Some((Encoding::UTF_16BE, 0));
    }
    None
}

/// The encoding of bytes that begin with the first one beyond ASCII.
fn find(bytes: &[u8], domain: Option<&str>) -> Result<Encoding, UnknownEncoding> {
    match utf8_state(bytes) {
        Utf8State::Valid => return Ok(Encoding::UTF_8),
        Utf8State::Mostly(broken_rows) => {
            // The broken rows are of another list, and are read as Windows-1252.
            let mut likely = match find_8_bit(&broken_rows, domain) {
                Ok(encoding) if encoding == Encoding::WINDOWS_1252 => return Ok(Encoding::UTF_8),
                Ok(other) => vec![other],
                Err(unknown) => unknown.likely,
            };
            likely.insert(0, Encoding::UTF_8);
            return Err(UnknownEncoding { likely });
        }
        Utf8State::Not => {}
    }
    find_8_bit(bytes, domain)
}

enum Utf8State {
    /// Every row is, or nearly every one.
    Valid,
    /// More of what is beyond ASCII is UTF-8 than is not; the rows that are not.
    Mostly(Vec<u8>),
    Not,
}

fn utf8_state(bytes: &[u8]) -> Utf8State {
    // Windows-1252 text is rarely valid UTF-8 by accident (`Ã¤`).
    let (mut broken, mut whole) = (0usize, 0usize);
    let mut chunks = bytes.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        whole += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        let is_cut = chunks.peek().is_none() && chunk.invalid().len() < 4;
        if !chunk.invalid().is_empty() && !is_cut {
            broken += 1;
        }
    }
    if broken == 0 {
        return Utf8State::Valid;
    }
    let rows = || bytes.split(|byte| matches!(byte, b'\n' | b'\r'));
    let broken_rows: Vec<&[u8]> = rows().filter(|row| std::str::from_utf8(row).is_err()).collect();
    if whole > 0 && broken_rows.len() * ONE_BROKEN_ROW_OF <= rows().count() {
        return Utf8State::Valid;
    }
    if broken > whole { Utf8State::Not } else { Utf8State::Mostly(broken_rows.join(&b'\n')) }
}

fn find_8_bit(bytes: &[u8], domain: Option<&str>) -> Result<Encoding, UnknownEncoding> {
    let cells = cells_beyond_ascii(bytes);
    let guess = guess(bytes, domain);
    let counts = GUESS.min(2.0 + f32::from(u16::try_from(cells.len()).unwrap_or(u16::MAX)) / 10.0);
    let mut fits: Vec<DecodedCells> = Vec::new();
    for (label, frequency) in FOUND {
        let decoded = Encoding::labeled(label).and_then(|encoding| decode(&cells, encoding, domain));
        fits.extend(decoded.map(|mut decoded| {
            decoded.score += frequency + if decoded.encoding == guess { counts } else { 0.0 };
            decoded
        }));
    }
    fits.sort_by(|a, b| b.score.total_cmp(&a.score));
    let likely = |fits: &[DecodedCells]| UnknownEncoding {
        likely: fits.iter().map(|fit| fit.encoding).take(3).collect(),
    };
    let Some(best) = fits.first() else { return Err(likely(&[])) };
    let beyond_ascii = cells.iter().flat_map(|cell| cell.iter()).filter(|byte| !byte.is_ascii()).count();
    let count = f32::from(u16::try_from(beyond_ascii).unwrap_or(u16::MAX));
    if best.score < WORST_BYTE * count {
        return Err(likely(&fits));
    }
    let rivals = || fits.iter().filter(|fit| fit.score > best.score - CLEARLY && fit.text != best.text);
    if rivals().next().is_none() {
        return Ok(best.encoding);
    }
    // In a country with an encoding of its own, a text that this encoding explains as well as any other is in it.
    let is_only_one_of_country = best.is_of_country
        && rivals().all(|fit| !fit.is_of_country || fit.score < best.score - CLEARLY / 2.0);
    if is_only_one_of_country && rivals().all(|fit| fit.score < best.score - CLEARLY / 4.0) {
        return Ok(best.encoding);
    }
    let western = fits.iter().find(|fit| fit.encoding == Encoding::WINDOWS_1252);
    let is_western = western.is_some_and(|western| western.score > best.score - 2.0 * CLEARLY);
    let is_latin = best.is_latin && rivals().all(|fit| fit.is_latin);
    if is_western && is_latin && cells.len() <= SHORT_CELLS {
        return Ok(Encoding::WINDOWS_1252);
    }
    let close: Vec<DecodedCells> = std::iter::once(best).chain(rivals()).cloned().collect();
    Err(likely(&close))
}

/// The encoding that `chardetng` guesses.
fn guess(bytes: &[u8], domain: Option<&str>) -> Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    detector.guess(domain.map(str::as_bytes), Utf8Detection::Deny).into()
}

/// The different cells that have bytes beyond ASCII. No second byte of a character is one of these separators.
fn cells_beyond_ascii(bytes: &[u8]) -> Vec<&[u8]> {
    let mut seen = HashSet::new();
    let mut cells = Vec::new();
    let mut total = 0;
    for cell in bytes.split(|byte| matches!(byte, b'\n' | b'\r' | b',' | b';' | b'\t' | b'"')) {
        if cell.is_ascii() || cell.len() > MOST_BYTES_OF_CELL || !seen.insert(cell) {
            continue;
        }
        cells.push(cell);
        total += cell.len();
        if total > MOST_CELL_BYTES {
            break;
        }
    }
    cells
}

/// The commonest top-level domain of a country among the addresses, if a fifth of all addresses have it.
fn country_domain(bytes: &[u8]) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut addresses = 0;
    for at in memchr::memchr_iter(b'@', bytes) {
        let rest = &bytes[at + 1..];
        let is_domain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        let end = rest.iter().take(255).position(|byte| !is_domain(byte)).unwrap_or(rest.len().min(255));
        let last = rest[..end].rsplit(|&byte| byte == b'.').find(|label| !label.is_empty());
        let Some(last) = last else { continue };
        addresses += 1;
        if last.len() == 2 || last == b"cat" {
            *counts.entry(String::from_utf8_lossy(last).to_lowercase()).or_default() += 1;
        }
    }
    let (domain, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    (count * 5 >= addresses).then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_or_the_places_of_nuls_show_the_encoding() {
        type Marked = Option<(Encoding, usize)>;
        let table: [(&[u8], Marked); 8] = [
            (b"", None),
            (b"email\n", None),
            (b"\xef\xbb\xbfemail", Some((Encoding::UTF_8, 3))),
            (b"\xef\xbb\xbf\xef\xbb\xbfemail", Some((Encoding::UTF_8, 6))),
            (b"\xff\xfee\0", Some((Encoding::UTF_16LE, 2))),
            (b"\xff\xfe\xff\xfee\0", Some((Encoding::UTF_16LE, 4))),
            (b"e\0m\0a\0i\0l\0", Some((Encoding::UTF_16LE, 0))),
            (b"\0e\0m\0a\0i\0l", Some((Encoding::UTF_16BE, 0))),
        ];
        for (bytes, expected) in table {
            assert_eq!(marked_encoding(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn the_commonest_country_of_the_addresses_is_a_hint() {
        for (list, expected) in [
            ("a@example.cz\nb@example.cz\nc@example.com\n", Some("cz")),
            ("a@example.com\nb@example.com\n", None),
            ("a@example.RU,b@example.de\nc@example.ru.\n", Some("ru")),
            ("@\n@@\nno address", None),
        ] {
            assert_eq!(country_domain(list.as_bytes()).as_deref(), expected, "{list}");
        }
    }
}
