//! Mail of a domain moves to other MX hosts: no old host is connected to, and its rejections condemn no mailbox.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Folder, SENDER};
use crate::{change, query, results, verify};

/// A world at a time of 2026-01-05: `acme.example` has its mailboxes at one of two hosts; the other one knows none.
fn world(now: &str, mx: &str) -> String {
    let other = if mx == "old" { "new" } else { "old" };
    format!(
        "now = 2026-01-05T{now}Z\n\
         [[domain]]\nname = \"acme.example\"\nmx = [\"10 {mx}.hosts.example\"]\nmailboxes = [\"user{{1..20}}\"]\n\
         [[domain]]\nname = \"still.example\"\nmx = [\"10 still.hosts.example\"]\nmailboxes = [\"user{{1..20}}\"]\n\
         [[host]]\nname = \"{mx}.hosts.example\"\n[[host]]\nname = \"still.hosts.example\"\n\
         [[host]]\nname = \"{other}.hosts.example\"\n[[host.rule]]\nat = \"rcpt\"\n\
         say = \"550 5.1.1 <{{rcpt}}>: User unknown\"\n"
    )
}

/// Puts another world in place; the state is that of the same network.
pub(crate) fn becomes(lab: &Folder, world: &str) {
    lab.write("world.toml", world);
    let other = ["verify", "list.csv", "--world", "world.toml", "--state", "other.db", "-q", "-o", "other"];
    lab.run(&[&other[..], &["--dns-only"]].concat());
    let name: String = crate::support::query(&lab.path("other.db"), "SELECT name FROM namespace").unwrap();
    std::fs::remove_file(lab.path("other.db")).unwrap();
    change(&lab.path("state/state.db"), &format!("UPDATE namespace SET name = '{name}'"));
}

/// A list of users of `acme.example`.
fn users(numbers: impl IntoIterator<Item = u32>) -> String {
    let lines: Vec<String> = numbers.into_iter().map(|n| format!("user{n}@acme.example\n")).collect();
    format!("email\n{}", lines.concat())
}

/// The reasons of a run, by address.
fn reason_of(lab: &Folder, out: &str, address: &str) -> String {
    let rows = lab.results(&format!("{out}/list.results.csv"));
    let row = rows.iter().find(|row| row.cell("email") == address).unwrap();
    row.cell("reason").to_owned()
}

#[test]
fn another_list_is_probed_at_the_mx_hosts_of_today() {
    let lab = Folder::with(users(1..=3).as_bytes(), &world("09:00:00", "old"));
    verify(&lab, "one", &[], 0);
    becomes(&lab, &world("09:30:00", "new"));
    lab.write("list.csv", users(4..=6));
    let second = verify(&lab, "two", &[], 0);
    assert_eq!(second["reasons"]["accepted"], 3, "{second}");
    assert!(
        results(&lab, "two").contains("new.hosts.example") && !results(&lab, "two").contains("old.hosts")
    );
}

#[test]
fn within_its_ttl_a_route_is_used_again() {
    let lab = Folder::with(users(1..=3).as_bytes(), &world("09:00:00", "old"));
    verify(&lab, "one", &[], 0);
    becomes(&lab, &world("09:04:00", "old"));
    lab.write("list.csv", users(4..=6));
    let second = verify(&lab, "two", &[], 0);
    assert_eq!((&second["domains"], &second["reasons"]["accepted"]), (&0.into(), &3.into()), "{second}");
}

#[test]
fn a_row_with_an_answer_costs_no_look_up_however_old_the_route_is() {
    let lab = Folder::with(users(1..=30).as_bytes(), &world("09:00:00", "old"));
    let first = verify(&lab, "one", &["--pace", "fast"], 0);
    becomes(&lab, &world("23:00:00", "old"));
    let second = verify(&lab, "two", &[], 0);
    assert_eq!([&second["domains"], &second["questions"], &second["connections"]], [0, 0, 0]);
    assert_eq!(second["reasons"], first["reasons"]);
}

#[test]
fn rejections_by_a_dropped_mx_host_are_probed_again_and_acceptances_stay() {
    // Users 21 to 24 do not exist at either host; the old one is replaced.
    let lab = Folder::with(users(15..=24).as_bytes(), &world("09:00:00", "old"));
    let first = verify(&lab, "one", &["--pace", "fast"], 0);
    assert_eq!((&first["reasons"]["accepted"], &first["reasons"]["mailbox_unknown"]), (&6.into(), &4.into()));
    let more = world("11:00:00", "new").replacen("user{1..20}", "user{1..22}", 1);
    becomes(&lab, &more);
    lab.write("list.csv", users(15..=25));
    verify(&lab, "two", &["--pace", "fast"], 0);
    for (user, reason) in [
        (15, "accepted"),
        (20, "accepted"),
        (21, "accepted"),
        (22, "accepted"),
        (23, "mailbox_unknown"),
        (24, "mailbox_unknown"),
        (25, "mailbox_unknown"),
    ] {
        assert_eq!(reason_of(&lab, "two", &format!("user{user}@acme.example")), reason, "user {user}");
    }
    let probed_at_new =
        "SELECT count(DISTINCT email) FROM attempts WHERE who = 'listed' AND mx_host LIKE 'new%'";
    assert_eq!(query(&lab.path("state/state.db"), probed_at_new), 5, "21 to 25");
}

#[test]
fn a_rejection_stays_where_another_mx_host_is_added_or_the_addresses_change() {
    let lab = Folder::with(users(20..=24).as_bytes(), &world("09:00:00", "old"));
    verify(&lab, "one", &["--pace", "fast"], 0);
    let more = world("11:00:00", "old").replacen(
        "[\"10 old.hosts.example\"]",
        "[\"10 old.hosts.example\", \"20 new.hosts.example\"]",
        1,
    );
    becomes(&lab, &more);
    lab.write("list.csv", users(19..=24));
    let second = verify(&lab, "two", &["--pace", "fast"], 0);
    assert_eq!(second["reasons"]["mailbox_unknown"], 4, "{second}");
    let rejected_once = "SELECT count(*) FROM attempts WHERE who = 'listed' AND email LIKE 'user22@%'";
    assert_eq!(query(&lab.path("state/state.db"), rejected_once), 1);
}

#[test]
fn a_stopped_run_resumes_at_the_mx_hosts_of_today() {
    let lab = Folder::with(users(11..=24).as_bytes(), &world("09:00:00", "old"));
    let stopped = verify(&lab, "out", &["--max-duration", "3s"], 10);
    let left = stopped["still_to_ask"].as_u64().unwrap();
    assert!((1..14).contains(&left), "{stopped}");
    becomes(&lab, &world("10:00:00", "new").replacen("user{1..20}", "user{1..24}", 1));
    let rest = verify(&lab, "out", &["--pace", "fast"], 0);
    assert_eq!(rest["verdicts"]["undeliverable"], 0, "{}", results(&lab, "out"));
    assert_eq!(rest["reasons"]["accepted"], 14, "{}", results(&lab, "out"));
}

#[test]
fn a_killed_run_resumes_at_the_mx_hosts_of_today() {
    let slow = |mx: &str| {
        let now = "09:00:00";
        let world = world(now, mx).replace(&format!("now = 2026-01-05T{now}Z\n"), "");
        world.replace("[[host]]\n", "[[host]]\nthink = \"150ms\"\n")
    };
    let lab = Folder::with(users(1..=24).as_bytes(), &slow("old"));
    let mut served = lab.serve("world.toml");
    let file = lab.path("s.db");
    let verify = ["verify", "list.csv", "-q", "-o", "out", "--state", "s.db", "--pace", "fast"];
    let mut child = lab
        .listproof(&[&verify, &SENDER[..], &served.flags()].concat())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let replies = || crate::support::query::<i64>(&file, "SELECT count(*) FROM reply").unwrap_or(0);
    while replies() < 4 && begun.elapsed().as_secs() < 30 {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // The route expires, and the mailboxes move to the new host.
    change(&file, "UPDATE route SET valid_until = looked_up - 1");
    lab.write("world.toml", slow("new").replacen("user{1..20}", "user{1..24}", 1));
    served.becomes(&lab, "world.toml");
    crate::verify_served(&lab, &served, &[], 0);
    let out = lab.read("out/list.results.csv");
    assert_eq!(out.matches(",accepted,").count(), 24, "{out}");
}
