//! The format of a world file.
//!
//! Decides: the keys and their values. Each field below is a key of the TOML file; `samples/world.toml` shows most of
//! them.
//! Fails: with the line of an unknown key, an unknown word, or a text that is no reply. Must not: combine entries;
//! [`super::build`] does.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use toml::Spanned;
use toml::value::Datetime;

use super::limits::HostLimits;
use super::pattern::NamePattern;
use super::rule::{HostRule, ReplyText};
use super::software::{Situation, Software};
use crate::duration;

/// A whole world file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Script {
    /// The time of day at which the world starts.
    pub now: Option<Datetime>,
    /// The seed of all random choices.
    #[serde(default)]
    pub seed: u64,
    /// The identity of the client.
    #[serde(default)]
    pub egress: EgressEntry,
    /// The delay of every DNS answer.
    #[serde(default, deserialize_with = "duration::deserialize")]
    pub dns_delay: Duration,
    /// The names with their DNS records and mailboxes.
    #[serde(default, rename = "domain")]
    pub domains: Vec<DomainEntry>,
    /// The mail servers.
    #[serde(default, rename = "host")]
    pub hosts: Vec<HostEntry>,
}

/// `[egress]`: the identity of the client, for runs that name none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EgressEntry {
    /// The name in EHLO.
    pub helo: String,
    /// The envelope sender.
    pub mail_from: String,
    /// The source address that hosts see if the run names none.
    pub ip: std::net::IpAddr,
}

impl Default for EgressEntry {
    fn default() -> EgressEntry {
        EgressEntry {
            helo: "probe.example.org".to_owned(),
            mail_from: "list-check@example.org".to_owned(),
            ip: std::net::Ipv4Addr::new(203, 0, 113, 25).into(),
        }
    }
}

/// `[[domain]]`: a name with its DNS records, the faults of its name servers, and its mailboxes. A name without records
/// exists and has no data; a name that the file does not have does not exist.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DomainEntry {
    /// One name, or many (`d{1..999}.example`; then `{n}` and `{n%20}` are filled in in `mx`, `address` and `cname`).
    pub name: Spanned<NamePattern>,
    /// MX records: `"10 mx1.example"`; `"0 ."` is the null MX.
    #[serde(default)]
    pub mx: Vec<String>,
    /// A and AAAA records. The addresses of `[[host]]` entries are added by themselves.
    #[serde(default)]
    pub address: Vec<String>,
    /// The target of a CNAME record.
    pub cname: Option<String>,
    /// The fault of its name servers.
    pub fault: Option<DnsFaultEntry>,
    /// The query type that the fault affects; all if missing.
    pub fault_on: Option<QueryType>,
    /// The time to live of its records.
    #[serde(default = "five_minutes", deserialize_with = "duration::deserialize")]
    pub ttl: Duration,
    /// Other records from a time on.
    #[serde(default, rename = "change")]
    pub changes: Vec<RecordChange>,
    /// The delay of its name servers, in addition to `dns_delay`.
    #[serde(default, deserialize_with = "duration::deserialize")]
    pub delay: Duration,
    /// The mailboxes that exist. `postmaster` always exists, unless `answers` has it.
    #[serde(default)]
    pub mailboxes: Vec<NamePattern>,
    /// Mailboxes with another reply than acceptance: a situation (`full`) or the text of the reply (`"550 5.2.1 …"`).
    #[serde(default)]
    pub answers: std::collections::BTreeMap<String, ReplyEntry>,
    /// Any recipient is accepted.
    #[serde(default)]
    pub catch_all: bool,
    /// The reply for unknown recipients, if it is not that of the host.
    pub unknown: Option<ReplyText>,
    /// Greylisting.
    pub greylist: Option<Greylist>,
}

/// `[[domain.change]]`: records that change at a time, as when mail moves to another provider. A missing key leaves the
/// records as they were.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordChange {
    /// The time in the world.
    #[serde(deserialize_with = "duration::deserialize")]
    pub since: Duration,
    /// The MX records from then on.
    pub mx: Option<Vec<String>>,
    /// The A and AAAA records from then on.
    pub address: Option<Vec<String>>,
}

/// A fault of name servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsFaultEntry {
    /// They answer SERVFAIL.
    Servfail,
    /// They answer REFUSED.
    Refused,
    /// They do not answer.
    Timeout,
    /// They do not serve the zone that is delegated to them, which a resolver reports as SERVFAIL.
    Lame,
}

/// A type of DNS query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum QueryType {
    /// MX.
    Mx,
    /// A and AAAA.
    Address,
}

/// `[[host]]`: a mail server. It receives mail for each domain whose MX records (or own addresses) lead to it. Several
/// entries may have the same name: then they are the addresses of that name, each with a behavior of its own. One entry
/// with many names and an `address` is one machine that all these names lead to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostEntry {
    /// One name, or many (`mx{0..19}.example`).
    pub name: Spanned<NamePattern>,
    /// The addresses. Without any, each name is a host of its own with the next free address of 198.18.0.0/15.
    #[serde(default)]
    pub address: Vec<Spanned<std::net::IpAddr>>,
    /// The software whose replies and keywords it uses.
    #[serde(default)]
    pub software: Software,
    /// What happens to a connection.
    #[serde(default)]
    pub connect: ConnectBehavior,
    /// The greeting, if it is not that of its software.
    pub greeting: Option<ReplyText>,
    /// Whether it knows EHLO; otherwise only HELO.
    #[serde(default = "yes")]
    pub ehlo: bool,
    /// The EHLO keywords, if they are not those of its software. `tls` adds STARTTLS.
    pub offers: Option<Vec<String>>,
    /// Discards what arrives together with a command, although it may offer PIPELINING.
    #[serde(default)]
    pub discards_pipelined: bool,
    /// How it handles STARTTLS.
    #[serde(default)]
    pub tls: TlsBehavior,
    /// The round-trip time.
    #[serde(default, deserialize_with = "duration::deserialize")]
    pub rtt: Duration,
    /// The delay before each reply.
    #[serde(default, deserialize_with = "duration::deserialize")]
    pub think: Duration,
    /// The additional delay before the reply to each unknown recipient.
    #[serde(default, deserialize_with = "duration::deserialize")]
    pub tarpit: Duration,
    /// Accepts any recipient of its domains, as a backup MX host does that has no list of mailboxes.
    #[serde(default)]
    pub catch_all: bool,
    /// After this many unknown recipients in a session it accepts every recipient.
    pub accepts_after_unknowns: Option<u32>,
    /// The reply for unknown recipients, if it is not that of its software.
    pub unknown: Option<ReplyText>,
    /// Greylisting.
    pub greylist: Option<Greylist>,
    /// The limits for each client.
    #[serde(default)]
    pub limits: HostLimits,
    /// The rules. At each step the first one that matches and replies or misbehaves applies.
    #[serde(default, rename = "rule")]
    pub rules: Vec<HostRule>,
}

/// What happens to a connection before the greeting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectBehavior {
    /// It is accepted.
    #[default]
    Accepted,
    /// The connection is refused: no server listens.
    Refused,
    /// There is no answer.
    Timeout,
    /// There is no route to the address.
    Unreachable,
}

/// How a host handles STARTTLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsBehavior {
    /// Not offered.
    #[default]
    None,
    /// Offered.
    Offered,
    /// Offered, and MAIL before STARTTLS is rejected.
    Required,
    /// Required, but not offered.
    Impossible,
    /// Offered, but the handshake fails.
    Broken,
}

/// The reply for a mailbox: a situation, for which the software of the host has a text, or a text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum ReplyEntry {
    /// A situation.
    Situation(Situation),
    /// The text of the reply.
    Text(ReplyText),
}

impl TryFrom<String> for ReplyEntry {
    type Error = String;

    fn try_from(text: String) -> Result<ReplyEntry, String> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return ReplyText::try_from(text).map(ReplyEntry::Text);
        }
        let word = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(&text);
        let situation = Situation::deserialize(word);
        situation
            .map(ReplyEntry::Situation)
            .map_err(|fault| format!("{fault}, or a reply such as `550 5.2.1 closed`"))
    }
}

/// `greylist`: new clients are deferred.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Greylist {
    /// How long a new client is deferred.
    #[serde(deserialize_with = "duration::deserialize")]
    pub delay: Duration,
    /// By what a client is known.
    #[serde(default)]
    pub by: GreylistKey,
    /// The reply, if it is not that of the software of the host.
    pub say: Option<ReplyText>,
}

/// By what a greylist knows a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GreylistKey {
    /// Client, sender and recipient, as Postgrey does.
    #[default]
    Triplet,
    /// Client and the recipient's domain.
    Domain,
    /// The client.
    Client,
}

fn yes() -> bool {
    true
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

impl<'de> Deserialize<'de> for NamePattern {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<NamePattern, D::Error> {
        NamePattern::try_from(String::deserialize(source)?).map_err(serde::de::Error::custom)
    }
}
