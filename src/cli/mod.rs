//! What was typed. Nothing is checked here beyond what a single word can show; meaning is made in [`crate::settings`].

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;

use crate::list::{ColumnSet, Dialect};
use crate::policy::Pace;
use crate::settings::Deadline;
use crate::simulate::mix::Shipped;

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
    Verify(Verify),
    /// Tell what a run would do: questions, connections and time per operator, without asking a mail server.
    Plan(Plan),
    /// Verify one or a few addresses and show what was said.
    Check(Check),
    /// Write the files of a list again from what is known, asking nobody; replies are read by the rules of today.
    Report(Report),
    /// Look after what is kept of earlier runs.
    #[command(subcommand)]
    State(State),
    /// Tell what a mail server's reply, a log line or a bounce message means, and what to do.
    Explain(Explain),
    /// Look at the policy data: what is loaded, and which rule wins on a reply.
    #[command(subcommand)]
    Policy(Policy),
    /// Serve a scripted world on loopback sockets, for trying and testing.
    World(World),
    /// Run the real scheduler in a generated world under a virtual clock, and compare it with what is possible.
    Simulate(Simulate),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

/// `listproof verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The list and the outputs.
    #[command(flatten)]
    pub listing: Listing,
    /// Write just the rows whose verdict or reason is not what it was when the row was told of last, in any list.
    #[arg(long, conflicts_with_all = ["offline", "no_state"])]
    pub changed_only: bool,
    /// The last line of stdout is the summary as one JSON object; of stderr with `-o -`.
    #[arg(long)]
    pub json: bool,
    /// Write the run's numbers for Prometheus: a file for `node_exporter`'s textfile collector, readable by everybody.
    #[arg(long, value_name = "FILE.prom")]
    pub metrics_file: Option<PathBuf>,
    /// How to probe.
    #[command(flatten)]
    pub probing: Probing,
    /// What to tell.
    #[command(flatten)]
    pub telling: Telling,
}

/// A list, and what is to be written about it.
#[derive(Debug, Args)]
pub struct Listing {
    /// The list: CSV, TSV, semicolons, NDJSON or one address per line, plain, gz or zst, or XLSX; `-` is stdin.
    pub input: PathBuf,
    /// Folder for the results, or a NAME.csv (or `-`) for the results alone [default: ./NAME.listproof/].
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// The address column, by name or number (from 1) [default: found by its name, else by its content].
    #[arg(long, value_name = "NAME|N")]
    pub column: Option<String>,
    /// How many of our columns are written.
    #[arg(long, value_enum, default_value_t = ColumnSet::Standard)]
    pub columns: ColumnSet,
    /// Write the columns and words of another service: emailable, kickbox, millionverifier, neverbounce, verifalia,
    /// zerobounce.
    #[arg(long, value_name = "NAME", conflicts_with = "columns", value_parser = dialect)]
    pub dialect: Option<&'static Dialect>,
    /// Put before the names of our columns.
    #[arg(long, value_name = "PREFIX")]
    pub column_prefix: Option<String>,
    /// Several addresses in one cell become rows of their own.
    #[arg(long)]
    pub split_cells: bool,
    /// Verify what was meant where the typed address can't work: no address, a known trap, a top level that does not
    /// exist. The column `email_original` keeps what was typed.
    #[arg(long)]
    pub apply_suggestions: bool,
    /// Exit with 3 when more rows than this stay unknown, as a number or a share.
    #[arg(long, value_name = "N|N%")]
    pub max_unknown: Option<String>,
    /// Exit with 4 when this holds, for example `undeliverable>5%`; may be given again.
    #[arg(long, value_name = "VERDICT>N%")]
    pub fail_if: Vec<String>,
}

/// `listproof report`.
#[derive(Debug, Args)]
pub struct Report {
    /// The list and the outputs.
    #[command(flatten)]
    pub listing: Listing,
    /// Also write what the rules of today say into the state.
    #[arg(long)]
    pub rejudge: bool,
    /// Where the facts are.
    #[command(flatten)]
    pub kept: Kept,
    /// Role addresses (info@, sales@) are risky instead of just flagged.
    #[arg(long)]
    pub risky_roles: bool,
    /// Your own policy files: they add to the shipped ones or replace entries.
    #[arg(long, env = "LISTPROOF_POLICY", value_name = "DIR")]
    pub policy: Option<PathBuf>,
    /// What to tell.
    #[command(flatten)]
    pub telling: Telling,
}

/// `listproof state`.
#[derive(Debug, Subcommand)]
pub enum State {
    /// Tell what is in it.
    Stats {
        /// Where the facts are.
        #[command(flatten)]
        kept: Kept,
    },
    /// Delete what is old.
    Prune {
        /// What is older than this.
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        older_than: Duration,
        /// Where the facts are.
        #[command(flatten)]
        kept: Kept,
    },
    /// Delete everything that is known about an address.
    Forget {
        /// Which.
        address: String,
        /// Where the facts are.
        #[command(flatten)]
        kept: Kept,
    },
    /// Print everything that is known about an address, as JSON.
    Export {
        /// Which.
        address: String,
        /// Where the facts are.
        #[command(flatten)]
        kept: Kept,
    },
}

/// Where facts were kept.
#[derive(Debug, Args)]
pub struct Kept {
    /// The file [default: the one that runs on the Internet use].
    #[arg(long, env = "LISTPROOF_STATE", value_name = "FILE")]
    pub state: Option<PathBuf>,
}

/// `listproof plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// The list, as for `verify`.
    pub input: PathBuf,
    /// The address column, by name or number (from 1) [default: found by its name, else by its content].
    #[arg(long, value_name = "NAME|N")]
    pub column: Option<String>,
    /// Several addresses in one cell become rows of their own.
    #[arg(long)]
    pub split_cells: bool,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
    /// How the run would probe. With `--offline` the DNS is not asked either, and only big domains have an operator.
    #[command(flatten)]
    pub probing: Probing,
    /// What to tell.
    #[command(flatten)]
    pub telling: Telling,
}

/// `listproof check`.
#[derive(Debug, Args)]
pub struct Check {
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
    pub probing: Probing,
    /// What to tell.
    #[command(flatten)]
    pub telling: Telling,
}

/// `listproof explain`.
#[derive(Debug, Args)]
pub struct Explain {
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
pub enum Policy {
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
pub struct World {
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
pub struct Simulate {
    /// Rows of the list.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub rows: u32,
    /// What the list is made of.
    #[arg(long, value_enum, default_value_t = Shipped::B2b)]
    pub mix: Shipped,
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
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = humantime::parse_duration)]
    pub max_wait: Duration,
    /// One JSON object with all figures.
    #[arg(long)]
    pub json: bool,
    /// The world and one line per session go to this file, as JSON lines.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

/// How to probe. Every value may also come from the environment or a settings file.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag as it was typed")]
#[derive(Clone, Debug, Args, Default)]
#[command(next_help_heading = "Probing")]
pub struct Probing {
    /// The name to say in EHLO: your host's own, with forward and reverse DNS; one for all, or one for each way out.
    #[arg(long, env = "LISTPROOF_HELO", value_name = "NAME", value_delimiter = ',')]
    pub helo: Vec<String>,
    /// The envelope sender: an address of your own domain; one for all, or one for each way out.
    #[arg(long, env = "LISTPROOF_MAIL_FROM", value_name = "ADDR", value_delimiter = ',')]
    pub mail_from: Vec<String>,
    /// No network at all: syntax, typos, lists and duplicates.
    #[arg(long)]
    pub offline: bool,
    /// DNS, but no mail servers.
    #[arg(long, conflicts_with = "offline")]
    pub dns_only: bool,
    /// Ask a scripted world instead of the Internet, in virtual time.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dns", "proxy"])]
    pub world: Option<PathBuf>,
    /// Ask this name server; may be given again [default: the system's].
    #[arg(long, env = "LISTPROOF_DNS", value_name = "ADDR[:PORT]", value_delimiter = ',')]
    pub dns: Vec<String>,
    /// The port of the mail servers [default: 25].
    #[arg(long, env = "LISTPROOF_SMTP_PORT", value_name = "N")]
    pub smtp_port: Option<u16>,
    /// Connect from this address of this machine; given again, each is a way out with limits of its own.
    #[arg(long, env = "LISTPROOF_SOURCE_IP", value_name = "ADDR", value_delimiter = ',')]
    pub source_ip: Vec<std::net::IpAddr>,
    /// Connect through this proxy: `socks5://[USER:PASSWORD@]HOST:PORT`; may be given again.
    #[arg(long, env = "LISTPROOF_PROXY", value_name = "URL", value_delimiter = ',')]
    pub proxy: Vec<String>,
    /// Mail servers in this range may be connected to although it is not public; may be given again.
    #[arg(long, env = "LISTPROOF_ALLOW_MX_NET", value_name = "CIDR", value_delimiter = ',')]
    pub allow_mx_net: Vec<IpNet>,
    /// How hard to press [default: normal].
    #[arg(long, env = "LISTPROOF_PACE", value_enum)]
    pub pace: Option<Pace>,
    /// How long greylisting and other passing trouble is waited for [default: 30m for verify, 0 for check].
    #[arg(long, env = "LISTPROOF_MAX_WAIT", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub max_wait: Option<Duration>,
    /// Stop starting questions after this time, and write what is known.
    #[arg(long, env = "LISTPROOF_MAX_DURATION", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub max_duration: Option<Duration>,
    /// The same at this time of day.
    #[arg(long, env = "LISTPROOF_DEADLINE", value_name = "HH:MM")]
    pub deadline: Option<Deadline>,
    /// Where facts are kept, so that an interrupted run goes on and nothing is asked twice [default: a file in
    /// `~/.local/state/listproof/`; with `--world` none].
    #[arg(long, env = "LISTPROOF_STATE", value_name = "FILE", conflicts_with = "no_state")]
    pub state: Option<PathBuf>,
    /// Keep nothing, and use nothing that was kept.
    #[arg(long)]
    pub no_state: bool,
    /// Start over: no earlier run goes on, and nothing that is known is used.
    #[arg(long)]
    pub fresh: bool,
    /// Ask again about everything older than this, whatever it is.
    #[arg(long, env = "LISTPROOF_MAX_AGE", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub max_age: Option<Duration>,
    /// Wait for another run that uses the state.
    #[arg(long)]
    pub wait_lock: bool,
    /// Role addresses (info@, sales@) are risky instead of just flagged.
    #[arg(long)]
    pub risky_roles: bool,
    /// Your own policy files: they add to the shipped ones or replace entries.
    #[arg(long, env = "LISTPROOF_POLICY", value_name = "DIR")]
    pub policy: Option<PathBuf>,
    /// A settings file [default: ./listproof.toml, then the user's].
    #[arg(long, env = "LISTPROOF_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What to tell.
#[derive(Clone, Debug, Args, Default)]
#[command(next_help_heading = "Output")]
pub struct Telling {
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

fn dialect(name: &str) -> Result<&'static Dialect, String> {
    Dialect::named(name).ok_or_else(|| {
        let names: Vec<&str> = Dialect::all().iter().map(Dialect::name).collect();
        format!("there is {}", names.join(", "))
    })
}
