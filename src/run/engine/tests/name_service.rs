//! Runs whose name service changes: mail that moves to another host, and name servers that stop answering.

use std::ops::Range;
use std::pin::Pin;

use tokio::time::Instant;

use super::*;
use crate::error::Exit;
use crate::route::{DnsFault, LookupError, MxTarget};

/// Probes these addresses. Returns what came of the run, how many recipients are left, and a text for each address.
async fn run(job: &ProbeJob, addresses: &[String]) -> (RunOutcome, u64, Vec<String>) {
    let now = job.network.clock.now().wall;
    let mut state = State::temporary().unwrap();
    let run = state.begin(&RunKey::default(), Duration::MAX, now, Duration::MAX).unwrap();
    let mut worklist = state.build_worklist(run.id).unwrap();
    for address in addresses {
        worklist.add(&Address::parse(address).unwrap()).unwrap();
    }
    let fresh = FreshnessPolicy::nothing();
    worklist.finish(fresh).unwrap();
    let mut silent = |_| ();
    let mut progress = ProgressReporter::new(0, &mut silent);
    let outcome = probe(job, &mut state, run, fresh, &CancelToken::new(), &mut progress).await.unwrap();
    let filter = FactFilter { policy: job.policy, run: run.id, fresh, compared_run: None };
    let facts = FactReader::new(&state, filter).unwrap();
    let mut reader = EvidenceReader::new(facts, outcome.conditions.clone(), now);
    let mut analyzer = Analyzer::new(job.policy.lists);
    let results = addresses.iter().map(|address| {
        let result = judge::judge_row(&mut reader, analyzer.analyze(address), false).unwrap();
        let mx_host = result.mx_host.map(|host| host.to_string()).unwrap_or_default();
        format!("{} {mx_host}", result.judgment.reason)
    });
    let results = results.collect();
    (outcome, state.still_to_probe(run.id).unwrap(), results)
}

/// A domain whose mail moves to another MX host after some minutes, with this TTL.
struct MovingDns {
    world: World,
    begun: Instant,
    ttl: Duration,
}

impl Dns for MovingDns {
    fn mx<'a>(&'a self, _: &'a Domain) -> LookupFuture<'a, DnsAnswer<Mx>> {
        let host = if self.begun.elapsed() < Duration::from_secs(400) { "old" } else { "new" };
        let target = MxTarget::Host(Domain::parse(&format!("{host}.hosts.example")).unwrap());
        let answer = DnsAnswer { records: vec![Mx { preference: 10, target }], ttl: self.ttl };
        Box::pin(async { Ok(answer) })
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> LookupFuture<'a, DnsAnswer<IpAddr>> {
        self.world.addresses(host)
    }
}

/// The old host defers all recipients, and forgets its mailboxes when they have moved.
const MOVING: &str = r#"
    [[domain]]
    name = "acme.example"
    mx = ["10 old.hosts.example", "20 new.hosts.example"]
    mailboxes = ["user{1..30}"]
    [[host]]
    name = "old.hosts.example"
    [[host.rule]]
    at = "rcpt"
    times = 1000
    say = "451 4.7.1 Greylisted, please try again in 15 minutes"
    [[host]]
    name = "new.hosts.example"
"#;

#[tokio::test(start_paused = true)]
async fn a_route_that_expires_while_a_run_waits_is_looked_up_again() {
    let world = World::parse(MOVING).unwrap();
    let mut network = Network::scripted(world.clone());
    let ttl = Duration::from_secs(60);
    network.dns = Arc::new(MovingDns { world, begun: Instant::now(), ttl });
    let mut job = job(network, Policy::built_in(), 10);
    job.max_wait = Duration::from_secs(3 * 3600);
    let addresses: Vec<String> = (28..=32).map(|n| format!("user{n}@acme.example")).collect();
    let (_, left, results) = run(&job, &addresses).await;
    let accepted = "accepted new.hosts.example";
    let unknown = "mailbox_unknown new.hosts.example";
    assert_eq!(
        (left, &results[..]),
        (0, &[accepted, accepted, accepted, unknown, unknown].map(String::from)[..])
    );
}

/// Name servers that need a second for an answer and are silent for a time.
struct DyingDns {
    world: World,
    begun: Instant,
    silent: Range<u64>,
}

impl DyingDns {
    /// Waits for an answer; false if none comes.
    async fn answers(&self) -> bool {
        sleep(Duration::from_secs(1)).await;
        if self.silent.contains(&self.begun.elapsed().as_secs()) {
            sleep(Duration::from_secs(9)).await;
            return false;
        }
        true
    }
}

impl Dns for DyingDns {
    fn mx<'a>(&'a self, domain: &'a Domain) -> LookupFuture<'a, DnsAnswer<Mx>> {
        Box::pin(async move {
            if self.answers().await {
                self.world.mx(domain).await
            } else {
                Err(LookupError::Failed(DnsFault::Timeout))
            }
        })
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> LookupFuture<'a, DnsAnswer<IpAddr>> {
        self.world.addresses(host)
    }

    fn is_alive(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(self.answers())
    }
}

const MANY: usize = 400;

/// A run over many domains, whose name servers are silent in these seconds.
async fn with_silence(silent: Range<u64>) -> (RunOutcome, u64, Vec<String>, Duration) {
    let world = format!(
        "[[domain]]\nname = \"d{{0..{}}}.example\"\nmx = [\"10 mx.hosts.example\"]\nmailboxes = [\"jane\"]\n\
         [[host]]\nname = \"mx.hosts.example\"\n",
        MANY - 1
    );
    let world = World::parse(&world).unwrap();
    let mut network = Network::scripted(world.clone());
    network.dns = Arc::new(DyingDns { world, begun: Instant::now(), silent });
    let mut job = job(network, Policy::built_in(), 10);
    job.max_wait = Duration::from_secs(600);
    let addresses: Vec<String> = (0..MANY).map(|n| format!("jane@d{n}.example")).collect();
    let (outcome, left, mut results) = run(&job, &addresses).await;
    results.sort_unstable();
    (outcome, left, results, job.network.clock.now().elapsed)
}

#[tokio::test(start_paused = true)]
async fn name_servers_that_stop_answering_are_waited_for() {
    let (outcome, left, results, _) = with_silence(2..60).await;
    assert_eq!((left, outcome.early_exit(&CancelToken::new())), (0, None));
    assert_eq!(results, vec!["accepted mx.hosts.example"; MANY]);
}

#[tokio::test(start_paused = true)]
async fn name_servers_that_are_silent_for_too_long_end_the_run_and_condemn_no_address() {
    let (outcome, left, results, took) = with_silence(2..u64::MAX).await;
    assert_eq!(outcome.early_exit(&CancelToken::new()), Some(Exit::NetworkDown));
    let unanswered = results.iter().filter(|result| result.starts_with("dns_failure")).count();
    assert_eq!(unanswered as u64, left);
    assert_eq!(unanswered + results.iter().filter(|result| result.starts_with("accepted")).count(), MANY);
    assert!((1..MANY).contains(&unanswered), "{unanswered}");
    assert!(took < Duration::from_secs(700), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn name_servers_that_never_answer_end_the_run_after_one_time_out() {
    let (outcome, left, results, took) = with_silence(0..u64::MAX).await;
    assert_eq!(outcome.early_exit(&CancelToken::new()), Some(Exit::NetworkDown));
    assert_eq!((left, results), (MANY as u64, vec!["dns_failure ".to_owned(); MANY]));
    assert!(took <= Duration::from_secs(20), "{took:?}");
}
