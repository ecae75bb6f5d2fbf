//! The state file itself: reports and commands for its owner, files that are no state or damaged, and two runs with one state.

use crate::support::{SENDER, mode};
use crate::{WORLD, change, lab, query, results, verify};

#[test]
fn a_report_writes_the_results_of_the_run_without_a_probe() {
    let lab = lab();
    verify(&lab, "one", &[], 0);
    lab.run(&["report", "list.csv", "--state", "state/state.db", "-o", "two"]).exits(0);
    assert_eq!(results(&lab, "two"), results(&lab, "one"));
    lab.write("other.csv", "email\nuser1@acme.example\n");
    lab.run(&["report", "other.csv", "--state", "state/state.db", "-o", "three"]).fails(78, &["no run"]);
    lab.run(&["report", "list.csv", "--state", "nowhere.db", "-o", "three"]).fails(78, &["`nowhere.db`"]);
}

#[test]
fn an_address_can_be_exported_and_forgotten() {
    let lab = lab();
    verify(&lab, "one", &[], 0);
    let file = lab.path("state/state.db");
    assert_eq!((mode(&file), mode(&lab.path("state"))), (0o600, 0o700));
    let state = |more: &[&str]| {
        lab.run(&[&["state"], more, &["--state", "state/state.db"]].concat()).exits(0).stdout()
    };
    assert!(state(&["stats"]).contains("60  addresses probed: 30 deliverable, 20 risky, 10 undeliverable"));
    let exported: serde_json::Value =
        serde_json::from_str(&state(&["export", "user7@acme.example"])).unwrap();
    assert_eq!(
        (&exported["verdict"]["reason"], &exported["attempts"][0]["code"]),
        (&"accepted".into(), &250.into())
    );
    assert_eq!(state(&["forget", "user7@acme.example"]), "forgotten\n");
    assert_eq!(state(&["export", "user7@acme.example"]), "null\n");
    let again = verify(&lab, "two", &[], 0);
    assert_eq!(again["questions"], 1 + 1, "the forgotten recipient and a closing control");
    assert_eq!(state(&["prune", "--older-than", "1s"]).split(' ').nth(1), Some("60"));
}

#[test]
fn answers_older_than_their_retention_are_deleted_at_the_end_of_a_run() {
    for (days, stays) in [(420, true), (500, false)] {
        let lab = lab();
        verify(&lab, "one", &[], 0);
        let file = lab.path("state/state.db");
        let by = i64::from(days) * 86_400_000;
        change(
            &file,
            &format!(
                "UPDATE reply SET at = at - {by}; UPDATE route SET looked_up = looked_up - {by};
                 UPDATE run SET began = began - {by}, ended = ended - {by};
                 UPDATE result SET checked = checked - {by}, expires = expires - {by};"
            ),
        );
        let (reported, replies) = ("SELECT count(*) FROM last_reported", "SELECT count(*) FROM reply");
        let (reported_before, replies_before) = (query(&file, reported), query(&file, replies));
        assert!(reported_before > 0 && replies_before > 0);
        lab.write("list.csv", "email\nuser1@acme.example\n");
        verify(&lab, "two", &[], 0);
        let (began, old) = (query(&file, "SELECT max(began) FROM run"), by / 2);
        let old = query(&file, &format!("SELECT count(*) FROM reply WHERE at < {}", began - old));
        assert_eq!(old > 0, stays, "{days} days");
        assert_eq!(query(&file, reported), reported_before, "what was reported stays");
        assert_eq!(query(&file, "SELECT count(*) FROM result WHERE local = 'user1' AND checked IS NULL"), 0);
    }
}

#[test]
fn a_file_that_is_no_state_or_of_another_world_stays_as_it_is() {
    let lab = lab();
    verify(&lab, "one", &[], 0);
    let state = std::fs::read(lab.path("state/state.db")).unwrap();
    lab.write("text.db", "not a database");
    lab.write("cut.db", &state[..3000]);
    lab.write("newer.db", &state);
    rusqlite::Connection::open(lab.path("newer.db"))
        .unwrap()
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    rusqlite::Connection::open(lab.path("other.db")).unwrap().execute_batch("CREATE TABLE mine (a)").unwrap();
    lab.write("world2.toml", format!("{WORLD}\n# another\n"));
    for (world, file, code) in [
        ("world.toml", "text.db", 78),
        ("world.toml", "cut.db", 74),
        ("world.toml", "newer.db", 78),
        ("world.toml", "other.db", 78),
        ("world2.toml", "state/state.db", 78),
    ] {
        let before = std::fs::read(lab.path(file)).unwrap();
        for out in ["two", "-"] {
            let ran = lab.run(&["verify", "list.csv", "--world", world, "--state", file, "-q", "-o", out]);
            ran.fails(code, &[&format!("`{file}`")]);
            assert!(ran.stdout().is_empty() && !lab.path("two").exists(), "{file}: no results");
        }
        assert!(std::fs::read(lab.path(file)).unwrap() == before, "{file} was changed");
    }
}

#[test]
fn the_error_about_a_damaged_state_names_it() {
    let lab = lab();
    verify(&lab, "one", &[], 0);
    let mut state = std::fs::read(lab.path("state/state.db")).unwrap();
    state[8192..].fill(0xaa);
    lab.write("bad.db", &state);
    let damaged = ["`bad.db` is damaged", ".recover"];
    lab.run(&["state", "stats", "--state", "bad.db"]).fails(74, &damaged);
    lab.run(&["report", "list.csv", "--state", "bad.db", "-o", "two"]).fails(74, &damaged);
    let verify = ["verify", "list.csv", "--world", "world.toml", "--state", "bad.db", "-q", "-o", "two"];
    lab.run(&verify).fails(74, &damaged);
}

#[test]
fn a_second_run_at_the_same_time_gets_an_error_that_names_the_first() {
    let lab = lab();
    let served = lab.serve("world.toml");
    let network = [&SENDER[..], &served.flags(), &["--state", "s.db"]].concat();
    let verify = [&["verify", "list.csv", "-q", "-o", "out"], &network[..]].concat();
    let mut first = lab.listproof(&verify).spawn().unwrap();
    while !lab.path("s.db").exists() {
        std::thread::yield_now();
    }
    lab.run(&verify).fails(11, &[&format!("is in use by process {}, started ", first.id())]);
    // `check` does not need the lock.
    let check = [&["check", "user1@acme.example", "--json"], &network[..]].concat();
    lab.run(&check).exits(0);
    first.kill().unwrap();
    first.wait().unwrap();
    // The lock of a killed process is free.
    lab.run(&check).exits(0);
}
