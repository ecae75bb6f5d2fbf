//! Messages: found in an mbox, and opened to the text parts that report a delivery.
//!
//! Decides: where a message of an mbox ends (a `From ` line after a blank one); which parts of a message are its report
//! (`text/*` and `message/delivery-status`, without the returned mail); how base64, quoted-printable and the charset of a
//! part are decoded. Must not: say what the text means. Holds one message in memory, and of a large one only its start.
//! Fails: only when reading fails. A broken part is decoded as far as possible, an unknown charset as UTF-8 or Windows-1252,
//! and a message without structure is plain text.

use std::io::{self, BufRead};

use encoding_rs::Encoding;

/// How much of a message is kept. What comes later is the returned mail, not the report.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// The messages of an mbox, or the one message of a file.
pub(super) fn split_mbox<R: BufRead>(input: R) -> Messages<R> {
    Messages { input }
}

/// The iterator of [`split_mbox`].
pub(super) struct Messages<R> {
    input: R,
}

impl<R: BufRead> Iterator for Messages<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        let mut message = Vec::new();
        let mut line = Vec::new();
        let mut after_blank = true;
        loop {
            line.clear();
            match self.input.read_until(b'\n', &mut line) {
                Err(error) => return Some(Err(error)),
                Ok(0) => break,
                Ok(_) => {}
            }
            if line.starts_with(b"From ") && after_blank {
                if message.is_empty() {
                    continue;
                }
                break;
            }
            after_blank = line.trim_ascii().is_empty();
            if message.len() < MAX_MESSAGE_BYTES {
                message.extend_from_slice(unquoted(&line));
            }
        }
        (!message.is_empty()).then_some(Ok(message))
    }
}

/// Undoes the quoting of an mbox: `>From ` becomes `From `, `>>From ` becomes `>From `.
fn unquoted(line: &[u8]) -> &[u8] {
    let quotes = line.iter().take_while(|&&b| b == b'>').count();
    if quotes > 0 && line[quotes..].starts_with(b"From ") { &line[1..] } else { line }
}

/// True if a text starts like a message: with a `From ` line of an mbox, or with a header field.
pub(super) fn is_message(text: &[u8]) -> bool {
    let start = text.trim_ascii_start();
    let first = start.split(|&b| b == b'\n').next().unwrap_or_default();
    let name = first.split(|&b| b == b':').next().unwrap_or_default().to_ascii_lowercase();
    let known: [&[u8]; 17] = [
        b"return-path",
        b"received",
        b"from",
        b"to",
        b"subject",
        b"date",
        b"content-type",
        b"message-id",
        b"mime-version",
        b"delivered-to",
        b"envelope-to",
        b"reporting-mta",
        b"final-recipient",
        b"dkim-signature",
        b"arc-seal",
        b"authentication-results",
        b"auto-submitted",
    ];
    first.starts_with(b"From ")
        || name.len() < first.len() && (known.contains(&&name[..]) || name.starts_with(b"x-"))
}

/// How deep parts may be nested. No program nests the parts of a bounce deeper.
const MAX_DEPTH: usize = 6;
/// How many text parts are read. Further ones are attachments of the returned mail.
const MAX_PARTS: usize = 32;

/// The parts of a message that may report a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MessageText {
    /// The header fields, one on each line.
    pub header: String,
    /// The text parts, separated by blank lines, with bare line feeds.
    pub text: String,
}

/// Opens a message. If the header is missing, the whole message is text.
pub(super) fn open(message: &[u8]) -> MessageText {
    let message = with_bare_line_feeds(message);
    let (header, _) = split(&message);
    let mut leaves = Vec::new();
    collect(&message, Inside::Message, MAX_DEPTH, &mut leaves);
    let has_plain = leaves.iter().any(|leaf| !leaf.is_html);
    let shown = leaves.into_iter().filter(|leaf| !(leaf.is_html && has_plain));
    let texts: Vec<String> =
        shown.map(|leaf| if leaf.is_html { without_markup(&leaf.text) } else { leaf.text }).collect();
    MessageText { header: unfolded(&decode(header)), text: texts.join("\n\n") }
}

/// The value of a header field, if the header has it.
pub(super) fn field<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    header.lines().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A part that is a text.
struct Leaf {
    text: String,
    is_html: bool,
}

/// What contains a part: a mail inside a `multipart/report` is the returned mail; any other attached mail may be a bounce.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Message,
    Report,
}

/// Appends the text parts of a part.
fn collect(part: &[u8], inside: Inside, depth: usize, leaves: &mut Vec<Leaf>) {
    if depth == 0 || leaves.len() >= MAX_PARTS {
        return;
    }
    let (header, body) = split(part);
    let header = unfolded(&decode(header));
    let kind = field(&header, "Content-Type").unwrap_or("text/plain");
    let lower = kind.to_ascii_lowercase();
    if lower.starts_with("multipart/") {
        let inside = if lower.starts_with("multipart/report") { Inside::Report } else { inside };
        for child in parts(body, parameter(kind, "boundary").unwrap_or_default()) {
            collect(child, inside, depth - 1, leaves);
        }
        return;
    }
    let is_status = lower.starts_with("message/") && lower.contains("delivery-status");
    if lower.starts_with("message/rfc822") && inside == Inside::Message {
        return collect(body, inside, depth - 1, leaves);
    }
    if !(is_status || lower.starts_with("text/") && !lower.starts_with("text/rfc822-headers")) {
        return;
    }
    let bytes = match field(&header, "Content-Transfer-Encoding").map(str::to_ascii_lowercase).as_deref() {
        Some("base64") => from_base64(body),
        Some("quoted-printable") => from_quoted_printable(body),
        _ => body.to_vec(),
    };
    let charset = parameter(kind, "charset").and_then(|label| Encoding::for_label(label.as_bytes()));
    let text = match charset {
        Some(charset) => charset.decode(&bytes).0.into_owned(),
        None => decode(&bytes),
    };
    leaves.push(Leaf { text, is_html: lower.starts_with("text/html") });
}

/// Header and body of a message or part. A part that starts with a blank line has no header.
fn split(part: &[u8]) -> (&[u8], &[u8]) {
    if let Some(body) = part.strip_prefix(b"\n") {
        return (b"", body);
    }
    let names_a_field = part
        .iter()
        .position(|&b| b == b':')
        .is_some_and(|colon| part[..colon].iter().all(u8::is_ascii_graphic) || part.starts_with(b"From "));
    if !names_a_field {
        return (b"", part);
    }
    match memchr::memmem::find(part, b"\n\n") {
        Some(end) => (&part[..end], &part[end + 2..]),
        None => (part, b""),
    }
}

/// The parts between the lines of a boundary. A last part without a closing boundary was cut off, and is returned too.
fn parts<'b>(body: &'b [u8], boundary: &str) -> impl Iterator<Item = &'b [u8]> {
    let mark = format!("\n--{boundary}");
    let finder = memchr::memmem::Finder::new(mark.as_bytes()).into_owned();
    // The first boundary may be at the very start, without a line feed before it.
    let mut rest = if body.starts_with(&mark.as_bytes()[1..]) {
        after_line(body)
    } else {
        finder.find(body).and_then(|at| after_line(&body[at + 1..]))
    };
    let ends = boundary.is_empty();
    std::iter::from_fn(move || {
        let part = rest.filter(|_| !ends)?;
        let (part, after) = match finder.find(part) {
            Some(end) => (&part[..end], &part[end + mark.len()..]),
            None => (part, &b"--"[..]),
        };
        rest = if after.starts_with(b"--") { None } else { after_line(after) };
        Some(part)
    })
}

fn after_line(text: &[u8]) -> Option<&[u8]> {
    memchr::memchr(b'\n', text).map(|end| &text[end + 1..])
}

/// A parameter of a field's value, such as `charset="iso-8859-1"`.
fn parameter<'v>(value: &'v str, name: &str) -> Option<&'v str> {
    value.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// A header with each field on one line.
fn unfolded(header: &str) -> String {
    let mut out = String::with_capacity(header.len());
    for line in header.lines() {
        if !line.starts_with([' ', '\t']) && !out.is_empty() {
            out.push('\n');
        }
        out.push_str(line);
    }
    out
}

fn with_bare_line_feeds(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|&b| b == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(line) => out.extend_from_slice(&[line, b"\n"].concat()),
            None => out.extend_from_slice(line),
        }
    }
    out
}

/// Decodes base64 (RFC 2045 6.8). Other characters are skipped, and an incomplete byte at the end is dropped.
fn from_base64(text: &[u8]) -> Vec<u8> {
    let sextets = text.iter().filter_map(|&b| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    });
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits) = (0u32, 0u32);
    for sextet in sextets {
        held = held << 6 | u32::from(sextet);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            // The mask leaves eight bits.
            out.push(u8::try_from(held >> bits & 0xff).unwrap_or_default());
        }
    }
    out
}

/// Decodes quoted-printable (RFC 2045 6.7): `=E4` is a byte, `=` at the end of a line joins it to the next line, and anything
/// else stands for itself.
fn from_quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let hex = |b: &u8| char::from(*b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        rest = match (first, after) {
            (b'=', [b'\n', after @ ..]) => after,
            (b'=', [high, low, after @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                out.push(hex(high).unwrap_or_default() << 4 | hex(low).unwrap_or_default());
                after
            }
            _ => {
                out.push(first);
                after
            }
        };
    }
    out
}

/// The text of an HTML part: block tags become line ends, other tags are removed, and the six most common entities are
/// decoded.
fn without_markup(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        let close = rest[open..].find('>').map_or(rest.len(), |at| open + at + 1);
        let tag = rest[open + 1..close].trim_start_matches('/').to_ascii_lowercase();
        if ["br", "p", "div", "tr", "td", "h1", "h2", "li", "table"].iter().any(|name| tag.starts_with(name))
        {
            out.push('\n');
        }
        rest = &rest[close..];
        let hidden = ["style", "script", "title"].into_iter().find(|name| tag.starts_with(name));
        if let Some(end) = hidden.and_then(|name| rest.find(&format!("</{name}"))) {
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
        .iter()
        .fold(out, |text, (entity, plain)| text.replace(entity, plain))
}

/// A text in UTF-8 if it is valid UTF-8, otherwise read as Windows-1252.
pub(super) fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_decoded_and_the_returned_mail_is_ignored() {
        let message = concat!(
            "Subject: Returned\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"=_b\"\r\n\r\n",
            "preamble\r\n--=_b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n",
            "Content-Transfer-Encoding: quoted-printable\r\n\r\nPostf=E4cher sind vo=\r\nll\r\n",
            "--=_b\r\nContent-Type: message/delivery-status\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            "RmluYWwtUmVjaXBp\r\nZW50OiByZmM4MjI7IGFAZXhhbXBsZS5jb20K\r\n",
            "--=_b\r\nContent-Type: message/rfc822\r\n\r\nSubject: Hello\r\n\r\nUser unknown\r\n--=_b--\r\nepilogue\r\n"
        );
        let opened = open(message.as_bytes());
        assert_eq!(opened.text, "Postfächer sind voll\n\nFinal-Recipient: rfc822; a@example.com\n");
        assert_eq!(field(&opened.header, "subject"), Some("Returned"));
    }

    #[test]
    fn html_is_read_only_if_there_is_no_plain_text() {
        let html = "Content-Type: text/html; charset=utf-8\n\n<style>p {}</style><p>550 5.1.1 &lt;a@example.com&gt;<br>no user</p>";
        assert_eq!(open(html.as_bytes()).text, "\n550 5.1.1 <a@example.com>\nno user\n");
        let both = "Content-Type: multipart/alternative; boundary=b\n\n--b\n\nplain\n--b\nContent-Type: text/html\n\n<b>html</b>\n--b--\n";
        assert_eq!(open(both.as_bytes()).text, "plain");
    }

    #[test]
    fn broken_messages_are_decoded_as_far_as_possible() {
        for (message, text) in [
            ("no header at all", "no header at all"),
            ("Content-Type: multipart/mixed\n\n--x\n\ntext", ""),
            ("Content-Type: multipart/mixed; boundary=x\n\n--x\n\ncut off", "cut off"),
            ("Content-Transfer-Encoding: base64\n\nSGVsbG8", "Hello"),
            ("Content-Type: text/plain; charset=x-nothing\n\na=zz", "a=zz"),
        ] {
            assert_eq!(open(message.as_bytes()).text, text, "{message}");
        }
    }

    #[test]
    fn a_message_ends_at_a_from_line_after_a_blank_one() {
        let mbox = "From a Sat\nFrom b Sat\r\nSubject: 1\r\n\r\n>From there\r\nFrom here\r\n\r\nFrom c Sat\nSubject: 2\n\nlast";
        let all: Vec<String> =
            split_mbox(mbox.as_bytes()).map(|message| String::from_utf8(message.unwrap()).unwrap()).collect();
        assert_eq!(all, ["Subject: 1\r\n\r\nFrom there\r\nFrom here\r\n\r\n", "Subject: 2\n\nlast"]);
        assert_eq!(split_mbox(&b""[..]).count(), 0);
    }
}
