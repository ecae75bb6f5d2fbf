//! Sockets: what the program makes of a machine, against the simplest loops that send the same bytes.
//!
//! `cargo bench --bench wire`, or one part of it: `-- probes`, `-- memory`, `-- names`, `-- rows` (`LISTPROOF_BENCH_ROWS` of
//! them). Each measured program is a process of its own, and so is the responder, which answers every command without or
//! with a delay. Medians of five runs in turn. CPU is that of the measured process alone.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark owns its sockets, prints its figures, counts below 2^52 and stops at what fails"
)]

mod bare;
#[path = "../cpu/mod.rs"]
mod cpu;
mod program;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

const ROUNDS: usize = 5;
/// Sockets of the runs without delay.
const SOCKETS: usize = 64;
/// Sessions whose memory is measured.
const OPEN: &str = "10000";

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let load = |words: &[&str]| Load {
        to: SocketAddr::from((Ipv4Addr::LOCALHOST, words[0].parse().unwrap())),
        sockets: words[1].parse().unwrap(),
        each: words[2].parse().unwrap(),
        connections: words[3].parse().unwrap(),
    };
    match words[..] {
        ["respond", delay_ms] => {
            runtime.block_on(bare::respond(Duration::from_millis(delay_ms.parse().unwrap())));
        }
        ["bare", ..] => runtime.block_on(load(&words[1..]).run(bare::bare)),
        ["sessions", ..] => runtime.block_on(load(&words[1..]).run(program::session)),
        ["open", port, count] => {
            runtime.block_on(program::open(port.parse().unwrap(), count.parse().unwrap()));
        }
        ["bare_names", port, count] => bare::bare_names(port.parse().unwrap(), count.parse().unwrap()),
        ["names", port, count] => {
            runtime.block_on(program::names(port.parse().unwrap(), count.parse().unwrap()));
        }
        ["probes"] => probes(),
        ["memory"] => memory(),
        ["names"] => names(),
        ["rows"] => rows(),
        _ => [probes, memory, names, rows].iter().for_each(|part| part()),
    }
}

fn probes() {
    println!(
        "probes/s, medians of {ROUNDS}                     bare   program  ratio   us/probe of each   goal"
    );
    let now = Responder::start(0);
    for (name, each, connections, goal) in
        [("50 to a connection, in one batch", 50, 20_000, 0.80), ("one to a connection", 1, 40_000, 0.85)]
    {
        let [bare, program] = now.race(["bare", "sessions"], SOCKETS, each, connections);
        let probes = (each * connections) as f64;
        println!(
            "{name:<40} {:>9.0} {:>9.0} {:>6.2} {:>9.2} {:>9.2}   {goal}",
            probes / bare.wall,
            probes / program.wall,
            bare.wall / program.wall,
            bare.cpu / probes * 1e6,
            program.cpu / probes * 1e6
        );
    }
    let far = Responder::start(100);
    let (rounds, round_trips) = (5, 4.0);
    let [program] = far.race(["sessions"], 1000, 1, 1000 * rounds);
    let bound = rounds as f64 * round_trips * 0.1;
    println!("1,000 sockets, 100 ms: wall / latency bound  {:.3}   (goal 1.10)", program.wall / bound);
}

fn memory() {
    let now = Responder::start(0);
    println!(
        "resident bytes per open connection, of {OPEN}  {}   (goal 8192)",
        output_of(&["open", &now.smtp, OPEN]).trim()
    );
}

/// Serves DNS names on a thread. Returns its port, and the counter of MX queries.
fn serve_names() -> (String, Arc<AtomicU64>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port().to_string();
    let queries = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&queries);
    std::thread::spawn(move || bare::respond_to_names(&socket, &counted));
    (port, queries)
}

fn names() {
    let (port, queries) = serve_names();
    let domains = 20_000;
    let count = domains.to_string();
    let mut of_program = 0;
    let mut count_queries = |program: &[&str]| {
        let before = queries.load(Ordering::Relaxed);
        output_of(program);
        if program[0] == "names" {
            of_program += queries.load(Ordering::Relaxed) - before;
        }
    };
    let programs = [vec!["bare_names", &port, &count], vec!["names", &port, &count]];
    let [bare, program] = race_by(&programs, &mut count_queries)[..] else {
        unreachable!("one figure for each")
    };
    let speed = |took: Took| 2.0 * domains as f64 / took.wall;
    let cpu = |took: Took| took.cpu / (2.0 * domains as f64) * 1e6;
    println!(
        "DNS answers/s: bare {:.0} ({:.1} us each), program {:.0} ({:.1} us; goal 10000 a second)",
        speed(bare),
        cpu(bare),
        speed(program),
        cpu(program)
    );
    let each = of_program as f64 / (ROUNDS * domains) as f64;
    println!("MX queries per domain                        {each:.3}   (goal 1.02)");
}

fn rows() {
    let rows = std::env::var("LISTPROOF_BENCH_ROWS").map_or(100_000, |rows| rows.parse().unwrap());
    let (now, (port, _)) = (Responder::start(0), serve_names());
    for open_files in [1024, 20_000] {
        single_rows(&now, &port, rows, open_files);
    }
}

/// Verifies a list of domains with one row and an MX host of their own each, by the whole program, with this limit on
/// open files.
fn single_rows(responder: &Responder, dns_port: &str, rows: usize, open_files: u32) {
    let folder = tempfile::tempdir().unwrap();
    let mut list = String::new();
    for row in 0..rows {
        writeln!(list, "live@d{row}.example").unwrap();
    }
    std::fs::write(folder.path().join("list.txt"), list).unwrap();
    let limited = format!("ulimit -n {open_files}; exec \"$@\"");
    let begun = cpu::of_ended_children_s();
    let output = Command::new("sh")
        .args(["-c", &limited, "sh", env!("CARGO_BIN_EXE_listproof"), "verify", "list.txt", "-o", "out"])
        .args(["--pace=fast", "--no-state", "--max-wait=0s", "--allow-mx-net=127.0.0.0/8"])
        .args(["--helo=probe.example.org", "--mail-from=list-check@example.org"])
        .args([&format!("--dns=127.0.0.1:{dns_port}"), "--smtp-port", &responder.smtp])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let cpu = cpu::of_ended_children_s() - begun;
    let begun = cpu::of_ended_children_s();
    output_of(&["bare", &responder.smtp, &SOCKETS.to_string(), "2", &rows.to_string()]);
    let bare = cpu::of_ended_children_s() - begun;
    let summary = std::fs::read_to_string(folder.path().join("out/list.summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    let decided = summary["verdicts"]["deliverable"].as_u64().unwrap();
    println!(
        "{rows} single rows, {open_files} open files: {} not decided (goal 0), {:.0} us CPU a row, {:.2} of bare \
         connections (goal 1.5)",
        rows as u64 - decided,
        cpu / rows as f64 * 1e6,
        cpu / bare
    );
}

/// What one run took.
#[derive(Clone, Copy)]
struct Took {
    wall: f64,
    cpu: f64,
}

/// Runs the programs in turn, [`ROUNDS`] times. Returns the medians of each.
fn race(programs: &[Vec<&str>]) -> Vec<Took> {
    race_by(programs, &mut |program| drop(output_of(program)))
}

/// As [`race`], with a function that runs a program.
fn race_by(programs: &[Vec<&str>], run: &mut dyn FnMut(&[&str])) -> Vec<Took> {
    let mut runs = vec![Vec::new(); programs.len()];
    for _ in 0..ROUNDS {
        for (program, runs) in programs.iter().zip(&mut runs) {
            let (begun, cpu) = (Instant::now(), cpu::of_ended_children_s());
            run(program);
            let cpu = cpu::of_ended_children_s() - cpu;
            runs.push(Took { wall: begun.elapsed().as_secs_f64(), cpu });
        }
    }
    runs.into_iter()
        .map(|mut runs| {
            let mut median = |of: fn(&Took) -> f64| {
                runs.sort_by(|a, b| of(a).total_cmp(&of(b)));
                of(&runs[ROUNDS / 2])
            };
            Took { wall: median(|took| took.wall), cpu: median(|took| took.cpu) }
        })
        .collect()
}

/// Runs another part of this program as a process. Returns what it prints.
fn output_of(part: &[&str]) -> String {
    let output = Command::new(std::env::current_exe().unwrap()).args(part).output().unwrap();
    assert!(output.status.success(), "{part:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The server, a process of its own.
struct Responder {
    child: Child,
    smtp: String,
}

impl Responder {
    fn start(delay_ms: u64) -> Responder {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["respond", &delay_ms.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Responder { child, smtp: line.trim().to_owned() }
    }

    fn race<const N: usize>(
        &self,
        parts: [&str; N],
        sockets: usize,
        each: usize,
        connections: usize,
    ) -> [Took; N] {
        let numbers = [sockets, each, connections].map(|number| number.to_string());
        let programs = parts.map(|part| vec![part, &*self.smtp, &*numbers[0], &*numbers[1], &*numbers[2]]);
        race(&programs).try_into().unwrap_or_else(|_| unreachable!("one figure for each"))
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many probes are sent, and over how many concurrent sockets.
struct Load {
    to: SocketAddr,
    sockets: usize,
    each: usize,
    connections: usize,
}

impl Load {
    async fn run<F: Future<Output = usize> + 'static>(
        self,
        connection: impl Fn(SocketAddr, usize) -> F + Copy + 'static,
    ) {
        rlimit::increase_nofile_limit(20_000).unwrap();
        let left = Arc::new(AtomicU64::new(self.connections as u64));
        let tasks = LocalSet::new();
        for _ in 0..self.sockets {
            let left = Arc::clone(&left);
            tasks.spawn_local(async move {
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                    .is_ok()
                {
                    assert_eq!(connection(self.to, self.each).await, self.each, "every probe gets a reply");
                }
            });
        }
        tasks.await;
    }
}
