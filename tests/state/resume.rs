//! A run resumes where it stopped, and stored facts are reused as long as they are valid.

use crate::support::{Folder, Ran, SENDER, Served};
use crate::{WORLD, change, lab, query, repeated_probes, results, users, verify, verify_served};

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
    // Two recipients are new. Which of the two domains is a catch-all is stored. One of the hosts has rejected eleven
    // unknown recipients within the hour, so a closing control is sent with the new recipient.
    let second = verify(&lab, "two", &[], 0);
    assert_eq!(second["questions"], 1 + 1, "{}", results(&lab, "two"));
    let reasons = &second["reasons"];
    assert_eq!([&reasons["accepted"], &reasons["mailbox_unknown"], &reasons["catch_all"]], [1, 1, 1]);
}

#[test]
fn a_run_that_stops_at_its_time_is_partial_and_the_same_command_resumes_it() {
    let lab = lab();
    verify(&lab, "whole", &[], 0);
    std::fs::remove_dir_all(lab.path("state")).unwrap();
    let stopped = verify(&lab, "out", &["--max-duration", "5s"], 10);
    assert_eq!(stopped["partial"], true);
    let left = stopped["still_to_ask"].as_i64().unwrap();
    assert!((1..60).contains(&left), "{left}");
    let rest = verify(&lab, "out", &[], 0);
    assert_eq!((&rest["partial"], rest["still_to_ask"].as_i64()), (&false.into(), Some(0)));
    let file = lab.path("state/state.db");
    assert_eq!(repeated_probes(&file), 0);
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
    // Unknown recipients come first: the acceptances after them confirm the rejections.
    let list: Vec<String> = (1..=40).rev().map(|n| format!("user{n}@acme.example\n")).collect();
    lab.write("list.csv", list.concat());
    let stopped = verify(&lab, "one", &["--max-duration", "20s"], 10);
    assert!(stopped["reasons"]["mailbox_unknown"].as_u64() > Some(0), "{stopped}");
    lab.write("list.csv", lab.read("list.csv") + "new@any.example\n");
    verify(&lab, "two", &["--pace", "fast"], 0);
    assert_eq!(repeated_probes(&lab.path("state/state.db")), 0);
}

#[test]
fn with_a_deadline_each_night_does_a_part_until_all_is_done() {
    let lab = lab();
    // Five seconds are left, too few to probe all recipients of a host.
    lab.write("world.toml", format!("now = 2026-01-05T08:59:55Z\n{WORLD}"));
    let arguments =
        ["verify", "list.csv", "--world", "world.toml", "--state", "state/state.db", "-q", "-o", "out"];
    let mut left = Vec::new();
    let last = loop {
        let mut night = lab.listproof(&arguments);
        let ran = Ran(night.args(["--deadline", "09:00"]).env("TZ", "UTC").output().unwrap());
        let summary = lab.summary("out");
        assert_eq!(summary["exit_code"].as_i64(), ran.code().map(i64::from));
        assert_eq!(lab.rows("out/list.results.csv"), 60, "each night writes every row");
        if ran.code() == Some(0) || left.len() > 60 {
            break summary;
        }
        ran.exits(10);
        assert_eq!(summary["partial"], true);
        left.push(summary["still_to_ask"].as_u64().unwrap());
    };
    assert!(left.len() > 1 && left.is_sorted_by(|earlier, later| earlier > later), "{left:?}");
    assert_eq!((&last["partial"], &last["verdicts"]["unknown"]), (&false.into(), &0.into()));
    assert_eq!(repeated_probes(&lab.path("state/state.db")), 0);
}

#[test]
fn unknown_recipients_of_an_earlier_run_count_against_the_limit() {
    let lab = lab();
    verify(&lab, "one", &[], 0);
    // The first run probed eleven unknown recipients; the limit of an unknown provider is twenty an hour.
    let second = verify(&lab, "two", &["--fresh"], 10);
    assert!(second["reasons"]["not_probed"].as_i64().unwrap() > 0, "{second}");
    assert!(results(&lab, "two").contains(",not_probed,"));
}

#[test]
fn a_finished_run_is_not_reused_after_another_run_has_changed_its_facts() {
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
fn a_finished_run_is_reused_after_a_run_over_another_list() {
    let lab = lab();
    verify(&lab, "one", &[], 0);
    let list = lab.read("list.csv");
    lab.write("list.csv", "new@any.example\nuser1@acme.example\n");
    verify(&lab, "other", &[], 0);
    lab.write("list.csv", list);
    verify(&lab, "two", &[], 0);
    assert_eq!(query(&lab.path("state/state.db"), "SELECT count(*) FROM runs"), 2);
    assert_eq!(results(&lab, "two"), results(&lab, "one"));
}

/// A served world of 40 mailboxes, half of them with stored results, and a run over all of them that stopped before its
/// first probe.
fn stopped_before_the_first_probe() -> (Folder, Served) {
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
fn a_resumed_run_with_a_lower_maximum_age_probes_what_is_too_old() {
    let (lab, served) = stopped_before_the_first_probe();
    let older = "UPDATE result SET checked = checked - 9000; UPDATE reply SET at = at - 9000";
    change(&lab.path("s.db"), older);
    verify_served(&lab, &served, &["--max-age", "5s"], 0);
    let summary = lab.summary("out");
    assert_eq!(summary["verdicts"]["deliverable"], 40);
    assert!(summary["questions"].as_u64() >= Some(40), "{summary}");
}

#[test]
fn a_run_that_was_interrupted_long_ago_is_not_resumed() {
    let (lab, served) = stopped_before_the_first_probe();
    let older = "UPDATE run SET began = began - 8 * 86400000 WHERE ended IS NULL";
    change(&lab.path("s.db"), older);
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["verdicts"]["deliverable"], 40);
    assert_eq!(query(&lab.path("s.db"), "SELECT count(*) FROM runs"), 3);
    assert_eq!(query(&lab.path("s.db"), "SELECT count(*) FROM runs WHERE ended_at IS NULL"), 0);
}

#[test]
fn a_recipient_that_is_forgotten_or_pruned_while_a_run_is_stopped_is_probed_again() {
    let (lab, served) = stopped_before_the_first_probe();
    for address in ["user1@acme.example", "user40@acme.example"] {
        lab.run(&["state", "forget", address, "--state", "s.db"]).exits(0);
    }
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["verdicts"]["deliverable"], 40);
    let (lab, served) = stopped_before_the_first_probe();
    lab.run(&["state", "prune", "--older-than", "0s", "--state", "s.db"]).exits(0);
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["verdicts"]["deliverable"], 40);
}

#[test]
fn routes_are_not_reused_with_other_allowed_networks() {
    let (lab, served) = stopped_before_the_first_probe();
    lab.run(&["state", "prune", "--older-than", "0s", "--state", "s.db"]).exits(0);
    let [dns, dns_at, port, port_at, ..] = served.flags();
    let verify = ["verify", "list.csv", "-q", "-o", "out", "--state", "s.db", dns, dns_at, port, port_at];
    lab.run(&[&verify[..], &SENDER[..]].concat()).exits(0);
    assert_eq!(lab.summary("out")["reasons"]["mx_unroutable"], 40);
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["verdicts"]["deliverable"], 40);
}

#[test]
fn a_deferred_recipient_is_retried_from_the_same_egress() {
    let world = "[[domain]]\nname = \"d{1..6}.example\"\nmx = [\"10 mx.d{n}.example\"]\nmailboxes = [\"user\"]\n\
                 [[host]]\nname = \"mx.d{1..6}.example\"\n\
                 greylist = { delay = \"1s\", say = \"451 4.7.1 Greylisted, try again in 3 seconds\" }\n";
    let list: Vec<String> = (1..=6).map(|n| format!("user@d{n}.example\n")).collect();
    let lab = Folder::with(list.concat().as_bytes(), world);
    let served = lab.serve("world.toml");
    let from = |addresses: &'static str| ["--source-ip", addresses, "--max-wait", "1m"];
    verify_served(&lab, &served, &[&from("127.0.0.2,127.0.0.3")[..], &["--max-duration", "2s"]].concat(), 10);
    // In this order a run that did not remember the egress would use the other one for each recipient.
    verify_served(&lab, &served, &from("127.0.0.3,127.0.0.2"), 0);
    assert_eq!(lab.summary("out")["verdicts"]["deliverable"], 6);
    let file = lab.path("s.db");
    let most = "SELECT max(n) FROM (SELECT count(DISTINCT egress) AS n FROM attempts GROUP BY email)";
    assert_eq!(query(&file, most), 1);
    assert_eq!(query(&file, "SELECT count(DISTINCT egress) FROM attempts"), 2, "both are used");
}

/// A host that accepts connections and says nothing, beside one that works.
const SILENT: &str = "[[domain]]\nname = \"acme.example\"\nmx = [\"10 mx.acme.example\"]\nmailboxes = [\"user{1..9}\"]\n\
                      [[host]]\nname = \"mx.acme.example\"\n[[domain]]\nname = \"mute.example\"\n\
                      mx = [\"10 mx.mute.example\"]\n[[host]]\nname = \"mx.mute.example\"\n\
                      [[host.rule]]\nat = \"connect\"\ndo = \"silence\"\n";

#[test]
fn a_deadline_does_not_erase_that_a_host_is_silent() {
    let list = "user1@acme.example\nuser2@acme.example\njane@mute.example\njoe@mute.example\n";
    let lab = Folder::with(list.as_bytes(), SILENT);
    for (out, time, reason) in
        [("short", "10s", "not_probed"), ("first", "2m", "timeout"), ("second", "8m", "timeout")]
    {
        let stopped = verify(&lab, out, &["--max-duration", time, "--fresh"], 10);
        assert_eq!(stopped["reasons"][reason], 2, "{time}: {stopped}");
        assert_eq!((&stopped["reasons"]["accepted"], &stopped["still_to_ask"]), (&2.into(), &2.into()));
    }
    assert!(results(&lab, "second").contains("timeout,host"), "{}", results(&lab, "second"));
    let state = lab.path("state/state.db");
    let paused = "SELECT count(*) FROM runs WHERE ended_at IS NOT NULL AND stopped_because = 'deadline'";
    assert_eq!(query(&state, paused), 1, "the run that can resume");
}

#[test]
fn a_report_has_its_reasons_after_a_run_over_another_list() {
    let list = "user1@acme.example\nuser2@acme.example\njane@mute.example\njoe@mute.example\n";
    let lab = Folder::with(list.as_bytes(), SILENT);
    let first = verify(&lab, "one", &[], 0);
    assert_eq!(
        (&first["reasons"]["accepted"], &first["reasons"]["timeout"]),
        (&2.into(), &2.into()),
        "{first}"
    );
    // The recipients of the silent host are probed again, and the time is up before anything is known.
    lab.write("other.csv", format!("{list}user3@acme.example\n"));
    let other =
        ["verify", "other.csv", "--world", "world.toml", "--state", "state/state.db", "-q", "-o", "two"];
    for time in ["1s", "1h"] {
        lab.run(&[&other[..], &["--max-duration", time]].concat());
        lab.run(&["report", "list.csv", "--state", "state/state.db", "-q", "-o", "again"]).exits(0);
        let again = lab.summary("again");
        assert_eq!(again["reasons"], first["reasons"], "{time}");
    }
}

#[test]
fn a_state_from_a_clock_that_was_ahead_is_not_used() {
    let world = |now: &str, users: &str| {
        format!(
            "now = {now}\n[[domain]]\nname = \"acme.example\"\nmx = [\"10 mx.acme.example\"]\n\
             mailboxes = [\"{users}\"]\n[[host]]\nname = \"mx.acme.example\"\n"
        )
    };
    let lab = Folder::with(users(12).as_bytes(), &world("2036-01-05T09:00:00Z", "user{1..6}"));
    let first = verify(&lab, "one", &["--pace", "fast"], 0);
    assert_eq!(first["reasons"]["mailbox_unknown"], 6);
    crate::rerouted::becomes(&lab, &world("2026-01-05T09:00:00Z", "user{1..12}"));
    let second = verify(&lab, "two", &["--pace", "fast"], 0);
    assert_eq!(second["reasons"]["accepted"], 12, "{second}");
    assert!(!results(&lab, "two").contains("2036"), "{}", results(&lab, "two"));
    let third = verify(&lab, "three", &[], 0);
    assert_eq!(third["questions"], 0);
}

#[test]
fn a_stopped_run_from_a_clock_that_was_ahead_does_not_resume() {
    let lab = lab();
    lab.write("world.toml", format!("now = 2036-01-05T09:00:00Z\n{WORLD}"));
    verify(&lab, "out", &["--max-duration", "5s"], 10);
    crate::rerouted::becomes(&lab, &format!("now = 2026-01-05T09:00:00Z\n{WORLD}"));
    let second = verify(&lab, "out", &["--pace", "fast"], 0);
    assert_eq!(second["reasons"]["not_probed"], serde_json::Value::Null);
    assert!(!results(&lab, "out").contains("2036"), "{}", results(&lab, "out"));
}
