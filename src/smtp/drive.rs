//! Drives one session over one connection: connects, moves bytes, enforces the time limits, passes commands and events.
//!
//! Decides: when a time limit has passed. Must not: decide what is sent, what a reply means, or whether to retry.
//! Fails: with a [`SessionEnd`], which is the last event of every session. Memory stays bounded whatever the server
//! sends, by the limits of [`super::reply`].

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::connect::{Connect, MailStream, is_proxy_fault};
use super::egress::EgressPath;
use super::session::{
    ClientIdentity, ClientSession, EndReason, SessionCommand, SessionEnd, SessionOutput, SmtpEvent,
};
use super::stage::Stage;
use super::tls;
use super::transcript::Transcript;
use crate::address::Domain;

/// How many bytes are read at a time. The buffer is on the stack, because thousands of sessions must fit into memory;
/// the replies of a batch mostly fit into one read.
const READ_BYTES: usize = 4096;

/// How long the last bytes (a QUIT whose reply is not awaited) may take to be sent.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// The server to connect to, and how.
#[derive(Clone, Debug)]
pub struct SessionRequest<'a> {
    /// The name of the MX host, for SNI.
    pub host: &'a Domain,
    /// The address of the MX host, checked by [`crate::route`]; it is not resolved again.
    pub to: SocketAddr,
    /// Source address or proxy.
    pub path: &'a EgressPath,
    /// HELO name, sender, TLS policy.
    pub identity: ClientIdentity,
    /// The time limits.
    pub timeouts: SmtpTimeouts,
}

/// The time limits of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmtpTimeouts {
    /// For opening the connection.
    pub connect: Duration,
    /// For one complete reply; the limit of the stage ([`Stage::time_limit`]) applies if it is shorter.
    pub reply: Duration,
    /// For the whole session, from the open connection on. A session between batches then sends QUIT; any other session
    /// is cut off.
    pub session: Duration,
}

impl Default for SmtpTimeouts {
    fn default() -> SmtpTimeouts {
        SmtpTimeouts {
            connect: Duration::from_secs(30),
            reply: Duration::from_secs(5 * 60),
            session: Duration::from_secs(10 * 60),
        }
    }
}

/// Runs a session from connecting to its end. Takes a command from `commands` whenever the session is idle, and sends
/// QUIT once all their senders are dropped. Calls `emit` with each event as it happens.
pub async fn drive_session(
    connector: &dyn Connect,
    request: SessionRequest<'_>,
    mut commands: mpsc::Receiver<SessionCommand>,
    mut emit: impl FnMut(SmtpEvent),
    mut transcript: Option<&mut Transcript>,
) {
    let connecting = connector.connect(request.to, request.path);
    let connected = match timeout(request.timeouts.connect, connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(fault)) if is_proxy_fault(&fault) => Err(EndReason::Proxy(fault.to_string())),
        Ok(Err(fault)) => Err(EndReason::Connect(fault.to_string())),
        Err(_) => {
            let limit_s = request.timeouts.connect.as_secs();
            Err(EndReason::Connect(format!("no connection within {limit_s} s")))
        }
    };
    let stream = match connected {
        Ok(stream) => stream,
        Err(reason) => {
            if let Some(transcript) = &mut transcript {
                transcript.note(format!("{}: {reason}", request.to));
            }
            return emit(SmtpEvent::Ended(SessionEnd { stage: Stage::Connect, reason }));
        }
    };
    let mut connection = DrivenConnection::new(stream, transcript);
    connection.note(&format!("connected to {}", request.to));
    let mut session = ClientSession::new(request.identity);
    let mut deadlines = Deadlines::new(request.timeouts);
    let mut timer = pin!(sleep_until(deadlines.next(&session)));
    loop {
        while let Some(output) = session.poll() {
            match output {
                SessionOutput::Send(bytes) => connection.queue(bytes),
                SessionOutput::StartTls => {
                    match timeout_at(deadlines.next(&session), connection.start_tls(request.host)).await {
                        Ok(Ok(())) => session.tls_established(),
                        Ok(Err(fault)) => session.tls_failed(fault),
                        Err(_) => session.timed_out(),
                    }
                }
                SessionOutput::Emit(event) => {
                    if let SmtpEvent::Ended(end) = &event {
                        // A QUIT may be unsent, to a server that rejected the session.
                        let _ = timeout(LAST_WRITE, connection.send()).await;
                        connection.note(&end.reason.to_string());
                    }
                    emit(event);
                }
            }
        }
        if session.is_over() {
            return;
        }
        let due = deadlines.next(&session);
        if due < timer.deadline() {
            timer.as_mut().reset(due);
        }
        tokio::select! {
            biased;
            // Most deadlines move to a later time. A timer that fires too early is cheaper than one reset at each
            // reply.
            () = &mut timer => {
                if due > Instant::now() {
                    timer.as_mut().reset(due);
                } else if session.is_idle() {
                    session.submit(SessionCommand::Quit);
                } else {
                    session.timed_out();
                }
            }
            is_open = connection.exchange(&mut session) => if !is_open {
                session.connection_closed();
            },
            command = commands.recv(), if session.is_idle() => {
                session.submit(command.unwrap_or(SessionCommand::Quit));
            }
        }
    }
}

/// The deadlines of a session: one for each reply, which starts anew with each complete reply, and one for the session.
struct Deadlines {
    timeouts: SmtpTimeouts,
    session: Instant,
    reply: Instant,
    /// Stage and number of replies for which `reply` was set.
    reply_set_at: (Stage, u64),
}

impl Deadlines {
    fn new(timeouts: SmtpTimeouts) -> Deadlines {
        let now = Instant::now();
        Deadlines {
            timeouts,
            session: now + timeouts.session,
            reply: now + timeouts.reply.min(Stage::Connect.time_limit()),
            reply_set_at: (Stage::Connect, 0),
        }
    }

    /// The deadline that applies now.
    fn next(&mut self, session: &ClientSession) -> Instant {
        let Some(stage) = session.stage() else {
            return self.session;
        };
        let progress = (stage, session.reply_count());
        if self.reply_set_at != progress {
            self.reply_set_at = progress;
            self.reply = Instant::now() + self.timeouts.reply.min(stage.time_limit());
        }
        // QUIT may be sent after the deadline of the session, and has a short limit of its own.
        match stage {
            Stage::Quit => self.reply,
            _ => self.reply.min(self.session),
        }
    }
}

/// A stream with the bytes that wait to be sent on it.
struct DrivenConnection<'a> {
    stream: Box<dyn MailStream>,
    unsent: Vec<u8>,
    transcript: Option<&'a mut Transcript>,
}

impl<'a> DrivenConnection<'a> {
    fn new(stream: Box<dyn MailStream>, transcript: Option<&'a mut Transcript>) -> DrivenConnection<'a> {
        DrivenConnection { stream, unsent: Vec::new(), transcript }
    }

    fn note(&mut self, text: &str) {
        if let Some(transcript) = &mut self.transcript {
            transcript.note(text);
        }
    }

    /// Adds bytes to those that wait to be sent.
    fn queue(&mut self, bytes: Vec<u8>) {
        if let Some(transcript) = &mut self.transcript {
            transcript.sent(&bytes);
        }
        if self.unsent.is_empty() {
            self.unsent = bytes;
        } else {
            self.unsent.extend_from_slice(&bytes);
        }
    }

    /// Sends and receives concurrently, and passes received bytes to the session. A server may reply to the first
    /// commands of a batch before it reads the last ones. False if the connection is closed or broken. Can be cancelled
    /// at any time.
    async fn exchange(&mut self, session: &mut ClientSession) -> bool {
        poll_fn(|cx| {
            // A server that rejects us may close its side after a last reply. That reply is read even if sending fails.
            if let Poll::Ready(Err(_)) = self.poll_send(cx) {
                self.unsent.clear();
            }
            let mut space = [MaybeUninit::uninit(); READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut space);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
            let bytes = buffer.filled();
            if read.is_err() || bytes.is_empty() {
                return Poll::Ready(false);
            }
            if let Some(transcript) = &mut self.transcript {
                transcript.received(bytes);
            }
            session.receive(bytes);
            Poll::Ready(true)
        })
        .await
    }

    async fn send(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_send(cx)).await
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.unsent))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => drop(self.unsent.drain(..count)),
            }
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    async fn start_tls(&mut self, host: &Domain) -> Result<(), String> {
        self.send().await.map_err(|fault| fault.to_string())?;
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        self.stream = tls::handshake(plain, host).await?;
        self.note("encrypted");
        Ok(())
    }
}

#[cfg(test)]
mod tests;
