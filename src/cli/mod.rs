//! What was typed. Nothing is checked here beyond what a single word can show; meaning is made in [`crate::settings`].
//!
//! [`list`] has the commands about a list, [`probing`] the flags of all that ask somebody; the small commands are here.

mod list;
mod probing;

pub use list::{ListArgs, PlanArgs, ReportArgs, VerifyArgs};
pub use probing::ProbeArgs;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::duration;
use crate::policy::Pace;
use crate::simulate::ShippedMix;

/// Bulk email list verifier: tells whose fault a refusal is, and never sends mail.
#[derive(Debug, Parser)]
#[command(name = "listproof", version, about, max_term_width = 110, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Verify a list: every row gets a verdict with its evidence, and a cleaned list is written.
    Verify(VerifyArgs),
    /// Tell what a run would do: questions, connections and time per operator, without asking a mail server.
    Plan(PlanArgs),
    /// Verify one or a few addresses and show what was said.
    Check(CheckArgs),
    /// Write the files of a list again from what is known, asking nobody; replies are read by the rules of today.
    Report(ReportArgs),
    /// Look after what is kept of earlier runs.
    #[command(subcommand)]
    State(StateCommand),
    /// Tell what a mail server's reply, a log line or a bounce message means, and what to do.
    Explain(ExplainArgs),
    /// Look at the policy data: what is loaded, and which rule wins on a reply.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Serve a scripted world on loopback sockets, for trying and testing.
    World(WorldArgs),
    /// Run the real scheduler in a generated world under a virtual clock, and compare it with what is possible.
    Simulate(SimulateArgs),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

/// `listproof state`.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Tell what is in it.
    Stats {
        /// Where the facts are.
        #[command(flatten)]
        kept: StateFileArg,
    },
    /// Delete what is old.
    Prune {
        /// What is older than this.
        #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
        older_than: Duration,
        /// Where the facts are.
        #[command(flatten)]
        kept: StateFileArg,
    },
    /// Delete everything that is known about an address.
    Forget {
        /// Which.
        address: String,
        /// Where the facts are.
        #[command(flatten)]
        kept: StateFileArg,
    },
    /// Print everything that is known about an address, as JSON.
    Export {
        /// Which.
        address: String,
        /// Where the facts are.
        #[command(flatten)]
        kept: StateFileArg,
    },
}

/// Where facts were kept.
#[derive(Debug, Args)]
pub struct StateFileArg {
    /// The file [default: the one that runs on the Internet use].
    #[arg(long, env = "LISTPROOF_STATE", value_name = "FILE")]
    pub state: Option<PathBuf>,
}

/// `listproof check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Addresses; without any they are read from stdin, one per line.
    pub addresses: Vec<String>,
    /// One JSON object per address.
    #[arg(long, conflicts_with_all = ["jsonl", "trace"])]
    pub json: bool,
    /// Stdin holds one JSON string, or object with `email`, per line; one object per line out, in order.
    #[arg(long, conflicts_with_all = ["addresses", "trace"])]
    pub jsonl: bool,
    /// Show the dialogue with each server.
    #[arg(long)]
    pub trace: bool,
    /// How to probe.
    #[command(flatten)]
    pub probing: ProbeArgs,
    /// What to tell.
    #[command(flatten)]
    pub telling: OutputArgs,
}

/// `listproof explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A reply in quotes, or a file with replies, log lines, a bounce or a mailbox of them; `-` or nothing is stdin.
    pub text: Option<String>,
    /// Stdin holds one object with `reply`, and perhaps `stage` and `mx`, per line; one object per line out, in order.
    #[arg(long)]
    pub jsonl: bool,
    /// Your own policy files: they add to the shipped ones or replace entries.
    #[arg(long, env = "LISTPROOF_POLICY", value_name = "DIR")]
    pub policy: Option<PathBuf>,
}

/// `listproof policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Check your own files, and show what is loaded.
    Check {
        /// The folder with your files.
        folder: Option<PathBuf>,
    },
    /// Show which rule wins on a reply, and which others hold.
    Show {
        /// The reply, in quotes.
        reply: String,
        /// The step that it answered: connect, helo, starttls, mail, rcpt, data or eod.
        #[arg(long, default_value = "rcpt")]
        stage: String,
        /// The exchanger that said it.
        #[arg(long, value_name = "HOST")]
        mx: Option<String>,
        /// The folder with your files.
        #[arg(long, env = "LISTPROOF_POLICY", value_name = "DIR")]
        policy: Option<PathBuf>,
    },
}

/// `listproof world`.
#[derive(Debug, Args)]
pub struct WorldArgs {
    /// The world's file.
    pub file: PathBuf,
    /// Where its name server listens.
    #[arg(long, value_name = "ADDR:PORT")]
    pub dns: std::net::SocketAddr,
    /// The port on which each of its hosts listens, on an address 127.x.y.z of its own.
    #[arg(long, value_name = "N")]
    pub smtp_port: u16,
    /// One line per session and per query goes to this file.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

/// `listproof simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Rows of the list.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub rows: u32,
    /// What the list is made of.
    #[arg(long, value_enum, default_value_t = ShippedMix::B2b)]
    pub mix: ShippedMix,
    /// Source addresses.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub egress: u16,
    /// How hard to press.
    #[arg(long, value_enum, default_value_t = Pace::Normal)]
    pub pace: Pace,
    /// The same seed makes the same list.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// How long greylisting and other passing trouble is waited for.
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = duration::parse)]
    pub max_wait: Duration,
    /// One JSON object with all figures.
    #[arg(long)]
    pub json: bool,
    /// The world and one line per session go to this file, as JSON lines.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

/// What to tell.
#[derive(Clone, Debug, Args, Default)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Errors only.
    #[arg(short, long)]
    pub quiet: bool,
    /// More on stderr; twice for all.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// The form of the log on stderr.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// No colour (also: `NO_COLOR`).
    #[arg(long)]
    pub no_color: bool,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Command {
    /// The form of its log.
    pub fn log_format(&self) -> LogFormat {
        match self {
            Command::Verify(typed) => typed.telling.log_format,
            Command::Check(typed) => typed.telling.log_format,
            _ => LogFormat::Text,
        }
    }
}
