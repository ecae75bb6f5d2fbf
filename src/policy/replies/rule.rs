//! One reply rule: when it matches, and what it means then.
//!
//! Decides: whether a rule matches a normalized reply. Must not: know other rules; `ReplyRules::classify` decides which of
//! several matching rules wins.

use super::matching::{Candidates, Pattern};
use super::normalize::NormalizedReply;
use crate::reason::{Cause, Confidence, Fault};
use crate::smtp::{Enhanced, Stage};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Where a reply was received.
#[derive(Clone, Copy, Debug)]
pub struct ReplyContext<'a> {
    /// The stage of the session: the command that the reply answers.
    pub stage: Stage,
    /// The id of the provider of the MX host; `None` if it is unknown.
    pub provider: Option<&'a str>,
}

/// The id of a rule, as in the `rule` column.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub(super) Arc<str>);

impl RuleId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for RuleId {
    fn from(id: &str) -> RuleId {
        RuleId(id.into())
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tiers, in reading order: a rule of an earlier tier beats every rule of a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Clear words about the sender: they beat anything that the same reply says about the mailbox.
    Us,
    /// Words or codes with a meaning of their own at one provider.
    Provider,
    /// Clear words about the recipient.
    Recipient,
    /// Clear words about the receiving system, its routes and its domains.
    System,
    /// Words of rejection that leave open what is rejected.
    Vague,
    /// The enhanced code, if it can be trusted.
    Enhanced,
    /// The reply code alone: only an indication.
    Basic,
}

impl Tier {
    /// The name of the tier in rules files.
    pub fn word(self) -> &'static str {
        match self {
            Tier::Us => "us",
            Tier::Provider => "operator",
            Tier::Recipient => "recipient",
            Tier::System => "system",
            Tier::Vague => "vague",
            Tier::Enhanced => "enhanced",
            Tier::Basic => "basic",
        }
    }
}

/// A set of reply codes or enhanced codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Codes {
    Basic(RangeInclusive<u16>),
    Enhanced { class: Option<u8>, subject: u16, detail: RangeInclusive<u16> },
}

impl Codes {
    /// Reads `550`, `55x` or `5xx`.
    pub(super) fn basic(word: &str) -> Option<Codes> {
        let digits = word.trim_end_matches('x');
        let open = word.len() - digits.len();
        let number: u16 = digits.parse().ok().filter(|_| word.len() == 3 && open < 3)?;
        let unit = 10u16.pow(u32::try_from(open).ok()?);
        Some(Codes::Basic(number * unit..=number * unit + (unit - 1)))
    }

    /// Reads `5.1.1`, `x.1.1` or `5.7.606-649`.
    pub(super) fn enhanced(word: &str) -> Option<Codes> {
        let (head, detail) = word.rsplit_once('.')?;
        let (first, last) = detail.split_once('-').unwrap_or((detail, detail));
        let class_is_open = head.starts_with('x');
        let code = |detail: &str| Enhanced::parse(&format!("{}.{detail}", head.replace('x', "5")));
        let (first, last) = (code(first)?, code(last)?);
        Some(Codes::Enhanced {
            class: (!class_is_open).then_some(first.class),
            subject: first.subject,
            detail: first.detail..=last.detail,
        })
    }

    fn has_basic(&self, code: u16) -> bool {
        matches!(self, Codes::Basic(range) if range.contains(&code))
    }

    fn has_enhanced(&self, code: Enhanced) -> bool {
        matches!(self, Codes::Enhanced { class, subject, detail }
            if class.is_none_or(|class| class == code.class) && *subject == code.subject && detail.contains(&code.detail))
    }
}

/// One rule: conditions that must all hold, and the meaning of a reply for which they do.
#[derive(Debug)]
pub struct ReplyRule {
    pub(super) id: RuleId,
    pub(super) tier: Tier,
    pub(super) stages: Vec<Stage>,
    pub(super) providers: Vec<String>,
    pub(super) codes: Vec<Codes>,
    pub(super) enhanced: Vec<Codes>,
    pub(super) text: Vec<Pattern>,
    pub(super) unless: Vec<Pattern>,
    pub(super) cause: Cause,
    pub(super) confidence: Confidence,
    pub(super) about_mailbox: Option<Cause>,
    pub(super) examples: Vec<String>,
    pub(super) counter_examples: Vec<String>,
    pub(super) source: String,
    pub(super) file: Arc<str>,
    pub(super) line: usize,
}

impl ReplyRule {
    /// The id.
    pub fn id(&self) -> &RuleId {
        &self.id
    }
    /// The tier.
    pub fn tier(&self) -> Tier {
        self.tier
    }
    /// The cause of a reply that it decides.
    pub fn cause(&self) -> Cause {
        self.cause
    }
    /// Replies that it must decide.
    pub fn examples(&self) -> &[String] {
        &self.examples
    }
    /// Similar replies that it must not decide.
    pub fn counter_examples(&self) -> &[String] {
        &self.counter_examples
    }
    /// Where the fact behind the rule is documented.
    pub fn source(&self) -> &str {
        &self.source
    }
    /// The file and the line from which it was loaded.
    pub fn origin(&self) -> (&str, usize) {
        (&self.file, self.line)
    }
    /// The context in which its examples are classified: its first stage and its first provider.
    pub fn example_context(&self) -> ReplyContext<'_> {
        ReplyContext {
            stage: self.stages.first().copied().unwrap_or(Stage::Rcpt),
            provider: self.providers.first().map(String::as_str),
        }
    }

    /// True if all conditions hold, except those on words.
    pub(super) fn matches_codes(&self, reply: &NormalizedReply, context: &ReplyContext<'_>) -> bool {
        let code_matches = if self.codes.is_empty() {
            reply.code >= 400
        } else {
            self.codes.iter().any(|codes| codes.has_basic(reply.code))
        };
        let enhanced_matches = self.enhanced.is_empty()
            || match self.tier {
                Tier::Enhanced => {
                    reply.most_specific_enhanced().is_some_and(|code| self.lists_enhanced(code))
                }
                _ => reply.enhanced.iter().any(|&code| self.lists_enhanced(code)),
            };
        code_matches
            && enhanced_matches
            && (self.stages.is_empty() || self.stages.contains(&context.stage))
            && (self.providers.is_empty()
                || self.providers.iter().any(|id| Some(id.as_str()) == context.provider))
    }

    /// True if one of its patterns is a candidate, or it has none. A cheap test before [`ReplyRule::matches_text`].
    pub(super) fn may_match_text(&self, candidates: &Candidates) -> bool {
        self.text.is_empty() || self.text.iter().any(|pattern| candidates.contains(pattern))
    }

    /// True if one of its patterns matches the words, or it has no pattern.
    pub(super) fn matches_text(&self, candidates: &Candidates, words: &str) -> bool {
        let mut likely = self.text.iter().filter(|pattern| candidates.contains(pattern));
        self.text.is_empty() || likely.any(|pattern| pattern.matches(words))
    }

    /// True if the words match a pattern of `unless`.
    pub(super) fn is_excluded_by(&self, words: &str) -> bool {
        self.unless.iter().any(|pattern| pattern.matches(words))
    }

    /// True if the rule sees only the words about the mailbox ([`NormalizedReply::words_about_mailbox`]), because sentences
    /// about a sender or a directory use the same words. Not for a policy of the recipient, which is about senders too.
    pub(super) fn reads_words_about_mailbox(&self) -> bool {
        matches!(self.tier, Tier::Recipient | Tier::Vague)
            && self.cause.fault() == Fault::Mailbox
            && self.cause != Cause::RecipientPolicy
    }

    /// True if the rule stands for a clear rejection of us. A reply that such a rule matches never confirms that a mailbox
    /// does not exist.
    pub fn clearly_rejects_us(&self) -> bool {
        self.cause.fault() == Fault::Us && self.confidence == Confidence::Confirmed
    }

    fn lists_enhanced(&self, code: Enhanced) -> bool {
        self.enhanced.iter().any(|codes| codes.has_enhanced(code))
    }
}
