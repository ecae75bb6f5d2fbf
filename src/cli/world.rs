//! `world` and `simulate`: a scripted world on sockets, and the scheduler in a generated one.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use tokio::runtime::Builder;

use super::print::{self, print};
use super::{probe_args, process};
use listproof::policy::Pace;
use listproof::settings::parse_duration;
use listproof::simulate::{self, GeneratedList, MeasuredCost, ShippedMix, SimulationSetup};
use listproof::world::{World, WorldServer};
use listproof::{Error, Exit};

/// `listproof world`.
#[derive(Debug, Args)]
pub(super) struct WorldArgs {
    /// The file of the world.
    file: PathBuf,
    /// Where its name server listens.
    #[arg(long, value_name = "ADDR:PORT")]
    dns: SocketAddr,
    /// The port at which each of its hosts listens, on an address 127.x.y.z of its own.
    #[arg(long, value_name = "N")]
    smtp_port: u16,
    /// Write one line per session and per query to this file.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

/// `listproof simulate`.
#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// Rows of the list.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    rows: u32,
    /// What the list is made of.
    #[arg(long, value_name = "MIX", value_parser = mix(), default_value = "b2b")]
    mix: ShippedMix,
    /// Source addresses.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    egress: u16,
    /// How fast to probe.
    #[arg(long, value_name = "PACE", value_parser = probe_args::pace(), default_value = "normal")]
    pace: Pace,
    /// The same seed makes the same list.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// How long to wait and retry when a server says "try later" (greylisting).
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = parse_duration)]
    max_wait: Duration,
    /// Probe postmaster where rejections stand alone, too.
    #[arg(long)]
    confirm: bool,
    /// Print one JSON object with all figures.
    #[arg(long)]
    json: bool,
    /// Write the world and one line per session to this file, as JSON lines.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

pub(super) fn serve(args: &WorldArgs) -> Result<Exit, Error> {
    let world = World::open(&args.file)?;
    if let Some(path) = &args.log {
        let log = OpenOptions::new().create(true).append(true).open(path);
        world.log_to(Box::new(log.map_err(unlogged)?));
    }
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Error::System { what: "start the runtime", source })?;
    runtime.block_on(async {
        let bound = WorldServer::bind(world, args.dns, args.smtp_port).await;
        let server = bound?;
        let (dns, port) = (server.dns(), server.smtp_port());
        let cancel = process::cancel_on_signals()?;
        print::print_note(&format!(
            "serving until interrupted; probe it with\n  listproof verify LIST --dns {dns} --smtp-port {port} \
             --allow-mx-net 127.0.0.0/8 --helo NAME --mail-from ADDR\n"
        ))?;
        server.run(cancel.canceled()).await;
        Ok(Exit::Finished)
    })
}

pub(super) fn simulate(args: &SimulateArgs) -> Result<Exit, Error> {
    let begun = process::stopwatch();
    let list = Arc::new(GeneratedList::generate(&args.mix.mix()?, args.rows, args.seed));
    let setup = SimulationSetup {
        egresses: args.egress.into(),
        pace: args.pace,
        max_wait: args.max_wait,
        confirm: args.confirm,
        sockets: process::raise_connection_limit(),
        seed: args.seed,
    };
    let log =
        args.log.as_ref().map(|path| OpenOptions::new().create(true).write(true).truncate(true).open(path));
    let mut log = log.transpose().map_err(unlogged)?.map(BufWriter::new);
    let simulated = simulate::run(&list, &setup, log.as_mut().map(|log| log as &mut dyn Write));
    let outcome = simulated.map_err(unlogged)?;
    log.map_or(Ok(()), |mut log| log.flush()).map_err(unlogged)?;
    let cost = MeasuredCost { wall: begun.elapsed(), cpu: process::cpu() };
    print(&if args.json { format!("{}\n", outcome.json(&list, cost)) } else { outcome.text(&list, cost) })?;
    Ok(Exit::Finished)
}

fn unlogged(source: io::Error) -> Error {
    Error::Unwritable {
        what: "the log".to_owned(),
        hint: "make room, or name another file with `--log`",
        source,
    }
}

fn mix() -> impl TypedValueParser<Value = ShippedMix> {
    PossibleValuesParser::from(ShippedMix::ALL.map(|mix| {
        PossibleValue::new(mix.word()).help(match mix {
            ShippedMix::B2b => "Business contacts",
            ShippedMix::B2c => "Consumers",
        })
    }))
    .try_map(|word| ShippedMix::ALL.into_iter().find(|mix| mix.word() == word).ok_or("not a mix"))
}
