//! An evaluation as text, for a terminal.

use std::fmt::{self, Display, Formatter};

use super::lookup::{MAX_LOOKUPS, MAX_VOID_LOOKUPS};
use super::report::{SpfBranch, SpfReport};
use crate::smtp::sanitize;

impl Display for SpfReport {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.result.word())?;
        if let Some(term) = &self.decided_by {
            write!(out, ", decided by `{}`", sanitize(term))?;
        }
        writeln!(out)?;
        if let Some(problem) = &self.problem {
            write!(out, "{}: {}", sanitize(&problem.domain), sanitize(&problem.message))?;
            match problem.offset {
                Some(offset) => writeln!(out, " (byte {offset} of the record)")?,
                None => writeln!(out)?,
            }
        }
        if let Some(explanation) = &self.explanation {
            writeln!(out, "explanation: {}", sanitize(explanation))?;
        }
        let (lookups, void) = (self.lookups, self.void_lookups);
        writeln!(out, "look-ups: {lookups} of {MAX_LOOKUPS}, {void} of {MAX_VOID_LOOKUPS} void")?;
        self.tree.iter().try_for_each(|branch| write_branch(out, branch, 0))
    }
}

fn write_branch(out: &mut Formatter<'_>, branch: &SpfBranch, depth: usize) -> fmt::Result {
    let record = branch.record.as_deref().unwrap_or("no record");
    let indent = depth * 2;
    writeln!(out, "{:indent$}{}: {}", "", sanitize(&branch.domain), sanitize(record))?;
    for term in &branch.terms {
        let (matched, void) =
            (if term.matched { ", matched" } else { "" }, if term.void { ", found nothing" } else { "" });
        writeln!(out, "{:indent$}  {} [{}]{matched}{void}", "", sanitize(&term.term), term.lookups)?;
        if let Some(led) = &term.record {
            write_branch(out, led, depth + 2)?;
        }
    }
    Ok(())
}
