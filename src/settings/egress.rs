//! The ways out: source addresses and proxies, each with the name and the sender that it is known by.
//!
//! Decides: who we are to receivers, never by invention. Fails: naming what is missing or can't be believed.

use std::net::IpAddr;

use serde::Deserialize;

use super::setting;
use crate::address::{Address, Domain};
use crate::error::Error;
use crate::smtp::{Egress, EgressPath};

/// A way out, with what the user said about the sender.
#[derive(Clone, Debug, PartialEq)]
pub struct EgressSpec {
    /// How connections leave.
    pub path: EgressPath,
    /// The name to say in EHLO.
    pub helo: Option<Domain>,
    /// The envelope sender.
    pub sender: Option<Address>,
}

impl EgressSpec {
    /// The egress; an error where the user did not say who asks.
    pub(super) fn named(self) -> Result<Egress, Error> {
        match (self.helo, self.sender) {
            (Some(helo), Some(sender)) => Ok(Egress { path: self.path, helo, sender }),
            given => Err(no_sender(&given)),
        }
    }
}

/// What was typed. Each name and each sender is for the way at its place; a single one is for all.
#[derive(Debug, Default)]
pub(super) struct EgressArgs {
    pub(super) source_ip: Vec<IpAddr>,
    pub(super) proxy: Vec<String>,
    pub(super) helo: Vec<String>,
    pub(super) mail_from: Vec<String>,
}

/// `[[egress]]` of a settings file: one way out.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    source_ip: Option<IpAddr>,
    proxy: Option<String>,
    helo: Option<String>,
    mail_from: Option<String>,
}

/// The ways out: those that were typed, else those of the settings file, else the system's own. At least one.
pub(super) fn ways(typed: EgressArgs, entries: Option<Vec<Entry>>) -> Result<Vec<EgressSpec>, Error> {
    let EgressArgs { source_ip, proxy, helo, mail_from } = typed;
    let typed_ways = !(source_ip.is_empty() && proxy.is_empty());
    let entries = match entries {
        Some(entries) if !typed_ways && !entries.is_empty() => entries,
        _ => {
            let bare = Entry { source_ip: None, proxy: None, helo: None, mail_from: None };
            let sources = source_ip.into_iter().map(|ip| Entry { source_ip: Some(ip), ..bare.clone() });
            let proxies = proxy.into_iter().map(|url| Entry { proxy: Some(url), ..bare.clone() });
            let entries: Vec<Entry> = sources.chain(proxies).collect();
            if entries.is_empty() { vec![bare] } else { entries }
        }
    };
    for (flag, given) in [("--helo", helo.len()), ("--mail-from", mail_from.len())] {
        if given > 1 && given != entries.len() {
            return Err(setting(
                format!("`{flag}` is given {given} times, for {} ways out", entries.len()),
                "give it once for all, or once for each `--source-ip` and then each `--proxy`, in their order",
            ));
        }
    }
    let at = |given: &[String], place: usize| given.get(place).or(given.first()).cloned();
    let way = |(place, entry): (usize, Entry)| {
        Ok(EgressSpec {
            path: path(entry.source_ip, entry.proxy)?,
            helo: entry.helo.or_else(|| at(&helo, place)).map(|text| name(&text)).transpose()?,
            sender: entry
                .mail_from
                .or_else(|| at(&mail_from, place))
                .map(|text| sender(&text))
                .transpose()?,
        })
    };
    entries.into_iter().enumerate().map(way).collect()
}

/// The user's own host name: never a literal, never one that gets a verifier listed.
fn name(text: &str) -> Result<Domain, Error> {
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

fn path(source: Option<IpAddr>, proxy: Option<String>) -> Result<EgressPath, Error> {
    let Some(url) = proxy else {
        return Ok(EgressPath::Direct(source));
    };
    if source.is_some() {
        return Err(setting(
            "an `[[egress]]` has both `source_ip` and `proxy`".to_owned(),
            "one way out is one source address or one proxy",
        ));
    }
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
    Ok(EgressPath::Socks5 {
        proxy,
        login: login.map(|(user, password)| (user.to_owned(), password.to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_with_its_login_and_never_printed_with_it() {
        let with = |proxy: &str| path(None, Some(proxy.to_owned()));
        let login = Some(("me".to_owned(), "se:cret".to_owned()));
        assert_eq!(
            with("socks5://me:se:cret@192.0.2.1:1080").unwrap(),
            EgressPath::Socks5 { proxy: "192.0.2.1:1080".parse().unwrap(), login }
        );
        let fault = with("socks5://me:secret@proxy:x").unwrap_err().to_string();
        assert!(!fault.contains("secret"), "{fault}");
    }

    fn typed(sources: &[&str], helo: &[&str]) -> EgressArgs {
        EgressArgs {
            source_ip: sources.iter().map(|ip| ip.parse().unwrap()).collect(),
            helo: helo.iter().map(|name| (*name).to_owned()).collect(),
            mail_from: vec!["check@example.org".to_owned()],
            ..EgressArgs::default()
        }
    }

    fn names(ways: &[EgressSpec]) -> Vec<&str> {
        ways.iter().filter_map(|way| Some(way.helo.as_ref()?.as_str())).collect()
    }

    #[test]
    fn each_way_out_has_its_own_name_or_all_have_one() {
        let sources = ["192.0.2.1", "2001:db8::1"];
        let own = ways(typed(&sources, &["one.example.org", "two.example.org"]), None).unwrap();
        assert_eq!(names(&own), ["one.example.org", "two.example.org"]);
        let same = ways(typed(&sources, &["one.example.org"]), None).unwrap();
        assert_eq!(names(&same), ["one.example.org", "one.example.org"]);
        assert_eq!(same[0].sender, same[1].sender);
        let names = ["one.example.org", "two.example.org", "three.example.org"];
        let fault = ways(typed(&sources, &names), None).unwrap_err().to_string();
        assert_eq!(fault, "`--helo` is given 3 times, for 2 ways out");
    }

    #[test]
    fn a_settings_file_names_its_ways_unless_others_are_typed() {
        #[derive(Deserialize)]
        struct File {
            egress: Vec<Entry>,
        }
        let text = "[[egress]]\nsource_ip = \"192.0.2.7\"\nhelo = \"seven.example.org\"\n\
                    [[egress]]\nproxy = \"socks5://192.0.2.8:1080\"\n";
        let file: File = toml::from_str(text).unwrap();
        let ways_of =
            |sources: &[&str]| ways(typed(sources, &["one.example.org"]), Some(file.egress.clone())).unwrap();
        assert_eq!(names(&ways_of(&[])), ["seven.example.org", "one.example.org"]);
        assert_eq!(names(&ways_of(&["192.0.2.1"])), ["one.example.org"]);
    }
}
