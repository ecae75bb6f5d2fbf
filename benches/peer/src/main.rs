//! The crate check-if-email-exists over a file of addresses, one per line, called as its own bulk mode does.
//!
//! `peer FILE IN_FLIGHT`: no gravatar, no other web service, SMTP on port 25, no retry. Prints each verdict's count.

use std::collections::BTreeMap;
use std::sync::Arc;

use check_if_email_exists::smtp::verif_method::VerifMethod;
use check_if_email_exists::{CheckEmailInput, check_email};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, in_flight] = &arguments[..] else { panic!("peer FILE IN_FLIGHT") };
    let room = Arc::new(Semaphore::new(in_flight.parse().expect("a number")));
    let method = VerifMethod::new_with_same_config_for_all(
        None,
        "probe.example.org".to_owned(),
        "list-check@example.org".to_owned(),
        25,
        None,
        1,
    );
    let mut checks = JoinSet::new();
    for address in std::fs::read_to_string(file).expect("a file of addresses").lines() {
        let input = CheckEmailInput {
            to_email: address.to_owned(),
            verif_method: method.clone(),
            ..CheckEmailInput::default()
        };
        let turn = room.clone().acquire_owned().await.expect("never closed");
        checks.spawn(async move {
            let found = check_email(&input).await.is_reachable;
            drop(turn);
            format!("{found:?}")
        });
    }
    let mut counts = BTreeMap::new();
    while let Some(verdict) = checks.join_next().await {
        *counts.entry(verdict.expect("no panic")).or_insert(0u64) += 1;
    }
    println!("{counts:?}");
}
