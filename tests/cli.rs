//! The command line: bad input gets a clear error and no file is lost, counts add up, and a run that is stopped writes its
//! results so far.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own files and stops at what fails"
)]

mod support;

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use support::{Folder, Ran, SENDER, Served, end_of, mode, query, send};

const WORLD: &str = r#"
[[domain]]
name = "acme.example"
mx = ["10 mx.acme.example"]
mailboxes = ["jane", "joe"]
[[domain]]
name = "any.example"
mx = ["10 mx.any.example"]
catch_all = true
[[host]]
name = "mx.acme.example"
[[host]]
name = "mx.any.example"
[[domain]]
name = "later.example"
mx = ["10 mx.later.example"]
mailboxes = ["ida"]
[[host]]
name = "mx.later.example"
greylist = { delay = "6h" }
"#;

/// A folder for one test, with a world.
fn lab() -> Folder {
    Folder::with(b"", WORLD)
}

/// Runs `verify` over a list in the world.
fn verify(lab: &Folder, list: &[u8], more: &[&str]) -> Ran {
    lab.write("list.csv", list);
    lab.run(&[&["verify", "list.csv", "--world", "world.toml", "-q"], more].concat())
}

#[test]
fn a_list_without_addresses_is_refused_with_its_columns() {
    let lab = lab();
    verify(&lab, b"name,city\nJane,Oslo\nJoe,Rome\n", &["-o", "out"]).fails(65, &["list.csv", "city"]);
    assert!(!lab.path("out").exists(), "nothing is left behind");
}

#[test]
fn unreadable_rows_are_named_on_stderr_where_no_file_lists_them() {
    let lab = lab();
    let list = b"name,email\nJane,jane@acme.example\nJoe,joe@acme.example,Rome,extra\nIda,\"ida@later.example;jane@acme.example\"\n";
    lab.write("list.csv", list);
    let ran = lab.run(&["verify", "list.csv", "--world", "world.toml", "-o", "results.csv"]);
    ran.exits(0);
    let log = ran.stderr();
    assert!(log.contains("line 3: 4 cells where there are 2 columns"), "{log}");
    assert!(log.contains("line 4: extra_address: another address of row 3, not checked"), "{log}");
    assert!(!log.contains("jane@acme.example"), "no log names an address: {log}");
}

#[test]
fn flags_say_how_a_list_is_read() {
    let lab = lab();
    let list = b"Email!Name\nE-Mail!Full name\n!Ann\njane@acme.example!\xc8\xe2\xe0\xed\n";
    let flags = [
        "--delimiter",
        "!",
        "--header-row",
        "2",
        "--encoding",
        "cp1251",
        "--column",
        "e-mail",
        "--bom",
        "always",
    ];
    verify(&lab, list, &[&flags[..], &["-o", "out", "--spreadsheet-safe"]].concat()).exits(0);
    let deliverable = lab.read("out/list.deliverable.csv");
    assert_eq!(deliverable, "\u{feff}E-Mail!Full name\njane@acme.example!Иван\n");
    assert!(lab.read("out/list.spreadsheet.csv").contains("Иван"));
    assert!(lab.read("out/list.rejected.csv").contains("1,the row stands above the header,Email!Name"));
    for (flags, words) in [
        (["--encoding", "utf-7"], "--encoding"),
        (["--delimiter", "ab"], "--delimiter"),
        (["--header-row", "0"], "--header-row"),
        (["--bom", "maybe"], "--bom"),
    ] {
        assert!(verify(&lab, list, &flags).exits(2).stderr().contains(words));
    }
    verify(&lab, list, &["--header-row", "1", "--no-header"]).exits(2);
}

#[test]
fn a_named_column_that_is_not_there_is_refused() {
    let lab = lab();
    verify(&lab, b"email\njane@acme.example\n", &["--column", "mail"]).fails(2, &["`mail`", "email"]);
}

#[test]
fn an_empty_file_is_refused() {
    let lab = lab();
    for empty in [&b""[..], b"\n\n", b"\xef\xbb\xbf"] {
        verify(&lab, empty, &[]).fails(65, &["list.csv"]);
    }
}

#[test]
fn a_list_that_is_not_there_is_refused() {
    let lab = lab();
    lab.run(&["verify", "nowhere.csv", "--world", "world.toml"]).fails(65, &["nowhere.csv"]);
}

#[test]
fn a_folder_is_refused_as_a_list_and_as_a_reply() {
    let lab = lab();
    lab.run(&["verify", ".", "--offline"]).fails(65, &["`.`", "folder", "name one file in it"]);
    lab.run(&["explain", "."]).fails(65, &["`.`", "name one file in it"]);
    for arguments in [&["verify", "-", "--offline"][..], &["check", "--offline"], &["explain"]] {
        let folder = std::fs::File::open(lab.path("")).unwrap();
        Ran(lab.listproof(arguments).stdin(folder).output().unwrap()).fails(65, &["`stdin`"]);
    }
}

#[test]
fn explaining_nothing_is_a_usage_error() {
    let lab = lab();
    for text in ["", " ", "nosuchfile.eml"] {
        lab.run(&["explain", text]).fails(2, &["hint:"]);
    }
    lab.write("blank.txt", b" \n\n");
    let blank = std::fs::File::open(lab.path("blank.txt")).unwrap();
    Ran(lab.listproof(&["explain"]).stdin(blank).output().unwrap()).fails(2, &["nothing to explain"]);
}

#[test]
fn a_list_in_another_encoding_is_read_and_the_encoding_is_named() {
    let lab = lab();
    let list = b"email,city\njane@acme.example,M\xfcnchen\nnobody@acme.example,K\xf6ln\n";
    lab.write("list.csv", list);
    let ran = lab.run(&["verify", "list.csv", "--world", "world.toml", "-o", "out"]);
    ran.exits(0);
    let results = lab.read("out/list.results.csv");
    assert!(results.contains("München") && results.contains("Köln"), "{results}");
    let summary = ran.stdout().to_lowercase();
    assert!(summary.contains("windows-1252") || summary.contains("latin"), "{summary}");
}

#[test]
fn short_rows_are_padded_and_unreadable_rows_are_written_with_their_line() {
    let lab = lab();
    verify(
        &lab,
        b"name,email,city\nJane,jane@acme.example\nJoe,joe@acme.example,Rome,extra,more\nIda\n",
        &["-o", "out"],
    )
    .exits(0);
    let summary = lab.summary("out");
    let all = count(&summary, "results") + count(&summary, "rejected");
    assert_eq!(all, 3, "{summary}");
    assert!(lab.read("out/list.results.csv").contains("Jane,jane@acme.example,,deliverable"));
}

/// A number of the summary, at any depth.
#[track_caller]
fn count(summary: &serde_json::Value, key: &str) -> usize {
    fn find(value: &serde_json::Value, key: &str) -> Option<usize> {
        let object = value.as_object()?;
        let own = object.get(key).and_then(serde_json::Value::as_u64).and_then(|count| count.try_into().ok());
        own.or_else(|| object.values().find_map(|value| find(value, key)))
    }
    find(summary, key).unwrap_or_else(|| panic!("no `{key}` in {summary}"))
}

const MIXED: &[u8] =
    b"id,email\n1,jane@acme.example\n2,nobody@acme.example\n3,jane@ACME.example\n4,who@any.example\n\
    5,ida@later.example\n6,not an address\n7,\n8,joe@acme.example\n";

#[test]
fn counts_add_up_and_every_row_is_in_one_file() {
    let lab = lab();
    verify(&lab, MIXED, &["-o", "out", "--max-wait", "0s"]).exits(0);
    let summary = lab.summary("out");
    let parts = ["deliverable", "risky", "undeliverable", "retry", "duplicates"];
    let rows = parts.map(|part| lab.rows(&format!("out/list.{part}.csv")));
    assert_eq!(rows, [2, 1, 2, 1, 1]);
    assert_eq!(count(&summary, "without_address"), 1);
    assert_eq!(lab.rows("out/list.results.csv"), rows.iter().sum::<usize>() + 1);
    assert_eq!(count(&summary, "results"), 8);
    assert_eq!(count(&summary, "rejected"), lab.rows("out/list.rejected.csv"));
    for (part, rows) in parts.into_iter().zip(rows) {
        let key = if part == "retry" { "unknown" } else { part };
        assert_eq!(count(&summary, key), rows, "{key} in {summary}");
    }
    assert_eq!(lab.read("out/list.retry.csv"), "id,email\n5,ida@later.example\n");
    assert_eq!(lab.read("out/list.deliverable.csv"), "id,email\n1,jane@acme.example\n8,joe@acme.example\n");
}

#[test]
fn outputs_are_readable_by_their_owner_only() {
    let lab = lab();
    verify(&lab, MIXED, &["-o", "out", "--max-wait", "0s"]).exits(0);
    for entry in std::fs::read_dir(lab.path("out")).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{}", entry.path().display());
        assert!(entry.file_name().to_string_lossy().starts_with("list."), "{}", entry.path().display());
    }
}

#[test]
fn a_second_run_replaces_its_own_files_and_refuses_others() {
    let lab = lab();
    verify(&lab, MIXED, &["-o", "out", "--max-wait", "0s"]).exits(0);
    let first = lab.read("out/list.results.csv");
    verify(&lab, MIXED, &["-o", "out", "--max-wait", "0s"]).exits(0);
    assert_eq!(lab.read("out/list.results.csv"), first, "the same world gives the same results");
    std::fs::create_dir(lab.path("notes")).unwrap();
    lab.write("notes/list.risky.csv", b"my own notes\n");
    verify(&lab, MIXED, &["-o", "notes", "--max-wait", "0s"]).fails(74, &["list.risky.csv"]);
    assert_eq!(lab.read("notes/list.risky.csv"), "my own notes\n");
    assert!(!lab.path("notes/list.results.csv").exists());
}

#[test]
fn an_output_that_cannot_be_written_is_refused_before_the_first_probe() {
    let lab = lab();
    lab.write("taken", b"");
    verify(&lab, MIXED, &["-o", "taken/out"]).fails(74, &["taken"]);
    verify(&lab, MIXED, &["-o", "nowhere/at/all.csv"]).fails(74, &["nowhere"]);
    verify(&lab, MIXED, &["-o", "/proc/out"]).fails(74, &["/proc/out"]);
}

#[test]
fn results_go_to_stdout_and_the_summary_to_stderr() {
    let lab = lab();
    lab.write("list.csv", MIXED);
    let ran = lab.run(&["verify", "list.csv", "--world", "world.toml", "--max-wait", "0s", "-o", "-"]);
    let results = ran.exits(0).stdout();
    assert_eq!(results.lines().count(), 9, "{results}");
    assert!(results.starts_with("id,email,verdict,reason,"), "{results}");
    assert!(ran.stderr().contains("8 ="), "{}", ran.stderr());
    assert!(!lab.path("list.listproof").exists());
}

#[test]
fn the_list_may_come_from_stdin() {
    let lab = lab();
    let mut child = lab
        .listproof(&["verify", "-", "--world", "world.toml", "--max-wait", "0s", "-q", "-o", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(MIXED).unwrap();
    let ran = Ran(child.wait_with_output().unwrap());
    assert_eq!(ran.exits(0).stdout().lines().count(), 9);
}

#[test]
fn a_wrong_command_line_is_refused() {
    let lab = lab();
    lab.write("list.csv", MIXED);
    lab.run(&["verify", "list.csv", "--wrold", "world.toml"]).exits(2);
    lab.run(&["verfy"]).exits(2);
    lab.run(&["verify", "list.csv", "--world", "world.toml", "--fail-if", "undeliverable"])
        .fails(2, &["--fail-if"]);
    lab.run(&["verify", "list.csv", "--world", "world.toml", "--fail-if", "gone>5%"]).fails(2, &["gone"]);
    lab.run(&["verify", "list.csv", "--world", "world.toml", "--max-unknown", "few"]).fails(2, &["few"]);
}

#[test]
fn gates_decide_the_exit_code_of_a_finished_run() {
    let lab = lab();
    let gate = |gates: &[&str]| verify(&lab, MIXED, &[&["-o", "out", "--max-wait", "0s"], gates].concat());
    gate(&["--max-unknown", "0"]).exits(3);
    gate(&["--max-unknown", "1"]).exits(0);
    gate(&["--fail-if", "undeliverable>5%"]).exits(4);
    gate(&["--fail-if", "undeliverable>95%"]).exits(0);
    gate(&["--fail-if", "undeliverable>5%", "--max-unknown", "0"]).exits(4);
    assert_eq!(lab.rows("out/list.results.csv"), 8, "the results are written all the same");
}

#[test]
fn no_mail_server_is_contacted_without_a_helo_name_and_sender() {
    let lab = lab();
    lab.write("list.csv", MIXED);
    lab.run(&["verify", "list.csv"]).fails(78, &["--helo", "--mail-from"]);
    lab.run(&["verify", "list.csv", "--helo", "mx.acme.example"]).fails(78, &["--mail-from"]);
    lab.run(&["verify", "list.csv", "--helo", "x y", "--mail-from", "a@acme.example"]).fails(78, &["x y"]);
    lab.run(&["verify", "list.csv", "--helo", "mx.acme.example", "--mail-from", "me"])
        .fails(78, &["--mail-from me"]);
    lab.run(&["verify", "list.csv", "--offline", "-q"]).exits(0);
}

#[test]
fn a_bad_world_is_refused_with_its_line() {
    let lab = lab();
    lab.write("list.csv", MIXED);
    lab.run(&["verify", "list.csv", "--world", "nowhere.toml"]).fails(78, &["nowhere.toml"]);
    lab.write("bad.toml", b"[[domain]]\nname = \"acme.example\"\nmailbox = [\"jane\"]\n");
    lab.run(&["verify", "list.csv", "--world", "bad.toml"]).fails(78, &["bad.toml:3", "mailbox"]);
    assert!(!lab.path("list.listproof/list.results.csv").exists());
}

#[test]
fn offline_says_that_no_mail_server_was_contacted() {
    let lab = lab();
    lab.write("list.csv", MIXED);
    let ran = lab.run(&["verify", "list.csv", "--offline", "-o", "out"]);
    assert!(ran.exits(0).stdout().starts_with("mailboxes were not checked"));
    assert!(lab.path("out/list.unprobed.csv").exists());
    assert!(!lab.path("out/list.deliverable.csv").exists() && !lab.path("out/list.retry.csv").exists());
}

#[test]
fn a_deadline_ends_a_run_with_code_10_and_complete_results() {
    let lab = lab();
    verify(&lab, MIXED, &["-o", "out", "--max-duration", "1m", "--max-wait", "12h"]).exits(10);
    assert_eq!(lab.summary("out")["stopped_because"], "deadline");
    assert_eq!(lab.rows("out/list.results.csv"), 8);
    assert_eq!(lab.read("out/list.retry.csv"), "id,email\n5,ida@later.example\n");
}

/// A host that delays each reply.
const SLOW: &str = r#"
[[domain]]
name = "slow.example"
mx = ["10 mx.slow.example"]
mailboxes = ["user{1..500}"]
[[host]]
name = "mx.slow.example"
[[host.rule]]
at = "rcpt"
wait = "200ms"
"#;

/// Sends a signal to a run, which must end with this code and write every row.
fn a_signal_writes_every_row(signal: &str, code: i32) {
    let rows: Vec<String> = (1..=100).map(|n| format!("{n},user{n}@slow.example")).collect();
    let lab = Folder::with(format!("id,email\n{}\n", rows.join("\n")).as_bytes(), SLOW);
    let served = lab.serve("world.toml");
    let verify = [&["verify", "list.csv", "-o", "out", "-q"][..], &SENDER, &served.flags()].concat();
    let mut child = lab.listproof(&verify).spawn().unwrap();
    // In this time the first replies arrive, but far fewer than a hundred.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(child.try_wait().unwrap().is_none(), "the run ended before the signal");
    send(signal, &child);
    assert_eq!(end_of(&mut child).code(), Some(code));
    assert_eq!(lab.rows("out/list.results.csv"), 100);
    let (retry, deliverable) = (lab.rows("out/list.retry.csv"), lab.rows("out/list.deliverable.csv"));
    assert_eq!(retry + deliverable, 100);
    assert!(retry > 0, "rows that were not probed are in the retry file");
    assert!(lab.read("out/list.results.csv").contains("not_probed"));
    let because = if code == 130 { "interrupted" } else { "terminated" };
    assert_eq!(lab.summary("out")["stopped_because"], because);
}

#[test]
fn a_terminated_run_writes_every_row() {
    a_signal_writes_every_row("-TERM", 143);
}

#[test]
fn an_interrupted_run_writes_every_row() {
    a_signal_writes_every_row("-INT", 130);
}

/// Runs `verify` in the slow world, and changes its list after the first reply.
fn verify_while(lab: &Folder, served: &Served, change: impl FnOnce()) -> Ran {
    let state = ["--state", "state.db", "--pace", "fast"];
    let verify = [&["verify", "list.csv", "-o", "out", "-q"][..], &state, &SENDER, &served.flags()].concat();
    let mut child = lab.listproof(&verify).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The first reply is stored, and the last is far.
    let file = lab.path("state.db");
    let replies = || query::<i64>(&file, "SELECT count(*) FROM attempts");
    while replies().unwrap_or_default() == 0 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    change();
    Ran(child.wait_with_output().unwrap())
}

/// A list with the columns `id,email`, or swapped.
fn slow_list(rows: u32, is_swapped: bool) -> String {
    let row = |n| {
        if is_swapped { format!("user{n}@slow.example,{n}\n") } else { format!("{n},user{n}@slow.example\n") }
    };
    [if is_swapped { "email,id\n" } else { "id,email\n" }]
        .map(str::to_owned)
        .into_iter()
        .chain((1..=rows).map(row))
        .collect()
}

#[test]
fn a_list_that_is_replaced_during_a_run_is_used_as_it_was() {
    let lab = Folder::with(slow_list(12, false).as_bytes(), SLOW);
    let ran = verify_while(&lab, &lab.serve("world.toml"), || {
        lab.write("new.csv", slow_list(12, true));
        std::fs::rename(lab.path("new.csv"), lab.path("list.csv")).unwrap();
    });
    ran.exits(0);
    assert_eq!(lab.read("out/list.deliverable.csv"), slow_list(12, false));
}

#[test]
fn a_list_that_is_changed_during_a_run_ends_it_and_the_next_run_uses_the_replies() {
    for (rows, is_swapped) in [(12, true), (6, false), (20, false)] {
        let lab = Folder::with(slow_list(12, false).as_bytes(), SLOW);
        let served = lab.serve("world.toml");
        let ran = verify_while(&lab, &served, || drop(lab.write("list.csv", slow_list(rows, is_swapped))));
        ran.fails(65, &["`list.csv` was changed while it was read"]);
        assert!(!lab.path("out/list.results.csv").exists());
        verify_while(&lab, &served, || ()).exits(0);
        assert_eq!(lab.read("out/list.deliverable.csv"), slow_list(rows, is_swapped));
        let probes = lab.lines("world.log").iter().filter(|line| line.contains("user3@")).count();
        assert_eq!(probes, 1);
    }
}

#[test]
fn the_environment_is_checked_like_the_command_line() {
    for (name, value) in [
        ("LISTPROOF_HELO", "probe.example\r\nDATA"),
        ("LISTPROOF_HELO", "localhost\u{1b}[2J"),
        ("LISTPROOF_MAIL_FROM", "check@probe.example> DATA"),
        ("LISTPROOF_MAIL_FROM", "<>"),
        ("LISTPROOF_DNS", "127.0.0.1:99999"),
        ("LISTPROOF_SMTP_PORT", "0x19"),
        ("LISTPROOF_SOURCE_IP", "::ffff:1:2:3:4:5:6:7"),
        ("LISTPROOF_PROXY", "http://127.0.0.1"),
    ] {
        let folder = Folder::new();
        let mut command = folder.listproof(&["check", "jane@shop.example"]);
        command.env("LISTPROOF_HELO", "probe.example").env("LISTPROOF_MAIL_FROM", "check@probe.example");
        let ran = Ran(command.env(name, value).output().unwrap());
        let errors = ran.stderr();
        assert!(matches!(ran.code(), Some(2 | 78)), "{name}={value:?}: {:?} {errors}", ran.code());
        assert!(!errors.replace('\n', " ").contains(char::is_control), "{name}={value:?}: {errors:?}");
    }
}
