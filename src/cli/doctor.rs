//! `doctor`: what receivers see of the sender.

use std::io::{self, IsTerminal};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};

use super::log::{self, LogArgs};
use super::print::print;
use super::probe_args::ProbeArgs;
use super::read_args::ReadArgs;
use listproof::doctor::{self, CardStyle, CheckOptions, SpfRequest};
use listproof::{Error, Exit, ListJob, Verifier};

/// `listproof doctor`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct DoctorArgs {
    /// One question of its own.
    #[command(subcommand)]
    command: Option<DoctorCommand>,
    /// The list that is to be verified: port 25 is tried where its mail goes, and the run over it is planned.
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// The address in the From line, if it is another one.
    #[arg(long, value_name = "ADDR")]
    from: Option<String>,
    /// The selector of a DKIM key; may be repeated.
    #[arg(long, value_name = "NAME")]
    selector: Vec<String>,
    /// Make this check alone, by its id, for example `dns.ptr` or `blocklist`.
    #[arg(long, value_name = "ID")]
    again: Option<String>,
    /// Also ask the blocklists whose terms exclude some senders: read their terms first.
    #[arg(long)]
    all_blocklists: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: ReadArgs,
    #[command(flatten)]
    probing: ProbeArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// The questions of `listproof doctor`.
#[derive(Debug, Subcommand)]
enum DoctorCommand {
    /// Evaluate SPF for a client: may it send mail for this domain?
    Spf(SpfArgs),
}

/// `listproof doctor spf`.
#[derive(Debug, Args)]
struct SpfArgs {
    /// The IP address of the client that sends.
    #[arg(long, value_name = "ADDR")]
    ip: IpAddr,
    /// The name that the client gives in HELO or EHLO. It is checked if there is no sender.
    #[arg(long, value_name = "NAME")]
    helo: String,
    /// The envelope sender.
    #[arg(long, value_name = "ADDR")]
    mail_from: Option<String>,
    /// Name servers to ask instead of those of this machine.
    #[arg(long, value_name = "ADDR:PORT")]
    dns: Vec<SocketAddr>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: DoctorArgs) -> Result<Exit, Error> {
    if let Some(DoctorCommand::Spf(args)) = args.command {
        return spf(&args);
    }
    let style = card_style(args.log.no_color);
    log::start(&args.log);
    let options = CheckOptions {
        from: args.from,
        selectors: args.selector,
        only: args.again,
        all_blocklists: args.all_blocklists,
    };
    let verifier = Verifier::new(args.probing.check_settings()?)?;
    let list = match args.list {
        None => None,
        Some(file) => Some(ListJob { reading: args.reading.into(), ..ListJob::new(file) }.open()?),
    };
    let list = verifier.block_on(verifier.check_sender(list.as_ref(), &options))?;
    print(&if args.json { json(&list)? } else { list.card(style) })?;
    Ok(if list.has_failed() { Exit::Blocked } else { Exit::Finished })
}

/// As wide as the terminal says, and with colors where a person reads it.
fn card_style(no_color: bool) -> CardStyle {
    let has = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let default = CardStyle::default();
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    CardStyle {
        width: columns.unwrap_or(default.width).min(WIDEST),
        colored: !no_color && !has("NO_COLOR") && io::stdout().is_terminal(),
    }
}

/// Longer lines are hard to read.
const WIDEST: usize = 120;

fn runtime() -> Result<Runtime, Error> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|source| Error::System { what: "start the runtime", source })
}

fn spf(args: &SpfArgs) -> Result<Exit, Error> {
    let request = SpfRequest::new(args.ip, &args.helo, args.mail_from.as_deref());
    let report = runtime()?.block_on(doctor::check_spf(&request, &args.dns))?;
    print(&if args.json { json(&report)? } else { report.to_string() })?;
    Ok(Exit::Finished)
}

fn json(report: &impl Serialize) -> Result<String, Error> {
    let line = serde_json::to_string(report);
    let line = line.map_err(|fault| Error::System { what: "write JSON", source: fault.into() })?;
    Ok(format!("{line}\n"))
}
