//! A letter to the receiver's postmaster about a failure: when, from which address, with which reply, and what is asked for.
//!
//! Decides: the form of the letter, and where time and address are found if they are not given. What is not known stands in
//! brackets, to be filled in. Must not: send anything.

use std::net::IpAddr;

use super::advice;
use super::explainer::{Explainer, Explanation};
use super::message;
use crate::reason::{Cause, Fault};
use crate::smtp::sanitize;

/// What the sender adds to a letter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFacts {
    /// The address of the sending server.
    pub ip: Option<IpAddr>,
    /// When the message was rejected.
    pub time: Option<String>,
}

/// Headers of bounces that hold the time of the attempt, the best first.
const TIMES: [&str; 3] = ["last-attempt-date:", "arrival-date:", "date:"];

impl Explainer<'_> {
    /// A letter about the first failure that a text reports.
    pub fn letter(&self, text: &[u8], facts: &LetterFacts) -> String {
        let Some(explanation) = self.explain_text(text).into_iter().next() else {
            return String::new();
        };
        let decoded = message::decode(text);
        let time = facts.time.clone().or_else(|| time_in(&decoded));
        let ip = facts.ip.or_else(|| address_in(&explanation));
        write(&explanation, ip, time)
    }
}

fn write(explanation: &Explanation<'_>, ip: Option<IpAddr>, time: Option<String>) -> String {
    let Explanation { failure, meaning, .. } = explanation;
    let unknown = |what: &str| format!("[{what}]");
    let ip = ip.map_or_else(|| unknown("the IP address of your server"), |ip| ip.to_string());
    let time = time.unwrap_or_else(|| unknown("the time of the attempt, with time zone"));
    let recipient = failure.recipient.clone().unwrap_or_else(|| unknown("the recipient's address"));
    let domain =
        recipient.rsplit_once('@').map_or_else(|| unknown("domain"), |(_, domain)| domain.to_owned());
    let host = failure.host.clone().unwrap_or_else(|| unknown("the name of the receiving server"));
    let text = failure.reply.text();
    let reply = if failure.has_code { format!("{} {text}", failure.reply.code) } else { text.into_owned() };
    let subject = match meaning.cause.fault() {
        Fault::Us => format!("{host} rejects our server {ip}"),
        _ => format!("{host} rejects mail for {recipient}"),
    };
    let closing = closing(meaning.cause);
    let request = advice::request(meaning.cause);
    format!(
        "To: postmaster@{domain}\nSubject: {subject}\n\nDear postmaster,\n\nyour server rejected a message of ours:\n\n\
         \x20 time         {time}\n\
         \x20 our server   {ip}\n\
         \x20 your server  {host}\n\
         \x20 recipient    {recipient}\n\
         \x20 its reply    {reply}\n\n\
         {request}{closing}\n\nKind regards\n[your name, and how to reach you]\n"
    )
}

fn closing(cause: Cause) -> &'static str {
    match cause.fault() {
        Fault::Us => {
            " The message was meant for this recipient alone, and can be sent to you for inspection."
        }
        _ => "",
    }
}

/// The time in the header of a bounce.
fn time_in(text: &str) -> Option<String> {
    TIMES.iter().find_map(|name| {
        let line = text.lines().find(|line| line.to_ascii_lowercase().starts_with(name))?;
        let value = sanitize(line.get(name.len()..)?);
        (!value.is_empty()).then_some(value)
    })
}

/// The address in the reply: receivers name the client that they reject.
fn address_in(explanation: &Explanation<'_>) -> Option<IpAddr> {
    let text = explanation.failure.reply.text().into_owned();
    let parts = text.split(|c: char| !(c.is_ascii_hexdigit() || matches!(c, '.' | ':')));
    parts.map(|part| part.trim_end_matches(['.', ':'])).find_map(|part| part.parse::<IpAddr>().ok())
}
