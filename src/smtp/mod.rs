//! The SMTP dialogue, as far as a question needs it: everything up to RCPT, nothing after.
//!
//! [`Stage`] names the steps, [`command`] is all that can be said (there is no DATA: sending mail is impossible by
//! type), [`reply`] reads what comes back, [`session`] is the dialogue as a state machine without sockets and clocks,
//! [`connect`] the only file that opens connections, `tls` wraps them, [`drive`] brings a session and a connection together
//! under the time limits, [`transcript`] writes down what was said.

pub mod command;
pub mod egress;
pub mod drive;
pub mod reply;
pub mod session;
mod stage;
pub(crate) mod tls;
pub mod transcript;
pub mod connect;

pub use reply::{Enhanced, Reply};
pub use stage::Stage;
