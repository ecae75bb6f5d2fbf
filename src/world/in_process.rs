//! The mail servers of a world in process, and the driver between a [`ServerSession`] and any stream.
//!
//! Decides: nothing; it moves bytes and waits, on tokio's clock only. Fails: as connections do (refused, unreachable,
//! timed out, reset).

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

use super::network::World;
use super::script::ConnectBehavior;
use super::session::{ServerAction, ServerSession};
use crate::smtp::{Connect, ConnectFuture, EgressPath, MailStream};

/// How many bytes a connection buffers before its writer has to wait: about as many as a small TCP window.
const BUFFER_BYTES: usize = 64 * 1024;
/// How long Linux tries to connect to an address that does not answer (six retries of SYN).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(127);

impl Connect for World {
    fn connect<'a>(&'a self, to: SocketAddr, path: &'a EgressPath) -> ConnectFuture<'a> {
        Box::pin(async move {
            self.elapsed();
            let Some(host) = self.host_at(to.ip()) else {
                return Err(io::ErrorKind::HostUnreachable.into());
            };
            sleep(host.behavior.rtt).await;
            match host.behavior.connect {
                ConnectBehavior::Accepted => {}
                ConnectBehavior::Refused => return Err(io::ErrorKind::ConnectionRefused.into()),
                ConnectBehavior::Unreachable => return Err(io::ErrorKind::HostUnreachable.into()),
                ConnectBehavior::Timeout => {
                    sleep(CONNECT_TIMEOUT).await;
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            let (ours, mut theirs) = tokio::io::duplex(BUFFER_BYTES);
            let session = ServerSession::new(self.clone(), Arc::clone(host), client_address(path, self));
            let reset = Arc::new(AtomicBool::new(false));
            let end = ClientEnd { stream: ours, reset: Arc::clone(&reset) };
            tokio::spawn(async move {
                if serve_stream(&mut theirs, session).await == SessionEnding::Reset {
                    reset.store(true, Ordering::Release);
                }
            });
            Ok(Box::new(end) as Box<dyn MailStream>)
        })
    }

    fn source_toward(&self, to: IpAddr) -> Option<IpAddr> {
        Some(self.shared.sender.ip).filter(|own| own.is_ipv4() == to.is_ipv4())
    }
}

/// The address of the client that a host sees.
fn client_address(path: &EgressPath, world: &World) -> IpAddr {
    match path {
        EgressPath::Direct(source) => source.unwrap_or(world.shared.sender.ip),
        EgressPath::Socks5 { proxy, .. } => proxy.ip().unwrap_or(world.shared.sender.ip),
    }
}

/// How a session ended, for the owner of its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionEnding {
    /// Closed, by either side.
    Closed,
    /// The connection has to be reset.
    Reset,
}

enum Phase {
    Over(SessionEnding),
    Handshake,
}

/// Runs a session over a stream until the connection ends.
pub(super) async fn serve_stream<S: MailStream>(stream: &mut S, mut session: ServerSession) -> SessionEnding {
    match run_actions(stream, &mut session).await {
        Phase::Over(ending) => ending,
        Phase::Handshake => match acceptor() {
            Some(acceptor) => match acceptor.accept(stream).await {
                Ok(mut stream) => {
                    session.tls_established();
                    match run_actions(&mut stream, &mut session).await {
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

/// Performs the actions of a session until it ends or the TLS handshake starts. The replies to one read are sent in one
/// write.
async fn run_actions<S: MailStream>(stream: &mut S, session: &mut ServerSession) -> Phase {
    let rtt = session.host().behavior.rtt;
    let world = session.world().clone();
    let mut unsent = Vec::new();
    let mut buffer = vec![0; 4096];
    if receive_for(rtt, stream, session, &mut buffer).await.is_err() {
        return Phase::Over(SessionEnding::Closed);
    }
    loop {
        let action = session.next_action(world.elapsed());
        if let Some(ServerAction::Send(bytes)) = action {
            unsent.extend_from_slice(&bytes);
            continue;
        }
        if !unsent.is_empty() {
            if stream.write_all(&unsent).await.is_err() || stream.flush().await.is_err() {
                return Phase::Over(SessionEnding::Closed);
            }
            unsent.clear();
        }
        let result = match action {
            None => match receive(stream, session, &mut buffer).await {
                Ok(()) => receive_for(rtt, stream, session, &mut buffer).await,
                closed => closed,
            },
            Some(ServerAction::Send(_)) => Ok(()),
            Some(ServerAction::Wait(time)) => receive_for(time, stream, session, &mut buffer).await,
            Some(ServerAction::SendSlowly(bytes)) => send_slowly(stream, &bytes).await,
            Some(ServerAction::SendForever(bytes)) => send_forever(stream, bytes).await,
            Some(ServerAction::Silence) => loop {
                if let Err(closed) = receive(stream, session, &mut buffer).await {
                    break Err(closed);
                }
            },
            Some(ServerAction::StartTls) => return Phase::Handshake,
            Some(ServerAction::Close) => {
                // The client may have closed the connection already.
                let _ = stream.shutdown().await;
                return Phase::Over(SessionEnding::Closed);
            }
            Some(ServerAction::Reset) => return Phase::Over(SessionEnding::Reset),
        };
        if result.is_err() {
            return Phase::Over(SessionEnding::Closed);
        }
    }
}

/// Waits for bytes of the client, and passes them to the session. Fails if the connection is closed.
async fn receive<S: MailStream>(
    stream: &mut S,
    session: &mut ServerSession,
    buffer: &mut [u8],
) -> io::Result<()> {
    let count = stream.read(buffer).await?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    session.receive(&buffer[..count]);
    Ok(())
}

/// Waits for a time, and receives meanwhile.
async fn receive_for<S: MailStream>(
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
            received = receive(stream, session, buffer) => received?,
        }
    }
}

async fn send_slowly<S: MailStream>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte]).await?;
        stream.flush().await?;
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

async fn send_forever<S: MailStream>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    loop {
        stream.write_all(bytes).await?;
    }
}

/// TLS with a self-signed test certificate, which clients have to accept as that of any mail server. `None` only if the
/// TLS library rejects the certificate or its own provider.
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

/// The client's end of a connection in process: a pipe that can also end with a reset.
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

    /// Sends lines in one write, and reads until nothing more comes for a minute.
    async fn exchange(stream: &mut (impl MailStream + ?Sized), lines: &str) -> String {
        stream.write_all(lines.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count) = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut buffer)).await {
            match count {
                Ok(0) => break,
                Ok(count) => received.extend_from_slice(&buffer[..count]),
                Err(fault) => received.extend_from_slice(format!("{:?}", fault.kind()).as_bytes()),
            }
            if received.len() > 1_000_000 || received.ends_with(b"ConnectionReset") {
                break;
            }
        }
        String::from_utf8_lossy(&received).into_owned()
    }

    fn codes(received: &str) -> Vec<&str> {
        received.lines().map(|line| &line[..3.min(line.len())]).collect()
    }

    const JANE: &str = "HELO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<jane@acme.example>\r\nQUIT\r\n";

    #[tokio::test(start_paused = true)]
    async fn a_new_client_is_deferred_for_the_delay_of_the_greylist() {
        let world = World::parse(&format!("{ACME}\ngreylist = {{ delay = \"5m\" }}")).unwrap();
        let mut seen = Vec::new();
        for pause in [0, 299, 1] {
            sleep(Duration::from_secs(pause)).await;
            let mut stream = connect(&world).await.unwrap();
            let received = exchange(&mut *stream, JANE).await;
            seen.push(codes(&received).join(" "));
        }
        assert_eq!(seen, ["220 250 250 450 221", "220 250 250 450 221", "220 250 250 250 221"]);
        assert_eq!(world.elapsed(), Duration::from_secs(300));
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_costs_one_round_trip_and_each_command_its_delay() {
        let world = World::parse(&format!("{ACME}\nrtt = \"100ms\"\nthink = \"10ms\"")).unwrap();
        world.elapsed();
        let mut stream = connect(&world).await.unwrap();
        let received = exchange(&mut *stream, JANE).await;
        assert_eq!(codes(&received), ["220", "250", "250", "250", "221"]);
        // One round trip to connect, one to the greeting (the batch is in flight meanwhile), and four delays.
        assert_eq!(world.elapsed(), Duration::from_millis(240));
    }

    #[tokio::test(start_paused = true)]
    async fn each_connect_behavior_fails_in_its_way() {
        let table = [
            ("refused", io::ErrorKind::ConnectionRefused, 0),
            ("unreachable", io::ErrorKind::HostUnreachable, 0),
            ("timeout", io::ErrorKind::TimedOut, 127),
        ];
        for (behavior, kind, seconds) in table {
            let world = World::parse(&format!("{ACME}\nconnect = \"{behavior}\"")).unwrap();
            assert_eq!(connect(&world).await.err().map(|fault| fault.kind()), Some(kind), "{behavior}");
            assert_eq!(world.elapsed(), Duration::from_secs(seconds), "{behavior}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn misbehavior_arrives_as_on_a_socket() {
        let arrives = async |misbehavior: &str| {
            let rule = format!("{ACME}\n[[host.rule]]\nat = \"rcpt\"\ndo = \"{misbehavior}\"");
            let world = World::parse(&rule).unwrap();
            let mut stream = connect(&world).await.unwrap();
            (exchange(&mut *stream, JANE).await, world.elapsed())
        };
        assert_eq!(codes(&arrives("drop").await.0), ["220", "250", "250"]);
        assert!(arrives("reset").await.0.ends_with("ConnectionReset"));
        assert_eq!(codes(&arrives("silence").await.0), ["220", "250", "250"]);
        assert!(arrives("endless_reply").await.0.len() > 1_000_000);
        let (received, time) = arrives("drip").await;
        assert_eq!(codes(&received), ["220", "250", "250", "250", "221"]);
        assert_eq!(time, Duration::from_secs("250 2.1.5 Ok\r\n".len() as u64));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_notices_a_closed_connection() {
        let world =
            World::parse(&format!("{ACME}\nlimits = {{ connections = 1 }}\ntarpit = \"1h\"")).unwrap();
        let mut stream = connect(&world).await.unwrap();
        exchange(&mut *stream, "HELO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<no@acme.example>\r\n").await;
        drop(stream);
        sleep(Duration::from_secs(1)).await;
        let mut stream = connect(&world).await.unwrap();
        assert_eq!(codes(&exchange(&mut *stream, "QUIT\r\n").await), ["220", "221"]);
        assert!(
            world
                .observed()
                .violations()
                .keys()
                .all(|&violation| violation != crate::world::LimitViolation::Connections)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_requires_tls_can_be_probed_over_it() {
        let world = World::parse(&format!("{ACME}\ntls = \"required\"")).unwrap();
        let mut stream = connect(&world).await.unwrap();
        assert!(
            exchange(&mut *stream, "EHLO x\r\nSTARTTLS\r\n")
                .await
                .ends_with("220 2.0.0 Ready to start TLS\r\n")
        );
        let host = Domain::parse("mx.acme.example").unwrap();
        let mut stream = crate::smtp::handshake(stream, &host).await.unwrap();
        assert_eq!(codes(&exchange(&mut *stream, JANE).await), ["250", "250", "250", "221"]);
    }
}
