//! Logs on stderr: their flags, and how they are written.

use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use super::terminal;

/// How much is written to stderr, and in which format.
#[derive(Clone, Debug, Args, Default)]
#[command(next_help_heading = "Output")]
pub(super) struct LogArgs {
    /// Errors only.
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// More details on stderr; give it twice for all.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// The format of the log on stderr.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(super) log_format: LogFormat,
    /// No color (also: `NO_COLOR`).
    #[arg(long)]
    pub(super) no_color: bool,
}

/// The format of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts writing the log to stderr. `LISTPROOF_LOG` takes the filters of the crate `tracing`.
pub(super) fn start(args: &LogArgs) {
    let level = match (args.quiet, args.verbose) {
        (true, _) => "listproof=error",
        // A program that reads the log needs how the run ended; people read it in the summary.
        (_, 0) if args.log_format == LogFormat::Json => "listproof=info",
        (_, 0) => "listproof=warn",
        (_, 1) => "listproof=debug",
        _ => "listproof=trace",
    };
    let filter = EnvFilter::try_from_env("LISTPROOF_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let is_plain = terminal::is_plain(args.no_color);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // It would report on stderr that stderr cannot be written, and panic.
        .log_internal_errors(false)
        .with_ansi(!is_plain && io::stderr().is_terminal());
    match args.log_format {
        LogFormat::Text => builder.without_time().with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
}
