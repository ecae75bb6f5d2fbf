//! Which command follows which: transactions, batches, HELO, STARTTLS, SMTPUTF8.

use super::*;

#[test]
fn without_pipelining_each_command_waits_for_the_reply_before() {
    let mut talk = Talk::ready("SIZE");
    talk.send_batch(&[2, 1]);
    for (sent, received) in [
        (MAIL, "250 ok\r\n"),
        ("RCPT TO:<user0@shop.example>\r\n", "250 yes\r\n"),
        ("RCPT TO:<user1@shop.example>\r\n", "550 no\r\n"),
        ("RSET\r\n", "250 ok\r\n"),
        (MAIL, "250 ok\r\n"),
        ("RCPT TO:<user2@shop.example>\r\n", "252 maybe\r\n"),
    ] {
        assert_eq!(talk.take_sent(), sent);
        talk.receive(received);
    }
    let expected = [rcpt(0, "250 yes"), rcpt(1, "550 no"), rcpt(2, "252 maybe"), SmtpEvent::BatchDone];
    assert_eq!(talk.take_events(), expected);
    assert_eq!((talk.take_sent(), talk.session.stage()), (String::new(), None));
}

#[test]
fn with_pipelining_a_batch_is_sent_in_one_write_and_rset_leads_the_next() {
    let mut talk = Talk::ready("PIPELINING");
    talk.send_batch(&[1, 1]);
    let expected =
        format!("{MAIL}RCPT TO:<user0@shop.example>\r\nRSET\r\n{MAIL}RCPT TO:<user1@shop.example>\r\n");
    assert_eq!(talk.take_sent(), expected);
    talk.receive("250 ok\r\n550 no\r\n250 ok\r\n250 ok\r\n250 yes\r\n");
    assert_eq!(talk.take_events(), [rcpt(0, "550 no"), rcpt(1, "250 yes"), SmtpEvent::BatchDone]);
    talk.send_batch(&[1]);
    assert_eq!(talk.take_sent(), format!("RSET\r\n{MAIL}RCPT TO:<user0@shop.example>\r\n"));
    talk.receive("250 ok\r\n250 ok\r\n250 yes\r\n");
    talk.submit(SessionCommand::Quit);
    assert_eq!(talk.take_sent(), "QUIT\r\n");
    assert_eq!(talk.session.stage(), Some(Stage::Quit));
    talk.receive("221 bye\r\n");
    let expected = [rcpt(0, "250 yes"), SmtpEvent::BatchDone, ended(Stage::Quit, EndReason::Quit)];
    assert_eq!(talk.take_events(), expected);
}

#[test]
fn commands_are_queued() {
    let mut talk = Talk::new(TlsPolicy::No);
    talk.send_batch(&[1]);
    talk.submit(SessionCommand::Quit);
    assert_eq!(talk.take_sent(), "");
    talk.receive("220 hi\r\n");
    talk.receive("250 mx\r\n");
    talk.receive("250 ok\r\n");
    talk.receive("250 yes\r\n");
    assert_eq!(talk.take_sent(), format!("{EHLO}{MAIL}RCPT TO:<user0@shop.example>\r\nQUIT\r\n"));
    assert_eq!(
        talk.take_events(),
        [SmtpEvent::Ready(Capabilities::default()), rcpt(0, "250 yes"), SmtpEvent::BatchDone]
    );
}

#[test]
fn a_rejected_mail_is_the_outcome_of_all_its_recipients_and_the_next_transaction_follows() {
    for keyword in ["PIPELINING", "SIZE"] {
        let mut talk = Talk::ready(keyword);
        talk.send_batch(&[2, 1]);
        if keyword == "PIPELINING" {
            talk.receive("550 not you\r\n503 no mail\r\n250 odd\r\n250 ok\r\n250 ok\r\n550 no\r\n");
        } else {
            talk.receive("550 not you\r\n");
            talk.take_sent();
            talk.receive("250 ok\r\n");
            assert_eq!(talk.take_sent(), "RCPT TO:<user2@shop.example>\r\n", "no transaction to reset");
            talk.receive("550 no\r\n");
        }
        let expected =
            [mail(0, "550 not you"), mail(1, "550 not you"), rcpt(2, "550 no"), SmtpEvent::BatchDone];
        assert_eq!(talk.take_events(), expected, "{keyword}");
    }
}

#[test]
fn after_a_rejected_mail_no_rset_is_sent() {
    let mut talk = Talk::ready("PIPELINING");
    talk.send_batch(&[1]);
    talk.receive("451 later\r\n503 no mail\r\n");
    talk.take_sent();
    talk.send_batch(&[1]);
    assert!(talk.take_sent().starts_with(MAIL));
}

#[test]
fn a_last_batch_is_sent_with_its_quit_and_finishes_with_the_session() {
    for (keyword, is_one_write) in [("PIPELINING", true), ("SIZE", false)] {
        let mut talk = Talk::ready(keyword);
        talk.submit(last_batch(&[1]));
        let whole = format!("{MAIL}RCPT TO:<user0@shop.example>\r\nQUIT\r\n");
        assert_eq!(talk.sent == whole, is_one_write, "{keyword}");
        talk.receive("250 ok\r\n");
        talk.receive("550 no\r\n");
        assert_eq!(talk.take_sent(), whole);
        assert_eq!(talk.session.stage(), Some(Stage::Quit));
        talk.receive("221 bye\r\n");
        assert_eq!(talk.take_events(), [rcpt(0, "550 no"), ended(Stage::Quit, EndReason::Quit)], "{keyword}");
    }
}

#[test]
fn helo_follows_only_an_unknown_ehlo() {
    for code in [500, 502, 504] {
        let mut talk = Talk::new(TlsPolicy::Try);
        talk.receive("220 hi\r\n");
        talk.take_sent();
        talk.receive(&format!("{code} what\r\n"));
        assert_eq!(talk.take_sent(), "HELO probe.example\r\n");
        talk.receive("250-mx\r\n250 PIPELINING\r\n");
        assert_eq!(talk.take_events(), [SmtpEvent::Ready(Capabilities::default())]);
    }
    for text in ["550 bad name", "554 blocked", "451 later"] {
        let mut talk = Talk::new(TlsPolicy::Try);
        talk.receive("220 hi\r\n");
        talk.take_sent();
        talk.receive(&format!("{text}\r\n"));
        assert_eq!(talk.take_sent(), "QUIT\r\n");
        assert_eq!(talk.take_events(), [rejected(Stage::Helo, text)]);
    }
}

#[test]
fn tls_starts_if_wanted_and_offered_and_drops_the_earlier_capabilities() {
    let mut talk = Talk::new(TlsPolicy::Try);
    talk.receive("220 hi\r\n");
    talk.receive("250-mx\r\n250-PIPELINING\r\n250 STARTTLS\r\n");
    assert_eq!(talk.take_sent(), format!("{EHLO}STARTTLS\r\n"));
    assert!(talk.receive("220 go\r\n"), "asks for a handshake");
    assert_eq!(talk.session.stage(), Some(Stage::StartTls));
    talk.session.tls_established();
    talk.drain();
    assert_eq!(talk.take_sent(), EHLO);
    talk.receive("250-mx\r\n250 STARTTLS\r\n");
    let capabilities = Capabilities { starttls: true, ..Capabilities::default() };
    assert_eq!((talk.take_sent(), talk.take_events()), (String::new(), vec![SmtpEvent::Ready(capabilities)]));

    for (tls, keyword) in [(TlsPolicy::No, "STARTTLS"), (TlsPolicy::Try, "SIZE")] {
        let mut talk = Talk::new(tls);
        talk.receive("220 hi\r\n");
        talk.receive(&format!("250-mx\r\n250 {keyword}\r\n"));
        assert_eq!(talk.take_sent(), EHLO);
        assert!(matches!(talk.take_events()[..], [SmtpEvent::Ready(_)]));
    }
}

#[test]
fn international_recipients_are_probed_only_with_smtputf8() {
    let international = || Transaction {
        recipients: vec![
            probe(0),
            RcptProbe { id: ProbeId(1), address: Address::parse("jürgen@shop.example").unwrap() },
        ],
    };
    let batch = Batch { transactions: vec![international()], is_last: false };
    let mut talk = Talk::ready("SMTPUTF8");
    talk.submit(SessionCommand::Send(batch.clone()));
    assert_eq!(talk.take_sent(), "MAIL FROM:<ann@probe.example> SMTPUTF8\r\n");

    let mut talk = Talk::ready("PIPELINING");
    talk.submit(SessionCommand::Send(batch));
    assert_eq!(talk.take_sent(), format!("{MAIL}RCPT TO:<user0@shop.example>\r\n"));
    assert_eq!(talk.take_events(), [SmtpEvent::Reply(ProbeId(1), ProbeReply::NoSmtputf8)]);

    let mut talk = Talk::ready("PIPELINING");
    let mut only = international();
    only.recipients.remove(0);
    talk.submit(SessionCommand::Send(Batch { transactions: vec![only], is_last: false }));
    assert_eq!(talk.take_sent(), "");
    assert_eq!(
        talk.take_events(),
        [SmtpEvent::Reply(ProbeId(1), ProbeReply::NoSmtputf8), SmtpEvent::BatchDone]
    );
}
