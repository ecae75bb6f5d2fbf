//! Jobs over a list: what was typed becomes a job of the library, and its summary is told.
//!
//! Decides: what goes to stdout, and what to stderr because the results go there.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "summaries are told here")]

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use listproof::cli::{self, LogFormat};
use listproof::error::{Error, Exit};
use listproof::list::{ReadOptions, Source, Target, WriteOptions};
use listproof::policy::Policy;
use listproof::report::{self, Gates, Summary};
use listproof::run::{self, telling::Listing};
use listproof::settings::Settings;

use crate::{kept, log, runtime, stdout};

/// How long `verify` waits for greylisting and other passing trouble.
const VERIFY_WAITS: Duration = Duration::from_secs(30 * 60);

pub(crate) fn verify(typed: cli::Verify) -> Result<Exit, Error> {
    log(&typed.telling);
    let (quiet, json, metrics) = (typed.telling.quiet, typed.json, typed.metrics_file.clone());
    let to_stdout = typed.listing.output.as_deref() == Some(Path::new("-"));
    let ended = verified(typed);
    let metered = metrics.map_or(Ok(()), |path| {
        let exit = ended.as_ref().map_or_else(Error::exit, |summary| summary.exit);
        let now = run::clock::Clock::system().now().wall;
        report::metrics::write(&path, exit, now, ended.as_ref().ok())
    });
    let told =
        |summary: &Summary| tell([(!quiet).then(|| summary.text()), json.then(|| summary.line())], to_stdout);
    match (ended, metered) {
        (Ok(summary), Err(lost)) if !summary.exit.is_by_signal() => {
            told(&summary);
            Err(lost)
        }
        (ended, metered) => {
            if let Err(lost) = metered {
                tracing::warn!(event = "metrics", "{lost}");
            }
            let summary = ended?;
            tracing::info!(event = "finished", exit_code = summary.exit.code(), "{}", summary.sum());
            told(&summary);
            Ok(summary.exit)
        }
    }
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

fn verified(typed: cli::Verify) -> Result<Summary, Error> {
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
        source: source(typed.input),
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

pub(crate) fn report(typed: cli::Report) -> Result<Exit, Error> {
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

pub(crate) fn plan(typed: cli::Plan) -> Result<Exit, Error> {
    log(&typed.telling);
    let in_world = typed.probing.world.is_some();
    // Nobody hears who asks, so nobody has to say it.
    let probing = cli::Probing { dns_only: !typed.probing.offline, ..typed.probing };
    let plan = run::plan::Plan {
        source: source(typed.input),
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

/// `-` is stdin.
fn source(input: PathBuf) -> Source {
    if input == Path::new("-") { Source::Stdin } else { Source::Path(input) }
}
