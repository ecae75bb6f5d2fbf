//! The client's dialogue as a state machine without sockets and clocks.
//!
//! Decides: which command is sent next (EHLO, HELO if EHLO is rejected, STARTTLS if wanted and offered, then batches of
//! transactions with RSET between transactions, QUIT), and which reply belongs to which command.
//! Must not: interpret replies, wait, retry.
//! Fails: with a [`SessionEnd`], whatever the server does.
//! Can't know: whether a reply that follows a command was meant for it. A reply that precedes its command, and a
//! surplus reply, end the session, at QUIT at the latest.
//!
//! This file defines the inputs and outputs, `machine` is the state machine, `capabilities` reads the EHLO reply.

mod capabilities;
mod machine;
#[cfg(test)]
mod tests;

use super::reply::{MalformedReply, Reply};
use super::stage::Stage;
use crate::address::{Address, Domain};
pub use capabilities::Capabilities;
pub use machine::ClientSession;

/// What a session shows to the server, and whether it uses TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The name in EHLO and HELO.
    pub helo: Domain,
    /// The envelope sender.
    pub sender: Address,
    /// Whether STARTTLS is used.
    pub tls: TlsPolicy,
    /// Send several commands together where the server offers it (RFC 2920).
    pub pipelining: bool,
}

/// Whether STARTTLS is used. It is opportunistic: a session never needs it, because nothing secret is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsPolicy {
    /// Never, even if it is offered.
    No,
    /// If it is offered. If the server then rejects STARTTLS, the session continues in clear text (RFC 3207 4).
    Try,
}

/// The id of a probe within its session. The scheduler assigns it, and the event with the reply carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProbeId(pub u64);

/// One recipient to probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RcptProbe {
    /// The event with the reply carries this id.
    pub id: ProbeId,
    /// The recipient.
    pub address: Address,
}

/// One MAIL FROM and its recipients, which belong to one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// At least one; a transaction without recipients is skipped.
    pub recipients: Vec<RcptProbe>,
}

/// Transactions whose commands are sent together if the server offers PIPELINING (RFC 2920), else one by one.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Batch {
    /// At least one; RSET is sent between two transactions.
    pub transactions: Vec<Transaction>,
    /// QUIT is the last command of the batch, which saves a round trip. The batch then finishes with
    /// [`SmtpEvent::Ended`].
    pub is_last: bool,
}

/// A command to a session. Commands are queued: each one starts when the one before it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionCommand {
    /// Send a batch.
    Send(Batch),
    /// Send QUIT and end.
    Quit,
}

/// What the owner of the connection has to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionOutput {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Perform the TLS handshake, then call [`ClientSession::tls_established`] or [`ClientSession::tls_failed`].
    StartTls,
    /// Report this event.
    Emit(SmtpEvent),
}

/// The outcome of one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeReply {
    /// The server replied to this recipient's RCPT.
    Rcpt(Reply),
    /// The server rejected the MAIL of the transaction. This is about us, never about the recipient.
    Mail(Reply),
    /// The recipient was not probed: its address or the sender's needs SMTPUTF8, which the server does not offer.
    NoSmtputf8,
}

/// What a session reports, in this order. Probes without an [`SmtpEvent::Reply`] before [`SmtpEvent::Ended`] got no
/// reply: they are neither attempts nor evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmtpEvent {
    /// The session is ready for the first batch.
    Ready(Capabilities),
    /// The outcome of one probe.
    Reply(ProbeId, ProbeReply),
    /// All probes of the batch have their outcome, and the session is ready for another batch or for QUIT. Not reported
    /// after the last batch, which finishes with [`SmtpEvent::Ended`].
    BatchDone,
    /// The session is over. Every session reports this event once, as its last one.
    Ended(SessionEnd),
}

/// At which stage a session ended, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionEnd {
    /// The stage of the session at its end: [`Stage::Helo`] before the first batch, [`Stage::Rset`] between batches.
    pub stage: Stage,
    /// Why it ended.
    pub reason: EndReason,
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// We sent QUIT, and no surplus reply came.
    #[error("closed with QUIT")]
    Quit,
    /// The server rejected the session (greeting, EHLO, HELO, RSET), or replied 421. A 421 to RCPT or MAIL is also
    /// reported as the [`ProbeReply`] of that command.
    #[error("the server rejected the session: {0}")]
    Rejected(Reply),
    /// The server closed the connection without a 421.
    #[error("the server closed the connection")]
    HungUp,
    /// The server sent no complete reply within the time limit of the stage or of the session.
    #[error("the server did not reply in time")]
    TimedOut,
    /// The server sent something that is no SMTP reply. After [`MalformedReply::Unsolicited`] the replies of the last
    /// batch are not reliable either: replies and commands may have been out of step for some time.
    #[error("the server sent {0}")]
    Malformed(MalformedReply),
    /// The TLS handshake failed, with the error of the TLS library, or clear text came before it (RFC 3207 6).
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The connection could not be opened, with the error of the system. Only [`super::drive`] reports this.
    #[error("no connection: {0}")]
    Connect(String),
    /// The proxy is down, rejects the login or does not allow the connection. Only [`super::drive`] reports this.
    #[error("no connection: {0}")]
    Proxy(String),
}
