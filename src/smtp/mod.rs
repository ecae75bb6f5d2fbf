//! The SMTP dialogue, as far as a question needs it: everything up to RCPT, nothing after.
//!
//! [`Stage`] names the steps, [`command`] is all that can be said (there is no DATA: sending mail is impossible by
//! type), [`reply`] reads what comes back, [`session`] is the dialogue as a state machine without sockets and clocks,
//! [`connect`] the only file that opens connections, `tls` wraps them, [`drive`] brings a session and a connection together
//! under the time limits, [`transcript`] writes down what was said.

mod command;
mod connect;
mod drive;
mod egress;
mod reply;
mod session;
mod stage;
mod tls;
mod transcript;

pub use reply::{Enhanced, Reply};
pub use stage::Stage;

pub use command::SmtpCommand;
pub use connect::{Connect, ConnectFuture, MailStream, TcpConnector, has_way_to};
pub use drive::{SessionRequest, SmtpTimeouts, hold};
pub use egress::{Egress, EgressPath, IpFamilies};
pub use reply::{MAX_REPLY_LINES, MalformedReply, ReplyReader, clean};
pub use session::capabilities::Capabilities;
pub use session::machine::ClientSession;
pub use session::{
    Batch, ClientIdentity, EndReason, ProbeId, ProbeReply, RcptProbe, SessionCommand, SessionEnd,
    SessionOutput, SmtpEvent, TlsPolicy, Transaction,
};
pub use tls::secure;
pub use transcript::{Transcript, TranscriptLine};
