//! Bounces: from a message to the failures that it tells about.
//!
//! Decides: where in a message the failures stand. A delivery status (RFC 3464) is read by its fields; else the text of the
//! bounce is read, as qmail, Exim, Exchange, Sendmail and Postfix write it for people. Where the MIME structure yields
//! neither, forwarding broke it, and the bare message is searched. Must not: say what a failure means.

use super::locate::{self, LocatedReply};
use super::mime;

/// True when a text starts like a message: a `From ` line of an mbox, or header fields.
pub fn is_message(text: &[u8]) -> bool {
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

/// The failures in a text that somebody cut out of a bounce; none where it does not look like one.
pub fn failures_in_text(text: &str) -> Vec<LocatedReply> {
    let text = &unfolded(text);
    let found = from_status_fields(text);
    if found.is_empty() { from_text(text) } else { found }
}

/// The failures in a message; at least one.
pub fn failures(message: &[u8]) -> Vec<LocatedReply> {
    let opened = mime::open(message);
    let mut found = failures_in_text(&opened.text);
    if found.is_empty() {
        found = failures_in_text(&decoded(message));
    }
    if found.is_empty() {
        found.push(locate::failure(&opened.text));
    }
    // Exim and Gmail name them in the header, and not always in the text.
    if let ([failure], Some(failed)) = (&mut found[..], mime::field(&opened.header, "X-Failed-Recipients")) {
        failure.recipient.get_or_insert_with(|| failed.split(',').next().unwrap_or(failed).trim().to_owned());
    }
    found
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
fn from_status_fields(message: &str) -> Vec<LocatedReply> {
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
            Some(said) if locate::has_code(&said) => said,
            Some(said) => format!("{status} {said}"),
            None => status.to_owned(),
        };
        failures.push(LocatedReply {
            reply: locate::reply(&text).0,
            coded: true,
            stage: locate::stage_named(&text),
            host: field("Remote-MTA").map(after_type).map(|host| host.to_ascii_lowercase()),
            recipient: Some(after_type(recipient).trim_matches(['<', '>']).to_owned()),
        });
    }
    failures
}

/// Bounces for people: each paragraph that holds a refusal, below the mark with which the server program starts.
fn from_text(message: &str) -> Vec<LocatedReply> {
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
    let told = paragraphs.filter(|text| locate::has_code(text) || locate::names_recipient(text));
    let (named, nameless): (Vec<_>, Vec<_>) =
        told.map(locate::failure).partition(|failure| failure.recipient.is_some());
    // A transcript tells the administrator again what the list of recipients said, with stage and host.
    let mut failures: Vec<LocatedReply> = Vec::new();
    for failure in named {
        match failures.iter_mut().find(|known| known.recipient == failure.recipient) {
            None => failures.push(failure),
            Some(known) if known.stage.is_none() => *known = failure,
            Some(_) => {}
        }
    }
    if failures.is_empty() { nameless } else { failures }
}
