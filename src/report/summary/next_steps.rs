//! What to do after a run, in at most three steps, with the names of the files and commands that work as they stand.
//!
//! Decides: which steps, and in which order. Must not: print a secret; see `rerun`.

use super::data::Summary;
use super::headline::Decision;
use super::rerun::quoted;
use super::retry_plan::RetryPlan;
use crate::error::Exit;
use crate::reason::Verdict;

/// A step after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryStep {
    /// What to do.
    pub text: String,
    /// The file that it is about.
    pub file: Option<String>,
    /// The command to run.
    pub command: Option<String>,
}

impl SummaryStep {
    fn new(text: impl Into<String>) -> SummaryStep {
        SummaryStep { text: text.into(), file: None, command: None }
    }

    fn with_command(self, command: Option<String>) -> SummaryStep {
        SummaryStep { command, ..self }
    }
}

/// The steps after a run.
pub(super) fn next_steps(summary: &Summary, decision: Decision, again: &RetryPlan) -> Vec<SummaryStep> {
    let rerun = &summary.rerun;
    if summary.unprobed {
        let command = format!("listproof plan {}", quoted(&summary.input));
        let plan = SummaryStep::new("see what checking the mailboxes would take").with_command(Some(command));
        return vec![
            plan,
            SummaryStep::new("verify without `--offline` and `--dns-only`, with `--helo` and `--mail-from`"),
        ];
    }
    let same = |text: &str| SummaryStep::new(text).with_command(rerun.again.clone());
    if summary.blocked.is_some() {
        let mut steps = Vec::new();
        if let Some(rejection) = summary.rejections.first() {
            let command = format!("listproof explain {}", quoted(&rejection.reply));
            steps.push(SummaryStep::new("see what the first rejection means").with_command(Some(command)));
        }
        steps
            .push(SummaryStep::new("repair what receivers see of this server; `listproof doctor` checks it"));
        steps.push(same("run the same command again"));
        return steps;
    }
    if summary.still_to_probe > 0
        || matches!(summary.exit, Exit::NetworkDown | Exit::Interrupted | Exit::Terminated)
    {
        let text = match summary.exit {
            Exit::NetworkDown => "repair the network or the resolver, and run the same command again",
            _ => "run the same command again: it continues",
        };
        return vec![same(text)];
    }
    let mut steps = Vec::new();
    steps.extend(hand_over(summary).or_else(|| send(summary, decision)));
    steps.extend(keep_out(summary));
    steps.extend(ask_again(summary, again));
    steps
}

fn file(summary: &Summary, what: &str, ending: &str) -> Option<String> {
    summary.folder.as_ref().map(|folder| format!("{folder}/{}.{what}.{ending}", summary.stem))
}

fn send(summary: &Summary, decision: Decision) -> Option<SummaryStep> {
    let rows = summary.counts.of(Verdict::Deliverable);
    let file = file(summary, "deliverable", summary.ending).filter(|_| rows > 0);
    let changed = if summary.changed_only { " (changes only)" } else { "" };
    let text = match (&file, decision) {
        (_, Decision::DoNotSend) => return None,
        (None, _) if summary.folder.is_some() => return None,
        (None, _) => "send to the rows whose `action` is `send`".to_owned(),
        (Some(file), _) => format!("send to {file}: {rows} addresses{changed}"),
    };
    Some(SummaryStep { text, file, command: None })
}

/// The files are for a product, so its note says what to do with them.
fn hand_over(summary: &Summary) -> Option<SummaryStep> {
    let profile = summary.profile?;
    let file = file(summary, "handover", "txt")?;
    let text = format!("hand the files over to {} as {file} says", profile.name);
    Some(SummaryStep { text, file: Some(file), command: None })
}

fn keep_out(summary: &Summary) -> Option<SummaryStep> {
    let (suppressed, risky) = (summary.counts.suppressed, summary.counts.of(Verdict::Risky));
    // The note about a product names these files, of which there may be several.
    let suppression =
        file(summary, "suppression", "csv").filter(|_| suppressed > 0 && summary.profile.is_none());
    let review = file(summary, "risky", summary.ending).filter(|_| risky > 0);
    let first = suppression.clone().or_else(|| review.clone());
    let parts = [
        suppression.map(|file| format!("keep the {suppressed} addresses of {file} out of later lists")),
        review.map(|file| format!("decide about the {risky} risky ones in {file}")),
    ];
    let text = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
    (!text.is_empty()).then_some(SummaryStep { text, file: first, command: None })
}

fn ask_again(summary: &Summary, again: &RetryPlan) -> Option<SummaryStep> {
    let rows = summary.counts.of(Verdict::Unknown);
    if rows == 0 {
        return None;
    }
    let rerun = &summary.rerun;
    let file = file(summary, "retry", summary.ending);
    let from_file = file.as_ref().zip(rerun.flags.as_ref());
    let from_file = from_file.map(|(file, flags)| format!("listproof verify {}{flags}", quoted(file)));
    let command = if rerun.keeps_answers { rerun.again.clone().or(from_file) } else { from_file };
    let when = again.first().filter(|first| *first > summary.ended);
    let when = when.map(|at| format!(" from {}", super::style::time(at))).unwrap_or_default();
    Some(SummaryStep { text: format!("ask again about the {rows} unknown ones{when}"), file, command })
}
