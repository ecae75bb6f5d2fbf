//! The checks of this host that need DNS only: the resolver, the PTR record, the HELO name.

use std::net::IpAddr;

use super::answer::{ask, unconfirmed};
use super::check::{CheckStatus, Finding};
use super::spf::reverse_name;
use crate::policy::SenderPolicy;
use crate::route::{Dns, DnsFault, DnsRecord, NxdomainRewriting, RecordType};

/// What to do about a resolver.
const USE_OTHER: &str = "Use a resolver of your own, and name it with --dns ADDR:PORT.";

/// The resolver answers, and does not invent records for names that cannot exist.
pub(super) async fn resolver(dns: &dyn Dns) -> Finding {
    match dns.nxdomain_rewriting().await {
        NxdomainRewriting::No => {
            Finding::new(CheckStatus::Pass, "The resolver says of a name that cannot exist that it does not.")
        }
        NxdomainRewriting::To(addresses) => {
            let finding =
                Finding::new(CheckStatus::Fail, "The resolver gives records to names that cannot exist.");
            addresses.iter().fold(finding, |finding, ip| finding.detail(ip.to_string())).fix(USE_OTHER)
        }
        NxdomainRewriting::Unknown(fault) => unanswered(&fault),
    }
}

fn unanswered(fault: &DnsFault) -> Finding {
    Finding::new(CheckStatus::CouldNotConfirm, "The resolver does not answer.")
        .detail(fault.to_string())
        .fix(USE_OTHER)
}

/// The address has a name, and the name leads back to it.
pub(super) async fn ptr(
    dns: &dyn Dns,
    ip: Option<IpAddr>,
    helo: Option<&str>,
    policy: &SenderPolicy,
) -> Finding {
    let Some(ip) = ip else {
        return Finding::new(CheckStatus::CouldNotConfirm, "The address that receivers see is not known.")
            .fix("Name it with --source-ip ADDR.");
    };
    let reverse = reverse_name(ip);
    let fix =
        format!("{reverse}. PTR {}. (the owner of the network sets it)", helo.unwrap_or("mail.example.org"));
    let answer = ask(dns, &reverse, RecordType::Ptr).await;
    if let Some(failure) = &answer.failure {
        return unconfirmed(&format!("The name of {ip}"), failure);
    }
    if answer.records.is_empty() {
        return Finding::new(CheckStatus::Fail, format!("{ip} has no PTR record."))
            .detail(answer.detail)
            .fix(fix);
    }
    let (mut details, mut failure) = (vec![answer.detail.clone()], None);
    for name in answer.records.iter().filter_map(name) {
        let back = ask(dns, name, address_type(ip)).await;
        details.push(back.detail.clone());
        if back.addresses().any(|address| address == ip) {
            let sentence = format!("{ip} is {name}, and {name} is {ip}.");
            let Some(part) = policy.generic_part(name, ip) else {
                return Finding::new(CheckStatus::Pass, sentence);
            };
            let sentence = format!("{sentence} The name looks like one of a customer's line (`{part}`).");
            return Finding::new(CheckStatus::Warn, sentence).details(details).fix(fix);
        }
        failure = failure.or(back.failure);
    }
    if let Some(failure) = failure {
        return unconfirmed(&format!("A name of {ip}"), &failure);
    }
    let finding = Finding::new(CheckStatus::Fail, format!("No name of {ip} leads back to it."));
    details.into_iter().fold(finding, Finding::detail).fix(fix)
}

/// The HELO name is a full name, and leads to the address.
pub(super) async fn helo(dns: &dyn Dns, helo: Option<&str>, ip: Option<IpAddr>) -> Finding {
    let Some(helo) = helo else {
        return Finding::new(CheckStatus::CouldNotConfirm, "There is no HELO name.")
            .fix("Name this host with --helo NAME.");
    };
    let fix = ip.map_or_else(
        || format!("{helo}. A (the address of this host)"),
        |ip| format!("{helo}. {} {ip}", address_type(ip).word()),
    );
    if !helo.contains('.') || helo.starts_with('[') {
        return Finding::new(CheckStatus::Fail, format!("`{helo}` is not a full host name."))
            .fix("Give a name with a domain, such as probe.example.org.");
    }
    let kinds = ip.map_or(vec![RecordType::A, RecordType::Aaaa], |ip| vec![address_type(ip)]);
    let (mut found, mut details, mut failure) = (Vec::new(), Vec::new(), None);
    for kind in kinds {
        let answer = ask(dns, helo, kind).await;
        found.extend(answer.addresses());
        details.push(answer.detail);
        failure = failure.or(answer.failure);
    }
    match (ip, failure) {
        (None, _) if !found.is_empty() => Finding::new(CheckStatus::Pass, format!("{helo} has an address.")),
        (Some(ip), _) if found.contains(&ip) => {
            Finding::new(CheckStatus::Pass, format!("{helo} leads to {ip}."))
        }
        (_, Some(failure)) => unconfirmed(&format!("The address of {helo}"), &failure),
        (ip, None) => {
            let sentence = match ip {
                Some(ip) if !found.is_empty() => format!("{helo} does not lead to {ip}."),
                _ => format!("{helo} has no address record."),
            };
            let finding = Finding::new(CheckStatus::Fail, sentence);
            details.into_iter().fold(finding, Finding::detail).fix(fix)
        }
    }
}

fn address_type(ip: IpAddr) -> RecordType {
    if ip.is_ipv4() { RecordType::A } else { RecordType::Aaaa }
}

fn name(record: &DnsRecord) -> Option<&str> {
    match record {
        DnsRecord::Name(name) => Some(name),
        DnsRecord::Address(_) | DnsRecord::Mx(..) | DnsRecord::Text(_) => None,
    }
}
