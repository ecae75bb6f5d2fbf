//! The world file: what a person writes down, read and checked entry by entry.
//!
//! Decides: the format. Each field below is a key of the TOML file; `samples/world.toml` shows most of them. An
//! unknown key, a word that is none and a text that is no reply are errors with their line. Must not: put entries
//! together; [`super::build`] does.

use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use toml::value::Datetime;

use super::limits::HostLimits;
use super::pattern::{NamePattern, percent};
use super::words::{Situation, Software};

/// A whole world file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The time of day at which the world starts.
    pub now: Option<Datetime>,
    /// Chooses among all the worlds with the same shares of chance.
    #[serde(default)]
    pub seed: u64,
    /// Who asks.
    #[serde(default)]
    pub egress: EgressEntry,
    /// How long every answer of the name servers takes.
    #[serde(default, deserialize_with = "duration")]
    pub dns_delay: Duration,
    /// What the name servers know, and the mailboxes behind it.
    #[serde(default, rename = "domain")]
    pub domains: Vec<DomainEntry>,
    /// The machines.
    #[serde(default, rename = "host")]
    pub hosts: Vec<HostEntry>,
}

/// The sender that a run in this world has without asking its user.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EgressEntry {
    /// The name said in EHLO.
    pub helo: String,
    /// The envelope sender.
    pub mail_from: String,
    /// The source address that hosts see when the run names none.
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

/// `[[domain]]`: a name with its records, its name servers' faults and its mailboxes. A name without any record
/// exists and has no data; a name that is nowhere in the file does not exist.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainEntry {
    /// One name, or many (`d{1..999}.example`; then `{n}` and `{n%20}` count in `mx`, `address` and `cname`).
    pub name: Spanned<NamePattern>,
    /// `"10 mx1.example"`; `"0 ."` is the null MX.
    #[serde(default)]
    pub mx: Vec<String>,
    /// A and AAAA records. Hosts of the file have theirs already.
    #[serde(default)]
    pub address: Vec<String>,
    /// Another name that stands for this one.
    pub cname: Option<String>,
    /// What its name servers do instead of answering.
    pub fault: Option<DnsFaultEntry>,
    /// Which questions the fault meets; all of them unless said.
    pub fault_on: Option<QueryType>,
    /// How long its name servers take, besides the world's `dns_delay`.
    #[serde(default, deserialize_with = "duration")]
    pub delay: Duration,
    /// The mailboxes that exist. `postmaster` always does, unless `answers` says otherwise.
    #[serde(default)]
    pub mailboxes: Vec<NamePattern>,
    /// Mailboxes with another answer than "yes": a state (`full`) or the server's very words (`"550 5.2.1 …"`).
    #[serde(default)]
    pub answers: std::collections::BTreeMap<String, ReplyEntry>,
    /// Accepts any name.
    #[serde(default)]
    pub catch_all: bool,
    /// The words for "no such mailbox", if not the host's.
    pub unknown: Option<ReplyText>,
    /// Greylists newcomers.
    pub greylist: Option<Greylist>,
}

/// What name servers do instead of answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsFaultEntry {
    /// They answer SERVFAIL.
    Servfail,
    /// They answer REFUSED.
    Refused,
    /// They don't answer.
    Timeout,
    /// They answer for a zone that they don't serve: a resolver makes a SERVFAIL of it.
    Lame,
}

/// A kind of question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryType {
    /// MX.
    Mx,
    /// A and AAAA.
    Address,
}

/// `[[host]]`: a machine that speaks SMTP. It serves each domain whose MX (or own address) leads to it. Several
/// entries may have one name: they are that name's addresses, each with a behaviour of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostEntry {
    /// One name, or many (`mx{0..19}.example`).
    pub name: Spanned<NamePattern>,
    /// Its addresses; a host without any gets the next free one of 198.18.0.0/15.
    #[serde(default)]
    pub address: Vec<Spanned<std::net::IpAddr>>,
    /// Whose words and keywords it uses.
    #[serde(default)]
    pub software: Software,
    /// What happens to a connection.
    #[serde(default)]
    pub connect: ConnectBehavior,
    /// Its greeting.
    pub greeting: Option<ReplyText>,
    /// Knows EHLO; else only HELO.
    #[serde(default = "yes")]
    pub ehlo: bool,
    /// EHLO keywords, if not its software's. STARTTLS comes from `tls`.
    pub offers: Option<Vec<String>>,
    /// STARTTLS.
    #[serde(default)]
    pub tls: TlsBehavior,
    /// How far away it is: the time of one round trip.
    #[serde(default, deserialize_with = "duration")]
    pub rtt: Duration,
    /// How long it thinks about a command.
    #[serde(default, deserialize_with = "duration")]
    pub think: Duration,
    /// How long it lets us wait for each "no such mailbox".
    #[serde(default, deserialize_with = "duration")]
    pub tarpit: Duration,
    /// Accepts any name of the domains it serves, as a backup does that knows no mailboxes.
    #[serde(default)]
    pub catch_all: bool,
    /// After so many unknown names in a session it accepts everything (and would discard it).
    pub accepts_after_unknowns: Option<u32>,
    /// The words for "no such mailbox", if not its software's.
    pub unknown: Option<ReplyText>,
    /// Greylists newcomers.
    pub greylist: Option<Greylist>,
    /// What it bears of one client.
    #[serde(default)]
    pub limits: HostLimits,
    /// What it does at which moment; the first that fits.
    #[serde(default, rename = "rule")]
    pub rules: Vec<HostRule>,
}

/// What happens to a connection before any word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectBehavior {
    /// It is accepted.
    #[default]
    Accepted,
    /// Nobody listens.
    Refused,
    /// Nobody answers.
    Timeout,
    /// No route leads there.
    Unreachable,
}

/// What a host thinks of STARTTLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsBehavior {
    /// Not offered.
    #[default]
    None,
    /// Offered.
    Offered,
    /// Offered, and MAIL before it is refused.
    Required,
    /// Demanded, but not offered.
    Impossible,
    /// Offered, but the handshake fails.
    Broken,
}

/// A mailbox's answer: a state in the words of the host's software, or words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum ReplyEntry {
    /// A state.
    Is(Situation),
    /// Words.
    Says(ReplyText),
}

impl TryFrom<String> for ReplyEntry {
    type Error = String;

    fn try_from(text: String) -> Result<ReplyEntry, String> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return ReplyText::try_from(text).map(ReplyEntry::Says);
        }
        let word = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(&text);
        let state = Situation::deserialize(word);
        state.map(ReplyEntry::Is).map_err(|fault| format!("{fault}, or a reply such as `550 5.2.1 closed`"))
    }
}

/// A reply as it stands on the wire: `250 ok`, several lines with line ends between them. Placeholders as in
/// [`super::words`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ReplyText(pub String);

impl TryFrom<String> for ReplyText {
    type Error = String;

    fn try_from(text: String) -> Result<ReplyText, String> {
        match text.as_bytes() {
            [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9']
            | [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9', b' ' | b'-', ..] => {
                Ok(ReplyText(text.trim_end().to_owned()))
            }
            _ => Err(format!("`{text}` is not a reply such as `550 5.1.1 no such user`")),
        }
    }
}

/// Newcomers have to come back later.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Greylist {
    /// How long a newcomer has to stay away.
    #[serde(deserialize_with = "duration")]
    pub delay: Duration,
    /// What makes a newcomer.
    #[serde(default)]
    pub by: GreylistKey,
    /// The words, if not the host's software's.
    pub say: Option<ReplyText>,
}

/// What a greylist remembers.
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

/// `[[host.rule]]`: at a moment, for some, something else than usual.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostRule {
    /// The moment.
    pub at: DialogueStep,
    /// Only for recipients of these domains (at `rcpt`).
    pub domain: Option<NamePattern>,
    /// Only for these local parts (at `rcpt`).
    pub mailbox: Option<NamePattern>,
    /// Only for clients from here.
    #[serde(default, deserialize_with = "net")]
    pub client: Option<IpNet>,
    /// Only for such envelope senders (at `mail` and `rcpt`).
    pub sender: Option<NamePattern>,
    /// Only by this chance, such as `5%`.
    #[serde(default = "always", deserialize_with = "share")]
    pub share: f64,
    /// Only the first so many times.
    pub times: Option<u32>,
    /// Only after this moment came so often in the session.
    #[serde(default)]
    pub after: u32,
    /// Only from this time of the world on.
    #[serde(default, deserialize_with = "duration")]
    pub since: Duration,
    /// Only before this time of the world.
    #[serde(default, deserialize_with = "some_duration")]
    pub until: Option<Duration>,
    /// Waits first. A rule with nothing but a wait lets the next ones speak.
    #[serde(default, deserialize_with = "duration")]
    pub wait: Duration,
    /// Says this.
    pub say: Option<ReplyText>,
    /// Does this: with the words of `say`, or the usual ones, where it needs any.
    #[serde(rename = "do")]
    pub act: Option<Misbehavior>,
}

/// When a rule is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DialogueStep {
    /// Instead of the greeting.
    Connect,
    /// EHLO and HELO.
    Helo,
    /// STARTTLS.
    Starttls,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// RSET.
    Rset,
    /// QUIT.
    Quit,
}

/// What servers do that no words tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misbehavior {
    /// Says it, and hangs up.
    Close,
    /// Hangs up without a word.
    Drop,
    /// Resets the connection.
    Reset,
    /// Says nothing any more.
    Silence,
    /// Says something that is not SMTP.
    Garbage,
    /// Says it in Latin-1.
    Latin1,
    /// Ends its lines with a bare LF.
    BareLf,
    /// Says one byte a second.
    Drip,
    /// Says everything twice.
    Twice,
    /// Says a line without an end.
    EndlessLine,
    /// Says a reply without an end.
    EndlessReply,
}

fn yes() -> bool {
    true
}

fn always() -> f64 {
    1.0
}

/// A time such as `5m` or `1h 30m`.
pub fn duration<'de, D: Deserializer<'de>>(source: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(source)?;
    crate::duration::parse(&text)
        .map_err(|_| serde::de::Error::custom(format!("`{text}` is not a time such as `500ms` or `5m`")))
}

/// The same, where "none" is something else than no time at all.
pub fn some_duration<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Duration>, D::Error> {
    duration(source).map(Some)
}

fn share<'de, D: Deserializer<'de>>(source: D) -> Result<f64, D::Error> {
    percent(&String::deserialize(source)?).map_err(serde::de::Error::custom)
}

fn net<'de, D: Deserializer<'de>>(source: D) -> Result<Option<IpNet>, D::Error> {
    let text = String::deserialize(source)?;
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
    net.map(Some).map_err(|_| {
        serde::de::Error::custom(format!(
            "`{text}` is neither an address nor a network such as `192.0.2.0/24`"
        ))
    })
}

impl<'de> Deserialize<'de> for NamePattern {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<NamePattern, D::Error> {
        NamePattern::try_from(String::deserialize(source)?).map_err(serde::de::Error::custom)
    }
}
