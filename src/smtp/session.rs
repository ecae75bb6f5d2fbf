//! The dialogue as a state machine: no socket, no clock, no opinion about what a reply means.
//!
//! Decides: what is said next (EHLO, HELO after its refusal, STARTTLS when wished and offered, then flights of
//! transactions, RSET between them, QUIT) and which reply answers which command. Must not: judge, wait, retry.
//! Fails: as an [`SessionEnd`], whatever the server does. Can't know: whether a reply that comes after a command was
//! meant for it; one that comes before it, or more than there are commands, ends the session, if only at QUIT.
//!
//! This file holds the words that go in and come out, `machine` the machine, `capabilities` what EHLO answers.

mod capabilities;
mod machine;
#[cfg(test)]
mod tests;

use super::reply::{MalformedReply, Reply};
use super::stage::Stage;
use crate::address::{Address, Domain};
pub use capabilities::Capabilities;
pub use machine::ClientSession;

/// How a session presents itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The name said in EHLO and HELO.
    pub helo: Domain,
    /// The envelope sender.
    pub sender: Address,
    /// Whether TLS is wanted.
    pub tls: TlsPolicy,
}

/// Whether TLS is wanted. It is opportunistic either way: nothing secret is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsPolicy {
    /// Never, even where it is offered.
    No,
    /// Where it is offered. A server that then refuses STARTTLS is talked to without (RFC 3207 4).
    Try,
}

/// Names one question in one session; given by the scheduler, handed back with the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProbeId(pub u64);

/// One recipient to ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RcptProbe {
    /// Comes back with the answer.
    pub id: ProbeId,
    /// Who.
    pub address: Address,
}

/// MAIL FROM and its recipients. Recipients of one transaction belong to one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// At least one; a transaction without any is passed over.
    pub recipients: Vec<RcptProbe>,
}

/// What leaves in one go where the server offers PIPELINING (RFC 2920), else command by command.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Batch {
    /// At least one; RSET is said between two.
    pub transactions: Vec<Transaction>,
    /// QUIT leaves with it, as its last command: it lands with the session's end. Saves a round trip.
    pub is_last: bool,
}

/// What a session is told to do. Orders wait for their turn: each is begun when the one before is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionCommand {
    /// Ask these.
    Send(Batch),
    /// Say goodbye.
    Quit,
}

/// What the machine wants done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionOutput {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Shake hands; then [`ClientSession::secured`] or [`ClientSession::tls_failed`].
    StartTls,
    /// Tell the outside.
    Emit(SmtpEvent),
}

/// What a question led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeReply {
    /// The server replied to this recipient's RCPT.
    Rcpt(Reply),
    /// The server refused the transaction's MAIL: about us, never about the recipient.
    Mail(Reply),
    /// The recipient (or the sender) needs SMTPUTF8 and the server does not offer it; it was not asked.
    NoSmtputf8,
}

/// What the outside learns from a session, in order. Asks without an [`SmtpEvent::Reply`] before [`SmtpEvent::Ended`]
/// were not answered: they are neither attempts nor evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmtpEvent {
    /// Ready for the first flight.
    Ready(Capabilities),
    /// One recipient's answer.
    Reply(ProbeId, ProbeReply),
    /// The flight is over and the session ready for another, or for QUIT. Not told of a last flight, which
    /// [`SmtpEvent::Ended`] ends.
    BatchDone,
    /// The session is over. Always the last event, and always there.
    Ended(SessionEnd),
}

/// How and where a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionEnd {
    /// The stage that it was in. Between flights that is [`Stage::Rset`], before the first [`Stage::Helo`].
    pub stage: Stage,
    /// What ended it.
    pub why: EndReason,
}

/// What ended a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// We said QUIT, and nothing was said that nobody had asked for.
    #[error("left with a goodbye")]
    Quit,
    /// The server refused the session (greeting, HELO, RSET), or said 421. A 421 to RCPT or MAIL is also that
    /// command's [`ProbeReply`].
    #[error("the server refused the session: {0}")]
    Rejected(Reply),
    /// It hung up without a word.
    #[error("the server hung up")]
    HungUp,
    /// It said nothing whole within the stage's limit, or the session took too long.
    #[error("the server did not answer in time")]
    TimedOut,
    /// It said something that is not SMTP. After [`MalformedReply::Unsolicited`] the answers of the last flight are in
    /// doubt too: nobody can tell since when its replies and our commands were out of step.
    #[error("the server sent {0}")]
    Malformed(MalformedReply),
    /// The TLS handshake failed, in the library's words, or bytes came in clear text before it (RFC 3207 6).
    #[error("TLS failed: {0}")]
    Tls(String),
    /// No connection came about; in the system's words. Only [`super::drive`] knows this end.
    #[error("no connection: {0}")]
    Connect(String),
}
