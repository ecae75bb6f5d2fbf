//! One address as a card for people: verdict, why, whose fault, the server's words, what to do.

use std::fmt::Write;

use crate::reason::{Fault, Reason, Retry};
use crate::smtp::{self, Transcript, TranscriptLine};
use crate::verdict::AddressResult;

/// The card of a record; `text` is the address as it was given.
pub fn card(text: &str, record: &AddressResult) -> String {
    let mut card = String::new();
    // Writing into a string can't fail.
    let _ = write_card(&mut card, &smtp::sanitize(text), record);
    card
}

fn write_card(out: &mut String, text: &str, record: &AddressResult) -> std::fmt::Result {
    let judgment = &record.judgment;
    let reason = judgment.reason;
    writeln!(out, "{text}: {}, {}", reason.verdict().word(), reason.word())?;
    writeln!(out, "  {}", reason.sentence())?;
    if let Some(address) = record.address.as_ref().map(ToString::to_string).filter(|address| address != text)
    {
        writeln!(out, "  asked as      {address}")?;
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
        writeln!(out, "  it said       {reply}")?;
    }
    let kinds = [
        (record.kinds.role, "role"),
        (record.kinds.disposable, "throw-away"),
        (record.kinds.free, "free mail"),
        (record.kinds.tagged, "tagged"),
        (record.catch_all, "catch-all domain"),
    ];
    let kinds: Vec<&str> = kinds.iter().filter(|(is, _)| *is == Some(true)).map(|(_, word)| *word).collect();
    if !kinds.is_empty() {
        writeln!(out, "  kind          {}", kinds.join(", "))?;
    }
    writeln!(out, "  whose fault   {}", whose(reason))?;
    writeln!(out, "  how sure      {} (rule {})", judgment.confidence.word(), judgment.rule)?;
    if let Some(at) = judgment.retry_after {
        writeln!(out, "  ask again     {}", humantime::format_rfc3339_seconds(at))?;
    } else if let Some(when) = repair(reason.retry()) {
        writeln!(out, "  ask again     {when}")?;
    }
    Ok(())
}

fn whose(reason: Reason) -> &'static str {
    match reason.fault() {
        Fault::List => "the entry in the list",
        Fault::Mailbox => "the mailbox",
        Fault::Domain => "the domain",
        Fault::Host => "the receiving system",
        Fault::Us => "ours: this says nothing about the address",
        Fault::None => "nobody's",
    }
}

fn repair(retry: Retry) -> Option<&'static str> {
    match retry {
        Retry::AfterDelisting => Some("after our address was taken off the blocklist"),
        Retry::AfterRepair => Some("after our own set-up was repaired"),
        Retry::Days => Some("in some days"),
        _ => None,
    }
}

/// A dialogue as people know it: `>` we said, `<` we heard.
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
