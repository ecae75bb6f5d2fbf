//! The world on real loopback sockets, in real time: for experiments, for tests with real resolvers, for tests that
//! kill runs. Each address of a host has its own 127.x.y.z ([`World::loopback`]), and DNS answers contain these.
//!
//! Must not: listen on other addresses than loopback. Fails: before anything is served, if an address cannot be bound.
//! Can't do: time-outs and missing routes; such hosts refuse connections here.
#![expect(clippy::disallowed_methods, reason = "this file owns the listeners")]

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::build::WorldError;
use super::host::ScriptedHost;
use super::in_process::{SessionEnding, serve_stream};
use super::network::World;
use super::packet::{DnsPacket, answer};
use super::script::ConnectBehavior;
use super::session::ServerSession;

/// The pause after a failed accept. If no file descriptors are left, other connections need time to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The largest UDP query that is accepted, in bytes.
const MAX_QUERY_BYTES: usize = 4096;
/// How many connections may wait to be accepted. If this queue is full, a client may wait for its greeting forever.
const BACKLOG: u32 = 4096;
/// The number of attempts to find a port that is free for UDP and TCP.
const PORT_TRIES: usize = 16;

/// A world with bound sockets, ready to serve.
pub struct WorldServer {
    world: World,
    dns: SocketAddr,
    udp: UdpSocket,
    tcp: TcpListener,
    smtp_port: u16,
    hosts: Vec<(Arc<ScriptedHost>, TcpListener)>,
}

impl WorldServer {
    /// Binds the name server and all hosts. Port 0 chooses a free port: see [`WorldServer::dns`] and
    /// [`WorldServer::smtp_port`].
    pub async fn bind(world: World, dns: SocketAddr, smtp_port: u16) -> Result<WorldServer, WorldError> {
        if !dns.ip().is_loopback() {
            return Err(WorldError::NotLoopback(dns));
        }
        let (udp, tcp, dns) = bind_dns(dns).await?;
        let mut smtp_port = smtp_port;
        let mut hosts = Vec::new();
        for host in world.hosts() {
            if host.behavior.connect != ConnectBehavior::Accepted {
                continue;
            }
            for address in host.addresses.iter().filter_map(|&address| world.loopback(address)) {
                let (listener, at) = listen((address, smtp_port).into())?;
                smtp_port = at.port();
                hosts.push((Arc::clone(host), listener));
            }
        }
        Ok(WorldServer { world, dns, udp, tcp, smtp_port, hosts })
    }

    /// The address of the name server, for UDP and TCP.
    pub fn dns(&self) -> SocketAddr {
        self.dns
    }

    /// The port on which every host listens.
    pub fn smtp_port(&self) -> u16 {
        self.smtp_port
    }

    /// Serves until `stop` is ready. Sessions that are open then are cut off and logged.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        // Starts the clock now, so that the times of the log are those of the real clock.
        self.world.elapsed();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(self.world.clone(), Arc::new(self.udp)));
        tasks.spawn(serve_tcp(self.world.clone(), self.tcp));
        for (host, listener) in self.hosts {
            tasks.spawn(serve_smtp(self.world.clone(), host, listener));
        }
        stop.await;
        tasks.shutdown().await;
    }
}

async fn bind_dns(at: SocketAddr) -> Result<(UdpSocket, TcpListener, SocketAddr), WorldError> {
    let mut tries = if at.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let bound = UdpSocket::bind(at).await.and_then(|udp| Ok((udp.local_addr()?, udp)));
        let (address, udp) = bound.map_err(|source| WorldError::Taken { at, source })?;
        match listen(address) {
            Ok((tcp, _)) => return Ok((udp, tcp, address)),
            Err(fault) if tries == 0 => return Err(fault),
            Err(_) => {}
        }
    }
}

fn listen(at: SocketAddr) -> Result<(TcpListener, SocketAddr), WorldError> {
    let bind = || {
        let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(at)?;
        let listener = socket.listen(BACKLOG)?;
        Ok((listener.local_addr()?, listener))
    };
    let (address, listener) = bind().map_err(|source| WorldError::Taken { at, source })?;
    Ok((listener, address))
}

async fn serve_udp(world: World, socket: Arc<UdpSocket>) {
    let mut delayed = JoinSet::new();
    let mut buffer = vec![0; MAX_QUERY_BYTES];
    loop {
        // An error here is about an earlier answer, whose client has closed its socket.
        let Ok((count, client)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let Some(DnsPacket { packet, delay }) = answer(&world, &buffer[..count], false) else {
            continue;
        };
        if delay.is_zero() {
            let _ = socket.send_to(&packet, client).await;
        } else {
            let socket = Arc::clone(&socket);
            delayed.spawn(async move {
                sleep(delay).await;
                let _ = socket.send_to(&packet, client).await;
            });
        }
        while delayed.try_join_next().is_some() {}
    }
}

async fn serve_tcp(world: World, listener: TcpListener) {
    accept(listener, |stream, _| answer_stream(world.clone(), stream)).await;
}

async fn answer_stream(world: World, mut stream: TcpStream) {
    loop {
        let Ok(length) = stream.read_u16().await else {
            return;
        };
        let mut query = vec![0; usize::from(length)];
        if stream.read_exact(&mut query).await.is_err() {
            return;
        }
        let Some(DnsPacket { packet, delay }) = answer(&world, &query, true) else {
            continue;
        };
        sleep(delay).await;
        let Ok(length) = u16::try_from(packet.len()) else {
            return;
        };
        if stream.write_all(&[&length.to_be_bytes()[..], &packet].concat()).await.is_err() {
            return;
        }
    }
}

async fn serve_smtp(world: World, host: Arc<ScriptedHost>, listener: TcpListener) {
    accept(listener, |mut stream, client| {
        let session = ServerSession::new(world.clone(), Arc::clone(&host), client);
        async move {
            // All replies to a batch are one write already, so that Nagle's algorithm would only add delay.
            let _ = stream.set_nodelay(true);
            if serve_stream(&mut stream, session).await == SessionEnding::Reset {
                let _ = stream.set_zero_linger();
            }
        }
    })
    .await;
}

/// Accepts connections forever. When this future is dropped, its connections end.
async fn accept<F>(listener: TcpListener, serve: impl Fn(TcpStream, IpAddr) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut open = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                open.spawn(serve(stream, client.ip()));
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
        while open.try_join_next().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::observed::tests::MemoryLog;
    use tokio::io::BufReader;

    const WORLD: &str = r#"
        [[domain]]
        name = "d{1..50}.example"
        mx = ["10 mx{n%2}.op.example"]
        mailboxes = ["jane"]
        [[host]]
        name = "mx{0..1}.op.example"
        [[host]]
        name = "dead.op.example"
        connect = "refused"
    "#;

    #[tokio::test]
    async fn only_loopback_is_served() {
        let world = World::parse(WORLD).unwrap();
        let fault = WorldServer::bind(world, "0.0.0.0:0".parse().unwrap(), 0).await.err().unwrap();
        assert!(fault.to_string().starts_with("a world is served on loopback only"), "{fault}");
    }

    #[tokio::test]
    async fn hosts_listen_at_the_addresses_in_dns_answers() {
        let world = World::parse(WORLD).unwrap();
        let log = MemoryLog::default();
        world.log_to(Box::new(log.clone()));
        let server = WorldServer::bind(world.clone(), "127.0.0.1:0".parse().unwrap(), 0).await.unwrap();
        let (dns, port) = (server.dns(), server.smtp_port());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(server.run(async { drop(stopped.await) }));

        let query = crate::world::packet::tests::query("mx1.op.example.");
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(&query, dns).await.unwrap();
        let mut packet = [0; 512];
        let count = socket.recv(&mut packet).await.unwrap();
        assert_eq!(packet[count - 4..count], [127, 1, 0, 2]);

        let mut stream = TcpStream::connect(dns).await.unwrap();
        stream.write_u16(u16::try_from(query.len()).unwrap()).await.unwrap();
        stream.write_all(&query).await.unwrap();
        let mut answer = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, packet[..count]);

        let mut clients = JoinSet::new();
        for n in 1..=50 {
            clients.spawn(async move {
                let stream = TcpStream::connect(("127.1.0.2", port)).await.unwrap();
                let mut lines = BufReader::new(stream);
                lines.write_all(b"EHLO x\r\nMAIL FROM:<a@example.org>\r\n").await.unwrap();
                lines.write_all(format!("RCPT TO:<jane@d{n}.example>\r\nQUIT\r\n").as_bytes()).await.unwrap();
                let mut replies = String::new();
                lines.read_to_string(&mut replies).await.unwrap();
                replies.contains("250 2.1.5 Ok")
            });
        }
        let accepted = clients.join_all().await.into_iter().filter(|&yes| yes).count();
        assert_eq!(accepted, 25, "half of the domains lead to the other host");
        assert!(TcpStream::connect(("127.1.0.3", port)).await.is_err());

        drop(stop);
        serving.await.unwrap();
        let observed = world.observed();
        assert_eq!((observed.sessions(), observed.rcpts()), (50, 50));
        assert_eq!(observed.queries[&("mx1.op.example".to_owned(), "A")], 2);
        assert_eq!(log.lines().len(), 52);
    }
}
