//! Loads reply rules from TOML.
//!
//! Decides: whether a rule is well-formed. Rejects unknown keys, causes, stages and tiers, duplicate ids, invalid patterns,
//! and rules without an example or a source; each error names the file and the line. Must not: open files. That a rule
//! decides its own examples is checked by `ReplyRules::check`, when all rules are loaded.

use super::matching::Pattern;
use super::reading::Reading;
use super::rule::{Codes, ReplyRule, RuleId, Tier};
use crate::policy::file::{PolicyError, line_at};
use crate::reason::{Cause, Confidence};
use crate::smtp::Stage;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use toml::Spanned;

/// The text of a rules file, and its name in errors.
#[derive(Clone, Copy, Debug)]
pub struct RuleFile<'a> {
    /// The name, as the user wrote it.
    pub name: &'a str,
    /// The text, in TOML.
    pub text: &'a str,
}

/// The keys of `[reading]`.
const READING: [&str; 6] =
    ["reason", "pointer", "about_us", "about_recipient", "neutral", "last_line_decides"];

/// How deep word families may be nested. Deeper nesting is taken for a family that contains itself.
const DEEPEST_FAMILY: usize = 4;

/// A rules file as it is written: word families, masks and blocklists, then the tiers in reading order.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawFile {
    words: BTreeMap<String, Vec<String>>,
    masks: BTreeMap<String, Vec<String>>,
    blocklists: BTreeMap<String, Vec<String>>,
    reading: BTreeMap<String, Vec<String>>,
    us: Vec<Spanned<RawRule>>,
    #[serde(rename = "operator")]
    provider: Vec<Spanned<RawRule>>,
    recipient: Vec<Spanned<RawRule>>,
    system: Vec<Spanned<RawRule>>,
    vague: Vec<Spanned<RawRule>>,
    enhanced: Vec<Spanned<RawRule>>,
    basic: Vec<Spanned<RawRule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    id: String,
    cause: String,
    #[serde(default)]
    stage: Vec<String>,
    #[serde(default)]
    provider: Vec<String>,
    #[serde(default)]
    code: Vec<String>,
    #[serde(default)]
    enhanced: Vec<String>,
    #[serde(default)]
    text: Vec<String>,
    #[serde(default)]
    unless: Vec<String>,
    #[serde(default)]
    confidence: Option<String>,
    #[serde(default)]
    about_mailbox: Option<String>,
    example: Vec<String>,
    #[serde(default)]
    not: Vec<String>,
    source: String,
}

/// The content of the files read so far.
#[derive(Default)]
pub(super) struct Draft {
    words: BTreeMap<String, String>,
    masks: BTreeMap<String, Vec<String>>,
    pub(super) blocklists: BTreeMap<String, Vec<String>>,
    reading: BTreeMap<String, Vec<String>>,
    /// By tier, each in reading order.
    pub(super) rules: BTreeMap<Tier, Vec<ReplyRule>>,
}

impl Draft {
    /// Adds a user's file. A rule with a known id replaces that rule in its place; a new rule is read before the older ones
    /// of its tier.
    pub(super) fn overlay(&mut self, file: RuleFile<'_>) -> Result<(), PolicyError> {
        for (tier, new) in self.read(file)? {
            self.rules.entry(tier).or_default().splice(0..0, new);
        }
        Ok(())
    }

    /// Adds a shipped file: its rules are read after those of earlier files.
    pub(super) fn append(&mut self, file: RuleFile<'_>) -> Result<(), PolicyError> {
        for (tier, new) in self.read(file)? {
            self.rules.entry(tier).or_default().extend(new);
        }
        Ok(())
    }

    /// Reads a file. A rule with a known id and tier replaces the old one; all other rules are returned.
    fn read(&mut self, file: RuleFile<'_>) -> Result<Vec<(Tier, Vec<ReplyRule>)>, PolicyError> {
        let raw: RawFile = toml::from_str(file.text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            fault(
                file,
                offset,
                error.message().to_owned(),
                "see `listproof policy show` for the keys of a rule",
            )
        })?;
        for (name, family) in raw.words {
            self.words.insert(name, format!("(?:{})", family.join("|")));
        }
        self.masks.extend(raw.masks);
        self.blocklists.extend(raw.blocklists);
        if let Some(name) = raw.reading.keys().find(|name| !READING.contains(&name.as_str())) {
            let what = format!("`{name}` is not a key of `[reading]`");
            return Err(fault(
                file,
                0,
                what,
                "its keys: reason, pointer, about_us, about_recipient, neutral, last_line_decides",
            ));
        }
        self.reading.extend(raw.reading);
        let mut all_new = Vec::new();
        let mut seen = HashMap::new();
        for (tier, rules) in [
            (Tier::Us, raw.us),
            (Tier::Provider, raw.provider),
            (Tier::Recipient, raw.recipient),
            (Tier::System, raw.system),
            (Tier::Vague, raw.vague),
            (Tier::Enhanced, raw.enhanced),
            (Tier::Basic, raw.basic),
        ] {
            let mut new = Vec::new();
            for raw in rules {
                let offset = raw.span().start;
                let raw = raw.into_inner();
                let line = line_at(file.text, offset);
                if let Some(before) = seen.insert(raw.id.clone(), line) {
                    let what = format!("rule `{}` occurs twice, first in line {before}", raw.id);
                    return Err(fault(file, offset, what, "give each rule an id of its own"));
                }
                let rule = self
                    .rule(file, line, tier, raw)
                    .map_err(|(what, hint)| fault(file, offset, what, hint))?;
                let old = self.rules.values_mut().flatten().find(|old| old.id == rule.id);
                match old {
                    Some(old) if old.tier == tier => *old = rule,
                    _ => {
                        self.rules.values_mut().for_each(|tier| tier.retain(|old| old.id != rule.id));
                        new.push(rule);
                    }
                }
            }
            all_new.push((tier, new));
        }
        Ok(all_new)
    }

    /// The masks as one pattern, which matches phrases that are not about the mailbox; `None` without masks.
    pub(super) fn mask(&self) -> Result<Option<Pattern>, PolicyError> {
        let error = |what: String| {
            let hint = "each phrase under `[masks]` is a pattern like those of `text`".to_owned();
            PolicyError { file: "[masks]".to_owned(), line: 1, what, hint }
        };
        let mut phrases = Vec::new();
        for phrase in self.masks.values().flatten() {
            let phrase =
                self.expand(phrase).map_err(|family| error(format!("no word family `{{{family}}}`")))?;
            // `\b` works between ASCII characters only.
            phrases.push(if phrase.is_ascii() { format!(r"\b(?:{phrase})") } else { phrase });
        }
        if phrases.is_empty() {
            return Ok(None);
        }
        // A masked subject takes its verb along: "your account is no longer ..." must leave nothing about a mailbox.
        let verb = "(?: (?:is|are|was|were|has|have|been|does|do|no longer))*";
        Pattern::new(format!("(?:{}){verb}", phrases.join("|"))).map(Some).map_err(error)
    }

    /// How replies are read.
    pub(super) fn reading(&self) -> Result<Reading, PolicyError> {
        let error = |what: String| {
            let hint = "each phrase under `[reading]` is a pattern like those of `text`".to_owned();
            PolicyError { file: "[reading]".to_owned(), line: 1, what, hint }
        };
        let words = |key: &str| self.reading.get(key).cloned().unwrap_or_default();
        let pattern = |key: &str| {
            let phrases = words(key);
            let expanded: Result<Vec<_>, _> = phrases.iter().map(|phrase| self.expand(phrase)).collect();
            let expanded = expanded.map_err(|family| error(format!("no word family `{{{family}}}`")))?;
            let pattern = (!expanded.is_empty()).then(|| Pattern::new(format!("(?:{})", expanded.join("|"))));
            pattern.transpose().map_err(error)
        };
        Ok(Reading {
            reason: pattern("reason")?,
            pointer: pattern("pointer")?,
            about_us: pattern("about_us")?,
            about_recipient: pattern("about_recipient")?,
            neutral: words("neutral"),
            last_line_decides: words("last_line_decides"),
        })
    }

    fn rule(&self, file: RuleFile<'_>, line: usize, tier: Tier, raw: RawRule) -> Result<ReplyRule, Fault> {
        let named = |what: &str| format!("{what} of rule `{}`", raw.id);
        let cause = |word: &str| {
            Cause::from_word(word).ok_or_else(|| {
                (
                    format!("`{word}` is not a cause, in rule `{}`", raw.id),
                    "the causes are the reasons that a reply can have, for example `mailbox_unknown`",
                )
            })
        };
        if raw.example.is_empty() {
            return Err((
                named("no example"),
                "add `example = [\"550 ...\"]`, a reply on which the rule must win",
            ));
        }
        let wants = match tier {
            Tier::Enhanced => !raw.enhanced.is_empty(),
            Tier::Basic => true,
            Tier::Us | Tier::Provider | Tier::Recipient | Tier::System | Tier::Vague => {
                !raw.text.is_empty() || !raw.enhanced.is_empty() && tier == Tier::Provider
            }
        };
        if !wants {
            return Err((
                named("no condition"),
                "a rule about words needs `text`, a rule about enhanced codes needs `enhanced`",
            ));
        }
        if tier == Tier::Provider && raw.provider.is_empty() {
            return Err((named("no `provider`"), "rules that hold at every provider belong to another tier"));
        }
        let stages = raw.stage.iter().map(|word| {
            Stage::from_word(word).ok_or_else(|| {
                (
                    format!("`{word}` is not a stage, in rule `{}`", raw.id),
                    "stages: connect, helo, starttls, mail, rcpt, data, eod",
                )
            })
        });
        let codes = raw.code.iter().map(|word| {
            Codes::basic(word).ok_or_else(|| {
                (format!("`{word}` is not a reply code, in rule `{}`", raw.id), "write `550` or `5xx`")
            })
        });
        let enhanced = raw.enhanced.iter().map(|word| {
            Codes::enhanced(word).ok_or_else(|| {
                (
                    format!("`{word}` is not an enhanced code, in rule `{}`", raw.id),
                    "write `5.1.1`, `x.1.1` or `5.7.606-649`",
                )
            })
        });
        let confidence = match raw.confidence.as_deref() {
            Some("confirmed") => Confidence::Confirmed,
            Some("inferred") => Confidence::Inferred,
            Some(word) => {
                return Err((
                    format!("`{word}` is not a confidence, in rule `{}`", raw.id),
                    "write `confirmed` or `inferred`",
                ));
            }
            None if matches!(tier, Tier::Us | Tier::Provider | Tier::Recipient | Tier::System) => {
                Confidence::Confirmed
            }
            None => Confidence::Inferred,
        };
        let pattern = |part: &String| self.pattern(part, &raw.id);
        let text = raw.text.iter().map(pattern).collect::<Result<_, _>>()?;
        let unless = raw.unless.iter().map(pattern).collect::<Result<_, _>>()?;
        Ok(ReplyRule {
            tier,
            cause: cause(&raw.cause)?,
            about_mailbox: raw.about_mailbox.as_deref().map(cause).transpose()?,
            confidence,
            stages: stages.collect::<Result<_, _>>()?,
            codes: codes.collect::<Result<_, _>>()?,
            enhanced: enhanced.collect::<Result<_, _>>()?,
            id: RuleId(raw.id.as_str().into()),
            providers: raw.provider,
            text,
            unless,
            examples: raw.example,
            counter_examples: raw.not,
            source: raw.source,
            file: file.name.into(),
            line,
        })
    }

    fn pattern(&self, part: &str, id: &str) -> Result<Pattern, Fault> {
        let expanded = self.expand(part).map_err(|family| {
            (format!("no word family `{{{family}}}`, in rule `{id}`"), "define word families under `[words]`")
        })?;
        Pattern::new(expanded).map_err(|error| {
            (
                format!("the pattern `{part}` of rule `{id}` is invalid: {error}"),
                "patterns are regular expressions over lower-case words; classes hold ASCII only",
            )
        })
    }

    /// Inserts word families into a pattern. The error is the name of an unknown family.
    fn expand(&self, pattern: &str) -> Result<String, String> {
        self.expand_within(pattern, DEEPEST_FAMILY)
    }

    fn expand_within(&self, pattern: &str, depth: usize) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = pattern;
        while let Some(open) = rest.find('{') {
            let close = rest[open..].find('}').map_or(rest.len(), |at| open + at);
            let name = &rest[open + 1..close];
            let is_family = name.starts_with(|c: char| c.is_ascii_lowercase());
            if is_family {
                let family = self.words.get(name).filter(|_| depth > 0).ok_or_else(|| name.to_owned())?;
                out.push_str(&rest[..open]);
                out.push_str(&self.expand_within(family, depth - 1)?);
            } else {
                out.push_str(&rest[..rest.len().min(close + 1)]);
            }
            rest = rest.get(close + 1..).unwrap_or("");
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// What is wrong, and a hint.
type Fault = (String, &'static str);

fn fault(file: RuleFile<'_>, offset: usize, what: String, hint: &str) -> PolicyError {
    PolicyError::at(file.name, file.text, offset, what, hint)
}
