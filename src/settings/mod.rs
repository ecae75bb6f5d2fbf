//! From what was typed to what is meant: flags, then environment, then the project's file, then the user's.
//!
//! Decides: every value, once, checked; the rest of the program can't meet a bad one. Fails: naming the setting and
//! what to write instead.

mod deadline;
mod egress;
mod file;
mod state_settings;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::cli::ProbeArgs;
use crate::error::Error;
use crate::policy::{Pace, Policy};
use crate::smtp::Egress;
use egress::EgressArgs;
use file::FileSettings;

pub use deadline::Deadline;
pub use egress::EgressSpec;
pub use state_settings::{StateLocation, StateSettings};

/// The port of mail exchangers (RFC 5321 4.5.4.2).
const SMTP_PORT: u16 = 25;
/// The port of name servers.
const DNS_PORT: u16 = 53;

/// What a run does beyond reading and writing.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How far it goes.
    pub reach: RunDepth,
    /// Ways out: source addresses and proxies, at least one.
    pub ways_out: usize,
    /// How hard it presses.
    pub pace: Pace,
    /// How long passing trouble is waited for.
    pub max_wait: Duration,
    /// After which time nothing new is started.
    pub max_duration: Option<Duration>,
    /// At which time of day nothing new is started.
    pub deadline: Option<Deadline>,
    /// What is kept, and what that was kept is used.
    pub keeping: StateSettings,
    /// Role addresses are risky.
    pub risky_roles: bool,
    /// The user's policy files.
    pub policy: Option<PathBuf>,
}

/// How far a run goes.
#[derive(Clone, Debug, PartialEq)]
pub enum RunDepth {
    /// No network at all.
    Offline,
    /// DNS only.
    Dns(NetworkTarget),
    /// Everything.
    Probe(NetworkTarget),
}

/// Where the questions go.
#[derive(Clone, Debug, PartialEq)]
pub enum NetworkTarget {
    /// A scripted world; it brings its own sender, which these replace.
    World {
        /// Its file.
        file: PathBuf,
        /// How connections leave; at least one.
        ways: Vec<EgressSpec>,
    },
    /// The Internet, or a lab like it.
    Internet {
        /// Name servers; empty for the system's.
        dns: Vec<SocketAddr>,
        /// The port of the mail servers.
        smtp_port: u16,
        /// Ranges that may be connected to although they are not public.
        allowed: Vec<IpNet>,
        /// How connections leave, and who we are then; at least one where mail servers are asked.
        egresses: Vec<Egress>,
    },
}

impl Settings {
    /// Makes settings of what was typed. `max_wait` is the command's own default.
    pub fn new(typed: ProbeArgs, max_wait: Duration) -> Result<Settings, Error> {
        let mut files = FileSettings::gather(typed.config.as_deref())?;
        let keeping = StateSettings::of(&typed, &files);
        // What is typed, or listed as `[[egress]]`, replaces the file's one way out.
        let is_alone = typed.source_ip.is_empty() && typed.proxy.is_empty() && files.egress.is_none();
        let ways = egress::ways(
            EgressArgs {
                source_ip: some_or(typed.source_ip, files.source_ip.filter(|_| is_alone).map(|ip| vec![ip])),
                proxy: some_or(typed.proxy, files.proxy.filter(|_| is_alone).map(|url| vec![url])),
                helo: some_or(typed.helo, files.helo.map(|name| vec![name])),
                mail_from: some_or(typed.mail_from, files.mail_from.map(|sender| vec![sender])),
            },
            files.egress.take(),
        )?;
        let ways_out = ways.len();
        let place = match typed.world {
            Some(file) => NetworkTarget::World { file, ways },
            None => NetworkTarget::Internet {
                dns: some_or(typed.dns, files.dns)
                    .iter()
                    .map(|text| name_server(text))
                    .collect::<Result<_, _>>()?,
                smtp_port: typed.smtp_port.or(files.smtp_port).unwrap_or(SMTP_PORT),
                allowed: some_or(typed.allow_mx_net, files.allow_mx_net),
                egresses: match ways.into_iter().map(EgressSpec::named).collect() {
                    Err(_) if typed.offline || typed.dns_only => Vec::new(),
                    egresses => egresses?,
                },
            },
        };
        let reach = match (typed.offline, typed.dns_only) {
            (true, _) => RunDepth::Offline,
            (_, true) => RunDepth::Dns(place),
            _ => RunDepth::Probe(place),
        };
        Ok(Settings {
            reach,
            ways_out,
            pace: typed.pace.or(files.pace).unwrap_or_default(),
            max_wait: typed.max_wait.or(files.max_wait).unwrap_or(max_wait),
            max_duration: typed.max_duration.or(files.max_duration),
            deadline: typed.deadline.or(files.deadline),
            keeping,
            risky_roles: typed.risky_roles || files.risky_roles.unwrap_or(false),
            policy: typed.policy.or(files.policy),
        })
    }
}

impl Settings {
    /// The policy, with the user's files if there are any.
    pub fn policy(&self) -> Result<Policy, Error> {
        Ok(Policy::of(self.policy.as_deref())?)
    }
}

fn some_or<T>(typed: Vec<T>, otherwise: Option<Vec<T>>) -> Vec<T> {
    if typed.is_empty() { otherwise.unwrap_or_default() } else { typed }
}

fn setting(message: String, hint: &str) -> Error {
    Error::Setting { message, hint: hint.to_owned() }
}

fn name_server(text: &str) -> Result<SocketAddr, Error> {
    let bare = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS_PORT));
    bare.or_else(|_| text.parse()).map_err(|_| {
        setting(
            format!("`--dns {text}` is not an address"),
            "write `--dns 192.0.2.53` or `--dns 192.0.2.53:5353`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed() -> ProbeArgs {
        ProbeArgs {
            helo: vec!["probe.example.org".to_owned()],
            mail_from: vec!["check@example.org".to_owned()],
            ..ProbeArgs::default()
        }
    }

    fn fault(typed: ProbeArgs) -> String {
        Settings::new(typed, Duration::ZERO).unwrap_err().to_string()
    }

    #[test]
    fn who_asks_must_say_who_they_are() {
        assert!(fault(ProbeArgs::default()).starts_with("`--helo` and `--mail-from` are missing"));
        assert!(fault(ProbeArgs { helo: Vec::new(), ..typed() }).starts_with("`--helo` is missing"));
        assert!(Settings::new(ProbeArgs { offline: true, ..ProbeArgs::default() }, Duration::ZERO).is_ok());
        assert!(Settings::new(ProbeArgs { dns_only: true, ..ProbeArgs::default() }, Duration::ZERO).is_ok());
    }

    #[test]
    fn names_that_get_a_verifier_listed_are_refused() {
        for name in ["localhost", "mail", "x.localdomain", "[192.0.2.1]", "a b"] {
            assert!(fault(ProbeArgs { helo: vec![name.to_owned()], ..typed() }).contains("--helo"), "{name}");
        }
        for sender in ["", "<>", "nobody", "jürgen@example.org", "x@[192.0.2.1]"] {
            assert!(
                fault(ProbeArgs { mail_from: vec![sender.to_owned()], ..typed() }).contains("--mail-from"),
                "{sender}"
            );
        }
    }

    #[test]
    fn a_name_server_may_have_a_port() {
        assert_eq!(name_server("192.0.2.53").unwrap().port(), 53);
        assert_eq!(name_server("[2001:db8::1]:5353").unwrap().port(), 5353);
        assert!(name_server("dns.example").is_err());
    }
}
