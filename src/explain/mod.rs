//! What a reply, a log line or a bounce means, for the person who got it.
//!
//! Decides: what kind of text it was given, and how the meaning is told. [`locate`] finds the reply in a line, [`bounce`]
//! the failures in a message, [`mime`] opens it, [`mbox`] parts many, [`log`] reads logs,
//! [`advice`] knows the first step, [`render`] writes for people, [`jsonl`] for programs. What a
//! reply means is decided in [`crate::policy::replies`] alone. Never fails on its input: what it can't read is `ambiguous`.

mod advice;
mod bounce;
mod jsonl;
mod locate;
mod log;
mod mbox;
mod mime;
mod render;

use std::io::{self, BufRead, Write};

use crate::policy::{Meaning, ReplyContext, ReplyRules};
use crate::reason::Confidence;
use crate::smtp::{Stage, sanitize};
use advice::Advice;
use locate::LocatedReply;
use render::CauseTally;

/// Why explaining came to no end.
#[derive(Debug)]
pub enum ExplainError {
    /// What is to be explained can't be read.
    Read(io::Error),
    /// What it means can't be written.
    Write(io::Error),
}

/// Gives the id of the operator to which a host belongs.
pub type ProviderOf<'a> = &'a dyn Fn(&str) -> Option<&'a str>;

/// Everything needed to explain.
#[derive(Clone, Copy)]
pub struct Explainer<'a> {
    /// What replies mean.
    pub rules: &'a ReplyRules,
    /// Whose host said it.
    pub provider_of: ProviderOf<'a>,
}

/// A failure and what it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation<'a> {
    /// What was told.
    pub failure: LocatedReply,
    /// The operator of the host that said it.
    pub provider: Option<&'a str>,
    /// What it means.
    pub meaning: Meaning,
    /// What to do.
    pub advice: &'static Advice,
}

impl<'a> Explainer<'a> {
    /// Explains one failure. Where the step is not known it may have been any, so that words about a message count as such.
    /// Where the host is not known, an operator's link in its own words tells whose they are.
    pub fn judge(&self, mut failure: LocatedReply) -> Explanation<'a> {
        // The reply is sanitize already; what else is shown has come from a stranger too.
        for shown in [&mut failure.host, &mut failure.recipient].into_iter().flatten() {
            *shown = sanitize(shown);
        }
        let provider = match &failure.host {
            Some(host) => (self.provider_of)(host),
            None => locate::hosts_in(&failure.reply)
                .find_map(|host| (self.provider_of)(host).or_else(|| advice::operator_linked(host))),
        };
        let stage = failure.stage.unwrap_or(Stage::Eod);
        let mut meaning = self.rules.read(&failure.reply, &ReplyContext { stage, provider });
        if !failure.coded {
            // Prose may be about anything; only a server's answer can confirm.
            meaning.confidence = Confidence::Inferred;
        }
        let advice = advice::advice(meaning.cause, provider, meaning.blocklist.as_deref());
        Explanation { failure, provider, meaning, advice }
    }

    /// Explains a text: a reply, log lines, a message or an mbox. At least one explanation comes out.
    pub fn explain(&self, text: &[u8]) -> Vec<Explanation<'a>> {
        let failures: Vec<LocatedReply> = if bounce::is_message(text) {
            mbox::messages(text)
                .filter_map(Result::ok)
                .flat_map(|message| bounce::failures(&message))
                .collect()
        } else {
            Vec::new()
        };
        let failures =
            if failures.is_empty() { failures_outside_messages(&bounce::decoded(text)) } else { failures };
        failures.into_iter().map(|failure| self.judge(failure)).collect()
    }

    /// Explains whatever comes, for people: each failure, and where there are many, whether one domain or every domain
    /// refuses. An mbox is read message by message.
    pub fn run(&self, mut input: impl BufRead, mut output: impl Write) -> Result<(), ExplainError> {
        let mut tally = CauseTally::default();
        let is_mbox = input.fill_buf().map_err(ExplainError::Read)?.starts_with(b"From ");
        let mut tell = |explanations: Vec<Explanation<'_>>| {
            explanations.into_iter().try_for_each(|explanation| {
                tally.add(&explanation);
                writeln!(output, "{}", render::card(&explanation)).map_err(ExplainError::Write)
            })
        };
        if is_mbox {
            for message in mbox::messages(input) {
                let failures = bounce::failures(&message.map_err(ExplainError::Read)?);
                tell(failures.into_iter().map(|failure| self.judge(failure)).collect())?;
            }
        } else {
            let mut text = Vec::new();
            input.read_to_end(&mut text).map_err(ExplainError::Read)?;
            tell(self.explain(&text))?;
        }
        let summed = tally.summary().map_or(Ok(()), |summary| writeln!(output, "{summary}"));
        summed.and_then(|()| output.flush()).map_err(ExplainError::Write)
    }
}

/// Part of a bounce, a log, a pasted reply, or several replies with one on each line.
fn failures_outside_messages(text: &str) -> Vec<LocatedReply> {
    let found = bounce::failures_in_text(text);
    let found = if found.is_empty() { log::failures(text) } else { found };
    if !found.is_empty() {
        return found;
    }
    let is_one_reply = text.trim_start().as_bytes().get(3) == Some(&b'-');
    let told: Vec<&str> = text.lines().filter(|line| locate::has_code(line)).collect();
    if is_one_reply || told.len() < 2 {
        return vec![locate::failure(text)];
    }
    told.into_iter().map(locate::failure).collect()
}

pub use locate::reply;
