//! What a scheduler lives on: samples that run, exit codes, events and metrics that are what the README says, and files
//! that nobody else can read.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own files and stops at what fails"
)]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const LISTPROOF: &str = env!("CARGO_BIN_EXE_listproof");
const WORLD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/world.toml");
const CONTACTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/contacts.csv");

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/nightly").join(name)
}

/// A command in a folder of its own, with nothing of this machine's settings but the programs.
fn command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("HOME", folder).current_dir(folder).stdin(Stdio::null());
    command
}

/// `verify` of the sample list in the sample world.
fn verify(folder: &Path, more: &[&str]) -> Output {
    command(LISTPROOF, folder)
        .args(["verify", CONTACTS, "--world", WORLD, "-o", "out"])
        .args(more)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_script_asks_again_about_what_stayed_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let night = || {
        command("sh", folder.path())
            .arg(sample("nightly.sh"))
            .args([CONTACTS, "out", "--world", WORLD, "--state", "state.db"])
            .env("LISTPROOF", LISTPROOF)
            .output()
            .unwrap()
    };
    let first = night();
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    assert_eq!(
        (text(&first.stdout), text(&first.stderr)),
        (String::new(), String::new()),
        "cron mails nothing"
    );
    let read = |name: &str| std::fs::read_to_string(folder.path().join("out").join(name)).unwrap();
    let open = read("contacts.retry.csv");
    assert_eq!(read("again.csv"), open);
    assert_eq!(night().status.code(), Some(0));
    let second: serde_json::Value = serde_json::from_str(&read("again.summary.json")).unwrap();
    assert_eq!(second["rows"], open.lines().count() - 1, "the second night asks about the open ones alone");
}

#[test]
fn the_scripts_are_written_in_their_languages() {
    let folder = tempfile::tempdir().unwrap();
    let checks: [(&str, &[&str], &str); 2] = [
        ("sh", &["-n"], "nightly.sh"),
        ("python3", &["-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())"], "airflow_dag.py"),
    ];
    for (program, arguments, script) in checks {
        // Not every machine has Python.
        let Ok(output) = command(program, folder.path()).args(arguments).arg(sample(script)).output() else {
            continue;
        };
        assert!(output.status.success(), "{script}: {}", text(&output.stderr));
    }
}

#[test]
fn systemd_takes_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // Programs and users of the machine that it is meant for are looked for here.
    let service = std::fs::read_to_string(sample("listproof-nightly.service")).unwrap();
    let service =
        service.replace("/usr/local/bin/listproof-nightly", "/bin/sh").replace("User=listproof", "User=root");
    std::fs::write(path("listproof-nightly.service"), service).unwrap();
    std::fs::copy(sample("listproof-nightly.timer"), path("listproof-nightly.timer")).unwrap();
    let verified = command("systemd-analyze", folder.path())
        .args(["verify", "--man=no"])
        .args([path("listproof-nightly.service"), path("listproof-nightly.timer")])
        .output();
    // Not every machine has systemd.
    let Ok(verified) = verified else { return };
    let ours: Vec<String> =
        text(&verified.stderr).lines().filter(|line| line.contains("listproof")).map(str::to_owned).collect();
    assert!(verified.status.success() && ours.is_empty(), "{ours:?}");
}

#[test]
fn the_flags_of_the_samples_exist() {
    let help = command(LISTPROOF, Path::new("/")).args(["verify", "--help"]).output().unwrap();
    let help = text(&help.stdout);
    for name in ["nightly.sh", "listproof-nightly.service", "crontab", "airflow_dag.py"] {
        let sample = std::fs::read_to_string(sample(name)).unwrap();
        let lines = sample.lines().filter(|line| line.contains("nightly") || line.contains("verify \""));
        for flag in lines.flat_map(str::split_whitespace).filter(|word| word.starts_with("--")) {
            let flag = flag.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            assert!(flag == "--now" || flag == "--system" || help.contains(flag), "{name}: {flag}");
        }
    }
}

#[test]
fn the_last_line_of_stdout_is_the_summary_where_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let summary = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let file = || summary(&std::fs::read_to_string(folder.path().join("out/contacts.summary.json")).unwrap());
    let told = verify(folder.path(), &["--json"]);
    let stdout = text(&told.stdout);
    assert!(stdout.lines().count() > 5, "people are told too");
    assert_eq!(summary(stdout.lines().last().unwrap()), file());
    let quiet = verify(folder.path(), &["--json", "--quiet"]);
    assert_eq!(summary(&text(&quiet.stdout)), file(), "quiet leaves it alone");
    assert_eq!(text(&quiet.stdout).lines().count(), 1);
    let quiet = verify(folder.path(), &["--quiet"]);
    assert_eq!((text(&quiet.stdout), text(&quiet.stderr)), (String::new(), String::new()));
}

const REFUSING: &str = r#"
[[domain]]
name = "d{1..9}.example"
mx = ["10 mx.d{n}.example"]
[[host]]
name = "mx.d{1..9}.example"
connect = "refused"
[[domain]]
name = "lame{1..9}.example"
fault = "servfail"
"#;

/// Verifies addresses at domains of the world in which nobody answers.
fn nobody_answers(kind: &str, code: i32) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("world.toml"), REFUSING).unwrap();
    let rows: Vec<String> = (1..=9).map(|n| format!("jane@{kind}{n}.example\n")).collect();
    std::fs::write(folder.path().join("list.csv"), rows.concat()).unwrap();
    let arguments = ["verify", "list.csv", "--world", "world.toml", "-o", "out", "--max-wait", "0s"];
    let ran = command(LISTPROOF, folder.path()).args(arguments).output().unwrap();
    assert_eq!(ran.status.code(), Some(code), "{}", text(&ran.stderr));
    assert!(text(&ran.stdout).contains("hint: "), "{}", text(&ran.stdout));
    let results = std::fs::read_to_string(folder.path().join("out/list.results.csv")).unwrap();
    assert_eq!(results.matches(",unknown,").count(), 9, "{results}");
}

#[test]
fn where_nobody_can_be_reached_nothing_is_judged() {
    nobody_answers("d", 12);
}

#[test]
fn where_no_name_server_answers_the_network_is_down() {
    nobody_answers("lame", 75);
}

#[test]
fn metrics_add_up_name_nobody_and_are_for_everybody() {
    let folder = tempfile::tempdir().unwrap();
    verify(folder.path(), &["--metrics-file", "nightly.prom"]);
    let path = folder.path().join("nightly.prom");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    let metrics = std::fs::read_to_string(&path).unwrap();
    let value = |metric: &str| -> u64 {
        let lines = metrics.lines().filter(|line| line.starts_with(metric));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
    };
    assert_eq!(value("listproof_exit_code"), 0);
    assert_eq!(value("listproof_verdict_rows") + value("listproof_duplicates"), value("listproof_results"));
    assert_eq!(value("listproof_reason_rows"), value("listproof_verdict_rows"));
    assert!(value("listproof_questions") > 0 && value("listproof_ended_timestamp_seconds") > 1_700_000_000);
    assert!(!metrics.contains('@') && !metrics.contains(".example"), "{metrics}");
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing is left beside it: {names:?}");
}

#[test]
fn metrics_tell_of_a_run_that_failed() {
    let folder = tempfile::tempdir().unwrap();
    let failed = verify(folder.path(), &["--metrics-file", "nightly.prom", "--column", "nowhere"]);
    assert_eq!(failed.status.code(), Some(2));
    let metrics = std::fs::read_to_string(folder.path().join("nightly.prom")).unwrap();
    assert!(metrics.contains("listproof_exit_code{list=\"nightly\"} 2\n"), "{metrics}");
}

/// The lines of a log, all of which must be objects with an event.
fn events(stderr: &[u8]) -> Vec<serde_json::Value> {
    let lines = text(stderr);
    let lines =
        lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")));
    lines.map(|line: serde_json::Value| line["fields"].clone()).collect()
}

#[test]
fn a_log_in_json_is_json_to_the_last_line_and_tells_how_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let log = events(&verify(folder.path(), &["--log-format", "json"]).stderr);
    let last = log.last().unwrap();
    assert_eq!((&last["event"], &last["exit_code"]), (&"finished".into(), &0.into()));
    let failed = verify(folder.path(), &["--log-format", "json", "--column", "nowhere"]);
    let log = events(&failed.stderr);
    let last = log.last().unwrap();
    assert_eq!((&last["event"], &last["exit_code"]), (&"failed".into(), &2.into()));
    assert!(last["hint"].is_string());
}

#[test]
fn no_log_names_an_address() {
    let folder = tempfile::tempdir().unwrap();
    let log = text(&verify(folder.path(), &["--log-format", "json", "-vv"]).stderr);
    assert!(log.contains("\"event\":\"session\""), "there is something to look at");
    let list = std::fs::read_to_string(CONTACTS).unwrap();
    let cells = list.split([',', '\n', '"']).filter(|cell| cell.contains('@'));
    let named: Vec<&str> = cells.filter(|cell| log.contains(cell.trim())).collect();
    assert!(named.is_empty(), "{named:?}");
    assert!(!log.contains('@'), "nor anybody else's");
}

#[test]
fn the_readme_lists_the_events_that_there_are() {
    fn events_in(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                events_in(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let code = std::fs::read_to_string(&path).unwrap();
                let events = code.split("event = \"").skip(1).filter_map(|rest| rest.split('"').next());
                found.extend(events.map(str::to_owned));
            }
        }
    }
    let mut used = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    events_in(&root.join("src"), &mut used);
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let table = readme.split("<!-- events -->").nth(1).unwrap();
    let listed: BTreeSet<String> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, used);
}

#[test]
fn what_is_kept_is_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    verify(folder.path(), &["--state", "kept/state.db"]);
    let permissions = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for made in ["kept", "out"] {
        let folder = folder.path().join(made);
        assert_eq!(permissions(&folder), 0o700, "{}", folder.display());
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(permissions(&path), 0o600, "{}", path.display());
        }
    }
}
