//! Sessions with hostile and broken servers, over a pipe in memory and under frozen time: always one end, the last
//! event told, within the limits, and never more read than a bounded amount.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::*;
use crate::address::Address;
use crate::smtp::Reply;
use crate::smtp::connect::ConnectFuture;
use crate::smtp::reply::MalformedReply;
use crate::smtp::session::{Batch, Capabilities, ProbeId, ProbeReply, RcptProbe, TlsPolicy, Transaction};
use crate::smtp::transcript::TranscriptLine as Spoken;

/// A made-up key, with a certificate of a day that is over, for another name, signed by itself.
const SELF_MADE: &[u8] = include_bytes!("self-made.pem");

/// A network on which there is one server.
struct OneServer(Mutex<Option<DuplexStream>>);

impl Connect for OneServer {
    fn connect<'a>(&'a self, _: SocketAddr, _: &'a EgressPath) -> ConnectFuture<'a> {
        let stream = self.0.lock().unwrap().take();
        Box::pin(async move {
            let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
            stream.map(|stream| Box::new(stream) as Box<dyn MailStream>).ok_or(refused)
        })
    }
}

/// The server's side of the pipe.
struct Peer(BufReader<DuplexStream>);

impl Peer {
    /// False when the client is gone.
    async fn say(&mut self, text: impl AsRef<[u8]>) -> bool {
        self.0.write_all(text.as_ref()).await.is_ok()
    }

    async fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    /// Answers the next command.
    async fn answer(&mut self, text: &str) -> String {
        let heard = self.hear().await;
        self.say(format!("{text}\r\n")).await;
        heard
    }

    /// Says so many of these, each in answer to a command, the first of itself.
    async fn open(&mut self, replies: &[&str]) {
        for (n, text) in replies.iter().enumerate() {
            if n == 0 {
                self.say(format!("{text}\r\n")).await;
            } else {
                self.answer(text).await;
            }
        }
    }

    /// Says and does nothing, and keeps the line open.
    async fn fall_silent(self) {
        std::future::pending::<()>().await;
    }
}

/// What came of a session.
struct Outcome {
    events: Vec<SmtpEvent>,
    took: Duration,
    lines: Vec<Spoken>,
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

    fn answers(&self) -> Vec<&SmtpEvent> {
        let answers = self.events.iter();
        answers.filter(|event| matches!(event, SmtpEvent::Reply(..))).collect()
    }
}

fn ended(stage: Stage, why: EndReason) -> SessionEnd {
    SessionEnd { stage, why }
}

fn rcpt(id: u64, text: &str) -> SmtpEvent {
    SmtpEvent::Reply(ProbeId(id), ProbeReply::Rcpt(Reply::parse(text.as_bytes()).unwrap()))
}

fn batch(recipients: u64) -> SessionCommand {
    let ask = |id| RcptProbe {
        id: ProbeId(id),
        address: Address::parse(&format!("user{id}@shop.example")).unwrap(),
    };
    SessionCommand::Send(Batch {
        transactions: vec![Transaction { recipients: (0..recipients).map(ask).collect() }],
        is_last: false,
    })
}

fn call(host: &Domain, tls: TlsPolicy) -> SessionRequest<'_> {
    SessionRequest {
        host,
        to: "192.0.2.1:25".parse().unwrap(),
        path: &EgressPath::Direct(None),
        identity: ClientIdentity {
            helo: Domain::parse("probe.example").unwrap(),
            sender: Address::parse("ann@probe.example").unwrap(),
            tls,
        },
        limits: SmtpTimeouts::default(),
    }
}

/// A session with `server`: one flight of two recipients, then QUIT.
async fn meet<F: Future<SessionOutput = ()>>(tls: TlsPolicy, server: impl FnOnce(Peer) -> F) -> Outcome {
    meet_with(tls, vec![batch(2), SessionCommand::Quit], server).await
}

async fn meet_with<F: Future<SessionOutput = ()>>(
    tls: TlsPolicy,
    orders: Vec<SessionCommand>,
    server: impl FnOnce(Peer) -> F,
) -> Outcome {
    let (ours, theirs) = duplex(1024);
    let network = OneServer(Mutex::new(Some(ours)));
    let (sender, receiver) = mpsc::channel(10);
    for order in orders {
        sender.send(order).await.unwrap();
    }
    drop(sender);
    let host = Domain::parse("mx.shop.example").unwrap();
    let call = call(&host, tls);
    let (mut events, mut transcript) = (Vec::new(), Transcript::default());
    let start = Instant::now();
    let serving = async {
        server(Peer(BufReader::new(theirs))).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = hold(&network, call, receiver, |event| events.push(event), Some(&mut transcript)) => {}
        () = serving => {}
    }
    Outcome { events, took: start.elapsed(), lines: transcript.lines().to_vec() }
}

#[tokio::test(start_paused = true)]
async fn a_plain_session_asks_and_leaves() {
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
        Spoken::Note("connected to 192.0.2.1:25".into()),
        Spoken::Heard("220 hi".into()),
        Spoken::Said("EHLO probe.example".into()),
        Spoken::Heard("250 mx".into()),
        Spoken::Said("MAIL FROM:<ann@probe.example>".into()),
        Spoken::Heard("250 ok".into()),
        Spoken::Said("RCPT TO:<user0@shop.example>".into()),
        Spoken::Heard("250 yes".into()),
        Spoken::Said("RCPT TO:<user1@shop.example>".into()),
        Spoken::Heard("550 5.1.1 no".into()),
        Spoken::Said("QUIT".into()),
        Spoken::Heard("221 bye".into()),
        Spoken::Note("left with a goodbye".into()),
    ];
    assert_eq!(outcome.lines, expected);
}

#[tokio::test(start_paused = true)]
async fn a_flight_larger_than_the_pipe_does_not_lock_up() {
    let outcome = meet_with(TlsPolicy::No, vec![batch(500)], |mut peer| async move {
        peer.open(&["220 hi", "250-mx\r\n250 PIPELINING", "250 ok"]).await;
        for _ in 0..500 {
            // The server stops reading while it answers, and the client must not mind.
            peer.answer("550 no such user here, and a text that is long enough to fill a pipe").await;
        }
        peer.answer("221 bye").await;
    })
    .await;
    assert_eq!(outcome.answers().len(), 500);
    assert_eq!(outcome.end(), &ended(Stage::Quit, EndReason::Quit));
    assert_eq!(outcome.took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn latin_1_and_bare_line_feeds_are_answers() {
    let outcome = meet(TlsPolicy::No, |mut peer| async move {
        peer.say("220 hi\n").await;
        for reply in
            [&b"250 mx\n"[..], b"250\n", b"550 Empf\xe4nger unbekannt\r\n", b"550-no\n550 no\n", b"221\n"]
        {
            peer.hear().await;
            peer.say(reply).await;
        }
    })
    .await;
    assert_eq!(outcome.answers(), [&rcpt(0, "550 Empfänger unbekannt"), &rcpt(1, "550-no\r\n550 no")]);
    assert_eq!(outcome.end(), &ended(Stage::Quit, EndReason::Quit));
}

/// The replies that bring a session to each stage, and that stage.
const STAGES: [(&[&str], Stage); 5] = [
    (&[], Stage::Connect),
    (&["220 hi"], Stage::Helo),
    (&["220 hi", "250-mx\r\n250 STARTTLS"], Stage::StartTls),
    (&["220 hi", "250 mx"], Stage::Mail),
    (&["220 hi", "250 mx", "250 ok"], Stage::Rcpt),
];

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_limit_of_each_stage() {
    for (replies, stage) in STAGES {
        let outcome = meet(TlsPolicy::Try, |mut peer| async move {
            peer.open(replies).await;
            peer.fall_silent().await;
        })
        .await;
        assert_eq!(outcome.end(), &ended(stage, EndReason::TimedOut));
        assert_eq!(outcome.took, stage.time_limit());
        assert_eq!(outcome.answers(), [] as [&SmtpEvent; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn hanging_up_ends_at_once_at_each_stage() {
    for (replies, stage) in STAGES {
        let outcome = meet(TlsPolicy::Try, |mut peer| async move {
            peer.open(replies).await;
            if !replies.is_empty() {
                peer.hear().await;
            }
        })
        .await;
        assert_eq!(outcome.end(), &ended(stage, EndReason::HungUp));
        assert_eq!(outcome.took, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_421_ends_each_stage() {
    for (replies, stage) in STAGES {
        let outcome = meet(TlsPolicy::Try, |mut peer| async move {
            peer.open(replies).await;
            if replies.is_empty() {
                peer.say("421 go away\r\n").await;
            } else {
                peer.answer("421 go away").await;
            }
            peer.fall_silent().await;
        })
        .await;
        let reply = Reply::new(421, ["go away"]);
        assert_eq!(outcome.end(), &ended(stage, EndReason::Rejected(reply)));
        assert_eq!(outcome.took, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_byte_a_second_does_not_stretch_a_stage() {
    for (replies, stage) in STAGES {
        let outcome = meet(TlsPolicy::Try, |mut peer| async move {
            peer.open(replies).await;
            if !replies.is_empty() {
                peer.hear().await;
            }
            while peer.say("2").await {
                sleep(Duration::from_secs(1)).await;
            }
        })
        .await;
        assert_eq!(outcome.end(), &ended(stage, EndReason::TimedOut));
        assert_eq!(outcome.took, stage.time_limit());
    }
}

#[tokio::test(start_paused = true)]
async fn a_tarpit_is_left_when_the_session_has_had_its_time() {
    let outcome = meet_with(TlsPolicy::No, vec![batch(20)], |mut peer| async move {
        peer.say("220 hi\r\n").await;
        loop {
            let heard = peer.hear().await;
            sleep(Duration::from_secs(60)).await;
            if heard.is_empty() || !peer.say("250 ok\r\n").await {
                return;
            }
        }
    })
    .await;
    // EHLO and MAIL take a minute each, and seven of the twenty get their answers in the next seven: the eighth
    // would come with the limit.
    assert_eq!(outcome.answers().len(), 7);
    assert_eq!(outcome.end(), &ended(Stage::Rcpt, EndReason::TimedOut));
    assert_eq!(outcome.took, SmtpTimeouts::default().session);
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_takes_its_leave_when_its_time_is_over() {
    let (sender, receiver) = mpsc::channel(1);
    let (ours, theirs) = duplex(1024);
    let network = OneServer(Mutex::new(Some(ours)));
    let host = Domain::parse("mx.shop.example").unwrap();
    let call = call(&host, TlsPolicy::No);
    let mut events = Vec::new();
    let mut peer = Peer(BufReader::new(theirs));
    let serve = async {
        peer.open(&["220 hi", "250 mx"]).await;
        assert_eq!(peer.answer("221 bye").await, "QUIT");
    };
    let start = Instant::now();
    tokio::join!(hold(&network, call, receiver, |event| events.push(event), None), serve);
    assert_eq!(events.last(), Some(&SmtpEvent::Ended(ended(Stage::Quit, EndReason::Quit))));
    assert_eq!(start.elapsed(), SmtpTimeouts::default().session);
    drop(sender);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_up_on_an_idle_session_is_noticed() {
    let (_sender, receiver) = mpsc::channel(1);
    let (ours, theirs) = duplex(1024);
    let network = OneServer(Mutex::new(Some(ours)));
    let host = Domain::parse("mx.shop.example").unwrap();
    let call = call(&host, TlsPolicy::No);
    let mut events = Vec::new();
    let serve = async {
        let mut peer = Peer(BufReader::new(theirs));
        peer.open(&["220 hi", "250 mx"]).await;
        sleep(Duration::from_secs(20)).await;
    };
    let start = Instant::now();
    tokio::join!(hold(&network, call, receiver, |event| events.push(event), None), serve);
    assert_eq!(events.last(), Some(&SmtpEvent::Ended(ended(Stage::Helo, EndReason::HungUp))));
    assert_eq!(start.elapsed(), Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn floods_are_cut_off_early() {
    for (flood, fault) in [
        (&b"220"[..], MalformedReply::NotAReply),
        (b"2", MalformedReply::LineTooLong),
        (b"220-x\r\n", MalformedReply::ReplyTooLong),
        (b"\0\0\0\0\r\n", MalformedReply::NotAReply),
    ] {
        let took = Arc::new(Mutex::new(0));
        let taken = took.clone();
        let outcome = meet(TlsPolicy::No, |mut peer| async move {
            if fault == MalformedReply::NotAReply {
                peer.say("x\r\n").await;
            }
            while peer.say(flood).await {
                *taken.lock().unwrap() += flood.len();
            }
        })
        .await;
        assert_eq!(outcome.end(), &ended(Stage::Connect, EndReason::Malformed(fault)));
        assert!(*took.lock().unwrap() < 20_000, "took {took:?} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn ten_megabytes_of_ehlo_are_not_read() {
    let outcome = meet(TlsPolicy::No, |mut peer| async move {
        peer.open(&["220 hi"]).await;
        peer.hear().await;
        let line = format!("250-{}\r\n", "X".repeat(4000));
        for _ in 0..2500 {
            peer.say(&line).await;
        }
        panic!("all of it was read");
    })
    .await;
    assert_eq!(outcome.end(), &ended(Stage::Helo, EndReason::Malformed(MalformedReply::ReplyTooLong)));
}

#[tokio::test(start_paused = true)]
async fn replies_out_of_step_end_the_session_and_answer_nobody_else() {
    let early = meet(TlsPolicy::No, |mut peer| async move {
        peer.say("220 hi\r\n250 mx\r\n").await;
        peer.fall_silent().await;
    })
    .await;
    assert_eq!(early.end(), &ended(Stage::Helo, EndReason::Malformed(MalformedReply::Unsolicited)));

    let double = meet(TlsPolicy::No, |mut peer| async move {
        peer.open(&["220 hi", "250 mx", "250 ok", "550 no\r\n250 yes"]).await;
        peer.fall_silent().await;
    })
    .await;
    assert_eq!(double.answers(), [&rcpt(0, "550 no")]);
    assert_eq!(double.end(), &ended(Stage::Rcpt, EndReason::Malformed(MalformedReply::Unsolicited)));

    let mixed = meet(TlsPolicy::No, |mut peer| async move {
        peer.open(&["220 hi", "250 mx", "250 ok", "250-yes\r\n550 no"]).await;
        peer.fall_silent().await;
    })
    .await;
    assert_eq!(mixed.answers(), [] as [&SmtpEvent; 0]);
    assert_eq!(mixed.end(), &ended(Stage::Rcpt, EndReason::Malformed(MalformedReply::MixedCodes)));
}

#[tokio::test(start_paused = true)]
async fn a_refused_session_is_left_with_a_goodbye_and_without_waiting() {
    let outcome = meet(TlsPolicy::No, |mut peer| async move {
        peer.open(&["554 your address is listed"]).await;
        peer.fall_silent().await;
    })
    .await;
    let reply = Reply::new(554, ["your address is listed"]);
    assert_eq!(outcome.end(), &ended(Stage::Connect, EndReason::Rejected(reply)));
    assert_eq!(outcome.took, Duration::ZERO);
    let expected = [
        Spoken::Note("connected to 192.0.2.1:25".into()),
        Spoken::Heard("554 your address is listed".into()),
        Spoken::Said("QUIT".into()),
        Spoken::Note("the server refused the session: 554 your address is listed".into()),
    ];
    assert_eq!(outcome.lines, expected);
}

#[tokio::test(start_paused = true)]
async fn a_last_reply_is_read_though_the_server_takes_no_more_commands() {
    let outcome = meet_with(TlsPolicy::No, vec![batch(200)], |mut peer| async move {
        peer.open(&["220 hi", "250-mx\r\n250 PIPELINING", "250 ok", "550 no"]).await;
        peer.say("421 too many errors\r\n").await;
        // Closes with most of the flight unread.
    })
    .await;
    let reply = Reply::new(421, ["too many errors"]);
    assert_eq!(outcome.answers().len(), 2);
    assert_eq!(outcome.end(), &ended(Stage::Rcpt, EndReason::Rejected(reply)));
}

/// A network that swallows everything.
struct BlackHole;
impl Connect for BlackHole {
    fn connect<'a>(&'a self, _: SocketAddr, _: &'a EgressPath) -> ConnectFuture<'a> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn no_connection_is_an_end_too() {
    let (_, receiver) = mpsc::channel(1);
    let host = Domain::parse("mx.shop.example").unwrap();
    let mut events = Vec::new();
    let network = OneServer(Mutex::new(None));
    hold(&network, call(&host, TlsPolicy::No), receiver, |event| events.push(event), None).await;
    let why = EndReason::Connect("connection refused".to_owned());
    assert_eq!(events, [SmtpEvent::Ended(ended(Stage::Connect, why))]);

    let (_, receiver) = mpsc::channel(1);
    let mut events = Vec::new();
    hold(&BlackHole, call(&host, TlsPolicy::No), receiver, |event| events.push(event), None).await;
    let why = EndReason::Connect("no connection within 30 s".to_owned());
    assert_eq!(events, [SmtpEvent::Ended(ended(Stage::Connect, why))]);
}

#[test]
fn a_session_can_be_held_by_any_thread() {
    fn is_send(_: &impl Send) {}
    let host = Domain::parse("mx.shop.example").unwrap();
    let (_, receiver) = mpsc::channel(1);
    is_send(&hold(&crate::smtp::connect::TcpConnector, call(&host, TlsPolicy::No), receiver, |_| (), None));
}

fn acceptor() -> TlsAcceptor {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(SELF_MADE).unwrap()],
            PrivateKeyDer::from_pem_slice(SELF_MADE).unwrap(),
        );
    TlsAcceptor::from(Arc::new(config.unwrap()))
}

#[tokio::test(start_paused = true)]
async fn any_certificate_will_do() {
    let outcome = meet(TlsPolicy::Try, |mut peer| async move {
        peer.open(&["220 hi", "250-mx\r\n250 STARTTLS", "220 go"]).await;
        let mut stream = BufReader::new(acceptor().accept(peer.0).await.unwrap());
        for reply in ["250 mx", "250 ok", "250 yes", "550 no", "221 bye"] {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            stream.write_all(format!("{reply}\r\n").as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
    })
    .await;
    assert_eq!(outcome.answers(), [&rcpt(0, "250 yes"), &rcpt(1, "550 no")]);
    assert_eq!(outcome.end(), &ended(Stage::Quit, EndReason::Quit));
    assert!(outcome.lines.contains(&Spoken::Note("encrypted".into())));
}

#[tokio::test(start_paused = true)]
async fn tls_gone_wrong_ends_the_session_as_such() {
    let garbage = meet(TlsPolicy::Try, |mut peer| async move {
        peer.open(&["220 hi", "250-mx\r\n250 STARTTLS", "220 go"]).await;
        peer.say([0x55; 600]).await;
        peer.fall_silent().await;
    })
    .await;
    assert!(
        matches!(garbage.end(), SessionEnd { stage: Stage::StartTls, why: EndReason::Tls(_) }),
        "{:?}",
        garbage.end()
    );

    let injection = meet(TlsPolicy::Try, |mut peer| async move {
        peer.open(&["220 hi", "250-mx\r\n250 STARTTLS", "220 go\r\n250 injected"]).await;
        peer.fall_silent().await;
    })
    .await;
    let why = EndReason::Tls("clear text after the reply to STARTTLS".to_owned());
    assert_eq!(injection.end(), &ended(Stage::StartTls, why));

    let silence = meet(TlsPolicy::Try, |mut peer| async move {
        peer.open(&["220 hi", "250-mx\r\n250 STARTTLS", "220 go"]).await;
        let mut hello = [0; 1];
        peer.0.read_exact(&mut hello).await.unwrap();
        peer.fall_silent().await;
    })
    .await;
    assert_eq!(silence.end(), &ended(Stage::StartTls, EndReason::TimedOut));
    assert_eq!(silence.took, Stage::StartTls.time_limit());

    let gone = meet(TlsPolicy::Try, |mut peer| async move {
        peer.open(&["220 hi", "250-mx\r\n250 STARTTLS", "220 go"]).await;
    })
    .await;
    assert!(
        matches!(gone.end(), SessionEnd { stage: Stage::StartTls, why: EndReason::Tls(_) }),
        "{:?}",
        gone.end()
    );
}
