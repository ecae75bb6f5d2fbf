//! The world's mail servers in process, and the driver that moves bytes between a [`ServerSession`] and any stream.
//!
//! Waits on tokio's clock only. Fails: as a connection does (refused, unreachable, timed out, reset).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::World;
use super::script::ConnectBehavior;
use super::session::{ServerAction, ServerSession};
use crate::smtp::{self, Connect, ConnectFuture, EgressPath, MailStream};

/// What a connection holds before its writer has to wait, in bytes: about what a small TCP window does.
const BUFFER_BYTES: usize = 64 * 1024;
/// How long a system tries to connect to an address that does not answer (Linux, six SYN again).
const CONNECT_TIMES_OUT: Duration = Duration::from_secs(127);

impl Connect for World {
    fn connect<'a>(&'a self, to: SocketAddr, path: &'a EgressPath) -> ConnectFuture<'a> {
        Box::pin(async move {
            self.elapsed();
            let Some(host) = self.host_at(to.ip()) else {
                return Err(io::ErrorKind::HostUnreachable.into());
            };
            sleep(host.behaviour.rtt).await;
            match host.behaviour.connect {
                ConnectBehavior::Accepted => {}
                ConnectBehavior::Refused => return Err(io::ErrorKind::ConnectionRefused.into()),
                ConnectBehavior::Unreachable => return Err(io::ErrorKind::HostUnreachable.into()),
                ConnectBehavior::Timeout => {
                    sleep(CONNECT_TIMES_OUT).await;
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            let (ours, mut theirs) = tokio::io::duplex(BUFFER_BYTES);
            let session = ServerSession::new(self.clone(), Arc::clone(host), client_of(path, self));
            let reset = Arc::new(AtomicBool::new(false));
            let end = ClientEnd { stream: ours, reset: Arc::clone(&reset) };
            tokio::spawn(async move {
                if converse(&mut theirs, session).await == SessionEnding::Reset {
                    reset.store(true, Ordering::Release);
                }
            });
            Ok(Box::new(end) as Box<dyn MailStream>)
        })
    }
}

fn client_of(path: &EgressPath, world: &World) -> IpAddr {
    match path {
        EgressPath::Direct(source) => source.unwrap_or(world.shared.sender.ip),
        EgressPath::Socks5 { proxy, .. } => proxy.ip(),
    }
}

/// How a conversation ended, for who owns the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnding {
    /// Hung up, by either side.
    Closed,
    /// To be reset.
    Reset,
}

enum Phase {
    Over(SessionEnding),
    Handshake,
}

/// Speaks for a host until the connection is over.
pub async fn converse<S: MailStream>(stream: &mut S, mut session: ServerSession) -> SessionEnding {
    match speak(stream, &mut session).await {
        Phase::Over(ending) => ending,
        Phase::Handshake => match acceptor() {
            Some(acceptor) => match acceptor.accept(stream).await {
                Ok(mut stream) => {
                    session.is_secured();
                    match speak(&mut stream, &mut session).await {
                        Phase::Over(ending) => ending,
                        Phase::Handshake => SessionEnding::Closed,
                    }
                }
                Err(_) => SessionEnding::Closed,
            },
            None => SessionEnding::Closed,
        },
    }
}

/// Does what the session says, until it is over or TLS begins. Answers to one read leave as one write.
async fn speak<S: MailStream>(stream: &mut S, session: &mut ServerSession) -> Phase {
    let rtt = session.host().behaviour.rtt;
    let world = session.world().clone();
    let mut unsent = Vec::new();
    let mut buffer = vec![0; 4096];
    if listen_for(rtt, stream, session, &mut buffer).await.is_err() {
        return Phase::Over(SessionEnding::Closed);
    }
    loop {
        let act = session.next(world.elapsed());
        if let Some(ServerAction::Say(bytes)) = act {
            unsent.extend_from_slice(&bytes);
            continue;
        }
        if !unsent.is_empty() {
            if stream.write_all(&unsent).await.is_err() || stream.flush().await.is_err() {
                return Phase::Over(SessionEnding::Closed);
            }
            unsent.clear();
        }
        let went_on = match act {
            None => match read(stream, session, &mut buffer).await {
                Ok(()) => listen_for(rtt, stream, session, &mut buffer).await,
                gone => gone,
            },
            Some(ServerAction::Say(_)) => Ok(()),
            Some(ServerAction::Wait(time)) => listen_for(time, stream, session, &mut buffer).await,
            Some(ServerAction::Drip(bytes)) => drip(stream, &bytes).await,
            Some(ServerAction::SayForEver(bytes)) => say_for_ever(stream, bytes).await,
            Some(ServerAction::Silence) => loop {
                if let Err(gone) = read(stream, session, &mut buffer).await {
                    break Err(gone);
                }
            },
            Some(ServerAction::StartTls) => return Phase::Handshake,
            Some(ServerAction::Close) => {
                // The client may have hung up already.
                let _ = stream.shutdown().await;
                return Phase::Over(SessionEnding::Closed);
            }
            Some(ServerAction::Reset) => return Phase::Over(SessionEnding::Reset),
        };
        if went_on.is_err() {
            return Phase::Over(SessionEnding::Closed);
        }
    }
}

/// Waits for the client to say something.
async fn read<S: MailStream>(
    stream: &mut S,
    session: &mut ServerSession,
    buffer: &mut [u8],
) -> io::Result<()> {
    let count = stream.read(buffer).await?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    session.hear(&buffer[..count]);
    Ok(())
}

/// Lets time pass, and takes what the client says meanwhile.
async fn listen_for<S: MailStream>(
    time: Duration,
    stream: &mut S,
    session: &mut ServerSession,
    buffer: &mut [u8],
) -> io::Result<()> {
    if time.is_zero() {
        return Ok(());
    }
    let end = Instant::now() + time;
    loop {
        tokio::select! {
            () = sleep_until(end) => return Ok(()),
            heard = read(stream, session, buffer) => heard?,
        }
    }
}

async fn drip<S: MailStream>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte]).await?;
        stream.flush().await?;
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

async fn say_for_ever<S: MailStream>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    loop {
        stream.write_all(bytes).await?;
    }
}

/// TLS with a certificate that nobody vouches for, made for this purpose: a verifier encrypts, and can't ask more of
/// strangers. `None` only if the library refused its own ring provider.
fn acceptor() -> Option<TlsAcceptor> {
    static CONFIG: OnceLock<Option<Arc<ServerConfig>>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let certificate = CertificateDer::from(include_bytes!("test_cert.der").as_slice());
        let key = PrivatePkcs8KeyDer::from(include_bytes!("test_key.der").as_slice());
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .ok()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key.into())
            .ok()?;
        Some(Arc::new(config))
    });
    config.clone().map(TlsAcceptor::from)
}

/// The client's end of a connection in process: a pipe that can also end in a reset.
struct ClientEnd {
    stream: DuplexStream,
    reset: Arc<AtomicBool>,
}

impl AsyncRead for ClientEnd {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let at_end = buffer.filled().len() == before && buffer.remaining() > 0;
        if at_end && self.reset.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientEnd {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Domain;

    const ACME: &str = r#"
        [[domain]]
        name = "acme.example"
        mx = ["10 mx.acme.example"]
        mailboxes = ["jane"]
        [[host]]
        name = "mx.acme.example"
        address = ["192.0.2.1"]
    "#;

    async fn connect(world: &World) -> io::Result<Box<dyn MailStream>> {
        world.connect("192.0.2.1:25".parse().unwrap(), &EgressPath::Direct(None)).await
    }

    /// Sends lines at once and reads until nothing more comes for a minute.
    async fn say(stream: &mut (impl MailStream + ?Sized), lines: &str) -> String {
        stream.write_all(lines.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count) = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut buffer)).await {
            match count {
                Ok(0) => break,
                Ok(count) => heard.extend_from_slice(&buffer[..count]),
                Err(fault) => heard.extend_from_slice(format!("{:?}", fault.kind()).as_bytes()),
            }
            if heard.len() > 1_000_000 || heard.ends_with(b"ConnectionReset") {
                break;
            }
        }
        String::from_utf8_lossy(&heard).into_owned()
    }

    fn codes(heard: &str) -> Vec<&str> {
        heard.lines().map(|line| &line[..3.min(line.len())]).collect()
    }

    const JANE: &str = "HELO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<jane@acme.example>\r\nQUIT\r\n";

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_waits_as_long_as_the_greylist_says_and_not_longer() {
        let world = World::parse(&format!("{ACME}\ngreylist = {{ delay = \"5m\" }}")).unwrap();
        let mut seen = Vec::new();
        for pause in [0, 299, 1] {
            sleep(Duration::from_secs(pause)).await;
            let mut stream = connect(&world).await.unwrap();
            let heard = say(&mut *stream, JANE).await;
            seen.push(codes(&heard).join(" "));
        }
        assert_eq!(seen, ["220 250 250 450 221", "220 250 250 450 221", "220 250 250 250 221"]);
        assert_eq!(world.elapsed(), Duration::from_secs(300));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flight_costs_one_round_trip_and_each_command_its_thought() {
        let world = World::parse(&format!("{ACME}\nrtt = \"100ms\"\nthink = \"10ms\"")).unwrap();
        world.elapsed();
        let mut stream = connect(&world).await.unwrap();
        let heard = say(&mut *stream, JANE).await;
        assert_eq!(codes(&heard), ["220", "250", "250", "250", "221"]);
        // One to connect, one to the greeting (the flight is on its way meanwhile), four thoughts.
        assert_eq!(world.elapsed(), Duration::from_millis(240));
    }

    #[tokio::test(start_paused = true)]
    async fn connections_fail_as_connections_do() {
        let table = [
            ("refused", io::ErrorKind::ConnectionRefused, 0),
            ("unreachable", io::ErrorKind::HostUnreachable, 0),
            ("timeout", io::ErrorKind::TimedOut, 127),
        ];
        for (connect, kind, seconds) in table {
            let world = World::parse(&format!("{ACME}\nconnect = \"{connect}\"")).unwrap();
            assert_eq!(connect(&world).await.err().map(|fault| fault.kind()), Some(kind), "{connect}");
            assert_eq!(world.elapsed(), Duration::from_secs(seconds), "{connect}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn deeds_arrive_as_they_would_on_a_wire() {
        let arrives = async |deed: &str| {
            let rule = format!("{ACME}\n[[host.rule]]\nat = \"rcpt\"\ndo = \"{deed}\"");
            let world = World::parse(&rule).unwrap();
            let mut stream = connect(&world).await.unwrap();
            (say(&mut *stream, JANE).await, world.elapsed())
        };
        assert_eq!(codes(&arrives("drop").await.0), ["220", "250", "250"]);
        assert!(arrives("reset").await.0.ends_with("ConnectionReset"));
        assert_eq!(codes(&arrives("silence").await.0), ["220", "250", "250"]);
        assert!(arrives("endless_reply").await.0.len() > 1_000_000);
        let (heard, time) = arrives("drip").await;
        assert_eq!(codes(&heard), ["220", "250", "250", "250", "221"]);
        assert_eq!(time, Duration::from_secs("250 2.1.5 Ok\r\n".len() as u64));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_notices_that_its_client_left() {
        let world =
            World::parse(&format!("{ACME}\nlimits = {{ connections = 1 }}\ntarpit = \"1h\"")).unwrap();
        let mut stream = connect(&world).await.unwrap();
        say(&mut *stream, "HELO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<no@acme.example>\r\n").await;
        drop(stream);
        sleep(Duration::from_secs(1)).await;
        let mut stream = connect(&world).await.unwrap();
        assert_eq!(codes(&say(&mut *stream, "QUIT\r\n").await), ["220", "221"]);
        assert!(
            world
                .heard()
                .violations()
                .keys()
                .all(|&wrong| wrong != crate::world::LimitViolation::Connections)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_demands_tls_can_be_asked_over_it() {
        let world = World::parse(&format!("{ACME}\ntls = \"required\"")).unwrap();
        let mut stream = connect(&world).await.unwrap();
        assert!(
            say(&mut *stream, "EHLO x\r\nSTARTTLS\r\n").await.ends_with("220 2.0.0 Ready to start TLS\r\n")
        );
        let host = Domain::parse("mx.acme.example").unwrap();
        let mut stream = smtp::secure(stream, &host).await.unwrap();
        assert_eq!(codes(&say(&mut *stream, JANE).await), ["250", "250", "250", "221"]);
    }
}
