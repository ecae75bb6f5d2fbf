//! Commands about a list: `verify`, `plan` and `report`.

use std::path::PathBuf;

use clap::Args;

use super::{OutputArgs, ProbeArgs, StateFileArg};
use crate::list::{ColumnSet, Dialect};

/// `listproof verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The list and the outputs.
    #[command(flatten)]
    pub listing: ListArgs,
    /// Write just the rows whose verdict or reason is not what it was when the row was told of last, in any list.
    #[arg(long, conflicts_with_all = ["offline", "no_state"])]
    pub changed_only: bool,
    /// The last line of stdout is the summary as one JSON object; of stderr with `-o -`.
    #[arg(long)]
    pub json: bool,
    /// Write the run's numbers for Prometheus: a file for `node_exporter`'s textfile collector, readable by everybody.
    #[arg(long, value_name = "FILE.prom")]
    pub metrics_file: Option<PathBuf>,
    /// How to probe.
    #[command(flatten)]
    pub probing: ProbeArgs,
    /// What to tell.
    #[command(flatten)]
    pub telling: OutputArgs,
}

/// A list, and what is to be written about it.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The list: CSV, TSV, semicolons, NDJSON or one address per line, plain, gz or zst, or XLSX; `-` is stdin.
    pub input: PathBuf,
    /// Folder for the results, or a NAME.csv (or `-`) for the results alone [default: ./NAME.listproof/].
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// The address column, by name or number (from 1) [default: found by its name, else by its content].
    #[arg(long, value_name = "NAME|N")]
    pub column: Option<String>,
    /// How many of our columns are written.
    #[arg(long, value_enum, default_value_t = ColumnSet::Standard)]
    pub columns: ColumnSet,
    /// Write the columns and words of another service: emailable, kickbox, millionverifier, neverbounce, verifalia,
    /// zerobounce.
    #[arg(long, value_name = "NAME", conflicts_with = "columns", value_parser = dialect)]
    pub dialect: Option<&'static Dialect>,
    /// Put before the names of our columns.
    #[arg(long, value_name = "PREFIX")]
    pub column_prefix: Option<String>,
    /// Several addresses in one cell become rows of their own.
    #[arg(long)]
    pub split_cells: bool,
    /// Verify what was meant where the typed address can't work: no address, a known trap, a top level that does not
    /// exist. The column `email_original` keeps what was typed.
    #[arg(long)]
    pub apply_suggestions: bool,
    /// Exit with 3 when more rows than this stay unknown, as a number or a share.
    #[arg(long, value_name = "N|N%")]
    pub max_unknown: Option<String>,
    /// Exit with 4 when this holds, for example `undeliverable>5%`; may be given again.
    #[arg(long, value_name = "VERDICT>N%")]
    pub fail_if: Vec<String>,
}

/// `listproof report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The list and the outputs.
    #[command(flatten)]
    pub listing: ListArgs,
    /// Also write what the rules of today say into the state.
    #[arg(long)]
    pub rejudge: bool,
    /// Where the facts are.
    #[command(flatten)]
    pub kept: StateFileArg,
    /// Role addresses (info@, sales@) are risky instead of just flagged.
    #[arg(long)]
    pub risky_roles: bool,
    /// Your own policy files: they add to the shipped ones or replace entries.
    #[arg(long, env = "LISTPROOF_POLICY", value_name = "DIR")]
    pub policy: Option<PathBuf>,
    /// What to tell.
    #[command(flatten)]
    pub telling: OutputArgs,
}

/// `listproof plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The list, as for `verify`.
    pub input: PathBuf,
    /// The address column, by name or number (from 1) [default: found by its name, else by its content].
    #[arg(long, value_name = "NAME|N")]
    pub column: Option<String>,
    /// Several addresses in one cell become rows of their own.
    #[arg(long)]
    pub split_cells: bool,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
    /// How the run would probe. With `--offline` the DNS is not asked either, and only big domains have an operator.
    #[command(flatten)]
    pub probing: ProbeArgs,
    /// What to tell.
    #[command(flatten)]
    pub telling: OutputArgs,
}

fn dialect(name: &str) -> Result<&'static Dialect, String> {
    Dialect::named(name).ok_or_else(|| {
        let names: Vec<&str> = Dialect::all().iter().map(Dialect::name).collect();
        format!("there is {}", names.join(", "))
    })
}
