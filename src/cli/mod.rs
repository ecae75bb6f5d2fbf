//! The command line, and all that the library does not know: flags, signals, the terminal, logs, limits of the process, exit
//! codes.
//!
//! Owns the question "what does a user type, and what is printed?". Uses the public names of the library only. Each file
//! holds one group of commands, its flags and what they do.
//!
//! Open `command` for the commands and how the program ends; `list_jobs` for `verify`, `plan` and `report`, `check`, `state`,
//! `reply` for `explain` and `policy`, `doctor` for `doctor`, `world` for `world` and `simulate`, `guide` for `guide`, `man` for `man`; `probe_args` for the flags that are settings,
//! `hook` for programs after a run, `rerun` for the next command, `log` for logs, `progress` for the progress bar, `print` for stdout and stderr, `terminal` for what it
//! can show, `process` for signals, clocks and limits.

mod check;
mod command;
mod doctor;
mod guide;
mod hook;
mod list_jobs;
mod log;
mod man;
mod print;
mod probe_args;
mod process;
mod progress;
mod read_args;
mod reply;
mod rerun;
mod state;
mod terminal;
mod world;

pub(crate) use command::run;
