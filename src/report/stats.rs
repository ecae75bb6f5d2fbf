//! How much a state holds, in a few lines.

use std::fmt::Write;
use std::path::Path;

use crate::state::StateStats;

/// How much the state in `file` holds.
pub fn text(file: &Path, stats: &StateStats) -> String {
    let mut text = String::new();
    // Writing into a string can't fail.
    let _ = write_stats(&mut text, file, stats);
    text
}

fn write_stats(out: &mut String, file: &Path, stats: &StateStats) -> std::fmt::Result {
    let (runs, open) = stats.runs;
    writeln!(out, "{}: {} bytes, about {}", file.display(), stats.bytes, stats.namespace)?;
    writeln!(
        out,
        "{runs:>9}  runs, {open} of them can continue, {} addresses still to be probed",
        stats.still_to_probe
    )?;
    writeln!(out, "{:>9}  domains", stats.domains)?;
    let addresses: u64 = stats.verdicts.iter().map(|(_, addresses)| addresses).sum();
    let verdicts: Vec<String> = stats.verdicts.iter().map(|(verdict, n)| format!("{n} {verdict}")).collect();
    let verdicts = if verdicts.is_empty() { String::new() } else { format!(": {}", verdicts.join(", ")) };
    writeln!(out, "{addresses:>9}  addresses probed{verdicts}")?;
    let since = stats.oldest.map(|at| format!(", the oldest of {}", humantime::format_rfc3339_seconds(at)));
    writeln!(out, "{:>9}  replies{}", stats.replies, since.unwrap_or_default())
}
