//! Controls: what the reply to a second probe shows about the domain, and so about the first.
//!
//! Decides: the outcome of one reply to a random recipient. Can't know: whether the server is honest; `schedule` holds results
//! back where it may not be.

use std::sync::Arc;

use super::reply::{Attempt, ClassifiedReply, Obstacle};
use crate::reason::{Cause, Confidence, Fault};

/// What a reply to a random recipient shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ControlOutcome {
    /// The server accepts any recipient.
    Accepted,
    /// A clear rejection: the server does not accept every recipient.
    Rejected,
    /// A rejection with an ambiguous text. It proves something only if the same server accepts another recipient.
    RejectedUnclearly,
    /// An ambiguous reply that is not a permanent rejection.
    Unclear,
    /// A reply that is not about the recipient: the control failed, for now or for good.
    Failed,
}

/// What this reply to a random recipient shows.
pub(crate) fn interpret_control(classified: &ClassifiedReply) -> ControlOutcome {
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

/// Whether an MX host accepts any recipient of a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CatchAll {
    /// Yes: this reply accepted a random recipient.
    Yes(Arc<Attempt>),
    /// No.
    No(NotCatchAllProof),
    /// Not known: the server answered two controls with ambiguous replies.
    Unclear,
    /// Not known: the obstacle prevented a reply to the control, so it prevents a verdict, too.
    Failed(Arc<Obstacle>),
    /// Not known: no control has a reply.
    #[default]
    NotTested,
}

impl CatchAll {
    /// True if further controls can't add to this: the server has answered, if only unclearly.
    pub fn is_known(&self) -> bool {
        matches!(self, CatchAll::Yes(_) | CatchAll::No(_) | CatchAll::Unclear)
    }
}

/// What proves that a domain is no catch-all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCatchAllProof {
    /// A clear rejection of a random recipient.
    Control,
    /// A rejection of a random recipient with an ambiguous text, beside an accepted recipient.
    UnclearControl,
    /// Clear rejections of listed recipients: two, or one where the provider's data say that one is enough.
    Listed,
}

/// Whether an MX host accepts any recipient at all: the positive control, which explains ambiguous rejections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PositiveControl {
    /// The server accepted a listed recipient, or `postmaster`.
    Accepted,
    /// The server rejected the positive control with the same text as a listed recipient.
    SameText,
    /// The reply shows nothing, or the MX host never accepted a recipient that could be probed.
    Inconclusive,
    /// No positive control was sent.
    #[default]
    NotSent,
}
