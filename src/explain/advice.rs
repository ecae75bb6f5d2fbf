//! What to do about a cause: data (`policy/data/advice.toml`), looked up by cause and operator.
//!
//! Decides: nothing. Every cause has advice; a test says so.

use crate::reason::Cause;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Who can change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Actor {
    /// The owner of the list.
    You,
    /// Whoever runs the sending server and its domain.
    Sender,
    /// The administrator of the receiving system.
    Receiver,
    /// The person whose mailbox it is.
    Recipient,
    /// Time will tell.
    Nobody,
}

impl Actor {
    /// As a reader sees it.
    pub fn phrase(self) -> &'static str {
        match self {
            Actor::You => "you, the owner of the list",
            Actor::Sender => "whoever runs the sending server",
            Actor::Receiver => "the administrator of the receiving system",
            Actor::Recipient => "the recipient",
            Actor::Nobody => "nobody",
        }
    }
}

/// Who must act, and the first step.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advice {
    /// Who.
    pub who: Actor,
    /// The first step, as a sentence without its full stop.
    pub step: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cause: HashMap<String, Advice>,
    operator: Vec<AtOperator>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AtOperator {
    provider: Vec<String>,
    cause: Vec<String>,
    step: String,
    #[expect(dead_code, reason = "for the reader of the file; the loader only asks that it is there")]
    source: String,
}

/// Advice by cause, and by cause at one operator.
struct Table {
    general: HashMap<Cause, Advice>,
    at_operator: HashMap<(Cause, String), Advice>,
}

#[expect(clippy::expect_used, reason = "the data are part of the program, and a test loads them")]
static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("../policy/data/advice.toml")).expect("built-in advice");
    let cause = |word: &String| Cause::from_word(word).expect("a cause in the built-in advice");
    let general: HashMap<Cause, Advice> =
        file.cause.into_iter().map(|(word, advice)| (cause(&word), advice)).collect();
    let mut at_operator = HashMap::new();
    for entry in file.operator {
        for cause in entry.cause.iter().map(cause) {
            for provider in &entry.provider {
                let advice = Advice { who: general[&cause].who, step: entry.step.clone() };
                at_operator.insert((cause, provider.clone()), advice);
            }
        }
    }
    Table { general, at_operator }
});

/// The advice for a cause, at an operator if it is known.
pub fn advice(cause: Cause, provider: Option<&str>) -> &'static Advice {
    let special = provider.and_then(|id| TABLE.at_operator.get(&(cause, id.to_owned())));
    special.unwrap_or_else(|| &TABLE.general[&cause])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_advice_and_only_our_own_faults_send_people_to_the_sender() {
        for &cause in Cause::ALL {
            let advice = advice(cause, None);
            assert!(!advice.step.is_empty());
            let is_ours = cause.fault() == crate::reason::Fault::Us;
            assert_eq!(advice.who == Actor::Sender, is_ours, "{}", cause.word());
        }
    }

    #[test]
    fn an_operator_with_a_way_of_its_own_is_named() {
        assert_ne!(advice(Cause::IpBlocklisted, Some("outlook")), advice(Cause::IpBlocklisted, None));
        assert_eq!(advice(Cause::IpBlocklisted, Some("nobody-knows")), advice(Cause::IpBlocklisted, None));
    }
}
