//! The command line: parse, log, run, and turn the outcome into an exit code. The only place that prints.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is where results and errors meet the user"
)]

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::{CommandFactory, Parser};
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::EnvFilter;

use listproof::address::Address;
use listproof::cli::{self, Check, Cli, Command, Explain, LogFormat, Simulate, Telling, Verify, World};
use listproof::error::{Error, Exit};
use listproof::explain::Explainer;
use listproof::list::{ReadOptions, Source, Target, WriteOptions, write_object};
use listproof::policy::Policy;
use listproof::policy::replies::Context;
use listproof::report::{self, Gates, Summary, card, stats};
use listproof::run::{self, check::Offline, stop::Stop, telling::Listing};
use listproof::settings::{Reach, Settings};
use listproof::simulate::list::List;
use listproof::simulate::outcome::Cost;
use listproof::simulate::{self, Setup};
use listproof::smtp::{Reply, Stage};
use listproof::state::{State, Universe, default_file};
use listproof::verdict::Record;

/// How long `verify` waits for greylisting and other passing trouble.
const VERIFY_WAITS: Duration = Duration::from_secs(30 * 60);

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let log_format = command.log_format();
    let exit = match command {
        Command::Verify(typed) => verify(typed),
        Command::Plan(typed) => plan(typed),
        Command::Check(typed) => check(&typed),
        Command::Report(typed) => report_again(typed),
        Command::State(typed) => state(&typed),
        Command::Explain(typed) => explain(&typed),
        Command::Policy(typed) => policy(&typed),
        Command::World(typed) => world(&typed),
        Command::Simulate(typed) => simulate(&typed),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "listproof", &mut std::io::stdout());
            Ok(Exit::Finished)
        }
        Command::Man => man(),
    };
    let exit = exit.unwrap_or_else(|error| {
        // What was typed, or a file's name, is repeated in it and may hold anything.
        let told: String = error.to_string().chars().filter(|c| *c == '\n' || !c.is_control()).collect();
        if log_format == LogFormat::Json {
            let (exit_code, hint) = (error.exit().code(), error.hint());
            tracing::error!(event = "failed", exit_code, hint, "{told}");
            return error.exit();
        }
        eprintln!("error: {told}");
        if let Some(hint) = error.hint() {
            let indent = if hint.starts_with(' ') { "\n" } else { " " };
            eprintln!("hint:{indent}{hint}");
        }
        error.exit()
    });
    ExitCode::from(exit.code())
}

fn verify(typed: Verify) -> Result<Exit, Error> {
    log(&typed.telling);
    let (quiet, json, metrics) = (typed.telling.quiet, typed.json, typed.metrics_file.clone());
    let to_stdout = typed.listing.output.as_deref() == Some(Path::new("-"));
    let ended = verified(typed);
    if let Some(path) = metrics {
        let exit = ended.as_ref().map_or_else(Error::exit, |summary| summary.exit);
        let now = run::clock::Clock::system().now().wall;
        report::metrics::write(&path, exit, now, ended.as_ref().ok())?;
    }
    let summary = ended?;
    tracing::info!(event = "finished", exit_code = summary.exit.code(), "{}", summary.sum());
    tell([(!quiet).then(|| summary.text()), json.then(|| summary.line())], to_stdout);
    Ok(summary.exit)
}

/// What is told about a run goes to stdout, unless the results do.
fn tell(told: [Option<String>; 2], results_to_stdout: bool) {
    for told in told.into_iter().flatten() {
        if results_to_stdout {
            eprint!("{told}");
        } else {
            print!("{told}");
        }
    }
}

fn verified(typed: Verify) -> Result<Summary, Error> {
    let in_world = typed.probing.world.is_some();
    let verify = run::verify::Verify {
        listing: Listing { changed_only: typed.changed_only, ..listing(typed.listing)? },
        settings: Settings::new(typed.probing, VERIFY_WAITS)?,
        // Lines about the progress are for people.
        quiet: typed.telling.quiet || typed.telling.log_format == LogFormat::Json,
    };
    runtime(in_world)?.block_on(run::verify::verify(verify))
}

fn listing(typed: cli::Listing) -> Result<Listing, Error> {
    let usage = |what: &str| {
        let hint = format!("see `listproof verify --help` for {what}");
        move |message: String| Error::Usage { message, hint }
    };
    let max_unknown = typed.max_unknown.map(|text| text.parse()).transpose();
    let fail_if = typed.fail_if.iter().map(|text| text.parse()).collect::<Result<_, _>>();
    Ok(Listing {
        source: if typed.input == Path::new("-") { Source::Stdin } else { Source::Path(typed.input) },
        reading: ReadOptions { column: typed.column, split_cells: typed.split_cells },
        target: typed.output.as_deref().map(target),
        writing: WriteOptions {
            columns: typed.columns,
            dialect: typed.dialect,
            prefix: typed.column_prefix,
            ..WriteOptions::default()
        },
        apply_suggestions: typed.apply_suggestions,
        changed_only: false,
        gates: Gates {
            max_unknown: max_unknown.map_err(usage("--max-unknown"))?,
            fail_if: fail_if.map_err(usage("--fail-if"))?,
        },
    })
}

fn report_again(typed: cli::Report) -> Result<Exit, Error> {
    log(&typed.telling);
    let file = kept(&typed.kept)?;
    let listing = listing(typed.listing)?;
    let to_stdout = listing.target == Some(Target::Stdout);
    let report = run::report::Report {
        listing,
        policy: Policy::of(typed.policy.as_deref())?,
        risky_roles: typed.risky_roles,
        rejudge: typed.rejudge,
    };
    let summary = run::report::report(report, &file).map_err(|error| error.in_state(Some(&file)))?;
    tell([(!typed.telling.quiet).then(|| summary.text()), None], to_stdout);
    Ok(summary.exit)
}

fn kept(typed: &cli::Kept) -> Result<PathBuf, Error> {
    Ok(typed.state.clone().map_or_else(|| default_file(&Universe::internet()), Ok)?)
}

fn state(typed: &cli::State) -> Result<Exit, Error> {
    let (cli::State::Stats { kept: file }
    | cli::State::Prune { kept: file, .. }
    | cli::State::Forget { kept: file, .. }
    | cli::State::Export { kept: file, .. }) = typed;
    let file = kept(file)?;
    look_after(typed, &file).map_err(|error| error.in_state(Some(&file)))
}

fn look_after(typed: &cli::State, file: &Path) -> Result<Exit, Error> {
    let now = run::clock::Clock::system().now().wall;
    match typed {
        cli::State::Stats { .. } => print!("{}", stats::text(file, &State::read_only(file)?.stats()?)),
        cli::State::Prune { older_than, .. } => {
            let before = now.checked_sub(*older_than).unwrap_or(SystemTime::UNIX_EPOCH);
            let (addresses, answers) = State::of_owner(file, now)?.prune(before)?;
            println!("deleted {addresses} addresses and {answers} answers");
        }
        cli::State::Forget { address, .. } => {
            let was_known = State::of_owner(file, now)?.forget(&one_address(address)?)?;
            println!("{}", if was_known { "forgotten" } else { "nothing was known" });
        }
        cli::State::Export { address, .. } => {
            let known = State::read_only(file)?.export(&one_address(address)?)?;
            println!("{:#}", known.unwrap_or_default());
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

fn plan(typed: cli::Plan) -> Result<Exit, Error> {
    log(&typed.telling);
    let in_world = typed.probing.world.is_some();
    // Nobody hears who asks, so nobody has to say it.
    let probing = cli::Probing { dns_only: !typed.probing.offline, ..typed.probing };
    let plan = run::plan::Plan {
        source: if typed.input == Path::new("-") { Source::Stdin } else { Source::Path(typed.input) },
        reading: ReadOptions { column: typed.column, split_cells: typed.split_cells },
        settings: Settings::new(probing, VERIFY_WAITS)?,
    };
    let forecast = runtime(in_world)?.block_on(run::plan::plan(&plan))?;
    let told = if typed.json { format!("{}\n", forecast.json()) } else { forecast.text() };
    match stdout(std::io::stdout().write_all(told.as_bytes())) {
        // Who stops reading us has seen enough.
        Err(Error::System { source, .. }) if source.kind() == ErrorKind::BrokenPipe => Ok(Exit::Finished),
        told => told.map(|()| Exit::Finished),
    }
}

/// `NAME.csv` and `-` are for the results alone, any other name is a folder.
fn target(output: &Path) -> Target {
    let is_file = output.extension().is_some_and(|ending| {
        ["csv", "tsv", "ndjson", "jsonl", "txt"].iter().any(|e| ending.eq_ignore_ascii_case(e))
    });
    match output {
        output if output == Path::new("-") => Target::Stdout,
        output if is_file && !output.is_dir() => Target::File(output.to_owned()),
        output => Target::Folder(output.to_owned()),
    }
}

fn check(typed: &Check) -> Result<Exit, Error> {
    log(&typed.telling);
    match check_and_tell(typed) {
        // Who stops reading us has seen enough.
        Err(Error::System { source, .. }) if source.kind() == ErrorKind::BrokenPipe => Ok(Exit::Finished),
        exit => exit,
    }
}

fn check_and_tell(typed: &Check) -> Result<Exit, Error> {
    let settings = Settings::new(typed.probing.clone(), Duration::ZERO)?;
    let texts: Box<dyn Iterator<Item = Result<String, Error>>> = match &typed.addresses[..] {
        [] => Box::new(stdin_addresses(typed.jsonl)?),
        texts => Box::new(texts.iter().cloned().map(Ok)),
    };
    let mut told = Told {
        json: typed.json || typed.jsonl,
        out: BufWriter::new(std::io::stdout().lock()),
        line: Vec::new(),
    };
    if matches!(settings.reach, Reach::Offline) {
        let mut offline = Offline::new(&settings)?;
        for text in texts {
            let text = text?;
            told.tell(&text, &offline.check(&text)?)?;
        }
        return told.end(Exit::Finished);
    }
    let texts: Vec<String> = texts.collect::<Result<_, _>>()?;
    let in_world = typed.probing.world.is_some();
    let checked = runtime(in_world)?.block_on(run::check::check(&texts, &settings, typed.trace))?;
    for (host, transcript) in &checked.dialogues {
        told.print(card::dialogue(host.as_str(), transcript).as_bytes())?;
        told.print(b"\n")?;
    }
    for (text, record) in texts.iter().zip(&checked.records) {
        told.tell(text, record)?;
    }
    told.end(checked.exit)
}

/// What `check` prints.
struct Told<W: Write> {
    json: bool,
    out: W,
    line: Vec<u8>,
}

impl<W: Write> Told<W> {
    fn tell(&mut self, text: &str, record: &Record) -> Result<(), Error> {
        self.line.clear();
        if self.json {
            write_object(&mut self.line, text, record);
        } else {
            self.line.extend_from_slice(card::card(text, record).as_bytes());
            self.line.push(b'\n');
        }
        stdout(self.out.write_all(&self.line))
    }

    fn print(&mut self, bytes: &[u8]) -> Result<(), Error> {
        stdout(self.out.write_all(bytes))
    }

    fn end(mut self, exit: Exit) -> Result<Exit, Error> {
        stdout(self.out.flush()).map(|()| exit)
    }
}

fn stdout(written: std::io::Result<()>) -> Result<(), Error> {
    written.map_err(|source| Error::System { what: "write to stdout", source })
}

/// Addresses from stdin: one per line, or one JSON string or object with `email` per line.
fn stdin_addresses(json: bool) -> Result<impl Iterator<Item = Result<String, Error>>, Error> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(Error::Usage {
            message: "no address given".to_owned(),
            hint: "write `listproof check someone@example.com`, or pipe addresses in, one per line"
                .to_owned(),
        });
    }
    let lines = BufReader::with_capacity(64 << 10, stdin.lock()).split(b'\n').enumerate();
    Ok(lines.filter_map(move |(number, line)| {
        let line = match line {
            Ok(line) => line,
            Err(source) => {
                return Some(Err(Error::System { what: "read stdin", source }));
            }
        };
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if !json {
            return Some(Ok(String::from_utf8_lossy(line).into_owned()));
        }
        let email = (!line.trim_ascii().is_empty()).then(|| email_of(line))?;
        Some(email.ok_or_else(|| {
            Error::Usage {
                message: format!("stdin:{}: neither a JSON string nor an object with `email`", number + 1),
                hint:
                    "write one `\"someone@example.com\"` or `{\"email\": \"someone@example.com\"}` per line"
                        .to_owned(),
            }
        }))
    }))
}

fn email_of(line: &[u8]) -> Option<String> {
    match serde_json::from_slice(line).ok()? {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Object(object) => object.get("email")?.as_str().map(str::to_owned),
        _ => None,
    }
}

fn explain(typed: &Explain) -> Result<Exit, Error> {
    let policy = Policy::of(typed.policy.as_deref())?;
    let operator_of = |host: &str| policy.providers().id_of(host);
    let explainer = Explainer { rules: policy.replies(), operator_of: &operator_of };
    let out = BufWriter::new(std::io::stdout().lock());
    let explain = |input: Box<dyn BufRead>| {
        if typed.jsonl { explainer.jsonl(input, out) } else { explainer.run(input, out) }
    };
    let done = match typed.text.as_deref() {
        None | Some("-") => explain(Box::new(std::io::stdin().lock())),
        Some(text) => match std::fs::File::open(text) {
            Ok(file) => explain(Box::new(BufReader::new(file))),
            Err(_) => explain(Box::new(std::io::Cursor::new(text.to_owned()))),
        },
    };
    match done {
        Err(source) if source.kind() != ErrorKind::BrokenPipe => {
            Err(Error::System { what: "explain", source })
        }
        _ => Ok(Exit::Finished),
    }
}

fn policy(typed: &cli::Policy) -> Result<Exit, Error> {
    match typed {
        cli::Policy::Check { folder } => {
            let policy = Policy::of(folder.as_deref())?;
            for rule in policy.replies().iter() {
                policy.replies().check(rule)?;
            }
            print!("{}", policy.replies().loaded());
        }
        cli::Policy::Show { reply, stage, mx, policy } => {
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
            print!("{}", policy.replies().trial(&reply, &Context { stage, provider }));
        }
    }
    Ok(Exit::Finished)
}

fn world(typed: &World) -> Result<Exit, Error> {
    let world = listproof::world::World::open(&typed.file)?;
    if let Some(path) = &typed.log {
        let log = OpenOptions::new().create(true).append(true).open(path);
        world.log_to(Box::new(log.map_err(|source| Error::System { what: "open the log", source })?));
    }
    runtime(false)?.block_on(async {
        let bound = listproof::world::serve::Server::bind(world, typed.dns, typed.smtp_port).await;
        let server = bound?;
        let (dns, port) = (server.dns(), server.smtp_port());
        println!("serving until interrupted; ask it with");
        println!("  listproof verify LIST --dns {dns} --smtp-port {port} --allow-mx-net 127.0.0.0/8 --helo NAME --mail-from ADDR");
        let mut stop = Stop::on_signals()?;
        server.run(stop.wait()).await;
        Ok(Exit::Finished)
    })
}

fn simulate(typed: &Simulate) -> Result<Exit, Error> {
    let failed = |what| move |source| Error::System { what, source };
    let clock = run::clock::Clock::system();
    let list = Arc::new(List::generate(&typed.mix.mix()?, typed.rows, typed.seed));
    let setup = Setup {
        egresses: typed.egress.into(),
        pace: typed.pace,
        max_wait: typed.max_wait,
        sockets: run::sockets::available(),
        seed: typed.seed,
    };
    let log =
        typed.log.as_ref().map(|path| OpenOptions::new().create(true).write(true).truncate(true).open(path));
    let mut log = log.transpose().map_err(failed("open the log"))?.map(BufWriter::new);
    let simulated = simulate::simulate(&list, &setup, log.as_mut().map(|log| log as &mut dyn Write));
    let outcome = simulated.map_err(failed("write the log"))?;
    log.map_or(Ok(()), |mut log| log.flush()).map_err(failed("write the log"))?;
    let cost = Cost { wall: clock.now().elapsed, cpu: run::clock::cpu() };
    if typed.json {
        println!("{}", outcome.json(&list, cost));
    } else {
        print!("{}", outcome.text(&list, cost));
    }
    Ok(Exit::Finished)
}

fn man() -> Result<Exit, Error> {
    stdout(clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout()))?;
    Ok(Exit::Finished)
}

/// One thread: a session costs less than waking another thread for what it heard. A scripted world runs in virtual time.
fn runtime(in_world: bool) -> Result<Runtime, Error> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(in_world);
    builder.build().map_err(|source| Error::System { what: "start the runtime", source })
}

/// Logs go to stderr. `LISTPROOF_LOG` takes the filters of `tracing`.
fn log(telling: &Telling) {
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
        .with_writer(std::io::stderr)
        .with_ansi(!plain && std::io::stderr().is_terminal());
    match telling.log_format {
        LogFormat::Text => builder.without_time().with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
}
