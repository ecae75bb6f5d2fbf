//! The scheduler in small random worlds, without sockets and without waiting: whatever the hosts do, it comes to its end,
//! keeps its manners, and nobody who exists is condemned.

mod checks;
mod hosts;
mod retired;
mod withdrawn;

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::address::{Address, Domain};
use crate::evidence::{DomainFacts, MailboxEvidence, ProbeResult, Recipient, RecipientId};
use crate::policy::{Provider, Providers};
use crate::smtp::Stage;
use checks::{Everybody, check_limits, check_verdicts};
use hosts::{Habit, World, habit};

const MINUTE: Duration = Duration::from_secs(60);
const ROUND_TRIP: Duration = Duration::from_millis(40);

/// An operator: the habits of its hosts, best first, and for each of its domains which of its listed mailboxes exist.
#[derive(Clone, Debug)]
struct Operator {
    known: bool,
    hosts: Vec<Habit>,
    domains: Vec<Vec<bool>>,
}

fn providers() -> impl Strategy<Value = Vec<Operator>> {
    let domains = prop::collection::vec(prop::collection::vec(any::<bool>(), 1..10), 1..4);
    let operator = (any::<bool>(), prop::collection::vec(habit(), 1..3), domains);
    let operator = operator.prop_map(|(known, hosts, domains)| Operator { known, hosts, domains });
    prop::collection::vec(operator, 1..4)
}

#[derive(Clone, Copy, Debug)]
struct Run {
    pace: Pace,
    max_wait: Duration,
    sockets: usize,
    /// After so many events it is stopped.
    stopped_after: Option<usize>,
    /// It is told that no more orders will come.
    close_job_source: bool,
    seed: u64,
}

fn run() -> impl Strategy<Value = Run> {
    let pace = prop_oneof![Just(Pace::Gentle), Just(Pace::Normal), Just(Pace::Fast)];
    let wait = prop_oneof![Just(0), Just(30), Just(600)];
    (pace, wait, 1usize..6, prop::option::of(0usize..60), any::<bool>(), any::<u64>()).prop_map(
        |(pace, wait, sockets, stopped_after, close_job_source, seed)| Run {
            pace,
            max_wait: MINUTE * wait,
            sockets,
            stopped_after,
            close_job_source,
            seed,
        },
    )
}

/// A scheduler at the start of a run.
fn scheduler(run: Run, world: &World) -> Scheduler {
    let limits = RunLimits {
        pace: run.pace,
        retry_policy: RetryPolicy { max_wait: run.max_wait },
        sessions: run.sockets,
        thresholds: Thresholds::built_in(),
        egresses: vec![IpFamilies::Both],
    };
    Scheduler::new(limits, fastrand::Rng::with_seed(run.seed), world.moment())
}

/// Plays it to its end.
fn play(providers: &[Operator], run: Run) -> World {
    let mut world = World::default();
    let mut scheduler = scheduler(run, &world);
    let mut providers: HashMap<String, Arc<Provider>> = HashMap::new();
    let mut listed = Everybody::new();
    for (n, operator) in (0u8..).zip(providers) {
        let stops: Vec<MxHop> = (0u8..)
            .zip(&operator.hosts)
            .map(|(place, _)| {
                let name = if operator.known {
                    format!("mx{place}-{n}.google.com")
                } else {
                    format!("mx{place}.op{n}.example")
                };
                let host = Domain::parse(&name).unwrap();
                MxHop {
                    provider: Providers::built_in().of(&host).clone(),
                    host,
                    addresses: vec![[192, 0, n, place].into()],
                }
            })
            .collect();
        for (place, habit) in (0u8..).zip(&operator.hosts) {
            let key = Scheduler::lane_key(&stops, &stops[usize::from(place)]).to_string();
            providers.insert(key.clone(), stops[usize::from(place)].provider.clone());
            world.habits.insert([192, 0, n, place].into(), (*habit, key));
        }
        let accepts_any = operator.hosts.contains(&Habit::CatchAll);
        for (d, mailboxes) in operator.domains.iter().enumerate() {
            let domain = Domain::parse(&format!("d{d}.op{n}.example")).unwrap();
            let mut entries = Vec::new();
            for (place, exists) in mailboxes.iter().enumerate() {
                let address = Address::parse(&format!("user{place}@{domain}")).unwrap();
                let target = RecipientId(i64::try_from(listed.len()).unwrap());
                if *exists {
                    world.exists.insert(address.to_string());
                }
                listed.insert(target, (address.clone(), *exists, accepts_any));
                entries.push(Recipient::from((target, address)));
            }
            let known = DomainFacts::default();
            let order = DomainJob { domain, mx_hosts: stops.clone(), listed: entries, known };
            scheduler.order(order, world.moment());
        }
    }
    if run.close_job_source {
        scheduler.close_job_source();
    }
    let settled = drive(&mut scheduler, &mut world, run);
    assert!(world.now < Duration::from_secs(3 * 86_400), "it took {:?}", world.now);
    assert_eq!(settled.len(), listed.len(), "everybody is settled");
    check_limits(&world, &providers, run.pace);
    check_verdicts(listed, settled);
    world
}

/// Lets the scheduler and the hosts talk until nothing is to come.
fn drive(scheduler: &mut Scheduler, world: &mut World, run: Run) -> HashMap<RecipientId, MailboxEvidence> {
    let mut settled = HashMap::new();
    for event in 0.. {
        assert!(event < 20_000, "it does not come to its end");
        while let Some(action) = scheduler.action() {
            match action {
                Action::Connection(ConnectionAction::Open(opening)) => {
                    world.open(&opening, run.pace, run.sockets)
                }
                Action::Connection(ConnectionAction::Send(session, batch)) => {
                    world.send_batch(session, &batch)
                }
                Action::Connection(ConnectionAction::Quit(session)) => world.end(session),
                Action::Completed(found) => {
                    for ProbeResult { target, mailbox, .. } in found {
                        assert!(settled.insert(target, *mailbox).is_none(), "settled twice");
                    }
                }
                Action::Revoked(address) => world.taken_back.push(address),
                Action::Record(_)
                | Action::DomainFactsChanged(..)
                | Action::WantsWork(_)
                | Action::Event(_) => {}
            }
        }
        if scheduler.is_idle() {
            break;
        }
        if run.stopped_after == Some(event) {
            scheduler.stop(NotProbedReason::Deadline, world.moment());
            continue;
        }
        let wake = scheduler.next_wake();
        let next = world.on_the_way.keys().next().map(|(at, _)| *at);
        let next_is_first = next.is_some_and(|next| wake.is_none_or(|wake| next <= wake));
        if next_is_first {
            let ((at, _), (session, heard)) = world.on_the_way.pop_first().unwrap();
            world.now = world.now.max(at);
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
fn a_session_that_nobody_waits_for_gives_its_socket_to_a_lane_that_lacks_one() {
    let operator = Operator { known: false, hosts: vec![Habit::Honest], domains: vec![vec![true, false]] };
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
};

#[test]
fn where_sockets_are_the_bound_a_lonely_address_holds_one_for_three_round_trips() {
    // To the greeting and EHLO, which are one here, and to the one flight.
    let operator = Operator { known: false, hosts: vec![Habit::Honest], domains: vec![vec![true]] };
    let took = play(&vec![operator; 100], HURRIED).now;
    let waves = 100 / 10;
    assert!(took <= ROUND_TRIP * 2 * waves + ROUND_TRIP, "{took:?}");
}

#[test]
fn a_new_session_goes_to_the_door_where_most_wait() {
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
fn nobody_needs_to_look_up_domains_while_many_operators_wait_for_a_socket() {
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
fn an_operator_that_takes_few_recipients_in_a_transaction_says_so_once() {
    let operator = Operator { known: true, hosts: vec![Habit::Takes(3)], domains: vec![vec![true; 40]; 5] };
    let too_many = play(&[operator], Run { sockets: 1, ..HURRIED }).too_many;
    // One flight of ten.
    assert!((1..=7).contains(&too_many), "{too_many}");
}

#[test]
fn who_is_refused_by_a_host_that_says_too_much_is_not_condemned() {
    for domains in [vec![vec![true]], vec![vec![true, true]]] {
        play(&[Operator { known: false, hosts: vec![Habit::Stutters], domains }], HURRIED);
    }
}

#[test]
fn a_closing_control_that_leaves_with_the_last_flight_clears_its_doubts() {
    // Of so many, the first is asked about with a made-up name, and the others are accepted after it.
    let mailboxes = vec![true; 12];
    let operator = Operator { known: false, hosts: vec![Habit::Honest], domains: vec![mailboxes] };
    let world = play(&[operator], HURRIED);
    let questions: Vec<usize> = world.asks.values().map(Vec::len).collect();
    assert_eq!(questions, [12 + 2], "twelve addresses, a made-up one and the closing one");
}

#[test]
fn a_few_addresses_need_no_closing_control_because_the_made_up_one_is_refused_last() {
    for mailboxes in [vec![true, true], vec![true, true, false, true]] {
        let listed = mailboxes.len();
        let operator = Operator { known: false, hosts: vec![Habit::Honest], domains: vec![mailboxes] };
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
    fn whatever_hosts_do_a_run_ends_keeps_its_manners_and_wrongs_nobody(providers in providers(), run in run()) {
        play(&providers, run);
    }
}
