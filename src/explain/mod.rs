//! Explains replies, bounces and mail logs to the person who got them.
//!
//! Owns the question "which failures does this text report, and what can be done about them?". The meaning of a reply comes
//! from `policy` alone. Other rooms call [`Explainer`], or [`extract_reply`] for the reply alone. Input never causes an
//! error: a text that cannot be understood is `ambiguous`.
//!
//! | to see | open |
//! |---|---|
//! | which kind of text the input is, and how a failure is explained | `explainer.rs` |
//! | where in a line or paragraph the reply stands | `locate.rs` |
//! | how a bounce, a message or an mbox is read | `bounce.rs`, `message.rs` |
//! | how mail logs are read | `log.rs` |
//! | who must act, the first step and the next ones | `advice.rs`, `policy/data/advice.toml` |
//! | what is printed | `write.rs` |
//! | a letter to the receiver's postmaster | `letter.rs` |

mod advice;
mod bounce;
mod explainer;
mod letter;
mod locate;
mod log;
mod message;
mod write;

pub use advice::{Topic, topics};
pub use explainer::{Explainer, Explanation, ProviderOf};
pub use letter::LetterFacts;
pub use locate::{LocatedReply, extract_reply};
pub use write::ExplainError;
