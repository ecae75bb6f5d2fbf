//! Scenarios: each file of `tests/scenarios` is one test, named as the file. It holds a world, a list, the result that each row
//! must get, and how often the servers may be probed. The keys of the world are those of `--world`; the others are
//! described below.
#![expect(
    clippy::unwrap_used,
    clippy::format_collect,
    reason = "a test reads its own files and stops at what fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use libtest_mimic::{Arguments, Trial};
use serde::Deserialize;

use listproof::details::AddressStatus;
use listproof::internals::run::{
    self, Analyzer, EvidenceReader, FactFilter, FactReader, Network, ProbeJob, ProgressReporter, RunOutcome,
};
use listproof::internals::schedule::RunBlocked;
use listproof::internals::smtp::EgressPath as Egress;
use listproof::policy::{Pace, Policy};
use listproof::settings::EgressSpec;
use listproof::state::{FreshnessPolicy, RunKey, State};
use listproof::world::{NamePattern, Observed, World};
use listproof::{AddressResult, CancelToken};

/// What a scenario file holds beside the world.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// The list, in order, and the result expected of each row.
    rows: Vec<Row>,
    /// Limits and egresses of the run, and how it must end.
    #[serde(default)]
    run: Run,
    /// What the MX hosts received.
    #[serde(default)]
    servers: Expected,
}

/// One row, or many of one kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// An address, or a pattern of them (`user{1..200}@acme.example`).
    email: String,
    /// The right reasons; each recipient gets one of them.
    reason: OneOrMore,
    /// Other cells of the row, where they matter.
    verdict: Option<String>,
    confidence: Option<String>,
    rule: Option<String>,
    attempts: Option<u32>,
    did_you_mean: Option<String>,
    /// RFC 3339; empty for "none".
    retry_after: Option<String>,
    /// Probes for each of these recipients, at all MX hosts.
    probes: Option<Range>,
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
    #[serde(deserialize_with = "listproof::internals::duration::deserialize")]
    max_wait: Duration,
    #[serde(deserialize_with = "listproof::internals::duration::deserialize_some")]
    max_duration: Option<Duration>,
    /// `--confirm`.
    confirm: bool,
    /// Why the whole run is blocked: `port_closed` or `refused_everywhere`.
    shut: Option<String>,
    /// True if it must end because its time is up.
    out_of_time: bool,
    /// The longest that it may take, in the world's time.
    #[serde(deserialize_with = "listproof::internals::duration::deserialize_some")]
    over_within: Option<Duration>,
    /// The most sessions that may be open.
    sockets: usize,
    /// Source addresses, one for each egress; none: the world's one.
    source_ips: Vec<IpAddr>,
    /// How often each of these decisions about providers must be made.
    decisions: BTreeMap<String, Range>,
}

impl Default for Run {
    fn default() -> Run {
        Run {
            pace: Pace::Normal,
            max_wait: Duration::from_secs(30 * 60),
            max_duration: None,
            confirm: false,
            shut: None,
            out_of_time: false,
            over_within: None,
            sockets: 100,
            source_ips: Vec::new(),
            decisions: BTreeMap::new(),
        }
    }
}

/// What the MX hosts received. A violation of their limits or a DATA command is always a fault.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expected {
    sessions: Option<Range>,
    /// RCPT commands in all.
    rcpts: Option<Range>,
    /// Probes for random recipients.
    random_probes: Option<Range>,
    /// Different random recipients.
    random_recipients: Option<Range>,
    postmaster: Option<Range>,
    starttls: Option<Range>,
    /// Sessions by MX host.
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

/// Differences between the expected and the actual outcome.
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
    let own = ["rows", "run", "servers"];
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
        let egress = |ip: &IpAddr| EgressSpec { path: Egress::Direct(Some(*ip)), helo: None, sender: None };
        if !scenario.run.source_ips.is_empty() {
            network.leave_by(&scenario.run.source_ips.iter().map(egress).collect::<Vec<_>>());
        }
        let network = Arc::new(network);
        let clock = network.clock;
        let job = ProbeJob {
            network,
            policy,
            dns_only: false,
            pace: scenario.run.pace,
            max_wait: scenario.run.max_wait,
            confirm: scenario.run.confirm,
            max_duration: scenario.run.max_duration,
            deadline: None,
            sessions: scenario.run.sockets,
            trace: false,
        };
        let begun = state.begin(&RunKey::default(), Duration::MAX, clock.now().wall, Duration::MAX).unwrap();
        let mut worklist = state.build_worklist(begun.id).unwrap();
        for email in &listed {
            if let AddressStatus::Valid(address) = Analyzer::new(policy.lists).analyze(email).form {
                worklist.add(&address).unwrap();
            }
        }
        worklist.finish(fresh).unwrap();
        let (mut ignored, cancel) = (|_| (), CancelToken::new());
        let mut progress = ProgressReporter::new(0, &mut ignored);
        let probing = run::probe(&job, &mut state, begun, fresh, &cancel, &mut progress);
        // Longer than any scenario takes, so that a run without end fails.
        let outcome = tokio::time::timeout(Duration::from_secs(30 * 86_400), probing).await;
        (begun, outcome.unwrap_or_else(|_| panic!("the run does not end")).unwrap(), clock.now())
    });
    let scope = FactFilter { policy, run: begun.id, fresh, compared_run: None };
    let facts = FactReader::new(&state, scope).unwrap();
    let mut found = EvidenceReader::new(facts, outcome.conditions.clone(), now.wall);
    let record = |email: String| {
        let seen = Analyzer::new(policy.lists).analyze(&email);
        let record = run::judge_row(&mut found, seen, false).unwrap();
        (email, record)
    };
    let records = listed.into_iter().map(record).collect();
    Ended { records, outcome, took: now.elapsed }
}

fn check(text: &str) -> Vec<String> {
    let (world, scenario) = read(text);
    let ended = run(&world, &scenario);
    let observed = world.observed();
    let mut faults = Faults::default();
    for row in &scenario.rows {
        for email in emails(row) {
            check_row(row, &email, &ended.records[&email], &observed, &mut faults);
        }
    }
    let Run { shut, out_of_time, over_within, decisions, .. } = &scenario.run;
    let found = ended.outcome.conditions.blocked.map_or("no", RunBlocked::word);
    faults.same("shut", shut.as_deref().unwrap_or("no"), found);
    faults.same("out of time", out_of_time, ended.outcome.out_of_time);
    if over_within.is_some_and(|most| ended.took > most) {
        faults.0.push(format!("it took {}", humantime::format_duration(ended.took)));
    }
    for (what, times) in decisions {
        let made = ended.outcome.events.iter().find(|(ruling, _)| ruling.word() == what);
        faults.within(&format!("decisions `{what}`"), Some(*times), made.map_or(0, |(_, count)| *count));
    }
    check_observed(&scenario, &observed, &mut faults);
    faults.0
}

fn check_row(row: &Row, email: &str, record: &AddressResult, observed: &Observed, faults: &mut Faults) {
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
    faults.within(&format!("{email}: probes"), row.probes, observed.probes_of(email));
}

fn check_observed(scenario: &Scenario, observed: &Observed, faults: &mut Faults) {
    let Expected {
        sessions,
        rcpts,
        random_probes,
        random_recipients,
        postmaster,
        starttls,
        at,
        most_at_once,
    } = &scenario.servers;
    let listed: BTreeSet<String> = scenario.rows.iter().flat_map(emails).collect();
    let probed: Vec<(&String, &u64)> = observed.hosts.values().flat_map(|host| &host.rcpts).collect();
    let is_postmaster = |email: &str| email.starts_with("postmaster@");
    let controls: Vec<_> =
        probed.iter().filter(|(email, _)| !listed.contains(*email) && !is_postmaster(email)).collect();
    let command =
        |verb: &str| observed.hosts.values().filter_map(|host| host.commands.get(verb)).sum::<u64>();
    faults.within("sessions", *sessions, observed.sessions());
    faults.within("rcpts", *rcpts, observed.rcpts());
    faults.within("random_probes", *random_probes, controls.iter().map(|(_, count)| **count).sum());
    let names: BTreeSet<_> = controls.iter().map(|(email, _)| *email).collect();
    faults.within("random_recipients", *random_recipients, names.len() as u64);
    let postmasters = probed.iter().filter(|(email, _)| is_postmaster(email));
    faults.within("postmaster", *postmaster, postmasters.map(|(_, count)| **count).sum());
    faults.within("starttls", *starttls, command("STARTTLS"));
    for (host, sessions) in at {
        let got = observed.hosts.get(host).map_or(0, |host| host.sessions);
        faults.within(&format!("sessions at {host}"), Some(*sessions), got);
    }
    let most = observed.hosts.values().map(|host| host.max_concurrent).max().unwrap_or(0);
    faults.within("most_at_once", *most_at_once, u64::from(most));
    faults.same("DATA", 0, command("DATA") + command("BDAT"));
    faults.same("violations", "{}", format!("{:?}", observed.violations()));
}

/// The test of a file.
fn trial(file: PathBuf) -> Trial {
    let name = file.file_stem().unwrap().to_string_lossy().into_owned();
    Trial::test(name, move || {
        let faults = check(&std::fs::read_to_string(&file)?);
        if faults.is_empty() {
            return Ok(());
        }
        let shown = faults.iter().take(8).map(|fault| format!("\n    {fault}")).collect::<String>();
        Err(format!("{} faults{shown}", faults.len()).into())
    })
}

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "there are no scenarios");
    libtest_mimic::run(&Arguments::from_args(), files.into_iter().map(trial).collect()).exit_code()
}
