//! The summary of a run: a few lines for people, and the same numbers as JSON.
//!
//! Decides: which numbers are reported, and the next useful command. Must not: contain an address.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::error::Exit;
use crate::list::OutputCounts;
use crate::reason::{Finding, Reason, Verdict};
use crate::schedule::{HostRejection, ProviderEventKind, RunBlocked};

/// How many of the hosts that reject us are shown.
const REJECTIONS: usize = 5;

/// The summary of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The list, as the user named it.
    pub input: String,
    /// The format of the list, in a sentence.
    pub format: String,
    /// Rows by verdict and reason, as written.
    pub counts: OutputCounts,
    /// Undeliverable rows that are not confirmed, so that they are in no suppression list.
    pub unconfirmed: u64,
    /// How much of the network was used.
    pub probed: ProbeCounts,
    /// Events at providers, and how often each happened.
    pub provider_events: BTreeMap<ProviderEventKind, u64>,
    /// How long the run took, by its own clock.
    pub took: Duration,
    /// No mail server was contacted.
    pub unprobed: bool,
    /// Rows with the verdict and reason that were last reported were not written.
    pub changed_only: bool,
    /// Recipients still to be probed; where there are any, the outputs are partial.
    pub still_to_probe: u64,
    /// Why the run stopped early: we are blocked everywhere.
    pub blocked: Option<RunBlocked>,
    /// Which MX hosts rejected us, if the run was blocked.
    pub rejections: Vec<HostRejection>,
    /// The checks that failed before the run and were passed over by `--force`.
    pub forced: Vec<String>,
    /// `--deadline` or `--max-duration` ended the run.
    pub out_of_time: bool,
    /// How the run ended.
    pub exit: Exit,
    /// The folder of the outputs; `None` where only results were written.
    pub folder: Option<String>,
    /// The first part of the names of the outputs.
    pub stem: String,
    /// The ending of the lists among the outputs.
    pub ending: &'static str,
}

/// How much of the network a run used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeCounts {
    /// Connections.
    pub connections: u64,
    /// Probes that were answered.
    pub questions: u64,
    /// Domains that were looked up.
    pub domains: u64,
    /// Domains for which no name server answered.
    pub unanswered: u64,
}

impl ProbeCounts {
    /// True if the network of this machine is down: no name server answered for any domain, and no stored route led to a
    /// connection. Two domains or fewer prove nothing; each may have broken name servers.
    pub fn is_network_down(self) -> bool {
        const FEW: u64 = 3;
        self.domains >= FEW && self.unanswered == self.domains && self.connections == 0
    }
}

impl Summary {
    /// For people: short, the most important line last.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string can't fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        if self.still_to_probe > 0 {
            let n = self.still_to_probe;
            writeln!(
                out,
                "not finished: {n} addresses have not been probed yet; run the same command again to continue"
            )?;
        }
        if self.unprobed {
            writeln!(out, "mailboxes were not checked: this run contacted no mail server")?;
        }
        if self.changed_only {
            let n = self.counts.unchanged;
            writeln!(
                out,
                "changes only: {n} rows have the verdict and reason that were last reported, and are in no file"
            )?;
        }
        if let Some(blocked) = self.blocked {
            writeln!(out, "blocked: {}", blocked.sentence())?;
            for HostRejection { mx_host, reply } in self.rejections.iter().take(REJECTIONS) {
                writeln!(out, "  {mx_host}: {reply}")?;
            }
            if let Some(more) = self.rejections.len().checked_sub(REJECTIONS).filter(|more| *more > 0) {
                writeln!(out, "  and {more} more")?;
            }
            writeln!(out, "hint: {}", blocked.hint())?;
        }
        if !self.forced.is_empty() {
            writeln!(out, "forced: the preflight had failed at {}", self.forced.join(", "))?;
        }
        if self.exit == Exit::NetworkDown {
            writeln!(
                out,
                "no name server answered: the network or the resolver is down, or `--dns` is wrong"
            )?;
            writeln!(
                out,
                "hint: this says nothing about any address; run the same command again when it works"
            )?;
        }
        if matches!(self.exit, Exit::Interrupted | Exit::Terminated) {
            writeln!(out, "stopped by a signal: addresses that were not probed are in the retry file")?;
        }
        writeln!(out, "{} ({})", self.input, self.format)?;
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
        let OutputCounts { excluded, without_address, .. } = self.counts;
        for (rows, word, sentence) in [
            (excluded, "excluded", Finding::Excluded.sentence()),
            (without_address, "no address", "in the results only"),
        ] {
            if rows > 0 {
                writeln!(out, "{rows:>9}  {word:<13}        {sentence}")?;
            }
        }
        if self.unconfirmed > 0 {
            writeln!(
                out,
                "{:>9}  undeliverable, not confirmed: not in the suppression list",
                self.unconfirmed
            )?;
        }
        writeln!(out, "{}", self.sum())?;
        match self.counts.further_addresses {
            0 => {}
            n => writeln!(
                out,
                "extra addresses {n}, each beside another in its cell and not checked; `--split-cells` makes rows of them"
            )?,
        }
        let ProbeCounts { connections, questions, domains, .. } = self.probed;
        if domains > 0 {
            let took = humantime::format_duration(Duration::from_secs(self.took.as_secs()));
            writeln!(
                out,
                "looked up {domains} domains, sent {questions} probes over {connections} connections in {took}"
            )?;
        }
        for (event, times) in &self.provider_events {
            writeln!(out, "{times:>8}x  {}", event.sentence())?;
        }
        if let Some(folder) = &self.folder {
            writeln!(out, "written to {folder}")?;
            if self.counts.of(Verdict::Unknown) > 0 && !self.unprobed {
                writeln!(out, "next: listproof verify {folder}/{}.retry.{}", self.stem, self.ending)?;
            }
        }
        Ok(())
    }

    /// The counts as a sum.
    pub fn sum(&self) -> String {
        let OutputCounts { results, unreadable: rejected, duplicates, excluded, without_address, .. } =
            self.counts;
        let [deliverable, risky, undeliverable, unknown] =
            Verdict::ALL.map(|verdict| self.counts.of(verdict));
        let (last, rest) =
            if self.unprobed { ("unprobed", deliverable + unknown) } else { ("retry", unknown) };
        let sent = if self.unprobed { String::new() } else { format!("{deliverable} deliverable + ") };
        let unchanged =
            if self.changed_only { format!("; unchanged {}", self.counts.unchanged) } else { String::new() };
        format!(
            "results {results} = {sent}{risky} risky + {undeliverable} undeliverable + {rest} {last} + \
             {duplicates} duplicates + {excluded} excluded + {without_address} without address; unreadable rows {rejected}{unchanged}"
        )
    }

    /// Why the run ended before every recipient was probed.
    fn stopped_because(&self) -> Option<&'static str> {
        let by_time = if self.out_of_time { "deadline" } else { "budget" };
        self.blocked.map(RunBlocked::word).or(match self.exit {
            Exit::Interrupted => Some("interrupted"),
            Exit::Terminated => Some("terminated"),
            Exit::NetworkDown => Some("network_down"),
            Exit::OutOfTime => Some(by_time),
            _ => None,
        })
    }

    /// For programs: the same numbers; a key never changes its meaning.
    pub fn json(&self) -> String {
        format!("{:#}\n", self.object())
    }

    /// The JSON on one line.
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
        let events: Map<String, Value> = self
            .provider_events
            .iter()
            .map(|(event, times)| (event.word().to_owned(), (*times).into()))
            .collect();
        let rejected_by: Vec<Value> = self
            .rejections
            .iter()
            .map(|HostRejection { mx_host, reply }| json!({ "mx_host": mx_host.as_str(), "reply": reply }))
            .collect();
        json!({
            "listproof": env!("CARGO_PKG_VERSION"),
            "input": self.input,
            "rows": self.counts.rows(),
            "results": self.counts.results,
            "rejected": self.counts.unreadable,
            "extra_addresses": self.counts.further_addresses,
            "duplicates": self.counts.duplicates,
            "excluded": self.counts.excluded,
            "without_address": self.counts.without_address,
            "unchanged": self.counts.unchanged,
            "suppressed": self.counts.suppressed,
            "undeliverable_not_confirmed": self.unconfirmed,
            "verdicts": verdicts,
            "reasons": reasons,
            "mailboxes_checked": !self.unprobed,
            "partial": self.still_to_probe > 0,
            "still_to_ask": self.still_to_probe,
            "stopped_because": self.stopped_because(),
            "rejected_by": rejected_by,
            "forced": self.forced,
            "domains": self.probed.domains,
            "questions": self.probed.questions,
            "connections": self.probed.connections,
            "decisions": events,
            "seconds": self.took.as_secs(),
            "exit_code": self.exit.code(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(exit: Exit, out_of_time: bool, blocked: Option<RunBlocked>) -> Summary {
        Summary {
            input: "list.csv".to_owned(),
            format: String::new(),
            counts: OutputCounts::default(),
            unconfirmed: 0,
            probed: ProbeCounts::default(),
            provider_events: BTreeMap::new(),
            took: Duration::ZERO,
            unprobed: false,
            changed_only: false,
            still_to_probe: 0,
            blocked,
            rejections: Vec::new(),
            forced: Vec::new(),
            out_of_time,
            exit,
            folder: None,
            stem: "list".to_owned(),
            ending: "csv",
        }
    }

    #[test]
    fn a_run_that_stopped_early_names_the_reason_and_a_complete_one_names_none() {
        for (exit, out_of_time, blocked, why) in [
            (Exit::Finished, false, None, None),
            (Exit::GateFailed, false, None, None),
            (Exit::OutOfTime, true, None, Some("deadline")),
            (Exit::OutOfTime, false, None, Some("budget")),
            (Exit::Interrupted, true, None, Some("interrupted")),
            (Exit::Terminated, false, None, Some("terminated")),
            (Exit::NetworkDown, false, None, Some("network_down")),
            (Exit::Blocked, false, Some(RunBlocked::PortClosed), Some("port_closed")),
            (Exit::Interrupted, false, Some(RunBlocked::RejectedEverywhere), Some("refused_everywhere")),
        ] {
            assert_eq!(
                summary(exit, out_of_time, blocked).object()["stopped_because"],
                Value::from(why),
                "{exit:?}"
            );
        }
    }
}
