//! A long run against scripted hosts on loopback that fail at random: memory and descriptors do not grow, every row gets a
//! verdict, and no verdict is wrong. It is short in `cargo test`; the long form is
//! `LISTPROOF_SOAK_ROWS=200000 cargo test --release --test soak -- --nocapture`.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test with processes and files of its own, which prints its figures and stops at what fails"
)]

mod support;

use std::fmt::Write as _;
use std::fs::read_dir;
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::{Folder, SENDER, memory_kib};

/// Hosts, each with five domains; their number decides how fast the run is.
const HOSTS: usize = 100;

/// Hosts that fail at random, at each stage of a session, in each way that a world knows.
fn world() -> String {
    let mut world = format!(
        "[[domain]]\nname = \"d{{0..499}}.example\"\nmx = [\"10 mx{{n%{HOSTS}}}.example\"]\n\
         mailboxes = [\"here{{0..99999}}\"]\n\
         [[host]]\nname = \"mx{{0..{}}}.example\"\n",
        HOSTS - 1
    );
    let failures = [
        "do = \"drop\"",
        "do = \"reset\"",
        "do = \"garbage\"",
        "do = \"twice\"",
        "say = \"421 4.3.2 Busy\"",
        "say = \"451 4.3.0 Temporary lookup failure\"",
        "say = \"550-a\\n550 5.7.1 Access denied\"",
        "do = \"latin1\"",
    ];
    for (stage, share) in
        [("connect", "1%"), ("helo", "1%"), ("mail", "0.5%"), ("rcpt", "0.1%"), ("rset", "0.5%")]
    {
        for failure in failures {
            writeln!(world, "[[host.rule]]\nat = \"{stage}\"\nshare = \"{share}\"\n{failure}").unwrap();
        }
    }
    world
}

/// What a process uses: memory, and open descriptors.
#[derive(Clone, Copy, Debug)]
struct Usage {
    kib: u64,
    descriptors: usize,
}

fn usage(process: u32) -> Option<Usage> {
    let kib = memory_kib(process, "VmRSS")?;
    Some(Usage { kib, descriptors: read_dir(format!("/proc/{process}/fd")).ok()?.count() })
}

#[test]
fn a_long_run_among_failing_mx_hosts_does_not_grow_and_judges_every_row() {
    let rows: usize = std::env::var("LISTPROOF_SOAK_ROWS").map_or(3000, |rows| rows.parse().unwrap());
    let mut list = "email\n".to_owned();
    for n in 0..rows {
        let name = if n % 8 == 7 { "gone" } else { "here" };
        writeln!(list, "{name}{}@d{}.example", n / 500, n % 500).unwrap();
    }
    let folder = Folder::with(list.as_bytes(), &world());
    let served = folder.serve("world.toml");

    // Only the long form has time for retries.
    let max_wait = if rows > 10_000 { "2m" } else { "0s" };
    let began = Instant::now();
    let verify = ["verify", "list.csv", "-o", "out", "-q", "--pace", "fast", "--max-wait", max_wait];
    let arguments = [&verify[..], &["--state", "state.db"], &SENDER, &served.flags()].concat();
    let mut run = folder.listproof(&arguments).stdout(Stdio::null()).spawn().unwrap();
    let mut samples: Vec<Usage> = Vec::new();
    let exit = loop {
        if let Some(exit) = run.try_wait().unwrap() {
            break exit;
        }
        samples.extend(usage(run.id()));
        std::thread::sleep(Duration::from_millis(250));
    };
    let took = began.elapsed();
    assert!(exit.success(), "{exit}");
    let most = |samples: &[Usage]| Usage {
        kib: samples.iter().map(|usage| usage.kib).max().unwrap(),
        descriptors: samples.iter().map(|usage| usage.descriptors).max().unwrap(),
    };
    // The first half includes the start; the second must not need more.
    let (first, second) = samples.split_at(samples.len() / 2);
    let (first, second) = (most(first), most(second));
    println!("{rows} rows in {took:.0?}; first half at most {first:?}, second half {second:?}");
    assert!(second.kib < first.kib * 5 / 4 + 20 * 1024, "memory grows: {first:?}, then {second:?}");
    assert!(second.descriptors <= first.descriptors + 50, "descriptors grow: {first:?}, then {second:?}");
    assert!(second.kib < 400 * 1024, "{second:?}");

    let (mut judged, mut decided, mut wrong) = (0, 0, Vec::new());
    for row in folder.results("out/list.results.csv") {
        let (exists, verdict) = (row.cell("email").starts_with("here"), row.cell("verdict"));
        judged += 1;
        decided += usize::from(verdict != "unknown");
        if verdict == if exists { "undeliverable" } else { "deliverable" } {
            wrong.push(format!("{row:?}"));
        }
    }
    println!("{judged} judged, {decided} decided, {} wrong", wrong.len());
    assert_eq!(judged, rows);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
