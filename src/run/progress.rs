//! How far a run is: a bar on a terminal, a plain line now and then elsewhere, nothing when quiet.
#![expect(
    clippy::disallowed_methods,
    reason = "who watches lives in real time, even while a world runs in its own"
)]

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Off a terminal: a line this often, at most.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Tells how far a run is, on stderr.
#[derive(Debug)]
pub enum Progress {
    /// On a terminal.
    Bar(ProgressBar),
    /// Elsewhere.
    Lines {
        /// Addresses in all, and those done.
        total: u64,
        /// Those done.
        done: u64,
        /// When the last line was written.
        last: Instant,
    },
    /// Nowhere.
    Quiet,
}

impl Progress {
    /// For so many addresses.
    pub fn of(total: u64, quiet: bool) -> Progress {
        if quiet || total == 0 {
            return Progress::Quiet;
        }
        if !std::io::stderr().is_terminal() {
            return Progress::Lines { total, done: 0, last: Instant::now() };
        }
        let style = ProgressStyle::with_template(
            "{bar:30} {pos}/{len} addresses, {elapsed} passed, {eta} to go{msg}",
        );
        let bar = ProgressBar::new(total);
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Progress::Bar(bar)
    }

    /// So many more addresses are done; so many sessions are open now.
    pub fn tell(&mut self, more: u64, sessions: usize) {
        match self {
            Progress::Quiet => {}
            Progress::Bar(bar) => {
                bar.inc(more);
                bar.set_message(format!(", {sessions} connections"));
            }
            Progress::Lines { total, done, last } => {
                *done += more;
                if last.elapsed() >= LINE_EVERY {
                    *last = Instant::now();
                    // Nobody may be listening any more; that is no reason to stop.
                    let _ = writeln!(
                        std::io::stderr(),
                        "{done}/{total} addresses done, {sessions} connections open"
                    );
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Progress::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
