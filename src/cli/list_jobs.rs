//! `verify`, `plan` and `report`: jobs over a list.
//!
//! Decides: what goes to stdout, and what to stderr because the results go to stdout.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::hook::HookArgs;
use super::log::{self, LogArgs, LogFormat};
use super::print::{self, print};
use super::probe_args::ProbeArgs;
use super::process;
use super::progress::ProgressDisplay;
use super::read_args::ReadArgs;
use super::reply::PolicyArg;
use super::rerun::rerun;
use super::state::StateFileArg;
use super::terminal;
use listproof::list::{ByteOrderMark, ColumnSet, Dialect, OutputTarget, Source, WriteOptions};
use listproof::report::{self, Gates, PageOptions, Rerun};
use listproof::settings::SettingsLayer;
use listproof::{Error, Exit, ListJob, Settings, Summary, Verifier};

/// How long `verify` retries deferred recipients unless set.
const VERIFY_MAX_WAIT: Duration = Duration::from_secs(30 * 60);

/// `listproof verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    list: ListArgs,
    /// Write only rows that changed since they were last reported, in any list.
    #[arg(long, conflicts_with_all = ["offline", "no_state"])]
    changed_only: bool,
    /// Print the summary as one JSON object in the last line of stdout; of stderr with `-o -`.
    #[arg(long)]
    json: bool,
    /// Write the metrics of the run for Prometheus: a file for `node_exporter`'s textfile collector, readable by all users.
    #[arg(long, value_name = "FILE.prom")]
    metrics_file: Option<PathBuf>,
    #[command(flatten)]
    hooks: HookArgs,
    #[command(flatten)]
    probing: ProbeArgs,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

/// A list, and what is written about it.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[derive(Debug, Args)]
struct ListArgs {
    /// The list: CSV, TSV, semicolons, NDJSON, one address per line, plain, gz, zst or alone in a ZIP archive, or XLSX or
    /// vCard; `-` is stdin.
    input: PathBuf,
    /// Folder for the results, or a NAME.csv (or `-`) for the results alone [default: ./NAME.listproof/].
    #[arg(short, long)]
    output: Option<PathBuf>,
    #[command(flatten)]
    reading: ReadArgs,
    /// Which columns are added.
    #[arg(long, value_name = "COLUMNS", value_parser = column_set(), default_value = "standard")]
    columns: ColumnSet,
    /// Write the columns and words of another service: emailable, kickbox, millionverifier, neverbounce, verifalia,
    /// zerobounce.
    #[arg(long, value_name = "NAME", conflicts_with = "columns", value_parser = dialect)]
    dialect: Option<&'static Dialect>,
    /// Write the files that a product takes, and a note on how to import them: hubspot, salesforce, mailchimp, klaviyo, brevo,
    /// activecampaign, zoho, pipedrive, dynamics, customerio, braze, iterable, marketo, generic; for suppression ses, mailgun,
    /// cloudflare, sendgrid.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Put this in front of the names of the added columns.
    #[arg(long, value_name = "PREFIX")]
    column_prefix: Option<String>,
    /// Whether the written lists begin with a byte order mark, by which Excel knows UTF-8; auto: as the list had it.
    #[arg(long, value_name = "WHEN", value_parser = byte_order_mark(), default_value = "auto")]
    bom: ByteOrderMark,
    /// Also write NAME.spreadsheet.csv, the results with a `'` before each cell that a spreadsheet takes for a formula.
    #[arg(long)]
    spreadsheet_safe: bool,
    /// Don't probe the addresses and `@domains` in this list; may be given again.
    #[arg(long, value_name = "FILE")]
    exclude: Vec<PathBuf>,
    /// Addresses that differ only in upper and lower case are different addresses.
    #[arg(long)]
    case_sensitive: bool,
    /// Fix obvious typos (`jane@gmail,com`, `gmial.com`, `.con`) and verify the fixed address. The column `email_original`
    /// keeps the cell.
    #[arg(long)]
    apply_suggestions: bool,
    /// Exit with 3 when more rows than this stay unknown, as a number or a share.
    #[arg(long, value_name = "N|N%")]
    max_unknown: Option<String>,
    /// Exit with 4 when this holds, for example `undeliverable>5%`; may be given again.
    #[arg(long, value_name = "VERDICT>N%")]
    fail_if: Vec<String>,
    /// Estimate bounces by the rates in this file, like the shipped `bounces.toml`.
    #[arg(long, value_name = "FILE")]
    bounce_priors: Option<PathBuf>,
    /// Name up to five addresses of each reason in the report; without it the report holds no address.
    #[arg(long)]
    report_addresses: bool,
    /// Also write the report as Markdown, NAME.report.md.
    #[arg(long)]
    report_md: bool,
}

/// `listproof report`.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    list: ListArgs,
    /// Also update the saved verdicts to the current rules.
    #[arg(long)]
    rejudge: bool,
    #[command(flatten)]
    file: StateFileArg,
    /// Role accounts (info@, sales@) are risky instead of only flagged.
    #[arg(long)]
    risky_roles: bool,
    #[command(flatten)]
    policy: PolicyArg,
    #[command(flatten)]
    log: LogArgs,
}

/// `listproof plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The list, as for `verify`.
    input: PathBuf,
    #[command(flatten)]
    reading: ReadArgs,
    /// Leave out the addresses and `@domains` in this list; may be given again.
    #[arg(long, value_name = "FILE")]
    exclude: Vec<PathBuf>,
    /// Addresses that differ only in upper and lower case are different addresses.
    #[arg(long)]
    case_sensitive: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// The settings of the planned run. With `--offline` no DNS either: only large domains have a known provider then.
    #[command(flatten)]
    probing: ProbeArgs,
    #[command(flatten)]
    log: LogArgs,
}

pub(super) fn verify(args: VerifyArgs) -> Result<Exit, Error> {
    log::start(&args.log);
    let (is_quiet, json) = (args.log.quiet, args.json);
    // Progress is for people.
    let hides_progress = is_quiet || args.log.log_format == LogFormat::Json;
    let to_stdout = args.list.output.as_deref() == Some(Path::new("-"));
    let style = terminal::style(args.log.no_color, !to_stdout);
    let metrics_file = args.metrics_file.clone();
    let hooks = args.hooks.clone();
    let job = settings_and_job(args);
    if let Some(path) = &metrics_file {
        // Without a job there is no run with files of its own.
        report::claim(path, &job.as_ref().map(own_files).unwrap_or_default())?;
    }
    let ended = job.and_then(|(settings, job)| {
        let verifier = Verifier::new(settings)?;
        let list = job.open()?;
        // From here on a signal ends the run cleanly.
        let cancel = process::cancel_on_signals()?;
        let mut display = ProgressDisplay::new(hides_progress);
        verifier.block_on(verifier.verify(list, &mut |progress| display.show(progress), &cancel))
    });
    let (exit, summary) = match ended {
        Ok(summary) => {
            let texts = [(!is_quiet).then(|| summary.text_as(style)), json.then(|| summary.line())];
            (exit_or_error(summary.exit, print_summary(texts, to_stdout)), Some(summary))
        }
        Err(error) => (Err(error), None),
    };
    let exit = match metrics_file {
        None => exit,
        Some(path) => write_metrics(&path, exit, summary.as_ref()),
    };
    if let (Ok(exit), Some(summary)) = (&exit, &summary) {
        tracing::info!(event = "finished", exit_code = exit.code(), "{}", summary.sum());
    }
    hooks.run(exit.as_ref().map_or_else(Error::exit, |exit| *exit), summary.as_ref());
    exit
}

/// Writes the metrics of a run. An error of the run wins over an error of writing them.
fn write_metrics(path: &Path, exit: Result<Exit, Error>, summary: Option<&Summary>) -> Result<Exit, Error> {
    let ended = exit.as_ref().map_or_else(Error::exit, |exit| *exit);
    let written = report::write(path, ended, process::now(), summary);
    match exit {
        Ok(exit) => exit_or_error(exit, written),
        Err(error) => {
            log_unreported(written);
            Err(error)
        }
    }
}

/// A run whose results cannot be reported ends with that error, unless a signal ended it.
fn exit_or_error(exit: Exit, reported: Result<(), Error>) -> Result<Exit, Error> {
    match exit {
        Exit::Interrupted | Exit::Terminated => {
            log_unreported(reported);
            Ok(exit)
        }
        _ => reported.map(|()| exit),
    }
}

fn log_unreported(reported: Result<(), Error>) {
    if let Err(error) = reported {
        tracing::error!(event = "unreported", "{error}");
    }
}

/// Prints the summary to stdout, or to stderr if the results go to stdout.
fn print_summary(texts: [Option<String>; 2], results_to_stdout: bool) -> Result<(), Error> {
    let text: String = texts.into_iter().flatten().collect();
    if results_to_stdout {
        print::to_stderr(&text);
        return Ok(());
    }
    print::print_note(&text)
}

fn settings_and_job(args: VerifyArgs) -> Result<(Settings, ListJob), Error> {
    let command = VerifyArgs::augment_args(clap::Command::new("verify"));
    let rerun = rerun(&command, std::env::args_os().skip(2));
    let job = ListJob { changed_only: args.changed_only, ..list_job(args.list)? };
    let settings = args.probing.settings(VERIFY_MAX_WAIT)?;
    let keeps_answers = settings.state_files().is_ok_and(|files| !files.is_empty());
    Ok((settings, ListJob { rerun: Rerun { keeps_answers, ..rerun }, ..job }))
}

/// The files that a run reads and writes.
fn own_files((settings, job): &(Settings, ListJob)) -> Vec<PathBuf> {
    let mut files = job.files();
    // Without a place for its state the run itself fails.
    files.extend(settings.state_files().unwrap_or_default());
    files
}

fn list_job(args: ListArgs) -> Result<ListJob, Error> {
    let usage = |flag: &str| {
        let hint = format!("see `listproof verify --help` for {flag}");
        move |message: String| Error::Usage { message, hint }
    };
    let max_unknown = args.max_unknown.map(|text| text.parse()).transpose();
    let fail_if = args.fail_if.iter().map(|text| text.parse()).collect::<Result<_, _>>();
    Ok(ListJob {
        reading: args.reading.into(),
        target: args.output.as_deref().map(target),
        writing: WriteOptions {
            columns: args.columns,
            dialect: args.dialect,
            prefix: args.column_prefix,
            bom: args.bom,
            spreadsheet_safe: args.spreadsheet_safe,
            ..WriteOptions::default()
        },
        apply_suggestions: args.apply_suggestions,
        case_sensitive: args.case_sensitive,
        exclude: args.exclude,
        bounce_priors: args.bounce_priors,
        profile: args.profile,
        pages: PageOptions { has_addresses: args.report_addresses, has_markdown: args.report_md },
        gates: Gates {
            max_unknown: max_unknown.map_err(usage("--max-unknown"))?,
            fail_if: fail_if.map_err(usage("--fail-if"))?,
        },
        ..ListJob::of(source(args.input))
    })
}

pub(super) fn report(args: ReportArgs) -> Result<Exit, Error> {
    log::start(&args.log);
    let job = list_job(args.list)?;
    let to_stdout = job.target == Some(OutputTarget::Stdout);
    let style = terminal::style(args.log.no_color, !to_stdout);
    let verifier = Verifier::new(Settings::new(SettingsLayer {
        offline: true,
        state: args.file.state,
        risky_roles: Some(args.risky_roles),
        policy: args.policy.folder,
        ..SettingsLayer::default()
    })?)?;
    let list = job.open()?;
    let summary = verifier.report(list, args.rejudge, &process::cancel_on_signals()?)?;
    print_summary([(!args.log.quiet).then(|| summary.text_as(style)), None], to_stdout).map(|()| summary.exit)
}

pub(super) fn plan(args: PlanArgs) -> Result<Exit, Error> {
    log::start(&args.log);
    let job = ListJob {
        reading: args.reading.into(),
        case_sensitive: args.case_sensitive,
        exclude: args.exclude,
        ..ListJob::of(source(args.input))
    };
    let verifier = Verifier::new(args.probing.without_mail_servers().settings(VERIFY_MAX_WAIT)?)?;
    let list = job.open()?;
    let forecast = verifier.block_on(verifier.plan(&list))?;
    let text = if args.json { format!("{}\n", forecast.json()) } else { forecast.text() };
    print(&text).map(|()| Exit::Finished)
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

fn column_set() -> impl TypedValueParser<Value = ColumnSet> {
    PossibleValuesParser::from(ColumnSet::ALL.map(|set| {
        PossibleValue::new(set.word()).help(match set {
            ColumnSet::Minimal => "The verdict and the address, seven columns",
            ColumnSet::Standard => {
                "Also kinds of addresses and the server's reply, up to `smtp_text`, and `checked_at`"
            }
            ColumnSet::Full => "All columns",
        })
    }))
    .try_map(|word| ColumnSet::ALL.into_iter().find(|set| set.word() == word).ok_or("not a column set"))
}

fn byte_order_mark() -> impl TypedValueParser<Value = ByteOrderMark> {
    let words =
        [("auto", ByteOrderMark::Auto), ("always", ByteOrderMark::Always), ("never", ByteOrderMark::Never)];
    PossibleValuesParser::new(words.map(|(word, _)| word)).try_map(move |word| {
        words
            .into_iter()
            .find(|(known, _)| *known == word)
            .map(|(_, mark)| mark)
            .ok_or("not one of the words")
    })
}

fn dialect(name: &str) -> Result<&'static Dialect, String> {
    Dialect::named(name).ok_or_else(|| {
        let names: Vec<&str> = Dialect::all().iter().map(Dialect::name).collect();
        format!("there is {}", names.join(", "))
    })
}
