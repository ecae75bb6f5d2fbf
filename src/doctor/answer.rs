//! One DNS look-up of a check, with its answer as a detail.
//!
//! Must not: let a failed look-up pass for "no record".

use std::net::IpAddr;

use super::check::{CheckStatus, Finding};
use crate::route::{Dns, DnsRecord, LookupError, RecordType};

/// What a look-up gave.
pub(super) struct Answer {
    /// The records; none if the name does not exist or has none of this type.
    pub(super) records: Vec<DnsRecord>,
    /// Why the look-up failed.
    pub(super) failure: Option<String>,
    /// The question and the answer as text.
    pub(super) detail: String,
}

/// Looks up the records of one type.
pub(super) async fn ask(dns: &dyn Dns, name: &str, kind: RecordType) -> Answer {
    let question = format!("{name} {}", kind.word());
    match dns.records(name, kind).await {
        Ok(records) => {
            let texts: Vec<String> = records.iter().map(text).collect();
            Answer { records, failure: None, detail: format!("{question}: {}", texts.join(", ")) }
        }
        Err(LookupError::NoSuchDomain) => {
            Answer { records: Vec::new(), failure: None, detail: format!("{question}: NXDOMAIN") }
        }
        Err(LookupError::NoData) => {
            Answer { records: Vec::new(), failure: None, detail: format!("{question}: no such record") }
        }
        Err(LookupError::Failed(fault)) => {
            let detail = format!("{question}: {fault}");
            Answer { records: Vec::new(), failure: Some(detail.clone()), detail }
        }
    }
}

impl Answer {
    /// The addresses among the records.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.records.iter().filter_map(|record| match record {
            DnsRecord::Address(address) => Some(*address),
            DnsRecord::Mx(..) | DnsRecord::Text(_) | DnsRecord::Name(_) => None,
        })
    }
}

/// The finding where a look-up failed.
pub(super) fn unconfirmed(what: &str, failure: &str) -> Finding {
    let sentence = format!("{what} could not be looked up.");
    Finding::new(CheckStatus::CouldNotConfirm, sentence)
        .detail(failure)
        .fix("Ask again later, or name another resolver with --dns ADDR:PORT.")
}

fn text(record: &DnsRecord) -> String {
    match record {
        DnsRecord::Address(address) => address.to_string(),
        DnsRecord::Mx(preference, host) => format!("{preference} {host}."),
        DnsRecord::Text(text) => format!("\"{}\"", String::from_utf8_lossy(text)),
        DnsRecord::Name(name) => format!("{name}."),
    }
}
