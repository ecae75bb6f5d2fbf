//! The egresses of a run: source addresses and proxies, each with its HELO name and envelope sender.
//!
//! Decides: how listproof introduces itself to mail servers; nothing of it is ever invented. Fails: naming the value that is
//! missing, or that mail servers would not accept.

use std::net::IpAddr;

use super::layer::{EgressSettings, ProxyUrl};
use super::origin::{Origin, Origins};
use crate::address::{Address, Domain};
use crate::error::Error;
use crate::smtp::{Egress, EgressPath, ProxyAddress};

/// An egress with as much of the sender as the user gave.
#[derive(Clone, Debug, PartialEq)]
pub struct EgressSpec {
    /// How connections leave.
    pub path: EgressPath,
    /// The name for EHLO.
    pub helo: Option<Domain>,
    /// The envelope sender.
    pub sender: Option<Address>,
}

impl EgressSpec {
    /// The complete egress; an error where the HELO name or the sender is missing.
    pub(super) fn complete(self) -> Result<Egress, Error> {
        match (self.helo, self.sender) {
            (Some(helo), Some(sender)) => Ok(Egress { path: self.path, helo, sender }),
            given => Err(no_sender(&given)),
        }
    }
}

/// The parts of egresses as they are written. Each HELO name and each sender belongs to the egress at the same position; a
/// single one belongs to all.
#[derive(Debug, Default)]
pub(super) struct EgressArgs {
    pub(super) source_ip: Vec<IpAddr>,
    pub(super) proxy: Vec<ProxyUrl>,
    pub(super) entries: Vec<EgressSettings>,
    pub(super) helo: Vec<String>,
    pub(super) mail_from: Vec<String>,
    pub(super) origins: Origins,
}

/// An egress with HELO name and sender as they are written, right or wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WrittenEgress {
    /// How connections leave.
    pub(crate) path: EgressPath,
    /// The name for EHLO.
    pub(crate) helo: Option<String>,
    /// The envelope sender.
    pub(crate) mail_from: Option<String>,
}

/// All egresses as they are written.
pub(super) fn written(args: EgressArgs) -> Result<Vec<WrittenEgress>, Error> {
    let egress = |entry: EgressSettings| {
        let EgressSettings { source_ip, proxy, helo, mail_from, origin } = entry;
        Ok(WrittenEgress { path: path(source_ip, proxy, &origin)?, helo, mail_from })
    };
    entries(args)?.into_iter().map(|entry| egress(entry.settings)).collect()
}

/// All egresses: the entries, else one for each source address and each proxy, else the system's own. At least one. A path
/// that is given twice is one egress, because servers count by it; the first HELO name and sender hold.
pub(super) fn egresses(args: EgressArgs) -> Result<Vec<EgressSpec>, Error> {
    let mut egresses: Vec<EgressSpec> = Vec::new();
    for Entry { settings, helo_origin, sender_origin } in entries(args)? {
        let egress = EgressSpec {
            path: path(settings.source_ip, settings.proxy, &settings.origin)?,
            helo: settings.helo.map(|text| host_name(&text, &helo_origin)).transpose()?,
            sender: settings.mail_from.map(|text| sender(&text, &sender_origin)).transpose()?,
        };
        if !egresses.iter().any(|other| leaves_from(&other.path) == leaves_from(&egress.path)) {
            egresses.push(egress);
        }
    }
    Ok(egresses)
}

/// One egress as it is written, and where its HELO name and its sender are written.
struct Entry {
    settings: EgressSettings,
    helo_origin: Origin,
    sender_origin: Origin,
}

/// The entries, or one for each source address and each proxy, or the system's own; each with its HELO name and sender.
fn entries(args: EgressArgs) -> Result<Vec<Entry>, Error> {
    let EgressArgs { source_ip, proxy, mut entries, helo, mail_from, origins } = args;
    if entries.is_empty() {
        let bare = || EgressSettings { origin: origins.egress.clone(), ..EgressSettings::default() };
        let of_source = |ip| EgressSettings { source_ip: Some(ip), ..bare() };
        let of_proxy = |url| EgressSettings { proxy: Some(url), ..bare() };
        entries = source_ip.into_iter().map(of_source).chain(proxy.into_iter().map(of_proxy)).collect();
    }
    if entries.is_empty() {
        entries.push(EgressSettings::default());
    }
    for (flag, given) in [("--helo", helo.len()), ("--mail-from", mail_from.len())] {
        if given > 1 && given != entries.len() {
            return Err(fault(
                format!("`{flag}` is given {given} times, for {} egresses", entries.len()),
                "give it once for all, or once for each `--source-ip` and then each `--proxy`, in their order",
            ));
        }
    }
    let at = |given: &[String], index: usize| given.get(index).or(given.first()).cloned();
    let complete = |(index, mut settings): (usize, EgressSettings)| {
        let place = |own: Option<&String>, common: &Origin| {
            if own.is_some() { settings.origin.clone() } else { common.clone() }
        };
        let helo_origin = place(settings.helo.as_ref(), &origins.helo);
        let sender_origin = place(settings.mail_from.as_ref(), &origins.mail_from);
        settings.helo = settings.helo.take().or_else(|| at(&helo, index));
        settings.mail_from = settings.mail_from.take().or_else(|| at(&mail_from, index));
        Entry { settings, helo_origin, sender_origin }
    };
    Ok(entries.into_iter().enumerate().map(complete).collect())
}

/// What servers see of a path: the source address, or the address of the proxy, with whatever login.
fn leaves_from(path: &EgressPath) -> (Option<IpAddr>, Option<&ProxyAddress>) {
    match path {
        EgressPath::Direct(source) => (source.map(|source| source.to_canonical()), None),
        EgressPath::Socks5 { proxy, .. } => (None, Some(proxy)),
    }
}

/// The user's own host name: neither an address literal nor a name such as `localhost`, for which servers reject a client.
fn host_name(text: &str, origin: &Origin) -> Result<Domain, Error> {
    let hint = "give the full name of this host; its A record is the address of this host, and the PTR record of the \
                address is this name";
    let domain = Domain::parse(text).map_err(|_| origin.fault("helo", text, "is not a host name", hint))?;
    if !domain.as_str().contains('.') || domain.is_within("localhost") || domain.is_within("localdomain") {
        return Err(origin.fault("helo", text, "is not the full name of a host", hint));
    }
    Ok(domain)
}

fn sender(text: &str, origin: &Origin) -> Result<Address, Error> {
    let hint =
        "give an address of your own domain that can receive mail; many servers reject the null sender";
    let address =
        Address::parse(text).map_err(|_| origin.fault("mail_from", text, "is not an address", hint))?;
    if address.domain().is_none() || address.needs_smtputf8() {
        return Err(origin.fault(
            "mail_from",
            text,
            "is not an envelope sender that every server takes",
            hint,
        ));
    }
    Ok(address)
}

fn no_sender(given: &(Option<Domain>, Option<Address>)) -> Error {
    let missing = match given {
        (None, None) => "`--helo` and `--mail-from` are missing",
        (None, _) => "`--helo` is missing",
        _ => "`--mail-from` is missing",
    };
    fault(
        format!("{missing}: mail servers want to know the client"),
        "  --helo NAME       the full name of this host, with forward and reverse DNS\n  \
         --mail-from ADDR  an address of your own domain that can receive mail\n  \
         or write `helo = ...` and `mail_from = ...` into listproof.toml;\n  \
         `--dns-only` and `--offline` need neither, `--world samples/world.toml` is a demo",
    )
}

fn path(source: Option<IpAddr>, proxy: Option<ProxyUrl>, origin: &Origin) -> Result<EgressPath, Error> {
    let Some(url) = proxy else {
        return Ok(EgressPath::Direct(source));
    };
    if source.is_some() {
        return Err(fault(
            "an `[[egress]]` has both `source_ip` and `proxy`".to_owned(),
            "an egress is one source address or one proxy",
        ));
    }
    let unusable = || {
        let hint = "write a proxy as `socks5://[USER:PASSWORD@]HOST:PORT`, other characters than letters and digits of the \
                    login as `%40`";
        origin.fault("proxy", &url.to_string(), "is not usable", hint)
    };
    let rest = url.secret().strip_prefix("socks5://").ok_or_else(unusable)?.trim_end_matches('/');
    let (login, host) = match rest.rsplit_once('@') {
        Some((login, host)) => (Some(login.split_once(':').ok_or_else(unusable)?), host),
        None => (None, rest),
    };
    let proxy = host.parse().map_err(|_| unusable())?;
    Ok(EgressPath::Socks5 {
        proxy,
        login: match login {
            Some((user, password)) => {
                let part = |text| decoded(text).filter(|text| (1..=255).contains(&text.len()));
                Some((part(user).ok_or_else(unusable)?, part(password).ok_or_else(unusable)?))
            }
            None => None,
        },
    })
}

/// A part of a login without its percent-encoding (RFC 3986 2.1); `None` where a `%` has no two hexadecimal digits behind it.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(if byte == b'%' { digit()? * 16 + digit()? } else { byte });
    }
    String::from_utf8(bytes).ok()
}

pub(super) fn fault(message: String, hint: &str) -> Error {
    Error::Setting { message, hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_with_its_credentials_and_never_shown_with_them() {
        let with = |proxy: &str| path(None, Some(proxy.to_owned().into()), &Origin::Flag);
        let login = Some(("jane".to_owned(), "se:cret".to_owned()));
        let read = with("socks5://jane:se:cret@192.0.2.1:1080").unwrap();
        assert_eq!(read, EgressPath::Socks5 { proxy: "192.0.2.1:1080".parse().unwrap(), login });
        let shown = format!("{read:?}");
        assert!(
            shown.contains("192.0.2.1:1080") && !shown.contains("jane") && !shown.contains("cret"),
            "{shown}"
        );
        let fault = with("socks5://me:secret@proxy:x").unwrap_err().to_string();
        assert!(!fault.contains("secret"), "{fault}");
    }

    #[test]
    fn the_login_of_a_proxy_is_percent_decoded_and_its_host_may_be_a_name() {
        for (url, user, password, host) in [
            ("socks5://a%40b:p%3Aq%2f%25@192.0.2.1:1080", "a@b", "p:q/%", "192.0.2.1:1080"),
            ("socks5://a:b%20%C3%A9@proxy.example.org:1080/", "a", "b \u{e9}", "proxy.example.org:1080"),
            ("socks5://a:b@LocalHost:9050", "a", "b", "localhost:9050"),
            ("socks5://a:b@[2001:DB8::1]:1080", "a", "b", "[2001:db8::1]:1080"),
        ] {
            let read = path(None, Some(url.to_owned().into()), &Origin::Flag).unwrap();
            let login = Some((user.to_owned(), password.to_owned()));
            assert_eq!(read, EgressPath::Socks5 { proxy: host.parse().unwrap(), login }, "{url}");
        }
        for url in [
            "a:b%4@h:1",
            "a:%zz@h:1",
            "a:b%ff@h:1",
            "a@h:1",
            ":b@h:1",
            "a:b@h",
            "a:b@h:0",
            "a:b@h_:x",
            "a:b@:1",
        ] {
            let fault = path(None, Some(format!("socks5://{url}").into()), &Origin::Flag).unwrap_err();
            assert!(fault.to_string().contains("--proxy") && !fault.to_string().contains("b%"), "{fault}");
        }
    }

    fn args(sources: &[&str], helo: &[&str]) -> EgressArgs {
        EgressArgs {
            source_ip: sources.iter().map(|ip| ip.parse().unwrap()).collect(),
            helo: helo.iter().map(|name| (*name).to_owned()).collect(),
            mail_from: vec!["check@example.org".to_owned()],
            ..EgressArgs::default()
        }
    }

    fn names(egresses: &[EgressSpec]) -> Vec<&str> {
        egresses.iter().filter_map(|egress| Some(egress.helo.as_ref()?.as_str())).collect()
    }

    #[test]
    fn each_egress_has_its_own_name_or_all_have_one() {
        let sources = ["192.0.2.1", "2001:db8::1"];
        let own = egresses(args(&sources, &["one.example.org", "two.example.org"])).unwrap();
        assert_eq!(names(&own), ["one.example.org", "two.example.org"]);
        let same = egresses(args(&sources, &["one.example.org"])).unwrap();
        assert_eq!(names(&same), ["one.example.org", "one.example.org"]);
        assert_eq!(same[0].sender, same[1].sender);
        let names = ["one.example.org", "two.example.org", "three.example.org"];
        let fault = egresses(args(&sources, &names)).unwrap_err().to_string();
        assert_eq!(fault, "`--helo` is given 3 times, for 2 egresses");
    }

    #[test]
    fn an_address_or_a_proxy_that_is_given_twice_is_one_egress() {
        let sources = ["192.0.2.1", "2001:db8::1", "192.0.2.1", "::ffff:192.0.2.1", "2001:DB8:0::1"];
        let read = egresses(args(&sources, &["one.example.org"])).unwrap();
        assert_eq!(read.len(), 2);
        let proxy = ["socks5://192.0.2.8:1080", "socks5://a:b@192.0.2.8:1080", "socks5://192.0.2.8:1081"];
        let proxy = proxy.map(|url| url.to_owned().into()).to_vec();
        let two = ["one.example.org", "two.example.org", "three.example.org"];
        let read = egresses(EgressArgs { proxy, ..args(&[], &two) }).unwrap();
        assert_eq!(names(&read), ["one.example.org", "three.example.org"]);
    }

    #[test]
    fn an_entry_has_a_name_of_its_own_or_the_common_one() {
        let entries = vec![
            EgressSettings {
                source_ip: Some("192.0.2.7".parse().unwrap()),
                helo: Some("seven.example.org".to_owned()),
                ..EgressSettings::default()
            },
            EgressSettings {
                proxy: Some("socks5://192.0.2.8:1080".to_owned().into()),
                ..EgressSettings::default()
            },
        ];
        let read = egresses(EgressArgs { entries, ..args(&[], &["one.example.org"]) }).unwrap();
        assert_eq!(names(&read), ["seven.example.org", "one.example.org"]);
    }
}
