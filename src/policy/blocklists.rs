//! DNS blocklists: which there are, who may ask them, and what their answers mean (RFC 5782).
//!
//! Decides: what one answer of one list says ([`Blocklist::read`]). Fails: with file and line, on a file that is not valid
//! TOML or has an unknown key. Must not: look anything up.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use serde::Deserialize;

use super::file::PolicyError;

/// The shipped lists.
const BUILT_IN: &str = include_str!("data/blocklists.toml");

/// All blocklists.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blocklists {
    #[serde(default, rename = "list")]
    lists: Vec<Blocklist>,
}

/// One blocklist.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Blocklist {
    /// The last part of the name of its check.
    pub(crate) id: String,
    zone: String,
    keyed: Option<String>,
    lists: Vec<ListedKind>,
    asked: AskedWhen,
    /// Receivers reject mail because of it.
    pub(crate) rejects: bool,
    #[serde(default)]
    errors: Vec<AnswerText>,
    /// A bit of the last number of an answer that refuses a query.
    refused: Option<u8>,
    #[serde(default)]
    means: Vec<AnswerText>,
    /// A domain that it lists as a test, where that is not `test`.
    pub(crate) test_domain: Option<String>,
    /// It has the test entries of RFC 5782 5.
    #[serde(default = "yes", rename = "test")]
    pub(crate) has_test_entries: bool,
    /// The first step to be removed.
    pub(crate) remove: String,
    #[expect(dead_code, reason = "for readers of the file; the loader only requires it")]
    source: String,
}

/// What a blocklist lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ListedKind {
    /// IPv4 addresses.
    Ipv4,
    /// IPv6 addresses.
    Ipv6,
    /// Domains.
    Domain,
}

/// When a blocklist is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AskedWhen {
    Always,
    Wanted,
    Never,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerText {
    answer: Ipv4Addr,
    means: String,
    #[serde(default)]
    pbl: bool,
}

fn yes() -> bool {
    true
}

/// What one address in an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BlocklistAnswer {
    /// A listing.
    Listed {
        /// Why, where the list says it.
        means: Option<String>,
        /// No bad reputation: this address should not send directly.
        is_policy: bool,
    },
    /// The list does not answer this client.
    Refused(String),
    /// No answer of a blocklist.
    Foreign,
}

impl Blocklist {
    /// What an address in its answer says.
    pub(crate) fn read(&self, answer: IpAddr) -> BlocklistAnswer {
        let IpAddr::V4(answer) = answer else { return BlocklistAnswer::Foreign };
        if !answer.is_loopback() {
            return BlocklistAnswer::Foreign;
        }
        if let Some(error) = self.errors.iter().find(|error| error.answer == answer) {
            return BlocklistAnswer::Refused(error.means.clone());
        }
        // Every list that has errors at all has them here; no list has listings here.
        if answer.octets()[..3] == [127, 255, 255] {
            return BlocklistAnswer::Refused("it refuses the query".to_owned());
        }
        if self.refused.is_some_and(|bit| answer.octets()[3] & bit != 0) {
            return BlocklistAnswer::Refused("it does not answer this resolver".to_owned());
        }
        let text = self.means.iter().find(|text| text.answer == answer);
        BlocklistAnswer::Listed {
            means: text.map(|text| text.means.clone()),
            is_policy: text.is_some_and(|text| text.pbl),
        }
    }

    /// True if it lists this kind.
    pub(crate) fn has(&self, kind: ListedKind) -> bool {
        self.lists.contains(&kind)
    }

    /// True if it may be asked: by its terms, with a key, or because all are wanted.
    pub(crate) fn may_be_asked(&self, key: Option<&str>, all: bool) -> bool {
        match self.asked {
            AskedWhen::Always => true,
            AskedWhen::Wanted => all || (self.keyed.is_some() && key.is_some()),
            AskedWhen::Never => false,
        }
    }

    /// The zone to ask.
    pub(crate) fn zone(&self, key: Option<&str>) -> String {
        match (&self.keyed, key) {
            (Some(keyed), Some(key)) => keyed.replace("{key}", key),
            _ => self.zone.clone(),
        }
    }

    /// The zone as it is shown, without a key.
    pub(crate) fn public_zone(&self) -> &str {
        &self.zone
    }
}

impl Blocklists {
    /// The shipped lists.
    pub fn built_in() -> &'static Blocklists {
        static SHIPPED: LazyLock<Blocklists> = LazyLock::new(|| match toml::from_str(BUILT_IN) {
            Ok(lists) => lists,
            // A test reads the shipped file, so this can't happen in a build that passed it.
            Err(fault) => unreachable!("the shipped policy is wrong: {fault}"),
        });
        &SHIPPED
    }

    /// No list.
    #[cfg(test)]
    pub(crate) fn none() -> Blocklists {
        Blocklists { lists: Vec::new() }
    }

    /// These lists with those of a user's file, which replace lists of the same id; `file` is its name in errors.
    pub fn with(&self, file: &str, text: &str) -> Result<Blocklists, PolicyError> {
        let own: Blocklists = toml::from_str(text).map_err(|fault| PolicyError::toml(file, text, &fault))?;
        let mut lists: Vec<Blocklist> =
            self.lists.iter().filter(|list| own.lists.iter().all(|own| own.id != list.id)).cloned().collect();
        lists.extend(own.lists);
        Ok(Blocklists { lists })
    }

    /// The lists.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Blocklist> {
        self.lists.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(id: &str) -> &'static Blocklist {
        Blocklists::built_in().iter().find(|list| list.id == id).unwrap()
    }

    fn read(id: &str, answer: &str) -> &'static str {
        match list(id).read(answer.parse().unwrap()) {
            BlocklistAnswer::Listed { is_policy: false, .. } => "listed",
            BlocklistAnswer::Listed { .. } => "policy",
            BlocklistAnswer::Refused(_) => "refused",
            BlocklistAnswer::Foreign => "foreign",
        }
    }

    #[test]
    fn only_listings_are_listings() {
        for (id, answer, expected) in [
            ("spamhaus_zen", "127.0.0.2", "listed"),
            ("spamhaus_zen", "127.0.0.11", "policy"),
            ("spamhaus_zen", "127.255.255.254", "refused"),
            ("spamhaus_zen", "127.255.255.1", "refused"),
            ("spamhaus_dbl", "127.0.1.2", "listed"),
            ("spamhaus_dbl", "127.0.1.255", "refused"),
            ("surbl", "127.0.0.1", "refused"),
            ("surbl", "127.0.0.64", "listed"),
            ("uribl", "127.0.0.3", "refused"),
            ("validity", "127.255.255.255", "refused"),
            ("spamcop", "127.255.255.254", "refused"),
            ("spamcop", "192.0.2.7", "foreign"),
            ("spamcop", "2001:db8::1", "foreign"),
            ("spamcop", "127.0.0.2", "listed"),
        ] {
            assert_eq!(read(id, answer), expected, "{id} {answer}");
        }
    }

    #[test]
    fn terms_and_keys_decide_who_is_asked() {
        let asked = |key, all| -> Vec<&str> {
            let lists = Blocklists::built_in().iter().filter(|list| list.may_be_asked(key, all));
            lists.map(|list| list.id.as_str()).collect()
        };
        assert_eq!(asked(None, false), ["spamcop", "mailspike", "psbl", "dronebl"]);
        assert!(asked(Some("k"), false).contains(&"spamhaus_zen"));
        assert_eq!(list("spamhaus_zen").zone(Some("k")), "k.zen.dq.spamhaus.net");
        assert_eq!(list("spamhaus_zen").zone(None), "zen.spamhaus.org");
        let all = asked(None, true);
        assert!(all.contains(&"surbl") && !all.contains(&"sorbs") && !all.contains(&"spamcannibal"));
    }

    #[test]
    fn a_users_list_is_added_or_replaces_and_errors_name_the_line() {
        let own = "[[list]]\nid = \"psbl\"\nzone = \"bl.example.org\"\nlists = [\"ipv4\"]\nasked = \"always\"\n\
                   rejects = true\nremove = \"ask me\"\nsource = \"mine\"\n";
        let lists = Blocklists::built_in().with("own.toml", own).unwrap();
        let zones: Vec<&str> = lists.iter().map(Blocklist::public_zone).collect();
        assert!(zones.contains(&"bl.example.org") && !zones.contains(&"psbl.surriel.com"));
        let fault = Blocklists::built_in().with("own.toml", "[[list]]\nid = \"x\"\nno = 1\n").unwrap_err();
        assert!(fault.to_string().starts_with("own.toml:"), "{fault}");
    }
}
