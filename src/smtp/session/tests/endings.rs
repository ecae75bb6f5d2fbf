//! How sessions end: 421, rejections, surplus and malformed replies, silence, closed connections, failed TLS, QUIT.

use super::*;

#[test]
fn a_421_is_the_reply_to_its_command_and_leaves_the_rest_without_one() {
    let mut talk = Talk::ready("PIPELINING");
    talk.send_batch(&[3, 2]);
    talk.receive("250 ok\r\n550 no\r\n421 too many errors\r\n550 no\r\n250 ok\r\n");
    let expected =
        [rcpt(0, "550 no"), rcpt(1, "421 too many errors"), rejected(Stage::Rcpt, "421 too many errors")];
    assert_eq!(talk.take_events(), expected);

    let mut talk = Talk::ready("PIPELINING");
    talk.send_batch(&[1, 1]);
    talk.receive("421 busy\r\n");
    assert_eq!(talk.take_events(), [mail(0, "421 busy"), rejected(Stage::Mail, "421 busy")]);
}

#[test]
fn a_421_ends_the_session_at_every_stage() {
    for (received, stage) in [
        (&[][..], Stage::Connect),
        (&["220 hi\r\n"][..], Stage::Helo),
        (&["220 hi\r\n", "502 what\r\n"][..], Stage::Helo),
        (&["220 hi\r\n", "250-mx\r\n250 STARTTLS\r\n"][..], Stage::StartTls),
        (&["220 hi\r\n", "250 mx\r\n"][..], Stage::Mail),
        (&["220 hi\r\n", "250 mx\r\n", "250 ok\r\n"][..], Stage::Rcpt),
        (&["220 hi\r\n", "250 mx\r\n", "250 ok\r\n", "550 no\r\n"][..], Stage::Rset),
    ] {
        let mut talk = Talk::new(TlsPolicy::Try);
        talk.send_batch(&[1, 1]);
        for line in received {
            talk.receive(line);
        }
        talk.receive("421 going down\r\n");
        assert_eq!(talk.events.last(), Some(&rejected(stage, "421 going down")));
        assert!(!talk.sent.contains("QUIT"), "the server closes the connection itself");
    }
}

#[test]
fn only_a_421_may_come_without_a_command() {
    let mut talk = Talk::ready("SIZE");
    talk.receive("421 idle\r\n");
    assert_eq!(talk.take_events(), [rejected(Stage::Helo, "421 idle")]);

    let mut talk = Talk::ready("SIZE");
    talk.send_batch(&[1]);
    talk.receive("250 ok\r\n");
    talk.receive("550 no\r\n421 too many errors\r\n");
    assert_eq!(talk.take_events(), [rcpt(0, "550 no"), rejected(Stage::Rset, "421 too many errors")]);

    let mut talk = Talk::ready("SIZE");
    talk.receive("250 ok\r\n");
    assert_eq!(talk.take_events(), [malformed(Stage::Helo, MalformedReply::Unsolicited)]);
}

#[test]
fn two_replies_in_one_packet_never_shift_a_reply_to_the_next_recipient() {
    let mut talk = Talk::ready("SIZE");
    talk.send_batch(&[2]);
    talk.receive("250 ok\r\n");
    talk.take_sent();
    talk.receive("250 yes\r\n550 no\r\n");
    assert_eq!(talk.take_events(), [rcpt(0, "250 yes"), malformed(Stage::Rcpt, MalformedReply::Unsolicited)]);
    assert_eq!(talk.take_sent(), "");

    let mut talk = Talk::new(TlsPolicy::No);
    talk.receive("220 hi\r\n250 hi again\r\n");
    assert_eq!(talk.take_events(), [malformed(Stage::Helo, MalformedReply::Unsolicited)]);
    assert_eq!(talk.take_sent(), "");
}

#[test]
fn a_last_batch_that_is_cut_short_differs_from_a_complete_one() {
    for (received, last) in [
        ("250 ok\r\n", ended(Stage::Rcpt, EndReason::HungUp)),
        ("250 ok\r\n550 no\r\n", ended(Stage::Quit, EndReason::Quit)),
        ("250 ok\r\n421 busy\r\n", rejected(Stage::Rcpt, "421 busy")),
    ] {
        let mut talk = Talk::ready("PIPELINING");
        talk.submit(last_batch(&[1]));
        talk.receive(received);
        talk.session.connection_closed();
        talk.drain();
        assert_eq!(talk.events.last(), Some(&last), "{received}");
    }
}

#[test]
fn surplus_replies_are_detected_at_quit_at_the_latest() {
    // Two replies to MAIL in one packet, and the reply to RCPT after them.
    let mut talk = Talk::ready("PIPELINING");
    talk.submit(last_batch(&[1]));
    talk.receive("250 ok\r\n550 no\r\n");
    talk.receive("250 yes\r\n");
    assert_eq!(talk.session.stage(), Some(Stage::Quit));
    talk.receive("221 bye\r\n");
    assert_eq!(talk.take_events(), [rcpt(0, "550 no"), malformed(Stage::Quit, MalformedReply::Unsolicited)]);

    let mut talk = Talk::ready("PIPELINING");
    talk.send_batch(&[1]);
    talk.submit(SessionCommand::Quit);
    talk.receive("250 ok\r\n550 no\r\n");
    talk.receive("250 yes\r\n221 bye\r\n");
    assert_eq!(talk.events.last(), Some(&malformed(Stage::Quit, MalformedReply::Unsolicited)));
}

#[test]
fn a_reply_before_its_command_ends_the_session_even_in_parts() {
    let mut talk = Talk::ready("SIZE");
    talk.receive("25");
    assert_eq!(talk.take_events(), []);
    talk.send_batch(&[1]);
    assert_eq!(talk.take_events(), [malformed(Stage::Mail, MalformedReply::Unsolicited)]);
    assert_eq!(talk.take_sent(), "");
}

#[test]
fn a_rejected_greeting_or_rset_ends_with_a_quit() {
    let mut talk = Talk::new(TlsPolicy::Try);
    talk.receive("554 blocked\r\n");
    assert_eq!(talk.take_sent(), "QUIT\r\n");
    assert_eq!(talk.take_events(), [rejected(Stage::Connect, "554 blocked")]);

    let mut talk = Talk::ready("SIZE");
    talk.send_batch(&[1, 1]);
    talk.receive("250 ok\r\n");
    talk.receive("250 yes\r\n");
    talk.take_sent();
    talk.receive("554 too many nonmail commands\r\n");
    assert_eq!(talk.take_sent(), "QUIT\r\n");
    let expected = [rcpt(0, "250 yes"), rejected(Stage::Rset, "554 too many nonmail commands")];
    assert_eq!(talk.take_events(), expected);
}

#[test]
fn failed_tls_ends_the_session_and_rejected_starttls_does_not() {
    let after_starttls = || {
        let mut talk = Talk::new(TlsPolicy::Try);
        talk.receive("220 hi\r\n");
        talk.receive("250-mx\r\n250 STARTTLS\r\n");
        talk
    };
    let mut talk = after_starttls();
    talk.receive("220 go\r\n");
    talk.session.tls_failed("bad record".to_owned());
    talk.drain();
    assert_eq!(talk.take_events(), [ended(Stage::StartTls, EndReason::Tls("bad record".to_owned()))]);

    let mut talk = after_starttls();
    talk.receive("454 not now\r\n");
    assert!(matches!(talk.take_events()[..], [SmtpEvent::Ready(_)]));

    // RFC 3207 6: what came before the handshake must not count after it.
    let injected = "clear text after the reply to STARTTLS".to_owned();
    for injection in ["250 ok\r\n", "2"] {
        let mut talk = after_starttls();
        assert!(!talk.receive(&format!("220 go\r\n{injection}")));
        assert_eq!(talk.take_events(), [ended(Stage::StartTls, EndReason::Tls(injected.clone()))]);
    }
}

#[test]
fn silence_and_a_closed_connection_end_the_session_at_its_stage() {
    let steps = ["220 hi\r\n", "250 mx\r\n", "250 ok\r\n", "550 no\r\n"];
    let stages = [Stage::Connect, Stage::Helo, Stage::Mail, Stage::Rcpt, Stage::Rset];
    for (received, stage) in stages.into_iter().enumerate() {
        for (end, reason) in [
            (ClientSession::connection_closed as fn(&mut _), EndReason::HungUp),
            (ClientSession::timed_out, EndReason::TimedOut),
        ] {
            let mut talk = Talk::new(TlsPolicy::No);
            talk.send_batch(&[1, 1]);
            for line in &steps[..received] {
                talk.receive(line);
            }
            assert_eq!(talk.session.stage(), Some(stage));
            end(&mut talk.session);
            talk.drain();
            assert_eq!(talk.events.last(), Some(&ended(stage, reason)));
        }
    }
}

#[test]
fn the_reply_to_quit_does_not_matter() {
    for take in [
        (|session| session.receive(b"221 bye\r\n")) as fn(&mut ClientSession),
        |session| session.receive(b"421 bye\r\n"),
        |session| session.receive(b"junk\r\n"),
        |session| {
            session.receive(b"500 what\r\n");
            assert_eq!(session.stage(), Some(Stage::Quit));
            session.connection_closed();
        },
        ClientSession::connection_closed,
        ClientSession::timed_out,
    ] {
        let mut talk = Talk::ready("SIZE");
        talk.submit(SessionCommand::Quit);
        take(&mut talk.session);
        talk.drain();
        assert_eq!(talk.take_events(), [ended(Stage::Quit, EndReason::Quit)]);
    }
}

#[test]
fn malformed_replies_end_the_session_at_its_stage() {
    for (received, fault) in [
        ("hello\r\n".to_owned(), MalformedReply::NotAReply),
        ("250-a\r\n550 b\r\n".to_owned(), MalformedReply::MixedCodes),
        ("2".repeat(5000), MalformedReply::LineTooLong),
        ("250-x\r\n".repeat(MAX_REPLY_LINES + 1), MalformedReply::ReplyTooLong),
    ] {
        let mut talk = Talk::ready("PIPELINING");
        talk.send_batch(&[1]);
        talk.receive("250 ok\r\n");
        talk.receive(&received);
        talk.receive("250 ok\r\n");
        assert_eq!(talk.take_events(), [malformed(Stage::Rcpt, fault)]);
    }
}
