//! How far a job is, for a callback of its caller.

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Recipients are probed.
    Probing {
        /// Recipients of this job.
        total: u64,
        /// How many of them are done.
        done: u64,
        /// Connections open now.
        connections: usize,
    },
    /// Probing has ended; rows are judged and written.
    Writing,
}

/// Counts recipients and passes the count on.
pub struct ProgressReporter<'a> {
    total: u64,
    done: u64,
    callback: &'a mut (dyn FnMut(Progress) + Send),
}

impl ProgressReporter<'_> {
    /// Reports on so many recipients, beginning now.
    pub fn new(total: u64, callback: &mut (dyn FnMut(Progress) + Send)) -> ProgressReporter<'_> {
        callback(Progress::Probing { total, done: 0, connections: 0 });
        ProgressReporter { total, done: 0, callback }
    }

    /// So many more recipients are done; so many connections are open now.
    pub(crate) fn advance(&mut self, recipients: u64, connections: usize) {
        self.done += recipients;
        (self.callback)(Progress::Probing { total: self.total, done: self.done, connections });
    }
}
