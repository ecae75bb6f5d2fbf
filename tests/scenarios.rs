//! Scenarios: each file of `tests/scenarios` is a world, a list, what must be found out, and what the servers may have
//! heard meanwhile. A file's name is a sentence; its keys beside the world's own are described below.
#![expect(
    clippy::unwrap_used,
    clippy::format_collect,
    clippy::format_push_string,
    reason = "a test reads its own files and stops at what fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use listproof::evidence::AddressStatus;
use listproof::policy::{Pace, Policy};
use listproof::run::{
    self, Analyzer, CancelToken, EvidenceReader, FactFilter, FactReader, Network, ProbeJob, Progress,
    RunOutcome,
};
use listproof::schedule::RunBlocked;
use listproof::settings::EgressSpec;
use listproof::smtp::EgressPath as Egress;
use listproof::state::{FreshnessPolicy, RunKey, State};
use listproof::verdict::AddressResult;
use listproof::world::{NamePattern, Observed, World};

/// What a file says beside the world.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// The list, in order, and what is expected of each row.
    rows: Vec<Row>,
    /// How the run is made.
    #[serde(default)]
    run: Run,
    /// What the servers heard.
    #[serde(default)]
    heard: Expected,
}

/// One row, or many of one kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// An address, or a pattern of them (`user{1..200}@acme.example`).
    email: String,
    /// The reasons that are right; each address has one of them.
    reason: OneOrMore,
    /// The whole of what else the row must show, where that matters.
    verdict: Option<String>,
    confidence: Option<String>,
    rule: Option<String>,
    attempts: Option<u32>,
    did_you_mean: Option<String>,
    /// RFC 3339; empty for "none".
    retry_after: Option<String>,
    /// How often the servers were asked about it, each of them.
    asked: Option<Range>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Run {
    pace: Pace,
    #[serde(deserialize_with = "listproof::world::script::duration")]
    max_wait: Duration,
    #[serde(deserialize_with = "listproof::world::script::some_duration")]
    max_duration: Option<Duration>,
    /// Why the run is shut out: `port_closed` or `refused_everywhere`.
    shut: Option<String>,
    /// It must end by the clock.
    out_of_time: bool,
    /// It must be over by then, in the world's time.
    #[serde(deserialize_with = "listproof::world::script::some_duration")]
    over_within: Option<Duration>,
    /// Sockets that it has.
    sockets: usize,
    /// Source addresses that it has, if not the world's one.
    source_ips: Vec<IpAddr>,
    /// What must be decided about operators, and how often.
    decisions: BTreeMap<String, Range>,
}

impl Default for Run {
    fn default() -> Run {
        Run {
            pace: Pace::Normal,
            max_wait: Duration::from_secs(30 * 60),
            max_duration: None,
            shut: None,
            out_of_time: false,
            over_within: None,
            sockets: 100,
            source_ips: Vec::new(),
            decisions: BTreeMap::new(),
        }
    }
}

/// What the servers heard. No violation is ever expected, nor DATA.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expected {
    sessions: Option<Range>,
    /// RCPT commands in all.
    rcpts: Option<Range>,
    /// RCPT commands with names that nobody listed, `postmaster` aside.
    made_up: Option<Range>,
    /// Different such names.
    made_up_names: Option<Range>,
    postmaster: Option<Range>,
    starttls: Option<Range>,
    /// Sessions by host.
    at: BTreeMap<String, Range>,
    most_at_once: Option<Range>,
}

/// A number, or two that include their ends.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Range {
    Just(u64),
    Between([u64; 2]),
}

impl Range {
    fn contains(self, number: u64) -> bool {
        match self {
            Range::Just(just) => just == number,
            Range::Between([least, most]) => (least..=most).contains(&number),
        }
    }
}

impl Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Range::Just(just) => write!(f, "{just}"),
            Range::Between([least, most]) => write!(f, "{least} to {most}"),
        }
    }
}

/// What was not as it should be.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn same(&mut self, what: &str, expected: impl Display, got: impl Display) {
        let (expected, got) = (expected.to_string(), got.to_string());
        if expected != got {
            self.0.push(format!("{what}: expected {expected}, got {got}"));
        }
    }

    fn within(&mut self, what: &str, expected: Option<Range>, got: u64) {
        if let Some(range) = expected.filter(|range| !range.contains(got)) {
            self.0.push(format!("{what}: expected {range}, got {got}"));
        }
    }
}

/// Splits a file into the world and the rest.
fn read(text: &str) -> (World, Scenario) {
    let mut world: toml::Table = toml::from_str(text).unwrap_or_else(|fault| panic!("{fault}"));
    let own = ["rows", "run", "heard"];
    let scenario: toml::Table =
        own.iter().filter_map(|&key| Some((key.to_owned(), world.remove(key)?))).collect();
    let scenario = scenario.try_into().unwrap_or_else(|fault| panic!("{fault}"));
    let world = World::parse(&toml::to_string(&world).unwrap()).unwrap_or_else(|fault| panic!("{fault}"));
    (world, scenario)
}

fn emails(row: &Row) -> Vec<String> {
    NamePattern::parse(&row.email).unwrap().each().unwrap().map(|(_, email)| email).collect()
}

struct Ended {
    records: BTreeMap<String, AddressResult>,
    outcome: RunOutcome,
    took: Duration,
}

fn run(world: &World, scenario: &Scenario) -> Ended {
    let policy = Policy::built_in();
    let listed: Vec<String> = scenario.rows.iter().flat_map(emails).collect();
    let mut state = State::temporary().unwrap();
    let fresh = FreshnessPolicy::nothing();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (begun, outcome, now) = runtime.block_on(async {
        let mut network = Network::scripted(world.clone());
        let way = |ip: &IpAddr| EgressSpec { path: Egress::Direct(Some(*ip)), helo: None, sender: None };
        if !scenario.run.source_ips.is_empty() {
            network.leave_by(&scenario.run.source_ips.iter().map(way).collect::<Vec<_>>());
        }
        let network = Arc::new(network);
        let clock = network.clock;
        let job = ProbeJob {
            network,
            policy,
            dns_only: false,
            pace: scenario.run.pace,
            max_wait: scenario.run.max_wait,
            max_duration: scenario.run.max_duration,
            deadline: None,
            sessions: scenario.run.sockets,
            trace: false,
        };
        let begun = state.begin(&RunKey::default(), Duration::MAX, clock.now().wall, Duration::MAX).unwrap();
        let mut arrivals = state.arrivals(begun.id).unwrap();
        for email in &listed {
            if let AddressStatus::Valid(address) = Analyzer::new(policy.lists).look(email).form {
                arrivals.arrive(&address).unwrap();
            }
        }
        arrivals.close(fresh).unwrap();
        let mut progress = Progress::Quiet;
        let asked = run::ask(&job, &mut state, begun, fresh, CancelToken::never(), &mut progress);
        // No run of a scenario lasts that long; one that never ends becomes a failure.
        let outcome = tokio::time::timeout(Duration::from_secs(30 * 86_400), asked).await;
        (begun, outcome.unwrap_or_else(|_| panic!("the run does not end")).unwrap(), clock.now())
    });
    let scope = FactFilter { policy, run: begun.id, fresh, news: None };
    let facts = FactReader::of(&state, scope).unwrap();
    let mut found = EvidenceReader::of(facts, outcome.whole.clone(), now.wall);
    let record = |email: String| {
        let seen = Analyzer::new(policy.lists).look(&email);
        let record = run::record(&mut found, seen, false).unwrap();
        (email, record)
    };
    let records = listed.into_iter().map(record).collect();
    Ended { records, outcome, took: now.elapsed }
}

fn check(text: &str) -> Vec<String> {
    let (world, scenario) = read(text);
    let ended = run(&world, &scenario);
    let heard = world.heard();
    let mut faults = Faults::default();
    for row in &scenario.rows {
        for email in emails(row) {
            check_row(row, &email, &ended.records[&email], &heard, &mut faults);
        }
    }
    let Run { shut, out_of_time, over_within, decisions, .. } = &scenario.run;
    let found = ended.outcome.whole.shut.map_or("no", RunBlocked::word);
    faults.same("shut", shut.as_deref().unwrap_or("no"), found);
    faults.same("out of time", out_of_time, ended.outcome.out_of_time);
    if over_within.is_some_and(|most| ended.took > most) {
        faults.0.push(format!("it took {}", humantime::format_duration(ended.took)));
    }
    for (what, times) in decisions {
        let made = ended.outcome.decisions.iter().find(|(ruling, _)| ruling.word() == what);
        faults.within(&format!("decisions `{what}`"), Some(*times), made.map_or(0, |(_, times)| *times));
    }
    check_heard(&scenario, &heard, &mut faults);
    faults.0
}

fn check_row(row: &Row, email: &str, record: &AddressResult, heard: &Observed, faults: &mut Faults) {
    let judgment = &record.judgment;
    let word = judgment.reason.word();
    let reasons = match &row.reason {
        OneOrMore::One(reason) => std::slice::from_ref(reason),
        OneOrMore::More(reasons) => reasons,
    };
    if !reasons.iter().any(|reason| reason == word) {
        let reply = record.reply.as_ref().map(ToString::to_string).unwrap_or_default();
        let rule = &judgment.rule;
        faults.0.push(format!("{email}: expected {}, got {word} by `{rule}` {reply}", reasons.join(" or ")));
    }
    if let Some(verdict) = &row.verdict {
        faults.same(&format!("{email}: verdict"), verdict, judgment.reason.verdict().word());
    }
    if let Some(confidence) = &row.confidence {
        faults.same(&format!("{email}: confidence"), confidence, judgment.confidence.word());
    }
    if let Some(rule) = &row.rule {
        faults.same(&format!("{email}: rule"), rule, &judgment.rule);
    }
    if let Some(attempts) = row.attempts {
        faults.same(&format!("{email}: attempts"), attempts, record.attempts);
    }
    if let Some(meant) = &row.did_you_mean {
        faults.same(&format!("{email}: did_you_mean"), meant, record.did_you_mean.as_deref().unwrap_or(""));
    }
    if let Some(time) = &row.retry_after {
        let shown = |at: SystemTime| humantime::format_rfc3339_seconds(at).to_string();
        faults.same(
            &format!("{email}: retry_after"),
            time,
            judgment.retry_after.map_or(String::new(), shown),
        );
    }
    faults.within(&format!("{email}: asked"), row.asked, heard.asked(email));
}

fn check_heard(scenario: &Scenario, heard: &Observed, faults: &mut Faults) {
    let Expected { sessions, rcpts, made_up, made_up_names, postmaster, starttls, at, most_at_once } =
        &scenario.heard;
    let listed: BTreeSet<String> = scenario.rows.iter().flat_map(emails).collect();
    let asked: Vec<(&String, &u64)> = heard.hosts.values().flat_map(|host| &host.asked).collect();
    let is_postmaster = |email: &str| email.starts_with("postmaster@");
    let controls: Vec<_> =
        asked.iter().filter(|(email, _)| !listed.contains(*email) && !is_postmaster(email)).collect();
    let command = |verb: &str| heard.hosts.values().filter_map(|host| host.commands.get(verb)).sum::<u64>();
    faults.within("sessions", *sessions, heard.sessions());
    faults.within("rcpts", *rcpts, heard.rcpts());
    faults.within("made_up", *made_up, controls.iter().map(|(_, times)| **times).sum());
    let names: BTreeSet<_> = controls.iter().map(|(email, _)| *email).collect();
    faults.within("made_up_names", *made_up_names, names.len() as u64);
    let postmasters = asked.iter().filter(|(email, _)| is_postmaster(email));
    faults.within("postmaster", *postmaster, postmasters.map(|(_, times)| **times).sum());
    faults.within("starttls", *starttls, command("STARTTLS"));
    for (host, sessions) in at {
        let got = heard.hosts.get(host).map_or(0, |host| host.sessions);
        faults.within(&format!("sessions at {host}"), Some(*sessions), got);
    }
    let most = heard.hosts.values().map(|host| host.most_at_once).max().unwrap_or(0);
    faults.within("most_at_once", *most_at_once, u64::from(most));
    faults.same("DATA", 0, command("DATA") + command("BDAT"));
    faults.same("violations", "{}", format!("{:?}", heard.violations()));
}

#[test]
fn every_scenario_ends_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let only = std::env::var("SCENARIO").ok();
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| only.as_ref().is_none_or(|only| file.to_string_lossy().contains(only)));
    files.sort();
    assert!(!files.is_empty());
    let mut failed = String::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_stem().unwrap().to_string_lossy().replace('_', " ");
        let faults = std::panic::catch_unwind(|| check(&text)).unwrap_or_else(|panic| {
            let message = panic.downcast::<String>().map(|text| *text);
            vec![message.unwrap_or_else(|panic| {
                panic.downcast::<&str>().map_or_else(|_| "?".into(), |text| (*text).to_string())
            })]
        });
        if !faults.is_empty() {
            let shown = faults.iter().take(8).map(|fault| format!("\n    {fault}")).collect::<String>();
            failed += &format!("\n{name}: {} faults{shown}", faults.len());
        }
    }
    assert!(failed.is_empty(), "{failed}");
}
