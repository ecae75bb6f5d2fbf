//! Programs that are started after a run: `--on-success` and `--on-failure`.
//!
//! Decides: which of the two. Each is a program with its arguments, without a shell, and comes from the command line only: a
//! settings file beside a list must not start programs. A hook that fails is logged and never changes the exit code. Its output
//! goes to stderr, because stdout may hold results.
#![expect(clippy::disallowed_methods, reason = "a hook is waited for in real time, after the run")]

use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use clap::Args;

use listproof::{Exit, Summary};

/// How long a hook may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Programs to start after a run.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Hooks")]
pub(super) struct HookArgs {
    /// Start this program after a run that ends with 0: PROGRAM and its arguments, up to a `;`, without a shell. It gets
    /// `LISTPROOF_EXIT_CODE`, `LISTPROOF_STOPPED_BECAUSE`, `LISTPROOF_STILL_TO_ASK` and `LISTPROOF_SUMMARY` (the file).
    #[arg(long, value_name = "PROGRAM", num_args = 1.., value_terminator = ";", allow_hyphen_values = true)]
    on_success: Vec<String>,
    /// Likewise after a run that ends with any other code.
    #[arg(long, value_name = "PROGRAM", num_args = 1.., value_terminator = ";", allow_hyphen_values = true)]
    on_failure: Vec<String>,
}

impl HookArgs {
    /// Starts the program for this end of a run, and waits for it.
    pub(super) fn run(&self, exit: Exit, summary: Option<&Summary>) {
        let words = if exit == Exit::Finished { &self.on_success } else { &self.on_failure };
        let Some((program, arguments)) = words.split_first() else { return };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(io::stderr());
        command.env("LISTPROOF_EXIT_CODE", exit.code().to_string());
        let stopped = summary.and_then(Summary::stopped_because).unwrap_or_default();
        let still = summary.map_or(0, |summary| summary.still_to_probe);
        command.env("LISTPROOF_STOPPED_BECAUSE", stopped).env("LISTPROOF_STILL_TO_ASK", still.to_string());
        let file =
            summary.and_then(|one| Some(format!("{}/{}.summary.json", one.folder.as_ref()?, one.stem)));
        command.env("LISTPROOF_SUMMARY", file.unwrap_or_default());
        match command.spawn().and_then(wait) {
            Ok(Some(status)) if status.success() => tracing::info!(event = "hook", "`{program}` succeeded"),
            Ok(Some(status)) => tracing::warn!(event = "hook", "`{program}` failed: {status}"),
            Ok(None) => {
                tracing::warn!(event = "hook", "`{program}` took longer than a minute and was stopped");
            }
            Err(error) => tracing::warn!(event = "hook", "`{program}` cannot be started: {error}"),
        }
    }
}

/// Waits for a program; `None` if it took too long and was stopped.
fn wait(mut child: Child) -> io::Result<Option<ExitStatus>> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if began.elapsed() >= PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
