//! Each rule of RFC 7208 that a result depends on, with a zone of its own.

mod errors;
mod limits;
mod macros;
mod mechanisms;
mod modifiers;
mod records;

use std::collections::HashMap;
use std::net::IpAddr;

use super::*;
use crate::route::{Dns, DnsAnswer, DnsFault, DnsRecord, LookupError, LookupFuture, Mx, RecordType};

/// The client of most tests.
const CLIENT: &str = "192.0.2.1";
const CLIENT_V6: &str = "2001:db8::1";

/// A zone: one record in a line, `name TYPE value`. The strings of a TXT record are separated by ` | `. The value `FAIL` is a
/// name server that fails, `SILENT` one that does not answer.
struct Zone(HashMap<(String, &'static str), Vec<DnsRecord>>, HashMap<(String, &'static str), DnsFault>);

impl Zone {
    fn parse(text: &str) -> Zone {
        let mut zone = Zone(HashMap::new(), HashMap::new());
        for line in text.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
            let mut words = line.splitn(3, ' ');
            let (name, kind, value) =
                (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or_default());
            let address = || DnsRecord::Address(value.parse().unwrap_or_else(|_| panic!("{line}")));
            let (kind, record) = match (kind, value) {
                ("A", value) => ("A", (!value.chars().all(char::is_uppercase)).then(address)),
                ("AAAA", value) => ("AAAA", (value != "FAIL").then(address)),
                ("MX", "FAIL") => ("MX", None),
                ("MX", value) => ("MX", {
                    let (preference, host) = value.split_once(' ').unwrap();
                    Some(DnsRecord::Mx(preference.parse().unwrap(), host.trim_end_matches('.').to_owned()))
                }),
                ("TXT", "FAIL" | "SILENT") => ("TXT", None),
                ("TXT", value) => {
                    ("TXT", Some(DnsRecord::Text(value.split(" | ").collect::<String>().into_bytes())))
                }
                ("PTR", "FAIL") => ("PTR", None),
                ("PTR", value) => ("PTR", Some(DnsRecord::Name(value.to_owned()))),
                _ => panic!("{line}"),
            };
            let key = (name.to_lowercase(), kind);
            match record {
                Some(record) => zone.0.entry(key).or_default().push(record),
                None if value == "SILENT" => drop(zone.1.insert(key, DnsFault::Timeout)),
                None => drop(zone.1.insert(key, DnsFault::ServFail)),
            }
        }
        zone
    }
}

impl Dns for Zone {
    fn mx<'a>(&'a self, _: &'a crate::address::Domain) -> LookupFuture<'a, DnsAnswer<Mx>> {
        Box::pin(async { Err(LookupError::NoSuchDomain) })
    }

    fn addresses<'a>(&'a self, _: &'a crate::address::Domain) -> LookupFuture<'a, DnsAnswer<IpAddr>> {
        Box::pin(async { Err(LookupError::NoSuchDomain) })
    }

    fn records<'a>(&'a self, name: &'a str, kind: RecordType) -> LookupFuture<'a, Vec<DnsRecord>> {
        let key = (name.to_lowercase(), kind.word());
        let answer = match (self.1.get(&key), self.0.get(&key)) {
            (Some(fault), _) => Err(LookupError::Failed(fault.clone())),
            (_, Some(records)) => Ok(records.clone()),
            _ if self.0.keys().any(|(known, _)| *known == key.0) => Err(LookupError::NoData),
            _ => Err(LookupError::NoSuchDomain),
        };
        Box::pin(async { answer })
    }
}

/// Evaluates for a client with an address, a HELO name and a sender.
fn evaluate(zone: &str, ip: &str, helo: &str, mail_from: &str) -> SpfReport {
    let zone = Zone::parse(zone);
    let mail_from = (!mail_from.is_empty()).then_some(mail_from);
    let request = SpfRequest::new(ip.parse().unwrap(), helo, mail_from).at(1_700_000_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(evaluate_spf(&zone, &request))
}

/// The report for `me@example.com` whose record is this, with further lines of the zone.
fn report(record: &str, zone: &str, ip: &str) -> SpfReport {
    evaluate(&format!("example.com TXT {record}\n{zone}"), ip, "mail.example.org", "me@example.com")
}

/// The result for `me@example.com` from the client.
#[track_caller]
fn gives(expected: &str, record: &str, zone: &str) {
    let report = report(record, zone, CLIENT);
    assert_eq!(report.result.word(), expected, "{record}\n{report}");
}

/// The same for a client with an IPv6 address.
#[track_caller]
fn gives_v6(expected: &str, record: &str, zone: &str) {
    let report = report(record, zone, CLIENT_V6);
    assert_eq!(report.result.word(), expected, "{record}\n{report}");
}
