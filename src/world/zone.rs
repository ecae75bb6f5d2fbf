//! The DNS zone of the world, and the mailboxes of its domains.
//!
//! Decides: the answer to each DNS query, and which mailboxes a domain has. A name that the file does not have does not
//! exist; a parent of an existing name exists without data (RFC 8020). Must not: wait ([`super::name_service`] does),
//! encode packets ([`super::packet`] does).

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::pattern::{NamePattern, hash};
use super::rule::ReplyText;
use super::script::{DnsFaultEntry, Greylist, QueryType, ReplyEntry};
use super::software::Situation;
use crate::address::Domain;
use crate::route::{DnsAnswer, DnsFault, DnsRecord, LookupError, Mx, MxTarget, RecordType};

/// The longest chain of CNAMEs that is followed.
const MAX_CNAMES: usize = 8;

/// All names of the world.
#[derive(Debug, Default)]
pub(super) struct Zone {
    names: HashMap<String, ZoneEntry>,
    /// The parents of all names.
    parents: HashSet<String>,
}

/// The records and mailboxes of one name.
#[derive(Clone, Debug, Default)]
pub(super) struct ZoneEntry {
    /// The MX, A and AAAA records, each from its time on, in order.
    pub records: Vec<Records>,
    /// The time to live of the records.
    pub ttl: Duration,
    /// The TXT records, each with its strings.
    pub txt: Vec<Vec<Vec<u8>>>,
    /// The PTR records.
    pub ptr: Vec<String>,
    /// The target of its CNAME record.
    pub cname: Option<String>,
    /// The fault of its name servers, and the query type that it affects; `None`: all.
    pub fault: Option<(DnsFaultEntry, Option<QueryType>)>,
    /// The delay of its name servers.
    pub delay: Duration,
    /// The mailboxes; shared by the names of one entry.
    pub mail: Option<Arc<MailRouting>>,
}

/// The records of a name from a time on.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    /// The time in the world.
    pub since: Duration,
    /// The MX records.
    pub mx: Vec<Mx>,
    /// The A and AAAA records.
    pub addresses: Vec<IpAddr>,
}

impl ZoneEntry {
    /// The MX records at a time in the world.
    pub(super) fn mx(&self, now: Duration) -> &[Mx] {
        self.at(now).map_or(&[], |records| &records.mx)
    }

    /// The A and AAAA records at a time in the world.
    pub(super) fn addresses(&self, now: Duration) -> &[IpAddr] {
        self.at(now).map_or(&[], |records| &records.addresses)
    }

    fn at(&self, now: Duration) -> Option<&Records> {
        self.records.iter().rev().find(|records| records.since <= now)
    }
}

/// The mailboxes of a domain.
#[derive(Debug)]
pub(super) struct MailRouting {
    /// The mailboxes that exist.
    pub mailboxes: Vec<NamePattern>,
    /// Mailboxes with a reply of their own; the first match counts.
    pub replies: Vec<(NamePattern, ReplyEntry)>,
    /// Any recipient is accepted.
    pub catch_all: bool,
    /// The reply for unknown recipients, if it is not that of the host.
    pub unknown: Option<ReplyText>,
    /// Greylisting at this domain.
    pub greylist: Option<Greylist>,
}

/// The answer of the name servers, and their delay.
#[derive(Debug)]
pub(super) struct ZoneAnswer<'a> {
    /// The delay of all name servers on the chain.
    pub delay: Duration,
    /// The targets of the CNAMEs that were followed.
    pub cnames: Vec<&'a str>,
    /// The entry at the end of the chain, or why there is none.
    pub found: Result<&'a ZoneEntry, ScriptedDnsFault>,
}

/// Why a query finds no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptedDnsFault {
    /// The name does not exist.
    NoSuchName,
    /// The name servers fail.
    Fails(DnsFaultEntry),
}

impl Zone {
    /// Adds a name. False if it exists already.
    pub(super) fn add(&mut self, name: &str, entry: ZoneEntry) -> bool {
        let mut parent = name;
        while let Some((_, rest)) = parent.split_once('.') {
            self.parents.insert(rest.to_owned());
            parent = rest;
        }
        self.names.insert(name.to_owned(), entry).is_none()
    }

    /// Adds addresses to a name, and the name if it is missing.
    pub(super) fn add_addresses(&mut self, name: &str, addresses: &[IpAddr]) {
        if !self.names.contains_key(name) {
            self.add(name, ZoneEntry::default());
        }
        if let Some(entry) = self.names.get_mut(name) {
            if entry.records.is_empty() {
                entry.records.push(Records::default());
            }
            for records in &mut entry.records {
                records.addresses.extend_from_slice(addresses);
            }
        }
    }

    /// Gives the name of the client its address, unless the file has that name. Its parents do not exist for that.
    pub(super) fn add_client(&mut self, name: &str, address: IpAddr) {
        let own = Records { addresses: vec![address], ..Records::default() };
        let entry = || ZoneEntry { records: vec![own], ..ZoneEntry::default() };
        self.names.entry(name.to_owned()).or_insert_with(entry);
    }

    /// True unless all name servers of the world are silent.
    pub(super) fn answers_anything(&self) -> bool {
        let is_silent = |entry: &ZoneEntry| matches!(entry.fault, Some((DnsFaultEntry::Timeout, None)));
        // Hosts have no name servers of their own.
        let mut domains =
            self.names.values().filter(|entry| entry.mail.is_some() || entry.fault.is_some()).peekable();
        domains.peek().is_none() || domains.any(|entry| !is_silent(entry))
    }

    /// Follows the CNAMEs of a name, and returns the entry at their end.
    pub(super) fn look_up<'a>(&'a self, name: &str, query: QueryType) -> ZoneAnswer<'a> {
        let mut answer = ZoneAnswer {
            delay: Duration::ZERO,
            cnames: Vec::new(),
            found: Err(ScriptedDnsFault::Fails(DnsFaultEntry::Servfail)),
        };
        let mut next = name;
        while answer.cnames.len() <= MAX_CNAMES {
            let Some(entry) = self.names.get(next) else {
                answer.found =
                    if self.parents.contains(next) { Ok(&EMPTY) } else { Err(ScriptedDnsFault::NoSuchName) };
                break;
            };
            answer.delay += entry.delay;
            match (entry.fault, &entry.cname) {
                (Some((fault, on)), _) if on.is_none_or(|on| on == query) => {
                    answer.found = Err(ScriptedDnsFault::Fails(fault));
                    break;
                }
                (_, Some(target)) => {
                    answer.cnames.push(target);
                    next = target;
                }
                (_, None) => {
                    answer.found = Ok(entry);
                    break;
                }
            }
        }
        answer
    }

    /// The MX records of a name at a time, as a resolver returns them.
    pub(super) fn mx(&self, name: &str, now: Duration) -> Result<DnsAnswer<Mx>, LookupError> {
        let entry = self.look_up(name, QueryType::Mx).found.map_err(LookupError::from)?;
        let records = entry.mx(now).to_vec();
        if records.is_empty() { Err(LookupError::NoData) } else { Ok(DnsAnswer { records, ttl: entry.ttl }) }
    }

    /// The addresses of a name at a time, IPv4 first.
    pub(super) fn addresses(&self, name: &str, now: Duration) -> Result<DnsAnswer<IpAddr>, LookupError> {
        let entry = self.look_up(name, QueryType::Address).found.map_err(LookupError::from)?;
        let mut records = entry.addresses(now).to_vec();
        if records.is_empty() {
            return Err(LookupError::NoData);
        }
        records.sort_by_key(IpAddr::is_ipv6);
        Ok(DnsAnswer { records, ttl: entry.ttl })
    }

    /// The records of one type, as a resolver returns them.
    pub(super) fn records(
        &self,
        name: &str,
        kind: RecordType,
        now: Duration,
    ) -> Result<Vec<DnsRecord>, LookupError> {
        let entry = self.look_up(name, QueryType::of(kind)).found.map_err(LookupError::from)?;
        let mx = |mx: &Mx| {
            let host = match &mx.target {
                MxTarget::Null => String::new(),
                MxTarget::Host(host) => host.as_str().to_owned(),
                MxTarget::Malformed(text) => text.clone(),
            };
            DnsRecord::Mx(mx.preference, host)
        };
        let addresses = entry.addresses(now).iter().copied();
        let records: Vec<DnsRecord> = match kind {
            RecordType::A => addresses.filter(IpAddr::is_ipv4).map(DnsRecord::Address).collect(),
            RecordType::Aaaa => addresses.filter(IpAddr::is_ipv6).map(DnsRecord::Address).collect(),
            RecordType::Mx => entry.mx(now).iter().map(mx).collect(),
            RecordType::Txt => entry.txt.iter().map(|strings| DnsRecord::Text(strings.concat())).collect(),
            RecordType::Ptr => entry.ptr.iter().cloned().map(DnsRecord::Name).collect(),
        };
        if records.is_empty() { Err(LookupError::NoData) } else { Ok(records) }
    }

    /// The mailboxes of a domain; a CNAME has those of its target.
    pub(super) fn mail(&self, domain: &str) -> Option<&MailRouting> {
        self.look_up(domain, QueryType::Mx).found.ok()?.mail.as_deref()
    }

    /// True if the MX records (or the own addresses) of a domain lead at this time to a host with this name or one of
    /// these addresses.
    pub(super) fn leads_to(&self, domain: &str, host: &str, addresses: &[IpAddr], now: Duration) -> bool {
        let is_host = |name: &str| {
            name == host
                || self
                    .look_up(name, QueryType::Address)
                    .found
                    .is_ok_and(|entry| entry.addresses(now).iter().any(|address| addresses.contains(address)))
        };
        let Ok(entry) = self.look_up(domain, QueryType::Mx).found else {
            return false;
        };
        match entry.mx(now) {
            [] => is_host(domain),
            records => records
                .iter()
                .any(|mx| matches!(&mx.target, MxTarget::Host(target) if is_host(target.as_str()))),
        }
    }
}

static EMPTY: ZoneEntry = ZoneEntry {
    records: Vec::new(),
    ttl: Duration::ZERO,
    txt: Vec::new(),
    ptr: Vec::new(),
    cname: None,
    fault: None,
    delay: Duration::ZERO,
    mail: None,
};

impl QueryType {
    /// The query for records of a type.
    pub(super) fn of(kind: RecordType) -> QueryType {
        match kind {
            RecordType::A | RecordType::Aaaa => QueryType::Address,
            RecordType::Mx => QueryType::Mx,
            RecordType::Txt => QueryType::Txt,
            RecordType::Ptr => QueryType::Ptr,
        }
    }
}

impl From<ScriptedDnsFault> for LookupError {
    fn from(fault: ScriptedDnsFault) -> LookupError {
        match fault {
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
    /// The reply for a local part in lower case. A tagged one (`jane+shop`) has the reply of its mailbox, unless it is
    /// listed itself.
    pub(super) fn reply_for(&self, domain: &str, local: &str) -> ReplyEntry {
        let salt = hash(0, domain);
        let untagged = local.split_once('+').map(|(mailbox, _)| mailbox);
        for local in std::iter::once(local).chain(untagged) {
            if let Some((_, reply)) = self.replies.iter().find(|(names, _)| names.contains(local, salt)) {
                return reply.clone();
            }
            if local == "postmaster" || self.mailboxes.iter().any(|names| names.contains(local, salt)) {
                return ReplyEntry::Situation(Situation::Ok);
            }
        }
        let situation = if self.catch_all { Situation::Ok } else { Situation::Unknown };
        ReplyEntry::Situation(situation)
    }
}

/// Reads an MX record: `10 mx1.example`, or `0 .` for the null MX.
pub(super) fn read_mx(text: &str) -> Result<Mx, String> {
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
            ZoneEntry {
                records: vec![Records { mx: vec![host("mx.acme.example")], ..Records::default() }],
                ..ZoneEntry::default()
            },
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
            ZoneEntry {
                fault,
                records: vec![Records {
                    addresses: vec!["192.0.2.9".parse().unwrap()],
                    ..Records::default()
                }],
                ..ZoneEntry::default()
            },
        );
        zone
    }

    #[test]
    fn each_kind_of_missing_answer_is_distinct() {
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
            assert_eq!(zone.mx(name, Duration::ZERO).map(|answer| answer.records), answer, "{name}");
        }
        let half = zone.addresses("half.example", Duration::ZERO).map(|answer| answer.records);
        assert_eq!(half, Ok(vec!["192.0.2.9".parse().unwrap()]));
    }

    #[test]
    fn ipv4_addresses_come_first() {
        let addresses = zone().addresses("mx.acme.example", Duration::ZERO).unwrap().records;
        assert_eq!(addresses, ["192.0.2.1".parse::<IpAddr>().unwrap(), "2001:db8::1".parse().unwrap()]);
    }

    #[test]
    fn mail_is_routed_by_mx_by_cname_and_by_address() {
        let zone = zone();
        let at = ["192.0.2.1".parse().unwrap()];
        assert!(zone.leads_to("acme.example", "mx.acme.example", &[], Duration::ZERO));
        assert!(zone.leads_to("alias.example", "mx.acme.example", &[], Duration::ZERO));
        assert!(zone.leads_to("acme.example", "other.name.example", &at, Duration::ZERO));
        assert!(!zone.leads_to("nowhere.example", "mx.acme.example", &at, Duration::ZERO));
    }

    #[test]
    fn mx_records_are_read() {
        assert_eq!(read_mx("0 .").unwrap().target, MxTarget::Null);
        assert_eq!(read_mx("10 192.0.2.1").unwrap().target, MxTarget::Malformed("192.0.2.1".into()));
        assert_eq!(read_mx("10 _bad.example").unwrap().target, MxTarget::Malformed("_bad.example".into()));
        assert!(read_mx("mx.example").is_err());
    }
}
