//! Replies that a provider gives in an outage, or before it blocks us, make no row undeliverable.

use crate::support::{Folder, SENDER, Served};
use crate::{change, query, users, verify, verify_served};

#[test]
fn mailboxes_that_vanish_together_are_held_back() {
    let world = |users: &str| {
        format!(
            "[[domain]]\nname = \"acme.example\"\nmx = [\"10 mx.acme.example\"]\nmailboxes = [\"{users}\"]\n\
             [[host]]\nname = \"mx.acme.example\"\n"
        )
    };
    let lab = Folder::with(users(30).as_bytes(), &world("user{1..30}"));
    let mut served = lab.serve("world.toml");
    verify_served(&lab, &served, &[], 0);
    // A run without time probes nothing, and no stored fact is lost.
    verify_served(&lab, &served, &["--fresh", "--max-duration", "0s"], 10);
    lab.write("world.toml", world("user{1..20}"));
    served.becomes(&lab, "world.toml");
    verify_served(&lab, &served, &["--fresh"], 0);
    let reasons = &lab.summary("out")["reasons"];
    assert_eq!((&reasons["accepted"], &reasons["provider_anomaly"]), (&20.into(), &10.into()), "{reasons}");
}

/// A host without mailboxes, and a list of 30 recipients there.
fn lab_without_mailboxes() -> Folder {
    let world = "[[domain]]\nname = \"acme.example\"\nmx = [\"10 mx.acme.example\"]\n\
                 [[host]]\nname = \"mx.acme.example\"\n";
    Folder::with(users(30).as_bytes(), world)
}

#[test]
fn mailboxes_that_are_missing_a_day_later_are_unknown() {
    let lab = lab_without_mailboxes();
    let served = lab.serve("world.toml");
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["reasons"]["provider_anomaly"], 30);
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["reasons"]["provider_anomaly"], 30, "the same day");
    let day = "UPDATE reply SET at = at - 86400000 WHERE kind = 0";
    change(&lab.path("s.db"), day);
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["reasons"]["mailbox_unknown"], 30);
}

#[test]
fn a_second_outage_is_recognized_too() {
    let lab = lab_without_mailboxes();
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
fn results_that_check_holds_back_are_no_facts_for_a_later_run() {
    let lab = lab_without_mailboxes();
    let served = lab.serve("world.toml");
    let addresses: Vec<String> = (1..=30).map(|n| format!("user{n}@acme.example")).collect();
    let addresses = addresses.iter().map(String::as_str);
    let check: Vec<&str> = ["check", "--json", "--state", "s.db", "--pace", "fast"]
        .into_iter()
        .chain(SENDER)
        .chain(served.flags())
        .chain(addresses)
        .collect();
    let cards = lab.run(&check).stdout();
    assert_eq!(cards.matches("\"reason\":\"provider_anomaly\"").count(), 30, "{cards}");
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["reasons"]["provider_anomaly"], 30);
}

#[test]
fn a_run_that_was_not_reported_makes_no_row_of_another_undeliverable() {
    let lab = lab_without_mailboxes();
    let served = lab.serve("world.toml");
    verify_served(&lab, &served, &[], 0);
    // As if the run had been killed before its end: its results were judged one by one, without the check for an outage.
    let killed = "UPDATE run SET ended = NULL, facts_published = 0;
        UPDATE result SET reason = 'mailbox_unknown', expires = checked + 86400000";
    change(&lab.path("s.db"), killed);
    lab.write("list.csv", users(25));
    verify_served(&lab, &served, &[], 0);
    assert_eq!(lab.summary("out")["reasons"]["provider_anomaly"], 25);
}

#[test]
fn the_check_for_an_outage_covers_the_whole_run_after_an_interruption() {
    let world = "[[domain]]\nname = \"acme.example\"\nmx = [\"10 mx.acme.example\"]\nmailboxes = [\"user{1..5}\"]\n\
                 [[host]]\nname = \"mx.acme.example\"\n";
    let lab = Folder::with(users(50).as_bytes(), world);
    let stopped = verify(&lab, "out", &["--pace", "fast", "--max-duration", "1s"], 10);
    let known = &stopped["reasons"];
    assert!(known["accepted"] == 5 && known["not_probed"].as_i64().unwrap() > 20, "{known}");
    // All recipients that are left are unknown. Alone they would be an anomaly; beside the five accepted they are not.
    let reasons = &verify(&lab, "out", &["--pace", "fast"], 0)["reasons"];
    assert_eq!((&reasons["accepted"], &reasons["mailbox_unknown"]), (&5.into(), &45.into()), "{reasons}");
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
    let lab = Folder::with(users(60).as_bytes(), world);
    let summary = verify(&lab, "out", &[], 0);
    assert!(summary["decisions"]["answers_withdrawn"].as_u64() > Some(0), "{summary}");
    assert_eq!(summary["verdicts"]["deliverable"], 60);
    let refused = "SELECT count(*) FROM attempts WHERE who = 'listed' AND code >= 500";
    assert_eq!(query(&lab.path("state/state.db"), refused), 0);
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
    assert_eq!(query(&lab.path("state/state.db"), refused), 0);
}
