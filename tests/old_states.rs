//! States that listproof 0.1 made: runs resume from them, `report` and `state` read them, and the views stay as they were.
//!
//! `tests/states/README.md` describes the states and how they were made.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test waits, kills what it started, and stops at what fails"
)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use rusqlite::types::Value;
use support::{Folder, mode};

/// The schema version of states of 0.1.
const VERSION_OF_0_1: i64 = 4;

/// A line of `commands.txt`: the run that made a state, and the run that resumes it.
struct Fixture {
    name: String,
    /// Flags of both runs.
    flags: Vec<String>,
    resumed_exit: i32,
    /// An address of the list.
    address: String,
}

fn states() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/states")
}

fn fixtures() -> Vec<Fixture> {
    let commands = std::fs::read_to_string(states().join("commands.txt")).unwrap();
    let lines = commands.lines().filter(|line| !line.starts_with('#'));
    let fixture = |line: &str| {
        let cells: Vec<&str> = line.split('|').collect();
        let [name, flags, _, _, resumed_exit, address] = cells[..] else { panic!("{line}") };
        Fixture {
            name: name.to_owned(),
            flags: flags.split_whitespace().map(str::to_owned).collect(),
            resumed_exit: resumed_exit.parse().unwrap(),
            address: address.to_owned(),
        }
    };
    lines.map(fixture).collect()
}

impl Fixture {
    /// A folder with the list, the world and the state.
    fn lab(&self) -> Folder {
        let lab = Folder::new();
        for name in ["list.csv", "world.toml", "state.db"] {
            lab.write(name, std::fs::read(states().join(&self.name).join(name)).unwrap());
        }
        lab
    }

    /// A file that 0.1 wrote, with the new words.
    fn written_by_0_1(&self, file: &str) -> String {
        with_new_words(&std::fs::read_to_string(states().join(&self.name).join(file)).unwrap())
    }

    /// Resumes the run. Returns the results and the summary.
    fn resume(&self, lab: &Folder, more: &[&str], exit: i32) -> (String, serde_json::Value) {
        let verify =
            ["verify", "list.csv", "--world", "world.toml", "--state", "state.db", "-q", "-o", "out"];
        let flags = self.flags.iter().map(String::as_str);
        let all: Vec<&str> = verify
            .into_iter()
            .chain(["--columns", "full"])
            .chain(flags)
            .chain(more.iter().copied())
            .collect();
        lab.run(&all).exits(exit);
        (lab.read("out/list.results.csv"), lab.summary("out"))
    }
}

/// Replaces the two words of results that have new names since 0.1.
fn with_new_words(text: &str) -> String {
    text.replace("operator_anomaly", "provider_anomaly").replace("operator_paused", "provider_paused")
}

/// A time as views have it today: those of 0.1 have a blank for the `T` and no `Z`.
fn with_new_time(text: String) -> String {
    let is_time = text.len() == 19
        && text.char_indices().all(|(at, c)| match at {
            4 | 7 => c == '-',
            10 => c == ' ',
            13 | 16 => c == ':',
            _ => c.is_ascii_digit(),
        });
    if is_time { format!("{}Z", text.replace(' ', "T")) } else { text }
}

/// Names of the columns and all rows of a view, with the new words.
type View = (Vec<String>, Vec<Vec<Value>>);

fn views(file: &Path) -> Vec<View> {
    let db = rusqlite::Connection::open(file).unwrap();
    let view = |name: &str| {
        let mut find = db.prepare(&format!("SELECT * FROM {name} ORDER BY 1, 2, 3")).unwrap();
        let columns: Vec<String> = find.column_names().map(str::to_owned).collect();
        let value = |value| match value {
            Value::Text(text) => Value::Text(with_new_words(&with_new_time(text))),
            value => value,
        };
        let rows = find.query_map([], |row| {
            (0..columns.len()).map(|column| row.get(column).map(value)).collect::<rusqlite::Result<Vec<_>>>()
        });
        let rows = rows.unwrap().collect::<Result<_, _>>().unwrap();
        (columns, rows)
    };
    ["verdicts", "attempts", "domains", "runs"].map(view).into()
}

fn version(file: &Path) -> i64 {
    let db = rusqlite::Connection::open(file).unwrap();
    db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

/// Fails at the first line that differs.
#[track_caller]
fn same_lines(what: &str, ours: &str, theirs: &str) {
    for (number, (ours, theirs)) in (1..).zip(ours.lines().zip(theirs.lines())) {
        assert_eq!(ours, theirs, "{what}, line {number}");
    }
    assert_eq!(ours.lines().count(), theirs.lines().count(), "{what}");
}

/// A row of results: its cells by the names of their columns.
type Row = BTreeMap<String, String>;

fn rows(csv: &str) -> Vec<Row> {
    csv::Reader::from_reader(csv.as_bytes()).deserialize().collect::<Result<_, _>>().unwrap()
}

/// Columns of a row that may differ from those of 0.1, because of what the changelog says.
fn may_differ(ours: &Row, theirs: &Row, all: &[Row]) -> Vec<&'static str> {
    let mut columns = Vec::new();
    let (reason, old_reason) = (ours["reason"].as_str(), theirs["reason"].as_str());
    // Rows without an address have no verdict. More of them are recognized.
    if reason == "empty" && ours["verdict"].is_empty() && ["empty", "syntax"].contains(&old_reason) {
        columns.extend(["verdict", "reason", "action", "rule"]);
    }
    // Two spellings are one address.
    if let Ok(first) = ours["duplicate_of"].parse::<usize>()
        && all[first - 1]["email"].eq_ignore_ascii_case(&ours["email"])
    {
        columns.push("duplicate_of");
    }
    // After a run that stopped, rows keep the reply that they got.
    if (reason, old_reason) == ("greylisted", "not_probed") {
        columns.extend(["reason", "fault", "mx_host", "smtp_code", "enhanced_code", "smtp_text", "rule"]);
        columns.extend(["attempts", "retry_after"]);
    }
    columns
}

/// Fails unless results have every row of 0.1 with the same cells in the columns of 0.1, except for what the changelog says.
/// `cell` gives the part of a cell that is compared.
#[track_caller]
fn same_rows(what: &str, ours: &str, theirs: &str, cell: impl Fn(&Row, &str) -> String) {
    let (ours, theirs) = (rows(ours), rows(theirs));
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (number, (our, their)) in (1..).zip(ours.iter().zip(&theirs)) {
        let may_differ = may_differ(our, their, &ours);
        for column in their.keys().filter(|column| !may_differ.contains(&column.as_str())) {
            assert_eq!(cell(our, column), cell(their, column), "{what}, row {number}: {column}");
        }
    }
}

/// How often each word stands in a column of the rows that are no duplicates.
fn counts(rows: &[Row], column: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for row in rows.iter().filter(|row| row["duplicate_of"].is_empty() && !row[column].is_empty()) {
        *counts.entry(row[column].clone()).or_default() += 1;
    }
    counts
}

/// The numbers and times of a text.
fn numbers(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    words.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_states_have_the_version_of_0_1() {
    assert_eq!(fixtures().len(), 7);
    for fixture in fixtures() {
        assert_eq!(version(&fixture.lab().path("state.db")), VERSION_OF_0_1, "{}", fixture.name);
    }
}

#[test]
fn a_run_resumes_and_gives_the_results_that_0_1_gives() {
    for fixture in fixtures() {
        let (results, summary) = fixture.resume(&fixture.lab(), &[], fixture.resumed_exit);
        // The pace and the number of controls are not those of 0.1, so of times only the day is the same.
        let cell = |row: &Row, column: &str| match column {
            "checked_at" | "expires_at" | "retry_after" => row[column].chars().take(10).collect(),
            _ => row[column].clone(),
        };
        same_rows(&fixture.name, &results, &fixture.written_by_0_1("resumed.csv"), cell);
        let results = rows(&results);
        for (key, column) in [("verdicts", "verdict"), ("reasons", "reason")] {
            let mut counted: BTreeMap<String, u64> = serde_json::from_value(summary[key].clone()).unwrap();
            counted.retain(|_, rows| *rows > 0);
            assert_eq!(counted, counts(&results, column), "{}: {key}", fixture.name);
        }
        let old: serde_json::Value = serde_json::from_str(&fixture.written_by_0_1("resumed.json")).unwrap();
        for key in ["partial", "still_to_ask", "decisions"] {
            assert_eq!(summary[key], old[key], "{}: {key}", fixture.name);
        }
        for key in ["questions", "connections"] {
            assert_eq!(summary[key] == 0, old[key] == 0, "{}: {key}", fixture.name);
        }
    }
}

#[test]
fn a_report_gives_the_results_that_0_1_gives() {
    for fixture in fixtures() {
        let lab = fixture.lab();
        let report = ["report", "list.csv", "--state", "state.db", "-q", "-o", "out", "--columns", "full"];
        lab.run(&report).exits(0);
        let results = lab.read("out/list.results.csv");
        // `retry_after` of recipients that were not probed is the time of the report.
        let cell = |row: &Row, column: &str| {
            if column == "retry_after" && row["reason"] == "not_probed" {
                String::new()
            } else {
                row[column].clone()
            }
        };
        same_rows(&fixture.name, &results, &fixture.written_by_0_1("reported.csv"), cell);
    }
}

#[test]
fn the_commands_for_the_owner_print_what_0_1_prints() {
    for fixture in fixtures() {
        let lab = fixture.lab();
        let state =
            |more: &[&str]| lab.run(&[&["state"], more, &["--state", "state.db"]].concat()).exits(0).stdout();
        let export = state(&["export", &fixture.address]);
        // Strings stand between quotes, and none of these has a quote in it.
        let exported = fixture.written_by_0_1("export.json");
        let theirs: Vec<String> = exported.split('"').map(|text| with_new_time(text.to_owned())).collect();
        same_lines(&fixture.name, &export, &theirs.join("\""));
        assert!(export.contains(&fixture.address), "{export}");
        // The first line has the name and the size of the file.
        let [ours, theirs] = [state(&["stats"]), fixture.written_by_0_1("stats.txt")]
            .map(|stats| numbers(stats.split_once('\n').unwrap().1));
        same_lines(&fixture.name, &ours, &theirs);
        let forgotten = lab.run(&["state", "forget", &fixture.address, "--state", "state.db"]);
        assert_eq!(forgotten.exits(0).stdout(), "forgotten\n");
        assert!(forgotten.stderr().contains("state.db.v4.bak` is a backup"), "{}", forgotten.stderr());
        assert_eq!(state(&["export", &fixture.address]), "null\n");
    }
}

#[test]
fn the_views_keep_their_columns_and_rows() {
    for fixture in fixtures() {
        let lab = fixture.lab();
        let file = lab.path("state.db");
        let before = views(&file);
        lab.run(&["state", "stats", "--state", "state.db"]).exits(0);
        assert_eq!(views(&file), before, "{}", fixture.name);
        // The backup is readable by 0.1.
        let backup = lab.path("state.db.v4.bak");
        assert_eq!((version(&backup), mode(&backup)), (VERSION_OF_0_1, 0o600));
        assert_eq!(views(&backup), before, "{}", fixture.name);
        let rows: Vec<usize> = before.iter().map(|(_, rows)| rows.len()).collect();
        assert!(
            rows.iter().all(|rows| *rows > 0) || fixture.name == "rejected",
            "{}: {rows:?}",
            fixture.name
        );
    }
}

#[test]
fn a_reason_with_a_new_name_is_not_a_change() {
    for fixture in fixtures().iter().filter(|fixture| ["finished", "anomaly"].contains(&&*fixture.name)) {
        let (changed, summary) = fixture.resume(&fixture.lab(), &["--changed-only"], 0);
        // A cell that 0.1 took for an address with a fault (`syntax`) is one without an address.
        let recognized: &[&str] = if fixture.name == "finished" { &["no address"] } else { &[] };
        let changed: Vec<String> = rows(&changed).iter().map(|row| row["email"].clone()).collect();
        assert_eq!(changed, recognized, "{summary}");
        let unchanged = summary["rows"].as_u64().unwrap() - changed.len() as u64;
        assert_eq!(summary["unchanged"], unchanged, "{summary}");
    }
}

#[test]
fn a_state_of_the_first_version_resumes() {
    let fixtures = fixtures();
    let fixture = fixtures.iter().find(|fixture| fixture.name == "finished").unwrap();
    let lab = fixture.lab();
    rusqlite::Connection::open(lab.path("state.db"))
        .unwrap()
        .execute_batch(
            "DROP TABLE told; DROP TABLE tally; DROP TABLE served;
             CREATE TABLE served (exchanger INTEGER, domain INTEGER);
             ALTER TABLE run DROP COLUMN told; ALTER TABLE run DROP COLUMN terms;
             ALTER TABLE settled DROP COLUMN accepted; ALTER TABLE egress DROP COLUMN origin;
             PRAGMA user_version = 1",
        )
        .unwrap();
    lab.run(&["state", "stats", "--state", "state.db"]).exits(0);
    assert!(lab.path("state.db.v1.bak").exists());
    let (_, second) = fixture.resume(&lab, &["--changed-only"], 0);
    assert_eq!((&second["questions"], &second["unchanged"]), (&0.into(), &0.into()), "{second}");
    let (_, third) = fixture.resume(&lab, &["--changed-only"], 0);
    assert_eq!((&third["results"], &third["unchanged"]), (&0.into(), &third["rows"]), "{third}");
}

#[test]
fn a_killed_migration_is_repeated() {
    let fixtures = fixtures();
    let fixture = fixtures.iter().find(|fixture| fixture.name == "interrupted").unwrap();
    let expected = views(&fixture.lab().path("state.db"));
    let stats = ["state", "stats", "--state", "state.db"];
    let begun = Instant::now();
    fixture.lab().run(&stats).exits(0);
    let whole = begun.elapsed();
    let mut killed = 0;
    for step in 0..20 {
        let lab = fixture.lab();
        let file = lab.path("state.db");
        let mut child = lab.listproof(&stats).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * step / 20);
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().code().is_none());
        lab.run(&stats).exits(0);
        assert_eq!((version(&file), views(&file)), (VERSION_OF_0_1 + 1, expected.clone()));
        assert_eq!(views(&lab.path("state.db.v4.bak")), expected);
        let entries = std::fs::read_dir(file.parent().unwrap()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let beside: Vec<String> = names.filter(|name| name.contains("bak")).collect();
        assert_eq!(beside, ["state.db.v4.bak"], "killed at {step}/20");
    }
    assert!(killed > 0);
}
