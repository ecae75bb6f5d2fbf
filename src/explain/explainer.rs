//! Explains failures: what a reply means, who must act, and how.
//!
//! Decides: which kind of text the input is (messages, a log, one reply, several replies), and in which context a reply is
//! classified. Must not: search a reply's text for a meaning; `policy` does.

use super::advice::{self, Advice};
use super::bounce;
use super::locate::{self, LocatedReply};
use super::log;
use super::message;
use crate::policy::{Meaning, ReplyContext, ReplyRules};
use crate::reason::Confidence;
use crate::smtp::{Stage, sanitize};

/// Returns the id of the provider of a host, if it is known.
pub type ProviderOf<'a> = &'a dyn Fn(&str) -> Option<&'a str>;

/// Explains failures by the rules of a policy.
#[derive(Clone, Copy)]
pub struct Explainer<'a> {
    /// What replies mean.
    pub rules: &'a ReplyRules,
    /// Which provider runs a host.
    pub provider_of: ProviderOf<'a>,
}

/// A failure and what it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation<'a> {
    /// The reply, and what the text says about it.
    pub failure: LocatedReply,
    /// The provider of the host that sent the reply.
    pub provider: Option<&'a str>,
    /// What the reply means.
    pub meaning: Meaning,
    /// What to do.
    pub advice: &'static Advice,
}

impl<'a> Explainer<'a> {
    /// Explains one failure. If the stage is unknown, the end of data is assumed, so that a reply about a message is
    /// understood. If the host is unknown, a link of a provider in the reply names the provider.
    pub fn explain_failure(&self, mut failure: LocatedReply) -> Explanation<'a> {
        // The reply is clean already. Host and recipient come from an untrusted text as well.
        for shown in [&mut failure.host, &mut failure.recipient].into_iter().flatten() {
            *shown = sanitize(shown);
        }
        let provider = match &failure.host {
            Some(host) => (self.provider_of)(host),
            None => locate::hosts_in(&failure.reply)
                .find_map(|host| (self.provider_of)(host).or_else(|| advice::linked_provider(host))),
        };
        let stage = failure.stage.unwrap_or(Stage::Eod);
        let mut meaning = self.rules.classify(&failure.reply, &ReplyContext { stage, provider });
        if !failure.has_code {
            // Prose may be about anything; only a server's reply can confirm.
            meaning.confidence = Confidence::Inferred;
        }
        let advice = advice::advice(meaning.cause, provider, meaning.blocklist.as_deref());
        Explanation { failure, provider, meaning, advice }
    }

    /// Explains a text: a reply, log lines, a message or an mbox. Returns at least one explanation.
    pub fn explain_text(&self, text: &[u8]) -> Vec<Explanation<'a>> {
        let mut failures: Vec<LocatedReply> = if message::is_message(text) {
            message::split_mbox(text)
                .filter_map(Result::ok)
                .flat_map(|message| bounce::failures(&message))
                .collect()
        } else {
            Vec::new()
        };
        if failures.is_empty() {
            failures = failures_outside_messages(&message::decode(text));
        }
        failures.into_iter().map(|failure| self.explain_failure(failure)).collect()
    }

    /// Explains the failures in a message; there is at least one.
    pub(super) fn explain_message(&self, message: &[u8]) -> Vec<Explanation<'a>> {
        bounce::failures(message).into_iter().map(|failure| self.explain_failure(failure)).collect()
    }
}

/// The failures in a part of a bounce, a log, a pasted reply, or several replies with one on each line.
fn failures_outside_messages(text: &str) -> Vec<LocatedReply> {
    let found = bounce::failures_in_text(text);
    let found = if found.is_empty() { log::failures(text) } else { found };
    if !found.is_empty() {
        return found;
    }
    let is_one_reply = text.trim_start().as_bytes().get(3) == Some(&b'-');
    let coded: Vec<&str> = text.lines().filter(|line| locate::has_code(line)).collect();
    if is_one_reply || coded.len() < 2 {
        return vec![locate::failure(text)];
    }
    coded.into_iter().map(locate::failure).collect()
}
