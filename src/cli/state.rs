//! `state`: what is kept of earlier runs, shown, pruned, forgotten and exported. Also the flag that names its file.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};

use super::print::{self, print};
use super::process;
use listproof::settings::parse_duration;
use listproof::state::{HostAttempt, Namespace, PruneCounts, State, backups, default_file};
use listproof::{Address, Error, Exit, report};

/// `listproof state`.
#[derive(Debug, Subcommand)]
pub(super) enum StateCommand {
    /// Show how much the state holds.
    Stats {
        #[command(flatten)]
        file: StateFileArg,
    },
    /// Delete old facts.
    Prune {
        /// Delete everything older than this, e.g. 180d.
        #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
        older_than: Duration,
        #[command(flatten)]
        file: StateFileArg,
    },
    /// Delete everything that is known about an address.
    Forget {
        /// The address to delete.
        address: String,
        #[command(flatten)]
        file: StateFileArg,
    },
    /// Print what was probed at a host, when, and with which reply, as CSV: for a postmaster who asks.
    #[command(name = "ledger")]
    AtHost {
        /// The MX host, or the domain of several.
        host: String,
        /// From this day on, or this time in UTC (`2026-12-01T10:00:00Z`).
        #[arg(long, value_name = "TIME", value_parser = first_second)]
        from: Option<String>,
        /// To this day or time, included.
        #[arg(long, value_name = "TIME", value_parser = last_second)]
        to: Option<String>,
        #[command(flatten)]
        file: StateFileArg,
    },
    /// Print everything that is known about an address, as JSON.
    Export {
        /// The address to export.
        address: String,
        #[command(flatten)]
        file: StateFileArg,
    },
}

/// The file of the state.
#[derive(Debug, Args)]
pub(super) struct StateFileArg {
    /// The state file [default: that of runs on the Internet].
    #[arg(long, env = "LISTPROOF_STATE", hide_env_values = true, value_name = "FILE")]
    pub(super) state: Option<PathBuf>,
}

pub(super) fn run(command: &StateCommand) -> Result<Exit, Error> {
    let (StateCommand::Stats { file }
    | StateCommand::Prune { file, .. }
    | StateCommand::Forget { file, .. }
    | StateCommand::AtHost { file, .. }
    | StateCommand::Export { file, .. }) = command;
    let file = file.state.clone().map_or_else(|| default_file(&Namespace::internet()), Ok)?;
    maintain(command, &file).map_err(|error| error.in_state(Some(&file)))
}

fn maintain(command: &StateCommand, file: &Path) -> Result<Exit, Error> {
    let now = process::now();
    match command {
        StateCommand::Stats { .. } => print(&report::text(file, &State::read_only(file, now)?.stats()?))?,
        StateCommand::Prune { older_than, .. } => {
            let before = now.checked_sub(*older_than).unwrap_or(SystemTime::UNIX_EPOCH);
            let PruneCounts { addresses, replies, domains } =
                State::of_owner(file, now)?.prune(before, now)?;
            print(&format!("deleted {addresses} addresses, {replies} replies and {domains} domains\n"))?;
        }
        StateCommand::Forget { address, .. } => {
            let was_known = State::of_owner(file, now)?.forget(&parse(address)?)?;
            print(if was_known { "forgotten\n" } else { "nothing was known\n" })?;
            // Where the folder cannot be read, no backup is named.
            for backup in backups(file).unwrap_or_default() {
                print::to_stderr(&format!(
                    "note: `{}` is a backup from before a migration and may hold the address; delete it\n",
                    backup.display()
                ));
            }
        }
        StateCommand::AtHost { host, from, to, .. } => {
            let (from, to) = (from.as_deref().unwrap_or(""), to.as_deref().unwrap_or("9999"));
            print(&csv_of(&State::read_only(file, now)?.attempts_at(host, from, to)?)?)?;
        }
        StateCommand::Export { address, .. } => {
            let known = State::read_only(file, now)?.export(&parse(address)?)?;
            print(&format!("{:#}\n", known.unwrap_or_default()))?;
        }
    }
    Ok(Exit::Finished)
}

/// The probes as CSV.
fn csv_of(attempts: &[HostAttempt]) -> Result<String, Error> {
    let unwritable = |fault: std::io::Error| Error::System { what: "write CSV", source: fault };
    let mut csv = csv::Writer::from_writer(Vec::new());
    let header = ["at", "recipient", "kind", "mx_host", "egress", "stage", "code", "reply"];
    csv.write_record(header).map_err(|fault| unwritable(fault.into()))?;
    for HostAttempt { at, recipient, kind, mx_host, egress, stage, code, text } in attempts {
        let code = code.to_string();
        let row: [&str; 8] = [at, recipient, kind, mx_host, egress, stage, &code, text];
        csv.write_record(row).map_err(|fault| unwritable(fault.into()))?;
    }
    let bytes = csv.into_inner().map_err(|fault| unwritable(std::io::Error::other(fault.to_string())))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The first second of a day or time, as the state writes it.
fn first_second(text: &str) -> Result<String, String> {
    second(text, "00:00:00")
}

/// The last second of a day or time.
fn last_second(text: &str) -> Result<String, String> {
    second(text, "23:59:59")
}

fn second(text: &str, of_day: &str) -> Result<String, String> {
    let whole = if text.len() == "2026-12-01".len() { format!("{text}T{of_day}Z") } else { text.to_owned() };
    let time = humantime::parse_rfc3339_weak(&whole).map_err(|fault| format!("{fault}; write 2026-12-01"))?;
    let written = humantime::format_rfc3339_seconds(time).to_string();
    Ok(written.trim_end_matches('Z').replace('T', " "))
}

fn parse(address: &str) -> Result<Address, Error> {
    Address::parse(address).map_err(|fault| Error::Usage {
        message: format!("`{address}` is not an address: {}", fault.kind.word()),
        hint: "write it as in the column `email_normalized` of the results".to_owned(),
    })
}
