//! The rules of a scripted host: another reply or behavior than usual, at one step of the dialogue, under conditions.
//!
//! Decides: the keys of `[[host.rule]]` and their values. Must not: match them; [`super::host`] does.

use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

use super::pattern::{NamePattern, percent};
use crate::duration;

/// A reply as it is sent: `250 ok`, or several lines with line ends between them. The placeholders are those of
/// [`super::software`].
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

/// `[[host.rule]]`: another reply or behavior than usual, at one step, under conditions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostRule {
    /// The step.
    pub at: DialogueStep,
    /// Only for recipients at these domains (at `rcpt`).
    pub domain: Option<NamePattern>,
    /// Only for these local parts (at `rcpt`).
    pub mailbox: Option<NamePattern>,
    /// Only for clients in this network.
    #[serde(default, deserialize_with = "net")]
    pub client: Option<IpNet>,
    /// Only for these envelope senders (at `mail` and `rcpt`).
    pub sender: Option<NamePattern>,
    /// Only with this probability, such as `5%`.
    #[serde(default = "always", deserialize_with = "share")]
    pub share: f64,
    /// Only this many times.
    pub times: Option<u32>,
    /// Only after this many of the events that `counts` names.
    #[serde(default)]
    pub after: u32,
    /// What `after` counts.
    #[serde(default)]
    pub counts: CountedEvent,
    /// Where `after` counts.
    #[serde(default)]
    pub over: CountScope,
    /// Only while this step comes more often in a minute, from all clients together.
    pub per_minute: Option<u32>,
    /// Only from this time in the world on.
    #[serde(default, deserialize_with = "duration::deserialize")]
    pub since: Duration,
    /// Only before this time in the world.
    #[serde(default, deserialize_with = "duration::deserialize_some")]
    pub until: Option<Duration>,
    /// A delay before the reply. If the rule has neither `say` nor `do`, the next rules apply after the delay.
    #[serde(default, deserialize_with = "duration::deserialize")]
    pub wait: Duration,
    /// The reply.
    pub say: Option<ReplyText>,
    /// The misbehavior, with the reply of `say` or the usual one if it needs a reply.
    #[serde(rename = "do")]
    pub misbehavior: Option<Misbehavior>,
}

/// What the `after` of a rule counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountedEvent {
    /// Occurrences of the step of the rule.
    #[default]
    Step,
    /// Unknown recipients that no rule replied to.
    Unknown,
    /// Sessions of the client, the current one included.
    Session,
}

/// Where the `after` of a rule counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountScope {
    /// In the session: the host turns anew in each session.
    #[default]
    Session,
    /// In all sessions of the client: the host turns for good.
    Client,
}

/// A step of the dialogue, at which rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DialogueStep {
    /// The greeting.
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

/// What a server does that a reply alone does not express.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misbehavior {
    /// Sends the reply and closes the connection.
    Close,
    /// Closes the connection without a reply.
    Drop,
    /// Resets the connection.
    Reset,
    /// Sends nothing any more.
    Silence,
    /// Sends something that is not SMTP.
    Garbage,
    /// Sends the reply in Latin-1.
    Latin1,
    /// Ends the lines of the reply with a bare LF.
    BareLf,
    /// Sends the reply at one byte per second.
    Drip,
    /// Sends the reply twice.
    Twice,
    /// Sends a line without an end.
    EndlessLine,
    /// Sends a reply without an end.
    EndlessReply,
}

fn always() -> f64 {
    1.0
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
