//! The command line: parse, log, run, and turn the outcome into an exit code.
//!
//! [`lists`] holds the jobs over a list, [`check`] the one about a few addresses, [`print`] alone prints; the small commands are
//! here.

#[path = "main/check.rs"]
mod check;
#[path = "main/lists.rs"]
mod lists;
#[path = "main/print.rs"]
mod print;

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use clap::{CommandFactory, Parser};
use clap_complete::Shell;
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::EnvFilter;

use listproof::address::Address;
use listproof::cli::{self, Cli, Command, ExplainArgs, LogFormat, OutputArgs, SimulateArgs, WorldArgs};
use listproof::error::{Error, Exit};
use listproof::explain::{ExplainError, Explainer};
use listproof::list::ListError;
use listproof::policy::{Policy, ReplyContext};
use listproof::report;
use listproof::run::{self, CancelToken, Clock};
use listproof::simulate::{self, GeneratedList, MeasuredCost, SimulationSetup};
use listproof::smtp::{Reply, Stage};
use listproof::state::{Namespace, PruneCounts, State, backups, default_file};
use listproof::world::WorldServer;
use print::print;

fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(typed) => typed.command,
        Err(told) => return ExitCode::from(usage(&told).code()),
    };
    let log_format = command.log_format();
    let exit = match command {
        Command::Verify(typed) => lists::verify(typed),
        Command::Plan(typed) => lists::plan(typed),
        Command::Check(typed) => check::check(&typed),
        Command::Report(typed) => lists::report(typed),
        Command::State(typed) => state(&typed),
        Command::Explain(typed) => explain(&typed),
        Command::Policy(typed) => policy(&typed),
        Command::World(typed) => world(&typed),
        Command::Simulate(typed) => simulate(&typed),
        Command::Completions { shell } => completions(shell),
        Command::Man => man(),
    };
    let exit = exit.unwrap_or_else(|error| failed(&error, log_format));
    ExitCode::from(exit.code())
}

/// Help that was asked for, or what was typed wrongly.
fn usage(told: &clap::Error) -> Exit {
    let printed = told.print().and_then(|()| io::stdout().flush());
    match print::stdout(printed) {
        _ if told.use_stderr() => Exit::Usage,
        Ok(()) => Exit::Finished,
        Err(error) => failed(&error, LogFormat::Text),
    }
}

/// Says what went wrong.
fn failed(error: &Error, log_format: LogFormat) -> Exit {
    if print::is_closed(error) {
        return Exit::Finished;
    }
    // What was typed, or a file's name, is repeated in it and may hold anything.
    let told: String = error.to_string().chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    if log_format == LogFormat::Json {
        let (exit_code, hint) = (error.exit().code(), error.hint());
        tracing::error!(event = "failed", exit_code, hint, "{told}");
        return error.exit();
    }
    print::tell(&format!("error: {told}\n"));
    if let Some(hint) = error.hint() {
        let indent = if hint.starts_with(' ') { "\n" } else { " " };
        print::tell(&format!("hint:{indent}{hint}\n"));
    }
    error.exit()
}

fn kept(typed: &cli::StateFileArg) -> Result<PathBuf, Error> {
    Ok(typed.state.clone().map_or_else(|| default_file(&Namespace::internet()), Ok)?)
}

fn state(typed: &cli::StateCommand) -> Result<Exit, Error> {
    let (cli::StateCommand::Stats { kept: file }
    | cli::StateCommand::Prune { kept: file, .. }
    | cli::StateCommand::Forget { kept: file, .. }
    | cli::StateCommand::Export { kept: file, .. }) = typed;
    let file = kept(file)?;
    look_after(typed, &file).map_err(|error| error.in_state(Some(&file)))
}

fn look_after(typed: &cli::StateCommand, file: &Path) -> Result<Exit, Error> {
    let now = Clock::system().now().wall;
    match typed {
        cli::StateCommand::Stats { .. } => {
            print(&report::text(file, &State::read_only(file, now)?.stats()?))?
        }
        cli::StateCommand::Prune { older_than, .. } => {
            let before = now.checked_sub(*older_than).unwrap_or(SystemTime::UNIX_EPOCH);
            let PruneCounts { addresses, replies, domains } =
                State::of_owner(file, now)?.prune(before, now)?;
            print(&format!("deleted {addresses} addresses, {replies} answers and {domains} domains\n"))?;
        }
        cli::StateCommand::Forget { address, .. } => {
            let was_known = State::of_owner(file, now)?.forget(&one_address(address)?)?;
            print(if was_known { "forgotten\n" } else { "nothing was known\n" })?;
            // Where the folder cannot be read, no backup is named.
            for backup in backups(file).unwrap_or_default() {
                print::tell(&format!(
                    "note: `{}` is a backup from before a migration and may hold the address; delete it\n",
                    backup.display()
                ));
            }
        }
        cli::StateCommand::Export { address, .. } => {
            let known = State::read_only(file, now)?.export(&one_address(address)?)?;
            print(&format!("{:#}\n", known.unwrap_or_default()))?;
        }
    }
    Ok(Exit::Finished)
}

fn one_address(text: &str) -> Result<Address, Error> {
    Address::parse(text).map_err(|fault| Error::Usage {
        message: format!("`{text}` is not an address: {}", fault.kind.word()),
        hint: "write it as the list's results have it, in `email_normalized`".to_owned(),
    })
}

fn explain(typed: &ExplainArgs) -> Result<Exit, Error> {
    let policy = Policy::of(typed.policy.as_deref())?;
    let provider_of = |host: &str| policy.providers().id_of(host);
    let explainer = Explainer { rules: policy.replies(), provider_of: &provider_of };
    let out = BufWriter::new(io::stdout().lock());
    let explain = |input: Box<dyn BufRead>| {
        if typed.jsonl { explainer.write_json_lines(input, out) } else { explainer.write_cards(input, out) }
    };
    let named = typed.text.as_deref().filter(|text| *text != "-");
    let done = match named {
        None => explain(Box::new(io::stdin().lock())),
        Some(text) => match File::open(text) {
            Ok(file) => explain(Box::new(BufReader::new(file))),
            Err(_) => explain(Box::new(io::Cursor::new(text.to_owned()))),
        },
    };
    match done {
        Ok(()) => Ok(Exit::Finished),
        Err(ExplainError::Read(source)) => {
            Err(ListError::Read { name: named.unwrap_or("stdin").to_owned(), source }.into())
        }
        Err(ExplainError::Write(source)) => print::stdout(Err(source)).map(|()| Exit::Finished),
    }
}

fn policy(typed: &cli::PolicyCommand) -> Result<Exit, Error> {
    match typed {
        cli::PolicyCommand::Check { folder } => {
            let policy = Policy::of(folder.as_deref())?;
            for rule in policy.replies().iter() {
                policy.replies().check(rule)?;
            }
            print(&policy.replies().loaded().to_string())?;
        }
        cli::PolicyCommand::Show { reply, stage, mx, policy } => {
            let policy = Policy::of(policy.as_deref())?;
            let wrong = |message: String, hint: &str| Error::Usage { message, hint: hint.to_owned() };
            let stage = Stage::from_word(stage).ok_or_else(|| {
                wrong(
                    format!("`{stage}` is not a step"),
                    "take connect, helo, starttls, mail, rcpt, data or eod",
                )
            })?;
            let reply = Reply::parse(reply.as_bytes())
                .map_err(|fault| wrong(fault.to_string(), "write the reply with its code, in quotes"))?;
            let provider = mx.as_deref().and_then(|host| policy.providers().id_of(host));
            print(&policy.replies().trial(&reply, &ReplyContext { stage, provider }).to_string())?;
        }
    }
    Ok(Exit::Finished)
}

fn world(typed: &WorldArgs) -> Result<Exit, Error> {
    let world = listproof::world::World::open(&typed.file)?;
    if let Some(path) = &typed.log {
        let log = OpenOptions::new().create(true).append(true).open(path);
        world.log_to(Box::new(log.map_err(unlogged)?));
    }
    runtime(false)?.block_on(async {
        let bound = WorldServer::bind(world, typed.dns, typed.smtp_port).await;
        let server = bound?;
        let (dns, port) = (server.dns(), server.smtp_port());
        let mut stop = CancelToken::on_signals()?;
        print::offer(&format!(
            "serving until interrupted; ask it with\n  listproof verify LIST --dns {dns} --smtp-port {port} \
             --allow-mx-net 127.0.0.0/8 --helo NAME --mail-from ADDR\n"
        ))?;
        server.run(stop.wait()).await;
        Ok(Exit::Finished)
    })
}

fn simulate(typed: &SimulateArgs) -> Result<Exit, Error> {
    let clock = Clock::system();
    let list = Arc::new(GeneratedList::generate(&typed.mix.mix()?, typed.rows, typed.seed));
    let setup = SimulationSetup {
        egresses: typed.egress.into(),
        pace: typed.pace,
        max_wait: typed.max_wait,
        sockets: run::available(),
        seed: typed.seed,
    };
    let log =
        typed.log.as_ref().map(|path| OpenOptions::new().create(true).write(true).truncate(true).open(path));
    let mut log = log.transpose().map_err(unlogged)?.map(BufWriter::new);
    let simulated = simulate::run(&list, &setup, log.as_mut().map(|log| log as &mut dyn Write));
    let outcome = simulated.map_err(unlogged)?;
    log.map_or(Ok(()), |mut log| log.flush()).map_err(unlogged)?;
    let cost = MeasuredCost { wall: clock.now().elapsed, cpu: run::cpu() };
    print(&if typed.json { format!("{}\n", outcome.json(&list, cost)) } else { outcome.text(&list, cost) })?;
    Ok(Exit::Finished)
}

fn unlogged(source: io::Error) -> Error {
    Error::Unwritable {
        what: "the log".to_owned(),
        hint: "make room, or name another file with `--log`",
        source,
    }
}

fn completions(shell: Shell) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "listproof", &mut script);
    print(&String::from_utf8_lossy(&script)).map(|()| Exit::Finished)
}

fn man() -> Result<Exit, Error> {
    let mut page = Vec::new();
    print::stdout(clap_mangen::Man::new(Cli::command()).render(&mut page))?;
    print(&String::from_utf8_lossy(&page)).map(|()| Exit::Finished)
}

/// One thread: a session costs less than waking another thread for what it heard. A scripted world runs in virtual time.
fn runtime(in_world: bool) -> Result<Runtime, Error> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(in_world);
    builder.build().map_err(|source| Error::System { what: "start the runtime", source })
}

/// Logs go to stderr, if that can be written. `LISTPROOF_LOG` takes the filters of `tracing`.
fn log(telling: &OutputArgs) {
    let level = match (telling.quiet, telling.verbose) {
        (true, _) => "listproof=error",
        // Machines want to know how it ended, people are told anyway.
        (_, 0) if telling.log_format == LogFormat::Json => "listproof=info",
        (_, 0) => "listproof=warn",
        (_, 1) => "listproof=debug",
        _ => "listproof=trace",
    };
    let filter = EnvFilter::try_from_env("LISTPROOF_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let plain = telling.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // It would say on stderr that stderr can't be written, and panic.
        .log_internal_errors(false)
        .with_ansi(!plain && io::stderr().is_terminal());
    match telling.log_format {
        LogFormat::Text => builder.without_time().with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
}
