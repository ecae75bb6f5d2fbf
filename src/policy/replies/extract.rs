//! What a reply tells beside its meaning: how long to wait, and on which blocklist we are.
//!
//! Decides: which number is a time and which word a list's name. Must not: make either up. `None` where it can't tell.

use super::normalize::NormalizedReply;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longer waits than this are no appointment but a mistake in reading.
const LONGEST_WAIT: Duration = Duration::from_secs(2 * 24 * 3600);

/// How long the server asks to wait: `try again in 300 seconds`, `greylisted for 5 minutes`, `retry in 00:05:00`.
/// Only a 4xx invites to come back.
pub(super) fn wait(heard: &NormalizedReply) -> Option<Duration> {
    if !(400..500).contains(&heard.code) {
        return None;
    }
    let words: Vec<&str> =
        heard.words.split(' ').map(|word| word.trim_matches(['.', ',', ';', ':', '!'])).collect();
    let found = words.iter().enumerate().find_map(|(at, word)| {
        let next = words.get(at + 1).copied().unwrap_or("");
        clock(word).or_else(|| amount(word, next))
    });
    found.filter(|wait| !wait.is_zero() && *wait <= LONGEST_WAIT)
}

/// `300 seconds`, `300s`, `5min`.
fn amount(word: &str, next: &str) -> Option<Duration> {
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

/// `00:05:00` or `05:00`, as greylisting programs write it.
fn clock(word: &str) -> Option<Duration> {
    let mut parts = word.split(':').map(|part| part.parse::<u64>().ok());
    let (first, second, third) = (parts.next()??, parts.next()??, parts.next());
    let seconds = match third {
        None => first.checked_mul(60)?.checked_add(second)?,
        Some(third) => first.checked_mul(3600)?.checked_add(second.checked_mul(60)?)?.checked_add(third?)?,
    };
    Some(Duration::from_secs(seconds))
}

/// The list's name: the host after `using` or `listed at`, else a list that the policy knows, named anywhere.
pub(super) fn blocklist(heard: &NormalizedReply, known: &BTreeMap<String, Vec<String>>) -> Option<String> {
    let mut words = heard.words.split(' ');
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
        let named = marks.filter(|(_, mark)| heard.words.contains(mark.as_str()));
        // The longest mark is the most particular: `zen.spamhaus` before `spamhaus`.
        named.max_by_key(|(_, mark)| mark.len()).map(|(name, _)| name.clone())
    })
}
