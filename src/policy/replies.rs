//! stub, replaced at merge
use crate::reason::Cause;
use crate::smtp::{Reply, Stage};
use crate::verdict::Confidence;
use std::sync::Arc;
use std::time::Duration;
#[allow(missing_docs)]
pub type RuleId = Arc<str>;
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    pub cause: Cause,
    pub rule: RuleId,
    pub confidence: Confidence,
    pub if_about_mailbox: Option<Cause>,
    pub retry_in: Option<Duration>,
    pub blocklist: Option<String>,
}
#[allow(missing_docs)]
pub struct Context<'a> {
    pub stage: Stage,
    pub provider: Option<&'a str>,
    pub mx_host: Option<&'a str>,
    pub recipient: Option<&'a str>,
}
#[allow(missing_docs)]
pub struct ReplyRules;
#[allow(missing_docs)]
impl ReplyRules {
    pub fn built_in() -> &'static ReplyRules {
        &ReplyRules
    }
    pub fn read(&self, reply: &Reply, at: &Context<'_>) -> Meaning {
        let text = reply.text().to_lowercase();
        let (cause, clear) = if text.contains("greylist") {
            (Cause::Greylisted, true)
        } else if text.contains("blocked") || at.stage.is_before_rcpt() && !reply.is_positive() {
            (Cause::SenderBlocked, true)
        } else if text.contains("full") || text.contains("quota") {
            (Cause::MailboxFull, true)
        } else if text.contains("relay") {
            (Cause::RelayDenied, true)
        } else {
            match reply.code {
                250 | 251 => (Cause::Accepted, true),
                550 if text.contains("unknown") || text.contains("no such") => (Cause::MailboxUnknown, true),
                400..=499 => (Cause::ServerFailure, false),
                _ => (Cause::Ambiguous, false),
            }
        };
        Meaning {
            cause,
            rule: "stub".into(),
            confidence: if clear {
                Confidence::Confirmed
            } else {
                Confidence::Inferred
            },
            if_about_mailbox: (cause == Cause::Ambiguous).then_some(Cause::MailboxUnknown),
            retry_in: None,
            blocklist: None,
        }
    }
}
#[allow(missing_docs)]
pub fn normalized_text(reply: &Reply, _recipient: &str) -> String {
    reply.text().into_owned()
}
