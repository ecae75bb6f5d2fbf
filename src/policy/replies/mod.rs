//! What a reply means: the one place that searches the words of servers.
//!
//! Decides: the [`Cause`] of one reply at one stage, by rules that are data (`policy/data/replies.toml`). The order of
//! reading is the order of [`Tier`]; within a tier the first rule in the file wins. What no data can loosen is code,
//! at the end of [`ReplyRules::read`]: before RCPT nothing is said about a recipient, and a 4xx condemns nobody.
//! Must not: know a provider, a server program or a wording; weigh several replies (that is `verdict::decide`).
//! Can't know: whether a server tells the truth, and what its words mean where it says none; then it is `ambiguous`.

mod extract;
mod form;
mod load;
mod matching;

pub use form::normalized_text;
pub use load::RuleFile;

use crate::policy::PolicyError;
use crate::reason::{Cause, Confidence, Fault, Verdict};
use crate::smtp::{Enhanced, Reply, Stage};
use form::Heard;
use matching::{Candidates, Index, Pattern};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// The id of a rule, as the `rule` column has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(Arc<str>);

impl RuleId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
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

/// Where a reply was heard.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The step that it answers.
    pub stage: Stage,
    /// The id of the operator of the exchanger, by its host name.
    pub provider: Option<&'a str>,
}

/// What a reply means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// The cause.
    pub cause: Cause,
    /// The rule that decided.
    pub rule: RuleId,
    /// Clear words, or something less.
    pub confidence: Confidence,
    /// What the reply means if it turns out, by a positive control, that it is about the mailbox; `None` where its
    /// words decide already.
    pub if_about_mailbox: Option<Cause>,
    /// How long the server asks to wait.
    pub retry_in: Option<Duration>,
    /// The blocklist that it names.
    pub blocklist: Option<String>,
}

/// A condition on codes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Codes {
    Basic(RangeInclusive<u16>),
    Enhanced {
        class: Option<u8>,
        subject: u16,
        detail: RangeInclusive<u16>,
    },
}

impl Codes {
    /// `550`, `55x` or `5xx`.
    fn basic(word: &str) -> Option<Codes> {
        let digits = word.trim_end_matches('x');
        let open = word.len() - digits.len();
        let number: u16 = digits.parse().ok().filter(|_| word.len() == 3 && open < 3)?;
        let unit = 10u16.pow(u32::try_from(open).ok()?);
        Some(Codes::Basic(number * unit..=number * unit + (unit - 1)))
    }

    /// `5.1.1`, `x.1.1` or `5.7.606-649`.
    fn enhanced(word: &str) -> Option<Codes> {
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
pub struct Rule {
    id: RuleId,
    tier: Tier,
    stages: Vec<Stage>,
    providers: Vec<String>,
    codes: Vec<Codes>,
    enhanced: Vec<Codes>,
    text: Vec<Pattern>,
    /// Number of the first of `text` in the index.
    first_pattern: usize,
    unless: Vec<Pattern>,
    cause: Cause,
    confidence: Confidence,
    about_mailbox: Option<Cause>,
    examples: Vec<String>,
    not: Vec<String>,
    source: String,
    file: Arc<str>,
    line: usize,
}

impl Rule {
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
    pub fn example_context(&self) -> Context<'_> {
        Context {
            stage: self.stages.first().copied().unwrap_or(Stage::Rcpt),
            provider: self.providers.first().map(String::as_str),
        }
    }

    fn holds(&self, heard: &Heard, likely: &Candidates, at: &Context<'_>) -> bool {
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
            && (self.text.is_empty() || self.speaks(heard, likely))
            && !self.unless.iter().any(|pattern| pattern.is_in(&heard.words))
    }

    /// True for rules of clear words about us: a reply that one of them holds for is never a confirmed dead mailbox.
    pub fn speaks_of_us(&self) -> bool {
        self.cause.fault() == Fault::Us && self.confidence == Confidence::Confirmed
    }

    fn speaks(&self, heard: &Heard, likely: &Candidates) -> bool {
        let mut numbered = (self.first_pattern..).zip(&self.text);
        numbered.any(|(number, pattern)| likely.contains(number) && pattern.is_in(&heard.words))
    }

    fn names(&self, code: Enhanced) -> bool {
        self.enhanced.iter().any(|codes| codes.hold_enhanced(code))
    }
}

/// All rules, in reading order.
#[derive(Debug)]
pub struct ReplyRules {
    rules: Vec<Rule>,
    index: Index,
    blocklists: BTreeMap<String, Vec<String>>,
}

const BUILT_IN: RuleFile<'static> = RuleFile {
    name: "src/policy/data/replies.toml",
    text: include_str!("../data/replies.toml"),
};

/// The rule of last resort, in code so that a reply always has a meaning.
static UNDECIDED: LazyLock<RuleId> = LazyLock::new(|| RuleId("undecided".into()));

impl ReplyRules {
    /// The rules that come with the program.
    #[expect(
        clippy::expect_used,
        reason = "the data are part of the program, and a test loads them"
    )]
    pub fn built_in() -> &'static ReplyRules {
        static RULES: LazyLock<ReplyRules> =
            LazyLock::new(|| ReplyRules::load(&[]).expect("built-in reply rules"));
        &RULES
    }

    /// The rules that come with the program, changed by a user's files in their order: a rule with a known id replaces
    /// it, any other is read before the older rules of its tier.
    pub fn load(files: &[RuleFile<'_>]) -> Result<ReplyRules, PolicyError> {
        let mut draft = load::Draft::default();
        draft.add(BUILT_IN)?;
        for file in files {
            draft.add(*file)?;
        }
        let mut rules: Vec<Rule> = draft.rules.into_values().flatten().collect();
        let mut patterns = 0;
        for rule in &mut rules {
            rule.first_pattern = patterns;
            patterns += rule.text.len();
        }
        let index = Index::new(rules.iter().flat_map(|rule| &rule.text));
        let rules = ReplyRules {
            rules,
            index,
            blocklists: draft.blocklists,
        };
        for rule in rules.rules.iter().filter(|rule| *rule.file != *BUILT_IN.name) {
            rules.check(rule)?;
        }
        Ok(rules)
    }

    /// Does a rule win on its own examples, and on none of its counter-examples?
    pub fn check(&self, rule: &Rule) -> Result<(), PolicyError> {
        let refuse = |what: String, hint: &str| PolicyError {
            file: rule.file.to_string(),
            line: rule.line,
            what,
            hint: hint.to_owned(),
        };
        let examples = rule.examples.iter().map(|text| (text, true));
        for (text, should_win) in examples.chain(rule.not.iter().map(|text| (text, false))) {
            let Ok(reply) = Reply::parse(text.as_bytes()) else {
                let hint = "an example is a whole reply, with its code on each line";
                return Err(refuse(
                    format!("`{text}` is no reply, in rule `{}`", rule.id),
                    hint,
                ));
            };
            let winner = self.read(&reply, &rule.example_context()).rule;
            if (winner == rule.id) != should_win {
                return Err(refuse(
                    format!(
                        "rule `{winner}` wins on `{text}`, an example of rule `{}`",
                        rule.id
                    ),
                    "narrow one of the two, or move the words to another tier",
                ));
            }
        }
        Ok(())
    }

    /// All rules, in reading order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// Every rule that holds for a reply, in reading order: the first one decides, the others lost against it.
    pub fn matching(&self, reply: &Reply, at: &Context<'_>) -> Vec<&Rule> {
        let heard = Heard::of(reply);
        self.holding(&heard, at).collect()
    }

    /// What a reply means. Total: a reply that no rule knows is `ambiguous`.
    pub fn read(&self, reply: &Reply, at: &Context<'_>) -> Meaning {
        let heard = Heard::of(reply);
        let mut holding = self.holding(&heard, at);
        let rule = holding.next();
        let mut meaning = Meaning {
            cause: rule.map_or(Cause::Ambiguous, |rule| rule.cause),
            rule: rule.map_or_else(|| UNDECIDED.clone(), |rule| rule.id.clone()),
            confidence: rule.map_or(Confidence::Inferred, |rule| rule.confidence),
            if_about_mailbox: rule.and_then(|rule| rule.about_mailbox),
            retry_in: extract::wait(&heard),
            blocklist: None,
        };
        if at.stage.is_before_rcpt() {
            meaning.cause = about_the_session(meaning.cause, at.stage, heard.is_permanent());
            meaning.if_about_mailbox = None;
        } else if !heard.is_permanent() {
            meaning.cause = without_condemning(meaning.cause);
            meaning.if_about_mailbox = meaning.if_about_mailbox.map(without_condemning);
        }
        // Clear words about the mailbox beside clear words about us: they may be about either.
        if meaning.cause.verdict() == Verdict::Undeliverable && holding.any(Rule::speaks_of_us) {
            meaning.confidence = Confidence::Inferred;
        }
        if !matches!(at.stage, Stage::Data | Stage::Eod)
            && matches!(meaning.cause, Cause::ContentRejected | Cause::MessageTooLarge)
        {
            meaning.cause = Cause::SenderBlocked;
        }
        if meaning.cause == Cause::IpBlocklisted {
            meaning.blocklist = extract::blocklist(&heard, &self.blocklists);
        }
        meaning
    }

    fn holding<'a, 'h>(
        &'a self,
        heard: &'h Heard,
        at: &'h Context<'h>,
    ) -> impl Iterator<Item = &'a Rule> + use<'a, 'h> {
        let likely = self.index.candidates(&heard.words);
        self.rules
            .iter()
            // Before RCPT no recipient was named, so no words can be about one.
            .filter(move |rule| rule.tier != Tier::Recipient || !at.stage.is_before_rcpt())
            .filter(move |rule| rule.holds(heard, &likely, at))
    }
}

/// Before RCPT a refusal is about the session: whatever the words, neither mailbox nor domain were asked about.
fn about_the_session(cause: Cause, stage: Stage, is_permanent: bool) -> Cause {
    match (cause.fault(), stage) {
        (Fault::Us, _) => cause,
        (Fault::None | Fault::Host, _) if !is_permanent => cause,
        (Fault::None, _) if cause == Cause::Greylisted || cause == Cause::Accepted => cause,
        (Fault::Host, _) if matches!(cause, Cause::ServerFailure | Cause::RoutingFailure) => cause,
        (_, Stage::Mail) => Cause::SenderRejected,
        (_, _) => Cause::SenderBlocked,
    }
}

/// What a cause becomes when the server itself calls the failure temporary: a 4xx condemns nobody.
fn without_condemning(cause: Cause) -> Cause {
    match cause {
        Cause::MailboxUnknown | Cause::MailboxMoved => Cause::MailboxUnverified,
        Cause::MailboxDisabled => Cause::MailboxSuspended,
        Cause::DomainNoMail => Cause::RoutingFailure,
        other => other,
    }
}
