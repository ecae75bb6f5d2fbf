//! Dialogues with a server session, line by line.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{ServerAction, ServerSession};
use crate::world::{LimitViolation, World};

const ACME: &str = r#"
    [[domain]]
    name = "acme.example"
    mx = ["10 mx.acme.example"]
    mailboxes = ["jane", "user{1..9}"]
    answers = { max = "full", old = "550 5.2.1 <{rcpt}> was closed" }
    [[domain]]
    name = "open.example"
    mx = ["10 mx.acme.example"]
    catch_all = true
    [[host]]
    name = "mx.acme.example"
"#;

fn world(more: &str) -> World {
    World::parse(&format!("{ACME}\n{more}")).unwrap()
}

fn session(world: &World) -> ServerSession {
    let host = Arc::clone(&world.hosts()[0]);
    ServerSession::new(world.clone(), host, "203.0.113.25".parse().unwrap())
}

/// The actions of the session until it waits for the client, as text.
fn actions(session: &mut ServerSession, now: Duration) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(action) = session.next_action(now) {
        let is_last = matches!(
            action,
            ServerAction::Close
                | ServerAction::Reset
                | ServerAction::Silence
                | ServerAction::SendForever(_)
                | ServerAction::StartTls
        );
        seen.push(match action {
            ServerAction::Send(bytes) => String::from_utf8_lossy(&bytes).trim_end().to_owned(),
            other => format!("{other:?}"),
        });
        if is_last {
            break;
        }
    }
    seen
}

/// Sends each line after the replies to the one before, and returns the last replies.
fn after(session: &mut ServerSession, lines: &[&str]) -> Vec<String> {
    let mut last = actions(session, Duration::ZERO);
    for line in lines {
        session.receive(format!("{line}\r\n").as_bytes());
        last = actions(session, Duration::ZERO);
    }
    last
}

const READY: [&str; 2] = ["EHLO probe.example.org", "MAIL FROM:<list-check@example.org>"];

/// The reply to one RCPT in a new session.
fn rcpt(world: &World, address: &str) -> String {
    let line = format!("RCPT TO:<{address}>");
    after(&mut session(world), &[READY[0], READY[1], &line]).join(" | ")
}

fn violations(world: &World) -> Vec<(LimitViolation, u64)> {
    world.observed().violations().into_iter().collect()
}

#[test]
fn a_whole_dialogue_follows_rfc_5321() {
    let world = world("");
    let mut session = session(&world);
    let dialogue: [(&str, &[&str]); 10] = [
        (
            "EHLO probe.example.org",
            &[
                "250-mx.acme.example\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 SMTPUTF8",
            ],
        ),
        ("mail from:<list-check@example.org>", &["250 2.1.0 Ok"]),
        ("RCPT TO:<jane@acme.example>", &["250 2.1.5 Ok"]),
        (
            "RCPT TO:<nobody@acme.example>",
            &[
                "550 5.1.1 <nobody@acme.example>: Recipient address rejected: User unknown in virtual mailbox table",
            ],
        ),
        ("RSET", &["250 2.0.0 Ok"]),
        ("RCPT TO:<jane@acme.example>", &["503 5.5.1 Error: bad sequence of commands"]),
        ("VRFY jane", &["252 2.0.0 Cannot VRFY user"]),
        ("NOOP", &["250 2.0.0 Ok"]),
        ("XYZZY", &["500 5.5.2 Error: command not recognized"]),
        ("QUIT", &["221 2.0.0 Bye", "Close"]),
    ];
    assert_eq!(actions(&mut session, Duration::ZERO), ["220 mx.acme.example ESMTP Postfix"]);
    for (line, expected) in dialogue {
        session.receive(format!("{line}\r\n").as_bytes());
        assert_eq!(actions(&mut session, Duration::ZERO), expected, "{line}");
    }
    assert_eq!(violations(&world), [(LimitViolation::BadCommand, 2)]);
    assert_eq!(world.observed().probes_of("jane@acme.example"), 2);
}

#[test]
fn each_mailbox_has_its_reply() {
    let world = world("");
    let table = [
        ("Jane@Acme.Example", "250 2.1.5 Ok"),
        ("jane+news@acme.example", "250 2.1.5 Ok"),
        ("user9@acme.example", "250 2.1.5 Ok"),
        (
            "user10@acme.example",
            "550 5.1.1 <user10@acme.example>: Recipient address rejected: User unknown in virtual mailbox table",
        ),
        ("postmaster@acme.example", "250 2.1.5 Ok"),
        (
            "max@acme.example",
            "552 5.2.2 <max@acme.example>: Recipient address rejected: Quota exceeded (mailbox for user is full)",
        ),
        ("old@acme.example", "550 5.2.1 <old@acme.example> was closed"),
        ("anybody@open.example", "250 2.1.5 Ok"),
        ("jane@elsewhere.example", "554 5.7.1 <jane@elsewhere.example>: Relay access denied"),
    ];
    for (address, answer) in table {
        assert_eq!(rcpt(&world, address), answer, "{address}");
    }
}

#[test]
fn sending_mail_is_a_violation() {
    let world = world("");
    let replies = after(&mut session(&world), &[READY[0], READY[1], "RCPT TO:<jane@acme.example>", "DATA"]);
    assert_eq!(replies, ["554 5.5.1 Error: this world takes no mail"]);
    assert_eq!(violations(&world), [(LimitViolation::Data, 1)]);
}

#[test]
fn early_talk_and_pipelining_without_offer_are_counted() {
    let world = world("offers = []\ntls = \"required\"");
    let mut early = session(&world);
    early.receive(b"EHLO probe.example.org\r\nMAIL FROM:<a@example.org> SMTPUTF8\r\n");
    let replies = actions(&mut early, Duration::ZERO);
    assert_eq!(replies[1], "250-mx.acme.example\r\n250 STARTTLS");
    assert_eq!(replies[2], "530 5.7.0 Must issue a STARTTLS command first");
    assert_eq!(
        violations(&world),
        [(LimitViolation::EarlyTalk, 1), (LimitViolation::UnofferedPipelining, 1)]
    );
}

#[test]
fn each_tls_behavior_has_its_replies() {
    let table = [
        ("none", "STARTTLS", "503 5.5.1 Error: bad sequence of commands"),
        ("offered", "STARTTLS", "220 2.0.0 Ready to start TLS | StartTls"),
        ("required", READY[1], "530 5.7.0 Must issue a STARTTLS command first"),
        ("impossible", READY[1], "530 5.7.0 Must issue a STARTTLS command first"),
        ("broken", "STARTTLS", "220 2.0.0 Ready to start TLS | this is no handshake | Close"),
    ];
    for (tls, line, expected) in table {
        let world = world(&format!("tls = \"{tls}\""));
        assert_eq!(after(&mut session(&world), &[READY[0], line]).join(" | "), expected, "{tls}");
    }
    let world = world("tls = \"required\"");
    let mut session = session(&world);
    after(&mut session, &[READY[0], "STARTTLS"]);
    session.tls_established();
    assert_eq!(after(&mut session, &[READY[1]]), ["503 5.5.1 Error: bad sequence of commands"]);
    assert_eq!(after(&mut session, &READY), ["250 2.1.0 Ok"]);
}

#[test]
fn a_server_without_ehlo_knows_only_helo() {
    let world = world("ehlo = false");
    let mut session = session(&world);
    assert_eq!(
        after(&mut session, &["EHLO probe.example.org"]),
        ["502 5.5.1 Error: command not implemented"]
    );
    assert_eq!(after(&mut session, &["HELO probe.example.org"]), ["250 mx.acme.example"]);
    assert_eq!(after(&mut session, &[READY[1]]), ["250 2.1.0 Ok"]);
}

#[test]
fn limits_of_a_session_are_enforced_and_counted() {
    let known = "RCPT TO:<jane@acme.example>";
    let unknown = "RCPT TO:<nobody@acme.example>";
    let again = ["RSET", READY[1]];
    let table: [(&str, &[&str], &str, LimitViolation); 6] = [
        (
            "errors_per_session = 2",
            &[unknown, unknown, unknown],
            "421 4.7.0 mx.acme.example Error: too many errors | Close",
            LimitViolation::ErrorsPerSession,
        ),
        (
            "rcpts_per_mail = 2",
            &[known, known, known],
            "452 4.5.3 Error: too many recipients",
            LimitViolation::RcptsPerMail,
        ),
        (
            "domains_per_mail = 1",
            &[known, "RCPT TO:<a@open.example>"],
            "451 4.3.0 Multiple destination domains per transaction is unsupported. Please try again.",
            LimitViolation::DomainsPerMail,
        ),
        (
            "mails_per_session = 1",
            &again,
            "421 4.7.0 mx.acme.example Error: too many messages in one session | Close",
            LimitViolation::MailsPerSession,
        ),
        (
            "resets_per_session = 1",
            &[again[0], again[1], "RSET"],
            "554 Too many nonmail commands | Close",
            LimitViolation::ResetsPerSession,
        ),
        (
            "unknown_per_hour = 1",
            &[unknown, unknown],
            "550 Too many invalid recipients | Close",
            LimitViolation::UnknownPerHour,
        ),
    ];
    for (limit, lines, expected, violation) in table {
        let lines = [&READY[..], lines].concat();
        let strict = world(&format!("limits = {{ {limit} }}"));
        assert_eq!(after(&mut session(&strict), &lines).join(" | "), expected, "{limit}");
        assert_eq!(violations(&strict), [(violation, 1)], "{limit}");
        let lax = world(&format!("limits = {{ {limit}, enforce = false }}"));
        assert_ne!(after(&mut session(&lax), &lines).join(" | "), expected, "{limit}");
        assert_eq!(violations(&lax), [(violation, 1)], "{limit}");
    }
}

#[test]
fn limits_of_a_host_outlive_the_session() {
    let world = world("limits = { connections = 1, unknown_per_day = 1, ban = \"1h\" }");
    let mut first = session(&world);
    let mut second = session(&world);
    assert_eq!(
        actions(&mut second, Duration::ZERO),
        ["421 4.7.0 mx.acme.example Error: too many connections from 203.0.113.25", "Close"]
    );
    drop(second);
    let lines = [READY[0], READY[1], "RCPT TO:<a@acme.example>", "RCPT TO:<b@acme.example>"];
    assert_eq!(after(&mut first, &lines)[0], "550 Too many invalid recipients");
    drop(first);
    let replies = actions(&mut session(&world), Duration::ZERO);
    assert_eq!(
        replies[0],
        "421 4.7.0 mx.acme.example Your address 203.0.113.25 is blocked for too many invalid recipients"
    );
}

#[test]
fn a_host_accepts_everything_after_too_many_unknown_recipients() {
    let world = world("accepts_after_unknowns = 1\ntarpit = \"5s\"");
    let mut session = session(&world);
    let first = after(&mut session, &[READY[0], READY[1], "RCPT TO:<a@acme.example>"]);
    assert_eq!(first[0], "Wait(5s)");
    assert!(first[1].starts_with("550 5.1.1"), "{first:?}");
    assert_eq!(after(&mut session, &["RCPT TO:<b@acme.example>"]), ["250 2.1.5 Ok"]);
}

#[test]
fn rules_apply_at_their_step_to_their_recipients() {
    let world = world(
        r#"
        [[host.rule]]
        at = "helo"
        client = "198.51.100.0/24"
        say = "550 not from there"
        [[host.rule]]
        at = "rcpt"
        domain = "acme.example"
        mailbox = "ja*"
        wait = "2s"
        [[host.rule]]
        at = "rcpt"
        mailbox = "jane"
        times = 1
        say = "450 4.7.1 {local} at {domain} later, {ip} alias {helo}, {sender}"
        [[host.rule]]
        at = "rcpt"
        after = 3
        say = "421 4.7.0 enough"
        "#,
    );
    let mut session = session(&world);
    let jane = "RCPT TO:<jane@acme.example>";
    let expected = [
        "Wait(2s)",
        "450 4.7.1 jane at acme.example later, 203.0.113.25 alias probe.example.org, list-check@example.org",
    ];
    assert_eq!(after(&mut session, &[READY[0], READY[1], jane]), expected);
    assert_eq!(after(&mut session, &[jane]), ["Wait(2s)", "250 2.1.5 Ok"]);
    assert_eq!(after(&mut session, &["RCPT TO:<user1@acme.example>"]), ["250 2.1.5 Ok"]);
    assert_eq!(after(&mut session, &["RCPT TO:<user2@acme.example>"]), ["421 4.7.0 enough", "Close"]);
}

#[test]
fn rules_have_times_and_probabilities() {
    let world =
        world("[[host.rule]]\nat = \"connect\"\nsince = \"1m\"\nuntil = \"2m\"\nsay = \"554 5.7.1 not now\"");
    for (minute, code) in [(0, "220"), (1, "554"), (2, "220")] {
        let replies = actions(&mut session(&world), Duration::from_secs(60 * minute));
        assert!(replies[0].starts_with(code), "{replies:?}");
    }
    let world = self::world("[[host.rule]]\nat = \"connect\"\nshare = \"25%\"\ndo = \"drop\"");
    let dropped = (0..1000).filter(|_| actions(&mut session(&world), Duration::ZERO) == ["Close"]).count();
    assert!((200..300).contains(&dropped), "{dropped}");
}

#[test]
fn each_misbehavior_has_its_effect() {
    let wire = |misbehavior: &str, say: &str| {
        let world = world(&format!("[[host.rule]]\nat = \"helo\"\n{say}\ndo = \"{misbehavior}\""));
        let mut session = session(&world);
        actions(&mut session, Duration::ZERO);
        session.receive(b"HELO x\r\n");
        session.next_action(Duration::ZERO).unwrap()
    };
    let say = "say = \"550 Empfänger\"";
    let latin1 = b"550 Empf\xe4nger\r\n".to_vec();
    assert_eq!(wire("latin1", say), ServerAction::Send(latin1));
    assert_eq!(wire("bare_lf", ""), ServerAction::Send(b"250 mx.acme.example\n".to_vec()));
    assert_eq!(
        wire("twice", ""),
        ServerAction::Send(b"250 mx.acme.example\r\n250 mx.acme.example\r\n".to_vec())
    );
    assert_eq!(wire("drip", ""), ServerAction::SendSlowly(b"250 mx.acme.example\r\n".to_vec()));
    assert_eq!(wire("close", ""), ServerAction::Send(b"250 mx.acme.example\r\n".to_vec()));
    assert_eq!(wire("drop", ""), ServerAction::Close);
    assert_eq!(wire("reset", ""), ServerAction::Reset);
    assert_eq!(wire("silence", ""), ServerAction::Silence);
    assert!(matches!(wire("endless_line", ""), ServerAction::SendForever(line) if !line.contains(&b'\n')));
    assert!(matches!(wire("endless_reply", ""), ServerAction::SendForever(b"250-and another line\r\n")));
    assert!(matches!(wire("garbage", ""), ServerAction::Send(bytes) if !bytes.starts_with(b"2")));
}

#[test]
fn a_client_line_without_an_end_is_cut_off() {
    let world = world("");
    let mut session = session(&world);
    actions(&mut session, Duration::ZERO);
    session.receive(&[b'x'; 5000]);
    assert_eq!(actions(&mut session, Duration::ZERO), ["500 5.5.2 Error: line too long", "Close"]);
}

#[test]
fn a_quoted_local_part_may_hold_anything() {
    let world = world("");
    let answer = rcpt(&world, r#""jane > joe@home"@open.example"#);
    assert_eq!(answer, "250 2.1.5 Ok");
    assert_eq!(world.observed().probes_of(r#""jane > joe@home"@open.example"#), 1);
}

proptest! {
    #[test]
    fn commands_split_anywhere_get_the_same_replies(cuts in prop::collection::vec(0usize..200, 0..10)) {
        let wire = b"EHLO probe.example.org\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<jane@acme.example>\r\nRCPT TO:<x@acme.example>\r\nRSET\r\nQUIT\r\n";
        let mut whole = session(&world(""));
        let mut expected = actions(&mut whole, Duration::ZERO);
        whole.receive(wire);
        expected.extend(actions(&mut whole, Duration::ZERO));
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % wire.len()).chain([0, wire.len()]).collect();
        cuts.sort_unstable();
        let mut session = session(&world(""));
        let mut seen = actions(&mut session, Duration::ZERO);
        for pair in cuts.windows(2) {
            session.receive(&wire[pair[0]..pair[1]]);
            seen.extend(actions(&mut session, Duration::ZERO));
        }
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let mut session = session(&world(""));
        actions(&mut session, Duration::ZERO);
        session.receive(&bytes);
        session.receive(b"\r\nRCPT TO:\r\nRCPT TO:<\r\nMAIL FROM:<>\xff\r\nRCPT\r\n");
        actions(&mut session, Duration::ZERO);
    }
}
