//! One source of settings as plain values: the command line, the environment, a settings file, or defaults.
//!
//! Decides: which of two sources wins, value by value. Must not: check a value; that is done once, when
//! [`Settings`](super::Settings) are made of all layers.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

use super::deadline::Deadline;
use super::origin::{Origin, Origins};
use crate::policy::Pace;

/// What one source sets. An empty list, `None` or `false` means "not set here".
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct SettingsLayer {
    /// Names for EHLO: one for all egresses, or one for each.
    pub helo: Vec<String>,
    /// Envelope senders: one for all egresses, or one for each.
    pub mail_from: Vec<String>,
    /// No network at all.
    pub offline: bool,
    /// DNS, but no mail servers.
    pub dns_only: bool,
    /// The file of a scripted world to probe instead of the Internet.
    pub world: Option<PathBuf>,
    /// Name servers, each as `ADDR` or `ADDR:PORT`.
    pub dns: Vec<String>,
    /// The port of the mail servers.
    pub smtp_port: Option<u16>,
    /// Source addresses; each is an egress.
    pub source_ip: Vec<IpAddr>,
    /// SOCKS5 proxies; each is an egress.
    pub proxy: Vec<ProxyUrl>,
    /// Egresses with a HELO name and a sender of their own; they replace `source_ip` and `proxy` of the same layer.
    pub egress: Vec<EgressSettings>,
    /// Ranges of MX addresses that may be connected to although they are not public.
    pub allow_mx_net: Vec<IpNet>,
    /// How fast mail servers are probed.
    pub pace: Option<Pace>,
    /// How long a recipient is retried after its first deferral.
    pub max_wait: Option<Duration>,
    /// After which time no new probe starts.
    pub max_duration: Option<Duration>,
    /// At which time of day no new probe starts.
    pub deadline: Option<Deadline>,
    /// The state file.
    pub state: Option<PathBuf>,
    /// No state is read or kept.
    pub no_state: bool,
    /// No earlier run continues, and no stored fact is used.
    pub fresh: bool,
    /// Facts older than this are not used.
    pub max_age: Option<Duration>,
    /// Wait while another run has locked the state.
    pub wait_lock: bool,
    /// Rejections that stand alone are confirmed by `postmaster`.
    pub confirm: Option<bool>,
    /// Role accounts are risky.
    pub risky_roles: Option<bool>,
    /// The folder with the user's policy files.
    pub policy: Option<PathBuf>,
    /// Connections open at the same time, over all providers.
    pub connections: Option<usize>,
    /// Probe even if the preflight finds that the run would find out little.
    pub force: bool,
    /// The key for blocklists that answer only holders of one.
    pub spamhaus_key: Option<BlocklistKey>,
    /// Where the values were written.
    pub origins: Origins,
}

impl SettingsLayer {
    /// This layer over a lower one: what it sets wins. Values that make sense only together come from one layer: the
    /// egresses (`source_ip`, `proxy`, `egress`), and the state with `no_state`. A layer with a world takes neither the
    /// name servers nor the state of lower layers, which belong to another network.
    #[must_use]
    pub fn over(self, lower: SettingsLayer) -> SettingsLayer {
        let has_egress = !(self.source_ip.is_empty() && self.proxy.is_empty() && self.egress.is_empty());
        let (source_ip, proxy, egress) = if has_egress {
            (self.source_ip, self.proxy, self.egress)
        } else {
            (lower.source_ip, lower.proxy, lower.egress)
        };
        let has_world = self.world.is_some();
        let of = |is_set, upper, lower| if is_set { upper } else { lower };
        let origins = Origins {
            helo: of(!self.helo.is_empty(), self.origins.helo, lower.origins.helo),
            mail_from: of(!self.mail_from.is_empty(), self.origins.mail_from, lower.origins.mail_from),
            dns: of(!self.dns.is_empty() || has_world, self.origins.dns, lower.origins.dns),
            egress: of(has_egress, self.origins.egress, lower.origins.egress),
        };
        let (state, no_state) = if self.no_state || self.state.is_some() || has_world {
            (self.state, self.no_state)
        } else {
            (lower.state, lower.no_state)
        };
        let (offline, dns_only) = if self.offline || self.dns_only {
            (self.offline, self.dns_only)
        } else {
            (lower.offline, lower.dns_only)
        };
        SettingsLayer {
            helo: first_set(self.helo, lower.helo),
            mail_from: first_set(self.mail_from, lower.mail_from),
            offline,
            dns_only,
            world: self.world.or(lower.world),
            dns: if has_world { self.dns } else { first_set(self.dns, lower.dns) },
            smtp_port: self.smtp_port.or(lower.smtp_port),
            source_ip,
            proxy,
            egress,
            allow_mx_net: first_set(self.allow_mx_net, lower.allow_mx_net),
            pace: self.pace.or(lower.pace),
            max_wait: self.max_wait.or(lower.max_wait),
            max_duration: self.max_duration.or(lower.max_duration),
            deadline: self.deadline.or(lower.deadline),
            state,
            no_state,
            fresh: self.fresh || lower.fresh,
            max_age: self.max_age.or(lower.max_age),
            wait_lock: self.wait_lock || lower.wait_lock,
            confirm: self.confirm.or(lower.confirm),
            risky_roles: self.risky_roles.or(lower.risky_roles),
            policy: self.policy.or(lower.policy),
            connections: self.connections.or(lower.connections),
            force: self.force || lower.force,
            spamhaus_key: self.spamhaus_key.or(lower.spamhaus_key),
            origins,
        }
    }
}

fn first_set<T>(upper: Vec<T>, lower: Vec<T>) -> Vec<T> {
    if upper.is_empty() { lower } else { upper }
}

/// One egress as it is written: a source address or a proxy, with its own HELO name and sender where they are given.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct EgressSettings {
    /// The source address.
    pub source_ip: Option<IpAddr>,
    /// The proxy.
    pub proxy: Option<ProxyUrl>,
    /// The name for EHLO.
    pub helo: Option<String>,
    /// The envelope sender.
    pub mail_from: Option<String>,
    /// Where the entry was written.
    #[serde(skip)]
    pub origin: Origin,
}

/// The address of a SOCKS5 proxy, `socks5://[USER:PASSWORD@]HOST:PORT`. Its text holds a password, so `Debug` and `Display`
/// leave out the credentials.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct ProxyUrl(String);

impl ProxyUrl {
    /// The whole text, with the credentials.
    pub(super) fn secret(&self) -> &str {
        &self.0
    }
}

impl From<String> for ProxyUrl {
    fn from(text: String) -> ProxyUrl {
        ProxyUrl(text)
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A password may hold an `@`: the host stands after the last one.
        let (credentials, host) = match self.0.rsplit_once('@') {
            Some((_, host)) => ("...@", host),
            None => ("", self.0.strip_prefix("socks5://").unwrap_or(&self.0)),
        };
        let scheme = if self.0.starts_with("socks5://") { "socks5://" } else { "" };
        write!(f, "{scheme}{credentials}{host}")
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A key for blocklists. `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq)]
pub struct BlocklistKey(String);

impl BlocklistKey {
    /// The key itself, for names that are asked.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BlocklistKey {
    type Error = String;

    fn try_from(text: String) -> Result<BlocklistKey, String> {
        let is_key = (1..=63).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_key { Ok(BlocklistKey(text)) } else { Err("a key has letters and digits only".to_owned()) }
    }
}

impl FromStr for BlocklistKey {
    type Err = String;

    fn from_str(text: &str) -> Result<BlocklistKey, String> {
        text.to_owned().try_into()
    }
}

impl<'de> Deserialize<'de> for BlocklistKey {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<BlocklistKey, D::Error> {
        String::deserialize(source)?.try_into().map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for BlocklistKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"...\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_egresses_of_one_layer_replace_those_of_another_as_a_whole() {
        let upper =
            SettingsLayer { source_ip: vec!["192.0.2.1".parse().unwrap()], ..SettingsLayer::default() };
        let lower = SettingsLayer {
            proxy: vec!["socks5://192.0.2.9:1080".to_owned().into()],
            helo: vec!["probe.example.org".to_owned()],
            ..SettingsLayer::default()
        };
        let both = upper.clone().over(lower);
        assert_eq!((both.source_ip, both.proxy), (upper.source_ip, Vec::new()));
        assert_eq!(both.helo, ["probe.example.org"]);
    }

    #[test]
    fn no_state_above_wins_over_a_state_below_and_the_other_way_round() {
        let file = SettingsLayer { state: Some("s.db".into()), ..SettingsLayer::default() };
        let none = SettingsLayer { no_state: true, ..SettingsLayer::default() };
        let merged = none.clone().over(file.clone());
        assert_eq!((merged.state, merged.no_state), (None, true));
        let merged = file.over(none);
        assert_eq!((merged.state, merged.no_state), (Some("s.db".into()), false));
    }

    #[test]
    fn a_world_takes_no_name_server_and_no_state_of_a_lower_layer() {
        let world = SettingsLayer { world: Some("world.toml".into()), ..SettingsLayer::default() };
        let lower = SettingsLayer {
            dns: vec!["192.0.2.53".to_owned()],
            state: Some("s.db".into()),
            max_wait: Some(Duration::from_secs(60)),
            ..SettingsLayer::default()
        };
        let merged = world.over(lower);
        assert!(merged.dns.is_empty() && merged.state.is_none());
        assert_eq!(merged.max_wait, Some(Duration::from_secs(60)));
    }

    #[test]
    fn a_proxy_is_shown_without_its_credentials() {
        for url in ["socks5://me:se@cret@192.0.2.1:1080", "me:se@cret@192.0.2.1:1080"] {
            let layer = SettingsLayer {
                proxy: vec![url.to_owned().into()],
                egress: vec![EgressSettings {
                    proxy: Some(url.to_owned().into()),
                    ..EgressSettings::default()
                }],
                ..SettingsLayer::default()
            };
            for shown in [format!("{layer:?}"), layer.proxy[0].to_string()] {
                assert!(shown.contains("192.0.2.1:1080"), "{shown}");
                assert!(!shown.contains("me:") && !shown.contains("cret"), "{shown}");
            }
        }
        let open = ProxyUrl::from("socks5://192.0.2.1:1080".to_owned());
        assert_eq!(open.to_string(), "socks5://192.0.2.1:1080");
    }
}
