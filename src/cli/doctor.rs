//! `doctor`: what receivers see of the sender.

use std::net::{IpAddr, SocketAddr};

use clap::{Args, Subcommand};
use tokio::runtime::Builder;

use super::print::print;
use listproof::doctor::{self, SpfReport, SpfRequest};
use listproof::{Error, Exit};

/// `listproof doctor`.
#[derive(Debug, Subcommand)]
pub(super) enum DoctorCommand {
    /// Evaluate SPF for a client: may it send mail for this domain?
    Spf(SpfArgs),
}

/// `listproof doctor spf`.
#[derive(Debug, Args)]
pub(super) struct SpfArgs {
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

pub(super) fn run(command: &DoctorCommand) -> Result<Exit, Error> {
    match command {
        DoctorCommand::Spf(args) => spf(args),
    }
}

fn spf(args: &SpfArgs) -> Result<Exit, Error> {
    let request = SpfRequest::new(args.ip, &args.helo, args.mail_from.as_deref());
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Error::System { what: "start the runtime", source })?;
    let report = runtime.block_on(doctor::check_spf(&request, &args.dns))?;
    print(&if args.json { json(&report)? } else { report.to_string() })?;
    Ok(Exit::Finished)
}

fn json(report: &SpfReport) -> Result<String, Error> {
    let line = serde_json::to_string(report);
    let line = line.map_err(|fault| Error::System { what: "write JSON", source: fault.into() })?;
    Ok(format!("{line}\n"))
}
