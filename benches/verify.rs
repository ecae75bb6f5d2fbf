//! `listproof verify --offline` as a whole against the csv crate, alone and writing as many columns: wall and CPU time. Also
//! `check --offline` with the same addresses on its standard input, and with one.
//!
//! `cargo bench --bench verify [-- ROWS]`. Each program is a process of its own; they run in turn, five times, on files in
//! memory. The medians are printed. CPU time is what the system counted for child processes, in its ticks of 10 ms.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark makes its own files, prints its figures and stops at what fails"
)]

mod copy;
mod cpu;

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use copy::copy;

const ROUNDS: usize = 5;
const STARTS: usize = 101;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["copy", list, out] => copy(Path::new(list), Path::new(out), false),
        ["copy_wide", list, out] => copy(Path::new(list), Path::new(out), true),
        [rows] => compare(rows.parse().unwrap()),
        _ => compare(1_000_000),
    }
}

fn compare(rows: u64) {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (list, out, addresses) = (path("contacts.csv"), path("out.csv"), path("addresses.txt"));
    std::fs::write(&list, contacts(rows)).unwrap();
    let column = csv::Reader::from_path(&list).unwrap().into_records().map(|row| row.unwrap()[3].to_owned());
    std::fs::write(&addresses, column.collect::<Vec<_>>().join("\n")).unwrap();
    let this = std::env::current_exe().unwrap().display().to_string();
    let verify = [env!("CARGO_BIN_EXE_listproof"), "verify", "--offline", "-q", &list, "-o"];
    let (results, all) = (path("results.csv"), path("results"));
    let check = [env!("CARGO_BIN_EXE_listproof"), "check", "--offline"];
    let programs: [(&str, Vec<&str>); 5] = [
        ("csv crate, copy", vec![&this, "copy", &list, &out]),
        ("csv crate, copy with 18 more columns", vec![&this, "copy_wide", &list, &out]),
        ("verify --offline, results alone", [&verify[..], &[&results]].concat()),
        ("verify --offline, all files", [&verify[..], &[&all]].concat()),
        ("check --offline --json, from stdin", [&check[..], &["--json"]].concat()),
    ];
    let mut times = vec![Vec::new(); programs.len()];
    for _ in 0..ROUNDS {
        for ((_, program), times) in programs.iter().zip(&mut times) {
            times.push(time(program, Path::new(&addresses)));
        }
    }
    println!("{rows} rows, 5 columns, medians of {ROUNDS}      rows/s  wall s   CPU s");
    for ((name, _), times) in programs.iter().zip(&mut times) {
        let mut median = |of: fn(&(f64, f64)) -> f64| {
            times.sort_by(|a, b| of(a).total_cmp(&of(b)));
            of(&times[ROUNDS / 2])
        };
        let (wall, cpu) = (median(|time| time.0), median(|time| time.1));
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 rows")]
        let speed = rows as f64 / wall;
        println!("{name:<42} {speed:>12.0} {wall:>7.3} {cpu:>7.3}");
    }
    let one = [&check[..], &["a@example.com"]].concat();
    let mut starts: Vec<f64> = (0..STARTS).map(|_| time(&one, Path::new(&addresses)).0).collect();
    starts.sort_by(f64::total_cmp);
    println!("check --offline a@example.com, median of {STARTS}: {:.1} ms", starts[STARTS / 2] * 1_000.0);
}

/// Wall and CPU seconds of a process that may read these addresses.
fn time(program: &[&str], addresses: &Path) -> (f64, f64) {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).stdin(File::open(addresses).unwrap()).stdout(Stdio::null());
    let (started, cpu) = (Instant::now(), cpu::of_ended_children_s());
    let status = command.status().unwrap();
    assert!(status.success(), "{program:?}");
    (started.elapsed().as_secs_f64(), cpu::of_ended_children_s() - cpu)
}

/// A list as a CRM exports it: 40 % free mail, the rest companies of which some have many people.
fn contacts(rows: u64) -> String {
    let mut random = fastrand::Rng::with_seed(7);
    let mut list = String::from("id,first name,company,email,city\n");
    for row in 0..rows {
        let company = if row % 20 == 0 { "\"Miller, Sons & Co.\"" } else { "Miller and Sons Ltd" };
        let domain = match random.u32(0..100) {
            0..40 => ["gmail.com", "yahoo.com", "hotmail.com", "gmx.de"][random.usize(0..4)].to_owned(),
            40..42 => ["gmial.com", "hotmial.com", "mailinator.com"][random.usize(0..3)].to_owned(),
            42 => "bad..example.com".to_owned(),
            _ => {
                let most = random.u64(0..=rows / 6);
                format!("company{}.com", random.u64(0..=most))
            }
        };
        let name = random.u64(0..rows);
        writeln!(list, "{row},Annabel,{company},annabel.{name}@{domain},Berlin").unwrap();
    }
    list
}
