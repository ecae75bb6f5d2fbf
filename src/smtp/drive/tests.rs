//! Sessions with hostile and broken servers, over a pipe in memory and under frozen time. Each session reports one end,
//! as its last event, within the time limits, and reads a bounded number of bytes.
//!
//! `limits`: time limits and floods. `endings`: servers that disconnect, reject, or lose step. `encryption`: STARTTLS.

mod encryption;
mod endings;
mod limits;

use std::sync::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::time::sleep;

use super::*;
use crate::address::Address;
use crate::smtp::Reply;
use crate::smtp::connect::ConnectFuture;
use crate::smtp::reply::MalformedReply;
use crate::smtp::session::{Batch, Capabilities, ProbeId, ProbeReply, RcptProbe, TlsPolicy, Transaction};
use crate::smtp::transcript::TranscriptLine;
/// A network with one server, or none.
struct OneServer(Mutex<Option<DuplexStream>>);

impl Connect for OneServer {
    fn connect<'a>(&'a self, _: SocketAddr, _: &'a EgressPath) -> ConnectFuture<'a> {
        let stream = self.0.lock().unwrap().take();
        Box::pin(async move {
            let error = io::Error::from(io::ErrorKind::ConnectionRefused);
            stream.map(|stream| Box::new(stream) as Box<dyn MailStream>).ok_or(error)
        })
    }
}

/// The server's end of the pipe.
struct Peer(BufReader<DuplexStream>);

impl Peer {
    /// Sends a text. False if the client has closed the connection.
    async fn send(&mut self, text: impl AsRef<[u8]>) -> bool {
        self.0.write_all(text.as_ref()).await.is_ok()
    }

    /// The next line of the client, without its end.
    async fn receive(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    /// Replies to the next command, and returns that command.
    async fn reply(&mut self, text: &str) -> String {
        let command = self.receive().await;
        self.send(format!("{text}\r\n")).await;
        command
    }

    /// Sends the first of these replies as the greeting, and the others as replies to commands.
    async fn open(&mut self, replies: &[&str]) {
        for (n, text) in replies.iter().enumerate() {
            if n == 0 {
                self.send(format!("{text}\r\n")).await;
            } else {
                self.reply(text).await;
            }
        }
    }

    /// Does nothing, and keeps the connection open.
    async fn fall_silent(self) {
        std::future::pending::<()>().await;
    }
}

/// What a session reported, how long it took, and its transcript.
struct Outcome {
    events: Vec<SmtpEvent>,
    took: Duration,
    lines: Vec<TranscriptLine>,
}

impl Outcome {
    fn end(&self) -> &SessionEnd {
        let ends = self.events.iter().filter(|event| matches!(event, SmtpEvent::Ended(_)));
        assert_eq!(ends.count(), 1, "{:?}", self.events);
        match self.events.last() {
            Some(SmtpEvent::Ended(ended)) => ended,
            _ => panic!("the end is not the last event: {:?}", self.events),
        }
    }

    fn replies(&self) -> Vec<&SmtpEvent> {
        let events = self.events.iter();
        events.filter(|event| matches!(event, SmtpEvent::Reply(..))).collect()
    }
}

fn ended(stage: Stage, reason: EndReason) -> SessionEnd {
    SessionEnd { stage, reason }
}

fn rcpt(id: u64, text: &str) -> SmtpEvent {
    SmtpEvent::Reply(ProbeId(id), ProbeReply::Rcpt(Reply::parse(text.as_bytes()).unwrap()))
}

fn batch(recipients: u64) -> SessionCommand {
    let probe = |id| RcptProbe {
        id: ProbeId(id),
        address: Address::parse(&format!("user{id}@shop.example")).unwrap(),
    };
    SessionCommand::Send(Batch {
        transactions: vec![Transaction { recipients: (0..recipients).map(probe).collect() }],
        is_last: false,
    })
}

fn request(host: &Domain, tls: TlsPolicy) -> SessionRequest<'_> {
    SessionRequest {
        host,
        to: "192.0.2.1:25".parse().unwrap(),
        path: &EgressPath::Direct(None),
        identity: ClientIdentity {
            helo: Domain::parse("probe.example").unwrap(),
            sender: Address::parse("ann@probe.example").unwrap(),
            tls,
            pipelining: true,
        },
        timeouts: SmtpTimeouts::default(),
    }
}

/// A session with `server`: one batch of two recipients, then QUIT.
async fn meet<F: Future<Output = ()>>(tls: TlsPolicy, server: impl FnOnce(Peer) -> F) -> Outcome {
    meet_with(tls, vec![batch(2), SessionCommand::Quit], server).await
}

async fn meet_with<F: Future<Output = ()>>(
    tls: TlsPolicy,
    commands: Vec<SessionCommand>,
    server: impl FnOnce(Peer) -> F,
) -> Outcome {
    let (ours, theirs) = duplex(1024);
    let network = OneServer(Mutex::new(Some(ours)));
    let (sender, receiver) = mpsc::channel(10);
    for command in commands {
        sender.send(command).await.unwrap();
    }
    drop(sender);
    let host = Domain::parse("mx.shop.example").unwrap();
    let request = request(&host, tls);
    let (mut events, mut transcript) = (Vec::new(), Transcript::default());
    let start = Instant::now();
    let serving = async {
        server(Peer(BufReader::new(theirs))).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = drive_session(&network, request, receiver, |event| events.push(event), Some(&mut transcript)) => {}
        () = serving => {}
    }
    Outcome { events, took: start.elapsed(), lines: transcript.lines().to_vec() }
}

/// For each stage, the replies that bring a session there.
const STAGES: [(&[&str], Stage); 5] = [
    (&[], Stage::Connect),
    (&["220 hi"], Stage::Helo),
    (&["220 hi", "250-mx\r\n250 STARTTLS"], Stage::StartTls),
    (&["220 hi", "250 mx"], Stage::Mail),
    (&["220 hi", "250 mx", "250 ok"], Stage::Rcpt),
];

#[tokio::test(start_paused = true)]
async fn a_plain_session_probes_and_quits() {
    let outcome = meet(TlsPolicy::No, |mut peer| async move {
        peer.open(&["220 hi", "250 mx", "250 ok", "250 yes", "550 5.1.1 no", "221 bye"]).await;
    })
    .await;
    let expected = [
        SmtpEvent::Ready(Capabilities::default()),
        rcpt(0, "250 yes"),
        rcpt(1, "550 5.1.1 no"),
        SmtpEvent::BatchDone,
        SmtpEvent::Ended(ended(Stage::Quit, EndReason::Quit)),
    ];
    assert_eq!(outcome.events, expected);
    let expected = [
        TranscriptLine::Note("connected to 192.0.2.1:25".into()),
        TranscriptLine::Received("220 hi".into()),
        TranscriptLine::Sent("EHLO probe.example".into()),
        TranscriptLine::Received("250 mx".into()),
        TranscriptLine::Sent("MAIL FROM:<ann@probe.example>".into()),
        TranscriptLine::Received("250 ok".into()),
        TranscriptLine::Sent("RCPT TO:<user0@shop.example>".into()),
        TranscriptLine::Received("250 yes".into()),
        TranscriptLine::Sent("RCPT TO:<user1@shop.example>".into()),
        TranscriptLine::Received("550 5.1.1 no".into()),
        TranscriptLine::Sent("QUIT".into()),
        TranscriptLine::Received("221 bye".into()),
        TranscriptLine::Note("closed with QUIT".into()),
    ];
    assert_eq!(outcome.lines, expected);
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_the_pipe_does_not_deadlock() {
    let outcome = meet_with(TlsPolicy::No, vec![batch(500)], |mut peer| async move {
        peer.open(&["220 hi", "250-mx\r\n250 PIPELINING", "250 ok"]).await;
        for _ in 0..500 {
            // The server stops reading while it replies.
            peer.reply("550 no such user here, and a text that is long enough to fill a pipe").await;
        }
        peer.reply("221 bye").await;
    })
    .await;
    assert_eq!(outcome.replies().len(), 500);
    assert_eq!(outcome.end(), &ended(Stage::Quit, EndReason::Quit));
    assert_eq!(outcome.took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn latin_1_and_bare_line_feeds_are_read() {
    let outcome = meet(TlsPolicy::No, |mut peer| async move {
        peer.send("220 hi\n").await;
        for reply in
            [&b"250 mx\n"[..], b"250\n", b"550 Empf\xe4nger unbekannt\r\n", b"550-no\n550 no\n", b"221\n"]
        {
            peer.receive().await;
            peer.send(reply).await;
        }
    })
    .await;
    assert_eq!(outcome.replies(), [&rcpt(0, "550 Empfänger unbekannt"), &rcpt(1, "550-no\r\n550 no")]);
    assert_eq!(outcome.end(), &ended(Stage::Quit, EndReason::Quit));
}

#[test]
fn a_session_can_move_between_threads() {
    fn is_send(_: &impl Send) {}
    let host = Domain::parse("mx.shop.example").unwrap();
    let (_, receiver) = mpsc::channel(1);
    is_send(&drive_session(
        &crate::smtp::connect::TcpConnector,
        request(&host, TlsPolicy::No),
        receiver,
        |_| (),
        None,
    ));
}
