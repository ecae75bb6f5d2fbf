//! MTA-STS (RFC 8461) and TLS-RPT (RFC 8460) of the sender's domain: for information; no receiver rejects mail without them.

use super::answer::{ask, unconfirmed};
use super::check::{CheckStatus, Finding};
use crate::route::{Dns, DnsRecord, RecordType};

/// The domain announces a policy for TLS of incoming mail.
pub(super) async fn mta_sts(dns: &dyn Dns, domain: &str) -> Finding {
    record(dns, &format!("_mta-sts.{domain}"), "v=STSv1", "MTA-STS policy").await
}

/// The domain wants reports about TLS failures.
pub(super) async fn tls_reports(dns: &dyn Dns, domain: &str) -> Finding {
    record(dns, &format!("_smtp._tls.{domain}"), "v=TLSRPTv1", "address for TLS reports (TLS-RPT)").await
}

/// A domain without the record passes too.
async fn record(dns: &dyn Dns, name: &str, version: &str, what: &str) -> Finding {
    let answer = ask(dns, name, RecordType::Txt).await;
    if let Some(failure) = &answer.failure {
        return unconfirmed(&format!("The record {name}"), failure);
    }
    let is_one = |record: &&DnsRecord| matches!(record, DnsRecord::Text(text) if String::from_utf8_lossy(text).trim_start().starts_with(version));
    let found = answer.records.iter().filter(is_one).count();
    let (status, sentence) = match found {
        0 => (CheckStatus::Pass, format!("There is no {what}; nothing needs one.")),
        1 => (CheckStatus::Pass, format!("There is one {what}.")),
        _ => (CheckStatus::Warn, format!("There are {found} records for one {what}, so none counts.")),
    };
    Finding::new(status, sentence).detail(answer.detail)
}
