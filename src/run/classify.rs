//! One reply, classified without a run.

use std::sync::Arc;

use crate::evidence::ClassifiedReply;
use crate::policy::{Policy, ReplyContext};
use crate::smtp::{Reply, Stage};

/// Classifies a mail server's reply by the shipped policy: its cause, the rule that decided, and how sure that is. The
/// same reply may mean different things at different stages of a dialogue and at different providers, so the stage is
/// needed, and the MX host where it is known.
///
/// ```
/// use listproof::{Cause, Reply, Stage, classify};
///
/// let reply = Reply::parse(b"550 5.1.1 <jane@example.org>: User unknown")?;
/// assert_eq!(classify(reply, Stage::Rcpt, None).meaning.cause, Cause::MailboxUnknown);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn classify(reply: Reply, stage: Stage, mx_host: Option<&str>) -> ClassifiedReply {
    let policy = Policy::built_in();
    let provider = mx_host.and_then(|host| policy.providers().id_of(host));
    let meaning = policy.replies().classify(&reply, &ReplyContext { stage, provider });
    ClassifiedReply { stage, meaning: Arc::new(meaning), reply }
}
