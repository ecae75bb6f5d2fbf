//! A long run against scripted hosts on loopback that fail at random: memory and descriptors don't grow, every row is judged,
//! and nobody is judged wrong. Short in `cargo test`; the long form is
//! `LISTPROOF_SOAK_ROWS=200000 cargo test --release --test soak -- --nocapture`.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test with processes and files of its own, which tells its figures and stops at what fails"
)]

use std::fmt::Write as _;
use std::fs::read_dir;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Hosts, each with five domains; their number is the pace of the run.
const HOSTS: usize = 100;

/// A hundred hosts that fail at any moment, now and then, in any way.
fn world() -> String {
    let mut world = format!(
        "[[domain]]\nname = \"d{{0..499}}.example\"\nmx = [\"10 mx{{n%{HOSTS}}}.example\"]\n\
         mailboxes = [\"here{{0..99999}}\"]\n\
         [[host]]\nname = \"mx{{0..{}}}.example\"\n",
        HOSTS - 1
    );
    let deeds = [
        "do = \"drop\"",
        "do = \"reset\"",
        "do = \"garbage\"",
        "do = \"twice\"",
        "say = \"421 4.3.2 Busy\"",
        "say = \"451 4.3.0 Temporary lookup failure\"",
        "say = \"550-a\\n550 5.7.1 Access denied\"",
        "do = \"latin1\"",
    ];
    for (moment, share) in
        [("connect", "1%"), ("helo", "1%"), ("mail", "0.5%"), ("rcpt", "0.1%"), ("rset", "0.5%")]
    {
        for deed in deeds {
            writeln!(world, "[[host.rule]]\nat = \"{moment}\"\nshare = \"{share}\"\n{deed}").unwrap();
        }
    }
    world
}

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Memory in KiB, and open descriptors.
#[derive(Clone, Copy, Debug)]
struct Held {
    kib: u64,
    descriptors: usize,
}

fn held(process: u32) -> Option<Held> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok())?;
    Some(Held { kib, descriptors: read_dir(format!("/proc/{process}/fd")).ok()?.count() })
}

/// Serves the world; gives its name server and its port.
fn serve(folder: &Path) -> (Running, String, String) {
    let mut served = Command::new(env!("CARGO_BIN_EXE_listproof"))
        .args(["world", "world.toml", "--dns", "127.0.0.1:0", "--smtp-port", "0"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let told: Vec<String> =
        BufReader::new(served.stdout.take().unwrap()).lines().take(2).map(Result::unwrap).collect();
    let told = told.join(" ");
    let words: Vec<&str> = told.split_whitespace().collect();
    let after = |flag: &str| words[words.iter().position(|word| *word == flag).unwrap() + 1].to_owned();
    (Running(served), after("--dns"), after("--smtp-port"))
}

#[test]
fn a_long_run_among_failing_hosts_does_not_grow_and_judges_everybody() {
    let rows: usize = std::env::var("LISTPROOF_SOAK_ROWS").map_or(3000, |rows| rows.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("world.toml"), world()).unwrap();
    let mut list = "email\n".to_owned();
    for n in 0..rows {
        let name = if n % 8 == 7 { "gone" } else { "here" };
        writeln!(list, "{name}{}@d{}.example", n / 500, n % 500).unwrap();
    }
    std::fs::write(folder.path().join("list.csv"), list).unwrap();
    let (_world, dns, smtp_port) = serve(folder.path());

    // Who was put off is asked again where there is time.
    let max_wait = if rows > 10_000 { "2m" } else { "0s" };
    let began = Instant::now();
    let run = Command::new(env!("CARGO_BIN_EXE_listproof"))
        .args(["verify", "list.csv", "-o", "out", "-q", "--pace", "fast", "--max-wait", max_wait])
        .args(["--state", "state.db", "--helo", "probe.example", "--mail-from", "check@probe.example"])
        .args(["--dns", &dns, "--smtp-port", &smtp_port, "--allow-mx-net", "127.0.0.0/8"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut run = Running(run);
    let mut samples: Vec<Held> = Vec::new();
    let exit = loop {
        if let Some(exit) = run.0.try_wait().unwrap() {
            break exit;
        }
        samples.extend(held(run.0.id()));
        std::thread::sleep(Duration::from_millis(250));
    };
    let took = began.elapsed();
    assert!(exit.success(), "{exit}");
    let most = |samples: &[Held]| Held {
        kib: samples.iter().map(|held| held.kib).max().unwrap(),
        descriptors: samples.iter().map(|held| held.descriptors).max().unwrap(),
    };
    // What it takes to start, and then what it has once it runs.
    let (first, second) = samples.split_at(samples.len() / 2);
    let (first, second) = (most(first), most(second));
    println!("{rows} rows in {took:.0?}; first half at most {first:?}, second half {second:?}");
    assert!(second.kib < first.kib * 5 / 4 + 20 * 1024, "memory grows: {first:?}, then {second:?}");
    assert!(second.descriptors <= first.descriptors + 50, "descriptors grow: {first:?}, then {second:?}");
    assert!(second.kib < 400 * 1024, "{second:?}");

    let mut results = csv::Reader::from_path(folder.path().join("out/list.results.csv")).unwrap();
    let heads = results.headers().unwrap().clone();
    let at = |name: &str| heads.iter().position(|head| head == name).unwrap();
    let (mut judged, mut decided, mut wrong) = (0, 0, Vec::new());
    for row in results.records() {
        let row = row.unwrap();
        let (exists, verdict) = (row[at("email")].starts_with("here"), &row[at("verdict")]);
        judged += 1;
        decided += usize::from(verdict != "unknown");
        if verdict == if exists { "undeliverable" } else { "deliverable" } {
            wrong.push(format!("{:?}", row.iter().take(8).collect::<Vec<_>>()));
        }
    }
    println!("{judged} judged, {decided} decided, {} wrong", wrong.len());
    assert_eq!(judged, rows);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
