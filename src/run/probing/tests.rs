//! What a fault of our own in a session does to a run.

use std::net::SocketAddr;

use super::*;
use crate::address::Address;
use crate::run::found::{Facts, Found};
use crate::run::intake::Intake;
use crate::run::told;
use crate::smtp::egress::Path;
use crate::smtp::wire::{Dial, Dialing};
use crate::state::recall::Recall;
use crate::world::World;

/// Two domains, each with an exchanger of its own.
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

/// Dials in a world, and has a fault of its own at one address.
struct Faulty(World);

impl Dial for Faulty {
    fn dial<'a>(&'a self, to: SocketAddr, path: &'a Path) -> Dialing<'a> {
        assert_ne!(to.ip().to_string(), "192.0.2.2", "the fault that this test is about");
        self.0.dial(to, path)
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_fails_inside_is_over_and_leaves_its_addresses_unknown() {
    let world = World::parse(WORLD).unwrap();
    let mut network = Network::scripted(world.clone());
    network.dial = Arc::new(Faulty(world));
    let policy = Policy::built_in();
    let job = Job {
        network: Arc::new(network),
        policy,
        dns_only: false,
        pace: Pace::Fast,
        max_wait: Duration::ZERO,
        max_duration: None,
        sessions: 10,
        trace: false,
    };
    let now = job.network.clock.now().wall;
    let mut state = State::temporary().unwrap();
    let run = state.begin("", "", false, now).unwrap();
    let addresses = ["jane@sound.example", "jane@broken.example", "joe@broken.example"];
    let mut arrivals = state.arrivals(run.id).unwrap();
    for address in addresses {
        arrivals.arrive(&Address::parse(address).unwrap()).unwrap();
    }
    arrivals.close(Fresh::nothing()).unwrap();

    let outcome =
        ask(&job, &mut state, run, Fresh::nothing(), Stop::never(), &mut Progress::Quiet).await.unwrap();

    let recall = Recall::of(state.reader().unwrap(), policy);
    let facts = Facts { recall, policy, run: run.id, fresh: Fresh::nothing(), news: None };
    let mut found = Found::of(facts, outcome.whole, now);
    let mut intake = Intake::new(policy.lists);
    let reasons = addresses.map(|address| {
        let record = told::record(&mut found, intake.look(address), false).unwrap();
        record.judgement.reason.word()
    });
    assert_eq!(reasons, ["accepted", "internal", "internal"]);
}
