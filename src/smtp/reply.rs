//! Reads replies: bytes in; a [`Reply`], "more bytes needed", or a [`MalformedReply`] out.
//!
//! Decides: where a reply ends, and what its code, enhanced code and text are (RFC 5321 4.2, RFC 2034, RFC 3463).
//! Reads leniently (bare LF, a missing text, a tab after the code, bytes that are not UTF-8), so that a real rejection
//! never becomes a network error. Reads within hard limits, because an MX host is an untrusted server. The text that it
//! returns holds no control characters and no bidi controls. Must not: decide what a reply means.

use std::borrow::Cow;
use std::fmt;

/// The longest reply line that is accepted, in bytes. RFC 5321 4.5.3.1.5 allows 512; real servers exceed it.
pub(super) const MAX_LINE_BYTES: usize = 4096;
/// The most lines of one reply that are accepted.
pub const MAX_REPLY_LINES: usize = 200;
/// The most bytes of one reply that are accepted, all lines together.
pub(super) const MAX_REPLY_BYTES: usize = 64 * 1024;

/// An enhanced status code, `class.subject.detail` (RFC 3463).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Enhanced {
    /// 2, 4 or 5.
    pub class: u8,
    /// The subject, such as 1 for addresses: 0 to 999.
    pub subject: u16,
    /// The detail within the subject: 0 to 999.
    pub detail: u16,
}

impl Enhanced {
    /// The code, if the whole of `text` is one, such as `5.1.1`; `None` for any other text.
    pub fn parse(text: &str) -> Option<Enhanced> {
        let [class @ (b'2' | b'4' | b'5'), b'.', rest @ ..] = text.as_bytes() else {
            return None;
        };
        let dot = rest.iter().position(|&byte| byte == b'.')?;
        let number = |digits: &[u8]| {
            let is_number = matches!(digits.len(), 1..=3) && digits.iter().all(u8::is_ascii_digit);
            is_number.then(|| digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')))
        };
        Some(Enhanced {
            class: class - b'0',
            subject: number(&rest[..dot])?,
            detail: number(&rest[dot + 1..])?,
        })
    }
}

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// One complete reply.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reply {
    /// The reply code, 200 to 599.
    pub code: u16,
    /// The enhanced status code at the start of the text, if there is one.
    pub enhanced: Option<Enhanced>,
    /// The text of each line, without reply codes, control characters and bidi controls.
    pub lines: Vec<String>,
}

impl Reply {
    /// A reply of a code and its lines, which are sanitized as if they were read from the wire.
    pub fn new(code: u16, lines: impl IntoIterator<Item = impl AsRef<str>>) -> Reply {
        Reply::of_sanitized(code, lines.into_iter().map(|line| sanitize(line.as_ref())).collect())
    }

    fn of_sanitized(code: u16, lines: Vec<String>) -> Reply {
        let enhanced = lines.first().and_then(|line| leading_enhanced(line));
        Reply { code, enhanced, lines }
    }

    /// Reads one reply as people paste it: one line or several, with or without a line end after the last one. A text
    /// that does not start with a reply code is [`MalformedReply::NotAReply`].
    pub fn parse(text: &[u8]) -> Result<Reply, MalformedReply> {
        let mut reader = ReplyReader::default();
        reader.push(text);
        reader.push(b"\n");
        match reader.pull()? {
            Some(reply) => Ok(reply),
            None => Err(MalformedReply::Unfinished),
        }
    }

    /// All lines, joined by spaces; an enhanced code stays in the text where the server wrote it.
    pub fn text(&self) -> Cow<'_, str> {
        match self.lines.as_slice() {
            [one] => Cow::Borrowed(one),
            lines => Cow::Owned(lines.join(" ")),
        }
    }

    /// True for 2xx: accepted.
    pub fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// True for 4xx: deferred.
    pub fn is_transient(&self) -> bool {
        (400..500).contains(&self.code)
    }

    /// True for 5xx: rejected.
    pub fn is_permanent(&self) -> bool {
        self.code >= 500
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        let text = self.text();
        if text.is_empty() { Ok(()) } else { write!(f, " {text}") }
    }
}

/// Why bytes from a server are no reply. This is never evidence about a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum MalformedReply {
    /// A line is too long.
    #[error("a reply line of more than {MAX_LINE_BYTES} bytes")]
    LineTooLong,
    /// A reply is too long.
    #[error("a reply of more than {MAX_REPLY_LINES} lines or {MAX_REPLY_BYTES} bytes")]
    ReplyTooLong,
    /// A line does not start with a reply code from 200 to 599.
    #[error("a line that does not start with a reply code")]
    NotAReply,
    /// The lines of one reply have different codes. RFC 5321 4.2.1 forbids that, so no code of them can be trusted.
    #[error("a reply whose lines have different codes")]
    MixedCodes,
    /// The text ended in the middle of a multi-line reply.
    #[error("a reply that ends before its last line")]
    Unfinished,
    /// There were more replies than commands, or a reply came before its command.
    #[error("a reply that nothing asked for")]
    Unsolicited,
}

/// Reads replies from a stream of bytes, however the bytes are split. After the first fault every read fails with that
/// fault: the next reply could not be distinguished from the rest of the malformed one.
#[derive(Debug, Default)]
pub struct ReplyReader {
    buffer: Vec<u8>,
    /// How many bytes of `buffer` were already read as lines.
    consumed: usize,
    /// How many bytes of `buffer` were already searched for a line end.
    searched: usize,
    /// The code of the reply that is being read; `None` between replies.
    code: Option<u16>,
    lines: Vec<String>,
    reply_bytes: usize,
    fault: Option<MalformedReply>,
}

impl ReplyReader {
    /// Adds received bytes. After a fault they are dropped, so that a flood cannot grow memory.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.fault.is_none() {
            self.buffer.drain(..self.consumed);
            self.searched -= self.consumed;
            self.consumed = 0;
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next complete reply; `None` if more bytes are needed.
    pub fn pull(&mut self) -> Result<Option<Reply>, MalformedReply> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.read_reply().inspect_err(|&fault| {
            self.fault = Some(fault);
            (self.buffer, self.consumed, self.searched) = (Vec::new(), 0, 0);
        })
    }

    /// True if bytes were received that belong to no complete reply. Before a TLS handshake such bytes are an injection
    /// (RFC 3207 6).
    pub fn has_unconsumed(&self) -> bool {
        self.consumed < self.buffer.len() || self.code.is_some()
    }

    fn read_reply(&mut self) -> Result<Option<Reply>, MalformedReply> {
        loop {
            let start = self.consumed;
            let from = start.max(self.searched);
            let Some(at) = memchr::memchr(b'\n', &self.buffer[from..]) else {
                self.searched = self.buffer.len();
                if self.buffer.len() - start > MAX_LINE_BYTES {
                    return Err(MalformedReply::LineTooLong);
                }
                return Ok(None);
            };
            let end = from + at;
            (self.consumed, self.searched) = (end + 1, end + 1);
            if end - start > MAX_LINE_BYTES {
                return Err(MalformedReply::LineTooLong);
            }
            let line = self.buffer[start..end].strip_suffix(b"\r").unwrap_or(&self.buffer[start..end]);
            let (code, last, text) = split_line(line).ok_or(MalformedReply::NotAReply)?;
            if *self.code.get_or_insert(code) != code {
                return Err(MalformedReply::MixedCodes);
            }
            let text = sanitize(&decode(text));
            if last && self.lines.is_empty() {
                self.code = None;
                return Ok(Some(Reply::of_sanitized(code, vec![text])));
            }
            self.lines.push(text);
            self.reply_bytes += end - start;
            if self.lines.len() > MAX_REPLY_LINES || self.reply_bytes > MAX_REPLY_BYTES {
                return Err(MalformedReply::ReplyTooLong);
            }
            if last {
                (self.code, self.reply_bytes) = (None, 0);
                return Ok(Some(Reply::of_sanitized(code, std::mem::take(&mut self.lines))));
            }
        }
    }
}

/// The code of a line, whether it is the last line of its reply, and its text; `None` if it is no reply line.
fn split_line(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    let [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9'] = digits else {
        return None;
    };
    let code = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match rest {
        [] => Some((code, true, rest)),
        [b'-', text @ ..] => Some((code, false, text)),
        [b' ' | b'\t', text @ ..] => Some((code, true, text)),
        _ => None,
    }
}

/// The text of bytes: UTF-8 if they are valid UTF-8, else Windows-1252, which contains the Latin-1 letters.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

/// The trimmed text with spaces for control characters, and without characters that change how the text is displayed.
/// It is safe to print and to log.
pub fn sanitize(text: &str) -> String {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.trim().to_owned();
    }
    let spaced =
        text.chars().filter(|c| !is_display_control(*c)).map(|c| if c.is_control() { ' ' } else { c });
    spaced.collect::<String>().trim().to_owned()
}

/// True for bidi controls, zero-width characters, line separators and the byte order mark: with them a text can be
/// displayed as another one.
fn is_display_control(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{061c}' | '\u{feff}')
}

/// The enhanced status code at the start of a text.
fn leading_enhanced(text: &str) -> Option<Enhanced> {
    Enhanced::parse(text.split(' ').next()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Result<Option<Reply>, MalformedReply> {
        let mut reader = ReplyReader::default();
        reader.push(bytes);
        reader.pull()
    }

    #[test]
    fn a_plain_reply_has_code_enhanced_code_and_text() {
        let reply = read(b"550 5.1.1 No such user\r\n").unwrap().unwrap();
        assert_eq!(reply.code, 550);
        assert_eq!(reply.enhanced, Some(Enhanced { class: 5, subject: 1, detail: 1 }));
        assert_eq!(reply.to_string(), "550 5.1.1 No such user");
    }

    #[test]
    fn deviations_of_real_servers_are_read() {
        for bytes in [&b"550\r\n"[..], b"550 \r\n", b"550\tx\r\n", b"571 x\n", b"250-a\n250 b\n"] {
            assert!(matches!(read(bytes), Ok(Some(_))), "{:?}", String::from_utf8_lossy(bytes));
        }
        let latin = read(b"550 Empf\xe4nger unbekannt\r\n").unwrap().unwrap();
        assert_eq!(latin.lines, ["Empfänger unbekannt"]);
    }

    #[test]
    fn malformed_replies_are_faults() {
        assert_eq!(read(b"hello\r\n"), Err(MalformedReply::NotAReply));
        assert_eq!(read(b"150 x\r\n"), Err(MalformedReply::NotAReply));
        assert_eq!(read(b"5500 x\r\n"), Err(MalformedReply::NotAReply));
        assert_eq!(read(b"250-a\r\n550 b\r\n"), Err(MalformedReply::MixedCodes));
        assert_eq!(read(&[b'2'; MAX_LINE_BYTES + 2]), Err(MalformedReply::LineTooLong));
        assert_eq!(read(&b"250-x\r\n".repeat(MAX_REPLY_LINES + 1)), Err(MalformedReply::ReplyTooLong));
        let long_lines = [b"250-".as_slice(), &[b'x'; 4000], b"\r\n"].concat();
        assert_eq!(read(&long_lines.repeat(20)), Err(MalformedReply::ReplyTooLong));
    }

    #[test]
    fn terminal_and_bidi_controls_are_removed() {
        let reply = read(b"550 \x1b[31mred\x07 \xe2\x80\xaetxt\xc2\x9b\r\n").unwrap().unwrap();
        assert_eq!(reply.lines, ["[31mred  txt"]);
    }

    #[test]
    fn a_fault_is_final_and_keeps_no_bytes() {
        let mut reader = ReplyReader::default();
        reader.push(b"junk\r\n250 ok\r\n");
        assert_eq!(reader.pull(), Err(MalformedReply::NotAReply));
        reader.push(b"250 ok\r\n");
        assert_eq!(reader.pull(), Err(MalformedReply::NotAReply));
        assert!(reader.buffer.is_empty());
    }

    proptest! {
        #[test]
        fn a_reply_split_anywhere_reads_the_same(
            texts in prop::collection::vec("[ -~äöü]{0,40}", 1..6),
            code in 200u16..600,
            cuts in prop::collection::vec(0usize..300, 0..8),
        ) {
            let mut wire = Vec::new();
            for (n, text) in texts.iter().enumerate() {
                let dash = if n + 1 == texts.len() { ' ' } else { '-' };
                wire.extend_from_slice(format!("{code}{dash}{text}\r\n").as_bytes());
            }
            let whole = read(&wire).unwrap().unwrap();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % wire.len()).collect();
            cuts.extend([0, wire.len()]);
            cuts.sort_unstable();
            let mut reader = ReplyReader::default();
            let mut pulled = None;
            for pair in cuts.windows(2) {
                prop_assert!(pulled.is_none() || pair[0] == pair[1]);
                reader.push(&wire[pair[0]..pair[1]]);
                if let Some(reply) = reader.pull().unwrap() { pulled = Some(reply); }
            }
            prop_assert_eq!(pulled, Some(whole));
        }

        #[test]
        fn no_bytes_panic_or_grow_memory(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut reader = ReplyReader::default();
            for chunk in bytes.chunks(7) {
                reader.push(chunk);
                while let Ok(Some(reply)) = reader.pull() {
                    prop_assert!(reply.lines.iter().all(|line| !line.chars().any(char::is_control)));
                }
            }
            prop_assert!(reader.buffer.len() <= MAX_LINE_BYTES + 7);
        }
    }
}
