//! `--changed-only` writes the rows whose verdict or reason is not the one that was last reported.

use crate::support::{Folder, SENDER, Served};
use crate::{lab, results, verify};

/// A world with two mailboxes: `stays`, and another one.
fn with(other: &str) -> String {
    format!(
        r#"
[[domain]]
name = "acme.example"
mx = ["10 mx.acme.example"]
mailboxes = ["stays", "{other}"]
[[host]]
name = "mx.acme.example"
[[domain]]
name = "dead.example"
mx = ["0 ."]
"#
    )
}

/// Runs `verify --changed-only` in a served world. Returns address, verdict and reason of each row in the results, and the
/// summary.
#[track_caller]
fn changes(lab: &Folder, served: &Served, more: &[&str], code: i32) -> (Vec<String>, serde_json::Value) {
    let verify = ["verify", "list.csv", "-q", "-o", "out", "--columns", "minimal", "--pace", "fast"];
    let ran = [&verify, &SENDER[..], &served.flags(), &["--changed-only"], more].concat();
    lab.run(&ran).exits(code);
    let rows = results(lab, "out");
    let first_cells = |row: &str| row.split(',').take(3).collect::<Vec<_>>().join(" ");
    (rows.lines().skip(1).map(first_cells).collect(), lab.summary("out"))
}

#[test]
fn only_changed_rows_are_written() {
    const LIST: &str = "email\nstays@acme.example\ngoes@acme.example\nstays@acme.example\nx@dead.example\nno address\n\"\"\n";
    let lab = Folder::with(LIST.as_bytes(), &with("goes"));
    let mut served = lab.serve("world.toml");
    let (first, summary) = changes(&lab, &served, &[], 0);
    assert_eq!(
        (first.len(), &summary["unchanged"]),
        (6, &0.into()),
        "the first run writes every row: {first:?}"
    );
    let (second, summary) = changes(&lab, &served, &[], 0);
    assert_eq!(
        (second.len(), &summary["unchanged"], &summary["rows"]),
        (0, &6.into(), &6.into()),
        "{second:?}"
    );
    // One mailbox is removed, one is added.
    lab.write("world.toml", with("comes"));
    served.becomes(&lab, "world.toml");
    lab.write("list.csv", format!("{LIST}comes@acme.example\nno address either\n"));
    let (third, summary) = changes(&lab, &served, &["--fresh"], 0);
    let changed = [
        "goes@acme.example undeliverable mailbox_unknown",
        "comes@acme.example deliverable accepted",
        "no address either undeliverable syntax",
    ];
    assert_eq!((third, &summary["unchanged"]), (changed.map(str::to_owned).to_vec(), &5.into()));
    assert_eq!((lab.rows("out/list.undeliverable.csv"), lab.rows("out/list.deliverable.csv")), (2, 1));
    let (fourth, _) = changes(&lab, &served, &[], 0);
    assert_eq!(fourth, Vec::<String>::new());
}

#[test]
fn a_verdict_reported_without_the_flag_is_no_change_either() {
    let lab = Folder::with(b"email\nstays@acme.example\ngoes@acme.example\n", &with("goes"));
    let mut served = lab.serve("world.toml");
    let verify =
        [&["verify", "list.csv", "-q", "-o", "out", "--pace", "fast"], &SENDER[..], &served.flags()].concat();
    lab.run(&verify).exits(0);
    lab.write("world.toml", with("comes"));
    served.becomes(&lab, "world.toml");
    let (changed, _) = changes(&lab, &served, &["--fresh"], 0);
    assert_eq!(changed, ["goes@acme.example undeliverable mailbox_unknown"]);
}

#[test]
fn a_run_that_ends_too_early_reports_no_change_of_recipients_that_it_did_not_probe() {
    let lab = lab();
    verify(&lab, "one", &[], 0);
    let stopped = verify(&lab, "two", &["--changed-only", "--fresh", "--max-duration", "1ms"], 10);
    assert_eq!((&stopped["results"], &stopped["unchanged"]), (&0.into(), &60.into()));
}

#[test]
fn changes_are_reported_only_with_a_state() {
    let lab = lab();
    lab.run(&["verify", "list.csv", "--changed-only", "--world", "world.toml"]).fails(2, &["--changed-only"]);
    lab.run(&["verify", "list.csv", "--changed-only", "--offline"]).exits(2);
    lab.run(&["verify", "list.csv", "--changed-only", "--no-state"]).exits(2);
}
