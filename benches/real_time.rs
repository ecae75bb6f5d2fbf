//! The scheduler on real sockets and in real time: against the lower bound of scaled limits, and in a world in which all
//! hosts greylist.
//!
//! `cargo bench --bench real_time`, about a minute. CPU does not matter here: receivers are the bound. The servers count
//! the probes that they received, and how often a limit was exceeded.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark makes its own files, prints its figures, counts below 2^52 and stops at what fails"
)]

mod cpu;
mod served;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use served::{Serving, VERIFY, path, time, write_policy};

const DNS: &str = "127.0.0.1:5353";
const SMTP_PORT: &str = "2525";

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    scaled_limits(here);
    greylisting(here);
}

/// A policy with the limits of the servers: this many recipients a minute from one IP address.
fn policy(recipients_per_minute: u32) -> String {
    format!(
        "[default]\ncatch_all_share = 0.1\ntls = false\n\
         manners = {{ transactions = 100, recipients = 50, refused = 50 }}\n\
         normal = {{ open = 10, connections = 600, recipients = {recipients_per_minute} }}\n\
         fast = {{ open = 10, connections = 600, recipients = {recipients_per_minute} }}\n"
    )
}

/// Three providers, each of which accepts 6,000 recipients a minute. The bound is the time that the slowest of them needs
/// for the probes that no verifier can leave out.
fn scaled_limits(here: &Path) {
    const PER_SECOND: f64 = 100.0;
    let providers = [("big", 300, 6), ("middle", 250, 5), ("small", 300, 2)];
    let (mut world, mut list, mut bound) = (String::new(), String::new(), 0.0_f64);
    for (name, domains, rows) in providers {
        write!(
            world,
            "[[host]]\nname = \"mx.{name}.example\"\nrtt = \"20ms\"\n\
             limits = {{ rcpts_per_minute = 6000, connections_per_minute = 600, enforce = false }}\n\
             [[domain]]\nname = \"{name}{{1..{domains}}}.example\"\nmx = [\"10 mx.{name}.example\"]\n\
             mailboxes = [\"live{{1..9}}\"]\n"
        )
        .unwrap();
        for domain in 1..=domains {
            for row in 1..=rows {
                writeln!(list, "live{row}@{name}{domain}.example").unwrap();
            }
        }
        // Every recipient exists, so each domain needs a random recipient in addition to its rows.
        bound = bound.max(f64::from(domains * (rows + 1)) / PER_SECOND);
    }
    write_policy(here, &policy(6_000));
    let (wall, counted) = verify(here, &world, &list, "0s");
    println!("makespan / lower bound in real time   {:.3}   ({wall:.1} s; goal 1.10)", wall / bound);
    println!("limits exceeded, as the servers counted {} (goal 0)", counted.violations);
}

/// All hosts defer an unknown sender for 20 s.
fn greylisting(here: &Path) {
    const WAIT_S: f64 = 20.0;
    let (domains, rows) = (100, 5);
    let world = format!(
        "[[host]]\nname = \"mx{{0..19}}.grey.example\"\nrtt = \"20ms\"\n\
         greylist = {{ delay = \"20s\", say = \"450 4.2.0 Greylisted, please come back in 20 seconds\" }}\n\
         [[domain]]\nname = \"d{{1..{domains}}}.example\"\nmx = [\"10 mx{{n%20}}.grey.example\"]\n\
         mailboxes = [\"live{{1..9}}\"]\n"
    );
    let mut list = String::new();
    for domain in 1..=domains {
        for row in 1..=rows {
            writeln!(list, "live{row}@d{domain}.example").unwrap();
        }
    }
    write_policy(here, &policy(60_000));
    let (wall, counted) = verify(here, &world, &list, "10m");
    let necessary = f64::from(domains * (rows + 1));
    println!("greylist-only world / its wait of 20 s {:.3}   ({wall:.1} s; goal 1.05)", wall / WAIT_S);
    println!(
        "probes for each that was necessary     {:.3}   (goal 2: one retry)",
        counted.probes as f64 / necessary
    );
}

/// What the servers counted.
struct Counted {
    probes: usize,
    violations: usize,
}

/// Verifies a list in a world. Returns the seconds that it took and what the servers counted. Every row must be deliverable.
fn verify(here: &Path, world: &str, list: &str, max_wait: &str) -> (f64, Counted) {
    fs::write(here.join("world.toml"), world).unwrap();
    fs::write(here.join("list.txt"), list).unwrap();
    let log = path(here, "world.log");
    // The server appends to it.
    let _ = fs::remove_file(&log);
    let serving = Serving::start(&path(here, "world.toml"), DNS, SMTP_PORT, Some(&log));
    let ours = ["list.txt", "--dns", DNS, "--smtp-port", SMTP_PORT, "--max-wait", max_wait];
    let program: Vec<&str> =
        [env!("CARGO_BIN_EXE_listproof")].into_iter().chain(VERIFY).chain(ours).collect();
    let (wall, _) = time(here, &program);
    drop(serving);
    let summary = fs::read(here.join("out/list.summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!(summary["verdicts"]["deliverable"], list.lines().count(), "{summary:#}");
    let mut counted = Counted { probes: 0, violations: 0 };
    for line in fs::read_to_string(log).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let count = |key: &str| line[key].as_array().map_or(0, Vec::len);
        counted.probes += count("asked");
        counted.violations += count("violations");
    }
    (wall, counted)
}
