//! Any order of events in a session: only the known commands are sent, every probe has at most one reply, and the session
//! ends. The first byte may select the scheduler instead: see `scheduler.rs`.

use std::collections::{HashMap, HashSet};

use listproof::internals::smtp::{
    Batch, ClientIdentity, ClientSession, ProbeId, ProbeReply, RcptProbe, SessionCommand, SessionOutput,
    SmtpEvent, TlsPolicy, Transaction,
};
use listproof::{Address, Domain};

use scheduler::Play;

#[path = "scheduler.rs"]
mod scheduler;

/// The first byte selects session or scheduler and its options, the others are the events.
pub(crate) fn check(bytes: &[u8]) {
    let Some((&first, events)) = bytes.split_first() else { return };
    if first & 1 == 0 { Dialogue::play(events, first & 2 == 2) } else { Play::play(events, first) }
}

/// Bytes from a server: whole replies, several together, and pieces.
const SERVER_BYTES: [&[u8]; 16] = [
    b"220 mx.shop.example ESMTP\r\n",
    b"250-mx\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250 STARTTLS\r\n",
    b"250-mx\r\n250 PIPELINING\r\n",
    b"250 2.1.5 Ok\r\n",
    b"250 Ok\r\n250 Ok\r\n",
    b"550 5.1.1 User unknown\r\n",
    b"450 4.2.0 Greylisted\r\n",
    b"421 4.3.2 Shutting down\r\n",
    b"554 5.7.1 blocked using bl.example\r\n",
    b"502 5.5.2 not implemented\r\n",
    b"220 Go ahead\r\n",
    b"250-half\r\n",
    b"25",
    b"0 Ok\r\n",
    b"354 go on\r\n",
    b"garbage\r\n",
];

/// One session, and its recorded outputs.
struct Dialogue {
    session: ClientSession,
    probes: HashMap<ProbeId, Address>,
    answered: HashSet<ProbeId>,
    probed: HashSet<String>,
    handshakes: u32,
    mail_is_open: bool,
    ready: bool,
    ended: u32,
}

impl Dialogue {
    fn play(events: &[u8], tls: bool) {
        let identity = ClientIdentity {
            helo: Domain::parse("probe.example").expect("a name"),
            sender: Address::parse("check@probe.example").expect("an address"),
            tls: if tls { TlsPolicy::Try } else { TlsPolicy::No },
            pipelining: true,
        };
        let mut dialogue = Dialogue {
            session: ClientSession::new(identity),
            probes: HashMap::new(),
            answered: HashSet::new(),
            probed: HashSet::new(),
            handshakes: 0,
            mail_is_open: false,
            ready: false,
            ended: 0,
        };
        let mut rest = events;
        while let Some((&event, after)) = rest.split_first() {
            rest = after;
            let batch = (16..32).contains(&event).then(|| dialogue.batch(event));
            let session = &mut dialogue.session;
            match event {
                0..=15 => session.receive(SERVER_BYTES[usize::from(event)]),
                16..=31 => batch.into_iter().for_each(|batch| session.submit(batch)),
                32 => session.submit(SessionCommand::Quit),
                33..=40 => session.tls_established(),
                41 => session.tls_failed("bad record".to_owned()),
                42 => session.connection_closed(),
                43 => session.timed_out(),
                _ => {
                    let (raw, after) = rest.split_at(rest.len().min(usize::from(event - 43)));
                    rest = after;
                    session.receive(raw);
                }
            }
            dialogue.drain();
        }
        dialogue.session.connection_closed();
        dialogue.drain();
        assert!(dialogue.session.is_over() && dialogue.ended == 1, "it ended {} times", dialogue.ended);
    }

    /// A batch of up to four transactions with up to three recipients each; some have letters beyond ASCII.
    fn batch(&mut self, shape: u8) -> SessionCommand {
        let transactions = (0..=shape & 3).map(|n| Transaction {
            recipients: (0..shape >> 2 & 3)
                .map(|place| {
                    let id = ProbeId(self.probes.len() as u64);
                    let name = if place == 2 { "jürgen" } else { "user" };
                    let address =
                        Address::parse(&format!("{name}{}@d{n}.example", id.0)).expect("an address");
                    self.probes.insert(id, address.clone());
                    RcptProbe { id, address }
                })
                .collect(),
        });
        SessionCommand::Send(Batch { transactions: transactions.collect(), is_last: shape & 3 == 3 })
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                SessionOutput::Send(bytes) => self.sent(&bytes),
                SessionOutput::StartTls => self.handshakes += 1,
                SessionOutput::Emit(event) => self.emitted(event),
            }
        }
        assert!(self.handshakes <= 1, "one handshake in a session");
    }

    fn sent(&mut self, bytes: &[u8]) {
        assert_eq!(self.ended, 0, "it sends after its end");
        let text = std::str::from_utf8(bytes).expect("commands are text");
        for line in text.split_inclusive("\r\n") {
            let line = line.strip_suffix("\r\n").expect("a whole line");
            assert!(!line.contains(char::is_control), "{line:?}");
            let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
            match verb {
                "EHLO" | "HELO" | "STARTTLS" => assert!(!self.ready, "{verb} in the middle"),
                "MAIL" => {
                    assert!(self.ready && !std::mem::replace(&mut self.mail_is_open, true), "MAIL in MAIL");
                }
                "RCPT" => {
                    assert!(self.mail_is_open, "RCPT without MAIL");
                    let address = rest.strip_prefix("TO:<").and_then(|rest| rest.strip_suffix('>'));
                    assert!(self.probed.insert(address.expect("a path").to_owned()), "probed twice: {line}");
                }
                "RSET" => self.mail_is_open = false,
                "QUIT" => {}
                _ => panic!("it sends {line:?}"),
            }
        }
    }

    fn emitted(&mut self, event: SmtpEvent) {
        assert_eq!(self.ended, 0, "it emits {event:?} after its end");
        match event {
            SmtpEvent::Ready(_) => assert!(!std::mem::replace(&mut self.ready, true), "ready twice"),
            SmtpEvent::Reply(id, reply) => {
                assert!(self.answered.insert(id), "two replies to one probe");
                let address = self.probes[&id].to_string();
                match reply {
                    ProbeReply::Rcpt(_) => {
                        assert!(self.probed.contains(&address), "a reply without a probe");
                    }
                    ProbeReply::Mail(reply) => {
                        assert!(!reply.is_positive());
                        self.mail_is_open = false;
                    }
                    ProbeReply::NoSmtputf8 => assert!(!address.is_ascii() && !self.probed.contains(&address)),
                }
            }
            SmtpEvent::BatchDone => assert!(self.ready),
            SmtpEvent::Ended(_) => self.ended += 1,
        }
    }
}
