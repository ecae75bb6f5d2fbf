//! `state`: what is kept of earlier runs, shown, pruned, forgotten and exported. Also the flag that names its file.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};

use super::print::{self, print};
use super::process;
use listproof::settings::parse_duration;
use listproof::state::{Namespace, PruneCounts, State, backups, default_file};
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
        StateCommand::Export { address, .. } => {
            let known = State::read_only(file, now)?.export(&parse(address)?)?;
            print(&format!("{:#}\n", known.unwrap_or_default()))?;
        }
    }
    Ok(Exit::Finished)
}

fn parse(address: &str) -> Result<Address, Error> {
    Address::parse(address).map_err(|fault| Error::Usage {
        message: format!("`{address}` is not an address: {}", fault.kind.word()),
        hint: "write it as in the column `email_normalized` of the results".to_owned(),
    })
}
