//! Opens connections: directly, from a chosen source address, or through a SOCKS5 proxy. No other file does.
//!
//! Decides: nothing. Must not: choose the target; [`crate::route`] has checked that its address is public.
//! Fails: with the error of the system or of the proxy. [`super::drive`] turns it into a
//! [`SessionEnd`](super::SessionEnd), and enforces the time limit.
#![expect(clippy::disallowed_methods, reason = "this file owns the sockets")]

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_socks::Error as Socks;
use tokio_socks::tcp::Socks5Stream;

use super::egress::{EgressPath, ProxyAddress};

/// How long a proxy may take until the login is done, before a run begins.
const PROXY_LIMIT: Duration = Duration::from_secs(20);

/// A byte stream to and from a mail server: TCP, TLS, a proxy, or a pipe in memory.
pub trait MailStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> MailStream for T {}

/// A boxed connect.
pub(crate) type ConnectFuture<'a> =
    Pin<Box<dyn Future<Output = io::Result<Box<dyn MailStream>>> + Send + 'a>>;

/// A boxed visit to a proxy.
pub(crate) type ProxyFuture<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;

/// A proxy that is down, rejects the login or does not allow the connection. It is no fact about the mail server.
#[derive(Debug, thiserror::Error)]
#[error("proxy `{proxy}`: {what}")]
pub(crate) struct ProxyFault {
    proxy: ProxyAddress,
    what: String,
}

/// Opens connections: [`TcpConnector`] on the real network, [`World`](crate::world::World) in a scripted one.
pub trait Connect: Send + Sync {
    /// Connects to an address of an MX host. [`crate::route`] has checked the address before.
    fn connect<'a>(&'a self, to: SocketAddr, path: &'a EgressPath) -> ConnectFuture<'a>;

    /// Connects to the proxy of a path, and logs in. Fails with what is wrong with the proxy; a path without one is fine.
    fn reach_proxy<'a>(&'a self, _path: &'a EgressPath) -> ProxyFuture<'a> {
        Box::pin(async { Ok(()) })
    }

    /// The local address from which a direct connection to an address leaves; `None` without a route. Nothing is sent.
    fn source_toward(&self, _to: IpAddr) -> Option<IpAddr> {
        None
    }
}

/// Opens connections on the real network.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpConnector;

impl Connect for TcpConnector {
    fn connect<'a>(&'a self, to: SocketAddr, path: &'a EgressPath) -> ConnectFuture<'a> {
        Box::pin(async move {
            match path {
                EgressPath::Direct(source) => {
                    Ok(Box::new(connect(to, *source).await?) as Box<dyn MailStream>)
                }
                EgressPath::Socks5 { proxy, login } => {
                    let stream = connect_to_proxy(proxy).await?;
                    let through = match login {
                        None => Socks5Stream::connect_with_socket(stream, to).await,
                        Some((user, password)) => {
                            Socks5Stream::connect_with_password_and_socket(stream, to, user, password).await
                        }
                    };
                    match through {
                        Ok(stream) => Ok(Box::new(stream) as Box<dyn MailStream>),
                        // The proxy tried, and the mail server did not answer it.
                        Err(
                            fault @ (Socks::NetworkUnreachable
                            | Socks::HostUnreachable
                            | Socks::ConnectionRefused
                            | Socks::TtlExpired),
                        ) => Err(io::Error::other(format!("proxy `{proxy}`: {fault}"))),
                        Err(fault) => Err(proxy_fault(proxy, &fault)),
                    }
                }
            }
        })
    }

    fn reach_proxy<'a>(&'a self, path: &'a EgressPath) -> ProxyFuture<'a> {
        Box::pin(async move {
            let EgressPath::Socks5 { proxy, login } = path else { return Ok(()) };
            let login = login.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
            let reach = async {
                let mut stream = connect_to_proxy(proxy).await?;
                log_in(&mut stream, login).await.map_err(|fault| proxy_fault(proxy, &fault))
            };
            timeout(PROXY_LIMIT, reach).await.unwrap_or_else(|_| {
                let silent = format!("it does not answer within {} s", PROXY_LIMIT.as_secs());
                Err(proxy_fault(proxy, &io::Error::other(silent)))
            })
        })
    }

    fn source_toward(&self, to: IpAddr) -> Option<IpAddr> {
        source_toward(to)
    }
}

fn proxy_fault(proxy: &ProxyAddress, fault: &dyn std::error::Error) -> io::Error {
    io::Error::other(ProxyFault { proxy: proxy.clone(), what: fault.to_string() })
}

/// True for an error of the proxy itself, not of the mail server behind it.
pub(super) fn is_proxy_fault(fault: &io::Error) -> bool {
    fault.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<ProxyFault>)
}

async fn connect_to_proxy(proxy: &ProxyAddress) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    let addresses = lookup_host(proxy.as_str()).await.map_err(|fault| proxy_fault(proxy, &fault))?;
    for address in addresses {
        match connect(address, None).await {
            Ok(stream) => return Ok(stream),
            Err(fault) => last = fault,
        }
    }
    Err(proxy_fault(proxy, &last))
}

/// The first two steps of SOCKS5: the choice of the method (RFC 1928 3) and the login (RFC 1929 2).
async fn log_in(stream: &mut TcpStream, login: Option<(&str, &str)>) -> io::Result<()> {
    let methods: &[u8] = if login.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
    stream.write_all(methods).await?;
    let mut choice = [0; 2];
    stream.read_exact(&mut choice).await?;
    let fault = |what: &str| Err(io::Error::other(what.to_owned()));
    match (choice, login) {
        ([5, 0], _) => Ok(()),
        ([5, 2], Some((user, password))) => {
            let mut request = vec![1];
            for part in [user, password] {
                request.push(u8::try_from(part.len()).map_err(io::Error::other)?);
                request.extend_from_slice(part.as_bytes());
            }
            stream.write_all(&request).await?;
            let mut answer = [0; 2];
            stream.read_exact(&mut answer).await?;
            if answer[1] == 0 { Ok(()) } else { fault("it rejects the user or the password") }
        }
        ([5, _], None) => fault("it demands a user and a password"),
        ([5, _], Some(_)) => fault("it offers no login with a user and a password"),
        _ => fault("it does not speak SOCKS5"),
    }
}

/// True if the system has a route to the address. Nothing is sent.
pub(crate) fn has_route_to(address: impl Into<IpAddr>) -> bool {
    source_toward(address.into()).is_some()
}

/// The local address toward another one. Connecting a UDP socket only looks up the route.
fn source_toward(address: IpAddr) -> Option<IpAddr> {
    let unspecified =
        if address.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((unspecified, 0)).ok()?;
    socket.connect((address, 25)).ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}

/// True if connections can leave from the address: it is one of this machine. Nothing is sent.
pub(crate) fn is_own_address(address: IpAddr) -> bool {
    let bound = UdpSocket::bind((address, 0));
    !bound.is_err_and(|fault| fault.kind() == io::ErrorKind::AddrNotAvailable)
}

async fn connect(to: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = match to {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(source) = source {
        if source.is_ipv4() != to.is_ipv4() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("`{to}` can't be reached from source address `{source}`: the families differ"),
            ));
        }
        socket.bind(SocketAddr::new(source, 0))?;
    }
    // Each command is one small write whose reply we wait for, so that Nagle's algorithm would only add delay.
    socket.set_nodelay(true)?;
    socket.connect(to).await
}

#[cfg(test)]
mod tests;
