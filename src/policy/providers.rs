//! Which operator an exchanger belongs to, and how gently it is asked.
//!
//! Decides: the operator of an MX host (longest suffix of whole labels) and its limits at a pace. Must not: know any
//! provider by name; all of that is `data/providers.toml`. Fails: with file and line, when that file is wrong.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::PolicyError;
use crate::address::Domain;

/// The shipped table.
const BUILT_IN: &str = include_str!("data/providers.toml");

/// How hard a run presses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// A tenth of `normal`.
    Gentle,
    /// Modest guesses of what receivers bear of bare probes.
    #[default]
    Normal,
    /// The published limits of mail senders; for own servers, labs, and senders whom the operators know.
    Fast,
}

impl Pace {
    /// All paces, from the slowest on.
    pub const ALL: [Pace; 3] = [Pace::Gentle, Pace::Normal, Pace::Fast];

    /// Its word in settings and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Pace::Gentle => "gentle",
            Pace::Normal => "normal",
            Pace::Fast => "fast",
        }
    }

    /// The pace of a word; `None` for any other text.
    pub fn from_word(word: &str) -> Option<Pace> {
        Pace::ALL.into_iter().find(|pace| pace.word() == word)
    }
}

/// What holds in every session at an operator, whatever the pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionLimits {
    /// MAIL commands in one session.
    pub transactions: u32,
    /// RCPT commands in one transaction.
    pub recipients: u32,
    /// Refused recipients in one session.
    pub refused: u32,
}

/// What one egress address may do at an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimits {
    /// Connections open at once.
    pub open: u32,
    /// New connections per minute.
    pub connections: u32,
    /// RCPT commands per minute.
    pub recipients: u32,
    /// Unknown recipients per hour; `None` is no cap.
    #[serde(default)]
    pub unknown_per_hour: Option<u32>,
    /// Unknown recipients per day; `None` is no cap.
    #[serde(default)]
    pub unknown_per_day: Option<u32>,
}

impl RateLimits {
    /// The time from one RCPT to the next.
    pub fn recipient_period(&self) -> Duration {
        Duration::from_secs(60) / self.recipients.max(1)
    }

    /// The time from one new connection to the next.
    pub fn connection_period(&self) -> Duration {
        Duration::from_secs(60) / self.connections.max(1)
    }

    fn tenth(&self) -> RateLimits {
        let tenth = |n: u32| (n / 10).max(1);
        RateLimits {
            open: tenth(self.open),
            connections: tenth(self.connections),
            recipients: tenth(self.recipients),
            unknown_per_hour: self.unknown_per_hour.map(tenth),
            unknown_per_day: self.unknown_per_day.map(tenth),
        }
    }
}

/// An operator of mail exchangers.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// The word in the `provider` column, and what reply rules are keyed by. Empty for the nameless default.
    pub id: Arc<str>,
    /// For people.
    pub name: String,
    /// False where RCPT answers prove nothing.
    pub evidence: bool,
    /// Share of its domains that accept any name, 0 to 1.
    pub catch_all_share: f64,
    /// Use STARTTLS whenever it is offered.
    pub tls: bool,
    /// It may accept, and discard, after too many unknown names.
    pub may_discard: bool,
    /// Refused listed addresses that prove that a domain does not accept any name.
    pub proof: u32,
    /// Its own big domains, by which it is known without a look at the DNS.
    pub domains: Vec<String>,
    /// What holds in every session.
    pub session_limits: SessionLimits,
    normal: RateLimits,
    fast: RateLimits,
}

impl Provider {
    /// What one egress address may do here at a pace.
    pub fn limits(&self, pace: Pace) -> RateLimits {
        match pace {
            Pace::Gentle => self.normal.tenth(),
            Pace::Normal => self.normal,
            Pace::Fast => self.fast,
        }
    }

    /// True for an operator that the table knows.
    pub fn is_known(&self) -> bool {
        !self.id.is_empty()
    }
}

/// All operators, found by MX host.
#[derive(Clone, Debug)]
pub struct Providers {
    by_suffix: HashMap<String, Arc<Provider>>,
    default: Arc<Provider>,
}

impl Providers {
    /// The shipped operators.
    pub fn built_in() -> &'static Providers {
        static SHIPPED: LazyLock<Providers> =
            LazyLock::new(|| match Providers::parse("providers.toml", BUILT_IN) {
                Ok(providers) => providers,
                // A test reads the shipped file, so this can't happen in a build that passed it.
                Err(fault) => unreachable!("the shipped policy is wrong: {fault}"),
            });
        &SHIPPED
    }

    /// Reads a table; `file` is for the messages.
    pub fn parse(file: &str, text: &str) -> Result<Providers, PolicyError> {
        let table: Table = toml::from_str(text).map_err(|fault| PolicyError::toml(file, text, &fault))?;
        let default = Arc::new(table.default.provider());
        let mut providers = Providers { by_suffix: HashMap::new(), default };
        providers.add(file, text, table.provider)?;
        Ok(providers)
    }

    /// Adds a user's table: entries replace those of the same id, its `[default]` may be left out.
    pub fn extend(&mut self, file: &str, text: &str) -> Result<(), PolicyError> {
        let table: Extension = toml::from_str(text).map_err(|fault| PolicyError::toml(file, text, &fault))?;
        if let Some(default) = table.default {
            self.default = Arc::new(default.provider());
        }
        for named in &table.provider {
            self.by_suffix.retain(|_, provider| *provider.id != *named.get_ref().id);
        }
        self.add(file, text, table.provider)
    }

    /// The operator of an MX host; the nameless default for a host that nobody knows.
    pub fn of(&self, host: &Domain) -> &Arc<Provider> {
        let mut rest = host.as_str();
        loop {
            if let Some(provider) = self.by_suffix.get(rest) {
                return provider;
            }
            match rest.split_once('.') {
                Some((_, parent)) => rest = parent,
                None => return &self.default,
            }
        }
    }

    /// The operator of one of its own big domains, or of a domain that is named like its hosts; a guess without a look at
    /// the DNS.
    pub fn of_domain(&self, domain: &Domain) -> &Arc<Provider> {
        let mut known = self.by_suffix.values();
        let own = known.find(|provider| provider.domains.iter().any(|own| own == domain.as_str()));
        own.unwrap_or_else(|| self.of(domain))
    }

    /// The id of the operator of a host as text, if the table knows it.
    pub fn id_of(&self, host: &str) -> Option<&str> {
        let provider = self.of(&Domain::from_dns(host).ok()?);
        provider.is_known().then_some(&*provider.id)
    }

    /// The operator of this id.
    pub fn by_id(&self, id: &str) -> Option<&Arc<Provider>> {
        self.by_suffix.values().find(|provider| *provider.id == *id)
    }

    /// What hosts are asked by that nobody knows.
    pub fn nameless(&self) -> &Arc<Provider> {
        &self.default
    }

    fn add(&mut self, file: &str, text: &str, named: Vec<Spanned<Named>>) -> Result<(), PolicyError> {
        for entry in named {
            let line = text[..entry.span().start].matches('\n').count() + 1;
            let entry = entry.into_inner();
            let id = entry.id.clone();
            let suffixes = entry.mx.clone();
            let provider = Arc::new(entry.provider());
            for suffix in suffixes {
                if let Some(other) = self.by_suffix.insert(suffix.clone(), provider.clone()) {
                    return Err(PolicyError {
                        file: file.to_owned(),
                        line,
                        what: format!("`{suffix}` belongs to `{}` and to `{id}`", other.id),
                        hint: "give each MX suffix to one provider".to_owned(),
                    });
                }
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    default: Nameless,
    provider: Vec<Spanned<Named>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extension {
    default: Option<Nameless>,
    #[serde(default)]
    provider: Vec<Spanned<Named>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nameless {
    catch_all_share: f64,
    tls: bool,
    manners: SessionLimits,
    normal: RateLimits,
    fast: RateLimits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    id: String,
    name: String,
    mx: Vec<String>,
    #[serde(default = "yes")]
    evidence: bool,
    catch_all_share: f64,
    #[serde(default)]
    tls: bool,
    #[serde(default)]
    may_discard: bool,
    #[serde(default = "two")]
    proof: u32,
    #[serde(default)]
    domains: Vec<String>,
    manners: SessionLimits,
    normal: RateLimits,
    fast: RateLimits,
}

fn yes() -> bool {
    true
}

fn two() -> u32 {
    2
}

impl Nameless {
    fn provider(self) -> Provider {
        Provider {
            id: Arc::from(""),
            name: String::new(),
            evidence: true,
            catch_all_share: self.catch_all_share,
            tls: self.tls,
            may_discard: true,
            proof: two(),
            domains: Vec::new(),
            session_limits: self.manners,
            normal: self.normal,
            fast: self.fast,
        }
    }
}

impl Named {
    fn provider(self) -> Provider {
        Provider {
            id: self.id.into(),
            name: self.name,
            evidence: self.evidence,
            catch_all_share: self.catch_all_share,
            tls: self.tls,
            may_discard: self.may_discard,
            proof: self.proof,
            domains: self.domains,
            session_limits: self.manners,
            normal: self.normal,
            fast: self.fast,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(host: &str) -> String {
        Providers::built_in().of(&Domain::parse(host).unwrap()).id.to_string()
    }

    #[test]
    fn an_operator_is_found_by_whole_labels_longest_first() {
        assert_eq!(id("aspmx.l.google.com"), "google");
        assert_eq!(id("acme-example.mail.protection.outlook.com"), "microsoft365");
        assert_eq!(id("eur.olc.protection.outlook.com"), "outlook");
        assert_eq!(id("mx.notgoogle.com"), "");
        assert_eq!(id("mx.acme.example"), "");
    }

    #[test]
    fn big_domains_are_known_without_the_dns() {
        let id =
            |domain: &str| Providers::built_in().of_domain(&Domain::parse(domain).unwrap()).id.to_string();
        assert_eq!(id("gmail.com"), "google");
        assert_eq!(id("hotmail.com"), "outlook");
        assert_eq!(id("gmx.de"), "gmx");
        assert_eq!(id("acme.example"), "");
    }

    #[test]
    fn no_pace_is_above_the_next_faster_one() {
        let providers = Providers::built_in();
        for provider in providers.by_suffix.values().chain([&providers.default]) {
            let [gentle, normal, fast] =
                [Pace::Gentle, Pace::Normal, Pace::Fast].map(|pace| provider.limits(pace));
            assert!(gentle.recipients <= normal.recipients && normal.recipients <= fast.recipients);
            assert!(normal.open <= fast.open && normal.connections <= fast.connections, "{}", provider.id);
            assert_eq!(fast.unknown_per_day, None);
        }
    }

    #[test]
    fn a_users_entry_replaces_the_shipped_one_and_errors_name_the_line() {
        let mut providers = Providers::built_in().clone();
        let entry = r#"
            [[provider]]
            id = "google"
            name = "Ours"
            mx = ["mx.ours.example"]
            catch_all_share = 0.0
            manners = { transactions = 1, recipients = 1, refused = 1 }
            normal = { open = 1, connections = 1, recipients = 1 }
            fast = { open = 1, connections = 1, recipients = 1 }
        "#;
        providers.extend("mine.toml", entry).unwrap();
        assert_eq!(providers.of(&Domain::parse("mx.ours.example").unwrap()).name, "Ours");
        assert!(!providers.of(&Domain::parse("aspmx.l.google.com").unwrap()).is_known());
        let fault = providers.extend("mine.toml", "\n[[provider]]\ncolour = 1\n").unwrap_err();
        assert!(fault.to_string().starts_with("mine.toml:3: "), "{fault}");
    }
}
