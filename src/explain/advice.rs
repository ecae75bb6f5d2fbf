//! What to do about a cause: data (`policy/data/advice.toml`), looked up by cause, operator and blocklist.
//!
//! Decides: nothing. Every cause has advice; a test says so.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::reason::Cause;

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
    links: BTreeMap<String, String>,
    list: Vec<AtList>,
    operator: Vec<AtProvider>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AtList {
    name: Vec<String>,
    step: String,
    #[expect(dead_code, reason = "for the reader of the file; the loader only asks that it is there")]
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AtProvider {
    provider: Vec<String>,
    cause: Vec<String>,
    step: String,
    #[expect(dead_code, reason = "for the reader of the file; the loader only asks that it is there")]
    source: String,
}

/// Advice by cause, by blocklist, and by cause at one operator.
struct Table {
    general: HashMap<Cause, Advice>,
    /// What a list's name holds, and the advice.
    at_list: Vec<(String, Advice)>,
    at_operator: HashMap<(Cause, String), Advice>,
    links: BTreeMap<String, String>,
}

#[expect(clippy::expect_used, reason = "the data are part of the program, and a test loads them")]
static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("../policy/data/advice.toml")).expect("built-in advice");
    let cause = |word: &String| Cause::from_word(word).expect("a cause in the built-in advice");
    let general: HashMap<Cause, Advice> =
        file.cause.into_iter().map(|(word, advice)| (cause(&word), advice)).collect();
    let who_at = |cause: Cause, step: &str| Advice { who: general[&cause].who, step: step.to_owned() };
    let at_list = file.list.iter().flat_map(|entry| {
        entry.name.iter().map(|name| (name.clone(), who_at(Cause::IpBlocklisted, &entry.step)))
    });
    let at_list = at_list.collect();
    let mut at_operator = HashMap::new();
    for entry in file.operator {
        for cause in entry.cause.iter().map(cause) {
            for provider in &entry.provider {
                at_operator.insert((cause, provider.clone()), who_at(cause, &entry.step));
            }
        }
    }
    Table { general, at_list, at_operator, links: file.links }
});

/// The advice for a cause, at an operator and with a blocklist if they are known.
pub fn advice(cause: Cause, provider: Option<&str>, blocklist: Option<&str>) -> &'static Advice {
    let at_operator = provider.and_then(|id| TABLE.at_operator.get(&(cause, id.to_owned())));
    let at_list = || {
        let list = blocklist?.to_ascii_lowercase();
        TABLE.at_list.iter().find_map(|(name, advice)| list.contains(name.as_str()).then_some(advice))
    };
    at_operator.or_else(at_list).unwrap_or_else(|| &TABLE.general[&cause])
}

/// The operator on whose pages a reply's link leads, where those stand on another host than its exchangers.
pub fn operator_linked(host: &str) -> Option<&'static str> {
    let is_below =
        |suffix: &str| host.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    TABLE.links.iter().find_map(|(suffix, id)| is_below(suffix).then_some(id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Providers;

    #[test]
    fn every_cause_has_advice_and_only_our_own_faults_send_people_to_the_sender() {
        for &cause in Cause::ALL {
            let advice = advice(cause, None, None);
            assert!(!advice.step.is_empty());
            let is_ours = cause.fault() == crate::reason::Fault::Us;
            assert_eq!(advice.who == Actor::Sender, is_ours, "{}", cause.word());
        }
    }

    #[test]
    fn an_operator_with_a_way_of_its_own_comes_before_a_list_and_a_list_before_the_rule() {
        let at = |provider, list| &advice(Cause::IpBlocklisted, provider, list).step;
        let general = at(None, None);
        assert_ne!(at(Some("outlook"), None), general);
        assert_ne!(at(None, Some("zen.spamhaus.org")), general);
        assert_eq!(at(Some("outlook"), Some("zen.spamhaus.org")), at(Some("outlook"), None));
        assert_eq!(at(Some("nobody-knows"), Some("nothing.example")), general);
    }

    #[test]
    fn links_lead_to_operators_that_the_policy_knows() {
        for (suffix, id) in &TABLE.links {
            assert!(Providers::built_in().by_id(id).is_some(), "{id}");
            assert_eq!(operator_linked(&format!("help.{suffix}")), Some(id.as_str()));
        }
        assert_eq!(operator_linked("notyahoo.com"), None);
    }
}
