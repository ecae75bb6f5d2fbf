//! What a reply to a control shows about its domain.

use super::mailbox::ClassifiedReply;
use crate::reason::{Cause, Confidence, Fault};

/// What an answer about a made-up name shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlOutcome {
    /// Any name is accepted.
    Accepted,
    /// It was refused in clear words.
    Rejected,
    /// It was told from a listed one, in whatever words; alone, that proves nothing.
    RejectedUnclearly,
    /// The host itself answered unclearly.
    Unclear,
    /// The control failed, for now or for good.
    Failed,
}

/// What an answer about a made-up name shows.
pub fn shown(classified: &ClassifiedReply) -> ControlOutcome {
    let ClassifiedReply { reply, meaning, .. } = classified;
    match meaning.cause {
        _ if reply.is_positive() => ControlOutcome::Accepted,
        Cause::MailboxUnknown if meaning.confidence == Confidence::Confirmed => ControlOutcome::Rejected,
        cause if cause.fault() == Fault::Mailbox || (cause == Cause::Ambiguous && reply.is_permanent()) => {
            ControlOutcome::RejectedUnclearly
        }
        Cause::Ambiguous => ControlOutcome::Unclear,
        _ => ControlOutcome::Failed,
    }
}
