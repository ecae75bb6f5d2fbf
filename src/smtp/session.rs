//! The dialogue as a state machine: no socket, no clock, no opinion about what a reply means.
//!
//! Decides: what is said next (EHLO, HELO after its refusal, STARTTLS when wished and offered, then flights of
//! transactions, RSET between them, QUIT) and which reply answers which command. Must not: judge, wait, retry.

use super::reply::{Malformed, Reply};
use super::stage::Stage;
use crate::address::Address;

/// Names one question in one session; given by the scheduler, handed back with the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AskId(pub u64);

/// One recipient to ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Comes back with the answer.
    pub id: AskId,
    /// Who.
    pub address: Address,
}

/// MAIL FROM and its recipients. Recipients of one transaction belong to one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// At least one.
    pub recipients: Vec<Ask>,
}

/// What leaves in one go where the server offers PIPELINING (RFC 2920), else command by command.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Flight {
    /// At least one; RSET is said between two.
    pub transactions: Vec<Transaction>,
}

/// What the server said it can do (its EHLO reply); all false after HELO.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Offer {
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// RFC 3207.
    pub starttls: bool,
    /// Most MAIL commands in one session (RFC 9422), where the server says so.
    pub mail_max: Option<u32>,
    /// Most RCPT commands in one transaction (RFC 9422), where the server says so.
    pub rcpt_max: Option<u32>,
}

/// What a question led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The server replied to this recipient's RCPT.
    Rcpt(Reply),
    /// The server refused the transaction's MAIL: about us, never about the recipient.
    Mail(Reply),
    /// The recipient needs SMTPUTF8 and the server does not offer it; it was not asked.
    NoSmtputf8,
}

/// What the outside learns from a session, in order. Asks without an [`Event::Answered`] before [`Event::Ended`]
/// were not answered: they are neither attempts nor evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Ready for the first flight.
    Ready(Offer),
    /// One recipient's answer.
    Answered(AskId, Answer),
    /// The flight is over and the session ready for another, or for QUIT.
    Landed,
    /// The session is over. Always the last event, and always there.
    Ended(Ended),
}

/// How and where a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The stage that it was in.
    pub stage: Stage,
    /// What ended it.
    pub why: End,
}

/// What ended a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// We said QUIT.
    Quit,
    /// The server refused us before any recipient (greeting, HELO, STARTTLS), or said 421.
    Refused(Reply),
    /// It hung up without a word.
    Closed,
    /// It said nothing within the stage's limit, or the session took too long.
    TimedOut,
    /// It said something that is not SMTP.
    Malformed(Malformed),
    /// The TLS handshake failed; in the library's words.
    Tls(String),
    /// No connection came about; in the system's words. Only [`super::wire`] knows this end.
    Connect(String),
}
