//! Reads a list and has its rows worked on by other threads, a few batches ahead of whoever takes the outcomes.
//!
//! Decides: nothing. Batches are dealt to the workers in turn and taken back in the same turn, so outcomes come in the
//! order of the list, whichever thread was faster. Must not: judge. Fails: where the reader or the taker does.

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::intake::{Intake, Look};
use crate::error::Error;
use crate::list::batch::Batch;
use crate::list::{List, ListError};

/// Batches that wait for a worker, and outcomes that wait for their taker. More only cost memory.
const WAITING: usize = 2;
/// More than so many workers would wait for the reader.
const MOST_WORKERS: usize = 6;

/// What each worker works with, one for each that can work at once.
pub fn hands<H, E>(make: impl FnMut() -> Result<H, E>) -> Result<Vec<H>, E> {
    // Reading and taking together are as much work as one worker has.
    let workers = thread::available_parallelism().map_or(1, |cores| (cores.get() - 1).clamp(1, MOST_WORKERS));
    std::iter::repeat_with(make).take(workers).collect()
}

/// What each worker needs to look at addresses.
pub fn intakes(how: Look) -> Vec<Intake> {
    hands(|| Ok::<_, Infallible>(Intake::new(how))).unwrap_or_default()
}

/// Does `work` on each batch of a list on other threads, one for each of the `hands`, and hands the outcomes to `take` in
/// the order of the list.
pub fn each<H: Send, T: Send>(
    list: &List,
    hands: Vec<H>,
    work: impl Fn(&mut H, &Batch) -> T + Sync,
    mut take: impl FnMut(T) -> Result<(), Error>,
) -> Result<(), Error> {
    let work = &work;
    thread::scope(|threads| {
        let (mut dealt, mut done) = (Vec::new(), Vec::new());
        for hand in hands {
            let (deal, batches) = sync_channel(WAITING);
            let (give, outcomes) = sync_channel(WAITING);
            dealt.push(deal);
            done.push(outcomes);
            threads.spawn(move || worker(hand, work, &batches, &give));
        }
        threads.spawn(move || read(list, &dealt));
        // Whatever ends this loop drops the receivers: the workers' next gifts fail, then the reader's.
        for outcomes in done.iter().cycle() {
            match outcomes.recv() {
                Ok(outcome) => take(outcome?)?,
                Err(_) => break,
            }
        }
        Ok(())
    })
}

fn worker<H, T>(
    mut hand: H,
    work: impl Fn(&mut H, &Batch) -> T,
    batches: &Receiver<Result<Batch, ListError>>,
    give: &SyncSender<Result<T, ListError>>,
) {
    for batch in batches {
        if give.send(batch.map(|batch| work(&mut hand, &batch))).is_err() {
            return;
        }
    }
}

/// Deals the batches. The first worker that gets no more ends the taking.
fn read(list: &List, dealt: &[SyncSender<Result<Batch, ListError>>]) {
    let mut turns = dealt.iter().cycle();
    let mut deal = |batch| turns.next().is_some_and(|worker| worker.send(batch).is_ok());
    let mut rows = match list.rows() {
        Ok(rows) => rows,
        Err(error) => {
            deal(Err(error));
            return;
        }
    };
    loop {
        let batch = Batch::fill(&mut rows);
        let is_last = batch.as_ref().map_or(true, Batch::is_empty);
        // Nobody takes when the taker gave up.
        if !deal(batch) || is_last {
            return;
        }
    }
}
