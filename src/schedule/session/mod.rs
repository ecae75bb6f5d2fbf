//! Sessions: what is sent on one connection, what its replies mean for the scheduler, and how it ends.
//!
//! 1. A session belongs to one endpoint and serves all domains behind it, one domain per transaction.
//! 2. A batch holds no more probes than the session may still get rejections, and leaves only when the batch before is
//!    answered.
//! 3. Replies are applied when the batch is done: a surplus reply may follow, and then each of them may belong to
//!    another probe.
//! 4. A rejected MAIL and a 421 say nothing about a recipient. A probe without a reply counts as not sent; if the
//!    session broke, its oldest unanswered probe may be the cause, and is given up the second time.
//! 5. A session that was cut short lowers what the next sessions of its lane may do.
//!
//! Must not: open sessions (`dispatch` does), or hold results back (`provisional` does).
//!
//! | file | open it for |
//! |---|---|
//! | `state` | one session and its events |
//! | `lifecycle` | what each event leads to; the end of a session |
//! | `batch` | the probes of a batch |
//! | `replies` | what a reply changes |

mod batch;
mod lifecycle;
mod replies;
mod state;

pub use state::SessionEvent;
pub(crate) use state::classify_event;
pub(super) use state::{SessionPhase, SessionState};
