//! The commands, and how the program ends: parse, run, print the error, exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use super::check::{self, CheckArgs};
use super::doctor::{self, DoctorArgs};
use super::guide::{self, GuideArgs};
use super::list_jobs::{self, PlanArgs, ReportArgs, VerifyArgs};
use super::log::LogFormat;
use super::man::{self, ManArgs};
use super::print::{self, print};
use super::reply::{self, ExplainArgs, PolicyCommand};
use super::state::{self, StateCommand};
use super::world::{self, SimulateArgs, WorldArgs};
use listproof::{Error, Exit};

/// Bulk email list verifier: says whose fault a rejection is, and never sends mail.
#[derive(Debug, Parser)]
#[command(name = "listproof", version, about, max_term_width = 110, propagate_version = true)]
struct Cli {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
enum Command {
    /// Verify a list: every row gets a verdict with its evidence, and a cleaned list is written.
    Verify(Box<VerifyArgs>),
    /// Show what a run would do: probes, connections and time per provider, without contacting a mail server.
    Plan(PlanArgs),
    /// Verify one or a few addresses and show the evidence.
    Check(CheckArgs),
    /// Write the results of a list again from the state, without contacting a server; replies are read by the current
    /// rules.
    Report(ReportArgs),
    /// Show, prune or export the state: the facts kept from earlier runs.
    #[command(subcommand)]
    State(StateCommand),
    /// Explain a mail server's reply, a log line or a bounce message, and what to do about it.
    Explain(ExplainArgs),
    /// Check the sender's side: what receivers see of it.
    Doctor(DoctorArgs),
    /// Check your policy files, or show which rule decides on a reply.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Serve a scripted world on loopback sockets, for demos and tests.
    World(WorldArgs),
    /// Run the real scheduler in a generated world under a virtual clock, and compare it with the theoretical minimum.
    Simulate(SimulateArgs),
    /// Show a chapter of the guide, or the list of its topics.
    Guide(GuideArgs),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page of the program or of a command.
    Man(ManArgs),
}

impl Command {
    /// The format of its log.
    fn log_format(&self) -> LogFormat {
        match self {
            Command::Verify(args) => args.log.log_format,
            Command::Check(args) => args.log.log_format,
            _ => LogFormat::Text,
        }
    }
}

/// The whole program.
pub(crate) fn run() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => return ExitCode::from(print_usage(&error).code()),
    };
    let log_format = command.log_format();
    let exit = match command {
        Command::Verify(args) => list_jobs::verify(*args),
        Command::Plan(args) => list_jobs::plan(args),
        Command::Check(args) => check::check(args),
        Command::Report(args) => list_jobs::report(args),
        Command::State(command) => state::run(&command),
        Command::Explain(args) => reply::explain(&args),
        Command::Doctor(args) => doctor::run(args),
        Command::Policy(command) => reply::policy(&command),
        Command::World(args) => world::serve(&args),
        Command::Simulate(args) => world::simulate(&args),
        Command::Guide(args) => guide::run(&args),
        Command::Completions { shell } => completions(shell),
        Command::Man(args) => man::run(program(), &args),
    };
    let exit = exit.unwrap_or_else(|error| print_error(&error, log_format));
    ExitCode::from(exit.code())
}

/// Prints help, or what is wrong with the command line.
fn print_usage(error: &clap::Error) -> Exit {
    let printed = error.print().and_then(|()| io::stdout().flush());
    match print::to_stdout(printed) {
        _ if error.use_stderr() => Exit::Usage,
        Ok(()) => Exit::Finished,
        Err(error) => print_error(&error, LogFormat::Text),
    }
}

/// Prints the error that ended the program, with its hint.
fn print_error(error: &Error, log_format: LogFormat) -> Exit {
    if print::is_closed(error) {
        return Exit::Finished;
    }
    // The message may repeat an argument or a file name with any bytes in it.
    let message: String = error.to_string().chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    if log_format == LogFormat::Json {
        let (exit_code, hint) = (error.exit().code(), error.hint());
        tracing::error!(event = "failed", exit_code, hint, "{message}");
        return error.exit();
    }
    print::to_stderr(&format!("error: {message}\n"));
    if let Some(hint) = error.hint() {
        let indent = if hint.starts_with(' ') { "\n" } else { " " };
        print::to_stderr(&format!("hint:{indent}{hint}\n"));
    }
    error.exit()
}

fn completions(shell: Shell) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "listproof", &mut script);
    print(&String::from_utf8_lossy(&script)).map(|()| Exit::Finished)
}

/// The command line as data.
pub(super) fn program() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;
    use listproof::settings::SettingsLayer;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_names_every_variable_of_the_environment() {
        let mut cli = Cli::command();
        let help = cli.find_subcommand_mut("verify").unwrap().render_long_help().to_string();
        // Wrapped lines are joined, so that the width does not matter.
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for variable in SettingsLayer::VARIABLES {
            assert!(help.contains(&format!("[env: {variable}]")), "{variable}");
        }
    }
}
