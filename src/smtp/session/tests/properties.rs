//! What holds for any server: the split of its bytes does not matter, and no reply goes to another recipient.

use super::*;

/// One line, reply or piece of garbage from a server.
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
    /// However the bytes of a server are split, the session is the same. The server replies to each command once, with
    /// any code.
    #[test]
    fn any_split_of_the_bytes_of_a_server_gives_the_same_session(
        codes in prop::collection::vec(prop::sample::select(vec![220, 250, 250, 250, 421, 450, 502, 550]), 0..30),
        pipelining: bool,
        sizes in prop::collection::vec(0u64..4, 0..5),
        with_quit: bool,
        cut in 1usize..9,
    ) {
        let run = |cut: usize| {
            let mut talk = Talk::new(TlsPolicy::Try);
            if with_quit {
                talk.submit(last_batch(&sizes));
            } else {
                talk.send_batch(&sizes);
                talk.submit(SessionCommand::Quit);
            }
            let mut codes = codes.iter();
            let mut reply_to = |command: &str| {
                let code = codes.next().unwrap_or(&250);
                let keyword = if pipelining { "PIPELINING" } else { "SIZE" };
                format!("{code}-{}\r\n{code} {keyword}\r\n", command.trim_end())
            };
            let mut replies = reply_to("greeting");
            let mut lines = 0;
            while !talk.session.is_over() {
                for piece in replies.as_bytes().chunks(cut) {
                    talk.session.receive(piece);
                    talk.drain();
                }
                let new: Vec<String> = talk.sent.lines().skip(lines).map(&mut reply_to).collect();
                lines += new.len();
                if new.is_empty() {
                    break;
                }
                replies = new.concat();
            }
            talk.session.connection_closed();
            talk.drain();
            (talk.sent, talk.events)
        };
        prop_assert_eq!(run(cut), run(usize::MAX));
    }

    /// Whatever a server sends at any time: the session reports one end, as its last event. The outcome of each probe
    /// is the reply that came after its command was sent and after one reply for each earlier command.
    #[test]
    fn each_outcome_has_its_own_reply_and_each_session_one_end(
        pieces in prop::collection::vec(prop::collection::vec(line(), 0..4), 0..14),
        sizes in prop::collection::vec(0u64..4, 0..5),
        is_last: bool,
        tls: bool,
    ) {
        let mut talk = Talk::new(if tls { TlsPolicy::Try } else { TlsPolicy::No });
        talk.submit(SessionCommand::Send(Batch { is_last, ..batch(&sizes) }));
        // For each reply: how many commands had been sent before it came, the greeting counted as one.
        let mut sent_before = Vec::new();
        let mut reader = crate::smtp::reply::ReplyReader::default();
        let mut events = Vec::new();
        for piece in pieces {
            let piece = piece.concat();
            let left = 1 + talk.sent.lines().count();
            reader.push(&piece);
            while let Ok(Some(reply)) = reader.pull() {
                sent_before.push((left, reply));
            }
            talk.session.receive(&piece);
            if talk.drain() {
                talk.session.tls_failed("no TLS here".to_owned());
                talk.drain();
            }
            for event in talk.take_events() {
                events.push(event);
            }
        }
        talk.session.connection_closed();
        talk.session.timed_out();
        talk.drain();
        events.append(&mut talk.events);

        let ends = events.iter().filter(|event| matches!(event, SmtpEvent::Ended(_))).count();
        prop_assert_eq!(ends, 1);
        prop_assert!(matches!(events.last(), Some(SmtpEvent::Ended(_))));
        let commands: Vec<&str> = talk.sent.lines().collect();
        for event in &events {
            let SmtpEvent::Reply(ProbeId(id), ProbeReply::Rcpt(reply)) = event else { continue };
            let line = format!("RCPT TO:<user{id}@shop.example>");
            let position = 1 + commands.iter().position(|command| *command == line).unwrap();
            let (left, received) = &sent_before[position];
            prop_assert_eq!(received, reply);
            prop_assert!(position < *left, "the reply came before the command was sent");
        }
    }
}
