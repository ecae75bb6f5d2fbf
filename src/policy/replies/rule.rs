//! One rule: when it holds, and what it means then.
//!
//! Decides: whether the conditions of a rule hold for a reply that was taken to pieces. Must not: know other rules; which
//! of several holding rules wins is decided in [`super::ReplyRules::read`].

use super::ReplyContext;
use super::matching::{Candidates, Pattern};
use super::normalize::NormalizedReply;
use crate::reason::{Cause, Confidence, Fault};
use crate::smtp::{Enhanced, Stage};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The id of a rule, as the `rule` column has it.
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

/// The order of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Clear words about us: they beat whatever the same reply says about the mailbox.
    Us,
    /// What one operator means by words or codes of its own.
    Operator,
    /// Clear words about the recipient.
    Recipient,
    /// Clear words about the receiving system, its routes and its domains.
    System,
    /// Words that refuse without saying whom.
    Vague,
    /// The enhanced code, where it can be trusted.
    Enhanced,
    /// The reply code alone: a suspicion.
    Basic,
}

impl Tier {
    /// The name of the tier in rules files.
    pub fn word(self) -> &'static str {
        match self {
            Tier::Us => "us",
            Tier::Operator => "operator",
            Tier::Recipient => "recipient",
            Tier::System => "system",
            Tier::Vague => "vague",
            Tier::Enhanced => "enhanced",
            Tier::Basic => "basic",
        }
    }
}

/// A condition on codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Codes {
    Basic(RangeInclusive<u16>),
    Enhanced { class: Option<u8>, subject: u16, detail: RangeInclusive<u16> },
}

impl Codes {
    /// `550`, `55x` or `5xx`.
    pub(super) fn basic(word: &str) -> Option<Codes> {
        let digits = word.trim_end_matches('x');
        let open = word.len() - digits.len();
        let number: u16 = digits.parse().ok().filter(|_| word.len() == 3 && open < 3)?;
        let unit = 10u16.pow(u32::try_from(open).ok()?);
        Some(Codes::Basic(number * unit..=number * unit + (unit - 1)))
    }

    /// `5.1.1`, `x.1.1` or `5.7.606-649`.
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

    fn hold_basic(&self, code: u16) -> bool {
        matches!(self, Codes::Basic(range) if range.contains(&code))
    }

    fn hold_enhanced(&self, code: Enhanced) -> bool {
        matches!(self, Codes::Enhanced { class, subject, detail }
            if class.is_none_or(|class| class == code.class) && *subject == code.subject && detail.contains(&code.detail))
    }
}

/// One rule: conditions that must all hold, and what they mean together.
#[derive(Debug)]
pub struct ReplyRule {
    pub(super) id: RuleId,
    pub(super) tier: Tier,
    pub(super) stages: Vec<Stage>,
    pub(super) providers: Vec<String>,
    pub(super) codes: Vec<Codes>,
    pub(super) enhanced: Vec<Codes>,
    pub(super) text: Vec<Pattern>,
    /// Number of the first of `text` in the index.
    pub(super) first_pattern: usize,
    pub(super) unless: Vec<Pattern>,
    pub(super) cause: Cause,
    pub(super) confidence: Confidence,
    pub(super) about_mailbox: Option<Cause>,
    pub(super) examples: Vec<String>,
    pub(super) not: Vec<String>,
    pub(super) source: String,
    pub(super) file: Arc<str>,
    pub(super) line: usize,
}

impl ReplyRule {
    /// Its id.
    pub fn id(&self) -> &RuleId {
        &self.id
    }
    /// Where it stands in the order of reading.
    pub fn tier(&self) -> Tier {
        self.tier
    }
    /// What it concludes.
    pub fn cause(&self) -> Cause {
        self.cause
    }
    /// Replies on which it must win.
    pub fn examples(&self) -> &[String] {
        &self.examples
    }
    /// Replies that look alike and on which it must not win.
    pub fn counter_examples(&self) -> &[String] {
        &self.not
    }
    /// Where the fact comes from.
    pub fn source(&self) -> &str {
        &self.source
    }
    /// The file and the line from which it was loaded.
    pub fn origin(&self) -> (&str, usize) {
        (&self.file, self.line)
    }
    /// The surroundings in which its examples are read: its own first stage and provider.
    pub fn example_context(&self) -> ReplyContext<'_> {
        ReplyContext {
            stage: self.stages.first().copied().unwrap_or(Stage::Rcpt),
            provider: self.providers.first().map(String::as_str),
        }
    }

    /// Do all conditions hold but those on words?
    pub(super) fn holds(&self, heard: &NormalizedReply, at: &ReplyContext<'_>) -> bool {
        let code_holds = if self.codes.is_empty() {
            heard.code >= 400
        } else {
            self.codes.iter().any(|codes| codes.hold_basic(heard.code))
        };
        let enhanced_holds = self.enhanced.is_empty()
            || match self.tier {
                Tier::Enhanced => heard.telling_code().is_some_and(|code| self.names(code)),
                _ => heard.enhanced.iter().any(|&code| self.names(code)),
            };
        code_holds
            && enhanced_holds
            && (self.stages.is_empty() || self.stages.contains(&at.stage))
            && (self.providers.is_empty() || self.providers.iter().any(|id| Some(id.as_str()) == at.provider))
    }

    /// Is one of its patterns worth running, or has it none?
    pub(super) fn may_speak(&self, likely: &Candidates) -> bool {
        self.text.is_empty()
            || (self.first_pattern..).zip(&self.text).any(|(number, _)| likely.contains(number))
    }

    /// Does one of its patterns stand in the words, or has it none?
    pub(super) fn speaks(&self, likely: &Candidates, words: &str) -> bool {
        let mut numbered = (self.first_pattern..).zip(&self.text);
        self.text.is_empty()
            || numbered.any(|(number, pattern)| likely.contains(number) && pattern.is_in(words))
    }

    /// Do the words hold what the rule must not be read beside?
    pub(super) fn is_denied(&self, words: &str) -> bool {
        self.unless.iter().any(|pattern| pattern.is_in(words))
    }

    /// True for rules that read only what is said of the mailbox: sentences about a sender or a directory use the same
    /// words. A policy of the recipient is about senders too.
    pub(super) fn is_of_the_mailbox(&self) -> bool {
        matches!(self.tier, Tier::Recipient | Tier::Vague)
            && self.cause.fault() == Fault::Mailbox
            && self.cause != Cause::RecipientPolicy
    }

    /// True for rules of clear words about us: a reply that one of them holds for is never a confirmed dead mailbox.
    pub fn speaks_of_us(&self) -> bool {
        self.cause.fault() == Fault::Us && self.confidence == Confidence::Confirmed
    }

    fn names(&self, code: Enhanced) -> bool {
        self.enhanced.iter().any(|codes| codes.hold_enhanced(code))
    }
}
