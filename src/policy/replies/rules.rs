//! The reply rules, and how a reply gets its meaning from them.
//!
//! Decides: the [`Cause`] of one reply at one stage. Rules are read tier by tier ([`Tier`]), within a tier from top to
//! bottom; the first rule that matches decides. What no data may change is code, at the end of
//! [`ReplyRules::classify`]: a reply before RCPT is never about a recipient, and a 4xx never makes an address
//! undeliverable. Must not: know a provider, a server program or a wording; weigh several replies (that is
//! `verdict::decide`). Can't know: whether a server's reply is true, and what a reply means that no rule matches; such a
//! reply is `ambiguous`.

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use super::load::{Draft, RuleFile};
use super::matching::{LiteralIndex, Pattern};
use super::normalize::NormalizedReply;
use super::reading::{PartKind, Reading};
use super::rule::{ReplyContext, ReplyRule, RuleId, Tier};
use crate::policy::file::PolicyError;
use crate::reason::{Cause, Confidence, Fault, Verdict};
use crate::smtp::{Reply, Stage};

/// What a reply means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// The cause.
    pub cause: Cause,
    /// The rule that decided.
    pub rule: RuleId,
    /// Whether the reply says the cause clearly, or the cause is inferred.
    pub confidence: Confidence,
    /// The cause if a positive control shows that the reply is about the mailbox; `None` if the text of the reply
    /// decides already.
    pub if_about_mailbox: Option<Cause>,
    /// How long the server asks to wait.
    pub retry_in: Option<Duration>,
    /// The blocklist that the reply names.
    pub blocklist: Option<String>,
}

/// All rules, in reading order.
#[derive(Debug)]
pub struct ReplyRules {
    rules: Vec<ReplyRule>,
    index: LiteralIndex,
    /// Phrases that hold a word for a recipient but are not about one.
    mask: Option<Pattern>,
    /// Which part of a reply is read first.
    reading: Reading,
    /// The phrases by which replies name a blocklist, by its name.
    blocklists: BTreeMap<String, Vec<String>>,
}

macro_rules! shipped_files {
    ($($name:literal),*) => {
        [$(RuleFile {
            name: concat!("src/policy/data/replies/", $name),
            text: include_str!(concat!("../data/replies/", $name)),
        }),*]
    };
}

/// The shipped files, in reading order.
const BUILT_IN: [RuleFile<'static>; 11] = shipped_files![
    "words.toml",
    "us_codes.toml",
    "us_sender.toml",
    "us_host.toml",
    "provider.toml",
    "recipient.toml",
    "recipient_languages.toml",
    "system.toml",
    "vague.toml",
    "enhanced.toml",
    "basic.toml"
];

/// The rule of a reply that no rule matches. In code, so that every reply has a meaning.
static UNDECIDED: LazyLock<RuleId> = LazyLock::new(|| RuleId("undecided".into()));

impl ReplyRules {
    /// The shipped rules.
    #[expect(clippy::expect_used, reason = "the data are part of the program, and a test loads them")]
    pub fn built_in() -> &'static ReplyRules {
        static RULES: LazyLock<ReplyRules> =
            LazyLock::new(|| ReplyRules::load(&[]).expect("built-in reply rules"));
        &RULES
    }

    /// The shipped rules, changed by a user's files in their order. A rule with a known id replaces that rule; a new one
    /// is read before the older rules of its tier.
    pub fn load(files: &[RuleFile<'_>]) -> Result<ReplyRules, PolicyError> {
        let mut draft = Draft::default();
        BUILT_IN.into_iter().try_for_each(|file| draft.append(file))?;
        files.iter().try_for_each(|file| draft.overlay(*file))?;
        let (mask, reading) = (draft.mask()?, draft.reading()?);
        let mut rules: Vec<ReplyRule> = draft.rules.into_values().flatten().collect();
        let index = LiteralIndex::new(rules.iter_mut().flat_map(|rule| &mut rule.text));
        let rules = ReplyRules { rules, index, mask, reading, blocklists: draft.blocklists };
        let is_shipped = |rule: &ReplyRule| BUILT_IN.iter().any(|file| *rule.file == *file.name);
        for rule in rules.rules.iter().filter(|rule| !is_shipped(rule)) {
            rules.check(rule)?;
        }
        Ok(rules)
    }

    /// Checks that a rule decides each of its own examples, and none of its counter-examples.
    pub fn check(&self, rule: &ReplyRule) -> Result<(), PolicyError> {
        let error = |what: String, hint: &str| PolicyError {
            file: rule.file.to_string(),
            line: rule.line,
            what,
            hint: hint.to_owned(),
        };
        let examples = rule.examples.iter().map(|text| (text, true));
        for (text, should_win) in examples.chain(rule.counter_examples.iter().map(|text| (text, false))) {
            let Ok(reply) = Reply::parse(text.as_bytes()) else {
                let hint = "an example is a whole reply, with its code on each line";
                return Err(error(format!("`{text}` is not a reply, in rule `{}`", rule.id), hint));
            };
            let winner = self.classify(&reply, &rule.example_context()).rule;
            if (winner == rule.id) != should_win {
                return Err(error(
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

    /// Compiles the patterns that nearly every rejection needs. Otherwise the first reply of a run compiles them, and the
    /// replies after it wait.
    pub fn warm_up(&self) {
        self.classify(
            &Reply::new(550, ["5.1.1 no such user"]),
            &ReplyContext { stage: Stage::Rcpt, provider: None },
        );
    }

    /// All rules that match a reply, in reading order: the first one decides.
    pub fn matching(&self, reply: &Reply, context: &ReplyContext<'_>) -> Vec<&ReplyRule> {
        let reply = NormalizedReply::of(reply);
        self.matching_normalized(&reply, context).collect()
    }

    /// What a reply means. Never fails: a reply that no rule matches is `ambiguous`.
    pub fn classify(&self, reply: &Reply, context: &ReplyContext<'_>) -> Meaning {
        // The meaning depends on nothing but the normalized reply and the context: `ReplyCache` relies on that.
        let reply = &NormalizedReply::of(reply);
        let stage = context.stage;
        let mut matching = self.matching_normalized(reply, context);
        let in_whole = matching.next();
        let rule = self.deciding_rule(in_whole, reply, context);
        let mut meaning = Meaning {
            cause: rule.map_or(Cause::Ambiguous, |rule| rule.cause),
            rule: rule.map_or_else(|| UNDECIDED.clone(), |rule| rule.id.clone()),
            confidence: rule.map_or(Confidence::Inferred, |rule| rule.confidence),
            if_about_mailbox: rule.and_then(|rule| rule.about_mailbox),
            retry_in: requested_wait(reply),
            blocklist: None,
        };
        if stage.is_before_rcpt() {
            meaning.cause = cause_before_rcpt(meaning.cause, stage, reply.is_permanent());
            meaning.if_about_mailbox = None;
        } else if !reply.is_permanent() {
            meaning.cause = temporary_cause(meaning.cause);
            meaning.if_about_mailbox = meaning.if_about_mailbox.map(temporary_cause);
        }
        // A reply with clear words about the mailbox and clear words about the sender may be about either.
        if meaning.cause.verdict() == Verdict::Undeliverable
            && in_whole.into_iter().chain(matching).any(ReplyRule::clearly_rejects_us)
        {
            meaning.confidence = Confidence::Inferred;
        }
        // Words that no rule knows are weighed by code alone, and such a code says nothing if the words are about the sender.
        if rule.is_none_or(|rule| rule.tier > Tier::Vague) {
            self.weigh_unknown_words(&mut meaning, reply);
        }
        let is_about_a_message = match meaning.cause {
            Cause::ContentRejected => true,
            // MAIL may declare a size already (RFC 1870).
            Cause::MessageTooLarge => stage != Stage::Mail,
            _ => false,
        };
        if is_about_a_message && !matches!(stage, Stage::Data | Stage::Eod) {
            meaning.cause = Cause::SenderBlocked;
        }
        if meaning.cause == Cause::IpBlocklisted {
            meaning.blocklist = named_blocklist(reply, &self.blocklists);
        }
        meaning
    }

    /// The rule that decides. The reason that a reply gives, or its last line, is read first; but clear words about the sender
    /// beat anything else, wherever they stand.
    fn deciding_rule<'a>(
        &'a self,
        in_whole: Option<&'a ReplyRule>,
        whole: &NormalizedReply,
        context: &ReplyContext<'_>,
    ) -> Option<&'a ReplyRule> {
        let Some(part) = self.reading.first_part(whole, context.provider) else { return in_whole };
        let in_part = self.matching_normalized(&part.reply, context).find(|rule| {
            rule.tier <= Tier::Vague && (rule.tier != Tier::Us || !rule.is_excluded_by(&whole.words))
        });
        let is_dead = in_whole.is_some_and(|rule| rule.cause.verdict() == Verdict::Undeliverable);
        let may_be_about_us = || {
            let about_mailbox = part.reply.words_about_mailbox(self.mask.as_ref());
            self.reading.may_be_about_us(&part.reply.words, &about_mailbox)
        };
        match (in_part, in_whole) {
            (Some(part), _) if part.tier == Tier::Us => in_part,
            (_, Some(whole)) if whole.tier == Tier::Us => in_whole,
            // What stands before a deciding line that no rule knows says nothing about the mailbox.
            _ if part.kind == PartKind::DecidingLine => {
                in_part.or(in_whole.filter(|rule| rule.cause.fault() != Fault::Mailbox))
            }
            (Some(rule), _) if rule.tier < Tier::Vague && part.kind == PartKind::Reason => in_part,
            (Some(rule), _)
                if is_dead && rule.cause.fault() == Fault::Us && part.kind == PartKind::LastLine =>
            {
                in_part
            }
            (Some(rule), _) if is_dead && rule.cause.fault() == Fault::Us && may_be_about_us() => in_part,
            // The reason is about the sender in words that no rule knows: so the reply is not about the mailbox.
            (None, _) if is_dead && part.kind == PartKind::Reason && may_be_about_us() => None,
            _ => in_whole,
        }
    }

    /// Makes a meaning by code alone ambiguous if the words may be about the sender, and keeps a positive control from deciding
    /// where the words are not about a recipient.
    fn weigh_unknown_words(&self, meaning: &mut Meaning, reply: &NormalizedReply) {
        let is_dead = |cause: Cause| cause.verdict() == Verdict::Undeliverable;
        if !is_dead(meaning.cause) && !meaning.if_about_mailbox.is_some_and(is_dead) {
            return;
        }
        let about_mailbox = reply.words_about_mailbox(self.mask.as_ref());
        if is_dead(meaning.cause) && self.reading.may_be_about_us(&reply.words, &reply.words) {
            meaning.cause = Cause::Ambiguous;
            meaning.confidence = Confidence::Inferred;
        }
        if !self.reading.can_be_explained(&reply.words, &about_mailbox) {
            meaning.if_about_mailbox = None;
        }
    }

    fn matching_normalized<'a, 'r>(
        &'a self,
        reply: &'r NormalizedReply,
        context: &'r ReplyContext<'r>,
    ) -> impl Iterator<Item = &'a ReplyRule> + use<'a, 'r> {
        let candidates = self.index.candidates(&reply.words);
        let about_mailbox = LazyCell::new(|| reply.words_about_mailbox(self.mask.as_ref()));
        self.rules
            .iter()
            // Before RCPT no recipient was named, so no words can be about one.
            .filter(move |rule| rule.tier != Tier::Recipient || !context.stage.is_before_rcpt())
            .filter(move |rule| {
                rule.matches_codes(reply, context)
                    && rule.may_match_text(&candidates)
                    && rule.matches_text(
                        &candidates,
                        if rule.reads_words_about_mailbox() { &about_mailbox } else { &reply.words },
                    )
                    && !rule.is_excluded_by(&reply.words)
            })
    }
}

/// The cause of a rejection before RCPT: it is about the session whatever its text says, because no recipient and no
/// domain was named yet.
fn cause_before_rcpt(cause: Cause, stage: Stage, is_permanent: bool) -> Cause {
    match cause {
        about_us if about_us.fault() == Fault::Us => about_us,
        Cause::Accepted | Cause::Greylisted | Cause::ServerFailure | Cause::RoutingFailure => cause,
        Cause::Ambiguous if !is_permanent => cause,
        _ if stage == Stage::Mail => Cause::SenderRejected,
        _ => Cause::SenderBlocked,
    }
}

/// The cause of a reply that the server itself calls temporary: a 4xx never makes an address undeliverable.
fn temporary_cause(cause: Cause) -> Cause {
    match cause {
        Cause::MailboxUnknown | Cause::MailboxMoved => Cause::MailboxUnverified,
        Cause::MailboxDisabled => Cause::MailboxSuspended,
        Cause::DomainNoMail => Cause::RoutingFailure,
        other => other,
    }
}

/// A longer wait is taken for a misread number.
const LONGEST_WAIT: Duration = Duration::from_secs(2 * 24 * 3600);

/// How long the server asks to wait: `try again in 300 seconds`, `greylisted for 5 minutes`, `retry in 00:05:00`.
/// `None` for a reply that is not 4xx: only a 4xx asks for a retry.
fn requested_wait(reply: &NormalizedReply) -> Option<Duration> {
    if !(400..500).contains(&reply.code) {
        return None;
    }
    let words: Vec<&str> =
        reply.words.split(' ').map(|word| word.trim_matches(['.', ',', ';', ':', '!'])).collect();
    let found = words.iter().enumerate().find_map(|(at, word)| {
        let next = words.get(at + 1).copied().unwrap_or("");
        clock_time(word).or_else(|| amount_of_time(word, next))
    });
    found.filter(|wait| !wait.is_zero() && *wait <= LONGEST_WAIT)
}

/// `300 seconds`, `300s`, `5min`.
fn amount_of_time(word: &str, next: &str) -> Option<Duration> {
    let digits = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    let number: u64 = word[..digits].parse().ok()?;
    let unit = if digits == word.len() { next } else { &word[digits..] };
    let seconds = match unit {
        "s" | "sec" | "secs" | "second" | "seconds" | "sekunden" | "secondes" | "segundos" | "secondi" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" | "minuten" | "minutos" | "minuti" => 60,
        "h" | "hr" | "hrs" | "hour" | "hours" | "stunde" | "stunden" | "heure" | "heures" | "horas"
        | "ore" => 3600,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

/// `00:05:00` or `05:00`, as greylisting programs write a time.
fn clock_time(word: &str) -> Option<Duration> {
    let mut parts = word.split(':').map(|part| part.parse::<u64>().ok());
    let (first, second, third) = (parts.next()??, parts.next()??, parts.next());
    let seconds = match third {
        None => first.checked_mul(60)?.checked_add(second)?,
        Some(third) => first.checked_mul(3600)?.checked_add(second.checked_mul(60)?)?.checked_add(third?)?,
    };
    Some(Duration::from_secs(seconds))
}

/// The name of the blocklist: the host after `using` or `listed at`, otherwise a list of the policy that the text names.
fn named_blocklist(reply: &NormalizedReply, known: &BTreeMap<String, Vec<String>>) -> Option<String> {
    let mut words = reply.words.split(' ');
    let mut before = "";
    let named = words.find_map(|word| {
        let follows = matches!(before, "using" | "by" | "in" | "at" | "on" | "from" | "via");
        before = word;
        let name = word.trim_end_matches(['.', ',', ';', ':', '!']);
        let is_host = name.contains('.')
            && !name.contains(['/', '~', '@'])
            && name.bytes().any(|b| b.is_ascii_alphabetic());
        (follows && is_host).then(|| name.to_owned())
    });
    named.or_else(|| {
        let marks = known.iter().flat_map(|(name, marks)| marks.iter().map(move |mark| (name, mark)));
        let named = marks.filter(|(_, mark)| reply.words.contains(mark.as_str()));
        // The longest mark is the most specific: `zen.spamhaus` before `spamhaus`.
        named.max_by_key(|(_, mark)| mark.len()).map(|(name, _)| name.clone())
    })
}
