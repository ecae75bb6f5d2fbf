//! Explanations as text: a card for each, and the answer to "one domain or every domain?".
//!
//! Decides: wording and order; the plain sentence first, codes and rule for the administrator last. Prints nothing itself.

use super::Explanation;
use super::locate::LocatedReply;
use crate::reason::{Cause, Fault};
use crate::smtp::Reply;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// From this share of the domains on, in percent, the refusals are called general.
const EVERY_DOMAIN_PERCENT: usize = 80;
/// Fewer domains than this show nothing general.
const ENOUGH_DOMAINS: usize = 3;

/// One failure, told.
pub fn card(explanation: &Explanation<'_>) -> String {
    let Explanation { failure, provider, meaning, advice } = explanation;
    let cause = meaning.cause;
    let mut card = said(failure);
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
    if !failure.coded {
        row("but", "the text has no reply code: this is read out of its words alone");
    }
    if let Some(hidden) = meaning.if_about_mailbox.filter(|_| failure.coded) {
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

/// The server's words on one line: the enhanced code that each line of a reply may repeat is said once.
fn said(failure: &LocatedReply) -> String {
    let Reply { code, enhanced, lines } = &failure.reply;
    let repeated = enhanced.map(|code| code.to_string()).unwrap_or_default();
    let rest = lines.iter().skip(1).map(|line| line.strip_prefix(repeated.as_str()).unwrap_or(line).trim());
    let words: Vec<&str> = lines.iter().take(1).map(|line| line.trim()).chain(rest).collect();
    let words = words.join(" ");
    if failure.coded { format!("{code} {words}\n") } else { format!("{words}\n") }
}

fn fault_phrase(fault: Fault) -> &'static str {
    match fault {
        Fault::List => "the list: the address is written wrongly",
        Fault::Mailbox => "the mailbox",
        Fault::Domain => "the recipient's domain",
        Fault::Host => "the receiving system",
        Fault::Us => "the sender: this says nothing about the address",
        Fault::None => "nobody's, or not known",
    }
}

/// Counts over many failures.
#[derive(Debug, Default)]
pub struct CauseTally {
    causes: BTreeMap<Cause, usize>,
    domains: BTreeSet<String>,
    refusing_us: BTreeSet<String>,
}

impl CauseTally {
    /// Counts one.
    pub fn add(&mut self, explanation: &Explanation<'_>) {
        let cause = explanation.meaning.cause;
        *self.causes.entry(cause).or_default() += 1;
        let recipient = explanation.failure.recipient.as_deref().unwrap_or("");
        if let Some((_, domain)) = recipient.rsplit_once('@') {
            let domain = domain.to_ascii_lowercase();
            if cause.fault() == Fault::Us {
                self.refusing_us.insert(domain.clone());
            }
            self.domains.insert(domain);
        }
    }

    /// What all of them say together; `None` for a single failure.
    pub fn summary(&self) -> Option<String> {
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
        let (all, us) = (self.domains.len(), self.refusing_us.len());
        let is_general = all >= ENOUGH_DOMAINS && us * 100 >= all * EVERY_DOMAIN_PERCENT;
        match (us, self.refusing_us.first()) {
            (0, _) => "no domain refuses the sender: look at the addresses".to_owned(),
            _ if is_general => {
                format!(
                    "{us} of {all} domains refuse the sender: look at your IP address, its name and your sender domain first"
                )
            }
            (1, Some(domain)) => {
                format!(
                    "one domain refuses the sender, {domain}: look at what it says, not at your whole set-up"
                )
            }
            _ => format!(
                "{us} of {all} domains refuse the sender: compare what they have in common, such as one operator or one blocklist"
            ),
        }
    }
}
