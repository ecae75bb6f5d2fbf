//! Outputs that cannot be written: stdout and stderr that are full or closed, a metrics file that is another kind of file, no
//! room for a copy of stdin. The program does not panic, changes no other file, and its exit code shows the failure.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own files and stops at what fails"
)]

mod support;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::process::{Child, Stdio};
use std::time::Duration;

use support::{Folder, Ran, SENDER, end_of, send, within};

const WORLD: &str = r#"
[[domain]]
name = "acme.example"
mx = ["10 mx.acme.example"]
mailboxes = ["jane", "joe"]
[[host]]
name = "mx.acme.example"
"#;

const LIST: &[u8] = b"id,email\n1,jane@acme.example\n2,nobody@acme.example\n3,joe@acme.example\n";

fn lab() -> Folder {
    Folder::with(LIST, WORLD)
}

/// A file that is always full.
fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// A pipe whose reader is closed.
fn closed() -> std::io::PipeWriter {
    std::io::pipe().unwrap().1
}

/// Every command that prints to stdout.
const PRINTING: [&[&str]; 18] = [
    &["verify", "list.csv", "--world", "world.toml", "-o", "out"],
    &["verify", "list.csv", "--world", "world.toml", "-o", "out", "--json", "-q"],
    &["verify", "list.csv", "--offline", "-o", "-"],
    &["report", "list.csv", "--state", "state.db", "-o", "out"],
    &["plan", "list.csv", "--offline"],
    &["check", "jane@acme.example", "--offline"],
    &["check", "jane@acme.example", "--world", "world.toml", "--trace"],
    &["check", "jane@acme.example", "--world", "world.toml", "--json"],
    &["explain", "550 5.1.1 no such user"],
    &["state", "stats", "--state", "state.db"],
    &["state", "export", "jane@acme.example", "--state", "state.db"],
    &["policy", "check"],
    &["policy", "show", "550 5.1.1 no such user"],
    &["simulate", "--rows", "100", "--mix", "b2b"],
    &["completions", "bash"],
    &["man"],
    &["--help"],
    &["--version"],
];

/// A lab with the state of an earlier run.
fn with_state() -> Folder {
    let lab = lab();
    lab.run(&["verify", "list.csv", "--world", "world.toml", "--state", "state.db", "-q", "-o", "before"])
        .exits(0);
    lab
}

#[test]
fn a_full_stdout_is_reported_on_stderr_and_by_the_exit_code() {
    let lab = with_state();
    for arguments in PRINTING {
        let mut command = lab.listproof(arguments);
        let ran =
            Ran(command.stdout(full()).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap());
        assert_eq!(ran.code(), Some(74), "{arguments:?}: {}", ran.stderr());
        ran.fails(74, &["stdout", "No space left"]);
    }
    assert_eq!(lab.rows("out/list.results.csv"), 3, "the output files are written");
}

#[test]
fn a_closed_pipe_is_an_error_only_where_results_are_lost() {
    let lab = with_state();
    for arguments in PRINTING {
        let mut command = lab.listproof(arguments);
        let ran =
            Ran(command.stdout(closed()).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap());
        let expected = if arguments.contains(&"-") { 74 } else { 0 };
        assert_eq!(ran.code(), Some(expected), "{arguments:?}: {}", ran.stderr());
    }
}

#[test]
fn the_exit_code_does_not_depend_on_stderr() {
    let lab = with_state();
    let fails: [(&[&str], i32); 5] = [
        (&["verify", "nowhere.csv", "--offline"], 65),
        (&["verify", "nowhere.csv", "--offline", "--log-format", "json"], 65),
        (&["verify", "list.csv", "--wrold"], 2),
        (&["verify", "list.csv", "--world", "world.toml", "-o", "out", "--log-format", "json", "-vv"], 0),
        (&["verify", "list.csv", "--world", "world.toml", "-o", "-", "-v"], 0),
    ];
    for (arguments, code) in PRINTING.into_iter().map(|printing| (printing, 0)).chain(fails) {
        let listproof = || {
            let mut command = lab.listproof(arguments);
            command.stdout(Stdio::null());
            command
        };
        let to_full = listproof().stderr(full()).status().unwrap();
        let to_closed = listproof().stderr(closed()).status().unwrap();
        assert_eq!((to_full.code(), to_closed.code()), (Some(code), Some(code)), "{arguments:?}");
    }
}

#[test]
fn metrics_are_written_and_say_so_when_the_summary_cannot_be_printed() {
    let lab = lab();
    let mut verify =
        lab.listproof(&["verify", "list.csv", "--world", "world.toml", "--metrics-file", "m.prom"]);
    assert_eq!(verify.stdout(full()).status().unwrap().code(), Some(74));
    assert!(lab.read("m.prom").contains("listproof_exit_code{list=\"m\"} 74\n"));
    assert_eq!(lab.rows("list.listproof/list.results.csv"), 3);
}

#[test]
fn a_world_is_served_even_if_stdout_is_closed() {
    let lab = lab();
    let mut world = lab.listproof(&["world", "world.toml", "--dns", "127.0.0.1:0", "--smtp-port", "0"]);
    let mut serving = world.stdout(closed()).spawn().unwrap();
    assert!(within(Duration::from_millis(500), &mut serving).is_none(), "the server runs");
    send("-TERM", &serving);
    assert_eq!(end_of(&mut serving).code(), Some(0));
}

/// Runs `verify` with this metrics file.
fn verify_with_metrics(lab: &Folder, metrics: &str) -> Ran {
    let state = ["--state", "state.db", "-o", "out", "--changed-only"];
    lab.run(
        &[&["verify", "list.csv", "--world", "world.toml", "--metrics-file", metrics], &state[..]].concat(),
    )
}

#[test]
fn a_metrics_file_of_another_kind_is_refused_before_the_run_starts() {
    let lab = lab();
    lab.write("notes.txt", b"mine\n");
    std::fs::create_dir(lab.path("folder.prom")).unwrap();
    std::os::unix::fs::symlink("notes.txt", lab.path("link.prom")).unwrap();
    for metrics in [
        "list.csv",
        "./list.csv",
        "world.toml",
        "notes.txt",
        "link.prom",
        "folder.prom",
        "/dev/null",
        "state.db",
        "state.db.lock",
        "state.db-wal",
        "nowhere/m.prom",
        "notes.txt/m.prom",
        "/proc/m.prom",
    ] {
        verify_with_metrics(&lab, metrics).fails(2, &[metrics.trim_start_matches("./"), "--metrics-file"]);
        assert!(!lab.path("out").exists() && !lab.path("state.db").exists(), "{metrics}");
    }
    assert_eq!((lab.read("list.csv").as_bytes(), lab.read("notes.txt").as_str()), (LIST, "mine\n"));
    for output in ["out/list.summary.json", "out/list.risky.csv"] {
        std::fs::create_dir_all(lab.path("out")).unwrap();
        verify_with_metrics(&lab, output).fails(2, &[output]);
        let verify = ["verify", "list.csv", "--offline", "-o", "o.csv", "--metrics-file", "./o.csv"];
        lab.run(&verify).fails(2, &["o.csv"]);
    }
}

#[test]
fn a_metrics_file_may_be_new_empty_or_of_an_earlier_run() {
    let lab = lab();
    lab.write("m.prom", b"");
    for _ in 0..2 {
        verify_with_metrics(&lab, "m.prom").exits(0);
        assert!(lab.read("m.prom").starts_with("# HELP listproof_exit_code "));
    }
}

#[test]
fn the_error_of_a_run_is_printed_even_if_its_metrics_fail_too() {
    let lab = lab();
    std::fs::create_dir(lab.path("collected")).unwrap();
    let mut child = lab
        .listproof(&["verify", "-", "--offline", "-o", "out", "--metrics-file", "collected/m.prom"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It reads its list, so it has already checked the folder of the metrics. The list is blank, which is an error.
    wait_until_it_reads(&mut child);
    std::fs::remove_dir(lab.path("collected")).unwrap();
    drop(child.stdin.take());
    let ran = Ran(child.wait_with_output().unwrap());
    ran.fails(65, &["`stdin` is empty", "collected/m.prom"]);
}

/// Returns when the child has read from stdin: it gets more than fits into a pipe.
fn wait_until_it_reads(child: &mut Child) {
    child.stdin.as_mut().unwrap().write_all(&vec![b' '; 1 << 20]).unwrap();
}

#[test]
fn no_room_for_a_copy_of_stdin_is_an_output_error() {
    let lab = lab();
    let mut verify = lab.listproof(&["verify", "-", "--offline", "-o", "out"]);
    let verify = verify.env("TMPDIR", "/nowhere/at/all").stdin(File::open(lab.path("list.csv")).unwrap());
    Ran(verify.output().unwrap()).fails(74, &["/nowhere/at/all", "TMPDIR"]);
    // The shell's limit on the size of files, in blocks of 512 or 1,024 bytes, acts like a full disk.
    let many: Vec<String> = (0..20_000).map(|n| format!("user{n}@acme.example")).collect();
    lab.write("many.txt", many.join("\n"));
    let limited = "trap '' XFSZ; ulimit -f 64; exec \"$0\" verify - --offline -o out < many.txt";
    let mut shell = lab.program("sh");
    shell.args(["-c", limited, env!("CARGO_BIN_EXE_listproof")]).env("TMPDIR", lab.path(""));
    Ran(shell.output().unwrap()).fails(74, &["TMPDIR"]);
}

#[test]
fn a_run_that_is_killed_leaves_no_copy_of_its_list() {
    let lab = lab();
    std::fs::create_dir(lab.path("tmp")).unwrap();
    let served = lab.serve("world.toml");
    let verify = [&["verify", "-", "-o", "out"][..], &SENDER, &served.flags()].concat();
    let mut child =
        lab.listproof(&verify).env("TMPDIR", lab.path("tmp")).stdin(Stdio::piped()).spawn().unwrap();
    wait_until_it_reads(&mut child);
    send("-KILL", &child);
    end_of(&mut child);
    let left: Vec<_> =
        std::fs::read_dir(lab.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}
