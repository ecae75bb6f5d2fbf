//! Bounces: the failures that a message reports.
//!
//! Decides: where in a message the failures stand. The fields of a delivery status (RFC 3464) are read first, then the text
//! that qmail, Exim, Exchange, Sendmail and Postfix write for people. If the MIME parts hold neither, forwarding may have
//! broken the structure, and the raw message is searched. Must not: say what a failure means.

use super::locate::{self, LocatedReply};
use super::message;

/// The failures in a part of a bounce; none if the text does not look like a part of one.
pub(super) fn failures_in_text(text: &str) -> Vec<LocatedReply> {
    let text = &unfolded(text);
    let found = from_status_fields(text);
    if found.is_empty() { from_text(text) } else { found }
}

/// The failures in a message; there is at least one.
pub(super) fn failures(raw: &[u8]) -> Vec<LocatedReply> {
    let opened = message::open(raw);
    let mut found = failures_in_text(&opened.text);
    if found.is_empty() {
        found = failures_in_text(&message::decode(raw));
    }
    for failure in &mut found {
        add_stage(failure, &opened.text);
    }
    if found.is_empty() {
        found.push(locate::failure(&opened.text));
    }
    // Exim and Gmail name the recipient in the header, and not always in the text.
    if let ([failure], Some(failed)) = (&mut found[..], message::field(&opened.header, "X-Failed-Recipients"))
    {
        failure.recipient.get_or_insert_with(|| failed.split(',').next().unwrap_or(failed).trim().to_owned());
    }
    found
}

/// Takes the stage from the text for people, which names the command that the reply answers: a delivery status does not.
fn add_stage(failure: &mut LocatedReply, text: &str) {
    let Some(recipient) = failure.recipient.as_deref().filter(|_| failure.stage.is_none()) else { return };
    let about_recipient = text.split("\n\n").filter(|paragraph| paragraph.contains(recipient));
    failure.stage = about_recipient.map(locate::stage_named).find(Option::is_some).flatten();
}

/// A text in which each status field is on one line.
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

/// The failures in a delivery status (RFC 3464): groups of fields, one group for each recipient, separated by blank lines.
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
        let diagnostic = field("Diagnostic-Code").or_else(|| field("X-Supplementary-Info")).map(after_type);
        let status = field("Status").unwrap_or("");
        let text = match diagnostic {
            Some(diagnostic) if locate::has_code(&diagnostic) => diagnostic,
            Some(diagnostic) => format!("{status} {diagnostic}"),
            None => status.to_owned(),
        };
        failures.push(LocatedReply {
            reply: locate::extract_reply(&text).0,
            has_code: true,
            stage: locate::stage_named(&text),
            host: field("Remote-MTA").map(after_type).map(|host| host.to_ascii_lowercase()),
            recipient: Some(after_type(recipient).trim_matches(['<', '>']).to_owned()),
        });
    }
    failures
}

/// The failures in a bounce written for people: each paragraph with a reply code or a recipient, after the phrase with which
/// the server program starts its report.
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
    // The offset is valid in both texts, because ASCII lower-casing keeps lengths.
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
    let reports = paragraphs.filter(|text| locate::has_code(text) || locate::names_recipient(text));
    let (with_recipient, without_recipient): (Vec<_>, Vec<_>) =
        reports.map(locate::failure).partition(|failure| failure.recipient.is_some());
    // A transcript for the administrator repeats the failures of the list of recipients, with stage and host.
    let mut failures: Vec<LocatedReply> = Vec::new();
    for failure in with_recipient {
        match failures.iter_mut().find(|known| known.recipient == failure.recipient) {
            None => failures.push(failure),
            Some(known) if known.stage.is_none() => *known = failure,
            Some(_) => {}
        }
    }
    if failures.is_empty() { without_recipient } else { failures }
}
