//! One address as a card for people: verdict, reason, fault, the server's reply, what to do. And an SMTP dialogue as text.

use std::fmt::Write;

use crate::address::FaultKind;
use crate::reason::{Fault, Reason, Retry, Verdict};
use crate::smtp::{self, Transcript, TranscriptLine};
use crate::verdict::AddressResult;

/// The card of a result; `text` is the address as the user wrote it.
pub fn card(text: &str, record: &AddressResult) -> String {
    let mut card = String::new();
    // Writing into a string can't fail.
    let _ = write_card(&mut card, &smtp::sanitize(text), record);
    card
}

fn write_card(out: &mut String, text: &str, record: &AddressResult) -> std::fmt::Result {
    let judgment = &record.judgment;
    let reason = judgment.reason;
    match reason.verdict() {
        Verdict::None => writeln!(out, "{text}: {}", reason.word())?,
        verdict => writeln!(out, "{text}: {}, {}", verdict.word(), reason.word())?,
    }
    match judgment.rule.strip_prefix("syntax.").and_then(FaultKind::from_word) {
        Some(fault) => writeln!(out, "  {}: {}", reason.sentence(), fault.sentence())?,
        None => writeln!(out, "  {}", reason.sentence())?,
    }
    if let Some(address) = record.address.as_ref().map(ToString::to_string).filter(|address| address != text)
    {
        writeln!(out, "  probed as     {address}")?;
    }
    if !record.repairs.is_empty() {
        let words: Vec<&str> = record.repairs.iter().map(|repair| repair.word()).collect();
        writeln!(out, "  cleaned off   {}", words.join(", "))?;
    }
    if let Some(meant) = &record.did_you_mean {
        writeln!(out, "  did you mean  {meant}")?;
    }
    if let Some(host) = &record.mx_host {
        let provider = record.provider.as_ref().map(|provider| format!(" ({provider})")).unwrap_or_default();
        writeln!(out, "  mail server   {host}{provider}")?;
    }
    if let Some(reply) = &record.reply {
        writeln!(out, "  its reply     {reply}")?;
    }
    let kinds = [
        (record.kinds.role, "role"),
        (record.kinds.disposable, "disposable"),
        (record.kinds.free, "free mail"),
        (record.kinds.tagged, "tagged"),
        (record.kinds.relay, "relay"),
        (record.catch_all, "catch-all domain"),
    ];
    let kinds: Vec<&str> = kinds.iter().filter(|(is, _)| *is == Some(true)).map(|(_, word)| *word).collect();
    if !kinds.is_empty() {
        writeln!(out, "  kind          {}", kinds.join(", "))?;
    }
    if let Some(whose) = whose(reason) {
        writeln!(out, "  whose fault   {whose}")?;
    }
    writeln!(out, "  how sure      {} (rule {})", judgment.confidence.word(), judgment.rule)?;
    if let Some(at) = judgment.retry_after {
        writeln!(out, "  check again   {}", humantime::format_rfc3339_seconds(at))?;
    } else if let Some(when) = repair(reason.retry()) {
        writeln!(out, "  check again   {when}")?;
    }
    Ok(())
}

fn whose(reason: Reason) -> Option<&'static str> {
    match reason.fault() {
        Fault::List => Some("the entry in the list"),
        Fault::Mailbox => Some("the mailbox"),
        Fault::Domain => Some("the domain"),
        Fault::Host => Some("the receiving system"),
        Fault::Us => Some("ours: this says nothing about the address"),
        Fault::None => None,
    }
}

fn repair(retry: Retry) -> Option<&'static str> {
    match retry {
        Retry::AfterDelisting => Some("after our IP address is off the blocklist"),
        Retry::AfterRepair => Some("after our own set-up is repaired"),
        Retry::Days => Some("in some days"),
        _ => None,
    }
}

/// An SMTP dialogue as text: `>` marks commands, `<` replies, `*` notes.
pub fn dialogue(host: &str, transcript: &Transcript) -> String {
    let mut text = format!("--- {host}\n");
    for line in transcript.lines() {
        let (mark, line) = match line {
            TranscriptLine::Sent(line) => ('>', line),
            TranscriptLine::Received(line) => ('<', line),
            TranscriptLine::Note(line) => ('*', line),
        };
        let _ = writeln!(text, "{mark} {line}");
    }
    text
}
