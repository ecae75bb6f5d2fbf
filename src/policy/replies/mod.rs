//! What a reply means: the one place that searches the words of servers.
//!
//! Decides: the [`Cause`] of one reply at one stage, by rules that are data (`policy/data/replies/`). The order of
//! reading is the order of [`Tier`]; within a tier the first rule in the file wins. What no data can loosen is code,
//! at the end of [`ReplyRules::read`]: before RCPT nothing is said about a recipient, and a 4xx condemns nobody.
//! Must not: know a provider, a server program or a wording; weigh several replies (that is `verdict::decide`).
//! Can't know: whether a server tells the truth, and what its words mean where it says none; then it is `ambiguous`.

mod cache;
mod extract;
mod inspect;
mod load;
mod matching;
mod normalize;
mod rule;

pub use cache::ReplyCache;
pub use inspect::{LoadedRules, RuleOutcome, RuleTrial};
pub use load::RuleFile;
pub use normalize::normalized_text;
pub use rule::{ReplyRule, RuleId, Tier};

use crate::policy::PolicyError;
use crate::reason::{Cause, Confidence, Fault, Verdict};
use crate::smtp::{Reply, Stage};
use matching::{Index, Pattern};
use normalize::NormalizedReply;
use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

/// Where a reply was heard.
#[derive(Clone, Copy, Debug)]
pub struct ReplyContext<'a> {
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

/// All rules, in reading order.
#[derive(Debug)]
pub struct ReplyRules {
    rules: Vec<ReplyRule>,
    index: Index,
    /// What is no recipient though it holds a word for one.
    mask: Option<Pattern>,
    blocklists: BTreeMap<String, Vec<String>>,
}

macro_rules! shipped {
    ($($name:literal),*) => {
        [$(RuleFile {
            name: concat!("src/policy/data/replies/", $name),
            text: include_str!(concat!("../data/replies/", $name)),
        }),*]
    };
}

/// The rules that come with the program, in reading order.
const BUILT_IN: [RuleFile<'static>; 11] = shipped![
    "words.toml",
    "us_codes.toml",
    "us_sender.toml",
    "us_host.toml",
    "operator.toml",
    "recipient.toml",
    "recipient_languages.toml",
    "system.toml",
    "vague.toml",
    "enhanced.toml",
    "basic.toml"
];

/// The rule of last resort, in code so that a reply always has a meaning.
static UNDECIDED: LazyLock<RuleId> = LazyLock::new(|| RuleId("undecided".into()));

impl ReplyRules {
    /// The rules that come with the program.
    #[expect(clippy::expect_used, reason = "the data are part of the program, and a test loads them")]
    pub fn built_in() -> &'static ReplyRules {
        static RULES: LazyLock<ReplyRules> =
            LazyLock::new(|| ReplyRules::load(&[]).expect("built-in reply rules"));
        &RULES
    }

    /// The rules that come with the program, changed by a user's files in their order: a rule with a known id replaces
    /// it, any other is read before the older rules of its tier.
    pub fn load(files: &[RuleFile<'_>]) -> Result<ReplyRules, PolicyError> {
        let mut draft = load::Draft::default();
        BUILT_IN.into_iter().try_for_each(|file| draft.append(file))?;
        files.iter().try_for_each(|file| draft.change(*file))?;
        let mask = draft.mask()?;
        let mut rules: Vec<ReplyRule> = draft.rules.into_values().flatten().collect();
        let mut patterns = 0;
        for rule in &mut rules {
            rule.first_pattern = patterns;
            patterns += rule.text.len();
        }
        let index = Index::new(rules.iter().flat_map(|rule| &rule.text));
        let rules = ReplyRules { rules, index, mask, blocklists: draft.blocklists };
        let is_shipped = |rule: &ReplyRule| BUILT_IN.iter().any(|file| *rule.file == *file.name);
        for rule in rules.rules.iter().filter(|rule| !is_shipped(rule)) {
            rules.check(rule)?;
        }
        Ok(rules)
    }

    /// Does a rule win on its own examples, and on none of its counter-examples?
    pub fn check(&self, rule: &ReplyRule) -> Result<(), PolicyError> {
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
                return Err(refuse(format!("`{text}` is no reply, in rule `{}`", rule.id), hint));
            };
            let winner = self.read(&reply, &rule.example_context()).rule;
            if (winner == rule.id) != should_win {
                return Err(refuse(
                    format!("rule `{winner}` wins on `{text}`, an example of rule `{}`", rule.id),
                    "narrow one of the two, or move the words to another tier",
                ));
            }
        }
        Ok(())
    }

    /// All rules, in reading order.
    pub fn iter(&self) -> impl Iterator<Item = &ReplyRule> {
        self.rules.iter()
    }

    /// Compiles what nearly every refusal is read by; else the first one does, and those after it wait.
    pub fn warm_up(&self) {
        self.read(
            &Reply::new(550, ["5.1.1 no such user"]),
            &ReplyContext { stage: Stage::Rcpt, provider: None },
        );
    }

    /// Every rule that holds for a reply, in reading order: the first one decides, the others lost against it.
    pub fn matching(&self, reply: &Reply, at: &ReplyContext<'_>) -> Vec<&ReplyRule> {
        let heard = NormalizedReply::of(reply);
        self.holding(&heard, at).collect()
    }

    /// What a reply means. Total: a reply that no rule knows is `ambiguous`.
    pub fn read(&self, reply: &Reply, at: &ReplyContext<'_>) -> Meaning {
        // Its form is all that its meaning hangs on: [`ReplyCache`] builds on that.
        let heard = &NormalizedReply::of(reply);
        let mut holding = self.holding(heard, at);
        let rule = holding.next();
        let mut meaning = Meaning {
            cause: rule.map_or(Cause::Ambiguous, |rule| rule.cause),
            rule: rule.map_or_else(|| UNDECIDED.clone(), |rule| rule.id.clone()),
            confidence: rule.map_or(Confidence::Inferred, |rule| rule.confidence),
            if_about_mailbox: rule.and_then(|rule| rule.about_mailbox),
            retry_in: extract::wait(heard),
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
        if meaning.cause.verdict() == Verdict::Undeliverable && holding.any(ReplyRule::speaks_of_us) {
            meaning.confidence = Confidence::Inferred;
        }
        let is_about_a_message = match meaning.cause {
            Cause::ContentRejected => true,
            // A size is told with MAIL already (RFC 1870).
            Cause::MessageTooLarge => at.stage != Stage::Mail,
            _ => false,
        };
        if is_about_a_message && !matches!(at.stage, Stage::Data | Stage::Eod) {
            meaning.cause = Cause::SenderBlocked;
        }
        if meaning.cause == Cause::IpBlocklisted {
            meaning.blocklist = extract::blocklist(heard, &self.blocklists);
        }
        meaning
    }

    fn holding<'a, 'h>(
        &'a self,
        heard: &'h NormalizedReply,
        at: &'h ReplyContext<'h>,
    ) -> impl Iterator<Item = &'a ReplyRule> + use<'a, 'h> {
        let likely = self.index.candidates(&heard.words);
        let of_mailbox = LazyCell::new(|| heard.words_of_the_mailbox(self.mask.as_ref()));
        self.rules
            .iter()
            // Before RCPT no recipient was named, so no words can be about one.
            .filter(move |rule| rule.tier != Tier::Recipient || !at.stage.is_before_rcpt())
            .filter(move |rule| {
                rule.holds(heard, at)
                    && rule.may_speak(&likely)
                    && rule.speaks(&likely, if rule.is_of_the_mailbox() { &of_mailbox } else { &heard.words })
                    && !rule.is_denied(&heard.words)
            })
    }
}

/// Before RCPT a refusal is about the session: whatever the words, neither mailbox nor domain were asked about.
fn about_the_session(cause: Cause, stage: Stage, is_permanent: bool) -> Cause {
    match cause {
        ours if ours.fault() == Fault::Us => ours,
        Cause::Accepted | Cause::Greylisted | Cause::ServerFailure | Cause::RoutingFailure => cause,
        Cause::Ambiguous if !is_permanent => cause,
        _ if stage == Stage::Mail => Cause::SenderRejected,
        _ => Cause::SenderBlocked,
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
