//! A server's reply with its meaning, or what prevented a reply.
//!
//! Decides: nothing. [`crate::policy::ReplyRules`] classifies each reply once; from there on the reply and its meaning stay together.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::address::Domain;
use crate::policy::{Meaning, Provider, ReplyCache, ReplyContext};
use crate::reason::{Cause, Finding};
use crate::smtp::{Reply, Stage};

/// One moment on two clocks: a run measures waits by the first, and stores facts with the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Time since the run began.
    pub elapsed: Duration,
    /// The system's time of day.
    pub wall: SystemTime,
}

/// A reply and its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassifiedReply {
    /// The stage of the SMTP dialogue at which the reply came.
    pub stage: Stage,
    /// The reply as the server sent it.
    pub reply: Reply,
    /// Its meaning by the reply rules. Equal replies share one value.
    pub meaning: Arc<Meaning>,
}

impl ClassifiedReply {
    /// Classifies a reply of an MX host of this provider. Runs call it when a reply arrives, and states when a reply is read, so
    /// both give it the same meaning.
    pub fn new(replies: &mut ReplyCache, stage: Stage, provider: &Provider, reply: Reply) -> ClassifiedReply {
        let context = ReplyContext { stage, provider: provider.is_known().then_some(&*provider.id) };
        ClassifiedReply { stage, meaning: replies.classify(&reply, &context), reply }
    }

    /// True if the reply says that the recipient is unknown, or may say so: a permanent rejection with an ambiguous text.
    pub fn may_be_unknown(&self) -> bool {
        let cause = self.meaning.cause;
        cause == Cause::MailboxUnknown || (cause == Cause::Ambiguous && self.reply.is_permanent())
    }
}

/// One reply to one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The MX host that replied.
    pub mx_host: Domain,
    /// When the reply arrived.
    pub at: SystemTime,
    /// The reply.
    pub classified: ClassifiedReply,
}

/// What prevented a reply about a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The MX host at which it happened.
    pub mx_host: Domain,
    /// When it happened.
    pub at: SystemTime,
    /// What happened.
    pub kind: ObstacleKind,
}

/// The kinds of obstacles. None of them is a fact about an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObstacleKind {
    /// The server rejected the session, or its reply to a control is not about a mailbox.
    Rejected(Box<ClassifiedReply>),
    /// No usable reply: the connection failed or broke, the time was over, or the reply was malformed.
    NoReply(Finding),
}
