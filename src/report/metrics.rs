//! The metrics of a run for Prometheus, in the format of `node_exporter`'s textfile collector.
//!
//! Decides: names and labels, which never change their meaning, and which file may be replaced: only one with metrics of an
//! earlier run. Must not: contain an address or a domain. Of all outputs only this file is readable by all users, because the
//! collector runs as another user. A failed run writes its exit code and time too, because alarms depend on them. Fails:
//! before the run, where that is possible.

use std::fmt::Write as _;
use std::fs::{File, Permissions};
use std::io::{self, ErrorKind, Read, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Summary;
use crate::error::{Error, Exit};
use crate::reason::Verdict;
use crate::secure_file;

/// The first bytes of each metrics file.
const BEGINNING: &[u8] = b"# HELP listproof_";

/// Fails, before a run, if its metrics cannot be written to `path` after it: because another file is there, because it is one
/// of the run's `own` files, or because no file can be created.
pub fn claim(path: &Path, own: &[PathBuf]) -> Result<(), Error> {
    let refused = |why: String| Error::Usage {
        message: why,
        hint: "nothing was done; name another file with `--metrics-file`, in an existing folder".to_owned(),
    };
    let shown = path.display();
    if own.iter().any(|own| is_same(own, path)) {
        return Err(refused(format!(
            "`{shown}` is a file of this run itself, so metrics cannot be written to it"
        )));
    }
    let may_replace = match path.symlink_metadata() {
        Ok(meta) => Ok(meta.is_file() && (meta.len() == 0 || is_ours(path))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    };
    match may_replace.and_then(|may| tempfile::tempfile_in(folder(path)).map(|_| may)) {
        Ok(true) => Ok(()),
        Ok(false) => {
            Err(refused(format!("`{shown}` exists already and does not hold metrics of an earlier run")))
        }
        Err(error) => Err(refused(format!("cannot write `{shown}`: {error}"))),
    }
}

/// True for two names of one file, whether it exists or not.
fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| match (path.canonicalize(), path.file_name()) {
        (Ok(place), _) => Some(place),
        (Err(_), Some(name)) => Some(folder(path).canonicalize().ok()?.join(name)),
        (Err(_), None) => None,
    };
    place(one).is_some_and(|one| place(other) == Some(one))
}

fn is_ours(path: &Path) -> bool {
    let mut beginning = [0; BEGINNING.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut beginning)).is_ok() && beginning == BEGINNING
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Replaces the file at `path` atomically. `summary` is `None` for a run that failed before it had one.
pub fn write(path: &Path, exit: Exit, ended: SystemTime, summary: Option<&Summary>) -> Result<(), Error> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    // An earlier run's, where this one fails.
    let last_success = if exit == Exit::Finished { Some(ended) } else { last_success(path) };
    let text = text(&name, exit, (ended, last_success), summary);
    place(path, &text).map_err(|source| Error::Unwritable {
        what: format!("`{}`", path.display()),
        hint: "make room, or name another file with `--metrics-file`",
        source,
    })
}

/// The time of the last success in a file of an earlier run.
fn last_success(path: &Path) -> Option<SystemTime> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with("listproof_last_success_timestamp_seconds{"))?;
    let seconds = line.rsplit_once(' ')?.1.parse().ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn place(path: &Path, text: &str) -> io::Result<()> {
    // The collector reads every file that ends in `.prom`, so the temporary file must not.
    let mut file = secure_file::create_temp_beside(path)?;
    file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(text.as_bytes())?;
    secure_file::persist(file, path).map(drop)
}

/// The text of the file. `name` is the label that distinguishes the runs of one machine.
pub(super) fn text(
    name: &str,
    exit: Exit,
    (ended, last_success): (SystemTime, Option<SystemTime>),
    summary: Option<&Summary>,
) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    let mut metrics = Metrics { name, text: String::new() };
    metrics.one("exit_code", "how the last run ended, see the table of exit codes", exit.code().into());
    let seconds = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    metrics.one("ended_timestamp_seconds", "when the last run ended", seconds(ended));
    if let Some(at) = last_success {
        metrics.one(
            "last_success_timestamp_seconds",
            "when the last run ended that ended with 0",
            seconds(at),
        );
    }
    let Some(summary) = summary else {
        return metrics.text;
    };
    metrics.one("run_seconds", "how long the last run took", summary.took.as_secs());
    metrics.one(
        "results",
        "rows that were read, with duplicates, excluded rows and rows without an address",
        summary.counts.results,
    );
    metrics.one("rejected", "rows that could not be read", summary.counts.unreadable);
    metrics.one("duplicates", "rows whose address an earlier row has", summary.counts.duplicates);
    metrics.one("excluded", "rows that the user's own lists exclude", summary.counts.excluded);
    metrics.one("without_address", "rows without an address", summary.counts.without_address);
    metrics.one("still_to_ask", "recipients that are still to be probed", summary.still_to_probe);
    let stopped = summary.stopped_because().into_iter().map(|why| (why, 1));
    metrics.each(
        "stopped_because",
        "why the last run stopped early; no value if it did not",
        "because",
        stopped,
    );
    metrics.one("domains", "domains looked up", summary.probed.domains);
    metrics.one("questions", "recipients probed", summary.probed.questions);
    metrics.one("connections", "connections to mail servers", summary.probed.connections);
    let verdicts = Verdict::ALL.into_iter().map(|verdict| (verdict.word(), summary.counts.of(verdict)));
    metrics.each("verdict_rows", "rows by verdict, duplicates left out", "verdict", verdicts);
    let reasons = summary.counts.reasons.iter().map(|(reason, rows)| (reason.word(), *rows));
    metrics.each("reason_rows", "rows by reason, duplicates left out", "reason", reasons);
    metrics.text
}

struct Metrics {
    name: String,
    text: String,
}

impl Metrics {
    fn one(&mut self, metric: &str, help: &str, value: u64) {
        self.head(metric, help);
        let name = &self.name;
        // Writing into a string can't fail.
        let _ = writeln!(self.text, "listproof_{metric}{{list=\"{name}\"}} {value}");
    }

    fn each<'a>(
        &mut self,
        metric: &str,
        help: &str,
        label: &str,
        values: impl Iterator<Item = (&'a str, u64)>,
    ) {
        self.head(metric, help);
        let name = &self.name;
        for (word, value) in values {
            let _ = writeln!(self.text, "listproof_{metric}{{list=\"{name}\",{label}=\"{word}\"}} {value}");
        }
    }

    fn head(&mut self, metric: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP listproof_{metric} {help}\n# TYPE listproof_{metric} gauge");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_run_writes_its_exit_code_and_time() {
        let ended = UNIX_EPOCH + Duration::from_secs(1_767_600_000);
        assert_eq!(
            text("jane@acme.example", Exit::Misconfigured, (ended, None), None),
            "# HELP listproof_exit_code how the last run ended, see the table of exit codes\n\
             # TYPE listproof_exit_code gauge\n\
             listproof_exit_code{list=\"jane_acme_example\"} 78\n\
             # HELP listproof_ended_timestamp_seconds when the last run ended\n\
             # TYPE listproof_ended_timestamp_seconds gauge\n\
             listproof_ended_timestamp_seconds{list=\"jane_acme_example\"} 1767600000\n"
        );
    }
}
