//! Expansion of macros (RFC 7208 7.2, 7.3).
//!
//! Decides: what a macro stands for. Must not: ask; the validated name of the client is looked up before.

use std::fmt::Write;
use std::net::IpAddr;

use super::macros::{Macro, MacroString, Part};

/// The longest name in text form, in bytes.
const MAX_NAME: usize = 253;
/// The longest label, in bytes.
const MAX_LABEL: usize = 63;

/// What macros stand for.
#[derive(Clone, Debug)]
pub(super) struct MacroValues<'a> {
    /// `s`, `l`, `o`: the sender's local part and domain.
    pub(super) local: &'a str,
    pub(super) sender_domain: &'a str,
    /// `d`: the domain whose record is evaluated.
    pub(super) domain: &'a str,
    /// `i`, `c`, `v`: the client.
    pub(super) ip: IpAddr,
    /// `p`: the validated name of the client.
    pub(super) client_name: &'a str,
    /// `h`: the name in HELO.
    pub(super) helo: &'a str,
    /// `r`: the host that checks.
    pub(super) receiver: &'a str,
    /// `t`: seconds since 1970.
    pub(super) time: u64,
}

impl MacroString {
    /// The text with all macros expanded.
    pub(super) fn expand(&self, values: &MacroValues<'_>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Escape(escape) => text.push_str(escape),
                Part::Macro(found) => text.push_str(&found.expand(values)),
            }
        }
        text
    }

    /// The expanded domain name, without a dot at its end. Of a name that is too long the labels at the left are removed.
    pub(super) fn expand_domain(&self, values: &MacroValues<'_>) -> String {
        let text = self.expand(values);
        let mut name = text.strip_suffix('.').unwrap_or(&text);
        while name.len() > MAX_NAME {
            match name.split_once('.') {
                Some((_, rest)) => name = rest,
                None => break,
            }
        }
        name.to_owned()
    }
}

impl Macro {
    fn expand(&self, values: &MacroValues<'_>) -> String {
        let value = match self.letter {
            's' => format!("{}@{}", values.local, values.sender_domain),
            'l' => values.local.to_owned(),
            'o' => values.sender_domain.to_owned(),
            'd' => values.domain.to_owned(),
            'i' => dotted(values.ip),
            'p' => values.client_name.to_owned(),
            'v' => if values.ip.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
            'h' => values.helo.to_owned(),
            'c' => values.ip.to_string(),
            'r' => values.receiver.to_owned(),
            _ => values.time.to_string(),
        };
        let mut parts: Vec<&str> = value.split(|c| self.delimiters.contains(c)).collect();
        if self.is_reversed {
            parts.reverse();
        }
        let kept = self.keep.map_or(0, |keep| parts.len().saturating_sub(keep));
        let text = parts[kept..].join(".");
        if self.is_encoded { percent_encoded(&text) } else { text }
    }
}

/// An IPv4 address as it is, an IPv6 address as nibbles with dots.
fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let nibbles: Vec<String> = ip
                .octets()
                .iter()
                .flat_map(|byte| [byte >> 4, byte & 15])
                .map(|n| format!("{n:x}"))
                .collect();
            nibbles.join(".")
        }
    }
}

/// All bytes but the unreserved characters of RFC 3986 2.3 are encoded.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// True for a name that can be looked up: no empty and no overlong label (RFC 1035 2.3.4).
pub(super) fn can_be_looked_up(name: &str) -> bool {
    name.len() <= MAX_NAME && name.split('.').all(|label| (1..=MAX_LABEL).contains(&label.len()))
}
