//! The progress of a run on stderr: a bar on a terminal, a line a minute elsewhere, nothing when quiet.
#![expect(
    clippy::disallowed_methods,
    reason = "the user lives in real time, even while a scripted world runs in its own"
)]

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::print;
use listproof::Progress;

/// Off a terminal, at most one line in this time.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// Shows the progress of one run.
pub(super) struct ProgressDisplay {
    is_quiet: bool,
    form: Form,
}

enum Form {
    /// Nothing is shown yet, or nothing any more.
    None,
    Bar(ProgressBar),
    /// When the last line was written.
    Lines(Instant),
}

impl ProgressDisplay {
    pub(super) fn new(is_quiet: bool) -> ProgressDisplay {
        ProgressDisplay { is_quiet, form: Form::None }
    }

    pub(super) fn show(&mut self, progress: Progress) {
        if self.is_quiet {
            return;
        }
        match progress {
            Progress::Probing { total, .. } if matches!(self.form, Form::None) && total > 0 => {
                self.form = begin(total);
            }
            Progress::Probing { total, done, connections } => match &mut self.form {
                Form::None => {}
                Form::Bar(bar) => {
                    bar.set_position(done);
                    bar.set_message(format!(", {connections} connections"));
                }
                Form::Lines(last) => {
                    if last.elapsed() >= LINE_EVERY {
                        *last = Instant::now();
                        print::to_stderr(&format!(
                            "{done}/{total} addresses done, {connections} connections open\n"
                        ));
                    }
                }
            },
            _ => self.clear(),
        }
    }

    fn clear(&mut self) {
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
        self.form = Form::None;
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        self.clear();
    }
}

fn begin(total: u64) -> Form {
    if !io::stderr().is_terminal() {
        return Form::Lines(Instant::now());
    }
    let style =
        ProgressStyle::with_template("{wide_bar} {pos}/{len} addresses, {elapsed} passed, {eta} to go{msg}");
    let bar = ProgressBar::new(total);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    Form::Bar(bar)
}
