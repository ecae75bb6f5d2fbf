//! Runs the compiled program over a scenario and reads its results.

use std::path::Path;
use std::process::Command;

use crate::scenario::Scenario;
use crate::support::{self, ResultRow};

/// The longest time for one scenario, as an argument of `timeout`.
const TIMEOUT: &str = "240s";

/// One row of the results.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) address: String,
    pub(crate) verdict: String,
    pub(crate) reason: String,
}

/// Runs `verify` over the scenario's addresses in `folder`. Returns the rows of the results, in order.
pub(crate) fn verify(scenario: &Scenario, folder: &Path) -> Result<Vec<Judged>, String> {
    let list = folder.join("list.csv");
    let out = folder.join("out");
    let mut text = String::from("email\n");
    for row in &scenario.rows {
        text.push_str(&row.address);
        text.push('\n');
    }
    std::fs::write(&list, text).map_err(|error| format!("can't write `{}`: {error}", list.display()))?;

    let run = Command::new("timeout")
        .args(["--kill-after=5s", TIMEOUT, env!("CARGO_BIN_EXE_listproof"), "verify"])
        .arg(&list)
        .arg("-o")
        .arg(&out)
        .args(["--helo", &scenario.helo])
        .args(["--mail-from", &format!("check@{}", scenario.sender_domain)])
        .args(["--max-wait", &scenario.max_wait])
        .args(&scenario.flags)
        .current_dir(folder)
        .env("HOME", folder)
        .env("XDG_STATE_HOME", folder)
        .env("XDG_CONFIG_HOME", folder)
        .output()
        .map_err(|error| format!("can't run `timeout`: {error}"))?;
    let errors = String::from_utf8_lossy(&run.stderr);
    if run.status.code() != Some(scenario.exit) {
        let results = std::fs::read_to_string(out.join("list.results.csv")).unwrap_or_default();
        return Err(format!(
            "`verify` ended with {}, with these errors:
{errors}
and these results:
{results}",
            run.status
        ));
    }
    read(&out.join("list.results.csv")).map_err(|why| {
        format!(
            "{why}; errors of `verify`:
{errors}"
        )
    })
}

fn read(results: &Path) -> Result<Vec<Judged>, String> {
    let judged = |row: &ResultRow| {
        let [address, verdict, reason] = ["email", "verdict", "reason"].map(|name| row.cell(name).to_owned());
        Judged { address, verdict, reason }
    };
    Ok(support::results(results)?.iter().map(judged).collect())
}
