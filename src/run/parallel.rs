//! Reads a list, and lets threads work on its batches, a few batches ahead of the caller that takes the outcomes.
//!
//! Decides: how many workers a run has. Workers get batches in turn and return outcomes in the same turn, so outcomes
//! come in the order of the list, whichever thread was faster. Batches and outcomes are filled again and again: memory
//! that is in the cache of the processor is faster than fresh memory. Must not: judge. Fails: if reading the list, the
//! work, or taking an outcome does.

use std::iter::repeat_with;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use super::analyze::{AnalyzeOptions, Analyzer};
use crate::error::Error;
use crate::list::{List, ListError, RowBatch};
use crate::state::MOST_READERS;

/// The most batches that wait for a worker, and outcomes that wait to be taken. More only cost memory.
const WAITING: usize = 2;
/// More workers would wait for the thread that reads the list; and each worker needs a reader of the state.
const MOST_WORKERS: usize = MOST_READERS;

/// The number of workers if reading the list and taking outcomes keep one core busy.
pub(super) fn worker_count() -> usize {
    (cores() - 1).clamp(1, MOST_WORKERS)
}

/// The number of workers if reading the list and taking outcomes cost little beside the work.
pub(super) fn many_workers() -> usize {
    cores().min(MOST_WORKERS)
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// An analyzer for each worker.
pub(super) fn analyzers(how: &AnalyzeOptions) -> Vec<Analyzer> {
    repeat_with(|| Analyzer::new(how.clone())).take(worker_count()).collect()
}

/// Calls `work` for each batch of a list, on one thread for each of `workers`, and `take` for each outcome in the order
/// of the list. `work` may get an outcome that was taken before, and overwrites it.
pub(super) fn each<H: Send, T: Default + Send>(
    list: &List,
    workers: Vec<H>,
    work: impl Fn(&mut H, &RowBatch, &mut T) -> Result<(), Error> + Sync,
    mut take: impl FnMut(&mut T) -> Result<(), Error>,
) -> Result<(), Error> {
    let work = &work;
    thread::scope(|threads| {
        let (mut batch_senders, mut from_workers) = (Vec::new(), Vec::new());
        let (empty, emptied) = channel();
        for own in workers {
            let (batch_sender, batches) = sync_channel(WAITING);
            let (outcome_sender, outcomes) = sync_channel(WAITING);
            let (taken, reusable) = channel();
            batch_senders.push(batch_sender);
            from_workers.push((outcomes, taken));
            let empty = empty.clone();
            let channels = WorkerChannels { batches, empty, outcomes: outcome_sender, reusable };
            threads.spawn(move || worker(own, work, &channels));
        }
        threads.spawn(move || read(list, &batch_senders, &emptied));
        // The end of this loop drops the receivers: the next send of each worker fails, then that of the reader.
        for (outcomes, taken) in from_workers.iter().cycle() {
            let Ok(outcome) = outcomes.recv() else { break };
            let mut outcome = outcome?;
            take(&mut outcome)?;
            // A worker that has finished takes no more.
            let _ = taken.send(outcome);
        }
        Ok(())
    })
}

/// The channels of a worker.
struct WorkerChannels<T> {
    batches: Receiver<Result<RowBatch, ListError>>,
    /// Batches that the reader may fill again.
    empty: Sender<RowBatch>,
    outcomes: SyncSender<Result<T, Error>>,
    /// Outcomes that were taken and may be overwritten.
    reusable: Receiver<T>,
}

fn worker<H, T: Default>(
    mut own: H,
    work: impl Fn(&mut H, &RowBatch, &mut T) -> Result<(), Error>,
    channels: &WorkerChannels<T>,
) {
    for batch in &channels.batches {
        let outcome = batch.map_err(Error::from).and_then(|batch| {
            let mut outcome = channels.reusable.try_recv().unwrap_or_default();
            work(&mut own, &batch, &mut outcome)?;
            // A reader that has finished takes no more.
            let _ = channels.empty.send(batch);
            Ok(outcome)
        });
        if channels.outcomes.send(outcome).is_err() {
            return;
        }
    }
}

/// Reads the list and sends its batches to the workers in turn. The first worker without a further batch ends the loop
/// of [`each`].
fn read(list: &List, workers: &[SyncSender<Result<RowBatch, ListError>>], emptied: &Receiver<RowBatch>) {
    let mut turns = workers.iter().cycle();
    let mut send = |batch| turns.next().is_some_and(|worker| worker.send(batch).is_ok());
    let mut rows = match list.rows() {
        Ok(rows) => rows,
        Err(error) => {
            send(Err(error));
            return;
        }
    };
    loop {
        let mut batch = emptied.try_recv().unwrap_or_default();
        let filled = rows.fill(&mut batch);
        let is_last = filled.is_err() || batch.is_empty();
        // Sending fails once the loop of `each` has ended.
        if !send(filled.map(|()| batch)) || is_last {
            return;
        }
    }
}
