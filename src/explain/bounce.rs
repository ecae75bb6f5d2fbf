//! Bounces: from a message, or a mailbox full of them, to the failures that they tell about.
//!
//! Decides: where in a message the failures stand. A delivery status (RFC 3464) is read by its fields, whatever the MIME
//! structure around it, since forwarding breaks that first; else the text of the bounce is read, as qmail, Exim, Exchange,
//! Sendmail and Postfix write it for people. Must not: say what a failure means.

use super::find::{self, Failure};
use crate::smtp::reply::clean;
use std::io::{self, BufRead};

/// More than this of a message is the returned mail, not the report.
const MOST_MESSAGE_BYTES: usize = 1 << 20;

/// True when a text starts like a message: a `From ` line of an mbox, or header fields.
pub fn is_message(text: &str) -> bool {
    let first = text.lines().next().unwrap_or("");
    let known = [
        "return-path:",
        "received:",
        "from:",
        "to:",
        "subject:",
        "date:",
        "content-type:",
        "message-id:",
        "mime-version:",
        "delivered-to:",
        "reporting-mta:",
        "final-recipient:",
        "x-",
        "dkim-signature:",
        "auto-submitted:",
    ];
    let lower = first.to_ascii_lowercase();
    lower.starts_with("from ") || known.iter().any(|name| lower.starts_with(name))
}

/// The failures in a text that somebody cut out of a bounce; none where it does not look like one.
pub fn failures_in_text(text: &str) -> Vec<Failure> {
    let text = &unfolded(text);
    let found = from_status_fields(text);
    if found.is_empty() { from_text(text) } else { found }
}

/// The failures in a message; at least one.
pub fn failures(message: &str) -> Vec<Failure> {
    let mut found = failures_in_text(message);
    if found.is_empty() {
        found.push(find::failure(body(message)));
    }
    found
}

/// The messages of an mbox, or the one message of a file, without holding more than one in memory.
pub fn messages<R: BufRead>(input: R) -> Messages<R> {
    Messages { input, started: false }
}

/// See [`messages`].
pub struct Messages<R> {
    input: R,
    /// The `From ` line of the next message was read already.
    started: bool,
}

impl<R: BufRead> Iterator for Messages<R> {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<io::Result<String>> {
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
                if self.started || !message.is_empty() {
                    self.started = true;
                    break;
                }
                self.started = true;
                continue;
            }
            after_blank = line.trim_ascii().is_empty();
            if message.len() < MOST_MESSAGE_BYTES {
                message.extend_from_slice(&line);
            }
        }
        (!message.is_empty()).then(|| Ok(decoded(&message)))
    }
}

/// UTF-8 where it is, else Windows-1252.
pub fn decoded(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

/// One line per field: continuation lines of header-like lines are joined to them.
fn unfolded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_field = false;
    for line in text.lines() {
        let continues = in_field && line.starts_with([' ', '\t']) && !line.trim().is_empty();
        if continues {
            out.push(' ');
            out.push_str(line.trim());
            continue;
        }
        out.push('\n');
        out.push_str(line.trim_end());
        in_field = is_status_field(line);
    }
    out
}

fn is_status_field(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or("").to_ascii_lowercase();
    matches!(
        name.as_str(),
        "diagnostic-code"
            | "final-recipient"
            | "original-recipient"
            | "remote-mta"
            | "status"
            | "action"
            | "x-supplementary-info"
            | "x-actual-recipient"
    )
}

/// RFC 3464: one group of fields per recipient, groups parted by blank lines.
fn from_status_fields(message: &str) -> Vec<Failure> {
    let mut failures = Vec::new();
    for group in message.split("\n\n") {
        let field = |name: &str| {
            group.lines().find_map(|line| {
                let (field, value) = line.split_once(':')?;
                field.trim().eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        let Some(recipient) = field("Final-Recipient").or_else(|| field("Original-Recipient")) else {
            continue;
        };
        if field("Action")
            .is_some_and(|action| !matches!(action.to_ascii_lowercase().as_str(), "failed" | "delayed"))
        {
            continue;
        }
        let after_type =
            |value: &'_ str| value.split_once(';').map_or(value, |(_, rest)| rest).trim().to_owned();
        let said = field("Diagnostic-Code").or_else(|| field("X-Supplementary-Info")).map(after_type);
        let status = field("Status").unwrap_or("");
        let text = match said {
            Some(said) if find::has_code(&said) => said,
            Some(said) => format!("{status} {said}"),
            None => status.to_owned(),
        };
        failures.push(Failure {
            reply: find::reply(&text),
            stage: find::stage_named(&text),
            host: field("Remote-MTA").map(after_type).map(|host| clean(&host).to_ascii_lowercase()),
            recipient: Some(clean(after_type(recipient).trim_matches(['<', '>']))),
        });
    }
    failures
}

/// Bounces for people: each paragraph that holds a refusal, below the mark with which the server program starts.
fn from_text(message: &str) -> Vec<Failure> {
    let marks = [
        "this is the qmail-send program",
        "could not be delivered to one or more of its",
        "the following address(es) failed",
        "diagnostic information for administrators",
        "the response from the remote server was",
        "permanent fatal errors",
        "could not be delivered to one or more recipients",
        "transcript of session follows",
        "remote server returned",
        "the error that the other server returned was",
    ];
    let lower = message.to_ascii_lowercase();
    // Only byte-wise equal lengths keep the offset valid, and ASCII lower-casing keeps them.
    let Some(start) = marks.iter().filter_map(|mark| lower.find(mark)).min() else {
        return Vec::new();
    };
    let report = &message[start..];
    let end = [
        "--- Below this line is a copy",
        "------ This is a copy",
        "--- The header of the original",
        "Original message headers",
        "----- Original message",
    ]
    .iter()
    .filter_map(|mark| report.find(mark))
    .min()
    .unwrap_or(report.len());
    let paragraphs = report[..end].split("\n\n");
    let told = paragraphs.filter(|text| find::has_code(text) || find::names_recipient(text));
    let (named, nameless): (Vec<_>, Vec<_>) =
        told.map(find::failure).partition(|failure| failure.recipient.is_some());
    // A transcript tells the administrator again what the list of recipients said, with stage and host.
    let mut failures: Vec<Failure> = Vec::new();
    for failure in named {
        match failures.iter_mut().find(|known| known.recipient == failure.recipient) {
            None => failures.push(failure),
            Some(known) if known.stage.is_none() => *known = failure,
            Some(_) => {}
        }
    }
    if failures.is_empty() { nameless } else { failures }
}

/// What follows the header.
fn body(message: &str) -> &str {
    message.trim_start().split_once("\n\n").map_or(message, |(_, body)| body)
}
