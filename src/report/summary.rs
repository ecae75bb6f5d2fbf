//! The end of a run in a few lines for people, and the same numbers as JSON.
//!
//! Decides: which numbers are told and what is the next useful command. Must not: contain an address.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::error::Exit;
use crate::list::OutputCounts;
use crate::reason::{Reason, Verdict};
use crate::schedule::{ProviderEventKind, RunBlocked};

/// What is told about a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The list as it was named.
    pub input: String,
    /// What the list is, in a sentence.
    pub form: String,
    /// What was written.
    pub counts: OutputCounts,
    /// What it cost the others.
    pub asked: ProbeCounts,
    /// What was decided about operators, and how often.
    pub decisions: BTreeMap<ProviderEventKind, u64>,
    /// How long it took, by the run's own clock.
    pub took: Duration,
    /// Mailboxes were not asked about.
    pub unprobed: bool,
    /// What was told as before was not written.
    pub changed_only: bool,
    /// How many addresses are still to be asked about: the outputs are partial.
    pub still_to_ask: u64,
    /// Why nothing that servers said was judged.
    pub shut: Option<RunBlocked>,
    /// The clock ended it, by `--deadline` or `--max-duration`.
    pub out_of_time: bool,
    /// How it ends.
    pub exit: Exit,
    /// Where the files are; `None` where only results were written.
    pub folder: Option<String>,
    /// What the files are named after.
    pub stem: String,
}

/// What a run cost the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeCounts {
    /// Connections.
    pub connections: u64,
    /// RCPT commands answered.
    pub questions: u64,
    /// Domains looked up.
    pub domains: u64,
    /// How many of them no name server told anything about.
    pub unreported: u64,
}

impl ProbeCounts {
    /// No name server told anything at all, and nobody could be connected to by what was known before: the trouble is not
    /// theirs. A few domains may all be broken by themselves.
    pub fn in_vain(self) -> bool {
        const FEW: u64 = 3;
        self.domains >= FEW && self.unreported == self.domains && self.connections == 0
    }
}

impl Summary {
    /// For people: short, most important line last.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string can't fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        if self.still_to_ask > 0 {
            let n = self.still_to_ask;
            writeln!(out, "partial: {n} addresses are still to be asked about; the same command goes on")?;
        }
        if self.unprobed {
            writeln!(out, "mailboxes were not checked: this run asked no mail server")?;
        }
        if self.changed_only {
            let n = self.counts.unchanged;
            writeln!(out, "changes only: {n} rows have the verdict that they had last, and are in no file")?;
        }
        if let Some(shut) = self.shut {
            writeln!(out, "stopped early: {}", shut.sentence())?;
            writeln!(out, "hint: {}", shut.hint())?;
        }
        if self.exit == Exit::NetworkDown {
            writeln!(
                out,
                "no name server told anything: the network or the resolver is down, or `--dns` is wrong"
            )?;
            writeln!(out, "hint: nothing was judged by it; run the same command again when it is up")?;
        }
        if matches!(self.exit, Exit::Interrupted | Exit::Terminated) {
            writeln!(out, "stopped by hand: what was not asked is in the retry file")?;
        }
        writeln!(out, "{} ({})", self.input, self.form)?;
        let judged: u64 = Verdict::ALL.into_iter().map(|verdict| self.counts.of(verdict)).sum();
        for verdict in Verdict::ALL {
            let rows = self.counts.of(verdict);
            let share = (rows * 100 + judged / 2).checked_div(judged).unwrap_or(0);
            writeln!(out, "{rows:>9}  {:<13} {share:>3} %  {}", verdict.word(), verdict.action())?;
            let mut reasons: Vec<(&Reason, &u64)> =
                self.counts.reasons.iter().filter(|(reason, _)| reason.verdict() == verdict).collect();
            reasons.sort_by_key(|(reason, rows)| (std::cmp::Reverse(**rows), reason.word()));
            for (reason, rows) in reasons {
                writeln!(out, "{rows:>9}    {:<25} {}", reason.word(), reason.sentence())?;
            }
        }
        writeln!(out, "{}", self.sum())?;
        let ProbeCounts { connections, questions, domains, .. } = self.asked;
        if domains > 0 {
            let took = humantime::format_duration(Duration::from_secs(self.took.as_secs()));
            writeln!(
                out,
                "asked {domains} domains, {questions} questions over {connections} connections in {took}"
            )?;
        }
        for (decision, times) in &self.decisions {
            writeln!(out, "{times:>8}x  {}", decision.sentence())?;
        }
        if let Some(folder) = &self.folder {
            writeln!(out, "written to {folder}")?;
            if self.counts.of(Verdict::Unknown) > 0 && !self.unprobed {
                writeln!(out, "next: listproof verify {folder}/{}.retry.csv", self.stem)?;
            }
        }
        Ok(())
    }

    /// How the counts add up.
    pub fn sum(&self) -> String {
        let OutputCounts { results, unreadable: rejected, duplicates, .. } = self.counts;
        let [deliverable, risky, undeliverable, unknown] =
            Verdict::ALL.map(|verdict| self.counts.of(verdict));
        let (last, rest) =
            if self.unprobed { ("unprobed", deliverable + unknown) } else { ("retry", unknown) };
        let sent = if self.unprobed { String::new() } else { format!("{deliverable} deliverable + ") };
        let unchanged =
            if self.changed_only { format!("; unchanged {}", self.counts.unchanged) } else { String::new() };
        format!(
            "results {results} = {sent}{risky} risky + {undeliverable} undeliverable + {rest} {last} + \
             {duplicates} duplicates; rejected {rejected}{unchanged}"
        )
    }

    /// Why the run ended before everybody was asked.
    fn stopped_because(&self) -> Option<&'static str> {
        let by_time = if self.out_of_time { "deadline" } else { "budget" };
        self.shut.map(RunBlocked::word).or(match self.exit {
            Exit::Interrupted => Some("interrupted"),
            Exit::Terminated => Some("terminated"),
            Exit::NetworkDown => Some("network_down"),
            Exit::OutOfTime => Some(by_time),
            _ => None,
        })
    }

    /// For machines: the same numbers, keys that never change their meaning.
    pub fn json(&self) -> String {
        format!("{:#}\n", self.object())
    }

    /// The same on one line.
    pub fn line(&self) -> String {
        format!("{}\n", self.object())
    }

    fn object(&self) -> Value {
        let verdicts: Map<String, Value> =
            Verdict::ALL.into_iter().map(|v| (v.word().to_owned(), self.counts.of(v).into())).collect();
        let reasons: Map<String, Value> = self
            .counts
            .reasons
            .iter()
            .map(|(reason, rows)| (reason.word().to_owned(), (*rows).into()))
            .collect();
        let decisions: Map<String, Value> =
            self.decisions.iter().map(|(what, times)| (what.word().to_owned(), (*times).into())).collect();
        json!({
            "listproof": env!("CARGO_PKG_VERSION"),
            "input": self.input,
            "rows": self.counts.rows(),
            "results": self.counts.results,
            "rejected": self.counts.unreadable,
            "duplicates": self.counts.duplicates,
            "unchanged": self.counts.unchanged,
            "suppressed": self.counts.suppressed,
            "verdicts": verdicts,
            "reasons": reasons,
            "mailboxes_checked": !self.unprobed,
            "partial": self.still_to_ask > 0,
            "still_to_ask": self.still_to_ask,
            "stopped_because": self.stopped_because(),
            "domains": self.asked.domains,
            "questions": self.asked.questions,
            "connections": self.asked.connections,
            "decisions": decisions,
            "seconds": self.took.as_secs(),
            "exit_code": self.exit.code(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(exit: Exit, out_of_time: bool, shut: Option<RunBlocked>) -> Summary {
        Summary {
            input: "list.csv".to_owned(),
            form: String::new(),
            counts: OutputCounts::default(),
            asked: ProbeCounts::default(),
            decisions: BTreeMap::new(),
            took: Duration::ZERO,
            unprobed: false,
            changed_only: false,
            still_to_ask: 0,
            shut,
            out_of_time,
            exit,
            folder: None,
            stem: "list".to_owned(),
        }
    }

    #[test]
    fn a_run_that_stopped_early_says_why_and_one_that_did_not_says_nothing() {
        for (exit, out_of_time, shut, why) in [
            (Exit::Finished, false, None, None),
            (Exit::GateFailed, false, None, None),
            (Exit::OutOfTime, true, None, Some("deadline")),
            (Exit::OutOfTime, false, None, Some("budget")),
            (Exit::Interrupted, true, None, Some("interrupted")),
            (Exit::Terminated, false, None, Some("terminated")),
            (Exit::NetworkDown, false, None, Some("network_down")),
            (Exit::ShutOut, false, Some(RunBlocked::PortClosed), Some("port_closed")),
            (Exit::Interrupted, false, Some(RunBlocked::RejectedEverywhere), Some("refused_everywhere")),
        ] {
            assert_eq!(
                summary(exit, out_of_time, shut).object()["stopped_because"],
                Value::from(why),
                "{exit:?}"
            );
        }
    }
}
