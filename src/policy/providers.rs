//! Which provider runs an MX host, and how fast it may be probed.
//!
//! Decides: the provider of an MX host (the longest suffix of whole labels) and its limits at a pace. Must not: know any
//! provider by name; all of that is `data/providers.toml`. Fails: with file and line, when that file is wrong.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::file::{PolicyError, line_at};
use crate::address::Domain;

/// The shipped table.
const BUILT_IN: &str = include_str!("data/providers.toml");

/// How fast a run probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// A tenth of `normal`.
    Gentle,
    /// Modest guesses of what providers tolerate from a client that only probes.
    #[default]
    Normal,
    /// The published limits for mail senders. For servers of one's own, labs, and senders known to the provider.
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

/// The limits of one session at a provider, at every pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionLimits {
    /// MAIL commands in one session.
    pub transactions: u32,
    /// RCPT commands in one transaction.
    pub recipients: u32,
    /// Rejected recipients in one session.
    #[serde(rename = "refused")]
    pub rejections: u32,
}

/// The limits of one egress at a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimits {
    /// Concurrent connections.
    pub open: u32,
    /// New connections per minute.
    pub connections: u32,
    /// RCPT commands per minute.
    pub recipients: u32,
    /// Unknown recipients per hour; `None` is unlimited.
    #[serde(default)]
    pub unknown_per_hour: Option<u32>,
    /// Unknown recipients per day; `None` is unlimited.
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

    /// A tenth of each limit, at least 1.
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

/// A provider: who runs MX hosts, and how they may be probed.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the data")]
pub struct Provider {
    /// The value of the `provider` column and the key of reply rules. Empty for an unknown provider.
    pub id: Arc<str>,
    /// The name in summaries.
    pub name: String,
    /// False if replies to RCPT prove nothing about a mailbox.
    pub rcpt_is_evidence: bool,
    /// Share of its domains that are catch-alls, 0 to 1.
    pub catch_all_share: f64,
    /// STARTTLS is used whenever the server offers it; otherwise only after the server demanded it.
    pub tls: bool,
    /// Its hosts may accept and discard mail after too many unknown recipients.
    pub may_discard: bool,
    /// Others have their mail here in paid mailboxes, so a list that calls such a domain disposable is probably wrong.
    pub has_paid_mailboxes: bool,
    /// Rejected recipients of the list that prove that a domain is not a catch-all.
    pub proving_rejections: u32,
    /// Its own large domains, by which it is recognized without a DNS look-up.
    pub domains: Vec<String>,
    /// The limits of one session, at every pace.
    pub session_limits: SessionLimits,
    normal: RateLimits,
    fast: RateLimits,
    address: Option<AddressLimits>,
}

/// The limits of one egress at one IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddressLimits {
    normal: RateLimits,
    fast: RateLimits,
}

impl Provider {
    /// True if its data say that its rejections and its controls can be trusted: its hosts do not turn, so that they
    /// answer every recipient alike from some moment on.
    pub fn is_trusted(&self) -> bool {
        self.proving_rejections <= 1 && !self.may_discard
    }

    /// The limits of one egress at a pace.
    pub fn limits(&self, pace: Pace) -> RateLimits {
        match pace {
            Pace::Gentle => self.normal.tenth(),
            Pace::Normal => self.normal,
            Pace::Fast => self.fast,
        }
    }

    /// The limits of one egress at each of its IP addresses, which other providers may share. `None` for a provider that is
    /// an entry of the table: its machines serve it alone.
    pub fn address_limits(&self, pace: Pace) -> Option<RateLimits> {
        self.address.map(|AddressLimits { normal, fast }| match pace {
            Pace::Gentle => normal.tenth(),
            Pace::Normal => normal,
            Pace::Fast => fast,
        })
    }

    /// True if the provider is an entry of the table.
    pub fn is_known(&self) -> bool {
        !self.id.is_empty()
    }
}

/// All providers, by MX host.
#[derive(Clone, Debug)]
pub struct Providers {
    by_suffix: HashMap<String, Arc<Provider>>,
    default: Arc<Provider>,
}

impl Providers {
    /// The shipped table.
    pub fn built_in() -> &'static Providers {
        static SHIPPED: LazyLock<Providers> =
            LazyLock::new(|| match Providers::parse("providers.toml", BUILT_IN) {
                Ok(providers) => providers,
                // A test reads the shipped file, so this can't happen in a build that passed it.
                Err(fault) => unreachable!("the shipped policy is wrong: {fault}"),
            });
        &SHIPPED
    }

    /// Reads a whole table; `file` is its name in errors.
    pub fn parse(file: &str, text: &str) -> Result<Providers, PolicyError> {
        let table: RawTable = toml::from_str(text).map_err(|fault| PolicyError::toml(file, text, &fault))?;
        let default = Arc::new(table.default.provider());
        let mut providers = Providers { by_suffix: HashMap::new(), default };
        providers.add(file, text, table.provider)?;
        Ok(providers)
    }

    /// Adds a user's table: an entry replaces the one with the same id, and `[default]` is optional.
    pub fn extend(&mut self, file: &str, text: &str) -> Result<(), PolicyError> {
        let table: RawExtension =
            toml::from_str(text).map_err(|fault| PolicyError::toml(file, text, &fault))?;
        if let Some(default) = table.default {
            self.default = Arc::new(default.provider());
        }
        for named in &table.provider {
            self.by_suffix.retain(|_, provider| *provider.id != *named.get_ref().id);
        }
        self.add(file, text, table.provider)
    }

    /// The provider of an MX host; the unknown provider if no entry matches.
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

    /// The provider that a domain's name suggests: the domain is one of its large ones, or is named like its hosts. A
    /// guess without a DNS look-up.
    pub fn of_domain(&self, domain: &Domain) -> &Arc<Provider> {
        let mut known = self.by_suffix.values();
        let own = known.find(|provider| provider.domains.iter().any(|own| own == domain.as_str()));
        own.unwrap_or_else(|| self.of(domain))
    }

    /// The id of the provider of a host; `None` if the provider is unknown or the text is not a host name.
    pub fn id_of(&self, host: &str) -> Option<&str> {
        let provider = self.of(&Domain::from_dns(host).ok()?);
        provider.is_known().then_some(&*provider.id)
    }

    /// The provider with this id.
    pub fn by_id(&self, id: &str) -> Option<&Arc<Provider>> {
        self.by_suffix.values().find(|provider| *provider.id == *id)
    }

    /// The limits for hosts that match no entry (`[default]`).
    pub fn unknown(&self) -> &Arc<Provider> {
        &self.default
    }

    fn add(&mut self, file: &str, text: &str, named: Vec<Spanned<RawProvider>>) -> Result<(), PolicyError> {
        for entry in named {
            let line = line_at(text, entry.span().start);
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
struct RawTable {
    default: RawDefault,
    provider: Vec<Spanned<RawProvider>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExtension {
    default: Option<RawDefault>,
    #[serde(default)]
    provider: Vec<Spanned<RawProvider>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDefault {
    catch_all_share: f64,
    tls: bool,
    #[serde(rename = "manners")]
    session_limits: SessionLimits,
    normal: RateLimits,
    fast: RateLimits,
    address: Option<AddressLimits>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the data")]
struct RawProvider {
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
    #[serde(default, rename = "paid")]
    has_paid_mailboxes: bool,
    #[serde(default = "two")]
    proof: u32,
    #[serde(default)]
    domains: Vec<String>,
    #[serde(rename = "manners")]
    session_limits: SessionLimits,
    normal: RateLimits,
    fast: RateLimits,
}

fn yes() -> bool {
    true
}

fn two() -> u32 {
    2
}

impl RawDefault {
    fn provider(self) -> Provider {
        Provider {
            id: Arc::from(""),
            name: String::new(),
            rcpt_is_evidence: true,
            catch_all_share: self.catch_all_share,
            tls: self.tls,
            may_discard: true,
            has_paid_mailboxes: false,
            proving_rejections: two(),
            domains: Vec::new(),
            session_limits: self.session_limits,
            normal: self.normal,
            fast: self.fast,
            // A table of a user may have no limits of addresses: those of a provider hold for each of its addresses.
            address: self.address.or(Some(AddressLimits { normal: self.normal, fast: self.fast })),
        }
    }
}

impl RawProvider {
    fn provider(self) -> Provider {
        Provider {
            id: self.id.into(),
            name: self.name,
            rcpt_is_evidence: self.evidence,
            catch_all_share: self.catch_all_share,
            tls: self.tls,
            may_discard: self.may_discard,
            has_paid_mailboxes: self.has_paid_mailboxes,
            proving_rejections: self.proof,
            domains: self.domains,
            session_limits: self.session_limits,
            normal: self.normal,
            fast: self.fast,
            address: None,
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
    fn a_provider_is_found_by_whole_labels_longest_first() {
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
            let addresses = Pace::ALL.map(|pace| provider.address_limits(pace));
            assert!(addresses.iter().all(|limits| limits.is_some() != provider.is_known()));
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
