//! The checks of the sender's domain that need DNS only: MX hosts, SPF, DMARC, DKIM.

use std::net::IpAddr;

use super::answer::{ask, unconfirmed};
use super::check::{CheckStatus, Finding};
use super::dkim::{DkimAlgorithm, DkimKey};
use super::dmarc::{AppliedPolicy, DmarcPolicy, DmarcWalk, is_aligned};
use super::spf::{SpfRequest, SpfResult, evaluate_spf};
use crate::route::{Dns, DnsRecord, RecordType};

/// The domain of the sender receives mail, so that replies and bounces arrive.
pub(super) async fn mx(dns: &dyn Dns, domain: &str) -> Finding {
    let mx = ask(dns, domain, RecordType::Mx).await;
    if let Some(failure) = &mx.failure {
        return unconfirmed(&format!("The MX records of {domain}"), failure);
    }
    let hosts: Vec<String> = mx.records.iter().filter_map(host).collect();
    let fix = format!("{domain}. MX 10 (a host that receives your mail)");
    if !mx.records.is_empty() && hosts.is_empty() {
        return Finding::new(CheckStatus::Fail, format!("{domain} says that it receives no mail."))
            .detail(mx.detail)
            .fix(fix);
    }
    let names = if hosts.is_empty() { vec![domain.to_owned()] } else { hosts };
    let (mut details, mut failure) = (vec![mx.detail], None);
    for name in names {
        for kind in [RecordType::A, RecordType::Aaaa] {
            let answer = ask(dns, &name, kind).await;
            if !answer.records.is_empty() {
                return Finding::new(CheckStatus::Pass, format!("Mail for {domain} goes to {name}."));
            }
            details.push(answer.detail);
            failure = failure.or(answer.failure);
        }
    }
    if let Some(failure) = failure {
        return unconfirmed(&format!("The mail hosts of {domain}"), &failure);
    }
    let finding = Finding::new(CheckStatus::Fail, format!("No host receives mail for {domain}."));
    details.into_iter().fold(finding, Finding::detail).fix(fix)
}

/// SPF lets this host send for the domain.
pub(super) async fn spf(
    dns: &dyn Dns,
    ip: Option<IpAddr>,
    helo: &str,
    mail_from: &str,
    domain: &str,
) -> Finding {
    let Some(ip) = ip else {
        return Finding::new(CheckStatus::CouldNotConfirm, "The address that receivers see is not known.")
            .fix("Name it with --source-ip ADDR.");
    };
    let report = evaluate_spf(dns, &SpfRequest::new(ip, helo, Some(mail_from))).await;
    let term = if ip.is_ipv4() { format!("ip4:{ip}") } else { format!("ip6:{ip}") };
    let record = report.tree.as_ref().and_then(|tree| tree.record.clone());
    let add = record.as_deref().map_or_else(
        || format!("{domain}. TXT \"v=spf1 {term} -all\""),
        |record| format!("{domain}. TXT \"{}\"", with_term(record, &term)),
    );
    let (status, sentence, fix) = match report.result {
        SpfResult::Pass => (CheckStatus::Pass, format!("SPF of {domain} allows {ip}."), None),
        SpfResult::Fail => (CheckStatus::Fail, format!("SPF of {domain} forbids {ip}."), Some(add)),
        SpfResult::SoftFail | SpfResult::Neutral => {
            (CheckStatus::Warn, format!("SPF of {domain} does not allow {ip} clearly."), Some(add))
        }
        SpfResult::None => (CheckStatus::Warn, format!("{domain} has no SPF record."), Some(add)),
        SpfResult::PermError => (CheckStatus::Fail, format!("SPF of {domain} has an error."), None),
        SpfResult::TempError => {
            (CheckStatus::CouldNotConfirm, format!("SPF of {domain} could not be evaluated."), None)
        }
    };
    let mut finding = Finding::new(status, sentence);
    finding = record.into_iter().fold(finding, Finding::detail);
    if let Some(problem) = report.problem {
        let term = problem.term.map(|term| format!(" at `{term}`")).unwrap_or_default();
        finding = finding.detail(format!("{}{term}: {}", problem.domain, problem.message));
    }
    finding = finding.detail(format!(
        "result {}, look-ups {}, void {}",
        report.result.word(),
        report.lookups,
        report.void_lookups
    ));
    finding.fix = fix;
    finding
}

/// A record with one more mechanism, in front of the others.
fn with_term(record: &str, term: &str) -> String {
    match record.split_once(' ') {
        Some((version, rest)) => format!("{version} {term} {}", rest.trim_start()),
        None => format!("{record} {term} -all"),
    }
}

/// The domain of the author has a DMARC policy, and SPF of the envelope sender counts for it.
pub(super) async fn dmarc(dns: &dyn Dns, domain: &str, envelope: &str) -> Finding {
    let failed = |failed: super::dmarc::FailedLookup| {
        unconfirmed(&format!("DMARC of {domain}"), &format!("{} TXT: {}", failed.name, failed.fault))
    };
    let walk = match DmarcWalk::from(dns, domain).await {
        Ok(walk) => walk,
        Err(lookup) => return failed(lookup),
    };
    let Some(applied) = AppliedPolicy::of(&walk, true) else {
        let record = format!("_dmarc.{domain}. TXT \"v=DMARC1; p=none; rua=mailto:postmaster@{domain}\"");
        let finding = Finding::new(CheckStatus::Warn, format!("{domain} has no DMARC policy."));
        return walk.queried.iter().fold(finding, Finding::detail).fix(record);
    };
    let record = walk.record_of(&applied.domain).cloned().unwrap_or_default();
    let aligned = match is_aligned(dns, &walk, envelope, record.is_spf_strict).await {
        Err(lookup) => return failed(lookup),
        Ok(aligned) => aligned,
    };
    let word = match applied.policy {
        DmarcPolicy::None => "none",
        DmarcPolicy::Quarantine => "quarantine",
        DmarcPolicy::Reject => "reject",
    };
    let alignment = if aligned { "is aligned" } else { "is not aligned, so only DKIM counts" };
    let mut sentence = format!(
        "DMARC policy {word} of {} applies to {domain}; SPF of {envelope} {alignment}.",
        applied.domain
    );
    if record.is_test {
        sentence.push_str(" It is in test mode.");
    }
    let status = if aligned { CheckStatus::Pass } else { CheckStatus::Warn };
    let mut finding = Finding::new(status, sentence);
    for tag in &record.removed {
        finding.status = CheckStatus::Warn;
        finding = finding.detail(format!("`{tag}` counts no more; the policy applies to all mail"));
    }
    finding
}

/// The key of a selector can be used.
pub(super) async fn dkim(dns: &dyn Dns, domain: &str, selector: &str) -> Finding {
    let name = format!("{selector}._domainkey.{domain}");
    let answer = ask(dns, &name, RecordType::Txt).await;
    if let Some(failure) = &answer.failure {
        return unconfirmed(&format!("The key {name}"), failure);
    }
    let text = match answer.records.as_slice() {
        [DnsRecord::Text(text)] => String::from_utf8_lossy(text).into_owned(),
        [] => {
            return Finding::new(CheckStatus::Warn, format!("There is no key {name}.")).detail(answer.detail);
        }
        _ => {
            let sentence = format!("{name} has several records.");
            return Finding::new(CheckStatus::Warn, sentence).detail(answer.detail);
        }
    };
    let warn = |sentence: String| Finding::new(CheckStatus::Warn, sentence).detail(answer.detail.clone());
    match DkimKey::parse(&text) {
        Err(fault) => warn(format!("{name} is not a DKIM key: {fault}.")),
        Ok(key) if key.is_revoked => warn(format!("The key {name} is revoked.")),
        Ok(key) if !key.is_usable() => warn(format!("Receivers do not accept the key {name}.")),
        Ok(key) if key.is_test => warn(format!("The key {name} is in test mode.")),
        Ok(DkimKey { algorithm: DkimAlgorithm::Rsa(bits), .. }) if bits < 2048 => {
            warn(format!("The key {name} has {bits} bits; 2048 are advised."))
        }
        Ok(_) => Finding::new(CheckStatus::Pass, format!("The key {name} is in order.")),
    }
}

fn host(record: &DnsRecord) -> Option<String> {
    match record {
        DnsRecord::Mx(_, host) => (!host.is_empty()).then(|| host.clone()),
        DnsRecord::Address(_) | DnsRecord::Text(_) | DnsRecord::Name(_) => None,
    }
}
