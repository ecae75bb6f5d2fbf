//! Whole journeys, from the first command to the last, each step as a user types it: before a campaign, and a week of nights.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own files and stops at what fails"
)]

mod support;

use support::{Folder, Ran};

/// A host that answers, one that greylists, a catch-all domain, and a domain without mail.
const WORLD: &str = r#"
[[domain]]
name = "acme.example"
mx = ["10 mx.acme.example"]
mailboxes = ["jane", "bob"]
[[host]]
name = "mx.acme.example"
[[domain]]
name = "slow.example"
mx = ["10 mx.slow.example"]
mailboxes = ["ida"]
[[host]]
name = "mx.slow.example"
greylist = { delay = "5m" }
[[domain]]
name = "any.example"
mx = ["10 mx.any.example"]
catch_all = true
[[host]]
name = "mx.any.example"
[[domain]]
name = "nothing.example"
mx = ["0 ."]
[[domain]]
name = "d{1..400}.example"
mx = ["10 mx{n}.host.example"]
mailboxes = ["sam"]
[[host]]
name = "mx{1..200}.host.example"
rtt = "40ms"
[[host]]
name = "mx{201..400}.host.example"
rtt = "400ms"
"#;

/// Runs a command line as it is typed.
fn typed(folder: &Folder, line: &str) -> Ran {
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[0], "listproof");
    folder.run(&words[1..])
}

/// The rows of the files of a run, in the order of the line that adds them up.
fn rows(folder: &Folder, out: &str, stem: &str) -> [usize; 6] {
    ["results", "deliverable", "risky", "undeliverable", "retry", "duplicates"]
        .map(|kind| folder.rows(&format!("{out}/{stem}.{kind}.csv")))
}

#[test]
fn before_a_campaign() {
    let folder = Folder::new();
    folder.write("world.toml", WORLD);
    folder.write(
        "contacts.csv",
        "name,email\nJane,jane@acme.example\nBob,bob@acme.example\nGone,gone@acme.example\nJane again,Jane@acme.example\n\
         Ida,ida@slow.example\nKim,kim@any.example\nLee,lee@nothing.example\nNone,n/a\n",
    );

    // Thursday: what would it take, and what can be said today?
    let plan = typed(&folder, "listproof plan contacts.csv --world world.toml");
    let shown = plan.exits(0).stdout();
    assert!(shown.contains("contacts.csv: 8 rows; 6 addresses at 4 domains"), "{shown}");
    assert!(shown.contains("1 duplicates, 1 without an address, 0 unreadable"), "{shown}");
    assert!(shown.contains("1 at domains without mail"), "{shown}");
    let verify = "listproof verify contacts.csv --world world.toml --state s.db --max-wait 0s -o out";
    let ran = typed(&folder, verify);
    let shown = ran.exits(0).stdout();
    assert!(shown.starts_with("clean first: "), "{shown}");
    assert!(
        shown.contains(
            "results 8 = 2 deliverable + 1 risky + 2 undeliverable + 1 retry + 1 duplicates + 0 excluded + \
             1 without address; unreadable rows 0"
        ),
        "{shown}"
    );
    assert_eq!(rows(&folder, "out", "contacts"), [8, 2, 1, 2, 1, 1]);
    let cleaned = "name,email\nJane,jane@acme.example\nBob,bob@acme.example\n";
    assert_eq!(folder.read("out/contacts.deliverable.csv"), cleaned);
    assert_eq!(
        folder.read("out/contacts.suppression.csv"),
        "email\ngone@acme.example\nlee@nothing.example\n"
    );
    let summary = folder.json("out/contacts.summary.json");
    assert_eq!(summary["headline"]["decision"], "clean_first", "{summary}");
    assert_eq!(summary["verdicts"]["unknown"], 1, "{summary}");
    let next = shown.lines().find_map(|line| line.strip_prefix("next: ")).unwrap().to_owned();
    assert_eq!(next, verify, "the next command works as it stands");

    // Friday morning: the rest, with some patience.
    let retry =
        "listproof verify out/contacts.retry.csv --world world.toml --state s.db --max-wait 30m -o morning";
    typed(&folder, retry).exits(0);
    assert_eq!(rows(&folder, "morning", "contacts.retry"), [1, 1, 0, 0, 0, 0]);

    // The whole list again: from the state, without a probe.
    typed(&folder, "listproof report contacts.csv --state s.db -o final").exits(0);
    assert_eq!(rows(&folder, "final", "contacts"), [8, 3, 1, 2, 0, 1]);
    assert!(folder.path("final/contacts.report.html").exists());
    typed(&folder, &next).exits(0);
    let summary = folder.json("out/contacts.summary.json");
    assert_eq!(summary["connections"], 0, "everything is known: {summary}");
    assert_eq!(rows(&folder, "out", "contacts"), [8, 3, 1, 2, 0, 1]);
}

#[test]
fn every_night_for_a_week_with_trouble_in_between() {
    let folder = Folder::new();
    folder.write("world.toml", WORLD);
    let list = |people: usize| {
        let rows: Vec<String> = (1..=people).map(|n| format!("{n},sam@d{n}.example\n")).collect();
        folder.write("crm.csv", format!("id,email\n{}", rows.concat()));
    };
    let night = |more: &str| {
        let line = "listproof verify crm.csv --world world.toml --state s.db --max-wait 0s -q -o out";
        typed(&folder, &format!("{line} {more}"))
    };
    let summary = || folder.json("out/crm.summary.json");
    let deliverable = || folder.rows("out/crm.deliverable.csv");
    let connections = || summary()["connections"].as_u64().unwrap();
    // One for each recipient, and one control for its domain.
    let probes = || summary()["questions"].as_u64().unwrap();

    // Monday and Tuesday: the new rows are probed, and no others.
    list(100);
    night("").exits(0);
    assert_eq!((deliverable(), connections()), (100, 100));
    list(110);
    night("").exits(0);
    assert_eq!((deliverable(), connections()), (110, 10));

    // Wednesday: many new rows, and too little time. Thursday goes on where Wednesday stopped.
    list(400);
    night("--max-duration 1s").exits(10);
    let (known, left) = (deliverable(), summary()["still_to_ask"].as_u64().unwrap());
    assert_eq!((known, left), (200, 200), "the slow hosts are left");
    let wednesday = probes();
    night("").exits(0);
    assert_eq!(deliverable(), 400);
    assert_eq!(summary()["still_to_ask"], 0);
    assert_eq!(wednesday + probes(), 2 * 290, "no recipient is probed twice: {wednesday}");

    // Friday: the gate stops a bad export, and the files are written all the same.
    let mut rows = folder.read("crm.csv");
    rows.extend((1..=60).map(|n| format!("x{n},gone{n}@nothing.example\n")));
    folder.write("crm.csv", rows);
    night("--fail-if undeliverable>5%").exits(4);
    assert_eq!((deliverable(), folder.rows("out/crm.undeliverable.csv")), (400, 60));

    // Saturday: the outputs can't be written. Sunday: all is well, and nothing is left to probe.
    folder.write("file", "");
    let line = "listproof verify crm.csv --world world.toml --state s.db --max-wait 0s -q -o file/out";
    typed(&folder, line).exits(74);
    night("").exits(0);
    assert_eq!((deliverable(), connections()), (400, 0));
    assert_eq!(folder.rows("out/crm.results.csv"), 460);
}
