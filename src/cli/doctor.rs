//! `doctor`: what receivers see of the sender.

use std::net::{IpAddr, SocketAddr};

use clap::{Args, Subcommand};
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};

use super::print::print;
use listproof::doctor::{self, CheckedSender, SpfRequest};
use listproof::{Error, Exit};

/// `listproof doctor`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct DoctorArgs {
    /// One question of its own.
    #[command(subcommand)]
    command: Option<DoctorCommand>,
    /// The address that receivers see.
    #[arg(long, value_name = "ADDR")]
    source_ip: Option<IpAddr>,
    /// The HELO name.
    #[arg(long, value_name = "NAME")]
    helo: Option<String>,
    /// The envelope sender.
    #[arg(long, value_name = "ADDR")]
    mail_from: Option<String>,
    /// The address in the From line, if it is another one.
    #[arg(long, value_name = "ADDR")]
    from: Option<String>,
    /// The selector of a DKIM key; may be repeated.
    #[arg(long, value_name = "NAME")]
    selector: Vec<String>,
    /// Name servers to ask instead of those of this machine.
    #[arg(long, value_name = "ADDR:PORT")]
    dns: Vec<SocketAddr>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
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
    let sender = match args.command {
        Some(DoctorCommand::Spf(args)) => return spf(&args),
        None => CheckedSender {
            ip: args.source_ip,
            helo: args.helo,
            mail_from: args.mail_from,
            from: args.from,
            selectors: args.selector,
        },
    };
    let list = runtime()?.block_on(doctor::check_sender(&sender, &args.dns))?;
    print(&if args.json { json(&list)? } else { list.to_string() })?;
    Ok(if list.has_failed() { Exit::Blocked } else { Exit::Finished })
}

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
