//! Advice: who must act on a cause, and the first step. The data is `policy/data/advice.toml`.
//!
//! Decides: nothing; it looks up by cause, provider and blocklist. Every cause has advice; a test checks it.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::reason::Cause;

/// Who can solve the problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Actor {
    /// The owner of the list.
    You,
    /// The administrator of the sending server and its domain.
    Sender,
    /// The administrator of the receiving system.
    Receiver,
    /// The owner of the mailbox.
    Recipient,
    /// No one: either there is no problem, or a retry solves it.
    #[serde(rename = "nobody")]
    NotNeeded,
}

impl Actor {
    /// The text on a card.
    pub fn phrase(self) -> &'static str {
        match self {
            Actor::You => "you, the owner of the list",
            Actor::Sender => "the administrator of the sending server",
            Actor::Receiver => "the administrator of the receiving system",
            Actor::Recipient => "the recipient",
            Actor::NotNeeded => "no action is needed",
        }
    }
}

/// Who must act, and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advice {
    /// Who must act.
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
    #[serde(rename = "operator")]
    provider: Vec<AtProvider>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AtList {
    name: Vec<String>,
    step: String,
    #[expect(dead_code, reason = "for readers of the file; the loader only requires it")]
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AtProvider {
    provider: Vec<String>,
    cause: Vec<String>,
    step: String,
    #[expect(dead_code, reason = "for readers of the file; the loader only requires it")]
    source: String,
}

/// Advice by cause, by blocklist, and by cause and provider.
struct Table {
    general: HashMap<Cause, Advice>,
    /// A part of a blocklist's name, and the advice.
    at_list: Vec<(String, Advice)>,
    at_provider: HashMap<(Cause, String), Advice>,
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
    let mut at_provider = HashMap::new();
    for entry in file.provider {
        for cause in entry.cause.iter().map(cause) {
            for provider in &entry.provider {
                at_provider.insert((cause, provider.clone()), who_at(cause, &entry.step));
            }
        }
    }
    Table { general, at_list, at_provider, links: file.links }
});

/// The advice for a cause: that of the blocklist that the reply names, else that of the provider, else the general one. Only the
/// blocklist itself removes an entry.
pub(super) fn advice(cause: Cause, provider: Option<&str>, blocklist: Option<&str>) -> &'static Advice {
    let at_provider = || provider.and_then(|id| TABLE.at_provider.get(&(cause, id.to_owned())));
    let at_list = blocklist.map(str::to_ascii_lowercase).and_then(|list| {
        TABLE.at_list.iter().find_map(|(name, advice)| list.contains(name.as_str()).then_some(advice))
    });
    at_list.or_else(at_provider).unwrap_or_else(|| &TABLE.general[&cause])
}

/// The provider whose pages a host serves, for links in replies; for hosts that are not below a provider's MX suffixes.
pub(super) fn linked_provider(host: &str) -> Option<&'static str> {
    let is_below =
        |suffix: &str| host.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    TABLE.links.iter().find_map(|(suffix, id)| is_below(suffix).then_some(id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Providers;

    #[test]
    fn every_cause_has_advice_and_only_faults_of_the_sender_are_for_the_sender() {
        for &cause in Cause::ALL {
            let advice = advice(cause, None, None);
            assert!(!advice.step.is_empty());
            let is_the_senders = cause.fault() == crate::reason::Fault::Us;
            assert_eq!(advice.who == Actor::Sender, is_the_senders, "{}", cause.word());
        }
    }

    #[test]
    fn advice_of_a_named_blocklist_comes_before_that_of_a_provider_and_that_before_the_general_one() {
        let at = |provider, list| &advice(Cause::IpBlocklisted, provider, list).step;
        let general = at(None, None);
        assert_ne!(at(Some("outlook"), None), general);
        assert_ne!(at(None, Some("zen.spamhaus.org")), general);
        assert_eq!(at(Some("microsoft365"), Some("zen.spamhaus.org")), at(None, Some("zen.spamhaus.org")));
        assert_eq!(at(Some("outlook"), Some("Microsoft")), at(Some("outlook"), None));
        assert_eq!(at(Some("unheard-of"), Some("nothing.example")), general);
    }

    #[test]
    fn links_lead_to_providers_of_the_policy() {
        for (suffix, id) in &TABLE.links {
            assert!(Providers::built_in().by_id(id).is_some(), "{id}");
            assert_eq!(linked_provider(&format!("help.{suffix}")), Some(id.as_str()));
        }
        assert_eq!(linked_provider("notyahoo.com"), None);
    }
}
