//! The state as a user meets it: a run goes on where it stopped, nobody is asked twice, and a file that is not ours, or of
//! another world, is left as it is.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own files and stops at what fails"
)]

mod support;

use std::path::Path;

use support::{Folder, Ran, SENDER, Served, mode};

const WORLD: &str = r#"
[[domain]]
name = "acme.example"
mx = ["10 mx.acme.example"]
mailboxes = ["user{1..30}"]
[[host]]
name = "mx.acme.example"
[[domain]]
name = "any.example"
mx = ["10 mx.any.example"]
catch_all = true
[[host]]
name = "mx.any.example"
"#;

/// A folder of its own for one test, with a world and a list of 60 in it.
fn lab() -> Folder {
    let emails = (1..=40).map(|n| format!("user{n}@acme.example\n"));
    let list: String = emails.chain((1..=20).map(|n| format!("user{n}@any.example\n"))).collect();
    Folder::with(format!("email\n{list}").as_bytes(), WORLD)
}

/// `verify` in the world, with a state; gives the summary.
#[track_caller]
fn verify(lab: &Folder, out: &str, more: &[&str], code: i32) -> serde_json::Value {
    let arguments =
        ["verify", "list.csv", "--world", "world.toml", "--state", "kept/state.db", "-q", "-o", out];
    lab.run(&[&arguments[..], more].concat()).exits(code);
    lab.summary(out)
}

fn results(lab: &Folder, out: &str) -> String {
    lab.read(&format!("{out}/list.results.csv"))
}

fn query(file: &Path, sql: &str) -> i64 {
    support::query(file, sql).unwrap()
}

fn change(file: &Path, sql: &str) {
    rusqlite::Connection::open(file).unwrap().execute_batch(sql).unwrap();
}

/// How often somebody on the list was asked about again.
fn asked_again(file: &Path) -> i64 {
    query(file, "SELECT count(*) - count(DISTINCT email) FROM attempts WHERE who = 'listed'")
}

#[test]
fn a_second_run_probes_nothing_and_writes_the_same() {
    let lab = lab();
    let first = verify(&lab, "one", &[], 0);
    assert_eq!(first["verdicts"]["unknown"], 0);
    let second = verify(&lab, "two", &[], 0);
    assert_eq!([&second["domains"], &second["questions"], &second["connections"]], [0, 0, 0]);
    assert_eq!(results(&lab, "two"), results(&lab, "one"));
    let third = verify(&lab, "three", &["--fresh", "--pace", "fast"], 0);
    assert_eq!(third["questions"], first["questions"]);
}

#[test]
fn another_list_probes_only_recipients_without_stored_facts() {
    let lab = lab();
    verify(&lab, "one", &[], 0);
    let list = "email\nuser1@acme.example\nuser99@acme.example\nnew@any.example\n";
    lab.write("list.csv", list);
    // Two names are new; that anybody is accepted at one domain, and not at the other, is known. The host has heard eleven
    // unknown names within the hour, so that it still tells names apart is asked along.
    let second = verify(&lab, "two", &[], 0);
    assert_eq!(second["questions"], 1 + 1, "{}", results(&lab, "two"));
    let reasons = &second["reasons"];
    assert_eq!([&reasons["accepted"], &reasons["mailbox_unknown"], &reasons["catch_all"]], [1, 1, 1]);
}

#[test]
fn a_run_that_stops_at_its_time_is_partial_and_the_same_command_goes_on() {
    let lab = lab();
    verify(&lab, "whole", &[], 0);
    std::fs::remove_dir_all(lab.path("kept")).unwrap();
    let stopped = verify(&lab, "out", &["--max-duration", "5s"], 10);
    assert_eq!(stopped["partial"], true);
    let left = stopped["still_to_ask"].as_i64().unwrap();
    assert!((1..60).contains(&left), "{left}");
    let rest = verify(&lab, "out", &[], 0);
    assert_eq!((&rest["partial"], rest["still_to_ask"].as_i64()), (&false.into(), Some(0)));
    let file = lab.path("kept/state.db");
    assert_eq!(asked_again(&file), 0, "nobody was asked twice");
    assert_eq!(query(&file, "SELECT count(*) FROM runs"), 1);
    let verdicts = |out: &str| -> Vec<String> {
        results(&lab, out).lines().map(|line| line.split(',').take(3).collect::<Vec<_>>().join(",")).collect()
    };
    assert_eq!(verdicts("out"), verdicts("whole"));
}

#[test]
fn dns_answers_of_a_run_that_ran_out_of_time_are_reused() {
    let world = "dns_delay = \"400ms\"\n[[domain]]\nname = \"d{1..600}.example\"\nmx = [\"0 .\"]\n";
    let list: Vec<String> = (1..=600).map(|n| format!("jane@d{n}.example\n")).collect();
    let lab = Folder::with(list.concat().as_bytes(), world);
    let stopped = verify(&lab, "out", &["--max-duration", "600ms"], 10);
    let left = stopped["still_to_ask"].as_u64().unwrap();
    assert!((1..600).contains(&left), "{stopped}");
    assert_eq!(stopped["reasons"], serde_json::json!({ "not_probed": left, "null_mx": 600 - left }));
    let rest = verify(&lab, "out", &[], 0);
    assert_eq!((&rest["reasons"]["null_mx"], &rest["domains"]), (&600.into(), &left.into()));
}

#[test]
fn a_mailbox_reported_unknown_by_a_stopped_run_is_not_probed_again_for_another_list() {
    let lab = lab();
    // Who has no mailbox is asked about first: those after them vouch for the host.
    let list: Vec<String> = (1..=40).rev().map(|n| format!("user{n}@acme.example\n")).collect();
    lab.write("list.csv", list.concat());
    let stopped = verify(&lab, "one", &["--max-duration", "20s"], 10);
    assert!(stopped["reasons"]["mailbox_unknown"].as_u64() > Some(0), "{stopped}");
    lab.write("list.csv", lab.read("list.csv") + "new@any.example\n");
    verify(&lab, "two", &["--pace", "fast"], 0);
    assert_eq!(asked_again(&lab.path("kept/state.db")), 0);
}

#[test]
fn a_job_with_a_deadline_does_a_part_each_night_until_all_is_done() {
    let lab = lab();
    // Five seconds are left, and in them no host of this world is asked about everybody.
    lab.write("world.toml", format!("now = 2026-01-05T08:59:55Z\n{WORLD}"));
    let arguments =
        ["verify", "list.csv", "--world", "world.toml", "--state", "kept/state.db", "-q", "-o", "out"];
    let mut left = Vec::new();
    let last = loop {
        let mut night = lab.listproof(&arguments);
        let ran = Ran(night.args(["--deadline", "09:00"]).env("TZ", "UTC").output().unwrap());
        let summary = lab.summary("out");
        assert_eq!(summary["exit_code"].as_i64(), ran.code().map(i64::from));
        assert_eq!(lab.rows("out/list.results.csv"), 60, "every row is there, each night");
        if ran.code() == Some(0) || left.len() > 60 {
            break summary;
        }
        ran.exits(10);
        assert_eq!(summary["partial"], true);
        left.push(summary["still_to_ask"].as_u64().unwrap());
    };
    assert!(left.len() > 1 && left.is_sorted_by(|earlier, later| earlier > later), "{left:?}");
    assert_eq!((&last["partial"], &last["verdicts"]["unknown"]), (&false.into(), &0.into()));
    assert_eq!(asked_again(&lab.path("kept/state.db")), 0, "nobody was asked twice");
}

#[test]
fn what_a_provider_was_asked_yesterday_counts_today() {
    let lab = lab();
    verify(&lab, "one", &[], 0);
    // Eleven unknown names were asked about, and such a host bears twenty an hour.
    let second = verify(&lab, "two", &["--fresh"], 10);
    assert!(second["reasons"]["not_probed"].as_i64().unwrap() > 0, "{second}");
    assert!(results(&lab, "two").contains(",not_probed,"));
}

#[test]
fn a_report_writes_the_same_as_the_run_without_a_probe() {
    let lab = lab();
    verify(&lab, "one", &[], 0);
    lab.run(&["report", "list.csv", "--state", "kept/state.db", "-o", "two"]).exits(0);
    assert_eq!(results(&lab, "two"), results(&lab, "one"));
    lab.write("other.csv", "email\nuser1@acme.example\n");
    lab.run(&["report", "other.csv", "--state", "kept/state.db", "-o", "three"]).fails(78, &["no run"]);
    lab.run(&["report", "list.csv", "--state", "nowhere.db", "-o", "three"]).fails(78, &["`nowhere.db`"]);
}

#[test]
fn an_owner_can_look_into_the_state_and_be_forgotten() {
    let lab = lab();
    verify(&lab, "one", &[], 0);
    let file = lab.path("kept/state.db");
    assert_eq!((mode(&file), mode(&lab.path("kept"))), (0o600, 0o700));
    let state = |more: &[&str]| {
        lab.run(&[&["state"], more, &["--state", "kept/state.db"]].concat()).exits(0).stdout()
    };
    assert!(
        state(&["stats"]).contains("60  addresses asked about: 30 deliverable, 20 risky, 10 undeliverable")
    );
    let known: serde_json::Value = serde_json::from_str(&state(&["export", "user7@acme.example"])).unwrap();
    assert_eq!(
        (&known["verdict"]["reason"], &known["attempts"][0]["code"]),
        (&"accepted".into(), &250.into())
    );
    assert_eq!(state(&["forget", "user7@acme.example"]), "forgotten\n");
    assert_eq!(state(&["export", "user7@acme.example"]), "null\n");
    let again = verify(&lab, "two", &[], 0);
    assert_eq!(
        again["questions"],
        1 + 1,
        "only who was forgotten, and whether the host still tells names apart"
    );
    assert_eq!(state(&["prune", "--older-than", "1s"]).split(' ').nth(1), Some("60"));
}

#[test]
fn what_is_no_state_or_of_another_world_is_left_as_it_is() {
    let lab = lab();
    verify(&lab, "one", &[], 0);
    let state = std::fs::read(lab.path("kept/state.db")).unwrap();
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
        ("world2.toml", "kept/state.db", 78),
    ] {
        let before = std::fs::read(lab.path(file)).unwrap();
        for out in ["two", "-"] {
            let ran = lab.run(&["verify", "list.csv", "--world", world, "--state", file, "-q", "-o", out]);
            ran.fails(code, &[&format!("`{file}`")]);
            assert!(ran.stdout().is_empty() && !lab.path("two").exists(), "{file}: nothing was found out");
        }
        assert!(std::fs::read(lab.path(file)).unwrap() == before, "{file} was changed");
    }
}

#[test]
fn a_state_that_is_damaged_in_its_middle_is_called_so_and_named() {
    let lab = lab();
    verify(&lab, "one", &[], 0);
    let mut state = std::fs::read(lab.path("kept/state.db")).unwrap();
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
    let asking = [&SENDER[..], &served.flags(), &["--state", "s.db"]].concat();
    let verify = [&["verify", "list.csv", "-q", "-o", "out"], &asking[..]].concat();
    let mut first = lab.listproof(&verify).spawn().unwrap();
    while !lab.path("s.db").exists() {
        std::thread::yield_now();
    }
    lab.run(&verify).fails(11, &[&format!("is in use by process {}, started ", first.id())]);
    // A few addresses can be asked about meanwhile.
    let check = [&["check", "user1@acme.example", "--json"], &asking[..]].concat();
    lab.run(&check).exits(0);
    first.kill().unwrap();
    first.wait().unwrap();
    // Its lock died with it.
    lab.run(&check).exits(0);
}

/// A world in which two have a mailbox: one who stays, and another.
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

/// `verify` of the changes, at a served world; the addresses in the results with their reasons, and the summary.
#[track_caller]
fn changes(lab: &Folder, served: &Served, more: &[&str], code: i32) -> (Vec<String>, serde_json::Value) {
    let verify = ["verify", "list.csv", "-q", "-o", "out", "--columns", "minimal", "--pace", "fast"];
    let ran = [&verify, &SENDER[..], &served.flags(), &["--changed-only"], more].concat();
    lab.run(&ran).exits(code);
    let rows = results(lab, "out");
    let told = |row: &str| row.split(',').take(3).collect::<Vec<_>>().join(" ");
    (rows.lines().skip(1).map(told).collect(), lab.summary("out"))
}

#[test]
fn only_changes_are_written_where_only_they_are_wanted() {
    const LIST: &str = "email\nstays@acme.example\ngoes@acme.example\nstays@acme.example\nx@dead.example\nno address\n\"\"\n";
    let lab = Folder::with(LIST.as_bytes(), &with("goes"));
    let mut served = lab.serve("world.toml");
    let (first, summary) = changes(&lab, &served, &[], 0);
    assert_eq!(
        (first.len(), &summary["unchanged"]),
        (6, &0.into()),
        "the first time everything is new: {first:?}"
    );
    let (second, summary) = changes(&lab, &served, &[], 0);
    assert_eq!(
        (second.len(), &summary["unchanged"], &summary["rows"]),
        (0, &6.into(), &6.into()),
        "{second:?}"
    );
    // Somebody leaves, somebody comes.
    lab.write("world.toml", with("comes"));
    served.becomes(&lab, "world.toml");
    lab.write("list.csv", format!("{LIST}comes@acme.example\nno address either\n"));
    let (third, summary) = changes(&lab, &served, &["--fresh"], 0);
    let told = [
        "goes@acme.example undeliverable mailbox_unknown",
        "comes@acme.example deliverable accepted",
        "no address either undeliverable syntax",
    ];
    assert_eq!((third, &summary["unchanged"]), (told.map(str::to_owned).to_vec(), &5.into()));
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
    let (told, _) = changes(&lab, &served, &["--fresh"], 0);
    assert_eq!(told, ["goes@acme.example undeliverable mailbox_unknown"]);
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

/// `verify` of a list at a served world, as its owner would.
#[track_caller]
fn verify_served(lab: &Folder, served: &Served, more: &[&str], code: i32) {
    let verify = ["verify", "list.csv", "-q", "-o", "out", "--state", "s.db", "--pace", "fast"];
    lab.run(&[&verify, &SENDER[..], &served.flags(), more].concat()).exits(code);
}

#[test]
fn mailboxes_that_vanish_all_at_once_are_held_back() {
    let world = |users: &str| {
        format!(
            "[[domain]]\nname = \"acme.example\"\nmx = [\"10 mx.acme.example\"]\nmailboxes = [\"{users}\"]\n\
             [[host]]\nname = \"mx.acme.example\"\n"
        )
    };
    let list: Vec<String> = (1..=30).map(|n| format!("user{n}@acme.example\n")).collect();
    let lab = Folder::with(list.concat().as_bytes(), &world("user{1..30}"));
    let mut served = lab.serve("world.toml");
    verify_served(&lab, &served, &[], 0);
    // A night without time asks nobody, and takes nothing away from what was known.
    verify_served(&lab, &served, &["--fresh", "--max-duration", "0s"], 10);
    lab.write("world.toml", world("user{1..20}"));
    served.becomes(&lab, "world.toml");
    verify_served(&lab, &served, &["--fresh"], 0);
    let reasons = &lab.summary("out")["reasons"];
    assert_eq!((&reasons["accepted"], &reasons["provider_anomaly"]), (&20.into(), &10.into()), "{reasons}");
}

/// A list of so many at one domain.
fn users(most: u32) -> String {
    let users: Vec<String> = (1..=most).map(|n| format!("user{n}@acme.example\n")).collect();
    users.concat()
}

/// A host at which nobody has a mailbox, and a list of 30 there.
fn lab_of_strangers() -> Folder {
    let world = "[[domain]]\nname = \"acme.example\"\nmx = [\"10 mx.acme.example\"]\n\
                 [[host]]\nname = \"mx.acme.example\"\n";
    Folder::with(users(30).as_bytes(), world)
}

#[test]
fn mailboxes_that_are_still_gone_a_day_later_are_gone() {
    let lab = lab_of_strangers();
    let served = lab.serve("world.toml");
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["reasons"]["provider_anomaly"], 30);
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["reasons"]["provider_anomaly"], 30, "no day has gone by");
    let day = "UPDATE reply SET at = at - 86400000 WHERE kind = 0";
    change(&lab.path("s.db"), day);
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["reasons"]["mailbox_unknown"], 30);
}

#[test]
fn a_second_outage_of_theirs_is_one_too() {
    let lab = lab_of_strangers();
    let without = lab.read("world.toml");
    let mut served = lab.serve("world.toml");
    let reasons = |served: &Served| {
        verify_served(&lab, served, &["--fresh"], 0);
        let day = "UPDATE reply SET at = at - 86400000 WHERE kind = 0";
        change(&lab.path("s.db"), day);
        lab.summary("out")["reasons"].clone()
    };
    assert_eq!(reasons(&served)["provider_anomaly"], 30);
    let with = without.replace("[[host]]", "mailboxes = [\"user{1..30}\"]\n[[host]]");
    lab.write("world.toml", with);
    served.becomes(&lab, "world.toml");
    assert_eq!(reasons(&served)["accepted"], 30);
    lab.write("world.toml", without);
    served.becomes(&lab, "world.toml");
    assert_eq!(reasons(&served)["provider_anomaly"], 30);
}

#[test]
fn what_check_holds_back_is_no_fact_for_a_later_run() {
    let lab = lab_of_strangers();
    let served = lab.serve("world.toml");
    let addresses: Vec<String> = (1..=30).map(|n| format!("user{n}@acme.example")).collect();
    let addresses = addresses.iter().map(String::as_str);
    let check: Vec<&str> = ["check", "--json", "--state", "s.db", "--pace", "fast"]
        .into_iter()
        .chain(SENDER)
        .chain(served.flags())
        .chain(addresses)
        .collect();
    let told = lab.run(&check).stdout();
    assert_eq!(told.matches("\"reason\":\"provider_anomaly\"").count(), 30, "{told}");
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["reasons"]["provider_anomaly"], 30);
}

#[test]
fn a_run_that_was_not_reported_makes_no_row_of_another_undeliverable() {
    let lab = lab_of_strangers();
    let served = lab.serve("world.toml");
    verify_served(&lab, &served, &[], 0);
    // As if it had been killed before its end: what was judged about each address by itself stands there.
    let killed = "UPDATE run SET ended = NULL, facts_published = 0;
        UPDATE result SET reason = 'mailbox_unknown', expires = checked + 86400000";
    change(&lab.path("s.db"), killed);
    lab.write("list.csv", users(25));
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["reasons"]["provider_anomaly"], 25);
}

#[test]
fn a_finished_run_is_looked_at_again_when_another_has_changed_what_was_known() {
    let world = |more: &str| {
        format!(
            "[[domain]]\nname = \"acme.example\"\nmx = [\"10 mx.acme.example\"]\nmailboxes = [\"user{{1..9}}\"]\n\
             [[host]]\nname = \"mx.acme.example\"\n{more}"
        )
    };
    let lab = Folder::with(b"user1@acme.example\nuser2@acme.example\n", &world(""));
    let mut served = lab.serve("world.toml");
    verify_served(&lab, &served, &[], 0);
    lab.write(
        "world.toml",
        world("[[host.rule]]\nat = \"connect\"\nsay = \"451 4.3.2 Please try again later\"\n"),
    );
    served.becomes(&lab, "world.toml");
    let (list, longer) = (lab.read("list.csv"), lab.read("list.csv") + "user3@acme.example\n");
    lab.write("list.csv", longer);
    verify_served(&lab, &served, &["--fresh", "--max-wait", "0s"], 0);
    assert_eq!(lab.summary("out")["verdicts"]["unknown"], 3);
    lab.write("world.toml", world(""));
    served.becomes(&lab, "world.toml");
    lab.write("list.csv", list);
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["verdicts"]["deliverable"], 2);
}

#[test]
fn a_finished_run_is_not_looked_at_again_because_of_another_list() {
    let lab = lab();
    verify(&lab, "one", &[], 0);
    let list = lab.read("list.csv");
    lab.write("list.csv", "new@any.example\nuser1@acme.example\n");
    verify(&lab, "other", &[], 0);
    lab.write("list.csv", list);
    verify(&lab, "two", &[], 0);
    assert_eq!(query(&lab.path("kept/state.db"), "SELECT count(*) FROM runs"), 2);
    assert_eq!(results(&lab, "two"), results(&lab, "one"));
}

/// A served world of 40 mailboxes, half of them known, and a run over all of them that was stopped at once.
fn stopped_at_once() -> (Folder, Served) {
    let world = "[[domain]]\nname = \"acme.example\"\nmx = [\"10 mx.acme.example\"]\nmailboxes = [\"user{1..40}\"]\n\
                 [[host]]\nname = \"mx.acme.example\"\n";
    let lab = Folder::with(users(20).as_bytes(), world);
    let served = lab.serve("world.toml");
    verify_served(&lab, &served, &[], 0);
    lab.write("list.csv", users(40));
    verify_served(&lab, &served, &["--max-duration", "0s"], 10);
    let summary = lab.summary("out");
    assert_eq!((&summary["still_to_ask"], &summary["connections"]), (&20.into(), &0.into()));
    (lab, served)
}

#[test]
fn a_resumed_run_with_another_maximum_age_probes_what_that_leaves_over() {
    let (lab, served) = stopped_at_once();
    let ago = "UPDATE result SET checked = checked - 9000; UPDATE reply SET at = at - 9000";
    change(&lab.path("s.db"), ago);
    verify_served(&lab, &served, &["--max-age", "5s"], 0);
    let summary = lab.summary("out");
    assert_eq!(summary["verdicts"]["deliverable"], 40);
    assert!(summary["questions"].as_u64() >= Some(40), "{summary}");
}

#[test]
fn a_run_that_was_interrupted_long_ago_begins_anew() {
    let (lab, served) = stopped_at_once();
    let ago = "UPDATE run SET began = began - 8 * 86400000 WHERE ended IS NULL";
    change(&lab.path("s.db"), ago);
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["verdicts"]["deliverable"], 40);
    assert_eq!(query(&lab.path("s.db"), "SELECT count(*) FROM runs"), 3);
    assert_eq!(query(&lab.path("s.db"), "SELECT count(*) FROM runs WHERE ended_at IS NULL"), 0);
}

#[test]
fn a_recipient_that_is_forgotten_or_pruned_while_a_run_is_stopped_is_probed_again() {
    let (lab, served) = stopped_at_once();
    for address in ["user1@acme.example", "user40@acme.example"] {
        lab.run(&["state", "forget", address, "--state", "s.db"]).exits(0);
    }
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["verdicts"]["deliverable"], 40);
    let (lab, served) = stopped_at_once();
    lab.run(&["state", "prune", "--older-than", "0s", "--state", "s.db"]).exits(0);
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["verdicts"]["deliverable"], 40);
}

#[test]
fn where_one_may_connect_to_is_no_fact_about_a_domain() {
    let (lab, served) = stopped_at_once();
    lab.run(&["state", "prune", "--older-than", "0s", "--state", "s.db"]).exits(0);
    let [dns, dns_at, port, port_at, ..] = served.flags();
    let verify = ["verify", "list.csv", "-q", "-o", "out", "--state", "s.db", dns, dns_at, port, port_at];
    lab.run(&[&verify[..], &SENDER[..]].concat()).exits(0);
    assert_eq!(lab.summary("out")["reasons"]["mx_unroutable"], 40);
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["verdicts"]["deliverable"], 40);
}

#[test]
fn an_outage_of_theirs_shows_in_the_whole_run_however_often_it_was_interrupted() {
    let world = "[[domain]]\nname = \"acme.example\"\nmx = [\"10 mx.acme.example\"]\nmailboxes = [\"user{1..5}\"]\n\
                 [[host]]\nname = \"mx.acme.example\"\n";
    let list: Vec<String> = (1..=50).map(|n| format!("user{n}@acme.example\n")).collect();
    let lab = Folder::with(list.concat().as_bytes(), world);
    let stopped = verify(&lab, "out", &["--pace", "fast", "--max-duration", "1s"], 10);
    let known = &stopped["reasons"];
    assert!(known["accepted"] == 5 && known["not_probed"].as_i64().unwrap() > 20, "{known}");
    // The rest of them are all unknown, and more than a few.
    let reasons = &verify(&lab, "out", &["--pace", "fast"], 0)["reasons"];
    assert_eq!((&reasons["accepted"], &reasons["mailbox_unknown"]), (&5.into(), &45.into()), "{reasons}");
}

#[test]
fn a_deferred_recipient_is_retried_from_the_same_egress() {
    let world = "[[domain]]\nname = \"d{1..6}.example\"\nmx = [\"10 mx.d{n}.example\"]\nmailboxes = [\"user\"]\n\
                 [[host]]\nname = \"mx.d{1..6}.example\"\n\
                 greylist = { delay = \"1s\", say = \"451 4.7.1 Greylisted, try again in 3 seconds\" }\n";
    let list: Vec<String> = (1..=6).map(|n| format!("user@d{n}.example\n")).collect();
    let lab = Folder::with(list.concat().as_bytes(), world);
    let served = lab.serve("world.toml");
    let from = |ways: &'static str| ["--source-ip", ways, "--max-wait", "1m"];
    verify_served(&lab, &served, &[&from("127.0.0.2,127.0.0.3")[..], &["--max-duration", "2s"]].concat(), 10);
    // The other way round, each would be asked from the other address.
    verify_served(&lab, &served, &from("127.0.0.3,127.0.0.2"), 0);
    assert_eq!(lab.summary("out")["verdicts"]["deliverable"], 6);
    let file = lab.path("s.db");
    let ways = "SELECT max(ways) FROM (SELECT count(DISTINCT egress) AS ways FROM attempts GROUP BY email)";
    assert_eq!(query(&file, ways), 1);
    assert_eq!(query(&file, "SELECT count(DISTINCT egress) FROM attempts"), 2, "both were used");
}

#[test]
fn replies_right_before_a_block_are_deleted_where_another_provider_was_probed() {
    let world = r#"
[[domain]]
name = "acme.example"
mx = ["10 aspmx.l.google.com", "20 mx.other.example"]
mailboxes = ["user{1..60}"]
[[host]]
name = "mx.other.example"
[[host]]
name = "aspmx.l.google.com"
[[host.rule]]
at = "connect"
since = "20s"
say = "554 5.7.1 Your IP address is blocked using zen.spamhaus.org"
[[host.rule]]
at = "rcpt"
since = "8s"
say = "550 5.1.1 User unknown"
"#;
    let list: Vec<String> = (1..=60).map(|n| format!("user{n}@acme.example\n")).collect();
    let lab = Folder::with(list.concat().as_bytes(), world);
    let summary = verify(&lab, "out", &[], 0);
    assert!(summary["decisions"]["answers_withdrawn"].as_u64() > Some(0), "{summary}");
    assert_eq!(summary["verdicts"]["deliverable"], 60);
    let refused = "SELECT count(*) FROM attempts WHERE who = 'listed' AND code >= 500";
    assert_eq!(query(&lab.path("kept/state.db"), refused), 0);
}

#[test]
fn a_random_recipient_rejected_right_before_a_block_proves_nothing_later() {
    let world = r#"
[[domain]]
name = "d{1..60}.example"
mx = ["10 aspmx.l.google.com"]
catch_all = true
[[host]]
name = "aspmx.l.google.com"
[[host.rule]]
at = "connect"
since = "10s"
say = "554 5.7.1 Your IP address is blocked using zen.spamhaus.org"
[[host.rule]]
at = "rcpt"
since = "7s"
say = "550 5.1.1 User unknown"
"#;
    let list: Vec<String> = (1..=60).map(|n| format!("user@d{n}.example\n")).collect();
    let lab = Folder::with(list.concat().as_bytes(), world);
    let summary = verify(&lab, "out", &[], 0);
    assert!(summary["decisions"]["answers_withdrawn"].as_u64() > Some(0), "{summary}");
    assert_eq!(summary["verdicts"]["deliverable"], 0);
    let refused = "SELECT count(*) FROM attempts WHERE who = 'made_up' AND code >= 500";
    assert_eq!(query(&lab.path("kept/state.db"), refused), 0);
}
