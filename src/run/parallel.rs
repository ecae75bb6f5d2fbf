//! Reads a list and has its rows worked on by other threads, a few batches ahead of whoever takes the outcomes.
//!
//! Decides: nothing. Batches are dealt to the workers in turn and taken back in the same turn, so outcomes come in the
//! order of the list, whichever thread was faster. What was taken goes back to be filled again: memory that is at hand is
//! worth more than memory that the system has to find. Must not: judge. Fails: where the reader or the taker does.

use std::iter::repeat_with;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use super::analyze::{AnalyzeOptions, Analyzer};
use crate::error::Error;
use crate::list::{List, ListError, RowBatch};

/// Batches that wait for a worker, and outcomes that wait for their taker. More only cost memory.
const WAITING: usize = 2;
/// More than so many workers would wait for the reader.
const MOST_WORKERS: usize = 6;

/// How many can work at once, where reading and taking together are as much work as one worker has.
pub(super) fn worker_count() -> usize {
    (cores() - 1).clamp(1, MOST_WORKERS)
}

/// The same for work beside which reading and taking are little.
pub(super) fn many_workers() -> usize {
    cores().min(MOST_WORKERS)
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// What each worker needs to look at addresses.
pub(super) fn analyzers(how: AnalyzeOptions) -> Vec<Analyzer> {
    repeat_with(|| Analyzer::new(how)).take(worker_count()).collect()
}

/// Does `work` on each batch of a list on other threads, one for each of the `worker_count`, and hands the outcomes to `take` in
/// the order of the list.
///
/// `work` may get an outcome that was taken, and overwrites it.
pub(super) fn each<H: Send, T: Default + Send>(
    list: &List,
    worker_count: Vec<H>,
    work: impl Fn(&mut H, &RowBatch, &mut T) -> Result<(), Error> + Sync,
    mut take: impl FnMut(&mut T) -> Result<(), Error>,
) -> Result<(), Error> {
    let work = &work;
    thread::scope(|threads| {
        let (mut all_channels, mut done) = (Vec::new(), Vec::new());
        let (empty, emptied) = channel();
        for hand in worker_count {
            let (deal, batches) = sync_channel(WAITING);
            let (give, outcomes) = sync_channel(WAITING);
            let (taken, back) = channel();
            all_channels.push(deal);
            done.push((outcomes, taken));
            let empty = empty.clone();
            threads.spawn(move || worker(hand, work, &WorkerChannels { batches, empty, give, back }));
        }
        threads.spawn(move || read(list, &all_channels, &emptied));
        // Whatever ends this loop drops the receivers: the workers' next gifts fail, then the reader's.
        for (outcomes, taken) in done.iter().cycle() {
            let Ok(outcome) = outcomes.recv() else { break };
            let mut outcome = outcome?;
            take(&mut outcome)?;
            // A worker that is done needs nothing more.
            let _ = taken.send(outcome);
        }
        Ok(())
    })
}

/// What a worker gets and gives.
struct WorkerChannels<T> {
    batches: Receiver<Result<RowBatch, ListError>>,
    /// Back to the reader.
    empty: Sender<RowBatch>,
    give: SyncSender<Result<T, Error>>,
    /// From the taker.
    back: Receiver<T>,
}

fn worker<H, T: Default>(
    mut hand: H,
    work: impl Fn(&mut H, &RowBatch, &mut T) -> Result<(), Error>,
    channels: &WorkerChannels<T>,
) {
    for batch in &channels.batches {
        let outcome = batch.map_err(Error::from).and_then(|batch| {
            let mut outcome = channels.back.try_recv().unwrap_or_default();
            work(&mut hand, &batch, &mut outcome)?;
            // A reader that is done needs nothing more.
            let _ = channels.empty.send(batch);
            Ok(outcome)
        });
        if channels.give.send(outcome).is_err() {
            return;
        }
    }
}

/// Deals the batches. The first worker that gets no more ends the taking.
fn read(list: &List, all_channels: &[SyncSender<Result<RowBatch, ListError>>], emptied: &Receiver<RowBatch>) {
    let mut turns = all_channels.iter().cycle();
    let mut deal = |batch| turns.next().is_some_and(|channels| channels.send(batch).is_ok());
    let mut rows = match list.rows() {
        Ok(rows) => rows,
        Err(error) => {
            deal(Err(error));
            return;
        }
    };
    loop {
        let mut batch = emptied.try_recv().unwrap_or_default();
        let filled = rows.fill(&mut batch);
        let is_last = filled.is_err() || batch.is_empty();
        // Nobody takes when the taker gave up.
        if !deal(filled.map(|()| batch)) || is_last {
            return;
        }
    }
}
