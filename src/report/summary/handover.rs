//! The hand-over note for the product of a profile: which files to import, the numbers that it asks for, and the sums.
//!
//! Decides: nothing. Must not: name an address.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::data::Summary;
use crate::list::HandOver;
use crate::policy::SkipCause;
use crate::reason::Verdict;

impl Summary {
    /// The text of the note; `None` without a profile.
    pub fn handover(&self) -> Option<String> {
        let profile = self.profile?;
        let parts = &self.counts.hand_over;
        let has_contacts = profile.contacts.is_some() && !self.unprobed;
        let (contacts, suppressed) = (rows(&parts.contacts), rows(&parts.suppression));
        let mut text = format!("Hand-over of {} to {}\n", self.input, profile.name);
        if let Some(unfinished) = self.unfinished() {
            let _ = writeln!(text, "\nNot complete: {unfinished}.");
        }
        text.push_str("\nFiles\n");
        if has_contacts {
            files(&mut text, &parts.contacts, "contacts");
        }
        files(&mut text, &parts.suppression, "addresses not to be sent to");
        let skipped = parts.skipped() + parts.not_suppressed();
        let _ = writeln!(text, "  {}.skipped.csv: {skipped} not handed over, each with its cause", self.stem);
        text.push_str("\nThe sum\n");
        if has_contacts {
            let all = self.counts.of(Verdict::Deliverable);
            let _ = writeln!(text, "  deliverable {all} = {contacts} contacts + {} skipped", parts.skipped());
            causes(&mut text, &parts.skipped_contacts);
        }
        let left = parts.not_suppressed();
        let undeliverable = self.counts.of(Verdict::Undeliverable);
        let others = undeliverable.saturating_sub(suppressed + left);
        let _ = writeln!(
            text,
            "  undeliverable {undeliverable} = {suppressed} suppressed + {left} skipped + {others} not confirmed or no address"
        );
        causes(&mut text, &parts.skipped_suppression);
        if parts.cut_cells > 0 {
            let _ = writeln!(text, "  {} cells were cut to the length that fits", parts.cut_cells);
        }
        let exists = |step: &&String| {
            (!step.contains("{contact_files}") || has_contacts && contacts > 0)
                && (!step.contains("{suppression_files}") || suppressed > 0)
        };
        let steps: Vec<&String> = profile.steps.iter().filter(exists).collect();
        section(&mut text, "Steps", steps.into_iter().map(|step| fill(step, parts)), true);
        section(&mut text, "Good to know", profile.notes.iter().map(|note| fill(note, parts)), false);
        section(&mut text, "Not confirmed by the vendor", profile.unconfirmed.iter().cloned(), false);
        section(
            &mut text,
            &format!("Sources, as of {}", profile.as_of),
            profile.sources.iter().cloned(),
            false,
        );
        Some(text)
    }
}

fn rows(files: &[(String, u64)]) -> u64 {
    files.iter().map(|(_, rows)| rows).sum()
}

fn files(text: &mut String, files: &[(String, u64)], what: &str) {
    for (name, rows) in files {
        let _ = writeln!(text, "  {name}: {rows} {what}");
    }
}

fn causes(text: &mut String, causes: &BTreeMap<SkipCause, u64>) {
    for (cause, rows) in causes {
        let _ = writeln!(text, "    {rows} skipped: {}", cause.sentence());
    }
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>, is_numbered: bool) {
    let mut is_empty = true;
    for (number, line) in (1..).zip(lines) {
        if std::mem::take(&mut is_empty) {
            let _ = writeln!(text, "\n{title}");
        }
        let _ = if is_numbered { writeln!(text, "  {number}. {line}") } else { writeln!(text, "  - {line}") };
    }
}

/// A text of a profile with its placeholders filled.
fn fill(text: &str, parts: &HandOver) -> String {
    let names =
        |files: &[(String, u64)]| files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let roles = parts.roles.to_string();
    text.replace("{contacts}", &rows(&parts.contacts).to_string())
        .replace("{suppressed}", &rows(&parts.suppression).to_string())
        .replace("{roles}", &roles)
        .replace("{contact_files}", &names(&parts.contacts))
        .replace("{suppression_files}", &names(&parts.suppression))
}
