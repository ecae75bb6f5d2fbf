//! Holds one session over one connection: dials, moves bytes, keeps the time limits, hands over orders and events.
//!
//! Decides: when a server has had its time. Must not: decide what is said, what it means, or whether to try again.
//! Fails: as an [`SessionEnd`], always the last event and always there. Memory stays bounded whatever the server sends:
//! the caps of [`super::reply`].

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

use super::connect::{Connect, MailStream};
use super::egress::EgressPath;
use super::session::{
    ClientIdentity, ClientSession, EndReason, SessionCommand, SessionEnd, SessionOutput, SmtpEvent,
};
use super::stage::Stage;
use super::tls;
use super::transcript::Transcript;
use crate::address::Domain;

/// Bytes read at a time, on the stack: thousands of sessions must fit into memory. A flight's replies mostly fit.
const READ_BYTES: usize = 4096;

/// How long a goodbye that nobody answers may take to leave.
const GOODBYE: Duration = Duration::from_secs(1);

/// Whom to call, and how.
#[derive(Clone, Debug)]
pub struct SessionRequest<'a> {
    /// The exchanger's name, as TLS asks for it.
    pub host: &'a Domain,
    /// Its address, already judged by [`crate::route::public`]; it is not resolved again.
    pub to: SocketAddr,
    /// The way out.
    pub path: &'a EgressPath,
    /// How to present oneself.
    pub identity: ClientIdentity,
    /// How long to wait.
    pub limits: SmtpTimeouts,
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmtpTimeouts {
    /// For a connection.
    pub connect: Duration,
    /// For one whole reply, where it is shorter than the stage's own limit ([`Stage::time_limit`]).
    pub reply: Duration,
    /// For the whole session, from the connection on. One that is between flights then takes its leave, any other
    /// is cut.
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

/// Holds a session from dialing to its end. `orders` are taken one by one, whenever the session is idle; when all
/// their senders are gone it says QUIT. `tell` hears each event as it happens.
pub async fn hold(
    connect: &dyn Connect,
    call: SessionRequest<'_>,
    mut orders: mpsc::Receiver<SessionCommand>,
    mut tell: impl FnMut(SmtpEvent),
    transcript: Option<&mut Transcript>,
) {
    let mut line = match timeout(call.limits.connect, connect.connect(call.to, call.path)).await {
        Ok(Ok(stream)) => DrivenConnection::new(stream, transcript),
        Ok(Err(fault)) => return tell(not_connected(fault.to_string())),
        Err(_) => {
            let limit_s = call.limits.connect.as_secs();
            return tell(not_connected(format!("no connection within {limit_s} s")));
        }
    };
    line.note(&format!("connected to {}", call.to));
    let mut session = ClientSession::new(call.identity);
    let mut limit = Limit::new(call.limits);
    let mut alarm = pin!(sleep_until(limit.of(&session)));
    loop {
        while let Some(output) = session.poll() {
            match output {
                SessionOutput::Send(bytes) => line.say(bytes),
                SessionOutput::StartTls => match timeout_at(limit.of(&session), line.secure(call.host)).await
                {
                    Ok(Ok(())) => session.secured(),
                    Ok(Err(fault)) => session.tls_failed(fault),
                    Err(_) => session.timed_out(),
                },
                SessionOutput::Emit(event) => {
                    if let SmtpEvent::Ended(ended) = &event {
                        // A goodbye to a server that refused us. Nobody waits long for it to leave.
                        let _ = timeout(GOODBYE, line.send()).await;
                        line.note(&ended.why.to_string());
                    }
                    tell(event);
                }
            }
        }
        if session.is_over() {
            return;
        }
        let due = limit.of(&session);
        if due < alarm.deadline() {
            alarm.as_mut().reset(due);
        }
        tokio::select! {
            biased;
            // Limits mostly move away, and an alarm that rings too early is cheaper than one that is set for each reply.
            () = &mut alarm => {
                if due > Instant::now() {
                    alarm.as_mut().reset(due);
                } else if session.is_idle() {
                    session.order(SessionCommand::Quit);
                } else {
                    session.timed_out();
                }
            }
            is_open = line.exchange(&mut session) => if !is_open {
                session.closed();
            },
            order = orders.recv(), if session.is_idle() => session.order(order.unwrap_or(SessionCommand::Quit)),
        }
    }
}

fn not_connected(why: String) -> SmtpEvent {
    SmtpEvent::Ended(SessionEnd { stage: Stage::Connect, why: EndReason::Connect(why) })
}

/// When the server has had its time: a limit runs from one whole reply to the next, and one over all.
struct Limit {
    limits: SmtpTimeouts,
    session: Instant,
    /// Stage and number of replies when the limit for a reply began to run.
    of: (Stage, u64),
    reply: Instant,
}

impl Limit {
    fn new(limits: SmtpTimeouts) -> Limit {
        let now = Instant::now();
        Limit {
            limits,
            session: now + limits.session,
            of: (Stage::Connect, 0),
            reply: now + limits.reply.min(Stage::Connect.time_limit()),
        }
    }

    fn of(&mut self, session: &ClientSession) -> Instant {
        let Some(stage) = session.stage() else {
            return self.session;
        };
        let of = (stage, session.replies());
        if self.of != of {
            self.of = of;
            self.reply = Instant::now() + self.limits.reply.min(stage.time_limit());
        }
        // A goodbye may be said after the session's time is over, and has its own short limit.
        match stage {
            Stage::Quit => self.reply,
            _ => self.reply.min(self.session),
        }
    }
}

/// A stream with what waits to be sent on it.
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

    fn say(&mut self, bytes: Vec<u8>) {
        if let Some(transcript) = &mut self.transcript {
            transcript.said(&bytes);
        }
        if self.unsent.is_empty() {
            self.unsent = bytes;
        } else {
            self.unsent.extend_from_slice(&bytes);
        }
    }

    /// Sends what waits and lets the session hear what comes, at once: a server may answer the first commands of a flight
    /// before it takes the last ones. False when the connection is closed or broken. Can be cancelled at any time.
    async fn exchange(&mut self, session: &mut ClientSession) -> bool {
        poll_fn(|cx| {
            // A server that refuses us may close its side with a last reply in the pipe: failing to send is no
            // reason not to read.
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
                transcript.heard(bytes);
            }
            session.heard(bytes);
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

    async fn secure(&mut self, host: &Domain) -> Result<(), String> {
        self.send().await.map_err(|fault| fault.to_string())?;
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        self.stream = tls::secure(plain, host).await?;
        self.note("encrypted");
        Ok(())
    }
}

#[cfg(test)]
mod tests;
