//! The preflight in scripted worlds, as if they were the Internet.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::address::Address;
use crate::error::Exit;
use crate::policy::{Blocklists, Pace, Policy};
use crate::run::network::Network;
use crate::state::{FreshnessPolicy, RunKey};
use crate::world::World;

/// Four domains at four providers; `{connect}` is what happens to connections.
const WORLD: &str = r#"
    [[domain]]
    name = "d{1..4}.example"
    mx = ["10 mx.p{n}.example"]
    [[host]]
    name = "mx.p1.example"
    {connect}
    [[host]]
    name = "mx.p2.example"
    {connect}
    [[host]]
    name = "mx.p3.example"
    {connect}
    [[host]]
    name = "mx.p4.example"
    {connect}
    [[domain]]
    name = "2.0.0.127.bl.example.net"
    address = ["127.0.0.2"]
"#;

const LIST: &str = r#"
    [[list]]
    id = "one"
    zone = "bl.example.net"
    lists = ["ipv4"]
    asked = "always"
    rejects = true
    remove = "ask at bl.example.net"
    source = "a test"
"#;

struct Lab {
    world: World,
    job: ProbeJob,
    state: State,
    run: RunId,
}

fn lab(connect: &str, more: &str) -> Lab {
    let world = World::parse(&(WORLD.replace("{connect}", connect) + more)).unwrap();
    let network = Network::scripted(world.clone());
    let policy = Policy::built_in().with_blocklists(Blocklists::none().with("lists.toml", LIST).unwrap());
    let job = ProbeJob {
        network: Arc::new(network),
        policy,
        dns_only: false,
        confirm: false,
        pace: Pace::Normal,
        max_wait: Duration::ZERO,
        max_duration: None,
        deadline: None,
        sessions: 10,
        trace: false,
    };
    let now = job.network.clock.now().wall;
    let mut state = State::temporary().unwrap();
    let run = state.begin(&RunKey::default(), Duration::MAX, now, Duration::MAX).unwrap().id;
    let mut worklist = state.build_worklist(run).unwrap();
    for n in 1..=4 {
        worklist.add(&Address::parse(&format!("jane@d{n}.example")).unwrap()).unwrap();
    }
    worklist.finish(FreshnessPolicy::nothing()).unwrap();
    Lab { world, job, state, run }
}

impl Lab {
    async fn check(&mut self, force: bool, lab: LabExemptions) -> Result<Vec<String>, Error> {
        Preflight { force, key: None, lab }.check(&self.job, &mut self.state, self.run).await
    }

    fn sessions(&self) -> u64 {
        self.world.observed().hosts.values().map(|host| host.sessions).sum()
    }
}

const INTERNET: LabExemptions = LabExemptions { has_own_port: false, has_own_dns: false };

#[tokio::test(start_paused = true)]
async fn a_run_without_a_fault_begins_after_one_visit_and_the_next_after_none() {
    let mut lab = lab("", "");
    assert_eq!(lab.check(false, INTERNET).await.unwrap(), Vec::<String>::new());
    assert_eq!(lab.sessions(), 1);
    lab.check(false, INTERNET).await.unwrap();
    assert_eq!(lab.sessions(), 1, "it counts for an hour");
}

#[tokio::test(start_paused = true)]
async fn a_closed_port_stops_a_run_and_force_does_not() {
    let mut lab = lab("connect = \"timeout\"", "");
    let error = lab.check(false, INTERNET).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Blocked);
    assert!(error.to_string().contains("smtp.port25: Port 25 is closed"), "{error}");
    assert!(error.hint().unwrap().contains("--force"), "{:?}", error.hint());
    assert_eq!(lab.check(true, INTERNET).await.unwrap(), ["smtp.port25"]);
    let elsewhere = LabExemptions { has_own_port: true, ..INTERNET };
    assert_eq!(lab.check(false, elsewhere).await.unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_helo_name_without_an_address_stops_a_run_unless_its_whole_domain_is_unknown_to_a_lab() {
    let own_dns = LabExemptions { has_own_dns: true, ..INTERNET };
    let unknown = "[[domain]]\nname = \"probe.example.org\"\n";
    let mut known = lab("", unknown);
    for exemptions in [INTERNET, own_dns] {
        let error = known.check(false, exemptions).await.unwrap_err();
        assert!(error.to_string().contains("smtp.helo: probe.example.org has no address record"), "{error}");
    }
    let mut failing = lab("", &format!("{unknown}fault = \"servfail\"\n"));
    assert!(failing.check(false, INTERNET).await.is_ok(), "a failed look-up is no missing record");
    let mut foreign = lab("", "[egress]\nhelo = \"probe.nowhere.test\"\n");
    let egress = Egress {
        helo: Domain::parse("other.unknown.test").unwrap(),
        ..foreign.job.network.egresses[0].clone()
    };
    let network = Network { egresses: vec![egress], ..(*foreign.job.network).clone() };
    foreign.job.network = Arc::new(network);
    assert!(foreign.check(false, INTERNET).await.is_err());
    assert!(foreign.check(false, own_dns).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_address_on_a_blocklist_that_matters_stops_a_run_and_an_error_of_the_list_does_not() {
    let entry = |answer: &str| {
        format!("[[domain]]\nname = \"25.113.0.203.bl.example.net\"\naddress = [\"{answer}\"]\n")
    };
    let mut listed = lab("", &entry("127.0.0.2"));
    let error = listed.check(false, INTERNET).await.unwrap_err();
    assert!(error.to_string().contains("blocklist.one: bl.example.net lists 203.0.113.25"), "{error}");
    for answer in ["127.255.255.254", "192.0.2.1"] {
        assert!(lab("", &entry(answer)).check(false, INTERNET).await.is_ok(), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_of_few_providers_and_a_dead_name_service_stop_nothing() {
    let mut few = lab("connect = \"timeout\"", "");
    for n in 2..=4 {
        let key = crate::state::NameHash::of(&format!("d{n}.example"));
        few.state.remove_domain(few.run, key).unwrap();
    }
    assert!(few.check(false, INTERNET).await.is_ok());
}
