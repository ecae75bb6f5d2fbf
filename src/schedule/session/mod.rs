//! Sessions: what is sent on one connection, what its replies mean for the scheduler, and how it ends.
//!
//! This room owns the question what a session may still do. Other files open sessions (`dispatch`) and only call
//! methods of the scheduler. `state` is the session and its events, `lifecycle` handles the events and ends sessions,
//! `batch` selects the probes of a batch, `replies` applies replies, `closing_control` confirms or revokes
//! acceptances.

mod batch;
mod closing_control;
mod lifecycle;
mod replies;
mod state;

pub use state::SessionEvent;
pub(super) use state::SessionState;
pub(crate) use state::classify_event;
