//! The scheduler in small random worlds, without sockets and without waiting: whatever the hosts do, it comes to its end,
//! keeps its manners, and nobody who exists is condemned.

mod checks;
mod faults;
mod habits;
mod hosts;
mod play;
mod retired;
mod withdrawn;

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::address::{Address, Domain};
use crate::evidence::{DomainFacts, MailboxEvidence, ProbeResult, Recipient, RecipientId};
use crate::policy::Providers;
use crate::smtp::Stage;
use habits::Habit;
use hosts::World;
use play::{EGRESSES, Operator, Run, play, providers, run};

const MINUTE: Duration = Duration::from_secs(60);
const ROUND_TRIP: Duration = Duration::from_millis(40);

/// A scheduler at the start of a run.
fn scheduler(run: Run, world: &World) -> Scheduler {
    let limits = RunLimits {
        pace: run.pace,
        retry_policy: RetryPolicy { max_wait: run.max_wait },
        sessions: run.sockets,
        thresholds: Thresholds::built_in(),
        egresses: run.egresses.to_vec(),
    };
    Scheduler::new(limits, fastrand::Rng::with_seed(run.seed), world.moment())
}

/// Lets the scheduler and the hosts talk until nothing is to come.
fn drive(scheduler: &mut Scheduler, world: &mut World, run: Run) -> HashMap<RecipientId, MailboxEvidence> {
    let (mut settled, mut events_after_all) = (HashMap::new(), 0);
    for event in 0.. {
        assert!(event < 20_000, "it does not come to its end");
        if world.orders.is_empty() && run.close_job_source {
            scheduler.close_job_source();
        }
        while let Some(action) = scheduler.action() {
            match action {
                Action::Connection(ConnectionAction::Open(opening)) => world.open(&opening, run),
                Action::Connection(ConnectionAction::Send(session, batch)) => {
                    world.send_batch(session, &batch)
                }
                Action::Connection(ConnectionAction::Quit(session)) => world.end(session),
                Action::Completed(found) => {
                    for ProbeResult { id: target, mailbox, .. } in found {
                        assert!(settled.insert(target, *mailbox).is_none(), "settled twice");
                        world.settled_at.insert(target, world.now);
                    }
                }
                Action::Revoked(address) => {
                    if let Some(known) = address.domain().and_then(|domain| world.learnt.get_mut(domain)) {
                        known.mx_hosts.clear();
                    }
                    world.taken_back.push(address);
                }
                Action::DomainFactsChanged(domain, known) => {
                    world.learnt.entry(domain).or_default().merge(known)
                }
                Action::Record(_) | Action::WantsWork(_) | Action::Event(_) => {}
            }
        }
        if scheduler.is_idle() && world.orders.is_empty() {
            break;
        }
        // Where connections are opened without end for nobody (see `faults`), the rest of the checks is still worth something.
        let is_after_all = scheduler.open_tasks == 0 && world.orders.is_empty();
        events_after_all += usize::from(is_after_all);
        if events_after_all > 1_000 {
            world.never_ends = true;
            break;
        }
        if run.stopped_after == Some(event) {
            scheduler.stop(NotProbedReason::Deadline, world.moment());
            continue;
        }
        if run.stopped_after.is_some_and(|stopped| stopped < event) && scheduler.is_idle() {
            break;
        }
        let order = world
            .orders
            .front()
            .map(|(at, _)| *at)
            .filter(|_| run.stopped_after.is_none_or(|stopped| event < stopped));
        let wake = scheduler.next_wake();
        let next = world.on_the_way.keys().next().map(|(at, _)| *at);
        let is_first = |at: Option<Duration>, others: [Option<Duration>; 2]| {
            at.is_some_and(|at| others.into_iter().flatten().all(|other| at <= other))
        };
        if is_first(order, [next, wake]) {
            let (at, DomainJob { domain, mx_hosts, listed, mut known }) = world.orders.pop_front().unwrap();
            if let Some(learnt) = world.learnt.get(&domain) {
                known.merge(learnt.clone());
            }
            world.now = world.now.max(at);
            scheduler.order(DomainJob { domain, mx_hosts, listed, known }, world.moment());
        } else if is_first(next, [wake, None]) {
            let ((at, _), (session, heard)) = world.on_the_way.pop_first().unwrap();
            world.now = world.now.max(at);
            world.note(session, &heard);
            if matches!(heard, SessionEvent::Rejected(_) | SessionEvent::Ended(_) | SessionEvent::TlsFailed) {
                world.sessions.remove(&session);
                world.on_the_way.retain(|_, (other, _)| *other != session);
            }
            scheduler.hear(session, heard, world.moment());
        } else {
            let Some(wake) = wake else { panic!("nothing is to come, and {} are settled", settled.len()) };
            world.now = world.now.max(wake);
            scheduler.wake(world.moment());
        }
    }
    settled
}

#[test]
fn an_idle_session_gives_its_socket_to_a_lane_that_lacks_one() {
    let operator = Operator {
        known: false,
        hosts: vec![Habit::Honest],
        domains: vec![vec![true, false]],
        ..Operator::default()
    };
    let took = play(&vec![operator; 20], Run { sockets: 1, ..HURRIED }).now;
    assert!(took < 20 * LINGER / 2, "{took:?}");
}

/// A run for which sockets are the bound.
const HURRIED: Run = Run {
    pace: Pace::Fast,
    max_wait: Duration::ZERO,
    sockets: 10,
    stopped_after: None,
    close_job_source: true,
    seed: 1,
    egresses: EGRESSES[0],
    gap: Duration::ZERO,
};

#[test]
fn where_sockets_are_the_bound_a_lonely_address_holds_one_for_three_round_trips() {
    // To the greeting and EHLO, which are one here, and to the one flight.
    let operator = Operator {
        known: false,
        hosts: vec![Habit::Honest],
        domains: vec![vec![true]],
        ..Operator::default()
    };
    let took = play(&vec![operator; 100], HURRIED).now;
    let waves = 100 / 10;
    assert!(took <= ROUND_TRIP * 2 * waves + ROUND_TRIP, "{took:?}");
}

#[test]
fn a_new_session_goes_to_the_endpoint_with_the_longest_queue() {
    let mut world = World::default();
    let mut scheduler = scheduler(HURRIED, &world);
    let host = Domain::parse("mx.google.com").unwrap();
    for (n, addresses) in [(0u8, 1), (1, 1), (2, 10)] {
        let domain = Domain::parse(&format!("d{n}.example")).unwrap();
        let address = |place| Address::parse(&format!("user{place}@{domain}")).unwrap();
        let targets = (0..addresses).map(|place| (RecipientId(i64::from(n) * 100 + place), address(place)));
        let listed = targets.map(Recipient::from).collect();
        let provider = Providers::built_in().of(&host).clone();
        let stop = MxHop { host: host.clone(), addresses: vec![[192, 0, 2, n].into()], provider };
        let order = DomainJob { domain, mx_hosts: vec![stop], listed, known: DomainFacts::default() };
        scheduler.order(order, world.moment());
    }
    let mut opened = Vec::new();
    while opened.len() < 3 {
        match scheduler.action() {
            Some(Action::Connection(ConnectionAction::Open(opening))) => {
                opened.push(opening.address.to_string())
            }
            Some(_) => {}
            None => {
                world.now = scheduler.next_wake().unwrap();
                scheduler.wake(world.moment());
            }
        }
    }
    assert_eq!(opened, ["192.0.2.0", "192.0.2.2", "192.0.2.1"]);
}

#[test]
fn no_domain_needs_to_be_looked_up_while_many_providers_wait_for_a_socket() {
    let mut world = World::default();
    let mut scheduler = scheduler(Run { sockets: 1, ..HURRIED }, &world);
    for n in 0..30u8 {
        let host = Domain::parse(&format!("mx.d{n}.example")).unwrap();
        let domain = Domain::parse(&format!("d{n}.example")).unwrap();
        world.habits.insert([192, 0, 2, n].into(), (Habit::Honest, host.to_string()));
        let address = Address::parse(&format!("user@{domain}")).unwrap();
        let listed = vec![Recipient::from((RecipientId(n.into()), address))];
        let provider = Providers::built_in().of(&host).clone();
        let stop = MxHop { host, addresses: vec![[192, 0, 2, n].into()], provider };
        scheduler.order(
            DomainJob { domain, mx_hosts: vec![stop], listed, known: DomainFacts::default() },
            world.moment(),
        );
        assert_eq!(scheduler.is_crowded(), n >= 20, "one has the socket, {n} wait");
    }
    assert_eq!(drive(&mut scheduler, &mut world, HURRIED).len(), 30);
    assert!(!scheduler.is_crowded());
}

#[test]
fn a_provider_that_takes_few_recipients_in_a_transaction_says_so_once() {
    let operator = Operator {
        known: true,
        hosts: vec![Habit::Takes(3)],
        domains: vec![vec![true; 40]; 5],
        ..Operator::default()
    };
    let too_many = play(&[operator], Run { sockets: 1, ..HURRIED }).too_many;
    // One flight of ten.
    assert!((1..=7).contains(&too_many), "{too_many}");
}

#[test]
fn a_rejection_in_a_session_that_is_out_of_step_makes_no_row_undeliverable() {
    for domains in [vec![vec![true]], vec![vec![true, true]]] {
        play(
            &[Operator { known: false, hosts: vec![Habit::Stutters], domains, ..Operator::default() }],
            HURRIED,
        );
    }
}

#[test]
fn a_closing_control_that_leaves_with_the_last_batch_confirms_its_acceptances() {
    // Of so many, the first is asked about with a made-up name, and the others are accepted after it.
    let mailboxes = vec![true; 12];
    let operator = Operator {
        known: false,
        hosts: vec![Habit::Honest],
        domains: vec![mailboxes],
        ..Operator::default()
    };
    let world = play(&[operator], HURRIED);
    let questions: Vec<usize> = world.asks.values().map(Vec::len).collect();
    assert_eq!(questions, [12 + 2], "twelve addresses, a made-up one and the closing one");
}

#[test]
fn a_few_recipients_need_no_closing_control_because_the_random_one_is_rejected_last() {
    for mailboxes in [vec![true, true], vec![true, true, false, true]] {
        let listed = mailboxes.len();
        let operator = Operator {
            known: false,
            hosts: vec![Habit::Honest],
            domains: vec![mailboxes],
            ..Operator::default()
        };
        let world = play(&[operator], HURRIED);
        let questions: Vec<usize> = world.asks.values().map(Vec::len).collect();
        assert_eq!(
            (questions, world.connection_pacer.values().map(Vec::len).sum::<usize>()),
            (vec![listed + 1], 1),
            "{listed}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_mx_hosts_do_a_run_ends_keeps_its_limits_and_gives_no_false_verdict(providers in providers(), run in run()) {
        play(&providers, run);
    }
}
