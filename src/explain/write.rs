//! Writes explanations: a card for each failure and a summary for people, one JSON object per line for programs.
//!
//! Decides: wording and order of a card, with the plain sentence first and codes and rule for the administrator last; how a
//! line that is not a JSON request is answered (`ambiguous`, never an error, because programs count lines).
//! Fails: only when the input cannot be read or the output cannot be written.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use super::advice;
use super::explainer::{Explainer, Explanation};
use super::locate::{self, LocatedReply};
use super::message;
use crate::reason::{Cause, Fault};
use crate::smtp::{Reply, Stage};

/// Why explanations could not be written.
#[derive(Debug)]
pub enum ExplainError {
    /// The input cannot be read.
    Read(io::Error),
    /// The output cannot be written.
    Write(io::Error),
}

impl Explainer<'_> {
    /// Explains any input for people: a card for each failure, and for several failures whether one domain or every domain
    /// rejects the sender. An mbox is read message by message.
    pub fn write_cards(&self, mut input: impl BufRead, mut output: impl Write) -> Result<(), ExplainError> {
        let mut tally = CauseTally::default();
        let is_mbox = input.fill_buf().map_err(ExplainError::Read)?.starts_with(b"From ");
        let mut write = |explanations: Vec<Explanation<'_>>| {
            let is_only = !is_mbox && explanations.len() == 1;
            explanations.into_iter().try_for_each(|explanation| {
                tally.add(&explanation);
                let more = if is_only { more(&explanation) } else { String::new() };
                writeln!(output, "{}{more}", card(&explanation)).map_err(ExplainError::Write)
            })
        };
        if is_mbox {
            for message in message::split_mbox(input) {
                write(self.explain_message(&message.map_err(ExplainError::Read)?))?;
            }
        } else {
            let mut text = Vec::new();
            input.read_to_end(&mut text).map_err(ExplainError::Read)?;
            write(self.explain_text(&text))?;
        }
        let summary = tally.summary().map_or(Ok(()), |summary| writeln!(output, "{summary}"));
        summary.and_then(|()| output.flush()).map_err(ExplainError::Write)
    }

    /// Explains every line that is not blank for programs (`explain --jsonl`): one JSON object in, one out, in order.
    pub fn write_json_lines(
        &self,
        mut input: impl BufRead,
        mut output: impl Write,
    ) -> Result<(), ExplainError> {
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line).map_err(ExplainError::Read)? > 0 {
            if !line.trim_ascii().is_empty() {
                let explanation = self.explain_failure(requested(&line));
                serde_json::to_writer(&mut output, &json_answer(&explanation))
                    .map_err(io::Error::from)
                    .and_then(|()| output.write_all(b"\n"))
                    .map_err(ExplainError::Write)?;
            }
            line.clear();
        }
        output.flush().map_err(ExplainError::Write)
    }
}

/// If this share of the domains, in percent, rejects the sender, the summary looks for the cause at the sender.
const EVERY_DOMAIN_PERCENT: usize = 80;
/// With fewer domains than this the share says nothing.
const ENOUGH_DOMAINS: usize = 3;

/// One explanation as text.
fn card(explanation: &Explanation<'_>) -> String {
    let Explanation { failure, provider, meaning, advice } = explanation;
    let cause = meaning.cause;
    let mut card = reply_line(failure);
    let mut row = |name: &str, value: &str| {
        // Writing to a `String` can't fail.
        let _ = writeln!(card, "  {name:<10} {value}");
    };
    if let Some(recipient) = &failure.recipient {
        row("to", recipient);
    }
    row("means", cause.sentence());
    row("fault", fault_phrase(cause.fault()));
    row("to act", advice.who.phrase());
    row("do first", &advice.step);
    if let Some(list) = &meaning.blocklist {
        row("list", list);
    }
    if let Some(wait) = meaning.retry_in {
        row("wait", &humantime::format_duration(wait).to_string());
    }
    if !failure.has_code {
        row("but", "the text has no reply code, so the meaning is inferred from its words alone");
    }
    if let Some(hidden) = meaning.if_about_mailbox.filter(|_| failure.has_code) {
        row("or", &format!("{}, if other mailboxes at this server are accepted", hidden.sentence()));
    }
    let mut codes = format!(
        "{} ({}, {}), rule {}",
        cause.word(),
        cause.verdict().word(),
        meaning.confidence.word(),
        meaning.rule
    );
    if let Some(stage) = failure.stage {
        let _ = write!(codes, ", at {}", stage.word());
    }
    if let Some(host) = &failure.host {
        let _ = write!(codes, ", {host}");
    }
    if let Some(provider) = provider {
        let _ = write!(codes, " ({provider})");
    }
    row("for admins", &codes);
    card
}

/// What to do after the first step, for one failure alone.
fn more(explanation: &Explanation<'_>) -> String {
    let Explanation { meaning, provider, .. } = explanation;
    let mut text = String::new();
    for (n, step) in advice::next_steps(meaning.cause, *provider).into_iter().enumerate() {
        // Writing to a `String` can't fail.
        let _ = writeln!(text, "  {:<10} {step}", if n == 0 { "then" } else { "" });
    }
    for topic in advice::topics_of(meaning.cause) {
        let _ = writeln!(text, "  {:<10} listproof explain --topic {topic}", "more");
    }
    text
}

/// The reply on one line. An enhanced code that every line of the reply repeats is written once.
fn reply_line(failure: &LocatedReply) -> String {
    let Reply { code, enhanced, lines } = &failure.reply;
    let repeated = enhanced.map(|code| code.to_string()).unwrap_or_default();
    let rest = lines.iter().skip(1).map(|line| line.strip_prefix(repeated.as_str()).unwrap_or(line).trim());
    let words: Vec<&str> = lines.iter().take(1).map(|line| line.trim()).chain(rest).collect();
    let words = words.join(" ");
    if failure.has_code { format!("{code} {words}\n") } else { format!("{words}\n") }
}

fn fault_phrase(fault: Fault) -> &'static str {
    match fault {
        Fault::List => "the list: the address is written wrongly",
        Fault::Mailbox => "the mailbox",
        Fault::Domain => "the recipient's domain",
        Fault::Host => "the receiving system",
        Fault::Us => "the sender: this says nothing about the address",
        Fault::None => "none, or not known",
    }
}

/// Counts over all failures of the input.
#[derive(Debug, Default)]
struct CauseTally {
    causes: BTreeMap<Cause, usize>,
    domains: BTreeSet<String>,
    /// The domains that reject the sender.
    rejecting: BTreeSet<String>,
}

impl CauseTally {
    /// Counts a failure.
    fn add(&mut self, explanation: &Explanation<'_>) {
        let cause = explanation.meaning.cause;
        *self.causes.entry(cause).or_default() += 1;
        let recipient = explanation.failure.recipient.as_deref().unwrap_or("");
        if let Some((_, domain)) = recipient.rsplit_once('@') {
            let domain = domain.to_ascii_lowercase();
            if cause.fault() == Fault::Us {
                self.rejecting.insert(domain.clone());
            }
            self.domains.insert(domain);
        }
    }

    /// The causes and their counts, and where to look first; `None` for a single failure.
    fn summary(&self) -> Option<String> {
        let failures: usize = self.causes.values().sum();
        if failures < 2 {
            return None;
        }
        let mut text = format!("{failures} failures at {} domains\n", self.domains.len());
        let mut causes: Vec<_> = self.causes.iter().collect();
        causes.sort_by_key(|&(cause, count)| (std::cmp::Reverse(count), cause));
        for (cause, count) in causes {
            let _ = writeln!(text, "  {count:>6}  {:<24} {}", cause.word(), cause.sentence());
        }
        text.push_str(&self.one_domain_or_every_domain());
        Some(text)
    }

    fn one_domain_or_every_domain(&self) -> String {
        let (all, us) = (self.domains.len(), self.rejecting.len());
        let is_general = all >= ENOUGH_DOMAINS && us * 100 >= all * EVERY_DOMAIN_PERCENT;
        match (us, self.rejecting.first()) {
            (0, _) => "no domain rejects the sender: look at the addresses".to_owned(),
            _ if is_general => {
                format!(
                    "{us} of {all} domains reject the sender: look at your IP address, its name and your sender domain first"
                )
            }
            (1, Some(domain)) => {
                format!(
                    "one domain rejects the sender, {domain}: look at its reply, not at your whole set-up"
                )
            }
            _ => format!(
                "{us} of {all} domains reject the sender: compare what they have in common, such as one provider or one blocklist"
            ),
        }
    }
}

/// One line of the input.
#[derive(Deserialize)]
struct JsonRequest<'a> {
    #[serde(borrow)]
    reply: Cow<'a, str>,
    #[serde(borrow, default)]
    stage: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    mx: Option<Cow<'a, str>>,
}

/// One line of the output.
#[derive(Serialize)]
struct JsonAnswer<'a> {
    reason: &'static str,
    fault: &'static str,
    verdict: &'static str,
    confidence: &'static str,
    retry: &'static str,
    rule: &'a str,
    advice: &'a str,
}

/// The failure in a line. A line that is not a request becomes a reply without words, which is `ambiguous`.
fn requested(line: &[u8]) -> LocatedReply {
    let Ok(request) = serde_json::from_slice::<JsonRequest<'_>>(line) else {
        return LocatedReply {
            reply: Reply::new(0, [""; 0]),
            has_code: false,
            stage: None,
            host: None,
            recipient: None,
        };
    };
    let (reply, has_code) = locate::extract_reply(&request.reply);
    let named = request.stage.as_deref().and_then(Stage::from_word);
    LocatedReply {
        reply,
        has_code,
        stage: named.or_else(|| locate::stage_named(&request.reply)),
        host: match request.mx {
            Some(host) => Some(host.trim_end_matches('.').to_ascii_lowercase()),
            None => locate::host_named(&request.reply),
        },
        recipient: None,
    }
}

fn json_answer<'a>(explanation: &'a Explanation<'_>) -> JsonAnswer<'a> {
    let cause = explanation.meaning.cause;
    JsonAnswer {
        reason: cause.word(),
        fault: cause.fault().word(),
        verdict: cause.verdict().word(),
        confidence: explanation.meaning.confidence.word(),
        retry: cause.retry().word(),
        rule: explanation.meaning.rule.as_str(),
        advice: &explanation.advice.step,
    }
}
