//! The only file that opens connections: dials, wraps in TLS, keeps the time limits, moves bytes between a stream and
//! a [`super::session::Session`].
//!
//! Decides: nothing about what is said or meant. Fails: as an [`super::session::Ended`], never otherwise.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

use super::egress::Path;

/// Anything that bytes can go through.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection on its way.
pub type Dialing<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>>;

/// Opens connections. The real one is here, a scripted one in [`crate::world`].
pub trait Dial: Send + Sync {
    /// Connects to an exchanger's address. The address was checked by [`crate::route::public`] before.
    fn dial<'a>(&'a self, to: SocketAddr, path: &'a Path) -> Dialing<'a>;
}
