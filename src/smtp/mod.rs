//! The client's side of SMTP, as far as a probe needs it: everything up to RCPT, nothing after it.
//!
//! Answers the question "which command is sent next, and which reply belongs to which command?". No other room writes
//! an SMTP command, reads a reply from bytes, or opens a connection to an MX host. What a reply means is decided by
//! [`crate::policy`], not here.
//!
//! | for | open |
//! |---|---|
//! | the stages of a dialogue and their time limits | `stage` |
//! | the commands; there is no DATA, so that sending mail is impossible by type | `command` |
//! | reading replies from bytes, within limits | `reply` |
//! | the dialogue as a state machine without sockets and clocks | `session` |
//! | one session over one connection, within the time limits | `drive` |
//! | egresses: source addresses, proxies, names | `egress` |
//! | opening connections | `connect` |
//! | STARTTLS | `tls` |
//! | the dialogue in writing, for `--trace` | `transcript` |

mod command;
mod connect;
mod drive;
mod egress;
mod reply;
mod session;
mod stage;
mod tls;
mod transcript;

pub use command::SmtpCommand;
pub use connect::TcpConnector;
pub(crate) use connect::{Connect, ConnectFuture, MailStream, has_route_to, is_own_address};
pub use drive::{SessionRequest, SmtpTimeouts, drive_session};
pub(crate) use egress::Egress;
pub(crate) use egress::ProxyAddress;
pub use egress::{EgressPath, IpFamilies};
pub use reply::{Enhanced, MAX_REPLY_LINES, MalformedReply, Reply, ReplyReader, sanitize};
pub(crate) use session::SessionEnd;
pub use session::{
    Batch, Capabilities, ClientIdentity, ClientSession, EndReason, ProbeId, ProbeReply, RcptProbe,
    SessionCommand, SessionOutput, SmtpEvent, TlsPolicy, Transaction,
};
pub use stage::Stage;
#[cfg(test)]
pub(crate) use tls::handshake;
pub use transcript::{Transcript, TranscriptLine};
