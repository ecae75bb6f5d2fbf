//! The state machine against servers of all kinds, without sockets and clocks.
//!
//! `commands`: which command follows which. `endings`: how sessions end. `properties`: what holds for any server.

use proptest::prelude::*;

use super::*;
use crate::smtp::reply::MAX_REPLY_LINES;

mod commands;
mod endings;
mod properties;

const EHLO: &str = "EHLO probe.example\r\n";
const MAIL: &str = "MAIL FROM:<ann@probe.example>\r\n";

fn identity(tls: TlsPolicy) -> ClientIdentity {
    ClientIdentity {
        helo: Domain::parse("probe.example").unwrap(),
        sender: Address::parse("ann@probe.example").unwrap(),
        tls,
        pipelining: true,
    }
}

/// A batch of transactions with so many recipients each, numbered from 0 throughout the batch.
fn batch(sizes: &[u64]) -> Batch {
    let mut ids = 0..;
    let transactions = sizes.iter().map(|&size| Transaction {
        recipients: ids.by_ref().take(usize::try_from(size).unwrap()).map(probe).collect(),
    });
    Batch { transactions: transactions.collect(), is_last: false }
}

/// A last batch: its last command is QUIT.
fn last_batch(sizes: &[u64]) -> SessionCommand {
    SessionCommand::Send(Batch { is_last: true, ..batch(sizes) })
}

fn probe(id: u64) -> RcptProbe {
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

fn ended(stage: Stage, reason: EndReason) -> SmtpEvent {
    SmtpEvent::Ended(SessionEnd { stage, reason })
}

fn rejected(stage: Stage, text: &str) -> SmtpEvent {
    ended(stage, EndReason::Rejected(reply(text)))
}

fn malformed(stage: Stage, fault: MalformedReply) -> SmtpEvent {
    ended(stage, EndReason::Malformed(fault))
}

/// A session with what it sent and reported.
struct Talk {
    session: ClientSession,
    sent: String,
    events: Vec<SmtpEvent>,
}

impl Talk {
    fn new(tls: TlsPolicy) -> Talk {
        Talk { session: ClientSession::new(identity(tls)), sent: String::new(), events: Vec::new() }
    }

    /// A session after EHLO, with these keywords offered.
    fn ready(keywords: &str) -> Talk {
        let mut talk = Talk::new(TlsPolicy::No);
        talk.receive("220 hi\r\n");
        talk.receive(&format!("250-mx\r\n250 {keywords}\r\n"));
        assert_eq!(talk.sent, EHLO);
        assert!(matches!(talk.events[..], [SmtpEvent::Ready(_)]));
        talk.sent.clear();
        talk.events.clear();
        talk
    }

    fn drain(&mut self) -> bool {
        let mut handshake = false;
        while let Some(output) = self.session.poll() {
            match output {
                SessionOutput::Send(bytes) => self.sent.push_str(&String::from_utf8(bytes).unwrap()),
                SessionOutput::StartTls => handshake = true,
                SessionOutput::Emit(event) => self.events.push(event),
            }
        }
        handshake
    }

    fn receive(&mut self, bytes: &str) -> bool {
        self.session.receive(bytes.as_bytes());
        self.drain()
    }

    fn send_batch(&mut self, sizes: &[u64]) {
        self.submit(SessionCommand::Send(batch(sizes)));
    }

    fn submit(&mut self, command: SessionCommand) {
        self.session.submit(command);
        self.drain();
    }

    /// What was sent since the last call.
    fn take_sent(&mut self) -> String {
        std::mem::take(&mut self.sent)
    }

    /// The events that were reported since the last call.
    fn take_events(&mut self) -> Vec<SmtpEvent> {
        std::mem::take(&mut self.events)
    }
}
