//! Quality gates: when a finished run counts as failed (`--max-unknown`, `--fail-if`).

use std::str::FromStr;

use crate::error::Exit;
use crate::list::OutputCounts;
use crate::reason::Verdict;

/// A number of rows, or a share of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GateLimit {
    /// Rows.
    Rows(u64),
    /// Percent of the results without duplicates.
    Percent(f64),
}

impl GateLimit {
    fn is_exceeded(self, rows: u64, of: u64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a share of rows needs no exact arithmetic")]
        match self {
            GateLimit::Rows(most) => rows > most,
            GateLimit::Percent(most) => rows as f64 * 100.0 > most * of as f64,
        }
    }
}

impl FromStr for GateLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<GateLimit, String> {
        let fault = || format!("`{text}` is neither a number of rows nor a share like `5%`");
        match text.strip_suffix('%') {
            Some(share) => {
                let share: f64 = share.trim().parse().map_err(|_| fault())?;
                (0.0..=100.0).contains(&share).then_some(GateLimit::Percent(share)).ok_or_else(fault)
            }
            None => text.trim().parse().map(GateLimit::Rows).map_err(|_| fault()),
        }
    }
}

/// The most rows of a verdict that a run may have, as in `undeliverable>5%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    verdict: Verdict,
    most: GateLimit,
}

impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Gate, String> {
        let (word, most) =
            text.split_once('>').ok_or_else(|| format!("`{text}` is not like `undeliverable>5%`"))?;
        let verdict = Verdict::ALL.into_iter().find(|verdict| verdict.word() == word.trim());
        let verdict = verdict.ok_or_else(|| format!("`{}` is not a verdict", word.trim()))?;
        Ok(Gate { verdict, most: most.parse()? })
    }
}

/// All gates of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gates {
    /// More unknown rows than this: exit 3.
    pub max_unknown: Option<GateLimit>,
    /// Any of these exceeded: exit 4.
    pub fail_if: Vec<Gate>,
}

impl Gates {
    /// How a finished run exits.
    pub fn exit(&self, counts: &OutputCounts) -> Exit {
        let judged = Verdict::ALL.into_iter().map(|verdict| counts.in_all(verdict)).sum();
        let unknown = counts.in_all(Verdict::Unknown);
        if self.fail_if.iter().any(|gate| gate.most.is_exceeded(counts.in_all(gate.verdict), judged)) {
            Exit::GateFailed
        } else if self.max_unknown.is_some_and(|most| most.is_exceeded(unknown, judged)) {
            Exit::TooManyUnknown
        } else {
            Exit::Finished
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(deliverable: u64, undeliverable: u64, unknown: u64) -> OutputCounts {
        OutputCounts { verdicts: [deliverable, 0, undeliverable, unknown], ..OutputCounts::default() }
    }

    #[test]
    fn a_gate_fails_above_its_share_and_not_at_it() {
        let gates = Gates { max_unknown: None, fail_if: vec!["undeliverable>5%".parse().unwrap()] };
        assert_eq!(gates.exit(&counts(95, 5, 0)), Exit::Finished);
        assert_eq!(gates.exit(&counts(94, 6, 0)), Exit::GateFailed);
        assert_eq!(gates.exit(&counts(0, 0, 0)), Exit::Finished);
    }

    #[test]
    fn a_gate_counts_rows_that_were_not_written_too() {
        let gates = Gates { max_unknown: None, fail_if: vec!["undeliverable>5%".parse().unwrap()] };
        let changed = OutputCounts { unchanged_verdicts: [80, 0, 0, 0], ..counts(15, 5, 0) };
        assert_eq!(gates.exit(&changed), Exit::Finished);
    }

    #[test]
    fn a_failed_gate_wins_over_too_many_unknown_rows() {
        let mut gates = Gates { max_unknown: Some(GateLimit::Rows(3)), fail_if: vec![] };
        assert_eq!(gates.exit(&counts(1, 1, 4)), Exit::TooManyUnknown);
        gates.fail_if.push("undeliverable > 0".parse().unwrap());
        assert_eq!(gates.exit(&counts(1, 1, 4)), Exit::GateFailed);
    }

    #[test]
    fn a_text_that_is_no_gate_is_an_error() {
        for text in
            ["", "5%", "bad>5%", "undeliverable>", "undeliverable>x%", "undeliverable>101%", "unknown<5"]
        {
            assert!(text.parse::<Gate>().is_err(), "{text}");
        }
    }
}
