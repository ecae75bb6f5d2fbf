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

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_socks::tcp::Socks5Stream;

use super::egress::EgressPath;

/// A byte stream to and from a mail server: TCP, TLS, a proxy, or a pipe in memory.
pub trait MailStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> MailStream for T {}

/// A boxed connect.
pub(crate) type ConnectFuture<'a> =
    Pin<Box<dyn Future<Output = io::Result<Box<dyn MailStream>>> + Send + 'a>>;

/// Opens connections: [`TcpConnector`] on the real network, [`World`](crate::world::World) in a scripted one.
pub trait Connect: Send + Sync {
    /// Connects to an address of an MX host. [`crate::route`] has checked the address before.
    fn connect<'a>(&'a self, to: SocketAddr, path: &'a EgressPath) -> ConnectFuture<'a>;

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
                    let stream = connect(*proxy, None).await?;
                    let through = match login {
                        None => Socks5Stream::connect_with_socket(stream, to).await,
                        Some((user, password)) => {
                            Socks5Stream::connect_with_password_and_socket(stream, to, user, password).await
                        }
                    };
                    match through {
                        Ok(stream) => Ok(Box::new(stream) as Box<dyn MailStream>),
                        Err(tokio_socks::Error::Io(fault)) => Err(fault),
                        Err(fault) => Err(io::Error::other(format!("proxy `{proxy}`: {fault}"))),
                    }
                }
            }
        })
    }

    fn source_toward(&self, to: IpAddr) -> Option<IpAddr> {
        source_toward(to)
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
