//! Waits for several checks at the same time, and for each not longer than it may take.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

use super::check::{CheckStatus, Finding};

/// The results of all futures, in their order.
pub(super) async fn join_all<T>(mut futures: Vec<Pin<Box<impl Future<Output = T>>>>) -> Vec<T> {
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let Poll::Ready(ready) = future.as_mut().poll(cx)
            {
                *result = Some(ready);
            }
        }
        if results.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}

/// The finding of a check, or that it took too long.
pub(super) async fn within(time: Duration, check: impl Future<Output = Finding>) -> Finding {
    timeout(time, check).await.unwrap_or_else(|_| {
        let sentence = format!("Not known: no answer in time ({} s).", time.as_secs());
        Finding::new(CheckStatus::CouldNotConfirm, sentence)
            .fix("Ask again later, or name another resolver with --dns ADDR:PORT.")
    })
}
