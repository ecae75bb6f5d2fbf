//! The program against the crate check-if-email-exists, in one world of real sockets, 50 ms away.
//!
//! `cargo bench --bench side_by_side`. Needs root, `unshare`, `ip` and `mount` (a private network and a name server on port 53),
//! and `cargo build --release` in `benches/peer`. Each shape of list has a world of its own. Both programs may open the
//! same number of sockets; a policy folder lifts the limits of the hosts. Medians of three runs in turn. CPU is that of the
//! measured program, without the world's.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark makes its own files, prints its figures and stops at what fails"
)]

mod cpu;
mod served;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use served::{Serving, VERIFY, path, time, write_policy};

/// Connections that each program may hold.
const SOCKETS: u32 = 100;
const ROUNDS: usize = 3;
const INSIDE: &str = "LISTPROOF_BENCH_INSIDE";

/// A list and the servers behind it. Of eight mailboxes one does not exist, of ten domains one accepts any recipient.
struct Shape {
    name: &'static str,
    domains: u32,
    rows_per_domain: u32,
    hosts: u32,
    goal: f64,
    cpu_goal: f64,
}

const SHAPES: [Shape; 3] = [
    Shape {
        name: "3 MX, 4,000 rows each",
        domains: 1200,
        rows_per_domain: 10,
        hosts: 3,
        goal: 30.0,
        cpu_goal: 50.0,
    },
    Shape {
        name: "1,200 MX, 10 rows each",
        domains: 1200,
        rows_per_domain: 10,
        hosts: 1200,
        goal: 10.0,
        cpu_goal: 20.0,
    },
    Shape {
        name: "3,000 MX, 1 row each",
        domains: 3000,
        rows_per_domain: 1,
        hosts: 3000,
        goal: 1.5,
        cpu_goal: 1.0,
    },
];

fn main() {
    if env::var_os(INSIDE).is_none() {
        let status = Command::new("unshare")
            .args(["--net", "--mount", "--kill-child", "--fork", "--pid", "--mount-proc"])
            .arg(env::current_exe().unwrap())
            .env(INSIDE, "1")
            .status();
        assert!(status.is_ok_and(|status| status.success()), "no private network here: it takes root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    run("ip", &["link", "set", "lo", "up"]);
    fs::write(here.join("resolv.conf"), "nameserver 127.0.0.1\noptions edns0\n").unwrap();
    run("mount", &["--bind", &path(here, "resolv.conf"), "/etc/resolv.conf"]);
    println!("rows/s and CPU per row, medians of {ROUNDS}; 50 ms round trips, {SOCKETS} sockets each");
    for shape in &SHAPES {
        shape.compare(here);
    }
}

impl Shape {
    fn compare(&self, here: &Path) {
        fs::write(here.join("world.toml"), self.world()).unwrap();
        fs::write(here.join("list.txt"), self.list()).unwrap();
        write_policy(here, OWN_HOSTS);
        let world = Serving::start(&path(here, "world.toml"), "127.0.0.1:53", "25", None);
        let peer = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peer/target/release/peer");
        let peer = env::var("PEER").unwrap_or_else(|_| peer.to_owned());
        let sockets = SOCKETS.to_string();
        // The program keeps 300 descriptors for other things than sessions.
        let limited = format!("ulimit -n {}; exec \"$@\"", SOCKETS + 300);
        let ours = ["sh", "-c", &limited, "sh", env!("CARGO_BIN_EXE_listproof")];
        let arguments = ["list.txt", "--dns=127.0.0.1", "--max-wait=0s"];
        let programs =
            [vec![&*peer, "list.txt", &sockets], ours.into_iter().chain(VERIFY).chain(arguments).collect()];
        let mut figures = [const { Vec::new() }; 2];
        for _ in 0..ROUNDS {
            for (program, figures) in programs.iter().zip(&mut figures) {
                figures.push(time(here, program));
            }
        }
        drop(world);
        let rows = f64::from(self.domains * self.rows_per_domain);
        let [theirs, ours] = figures.map(|mut runs| {
            let mut median = |of: fn(&(f64, f64)) -> f64| {
                runs.sort_by(|a, b| of(a).total_cmp(&of(b)));
                of(&runs[ROUNDS / 2])
            };
            (rows / median(|run| run.0), median(|run| run.1) / rows * 1e6)
        });
        println!("{}", self.name);
        println!("  check-if-email-exists {:>9.0} rows/s {:>8.1} us/row", theirs.0, theirs.1);
        println!("  listproof             {:>9.0} rows/s {:>8.1} us/row", ours.0, ours.1);
        println!(
            "  ratio {:.1}x rows/s (goal {}x), {:.1}x CPU (goal {}x)",
            ours.0 / theirs.0,
            self.goal,
            theirs.1 / ours.1,
            self.cpu_goal
        );
    }

    fn world(&self) -> String {
        let mut world =
            format!("[[host]]\nname = \"mx{{0..{}}}.own.example\"\nrtt = \"50ms\"\n", self.hosts - 1);
        for (share, catch_all) in [(1..=9, false), (10..=10, true)] {
            for tenth in share {
                let (first, last) = ((tenth - 1) * self.domains / 10, tenth * self.domains / 10 - 1);
                write!(
                    world,
                    "[[domain]]\nname = \"d{{{first}..{last}}}.example\"\nmx = [\"10 mx{{n%{}}}.own.example\"]\n\
                     mailboxes = [\"live{{0..9}}\"]\ncatch_all = {catch_all}\n",
                    self.hosts
                )
                .unwrap();
            }
        }
        world
    }

    fn list(&self) -> String {
        let mut list = String::new();
        for row in 0..self.rows_per_domain {
            for domain in 0..self.domains {
                let name = if (row + domain) % 8 == 0 { "dead" } else { "live" };
                writeln!(list, "{name}{row}@d{domain}.example").unwrap();
            }
        }
        list
    }
}

const OWN_HOSTS: &str = include_str!("own_hosts.toml");

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(status.is_ok_and(|status| status.success()), "`{program} {}` failed", arguments.join(" "));
}
