//! Jobs over a list: what was typed becomes a job of the library, and its summary is told.
//!
//! Decides: what goes to stdout, and what to stderr because the results go there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{kept, log, print, runtime};
use listproof::cli::{self, ListArgs, LogFormat, PlanArgs, ProbeArgs, ReportArgs, VerifyArgs};
use listproof::error::{Error, Exit};
use listproof::list::{OutputTarget, ReadOptions, Source, WriteOptions};
use listproof::policy::Policy;
use listproof::report::{self, Gates, Summary};
use listproof::run::{self, Clock, ListJob, PlanJob, ReportJob, VerifyJob};
use listproof::settings::Settings;

/// How long `verify` waits for greylisting and other passing trouble.
const VERIFY_WAITS: Duration = Duration::from_secs(30 * 60);

pub(crate) fn verify(typed: VerifyArgs) -> Result<Exit, Error> {
    log(&typed.telling);
    let (quiet, json, in_world) = (typed.telling.quiet, typed.json, typed.probing.world.is_some());
    let to_stdout = typed.listing.output.as_deref() == Some(Path::new("-"));
    let metrics_file = typed.metrics_file.clone();
    let job = job(typed);
    if let Some(path) = &metrics_file {
        // Without a job there is no run that has files.
        report::claim(path, &job.as_ref().map(own_files).unwrap_or_default())?;
    }
    let ended = job.and_then(|job| runtime(in_world)?.block_on(run::verify(job)));
    let (exit, summary) = match ended {
        Ok(summary) => {
            let texts = [(!quiet).then(|| summary.text()), json.then(|| summary.line())];
            (or_untold(summary.exit, tell(texts, to_stdout)), Some(summary))
        }
        Err(error) => (Err(error), None),
    };
    let exit = match metrics_file {
        None => exit,
        Some(path) => measure(&path, exit, summary.as_ref()),
    };
    if let (Ok(exit), Some(summary)) = (&exit, &summary) {
        tracing::info!(event = "finished", exit_code = exit.code(), "{}", summary.sum());
    }
    exit
}

/// Writes a run's numbers. What the run itself failed of weighs more than that they can't be written.
fn measure(path: &Path, exit: Result<Exit, Error>, summary: Option<&Summary>) -> Result<Exit, Error> {
    let now = Clock::system().now().wall;
    let ended = exit.as_ref().map_or_else(Error::exit, |exit| *exit);
    let written = report::write(path, ended, now, summary);
    match exit {
        Ok(exit) => or_untold(exit, written),
        Err(error) => {
            log_untold(written);
            Err(error)
        }
    }
}

/// A run about which something can't be told ends by that, unless a signal ended it.
fn or_untold(exit: Exit, told: Result<(), Error>) -> Result<Exit, Error> {
    match exit {
        Exit::Interrupted | Exit::Terminated => {
            log_untold(told);
            Ok(exit)
        }
        _ => told.map(|()| exit),
    }
}

fn log_untold(told: Result<(), Error>) {
    if let Err(error) = told {
        tracing::error!(event = "untold", "{error}");
    }
}

/// What is told about a run goes to stdout, unless the results do.
fn tell(texts: [Option<String>; 2], results_to_stdout: bool) -> Result<(), Error> {
    let text: String = texts.into_iter().flatten().collect();
    if results_to_stdout {
        print::tell(&text);
        return Ok(());
    }
    print::offer(&text)
}

fn job(typed: VerifyArgs) -> Result<VerifyJob, Error> {
    Ok(VerifyJob {
        listing: ListJob { changed_only: typed.changed_only, ..listing(typed.listing)? },
        settings: Settings::new(typed.probing, VERIFY_WAITS)?,
        // Lines about the progress are for people.
        quiet: typed.telling.quiet || typed.telling.log_format == LogFormat::Json,
    })
}

/// The files that a run reads and writes.
fn own_files(job: &VerifyJob) -> Vec<PathBuf> {
    let mut files = job.listing.files();
    // Without a place for its state the run fails by itself.
    files.extend(job.settings.state_files().unwrap_or_default());
    files
}

fn listing(typed: ListArgs) -> Result<ListJob, Error> {
    let usage = |what: &str| {
        let hint = format!("see `listproof verify --help` for {what}");
        move |message: String| Error::Usage { message, hint }
    };
    let max_unknown = typed.max_unknown.map(|text| text.parse()).transpose();
    let fail_if = typed.fail_if.iter().map(|text| text.parse()).collect::<Result<_, _>>();
    Ok(ListJob {
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

pub(crate) fn report(typed: ReportArgs) -> Result<Exit, Error> {
    log(&typed.telling);
    let file = kept(&typed.kept)?;
    let listing = listing(typed.listing)?;
    let to_stdout = listing.target == Some(OutputTarget::Stdout);
    let report = ReportJob {
        listing,
        policy: Policy::of(typed.policy.as_deref())?,
        risky_roles: typed.risky_roles,
        rejudge: typed.rejudge,
    };
    let summary = run::report(report, &file).map_err(|error| error.in_state(Some(&file)))?;
    tell([(!typed.telling.quiet).then(|| summary.text()), None], to_stdout).map(|()| summary.exit)
}

pub(crate) fn plan(typed: PlanArgs) -> Result<Exit, Error> {
    log(&typed.telling);
    let in_world = typed.probing.world.is_some();
    // Nobody hears who asks, so nobody has to say it.
    let probing = ProbeArgs { dns_only: !typed.probing.offline, ..typed.probing };
    let plan = PlanJob {
        source: source(typed.input),
        reading: ReadOptions { column: typed.column, split_cells: typed.split_cells },
        settings: Settings::new(probing, VERIFY_WAITS)?,
    };
    let forecast = runtime(in_world)?.block_on(run::plan(&plan))?;
    let told = if typed.json { format!("{}\n", forecast.json()) } else { forecast.text() };
    print(&told).map(|()| Exit::Finished)
}

/// `NAME.csv` and `-` are for the results alone, any other name is a folder.
fn target(output: &Path) -> OutputTarget {
    let is_file = output.extension().is_some_and(|ending| {
        ["csv", "tsv", "ndjson", "jsonl", "txt"].iter().any(|e| ending.eq_ignore_ascii_case(e))
    });
    match output {
        output if output == Path::new("-") => OutputTarget::Stdout,
        output if is_file && !output.is_dir() => OutputTarget::File(output.to_owned()),
        output => OutputTarget::Folder(output.to_owned()),
    }
}

/// `-` is stdin.
fn source(input: PathBuf) -> Source {
    if input == Path::new("-") { Source::Stdin } else { Source::Path(input) }
}
