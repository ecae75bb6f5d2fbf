//! Records of any type and any name, between this crate's types and those of hickory.
//!
//! Must not: change a name. A label of a policy record may hold any byte, so names are split at dots only. Names that come
//! from DNS are texts: bytes that no host name has are escaped as in zone files.

use std::net::IpAddr;

use hickory_resolver::proto::ProtoError;
use hickory_resolver::proto::rr::{Name, RData, RecordType as Kind};

use super::dns::{DnsRecord, RecordType};

/// A text as a name. Fails for an empty label and one of more than 63 bytes.
pub(super) fn name(text: &str) -> Result<Name, ProtoError> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let mut name = Name::from_labels(text.split('.').map(str::as_bytes))?;
    name.set_fqdn(true);
    Ok(name)
}

/// The record type of a query.
pub(super) fn kind(kind: RecordType) -> Kind {
    match kind {
        RecordType::A => Kind::A,
        RecordType::Aaaa => Kind::AAAA,
        RecordType::Mx => Kind::MX,
        RecordType::Txt => Kind::TXT,
        RecordType::Ptr => Kind::PTR,
    }
}

/// A record of an answer; `None` for a type that is never looked up.
pub(super) fn read(record: &RData) -> Option<DnsRecord> {
    let text = |name: &Name| name.to_ascii().trim_end_matches('.').to_owned();
    Some(match record {
        RData::A(address) => DnsRecord::Address(IpAddr::V4(address.0)),
        RData::AAAA(address) => DnsRecord::Address(IpAddr::V6(address.0)),
        RData::MX(mx) => DnsRecord::Mx(mx.preference, text(&mx.exchange)),
        RData::TXT(strings) => DnsRecord::Text(strings.txt_data.concat()),
        RData::PTR(target) => DnsRecord::Name(text(&target.0)),
        _ => return None,
    })
}
