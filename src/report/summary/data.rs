//! The figures of a run, from which its summary follows.
//!
//! Decides: when a run has not done all of its work. Must not: contain an address.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::rerun::Rerun;
use crate::error::Exit;
use crate::list::OutputCounts;
use crate::policy::{BouncePriors, Profile};
use crate::reason::Verdict;
use crate::report::tally::RowTally;
use crate::schedule::{HostRejection, ProviderEventKind, RunBlocked};

/// The summary of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The list, as the user named it.
    pub input: String,
    /// The format of the list, in a sentence.
    pub format: String,
    /// Rows by verdict and reason, as written.
    pub counts: OutputCounts,
    /// What the rows have in common.
    pub tally: RowTally,
    /// What is expected to bounce.
    pub priors: &'static BouncePriors,
    /// How much of the network was used.
    pub probed: ProbeCounts,
    /// Events at providers, and how often each happened.
    pub provider_events: BTreeMap<ProviderEventKind, u64>,
    /// How long the run took, by its own clock.
    pub took: Duration,
    /// When it ended, by its own clock.
    pub ended: SystemTime,
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
    /// The product that the list is handed over to.
    pub profile: Option<&'static Profile>,
    /// The command line, where there was one.
    pub rerun: Rerun,
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
        let skipped = match self.counts.hand_over.skipped() {
            0 => String::new(),
            skipped => format!("; of the deliverable ones {skipped} skipped"),
        };
        format!(
            "results {results} = {sent}{risky} risky + {undeliverable} undeliverable + {rest} {last} + \
             {duplicates} duplicates + {excluded} excluded + {without_address} without address; unreadable rows {rejected}{unchanged}{skipped}"
        )
    }

    /// Why the run ended before every recipient was probed.
    pub fn stopped_because(&self) -> Option<&'static str> {
        let by_time = if self.out_of_time { "deadline" } else { "budget" };
        self.blocked.map(RunBlocked::word).or(match self.exit {
            Exit::Interrupted => Some("interrupted"),
            Exit::Terminated => Some("terminated"),
            Exit::NetworkDown => Some("network_down"),
            Exit::OutOfTime => Some(by_time),
            _ => None,
        })
    }

    /// Why nothing can be said about the list, if the run did not do all of its work.
    pub fn unfinished(&self) -> Option<String> {
        if self.unprobed {
            return Some("mailboxes were not checked".to_owned());
        }
        if let Some(blocked) = self.blocked {
            return Some(blocked.sentence().to_owned());
        }
        match self.exit {
            Exit::NetworkDown => {
                Some("no name server answered, which says nothing about the addresses".to_owned())
            }
            Exit::Interrupted | Exit::Terminated => Some("the run was stopped before its end".to_owned()),
            _ if self.still_to_probe > 0 => {
                Some(format!("{} addresses have not been probed yet", self.still_to_probe))
            }
            _ => None,
        }
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
            probed: ProbeCounts::default(),
            provider_events: BTreeMap::new(),
            tally: RowTally::default(),
            priors: BouncePriors::built_in(),
            took: Duration::ZERO,
            ended: SystemTime::UNIX_EPOCH,
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
            profile: None,
            rerun: Rerun::default(),
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
            assert_eq!(summary(exit, out_of_time, blocked).stopped_because(), why, "{exit:?}");
        }
    }
}
