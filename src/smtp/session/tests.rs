//! The machine against servers of all kinds, without a socket or a clock.

use proptest::prelude::*;

use super::*;
use crate::smtp::reply::MAX_REPLY_LINES;

const EHLO: &str = "EHLO probe.example\r\n";
const MAIL: &str = "MAIL FROM:<ann@probe.example>\r\n";

fn identity(tls: TlsPolicy) -> ClientIdentity {
    ClientIdentity {
        helo: Domain::parse("probe.example").unwrap(),
        sender: Address::parse("ann@probe.example").unwrap(),
        tls,
    }
}

/// A flight of transactions, each with so many recipients, numbered from 0 through the flight.
fn batch(sizes: &[u64]) -> Batch {
    let mut ids = 0..;
    let transactions = sizes.iter().map(|&size| Transaction {
        recipients: ids.by_ref().take(usize::try_from(size).unwrap()).map(ask).collect(),
    });
    Batch { transactions: transactions.collect(), is_last: false }
}

/// The same, with QUIT behind it.
fn last_batch(sizes: &[u64]) -> SessionCommand {
    SessionCommand::Send(Batch { is_last: true, ..batch(sizes) })
}

fn ask(id: u64) -> RcptProbe {
    RcptProbe { id: ProbeId(id), address: Address::parse(&format!("user{id}@shop.example")).unwrap() }
}

fn reply(text: &str) -> Reply {
    Reply::parse(text.as_bytes()).unwrap()
}

fn rcpt(id: u64, text: &str) -> SmtpEvent {
    SmtpEvent::Reply(ProbeId(id), ProbeReply::Rcpt(reply(text)))
}

fn mail(id: u64, text: &str) -> SmtpEvent {
    SmtpEvent::Reply(ProbeId(id), ProbeReply::Mail(reply(text)))
}

fn ended(stage: Stage, why: EndReason) -> SmtpEvent {
    SmtpEvent::Ended(SessionEnd { stage, why })
}

fn refused(stage: Stage, text: &str) -> SmtpEvent {
    ended(stage, EndReason::Rejected(reply(text)))
}

fn malformed(stage: Stage, fault: MalformedReply) -> SmtpEvent {
    ended(stage, EndReason::Malformed(fault))
}

/// A session and what came out of it.
struct Talk {
    session: ClientSession,
    said: String,
    events: Vec<SmtpEvent>,
}

impl Talk {
    fn new(tls: TlsPolicy) -> Talk {
        Talk { session: ClientSession::new(identity(tls)), said: String::new(), events: Vec::new() }
    }

    /// Past EHLO, with these keywords offered.
    fn ready(keywords: &str) -> Talk {
        let mut talk = Talk::new(TlsPolicy::No);
        talk.hear("220 hi\r\n");
        talk.hear(&format!("250-mx\r\n250 {keywords}\r\n"));
        assert_eq!(talk.said, EHLO);
        assert!(matches!(talk.events[..], [SmtpEvent::Ready(_)]));
        talk.said.clear();
        talk.events.clear();
        talk
    }

    fn drain(&mut self) -> bool {
        let mut handshake = false;
        while let Some(output) = self.session.poll() {
            match output {
                SessionOutput::Send(bytes) => self.said.push_str(&String::from_utf8(bytes).unwrap()),
                SessionOutput::StartTls => handshake = true,
                SessionOutput::Emit(event) => self.events.push(event),
            }
        }
        handshake
    }

    fn hear(&mut self, bytes: &str) -> bool {
        self.session.heard(bytes.as_bytes());
        self.drain()
    }

    fn send_batch(&mut self, sizes: &[u64]) {
        self.order(SessionCommand::Send(batch(sizes)));
    }

    fn order(&mut self, order: SessionCommand) {
        self.session.order(order);
        self.drain();
    }

    /// What was said since this was last asked.
    fn said(&mut self) -> String {
        std::mem::take(&mut self.said)
    }

    /// What was told since this was last asked.
    fn told(&mut self) -> Vec<SmtpEvent> {
        std::mem::take(&mut self.events)
    }
}

#[test]
fn without_pipelining_each_command_waits_for_the_reply_before() {
    let mut talk = Talk::ready("SIZE");
    talk.send_batch(&[2, 1]);
    for (said, heard) in [
        (MAIL, "250 ok\r\n"),
        ("RCPT TO:<user0@shop.example>\r\n", "250 yes\r\n"),
        ("RCPT TO:<user1@shop.example>\r\n", "550 no\r\n"),
        ("RSET\r\n", "250 ok\r\n"),
        (MAIL, "250 ok\r\n"),
        ("RCPT TO:<user2@shop.example>\r\n", "252 maybe\r\n"),
    ] {
        assert_eq!(talk.said(), said);
        talk.hear(heard);
    }
    let expected = [rcpt(0, "250 yes"), rcpt(1, "550 no"), rcpt(2, "252 maybe"), SmtpEvent::BatchDone];
    assert_eq!(talk.told(), expected);
    assert_eq!((talk.said(), talk.session.stage()), (String::new(), None));
}

#[test]
fn with_pipelining_a_flight_leaves_in_one_go_and_rset_leads_the_next() {
    let mut talk = Talk::ready("PIPELINING");
    talk.send_batch(&[1, 1]);
    let expected =
        format!("{MAIL}RCPT TO:<user0@shop.example>\r\nRSET\r\n{MAIL}RCPT TO:<user1@shop.example>\r\n");
    assert_eq!(talk.said(), expected);
    talk.hear("250 ok\r\n550 no\r\n250 ok\r\n250 ok\r\n250 yes\r\n");
    assert_eq!(talk.told(), [rcpt(0, "550 no"), rcpt(1, "250 yes"), SmtpEvent::BatchDone]);
    talk.send_batch(&[1]);
    assert_eq!(talk.said(), format!("RSET\r\n{MAIL}RCPT TO:<user0@shop.example>\r\n"));
    talk.hear("250 ok\r\n250 ok\r\n250 yes\r\n");
    talk.order(SessionCommand::Quit);
    assert_eq!(talk.said(), "QUIT\r\n");
    assert_eq!(talk.session.stage(), Some(Stage::Quit));
    talk.hear("221 bye\r\n");
    let expected = [rcpt(0, "250 yes"), SmtpEvent::BatchDone, ended(Stage::Quit, EndReason::Quit)];
    assert_eq!(talk.told(), expected);
}

#[test]
fn orders_wait_for_their_turn() {
    let mut talk = Talk::new(TlsPolicy::No);
    talk.send_batch(&[1]);
    talk.order(SessionCommand::Quit);
    assert_eq!(talk.said(), "");
    talk.hear("220 hi\r\n");
    talk.hear("250 mx\r\n");
    talk.hear("250 ok\r\n");
    talk.hear("250 yes\r\n");
    assert_eq!(talk.said(), format!("{EHLO}{MAIL}RCPT TO:<user0@shop.example>\r\nQUIT\r\n"));
    assert_eq!(
        talk.told(),
        [SmtpEvent::Ready(Capabilities::default()), rcpt(0, "250 yes"), SmtpEvent::BatchDone]
    );
}

#[test]
fn a_refused_mail_answers_all_its_recipients_and_the_next_transaction_goes_on() {
    for keyword in ["PIPELINING", "SIZE"] {
        let mut talk = Talk::ready(keyword);
        talk.send_batch(&[2, 1]);
        if keyword == "PIPELINING" {
            talk.hear("550 not you\r\n503 no mail\r\n250 odd\r\n250 ok\r\n250 ok\r\n550 no\r\n");
        } else {
            talk.hear("550 not you\r\n");
            talk.said();
            talk.hear("250 ok\r\n");
            assert_eq!(talk.said(), "RCPT TO:<user2@shop.example>\r\n", "nothing to reset");
            talk.hear("550 no\r\n");
        }
        let expected =
            [mail(0, "550 not you"), mail(1, "550 not you"), rcpt(2, "550 no"), SmtpEvent::BatchDone];
        assert_eq!(talk.told(), expected, "{keyword}");
    }
}

#[test]
fn after_a_refused_mail_nothing_is_open_that_needs_a_reset() {
    let mut talk = Talk::ready("PIPELINING");
    talk.send_batch(&[1]);
    talk.hear("451 later\r\n503 no mail\r\n");
    talk.said();
    talk.send_batch(&[1]);
    assert!(talk.said().starts_with(MAIL));
}

#[test]
fn a_421_answers_its_command_and_leaves_the_rest_unanswered() {
    let mut talk = Talk::ready("PIPELINING");
    talk.send_batch(&[3, 2]);
    talk.hear("250 ok\r\n550 no\r\n421 too many errors\r\n550 no\r\n250 ok\r\n");
    let expected =
        [rcpt(0, "550 no"), rcpt(1, "421 too many errors"), refused(Stage::Rcpt, "421 too many errors")];
    assert_eq!(talk.told(), expected);

    let mut talk = Talk::ready("PIPELINING");
    talk.send_batch(&[1, 1]);
    talk.hear("421 busy\r\n");
    assert_eq!(talk.told(), [mail(0, "421 busy"), refused(Stage::Mail, "421 busy")]);
}

#[test]
fn a_421_ends_the_session_at_every_stage() {
    for (heard, stage) in [
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
        for line in heard {
            talk.hear(line);
        }
        talk.hear("421 going down\r\n");
        assert_eq!(talk.events.last(), Some(&refused(stage, "421 going down")));
        assert!(!talk.said.contains("QUIT"), "it hangs up itself");
    }
}

#[test]
fn a_server_may_say_421_of_its_own_accord_and_nothing_else() {
    let mut talk = Talk::ready("SIZE");
    talk.hear("421 idle\r\n");
    assert_eq!(talk.told(), [refused(Stage::Helo, "421 idle")]);

    let mut talk = Talk::ready("SIZE");
    talk.send_batch(&[1]);
    talk.hear("250 ok\r\n");
    talk.hear("550 no\r\n421 too many errors\r\n");
    assert_eq!(talk.told(), [rcpt(0, "550 no"), refused(Stage::Rset, "421 too many errors")]);

    let mut talk = Talk::ready("SIZE");
    talk.hear("250 ok\r\n");
    assert_eq!(talk.told(), [malformed(Stage::Helo, MalformedReply::Unsolicited)]);
}

#[test]
fn two_replies_at_once_never_shift_an_answer_to_the_next_recipient() {
    let mut talk = Talk::ready("SIZE");
    talk.send_batch(&[2]);
    talk.hear("250 ok\r\n");
    talk.said();
    talk.hear("250 yes\r\n550 no\r\n");
    assert_eq!(talk.told(), [rcpt(0, "250 yes"), malformed(Stage::Rcpt, MalformedReply::Unsolicited)]);
    assert_eq!(talk.said(), "");

    let mut talk = Talk::new(TlsPolicy::No);
    talk.hear("220 hi\r\n250 hi again\r\n");
    assert_eq!(talk.told(), [malformed(Stage::Helo, MalformedReply::Unsolicited)]);
    assert_eq!(talk.said(), "");
}

#[test]
fn a_last_flight_leaves_with_its_goodbye_and_lands_with_the_sessions_end() {
    for (keyword, at_once) in [("PIPELINING", true), ("SIZE", false)] {
        let mut talk = Talk::ready(keyword);
        talk.order(last_batch(&[1]));
        let whole = format!("{MAIL}RCPT TO:<user0@shop.example>\r\nQUIT\r\n");
        assert_eq!(talk.said == whole, at_once, "{keyword}");
        talk.hear("250 ok\r\n");
        talk.hear("550 no\r\n");
        assert_eq!(talk.said(), whole);
        assert_eq!(talk.session.stage(), Some(Stage::Quit));
        talk.hear("221 bye\r\n");
        assert_eq!(talk.told(), [rcpt(0, "550 no"), ended(Stage::Quit, EndReason::Quit)], "{keyword}");
    }
}

#[test]
fn a_last_flight_that_is_cut_short_is_told_from_one_that_is_not() {
    for (heard, last) in [
        ("250 ok\r\n", ended(Stage::Rcpt, EndReason::HungUp)),
        ("250 ok\r\n550 no\r\n", ended(Stage::Quit, EndReason::Quit)),
        ("250 ok\r\n421 busy\r\n", refused(Stage::Rcpt, "421 busy")),
    ] {
        let mut talk = Talk::ready("PIPELINING");
        talk.order(last_batch(&[1]));
        talk.hear(heard);
        talk.session.closed();
        talk.drain();
        assert_eq!(talk.events.last(), Some(&last), "{heard}");
    }
}

#[test]
fn more_replies_than_commands_show_at_the_goodbye_at_the_latest() {
    // Two to MAIL in one packet, and the answer to RCPT behind them.
    let mut talk = Talk::ready("PIPELINING");
    talk.order(last_batch(&[1]));
    talk.hear("250 ok\r\n550 no\r\n");
    talk.hear("250 yes\r\n");
    assert_eq!(talk.session.stage(), Some(Stage::Quit));
    talk.hear("221 bye\r\n");
    assert_eq!(talk.told(), [rcpt(0, "550 no"), malformed(Stage::Quit, MalformedReply::Unsolicited)]);

    let mut talk = Talk::ready("PIPELINING");
    talk.send_batch(&[1]);
    talk.order(SessionCommand::Quit);
    talk.hear("250 ok\r\n550 no\r\n");
    talk.hear("250 yes\r\n221 bye\r\n");
    assert_eq!(talk.events.last(), Some(&malformed(Stage::Quit, MalformedReply::Unsolicited)));
}

#[test]
fn a_reply_before_its_command_ends_the_session_even_in_parts() {
    let mut talk = Talk::ready("SIZE");
    talk.hear("25");
    assert_eq!(talk.told(), []);
    talk.send_batch(&[1]);
    assert_eq!(talk.told(), [malformed(Stage::Mail, MalformedReply::Unsolicited)]);
    assert_eq!(talk.said(), "");
}

#[test]
fn helo_follows_where_ehlo_is_not_known_and_only_there() {
    for code in [500, 502, 504] {
        let mut talk = Talk::new(TlsPolicy::Try);
        talk.hear("220 hi\r\n");
        talk.said();
        talk.hear(&format!("{code} what\r\n"));
        assert_eq!(talk.said(), "HELO probe.example\r\n");
        talk.hear("250-mx\r\n250 PIPELINING\r\n");
        assert_eq!(talk.told(), [SmtpEvent::Ready(Capabilities::default())]);
    }
    for text in ["550 bad name", "554 blocked", "451 later"] {
        let mut talk = Talk::new(TlsPolicy::Try);
        talk.hear("220 hi\r\n");
        talk.said();
        talk.hear(&format!("{text}\r\n"));
        assert_eq!(talk.said(), "QUIT\r\n");
        assert_eq!(talk.told(), [refused(Stage::Helo, text)]);
    }
}

#[test]
fn a_refused_greeting_or_reset_ends_with_a_goodbye() {
    let mut talk = Talk::new(TlsPolicy::Try);
    talk.hear("554 blocked\r\n");
    assert_eq!(talk.said(), "QUIT\r\n");
    assert_eq!(talk.told(), [refused(Stage::Connect, "554 blocked")]);

    let mut talk = Talk::ready("SIZE");
    talk.send_batch(&[1, 1]);
    talk.hear("250 ok\r\n");
    talk.hear("250 yes\r\n");
    talk.said();
    talk.hear("554 too many nonmail commands\r\n");
    assert_eq!(talk.said(), "QUIT\r\n");
    let expected = [rcpt(0, "250 yes"), refused(Stage::Rset, "554 too many nonmail commands")];
    assert_eq!(talk.told(), expected);
}

#[test]
fn tls_starts_where_wished_and_offered_and_forgets_what_was_offered_before() {
    let mut talk = Talk::new(TlsPolicy::Try);
    talk.hear("220 hi\r\n");
    talk.hear("250-mx\r\n250-PIPELINING\r\n250 STARTTLS\r\n");
    assert_eq!(talk.said(), format!("{EHLO}STARTTLS\r\n"));
    assert!(talk.hear("220 go\r\n"), "asks for a handshake");
    assert_eq!(talk.session.stage(), Some(Stage::StartTls));
    talk.session.secured();
    talk.drain();
    assert_eq!(talk.said(), EHLO);
    talk.hear("250-mx\r\n250 STARTTLS\r\n");
    let capabilities = Capabilities { starttls: true, ..Capabilities::default() };
    assert_eq!((talk.said(), talk.told()), (String::new(), vec![SmtpEvent::Ready(capabilities)]));

    for (tls, keyword) in [(TlsPolicy::No, "STARTTLS"), (TlsPolicy::Try, "SIZE")] {
        let mut talk = Talk::new(tls);
        talk.hear("220 hi\r\n");
        talk.hear(&format!("250-mx\r\n250 {keyword}\r\n"));
        assert_eq!(talk.said(), EHLO);
        assert!(matches!(talk.told()[..], [SmtpEvent::Ready(_)]));
    }
}

#[test]
fn tls_that_fails_ends_the_session_and_tls_that_is_refused_does_not() {
    let asked = || {
        let mut talk = Talk::new(TlsPolicy::Try);
        talk.hear("220 hi\r\n");
        talk.hear("250-mx\r\n250 STARTTLS\r\n");
        talk
    };
    let mut talk = asked();
    talk.hear("220 go\r\n");
    talk.session.tls_failed("bad record".to_owned());
    talk.drain();
    assert_eq!(talk.told(), [ended(Stage::StartTls, EndReason::Tls("bad record".to_owned()))]);

    let mut talk = asked();
    talk.hear("454 not now\r\n");
    assert!(matches!(talk.told()[..], [SmtpEvent::Ready(_)]));

    // RFC 3207 6: what came before the handshake must not count after it.
    let injected = "clear text after the reply to STARTTLS".to_owned();
    for injection in ["250 ok\r\n", "2"] {
        let mut talk = asked();
        assert!(!talk.hear(&format!("220 go\r\n{injection}")));
        assert_eq!(talk.told(), [ended(Stage::StartTls, EndReason::Tls(injected.clone()))]);
    }
}

#[test]
fn letters_beyond_ascii_are_asked_only_where_the_server_takes_them() {
    let wide = || Transaction {
        recipients: vec![
            ask(0),
            RcptProbe { id: ProbeId(1), address: Address::parse("jürgen@shop.example").unwrap() },
        ],
    };
    let batch = Batch { transactions: vec![wide()], is_last: false };
    let mut talk = Talk::ready("SMTPUTF8");
    talk.order(SessionCommand::Send(batch.clone()));
    assert_eq!(talk.said(), "MAIL FROM:<ann@probe.example> SMTPUTF8\r\n");

    let mut talk = Talk::ready("PIPELINING");
    talk.order(SessionCommand::Send(batch));
    assert_eq!(talk.said(), format!("{MAIL}RCPT TO:<user0@shop.example>\r\n"));
    assert_eq!(talk.told(), [SmtpEvent::Reply(ProbeId(1), ProbeReply::NoSmtputf8)]);

    let mut talk = Talk::ready("PIPELINING");
    let mut only = wide();
    only.recipients.remove(0);
    talk.order(SessionCommand::Send(Batch { transactions: vec![only], is_last: false }));
    assert_eq!(talk.said(), "");
    assert_eq!(talk.told(), [SmtpEvent::Reply(ProbeId(1), ProbeReply::NoSmtputf8), SmtpEvent::BatchDone]);
}

#[test]
fn silence_and_hanging_up_end_the_session_where_it_was() {
    let steps = ["220 hi\r\n", "250 mx\r\n", "250 ok\r\n", "550 no\r\n"];
    let stages = [Stage::Connect, Stage::Helo, Stage::Mail, Stage::Rcpt, Stage::Rset];
    for (heard, stage) in stages.into_iter().enumerate() {
        for (end, why) in [
            (ClientSession::closed as fn(&mut _), EndReason::HungUp),
            (ClientSession::timed_out, EndReason::TimedOut),
        ] {
            let mut talk = Talk::new(TlsPolicy::No);
            talk.send_batch(&[1, 1]);
            for line in &steps[..heard] {
                talk.hear(line);
            }
            assert_eq!(talk.session.stage(), Some(stage));
            end(&mut talk.session);
            talk.drain();
            assert_eq!(talk.events.last(), Some(&ended(stage, why)));
        }
    }
}

#[test]
fn nothing_depends_on_how_a_goodbye_is_taken() {
    for take in [
        (|session| session.heard(b"221 bye\r\n")) as fn(&mut ClientSession),
        |session| session.heard(b"421 bye\r\n"),
        |session| session.heard(b"junk\r\n"),
        |session| {
            session.heard(b"500 what\r\n");
            assert_eq!(session.stage(), Some(Stage::Quit));
            session.closed();
        },
        ClientSession::closed,
        ClientSession::timed_out,
    ] {
        let mut talk = Talk::ready("SIZE");
        talk.order(SessionCommand::Quit);
        take(&mut talk.session);
        talk.drain();
        assert_eq!(talk.told(), [ended(Stage::Quit, EndReason::Quit)]);
    }
}

#[test]
fn what_is_not_smtp_ends_the_session_where_it_came() {
    for (heard, fault) in [
        ("hello\r\n".to_owned(), MalformedReply::NotAReply),
        ("250-a\r\n550 b\r\n".to_owned(), MalformedReply::MixedCodes),
        ("2".repeat(5000), MalformedReply::LineTooLong),
        ("250-x\r\n".repeat(MAX_REPLY_LINES + 1), MalformedReply::ReplyTooLong),
    ] {
        let mut talk = Talk::ready("PIPELINING");
        talk.send_batch(&[1]);
        talk.hear("250 ok\r\n");
        talk.hear(&heard);
        talk.hear("250 ok\r\n");
        assert_eq!(talk.told(), [malformed(Stage::Rcpt, fault)]);
    }
}

/// One thing that a server sends.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let code = prop::sample::select(vec![220, 250, 250, 250, 252, 354, 421, 450, 451, 500, 502, 550, 554]);
    let text = prop::sample::select(vec!["ok", "PIPELINING", "STARTTLS", "no"]);
    prop_oneof![
        20 => (code.clone(), text.clone()).prop_map(|(code, text)| format!("{code} {text}\r\n").into_bytes()),
        4 => (code, text).prop_map(|(code, text)| format!("{code}-mx\r\n{code} {text}\r\n").into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    /// A server that answers each command as it likes, once: however its bytes are cut, the session is the same.
    #[test]
    fn any_cut_of_a_servers_bytes_gives_the_same_session(
        codes in prop::collection::vec(prop::sample::select(vec![220, 250, 250, 250, 421, 450, 502, 550]), 0..30),
        pipelining: bool,
        sizes in prop::collection::vec(0u64..4, 0..5),
        with_goodbye: bool,
        cut in 1usize..9,
    ) {
        let run = |cut: usize| {
            let mut talk = Talk::new(TlsPolicy::Try);
            if with_goodbye {
                talk.order(last_batch(&sizes));
            } else {
                talk.send_batch(&sizes);
                talk.order(SessionCommand::Quit);
            }
            let mut codes = codes.iter();
            let mut answer = |command: &str| {
                let code = codes.next().unwrap_or(&250);
                let keyword = if pipelining { "PIPELINING" } else { "SIZE" };
                format!("{code}-{}\r\n{code} {keyword}\r\n", command.trim_end())
            };
            let mut answers = answer("greeting");
            let mut lines = 0;
            while !talk.session.is_over() {
                for piece in answers.as_bytes().chunks(cut) {
                    talk.session.heard(piece);
                    talk.drain();
                }
                let new: Vec<String> = talk.said.lines().skip(lines).map(&mut answer).collect();
                lines += new.len();
                if new.is_empty() {
                    break;
                }
                answers = new.concat();
            }
            talk.session.closed();
            talk.drain();
            (talk.said, talk.events)
        };
        prop_assert_eq!(run(cut), run(usize::MAX));
    }

    /// Whatever comes, whenever: one end, the last thing told, and no answer but by a reply that came after its own
    /// command had left and after as many others as there were commands before it.
    #[test]
    fn no_answer_without_its_own_reply_and_always_one_end(
        pieces in prop::collection::vec(prop::collection::vec(line(), 0..4), 0..14),
        sizes in prop::collection::vec(0u64..4, 0..5),
        is_last: bool,
        tls: bool,
    ) {
        let mut talk = Talk::new(if tls { TlsPolicy::Try } else { TlsPolicy::No });
        talk.order(SessionCommand::Send(Batch { is_last, ..batch(&sizes) }));
        // For each reply heard: how many commands had left before it came, the greeting counted as one.
        let mut left_before = Vec::new();
        let mut reader = crate::smtp::reply::ReplyReader::default();
        let mut answered = Vec::new();
        for piece in pieces {
            let piece = piece.concat();
            let left = 1 + talk.said.lines().count();
            reader.push(&piece);
            while let Ok(Some(reply)) = reader.pull() {
                left_before.push((left, reply));
            }
            talk.session.heard(&piece);
            if talk.drain() {
                talk.session.tls_failed("no TLS here".to_owned());
                talk.drain();
            }
            for event in talk.told() {
                answered.push(event);
            }
        }
        talk.session.closed();
        talk.session.timed_out();
        talk.drain();
        answered.append(&mut talk.events);

        let ends = answered.iter().filter(|event| matches!(event, SmtpEvent::Ended(_))).count();
        prop_assert_eq!(ends, 1);
        prop_assert!(matches!(answered.last(), Some(SmtpEvent::Ended(_))));
        let commands: Vec<&str> = talk.said.lines().collect();
        for event in &answered {
            let SmtpEvent::Reply(ProbeId(id), ProbeReply::Rcpt(reply)) = event else { continue };
            let line = format!("RCPT TO:<user{id}@shop.example>");
            let position = 1 + commands.iter().position(|command| *command == line).unwrap();
            let (left, heard) = &left_before[position];
            prop_assert_eq!(heard, reply);
            prop_assert!(position < *left, "the reply came before the command had left");
        }
    }
}
