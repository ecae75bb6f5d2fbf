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
    steps: Vec<NextSteps>,
    topic: Vec<Topic>,
    letter: HashMap<String, String>,
}

/// What to do after the first step.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NextSteps {
    cause: Vec<String>,
    #[serde(default)]
    provider: Vec<String>,
    topic: Option<String>,
    steps: Vec<String>,
    #[expect(dead_code, reason = "for readers of the file; the loader only requires it")]
    source: String,
}

/// Advice that belongs to no single reply.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Its name on the command line.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// What to do, in order.
    pub steps: Vec<String>,
    /// Where it comes from, and when it was read.
    pub source: String,
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
    next: Vec<NextSteps>,
    topics: Vec<Topic>,
    letter: HashMap<String, String>,
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
    for entry in &file.provider {
        for cause in entry.cause.iter().map(cause) {
            for provider in &entry.provider {
                at_provider.insert((cause, provider.clone()), who_at(cause, &entry.step));
            }
        }
    }
    let File { links, steps: next, topic: topics, letter, .. } = file;
    Table { general, at_list, at_provider, links, next, topics, letter }
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

/// What to do after the first step, in order; that for a provider comes first.
pub(super) fn next_steps(cause: Cause, provider: Option<&str>) -> Vec<&'static str> {
    let word = cause.word();
    let (at_provider, general): (Vec<&NextSteps>, Vec<&NextSteps>) = TABLE
        .next
        .iter()
        .filter(|entry| entry.cause.iter().any(|cause| cause == word))
        .filter(|entry| {
            entry.provider.is_empty() || entry.provider.iter().any(|id| Some(id.as_str()) == provider)
        })
        .partition(|entry| !entry.provider.is_empty());
    at_provider.into_iter().chain(general).flat_map(|entry| entry.steps.iter().map(String::as_str)).collect()
}

/// The topics that say more about a cause.
pub(super) fn topics_of(cause: Cause) -> Vec<&'static str> {
    let entries = TABLE.next.iter().filter(|entry| entry.cause.iter().any(|word| word == cause.word()));
    entries.filter_map(|entry| entry.topic.as_deref()).collect()
}

/// All topics.
pub fn topics() -> &'static [Topic] {
    &TABLE.topics
}

/// What a letter to the receiver's postmaster asks for.
pub(super) fn request(cause: Cause) -> &'static str {
    TABLE.letter.get(cause.word()).unwrap_or_else(|| &TABLE.letter["other"])
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
    fn causes_providers_and_topics_of_next_steps_exist() {
        let is_topic = |id: &String| topics().iter().any(|topic| topic.id == *id);
        for entry in &TABLE.next {
            assert!(
                !entry.steps.is_empty() && entry.topic.as_ref().is_none_or(is_topic),
                "{:?}",
                entry.topic
            );
            for word in &entry.cause {
                assert!(Cause::from_word(word).is_some(), "{word}");
            }
            for id in &entry.provider {
                assert!(Providers::built_in().by_id(id).is_some(), "{id}");
            }
        }
        assert!(TABLE.letter.keys().all(|word| word == "other" || Cause::from_word(word).is_some()));
        let at_microsoft = next_steps(Cause::MailboxUnknown, Some("microsoft365"));
        assert!(at_microsoft[0].contains("5.4.1"));
        assert_ne!(at_microsoft[0], next_steps(Cause::MailboxUnknown, None)[0]);
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
