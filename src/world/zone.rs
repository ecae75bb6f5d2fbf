//! What the world's name servers know.
//!
//! Decides: the answer to each question, and which mailboxes are behind a domain. Pure: the waiting is in
//! [`super::name_service`], the packets in [`super::serve`]. A name that is nowhere does not exist; a name above an
//! existing one does, without data (RFC 8020).

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::pattern::{NamePattern, hash};
use super::script::{DnsFaultEntry, Greylist, QueryType, ReplyEntry, ReplyText};
use super::words::Situation;
use crate::address::Domain;
use crate::route::{DnsFault, LookupError, Mx, MxTarget};

/// Longest chain of CNAMEs that is followed.
const MAX_CNAMES: usize = 8;

/// All names.
#[derive(Debug, Default)]
pub struct Zone {
    names: HashMap<String, ZoneEntry>,
    above: HashSet<String>,
}

/// One name.
#[derive(Clone, Debug, Default)]
pub struct ZoneEntry {
    /// Its MX records.
    pub mx: Vec<Mx>,
    /// Its A and AAAA records.
    pub addresses: Vec<IpAddr>,
    /// What it stands for.
    pub cname: Option<String>,
    /// What is wrong with its name servers, and for which question.
    pub fault: Option<(DnsFaultEntry, Option<QueryType>)>,
    /// How long they take.
    pub delay: Duration,
    /// Who lives there; shared by the names of one entry.
    pub mail: Option<Arc<MailRouting>>,
}

/// The mailboxes of a domain.
#[derive(Debug)]
pub struct MailRouting {
    /// Those that exist.
    pub mailboxes: Vec<NamePattern>,
    /// Those with an answer of their own; the first that fits.
    pub answers: Vec<(NamePattern, ReplyEntry)>,
    /// Any name is accepted.
    pub catch_all: bool,
    /// The words for "no such mailbox", if not the host's.
    pub unknown: Option<ReplyText>,
    /// Greylists newcomers.
    pub greylist: Option<Greylist>,
}

/// What the name servers do with a question, after how long.
#[derive(Debug)]
pub struct ZoneAnswer<'a> {
    /// Their delay.
    pub delay: Duration,
    /// The CNAMEs on the way.
    pub chain: Vec<&'a str>,
    /// The entry at its end, or why there is none.
    pub found: Result<&'a ZoneEntry, ScriptedDnsFault>,
}

/// Why there is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptedDnsFault {
    /// The name does not exist.
    NoSuchName,
    /// The name servers fail.
    Fails(DnsFaultEntry),
}

impl Zone {
    /// Adds a name; false when it is there already.
    pub fn add(&mut self, name: &str, entry: ZoneEntry) -> bool {
        let mut parent = name;
        while let Some((_, above)) = parent.split_once('.') {
            self.above.insert(above.to_owned());
            parent = above;
        }
        self.names.insert(name.to_owned(), entry).is_none()
    }

    /// Adds addresses to a name, which need not be there yet.
    pub fn add_addresses(&mut self, name: &str, addresses: &[IpAddr]) {
        if !self.names.contains_key(name) {
            self.add(name, ZoneEntry::default());
        }
        if let Some(entry) = self.names.get_mut(name) {
            entry.addresses.extend_from_slice(addresses);
        }
    }

    /// Follows a name to its end.
    pub fn look_up<'a>(&'a self, name: &str, question: QueryType) -> ZoneAnswer<'a> {
        let mut looked = ZoneAnswer {
            delay: Duration::ZERO,
            chain: Vec::new(),
            found: Err(ScriptedDnsFault::Fails(DnsFaultEntry::Servfail)),
        };
        let mut next = name;
        while looked.chain.len() <= MAX_CNAMES {
            let Some(entry) = self.names.get(next) else {
                looked.found =
                    if self.above.contains(next) { Ok(&EMPTY) } else { Err(ScriptedDnsFault::NoSuchName) };
                break;
            };
            looked.delay += entry.delay;
            match (entry.fault, &entry.cname) {
                (Some((trouble, on)), _) if on.is_none_or(|on| on == question) => {
                    looked.found = Err(ScriptedDnsFault::Fails(trouble));
                    break;
                }
                (_, Some(target)) => {
                    looked.chain.push(target);
                    next = target;
                }
                (_, None) => {
                    looked.found = Ok(entry);
                    break;
                }
            }
        }
        looked
    }

    /// The MX records of a name, as a resolver hands them out.
    pub fn mx(&self, name: &str) -> Result<Vec<Mx>, LookupError> {
        let entry = self.look_up(name, QueryType::Mx).found.map_err(LookupError::from)?;
        if entry.mx.is_empty() { Err(LookupError::NoData) } else { Ok(entry.mx.clone()) }
    }

    /// The addresses of a name, IPv4 first.
    pub fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        let entry = self.look_up(name, QueryType::Address).found.map_err(LookupError::from)?;
        if entry.addresses.is_empty() {
            return Err(LookupError::NoData);
        }
        let mut addresses = entry.addresses.clone();
        addresses.sort_by_key(IpAddr::is_ipv6);
        Ok(addresses)
    }

    /// The mailboxes of a domain; an alias has those of its target.
    pub fn mail(&self, domain: &str) -> Option<&MailRouting> {
        self.look_up(domain, QueryType::Mx).found.ok()?.mail.as_deref()
    }

    /// Does the mail of this domain lead to a host with this name or one of these addresses?
    pub fn leads_to(&self, domain: &str, host: &str, addresses: &[IpAddr]) -> bool {
        let is_it = |name: &str| {
            name == host
                || self
                    .look_up(name, QueryType::Address)
                    .found
                    .is_ok_and(|entry| entry.addresses.iter().any(|address| addresses.contains(address)))
        };
        let Ok(entry) = self.look_up(domain, QueryType::Mx).found else {
            return false;
        };
        match entry.mx.as_slice() {
            [] => is_it(domain),
            records => records
                .iter()
                .any(|mx| matches!(&mx.target, MxTarget::Host(target) if is_it(target.as_str()))),
        }
    }
}

static EMPTY: ZoneEntry = ZoneEntry {
    mx: Vec::new(),
    addresses: Vec::new(),
    cname: None,
    fault: None,
    delay: Duration::ZERO,
    mail: None,
};

impl From<ScriptedDnsFault> for LookupError {
    fn from(trouble: ScriptedDnsFault) -> LookupError {
        match trouble {
            ScriptedDnsFault::NoSuchName => LookupError::NoSuchDomain,
            ScriptedDnsFault::Fails(DnsFaultEntry::Servfail | DnsFaultEntry::Lame) => {
                LookupError::Failed(DnsFault::ServFail)
            }
            ScriptedDnsFault::Fails(DnsFaultEntry::Refused) => LookupError::Failed(DnsFault::Refused),
            ScriptedDnsFault::Fails(DnsFaultEntry::Timeout) => LookupError::Failed(DnsFault::Timeout),
        }
    }
}

impl MailRouting {
    /// What is known of a local part (lower case). A tag (`jane+news`) belongs to its mailbox unless listed itself.
    pub fn answer(&self, domain: &str, local: &str) -> ReplyEntry {
        let salt = hash(0, domain);
        let untagged = local.split_once('+').map(|(mailbox, _)| mailbox);
        for local in std::iter::once(local).chain(untagged) {
            if let Some((_, answer)) = self.answers.iter().find(|(names, _)| names.contains(local, salt)) {
                return answer.clone();
            }
            if local == "postmaster" || self.mailboxes.iter().any(|names| names.contains(local, salt)) {
                return ReplyEntry::Is(Situation::Ok);
            }
        }
        let known = if self.catch_all { Situation::Ok } else { Situation::Unknown };
        ReplyEntry::Is(known)
    }
}

/// Reads `10 mx1.example`, `0 .`.
pub fn read_mx(text: &str) -> Result<Mx, String> {
    let wrong = || format!("`{text}` is not an MX record such as `10 mx1.example`");
    let (preference, target) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let preference = preference.parse().map_err(|_| wrong())?;
    let target = match target.trim() {
        "." => MxTarget::Null,
        target if target.parse::<IpAddr>().is_ok() => MxTarget::Malformed(target.to_owned()),
        target => match Domain::parse(target) {
            Ok(host) => MxTarget::Host(host),
            Err(_) => MxTarget::Malformed(target.to_owned()),
        },
    };
    Ok(Mx { preference, target })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Mx {
        read_mx(&format!("10 {name}")).unwrap()
    }

    fn zone() -> Zone {
        let mut zone = Zone::default();
        let add = |zone: &mut Zone, name: &str, entry| assert!(zone.add(name, entry), "{name}");
        add(
            &mut zone,
            "acme.example",
            ZoneEntry { mx: vec![host("mx.acme.example")], ..ZoneEntry::default() },
        );
        zone.add_addresses(
            "mx.acme.example",
            &["2001:db8::1".parse().unwrap(), "192.0.2.1".parse().unwrap()],
        );
        add(
            &mut zone,
            "alias.example",
            ZoneEntry { cname: Some("acme.example".into()), ..ZoneEntry::default() },
        );
        add(
            &mut zone,
            "loop.example",
            ZoneEntry { cname: Some("loop.example".into()), ..ZoneEntry::default() },
        );
        let fault = Some((DnsFaultEntry::Timeout, Some(QueryType::Mx)));
        add(
            &mut zone,
            "half.example",
            ZoneEntry { fault, addresses: vec!["192.0.2.9".parse().unwrap()], ..ZoneEntry::default() },
        );
        zone
    }

    #[test]
    fn each_way_to_miss_is_kept_apart() {
        let zone = zone();
        let table = [
            ("acme.example", Ok(vec![host("mx.acme.example")])),
            ("alias.example", Ok(vec![host("mx.acme.example")])),
            ("mx.acme.example", Err(LookupError::NoData)),
            ("example", Err(LookupError::NoData)),
            ("nowhere.example", Err(LookupError::NoSuchDomain)),
            ("loop.example", Err(LookupError::Failed(DnsFault::ServFail))),
            ("half.example", Err(LookupError::Failed(DnsFault::Timeout))),
        ];
        for (name, answer) in table {
            assert_eq!(zone.mx(name), answer, "{name}");
        }
        assert_eq!(zone.addresses("half.example"), Ok(vec!["192.0.2.9".parse().unwrap()]));
    }

    #[test]
    fn ipv4_addresses_come_first() {
        let addresses = zone().addresses("mx.acme.example").unwrap();
        assert_eq!(addresses, ["192.0.2.1".parse::<IpAddr>().unwrap(), "2001:db8::1".parse().unwrap()]);
    }

    #[test]
    fn mail_leads_by_mx_by_alias_and_by_address() {
        let zone = zone();
        let at = ["192.0.2.1".parse().unwrap()];
        assert!(zone.leads_to("acme.example", "mx.acme.example", &[]));
        assert!(zone.leads_to("alias.example", "mx.acme.example", &[]));
        assert!(zone.leads_to("acme.example", "other.name.example", &at));
        assert!(!zone.leads_to("nowhere.example", "mx.acme.example", &at));
    }

    #[test]
    fn mx_records_read() {
        assert_eq!(read_mx("0 .").unwrap().target, MxTarget::Null);
        assert_eq!(read_mx("10 192.0.2.1").unwrap().target, MxTarget::Malformed("192.0.2.1".into()));
        assert_eq!(read_mx("10 _bad.example").unwrap().target, MxTarget::Malformed("_bad.example".into()));
        assert!(read_mx("mx.example").is_err());
    }
}
