//! Runs under a scheduler: the samples work, exit codes, log events and metrics are as in the guide, and only the owner can
//! read the files.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own files and stops at what fails"
)]

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use support::{Folder, Ran, mode};

const WORLD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/world.toml");
const CONTACTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/contacts.csv");

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/nightly").join(name)
}

/// Runs `verify` over the sample list in the sample world.
fn verify(folder: &Folder, more: &[&str]) -> Ran {
    folder.run(&[&["verify", CONTACTS, "--world", WORLD, "-o", "out"], more].concat())
}

/// One host that accepts, and one that always defers.
const NIGHTS: &str = r#"
[[domain]]
name = "acme.example"
mx = ["10 mx.acme.example"]
mailboxes = ["jane", "newcomer"]
[[host]]
name = "mx.acme.example"
[[domain]]
name = "later.example"
mx = ["10 mx.later.example"]
[[host]]
name = "mx.later.example"
[[host.rule]]
at = "rcpt"
say = "451 4.7.1 Greylisted, please try again later"
"#;

/// Runs the script for several nights over one list; `write` gives its rows a format.
fn nights(list: &str, ending: &str, write: impl Fn(&[&str]) -> Vec<u8>) {
    let folder = Folder::new();
    folder.write("world.toml", NIGHTS);
    let mut rows = vec!["jane@acme.example", "ida@later.example"];
    let night = |rows: &[&str]| {
        // The oldest time that a file can have: copies and archives may keep old times.
        let file = std::fs::File::options().write(true).open(folder.write(list, write(rows))).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let mut script = folder.program("sh");
        script.arg(sample("nightly.sh"));
        script.args([list, "out", "--world", "world.toml", "--state", "state.db", "--max-wait", "0s"]);
        let ran = Ran(script.env("LISTPROOF", env!("CARGO_BIN_EXE_listproof")).output().unwrap());
        ran.exits(0);
        assert_eq!((ran.stdout(), ran.stderr()), (String::new(), String::new()), "cron mails nothing");
        let results = folder.read(&format!("out/contacts.results.{ending}"));
        assert!(rows.iter().all(|row| results.contains(row)), "{list}: {results}");
        folder.json("out/contacts.summary.json")["connections"].as_u64()
    };
    assert_eq!(night(&rows), Some(2), "{list}: all recipients are new");
    assert_eq!(night(&rows), Some(1), "{list}: the unknown one is probed again");
    rows.push("newcomer@acme.example");
    assert_eq!(night(&rows), Some(2), "{list}: also the new one");
}

#[test]
fn the_script_probes_unknown_and_new_recipients_every_night() {
    let csv = |rows: &[&str]| format!("email\n{}\n", rows.join("\n")).into_bytes();
    nights("contacts.csv", "csv", csv);
    nights("contacts.csv.gz", "csv", |rows| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&csv(rows)).unwrap();
        packed.finish().unwrap()
    });
    nights("contacts.ndjson", "ndjson", |rows| {
        rows.iter().flat_map(|row| format!("{{\"email\":\"{row}\"}}\n").into_bytes()).collect()
    });
}

#[test]
fn the_scripts_parse() {
    let folder = Folder::new();
    let checks: [(&str, &[&str], &str); 2] = [
        ("sh", &["-n"], "nightly.sh"),
        ("python3", &["-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())"], "airflow_dag.py"),
    ];
    for (program, arguments, script) in checks {
        // Not every machine has Python.
        let Ok(output) = folder.program(program).args(arguments).arg(sample(script)).output() else {
            continue;
        };
        assert!(output.status.success(), "{script}: {}", Ran(output).stderr());
    }
}

#[test]
fn systemd_accepts_the_units() {
    let folder = Folder::new();
    // systemd checks that program and user exist on this machine, so they are replaced.
    let service = std::fs::read_to_string(sample("listproof-nightly.service")).unwrap();
    let service =
        service.replace("/usr/local/bin/listproof-nightly", "/bin/sh").replace("User=listproof", "User=root");
    folder.write("listproof-nightly.service", service);
    std::fs::copy(sample("listproof-nightly.timer"), folder.path("listproof-nightly.timer")).unwrap();
    let verified = folder
        .program("systemd-analyze")
        .args(["verify", "--man=no", "listproof-nightly.service", "listproof-nightly.timer"])
        .output();
    // Not every machine has systemd.
    let Ok(verified) = verified.map(Ran) else { return };
    let ours: Vec<String> =
        verified.stderr().lines().filter(|line| line.contains("listproof")).map(str::to_owned).collect();
    assert!(verified.0.status.success() && ours.is_empty(), "{ours:?}");
}

#[test]
fn the_flags_of_the_samples_exist() {
    let help = Folder::new().run(&["verify", "--help"]).stdout();
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
fn the_last_line_of_stdout_is_the_summary_with_json() {
    let folder = Folder::new();
    let summary = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let file = || folder.json("out/contacts.summary.json");
    let stdout = verify(&folder, &["--json"]).stdout();
    assert!(stdout.lines().count() > 5, "the text for people comes before");
    assert_eq!(summary(stdout.lines().last().unwrap()), file());
    let quiet = verify(&folder, &["--json", "--quiet"]);
    assert_eq!(summary(&quiet.stdout()), file(), "also with --quiet");
    assert_eq!(quiet.stdout().lines().count(), 1);
    let quiet = verify(&folder, &["--quiet"]);
    assert_eq!((quiet.stdout(), quiet.stderr()), (String::new(), String::new()));
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

/// Verifies addresses at domains without a working server. The run must end with this code, and every row be unknown.
fn no_server_answers(kind: &str, code: i32) {
    let rows: Vec<String> = (1..=9).map(|n| format!("jane@{kind}{n}.example\n")).collect();
    let folder = Folder::with(rows.concat().as_bytes(), REFUSING);
    let arguments = ["verify", "list.csv", "--world", "world.toml", "-o", "out", "--max-wait", "0s"];
    let ran = folder.run(&arguments);
    assert!(ran.exits(code).stdout().contains("hint: "), "{}", ran.stdout());
    let results = folder.read("out/list.results.csv");
    assert_eq!(results.matches(",unknown,").count(), 9, "{results}");
}

#[test]
fn where_no_mx_host_can_be_reached_every_row_is_unknown() {
    no_server_answers("d", 12);
}

#[test]
fn where_no_name_server_answers_the_network_is_down() {
    no_server_answers("lame", 75);
}

#[test]
fn metrics_add_up_name_no_address_and_are_readable_by_all() {
    let folder = Folder::new();
    verify(&folder, &["--metrics-file", "nightly.prom"]);
    assert_eq!(mode(&folder.path("nightly.prom")), 0o644);
    let metrics = folder.read("nightly.prom");
    let value = |metric: &str| -> u64 {
        let lines = metrics.lines().filter(|line| line.starts_with(metric));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
    };
    assert_eq!(value("listproof_exit_code"), 0);
    let without_verdict = value("listproof_excluded") + value("listproof_without_address");
    assert_eq!(
        value("listproof_verdict_rows") + without_verdict + value("listproof_duplicates"),
        value("listproof_results")
    );
    assert_eq!(value("listproof_reason_rows"), value("listproof_verdict_rows") + without_verdict);
    assert!(value("listproof_questions") > 0 && value("listproof_ended_timestamp_seconds") > 1_700_000_000);
    assert!(!metrics.contains('@') && !metrics.contains(".example"), "{metrics}");
    let names: Vec<_> =
        std::fs::read_dir(folder.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "no other file is left: {names:?}");
}

#[test]
fn metrics_keep_the_last_success_and_say_why_a_run_stopped() {
    let folder = Folder::new();
    let last = || {
        let metrics = folder.read("nightly.prom");
        let line = metrics.lines().find(|line| line.starts_with("listproof_last_success_timestamp_seconds{"));
        line.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
    };
    verify(&folder, &["--metrics-file", "nightly.prom", "--column", "nowhere"]).exits(2);
    assert_eq!(last(), None, "no run succeeded yet");
    verify(&folder, &["--metrics-file", "nightly.prom"]).exits(0);
    let success = last().unwrap();
    assert!(folder.read("nightly.prom").contains("listproof_still_to_ask{list=\"nightly\"} 0\n"));
    verify(&folder, &["--metrics-file", "nightly.prom", "--max-duration", "1s"]).exits(10);
    let metrics = folder.read("nightly.prom");
    assert_eq!(last(), Some(success));
    assert!(
        metrics.contains("listproof_stopped_because{list=\"nightly\",because=\"deadline\"} 1\n"),
        "{metrics}"
    );
    assert!(!metrics.contains("listproof_still_to_ask{list=\"nightly\"} 0\n"), "{metrics}");
    verify(&folder, &["--metrics-file", "nightly.prom", "--column", "nowhere"]).exits(2);
    assert_eq!(last(), Some(success), "a run that fails keeps it");
}

#[test]
fn hooks_get_how_a_run_ended_and_change_nothing() {
    let folder = Folder::new();
    folder.write("hook.sh", "echo \"$1 $LISTPROOF_EXIT_CODE $LISTPROOF_STOPPED_BECAUSE $LISTPROOF_SUMMARY\" >> ends\nexit \"${2:-0}\"\n");
    let hook =
        |flag: &'static str, word: &'static str, code: &'static str| [flag, "sh", "hook.sh", word, code, ";"];
    let hooks = [hook("--on-success", "good $(date)", "0"), hook("--on-failure", "bad", "3")].concat();
    verify(&folder, &hooks).exits(0);
    verify(&folder, &[&hooks[..], &["--max-duration", "1s"]].concat()).exits(10);
    verify(&folder, &[&hooks[..], &["--column", "nowhere"]].concat()).exits(2);
    let ends = folder.read("ends");
    let ends: Vec<&str> = ends.lines().collect();
    assert!(ends[0].starts_with("good $(date) 0  ") && ends[0].ends_with(".summary.json"), "{ends:?}");
    assert!(ends[1].starts_with("bad 10 deadline "), "{ends:?}");
    assert_eq!(ends[2], "bad 2  ");
    let missing = ["--on-success", "/no/such/program", ";"];
    verify(&folder, &missing).exits(0);
    // A settings file beside a list starts nothing.
    folder.write("listproof.toml", "on_success = [\"sh\", \"hook.sh\"]\n");
    verify(&folder, &[]).exits(78);
}

#[test]
fn metrics_show_a_run_that_failed() {
    let folder = Folder::new();
    verify(&folder, &["--metrics-file", "nightly.prom", "--column", "nowhere"]).exits(2);
    let metrics = folder.read("nightly.prom");
    assert!(metrics.contains("listproof_exit_code{list=\"nightly\"} 2\n"), "{metrics}");
}

/// The events of a log; each of its lines must be a JSON object.
fn events(ran: &Ran) -> Vec<serde_json::Value> {
    let lines = ran.stderr();
    let lines =
        lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")));
    lines.map(|line: serde_json::Value| line["fields"].clone()).collect()
}

#[test]
fn a_log_in_json_is_json_to_the_last_line_and_says_how_the_run_ended() {
    let folder = Folder::new();
    let log = events(&verify(&folder, &["--log-format", "json"]));
    let last = log.last().unwrap();
    assert_eq!((&last["event"], &last["exit_code"]), (&"finished".into(), &0.into()));
    let log = events(&verify(&folder, &["--log-format", "json", "--column", "nowhere"]));
    let last = log.last().unwrap();
    assert_eq!((&last["event"], &last["exit_code"]), (&"failed".into(), &2.into()));
    assert!(last["hint"].is_string());
}

#[test]
fn no_log_names_an_address() {
    let folder = Folder::new();
    let log = verify(&folder, &["--log-format", "json", "-vv"]).stderr();
    assert!(log.contains("\"event\":\"session\""), "the log has sessions");
    let list = std::fs::read_to_string(CONTACTS).unwrap();
    let cells = list.split([',', '\n', '"']).filter(|cell| cell.contains('@'));
    let named: Vec<&str> = cells.filter(|cell| log.contains(cell.trim())).collect();
    assert!(named.is_empty(), "{named:?}");
    assert!(!log.contains('@'), "no other address either");
}

#[test]
fn the_guide_lists_all_events() {
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
    let guide = std::fs::read_to_string(root.join("src/guide/nightly.md")).unwrap();
    let table = guide.split("<!-- events -->").nth(1).unwrap();
    let listed: BTreeSet<String> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, used);
}

#[test]
fn state_and_outputs_are_readable_by_their_owner_only() {
    let folder = Folder::new();
    verify(&folder, &["--state", "state/state.db"]);
    for name in ["state", "out"] {
        let folder = folder.path(name);
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
}

/// Thirty providers that serve us, and thirty that reject us.
const REJECTING: &str = r#"
[[domain]]
name = "good{1..30}.example"
mx = ["10 mx.good{n}.example"]
mailboxes = ["jane"]
[[domain]]
name = "bad{1..30}.example"
mx = ["10 mx.bad{n}.example"]
[[host]]
name = "mx.good{1..30}.example"
[[host]]
name = "mx.bad{1..30}.example"
[[host.rule]]
at = "connect"
say = "554 5.7.1 Service unavailable; Client host [{ip}] blocked using zen.spamhaus.org"
do = "close"
"#;

#[test]
fn what_a_night_leaves_at_providers_that_reject_us_is_no_alarm_in_the_next() {
    let folder = Folder::new();
    folder.write("world.toml", REJECTING);
    let rows = (1..=30).map(|n| format!("jane@good{n}.example\njane@bad{n}.example\n"));
    folder.write("list.csv", format!("email\n{}", rows.collect::<String>()));
    let night = |list: &str| {
        let common = ["--world", "world.toml", "--state", "state.db", "--max-wait", "0s", "-o", "out"];
        folder.run(&[&["verify", list], &common[..]].concat()).exits(0);
        let stem = list.trim_start_matches("out/").trim_end_matches(".csv");
        let results = folder.read(&format!("out/{stem}.results.csv"));
        (results.matches("ip_blocklisted").count(), results.matches("accepted").count())
    };
    assert_eq!(night("list.csv"), (30, 30));
    assert_eq!(night("list.csv"), (30, 30), "the second night");
    assert_eq!(night("out/list.retry.csv"), (30, 0), "the rows that are left");
}

#[test]
fn a_run_that_every_provider_rejects_names_hosts_and_words_and_rows_keep_their_reply() {
    let folder = Folder::new();
    folder.write("world.toml", REJECTING);
    folder.write("list.csv", (1..=30).map(|n| format!("jane@bad{n}.example")).collect::<Vec<_>>().join("\n"));
    let ran = folder.run(&["verify", "list.csv", "--world", "world.toml", "--max-wait", "0s", "-o", "out"]);
    ran.exits(12);
    assert!(
        ran.stdout().contains(".example: 554 5.7.1 Service unavailable; Client host"),
        "{}",
        ran.stdout()
    );
    let summary = folder.json("out/list.summary.json");
    assert_eq!(summary["stopped_because"], "refused_everywhere");
    let rejected_by = summary["rejected_by"].as_array().unwrap();
    assert!(rejected_by.len() >= 8 && rejected_by[0]["reply"].as_str().unwrap().starts_with("554 5.7.1"));
    let results = folder.read("out/list.results.csv");
    assert!(results.matches("ip_blocklisted").count() >= 8, "{results}");
}

/// Many domains at one provider, at the end of whose limit most recipients wait for another day.
#[test]
fn a_limit_that_is_reached_is_reported_once_for_a_provider() {
    let folder = Folder::new();
    folder.write(
        "world.toml",
        r#"
[[domain]]
name = "d{1..1500}.example"
mx = ["10 mx.big.example"]
[[host]]
name = "mx.big.example"
"#,
    );
    let rows: Vec<String> = (1..=1_500).map(|n| format!("gone{n}@d{n}.example\n")).collect();
    folder.write("list.csv", format!("email\n{}", rows.concat()));
    let verify = ["verify", "list.csv", "--world", "world.toml", "-o", "out", "--max-wait", "0s", "-v"];
    let ran = folder.run(&verify);
    ran.exits(10);
    let summary = folder.summary("out");
    assert!(summary["reasons"]["not_probed"].as_u64() > Some(10), "{summary}");
    assert_eq!(summary["decisions"]["cap_reached"], 1, "{summary}");
    assert_eq!(ran.stderr().matches("cap_reached").count(), 1, "{}", ran.stderr());
}
