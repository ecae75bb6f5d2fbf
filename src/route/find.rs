//! The walk from a domain to its exchangers: asks what [`super::plan`] needs to know.
//!
//! Decides: nothing. All addresses are asked for at once, so a domain costs two rounds of questions, however many
//! exchangers it has. Fails: as [`Route::Failed`].

use std::future::poll_fn;
use std::task::Poll;

use super::Route;
use super::dns::{Answering, Dns};
use super::plan::{self, Next};
use super::public::Allowed;
use crate::address::Domain;

/// Finds where a domain's mail goes.
pub async fn find(dns: &dyn Dns, domain: &Domain, allowed: &Allowed) -> Route {
    let invented = dns.invented().await;
    match plan::targets(domain, dns.mx(domain).await, &invented) {
        Next::Known(route) => route,
        Next::LookUp(targets) => {
            let questions = targets.hosts.iter().map(|target| dns.addresses(&target.host));
            let addresses = all(questions.collect()).await;
            plan::route(targets, addresses, allowed, &invented)
        }
    }
}

/// Waits for all of a few questions.
async fn all<T>(mut questions: Vec<Answering<'_, T>>) -> Vec<Result<T, super::dns::Miss>> {
    let mut answers: Vec<_> = questions.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (question, answer) in questions.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let Poll::Ready(ready) = question.as_mut().poll(cx)
            {
                *answer = Some(ready);
            }
        }
        if answers.iter().all(Option::is_some) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    answers.into_iter().flatten().collect()
}
