//! A run with a fault of ours in a session or a look-up, and the time of a run whose servers do not slow it down.

mod name_service;

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::*;
use crate::address::{Address, Domain};
use crate::evidence::Timestamp;
use crate::policy::{Pace, Policy};
use crate::route::{Dns, DnsAnswer, LookupFuture, Mx};
use crate::run::analyze::Analyzer;
use crate::run::evidence_reader::{EvidenceReader, FactFilter, FactReader};
use crate::run::network::Network;
use crate::schedule::{SessionId, SessionOpening};
use crate::smtp::{Connect, ConnectFuture, EgressPath};
use crate::state::RunKey;
use crate::world::World;

/// Two domains, each with an MX host of its own.
const WORLD: &str = r#"
    [[domain]]
    name = "sound.example"
    mx = ["10 mx.sound.example"]
    mailboxes = ["jane"]
    [[domain]]
    name = "broken.example"
    mx = ["10 mx.broken.example"]
    mailboxes = ["jane"]
    [[host]]
    name = "mx.sound.example"
    address = ["192.0.2.1"]
    [[host]]
    name = "mx.broken.example"
    address = ["192.0.2.2"]
"#;

/// Connects to a scripted world, and panics at one address.
struct Faulty(World);

impl Connect for Faulty {
    fn connect<'a>(&'a self, to: SocketAddr, path: &'a EgressPath) -> ConnectFuture<'a> {
        assert_ne!(to.ip().to_string(), "192.0.2.2", "the fault that this test is about");
        self.0.connect(to, path)
    }
}

fn job(network: Network, policy: Policy, sessions: usize) -> ProbeJob {
    ProbeJob {
        network: Arc::new(network),
        policy,
        dns_only: false,
        pace: Pace::Fast,
        max_wait: Duration::ZERO,
        confirm: false,
        max_duration: None,
        deadline: None,
        sessions,
        trace: false,
    }
}

/// Looks up in a scripted world, and panics at one domain.
struct FaultyDns(World);

impl Dns for FaultyDns {
    fn mx<'a>(&'a self, domain: &'a Domain) -> LookupFuture<'a, DnsAnswer<Mx>> {
        assert_ne!(domain.as_str(), "broken.example", "the fault that this test is about");
        self.0.mx(domain)
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> LookupFuture<'a, DnsAnswer<IpAddr>> {
        self.0.addresses(host)
    }
}

/// The recipients of the runs with a fault; none may be left to a later run.
const ADDRESSES: [&str; 3] = ["jane@sound.example", "jane@broken.example", "joe@broken.example"];

async fn reasons(network: Network) -> [&'static str; 3] {
    let policy = Policy::built_in();
    let job = job(network, policy, 10);
    let now = job.network.clock.now().wall;
    let mut state = State::temporary().unwrap();
    let run = state.begin(&RunKey::default(), Duration::MAX, now, Duration::MAX).unwrap();
    let mut worklist = state.build_worklist(run.id).unwrap();
    for address in ADDRESSES {
        worklist.add(&Address::parse(address).unwrap()).unwrap();
    }
    worklist.finish(FreshnessPolicy::nothing()).unwrap();

    let outcome = probe(
        &job,
        &mut state,
        run,
        FreshnessPolicy::nothing(),
        &CancelToken::new(),
        &mut ProgressReporter::new(0, &mut |_| ()),
    )
    .await
    .unwrap();

    assert_eq!((state.still_to_probe(run.id).unwrap(), outcome.early_exit(&CancelToken::new())), (0, None));
    let filter = FactFilter { policy, run: run.id, fresh: FreshnessPolicy::nothing(), compared_run: None };
    let facts = FactReader::new(&state, filter).unwrap();
    let mut reader = EvidenceReader::new(facts, outcome.conditions, now);
    let mut analyzer = Analyzer::new(policy.lists);
    ADDRESSES.map(|address| {
        let result = judge::judge_row(&mut reader, analyzer.analyze(address), false).unwrap();
        result.judgment.reason.word()
    })
}

#[tokio::test(start_paused = true)]
async fn a_session_that_panics_leaves_its_recipients_unknown() {
    let world = World::parse(WORLD).unwrap();
    let mut network = Network::scripted(world.clone());
    network.connect = Arc::new(Faulty(world));
    assert_eq!(reasons(network).await, ["accepted", "internal", "internal"]);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_panics_leaves_its_recipients_unknown_and_none_to_a_later_run() {
    let world = World::parse(WORLD).unwrap();
    let mut network = Network::scripted(world.clone());
    network.dns = Arc::new(FaultyDns(world));
    assert_eq!(reasons(network).await, ["accepted", "internal", "internal"]);
}

#[tokio::test]
async fn a_session_from_an_egress_that_does_not_exist_is_lost() {
    let network = Network::scripted(World::parse(WORLD).unwrap());
    let egress = network.egresses.len();
    let (mut sessions, _events) = SessionTasks::new(Arc::new(network), false);
    let host = Domain::parse("mx.sound.example").unwrap();
    let provider = Policy::built_in().providers().of(&host).clone();
    let session = SessionId(1);
    let opening = SessionOpening {
        session,
        egress,
        host,
        address: [192, 0, 2, 1].into(),
        pipelining: true,
        tls: false,
        provider,
    };
    sessions.open(opening, Duration::ZERO);
    let fault = sessions.next_finished().await.unwrap().unwrap_err();
    assert_eq!(sessions.lost(fault.id()), Some(session));
}

/// An unknown provider without limits.
const OWN_HOSTS: &str = include_str!("../../../benches/own_hosts.toml");

#[tokio::test(start_paused = true)]
async fn a_run_that_is_not_slowed_down_takes_the_round_trips_of_its_batches_and_no_other_time() {
    // The routes of the last domains arrive when sessions are idle already, with acceptances that need a control.
    const DOMAINS: usize = 1000;
    let mut world = String::from(
        "dns_delay = \"60ms\"\n[[host]]\nname = \"mx{0..2}.own.example\"\nrtt = \"50ms\"\nthink = \"1ms\"\n",
    );
    for (from, to, catch_all) in [(0, DOMAINS * 9 / 10, false), (DOMAINS * 9 / 10, DOMAINS, true)] {
        write!(
            world,
            "[[domain]]\nname = \"d{{{from}..{}}}.example\"\nmx = [\"10 mx{{n%3}}.own.example\"]\n\
             mailboxes = [\"live{{0..9}}\"]\ncatch_all = {catch_all}\n",
            to - 1
        )
        .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test's own policy, in a folder of its own")]
    std::fs::write(folder.path().join("providers.toml"), OWN_HOSTS).unwrap();
    let network = Network::scripted(World::parse(&world).unwrap());
    let job = job(network, Policy::with_folder(folder.path()).unwrap(), 100);
    let begun = job.network.clock.now();
    let mut state = State::temporary().unwrap();
    let run = state.begin(&RunKey::default(), Duration::MAX, begun.wall, Duration::MAX).unwrap();
    let mut worklist = state.build_worklist(run.id).unwrap();
    for n in 0..10 * DOMAINS {
        let (row, domain) = (n / DOMAINS, n % DOMAINS);
        let name = if (row + domain) % 8 == 0 { "dead" } else { "live" };
        worklist.add(&Address::parse(&format!("{name}{row}@d{domain}.example")).unwrap()).unwrap();
    }
    worklist.finish(FreshnessPolicy::nothing()).unwrap();
    probe(
        &job,
        &mut state,
        run,
        FreshnessPolicy::nothing(),
        &CancelToken::new(),
        &mut ProgressReporter::new(0, &mut |_| ()),
    )
    .await
    .unwrap();
    let took = job.network.clock.now().elapsed.saturating_sub(begun.elapsed);
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_past_the_deadline_is_out_of_time() {
    let world = World::parse(WORLD).unwrap();
    let mut job = job(Network::scripted(world), Policy::built_in(), 1);
    let began = job.network.clock.now();
    let minute = Duration::from_secs(60);
    assert_eq!(job.time_left(began), None);
    job.deadline = Some(began.wall + 60 * minute);
    assert_eq!(job.time_left(began), Some(60 * minute));
    // By the clock of the run a minute has passed, by the time of day more or less.
    let after = |wall| Timestamp { elapsed: began.elapsed + minute, wall };
    assert_eq!(job.time_left(after(began.wall + 59 * minute)), Some(minute));
    assert_eq!(job.time_left(after(began.wall + 480 * minute)), Some(Duration::ZERO));
    assert_eq!(job.time_left(after(began.wall - 60 * minute)), Some(120 * minute), "it was set back");
    job.max_duration = Some(3 * minute);
    assert_eq!(job.time_left(after(began.wall)), Some(2 * minute));
    out_of_time(&job).await;
    assert_eq!(job.network.clock.now().elapsed, 3 * minute);
}
