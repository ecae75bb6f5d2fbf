//! The page as Markdown, with the same numbers.
//!
//! Decides: what is escaped: every character that Markdown or HTML reads as markup.

use std::fmt::{Result, Write};

use super::model::ReportPage;
use super::sections::{Fact, GroupLine};

/// The page as Markdown.
pub fn markdown(page: &ReportPage) -> String {
    let mut out = String::new();
    // Writing into a string can't fail.
    let _ = write(&mut out, page);
    out
}

fn write(out: &mut String, page: &ReportPage) -> Result {
    writeln!(out, "# List report: {}\n\n{}\n", plain(&page.input), plain(&page.format))?;
    writeln!(out, "**{} {}**: {}\n", page.decision_symbol, page.decision, plain(&page.because))?;
    for note in &page.notes {
        writeln!(out, "> {}\n", plain(note))?;
    }
    if !page.steps.is_empty() {
        writeln!(out, "## What to do now\n")?;
    }
    for (step, n) in page.steps.iter().zip(1..) {
        writeln!(out, "{n}. {}", plain(&step.text))?;
        if let Some(command) = &step.command {
            writeln!(out, "   {}", plain(command))?;
        }
    }
    let estimates = page.estimates.iter().map(|line| {
        vec![line.name.to_owned(), line.addresses.clone(), line.bounces.clone(), line.percent.clone()]
    });
    table(out, "Expected hard bounces", &["sent", "addresses", "hard bounces", "share"], estimates)?;
    let basis = page.basis.iter().map(|line| {
        vec![line.name.clone(), line.addresses.clone(), line.percent.clone(), line.from.to_owned()]
    });
    table(out, "What the range assumes", &["rows", "addresses", "of these bounce", "by"], basis)?;
    let verdicts = page.verdicts.iter().map(|line| {
        vec![
            format!("{} {}", line.symbol, line.word),
            line.rows.clone(),
            line.share.clone(),
            line.action.to_owned(),
        ]
    });
    table(out, "Verdicts", &["verdict", "rows", "share", "to do"], verdicts)?;
    writeln!(out, "\n{}", plain(&page.sum))?;
    let reasons = page.reasons.iter().map(|line| {
        let examples = if line.examples.is_empty() {
            String::new()
        } else {
            format!("; for example {}", line.examples.join(", "))
        };
        vec![
            line.verdict.to_owned(),
            line.reason.to_owned(),
            line.rows.clone(),
            format!("{}{examples}", line.sentence),
        ]
    });
    table(out, "Why", &["verdict", "reason", "rows", "means"], reasons)?;
    let heads = ["provider", "rows", "deliverable", "risky", "undeliverable", "unknown", "rejects us"];
    table(out, "Providers", &heads, page.providers.iter().map(|line| group(line, true)))?;
    for line in &page.providers {
        if let Some(words) = &line.words {
            writeln!(out, "\n{}: {}", plain(&line.name), plain(words))?;
        }
    }
    if let Some(scope) = &page.scope {
        writeln!(out, "\n## One domain or every domain?\n\n{}", plain(scope))?;
    }
    let causes = page
        .causes
        .iter()
        .map(|line| vec![line.reason.to_owned(), line.rows.clone(), line.sentence.to_owned()]);
    table(out, "Rejections of this server by cause", &["cause", "rows", "means"], causes)?;
    table(out, "When to ask again", &["when", "rows"], page.retries.iter().map(fact))?;
    let typos =
        page.typos.iter().map(|line| vec![line.domain.clone(), line.meant.clone(), line.rows.clone()]);
    table(out, "Probable typos", &["domain", "probably meant", "rows"], typos)?;
    let heads = ["domain", "rows", "deliverable", "risky", "undeliverable", "unknown"];
    table(out, "Largest domains", &heads, page.domains.iter().map(|line| group(line, false)))?;
    table(out, "The list itself", &["kind", "rows"], page.hygiene.iter().map(fact))?;
    if !page.sending.is_empty() {
        writeln!(out, "\n## Before you send\n")?;
    }
    for line in &page.sending {
        writeln!(out, "- {}", plain(line))?;
    }
    table(out, "The run", &["what", "value"], page.facts.iter().map(fact))
}

fn group(line: &GroupLine, with_rejections: bool) -> Vec<String> {
    let mut cells = vec![line.name.clone(), line.rows.clone()];
    cells.extend(line.verdicts.iter().cloned());
    cells.extend(with_rejections.then(|| line.rejecting.clone()));
    cells
}

fn fact(fact: &Fact) -> Vec<String> {
    vec![fact.name.clone(), fact.value.clone()]
}

/// A heading and a table; nothing without rows.
fn table(out: &mut String, heading: &str, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    writeln!(out, "\n## {heading}\n\n| {} |", heads.join(" | "))?;
    writeln!(out, "|{}", "---|".repeat(heads.len()))?;
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| plain(cell)).collect();
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    Ok(())
}

/// A text without markup, on one line.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '&' => plain.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => plain.extend(['\\', c]),
            c if c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
    }
    plain
}
