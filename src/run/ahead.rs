//! Reads a list and looks at its addresses, on a thread of its own and a few batches ahead of whoever takes the rows.
//!
//! Decides: nothing. Rows come in their order, whatever thread did what. Must not: judge. Fails: where the reader or the
//! taker does.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use super::intake::{Intake, Seen};
use crate::error::Error;
use crate::list::batch::Batch;
use crate::list::{Entry, List, ListError, Rejected, Row};
use crate::policy::lists::Lists;

/// Batches that wait for their taker. More only cost memory.
const WAITING: usize = 4;

/// What comes next in a list, with what its address shows.
#[derive(Debug)]
pub enum Looked<'a> {
    /// A row.
    Row(Row<'a>, Seen),
    /// What can't be read.
    Rejected(Rejected),
}

/// Hands out everything in a list.
pub fn each(
    list: &List,
    lists: &'static Lists,
    mut take: impl FnMut(Looked<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let (send, batches) = sync_channel(WAITING);
    thread::scope(|threads| {
        threads.spawn(move || {
            if let Err(error) = read(list, lists, &send) {
                // Without a taker there is nobody to tell.
                let _ = send.send(Err(error));
            }
        });
        // Whatever ends this loop drops the receiver, and the reader's next send fails.
        for batch in batches {
            let (batch, seen): (Batch, Vec<Seen>) = batch?;
            let mut seen = seen.into_iter();
            for entry in batch.entries() {
                match entry {
                    Entry::Rejected(rejected) => take(Looked::Rejected(rejected))?,
                    // Each row was looked at when it was read.
                    Entry::Row(row) => seen.next().map_or(Ok(()), |seen| take(Looked::Row(row, seen)))?,
                }
            }
        }
        Ok(())
    })
}

type Sent = Result<(Batch, Vec<Seen>), ListError>;

fn read(list: &List, lists: &'static Lists, send: &SyncSender<Sent>) -> Result<(), ListError> {
    let mut intake = Intake::new(lists);
    let mut rows = list.rows()?;
    loop {
        let mut seen = Vec::new();
        let batch = Batch::fill(&mut rows, |address| seen.push(intake.look(address)))?;
        if batch.is_empty() || send.send(Ok((batch, seen))).is_err() {
            return Ok(());
        }
    }
}
