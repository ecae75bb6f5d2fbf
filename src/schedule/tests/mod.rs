//! The scheduler with small random MX hosts, without sockets and without waiting: whatever the hosts do, the run
//! ends, keeps its limits, and gives no false verdict.

mod checks;
mod evicted;
mod faults;
mod habits;
mod hosts;
mod machines;
mod play;
mod revoked;
mod turns;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::limits::DAY;
use super::{
    Action, ConnectionAction, DomainJob, MxHop, RunLimits, Scheduler, SessionEvent, SessionId, SessionOpening,
};
use crate::address::{Address, Domain};
use crate::evidence::{
    DomainFacts, MailboxEvidence, NotProbedReason, ProbeResult, Recipient, RecipientId, Timestamp,
};
use crate::policy::{Pace, Providers, RetryPolicy, Thresholds};
use crate::smtp::{IpFamilies, Stage};
use habits::Habit;
use hosts::World;
use play::{DrawnProvider, EGRESSES, Run, drive, play, providers, run, scheduler};

const MINUTE: Duration = Duration::from_secs(60);
const ROUND_TRIP: Duration = Duration::from_millis(40);

/// A run that is limited by its sockets.
const SOCKET_BOUND: Run = Run {
    pace: Pace::Fast,
    max_wait: Duration::ZERO,
    sockets: 10,
    confirm: false,
    stopped_after: None,
    job_source_closed: true,
    seed: 1,
    egresses: EGRESSES[0],
    gap: Duration::ZERO,
};

/// An unknown provider with one host and one domain; `mailboxes` says which of its recipients exist.
fn one_host(habit: Habit, mailboxes: Vec<bool>) -> DrawnProvider {
    DrawnProvider { known: false, hosts: vec![habit], domains: vec![mailboxes], ..DrawnProvider::default() }
}

/// A job for a domain at one MX host, which has one IP address.
fn job(domain: &str, host: &str, address: [u8; 4], recipients: Vec<Recipient>) -> DomainJob {
    let (domain, host) = (Domain::parse(domain).unwrap(), Domain::parse(host).unwrap());
    let provider = Providers::built_in().of(&host).clone();
    let mx_hosts = vec![MxHop { host, addresses: vec![address.into()], provider }];
    DomainJob { domain, mx_hosts, recipients, facts: DomainFacts::default() }
}

/// A recipient by its id and address.
fn recipient(id: i64, address: &str) -> Recipient {
    Recipient::from((RecipientId(id), Address::parse(address).unwrap()))
}

#[test]
fn an_idle_session_gives_its_socket_to_a_lane_that_lacks_one() {
    let provider = one_host(Habit::Honest, vec![true, false]);
    let took = play(&vec![provider; 20], Run { sockets: 1, ..SOCKET_BOUND }).now;
    assert!(took < 20 * Thresholds::built_in().idle.timeout() / 2, "{took:?}");
}

#[test]
fn where_sockets_are_the_bound_a_lonely_address_holds_one_for_three_round_trips() {
    // To the greeting and EHLO, which are one here, and to the one batch.
    let provider = one_host(Habit::Honest, vec![true]);
    let took = play(&vec![provider; 100], SOCKET_BOUND).now;
    let waves = 100 / 10;
    assert!(took <= ROUND_TRIP * 2 * waves + ROUND_TRIP, "{took:?}");
}

#[test]
fn a_new_session_goes_to_the_endpoint_with_the_longest_queue() {
    let mut world = World::default();
    let mut scheduler = scheduler(SOCKET_BOUND, &world);
    for (n, recipients) in [(0u8, 1), (1, 1), (2, 10)] {
        let one = |i| recipient(i64::from(n) * 100 + i, &format!("user{i}@d{n}.example"));
        let recipients = (0..recipients).map(one).collect();
        let job = job(&format!("d{n}.example"), "mx.google.com", [192, 0, 2, n], recipients);
        scheduler.submit(job, world.timestamp());
    }
    let mut opened = Vec::new();
    while opened.len() < 3 {
        match scheduler.next_action() {
            Some(Action::Connection(ConnectionAction::Open(opening))) => {
                opened.push(opening.address.to_string());
            }
            Some(_) => {}
            None => {
                world.now = scheduler.next_wake().unwrap();
                scheduler.wake(world.timestamp());
            }
        }
    }
    assert_eq!(opened, ["192.0.2.0", "192.0.2.2", "192.0.2.1"]);
}

#[test]
fn no_domain_needs_to_be_looked_up_while_many_providers_wait_for_a_socket() {
    let mut world = World::default();
    let mut scheduler = scheduler(Run { sockets: 1, ..SOCKET_BOUND }, &world);
    for n in 0..30u8 {
        let (domain, host) = (format!("d{n}.example"), format!("mx.d{n}.example"));
        let recipients = vec![recipient(n.into(), &format!("user@{domain}"))];
        let job = job(&domain, &host, [192, 0, 2, n], recipients);
        world.habits.insert([192, 0, 2, n].into(), (Habit::Honest, host));
        scheduler.submit(job, world.timestamp());
        assert_eq!(scheduler.is_short_of_sockets(), n >= 20, "one has the socket, {n} wait");
    }
    assert_eq!(drive(&mut scheduler, &mut world, SOCKET_BOUND).len(), 30);
    assert!(!scheduler.is_short_of_sockets());
}

#[test]
fn a_provider_that_takes_few_recipients_in_a_transaction_says_so_once() {
    let provider = DrawnProvider {
        known: true,
        hosts: vec![Habit::Takes(3)],
        domains: vec![vec![true; 40]; 5],
        ..DrawnProvider::default()
    };
    let too_many = play(&[provider], Run { sockets: 1, ..SOCKET_BOUND }).too_many;
    // One batch of ten.
    assert!((1..=7).contains(&too_many), "{too_many}");
}

#[test]
fn a_rejection_in_a_session_that_is_out_of_step_makes_no_row_undeliverable() {
    for mailboxes in [vec![true], vec![true, true]] {
        play(&[one_host(Habit::Stutters, mailboxes)], SOCKET_BOUND);
    }
}

#[test]
fn a_closing_control_that_leaves_with_the_last_batch_confirms_its_acceptances() {
    // So many that the first recipient is probed with a random one, and the others are accepted after it.
    let world = play(&[one_host(Habit::Honest, vec![true; 12])], SOCKET_BOUND);
    let probes: Vec<usize> = world.probes.values().map(Vec::len).collect();
    assert_eq!(probes, [12 + 2], "twelve recipients, the negative control and the closing control");
}

#[test]
fn a_few_recipients_need_no_closing_control_because_the_random_one_is_rejected_last() {
    for mailboxes in [vec![true, true], vec![true, true, false, true]] {
        let recipients = mailboxes.len();
        let world = play(&[one_host(Habit::Honest, mailboxes)], SOCKET_BOUND);
        let probes: Vec<usize> = world.probes.values().map(Vec::len).collect();
        let connections: usize = world.connections.values().map(Vec::len).sum();
        assert_eq!((probes, connections), (vec![recipients + 1], 1), "{recipients}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_mx_hosts_do_a_run_ends_keeps_its_limits_and_gives_no_false_verdict(providers in providers(), run in run()) {
        play(&providers, run);
    }
}

#[test]
fn a_host_that_sheds_all_but_one_recipient_a_minute_costs_no_more_than_its_pace() {
    let provider = DrawnProvider {
        known: false,
        hosts: vec![Habit::Sheds(1)],
        domains: vec![vec![false, false, false, false, false, true, false, false], vec![false, false]],
        ..DrawnProvider::default()
    };
    let probes = play(&[provider], Run { max_wait: MINUTE * 30, ..SOCKET_BOUND }).probes;
    // Ten recipients and their controls; each is probed three times at most on average.
    assert!(probes.values().map(Vec::len).sum::<usize>() <= 60, "{probes:?}");
}
