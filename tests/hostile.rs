//! Hostile servers, through the whole program: whatever a server sends or does not send, at any stage of a session, the run
//! ends, its memory stays small, and no address is reported undeliverable because of it.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own files and stops at what fails"
)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use support::{Folder, watch};

/// Behaviors of a server: name, keys of its rule, and the reasons that are right for its recipients.
const BEHAVIORS: [(&str, &str, &[&str]); 20] = [
    ("endless_line", r#"do = "endless_line""#, &["malformed_reply"]),
    ("endless_reply", r#"do = "endless_reply""#, &["malformed_reply"]),
    ("garbage", r#"do = "garbage""#, &["malformed_reply"]),
    ("twice", r#"do = "twice""#, &["malformed_reply"]),
    ("silence", r#"do = "silence""#, &["timeout"]),
    ("drop", r#"do = "drop""#, &["disconnected"]),
    ("reset", r#"do = "reset""#, &["disconnected"]),
    // Unusual, but a valid reply: its meaning decides.
    ("latin1", r#"do = "latin1""#, &["accepted"]),
    ("bare_lf", r#"do = "bare_lf""#, &["accepted"]),
    ("drip", r#"do = "drip""#, &["accepted", "timeout"]),
    // It replies and disconnects: at RCPT that is a reply to the probe, before RCPT it is none.
    ("close", r#"do = "close""#, &["accepted", "disconnected"]),
    ("mixed_codes", "say = \"250-fine\\n550 5.1.1 no such user\"", &["malformed_reply"]),
    ("busy", r#"say = "421 4.3.2 Service shutting down""#, &["server_failure"]),
    ("too_many", r#"say = "421 4.7.0 Too many connections""#, &["rate_limited"]),
    ("code_only", r#"say = "421""#, &["ambiguous", "server_failure", "rate_limited"]),
    ("bare_no", r#"say = "550""#, &["ambiguous", "sender_blocked", "sender_rejected"]),
    ("slow", "wait = \"10m\"", &["timeout"]),
    ("long_words", "LONG", &["ambiguous", "sender_blocked", "sender_rejected"]),
    ("three_hundred", r#"say = "354 go ahead""#, &["ambiguous", "malformed_reply", "protocol_error"]),
    // A reply about a mailbox at stages before RCPT.
    (
        "misplaced",
        r#"say = "550 5.1.1 User unknown""#,
        &["ambiguous", "sender_rejected", "sender_blocked", "mailbox_unknown"],
    ),
];

const STAGES: [&str; 5] = ["connect", "helo", "mail", "rcpt", "rset"];

fn world() -> String {
    let long = format!("say = \"550 {}\"", "blah ".repeat(90));
    let mut world = String::new();
    for (name, keys, _) in BEHAVIORS {
        let keys = if keys == "LONG" { &long } else { keys };
        for stage in STAGES {
            let domain = format!("{stage}.{}.example", name.replace('_', "-"));
            write!(
                world,
                "[[domain]]\nname = \"{domain}\"\nmx = [\"10 mx.{domain}\"]\nmailboxes = [\"jane\", \"joe\"]\n\
                 [[host]]\nname = \"mx.{domain}\"\n[[host.rule]]\nat = \"{stage}\"\n{keys}\n"
            )
            .unwrap();
        }
    }
    world
}

#[test]
fn no_server_makes_a_run_hang_or_grow_or_a_row_undeliverable() {
    let mut rows = "email\n".to_owned();
    for (name, ..) in BEHAVIORS {
        for stage in STAGES {
            let domain = format!("{stage}.{}.example", name.replace('_', "-"));
            for local in ["jane", "joe", "nobody"] {
                writeln!(rows, "{local}@{domain}").unwrap();
            }
        }
    }
    let folder = Folder::with(rows.as_bytes(), &world());
    let verify = ["verify", "list.csv", "--world", "world.toml", "-o", "out", "--columns", "full"];
    let mut command = folder.listproof(&[&verify[..], &["--pace", "fast", "--quiet"]].concat());
    let (ran, peak_kib) = watch(&mut command, Duration::from_secs(60));
    ran.exits(0);
    assert!(peak_kib < 200 * 1024, "{peak_kib} KiB");

    let (mut wrong, mut seen) = (String::new(), 0);
    for row in folder.results("out/list.results.csv") {
        seen += 1;
        let [email, reason, verdict, code] =
            ["email", "reason", "verdict", "smtp_code"].map(|name| row.cell(name));
        let (local, domain) = email.split_once('@').unwrap();
        let (stage, name) = domain.strip_suffix(".example").unwrap().split_once('.').unwrap();
        let (.., right) = BEHAVIORS.iter().find(|(behavior, ..)| behavior.replace('_', "-") == name).unwrap();
        // The recipient that does not exist may be rejected, where the server itself does so in clear words.
        let is_rejected = local == "nobody" && reason == "mailbox_unknown" && code == "550";
        // The server accepted others before, and ends the session before a control that would confirm the rejection.
        let is_unconfirmed = local == "nobody"
            && reason == "ambiguous"
            && code == "550"
            && (stage == "rset" || (stage == "rcpt" && name == "close"));
        let is_right = right.contains(&reason)
            || (is_rejected && (right.contains(&"accepted") || stage == "rset"))
            || is_unconfirmed
            // A session without RSET never reaches that stage.
            || (stage == "rset" && reason == "accepted");
        let misplaced = name == "misplaced" && stage == "rcpt";
        if (verdict == "undeliverable" && !is_rejected && !misplaced) || !is_right {
            writeln!(
                wrong,
                "{email}: {reason} by {} ({})",
                row.cell("rule"),
                row.cell("smtp_text").chars().take(60).collect::<String>()
            )
            .unwrap();
        }
    }
    assert_eq!(seen, rows.lines().count() - 1);
    assert!(wrong.is_empty(), "{wrong}");
}

/// A host that offers STARTTLS but does not speak TLS is probed without it.
#[test]
fn a_host_with_broken_tls_is_probed_in_clear_text() {
    let world = r#"
        [[domain]]
        name = "acme.example"
        mx = ["10 aspmx.l.google.com"]
        mailboxes = ["jane"]
        [[host]]
        name = "aspmx.l.google.com"
        tls = "broken"
    "#;
    let folder = Folder::with_file("world.toml", world);
    let check = ["check", "--json", "jane@acme.example", "nobody@acme.example", "--world", "world.toml"];
    let reasons: BTreeMap<String, String> = folder
        .run(&check)
        .stdout()
        .lines()
        .map(|line| {
            let card: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| card[key].as_str().unwrap_or_default().to_owned();
            (text("email_normalized"), text("reason"))
        })
        .collect();
    let expected = [("jane@acme.example", "accepted"), ("nobody@acme.example", "mailbox_unknown")];
    assert_eq!(reasons, expected.map(|(email, reason)| (email.to_owned(), reason.to_owned())).into());
}
