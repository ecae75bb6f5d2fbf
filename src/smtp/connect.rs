//! The only file that opens connections: straight, from a chosen source address, or through a SOCKS5 proxy.
//!
//! Decides: nothing about what is said or meant, and not where to: [`crate::route::public`] judged the address before.
//! Fails: with the system's (or the proxy's) error; [`super::drive`] makes an [`super::session::SessionEnd`] of it and
//! keeps the time limit.
#![expect(clippy::disallowed_methods, reason = "this file owns the sockets")]

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_socks::tcp::Socks5Stream;

use super::egress::EgressPath;

/// Anything that bytes can go through.
pub trait MailStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> MailStream for T {}

/// A connection on its way.
pub type ConnectFuture<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn MailStream>>> + Send + 'a>>;

/// Opens connections. The real one is [`TcpConnector`], a scripted one in [`crate::world`].
pub trait Connect: Send + Sync {
    /// Connects to an exchanger's address. The address was checked by [`crate::route::public`] before.
    fn connect<'a>(&'a self, to: SocketAddr, path: &'a EgressPath) -> ConnectFuture<'a>;
}

/// The real network.
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
}

/// Does the system know a way to an address? Nothing is sent.
pub fn has_way_to(address: impl Into<IpAddr>) -> bool {
    let address = address.into();
    let any =
        if address.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    UdpSocket::bind((any, 0)).is_ok_and(|socket| socket.connect((address, 25)).is_ok())
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
    // A command is one small write, and its reply is waited for: nothing to collect.
    socket.set_nodelay(true)?;
    socket.connect(to).await
}

#[cfg(test)]
mod tests;
