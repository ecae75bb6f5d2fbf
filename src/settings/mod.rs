//! From what was typed to what is meant: flags, then environment, then the project's file, then the user's.
//!
//! Decides: every value, once, checked; the rest of the program can't meet a bad one. Fails: naming the setting and
//! what to write instead.

mod file;
mod keeping;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::address::{Address, Domain};
use crate::cli::Probing;
use crate::error::Error;
use crate::policy::{Pace, Policy};
use crate::smtp::egress::Path as Way;
use file::FileSettings;
pub use keeping::{Keeping, Kept};

/// The port of mail exchangers (RFC 5321 4.5.4.2).
const SMTP_PORT: u16 = 25;
/// The port of name servers.
const DNS_PORT: u16 = 53;

/// What a run does beyond reading and writing.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How far it goes.
    pub reach: Reach,
    /// How hard it presses.
    pub pace: Pace,
    /// How long passing trouble is waited for.
    pub max_wait: Duration,
    /// After which time nothing new is started.
    pub max_duration: Option<Duration>,
    /// What is kept, and what that was kept is used.
    pub keeping: Keeping,
    /// Role addresses are risky.
    pub risky_roles: bool,
    /// The user's policy files.
    pub policy: Option<PathBuf>,
}

/// How far a run goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Reach {
    /// No network at all.
    Offline,
    /// DNS only.
    Dns(Place),
    /// Everything.
    Probe(Place),
}

/// Where the questions go.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// A scripted world; it brings its own sender, which these replace.
    World {
        /// Its file.
        file: PathBuf,
        /// The HELO name and envelope sender, where the user gave them.
        sender: (Option<Domain>, Option<Address>),
    },
    /// The Internet, or a lab like it.
    Internet {
        /// Name servers; empty for the system's.
        dns: Vec<SocketAddr>,
        /// The port of the mail servers.
        smtp_port: u16,
        /// Ranges that may be connected to although they are not public.
        allowed: Vec<IpNet>,
        /// Who we are; always there where mail servers are asked.
        sender: Option<(Domain, Address)>,
        /// How connections leave.
        way: Way,
    },
}

impl Settings {
    /// Makes settings of what was typed. `max_wait` is the command's own default.
    pub fn new(typed: Probing, max_wait: Duration) -> Result<Settings, Error> {
        let files = FileSettings::gather(typed.config.as_deref())?;
        let keeping = Keeping::of(&typed, &files);
        let helo = typed.helo.or(files.helo).map(|text| helo(&text)).transpose()?;
        let mail_from = typed.mail_from.or(files.mail_from).map(|text| sender(&text)).transpose()?;
        let place = match typed.world {
            Some(file) => Place::World { file, sender: (helo, mail_from) },
            None => Place::Internet {
                dns: some_or(typed.dns, files.dns)
                    .iter()
                    .map(|text| name_server(text))
                    .collect::<Result<_, _>>()?,
                smtp_port: typed.smtp_port.or(files.smtp_port).unwrap_or(SMTP_PORT),
                allowed: some_or(typed.allow_mx_net, files.allow_mx_net),
                sender: match (helo, mail_from) {
                    (Some(helo), Some(mail_from)) => Some((helo, mail_from)),
                    _ if typed.offline || typed.dns_only => None,
                    given => return Err(no_sender(&given)),
                },
                way: way(typed.source_ip.or(files.source_ip), typed.proxy.or(files.proxy))?,
            },
        };
        let reach = match (typed.offline, typed.dns_only) {
            (true, _) => Reach::Offline,
            (_, true) => Reach::Dns(place),
            _ => Reach::Probe(place),
        };
        Ok(Settings {
            reach,
            pace: typed.pace.or(files.pace).unwrap_or_default(),
            max_wait: typed.max_wait.or(files.max_wait).unwrap_or(max_wait),
            max_duration: typed.max_duration.or(files.max_duration),
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

/// The user's own host name: never a literal, never one that gets a verifier listed.
fn helo(text: &str) -> Result<Domain, Error> {
    let hint = "give the full name of this host, one whose A record is its address and whose PTR leads back";
    let domain =
        Domain::parse(text).map_err(|_| setting(format!("`--helo {text}` is not a host name"), hint))?;
    if !domain.as_str().contains('.') || domain.is_within("localhost") || domain.is_within("localdomain") {
        return Err(setting(format!("`--helo {text}` is no name that a mail server believes"), hint));
    }
    Ok(domain)
}

fn sender(text: &str) -> Result<Address, Error> {
    let hint = "give an address of your own domain that can receive mail; the null sender is refused by many servers";
    let address =
        Address::parse(text).map_err(|_| setting(format!("`--mail-from {text}` is not an address"), hint))?;
    if address.domain().is_none() || address.needs_smtputf8() {
        return Err(setting(format!("`--mail-from {text}` can't be an envelope sender everywhere"), hint));
    }
    Ok(address)
}

fn no_sender(given: &(Option<Domain>, Option<Address>)) -> Error {
    let missing = match given {
        (None, None) => "`--helo` and `--mail-from` are missing",
        (None, _) => "`--helo` is missing",
        _ => "`--mail-from` is missing",
    };
    setting(
        format!("{missing}: mail servers want to know who asks"),
        "  --helo NAME       the full name of this host, with forward and reverse DNS\n  \
         --mail-from ADDR  an address of your own domain that can receive mail\n  \
         or write `helo = ...` and `mail_from = ...` into listproof.toml;\n  \
         `--dns-only` and `--offline` need neither, `--world samples/world.toml` is a demo",
    )
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

fn way(source: Option<IpAddr>, proxy: Option<String>) -> Result<Way, Error> {
    let Some(url) = proxy else {
        return Ok(Way::Direct(source));
    };
    let fault = || {
        let shown = url.rsplit_once('@').map_or(url.as_str(), |(_, host)| host);
        setting(
            format!("`--proxy {shown}` is not usable"),
            "write `socks5://[USER:PASSWORD@]ADDR:PORT` with a numeric address",
        )
    };
    let rest = url.strip_prefix("socks5://").ok_or_else(fault)?.trim_end_matches('/');
    let (login, host) = match rest.rsplit_once('@') {
        Some((login, host)) => (Some(login.split_once(':').ok_or_else(fault)?), host),
        None => (None, rest),
    };
    let proxy = host.parse().map_err(|_| fault())?;
    Ok(Way::Socks5 { proxy, login: login.map(|(user, password)| (user.to_owned(), password.to_owned())) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed() -> Probing {
        Probing {
            helo: Some("probe.example.org".to_owned()),
            mail_from: Some("check@example.org".to_owned()),
            ..Probing::default()
        }
    }

    fn fault(typed: Probing) -> String {
        Settings::new(typed, Duration::ZERO).unwrap_err().to_string()
    }

    #[test]
    fn who_asks_must_say_who_they_are() {
        assert!(fault(Probing::default()).starts_with("`--helo` and `--mail-from` are missing"));
        assert!(fault(Probing { helo: None, ..typed() }).starts_with("`--helo` is missing"));
        assert!(Settings::new(Probing { offline: true, ..Probing::default() }, Duration::ZERO).is_ok());
        assert!(Settings::new(Probing { dns_only: true, ..Probing::default() }, Duration::ZERO).is_ok());
    }

    #[test]
    fn names_that_get_a_verifier_listed_are_refused() {
        for name in ["localhost", "mail", "x.localdomain", "[192.0.2.1]", "a b"] {
            assert!(fault(Probing { helo: Some(name.to_owned()), ..typed() }).contains("--helo"), "{name}");
        }
        for sender in ["", "<>", "nobody", "jürgen@example.org", "x@[192.0.2.1]"] {
            assert!(
                fault(Probing { mail_from: Some(sender.to_owned()), ..typed() }).contains("--mail-from"),
                "{sender}"
            );
        }
    }

    #[test]
    fn a_proxy_is_read_with_its_login_and_never_printed_with_it() {
        let with = |proxy: &str| way(None, Some(proxy.to_owned()));
        let login = Some(("me".to_owned(), "se:cret".to_owned()));
        assert_eq!(
            with("socks5://me:se:cret@192.0.2.1:1080").unwrap(),
            Way::Socks5 { proxy: "192.0.2.1:1080".parse().unwrap(), login }
        );
        let fault = with("socks5://me:secret@proxy:x").unwrap_err().to_string();
        assert!(!fault.contains("secret"), "{fault}");
    }

    #[test]
    fn a_name_server_may_have_a_port() {
        assert_eq!(name_server("192.0.2.53").unwrap().port(), 53);
        assert_eq!(name_server("[2001:db8::1]:5353").unwrap().port(), 5353);
        assert!(name_server("dns.example").is_err());
    }
}
