//! Whether a mechanism matches the client (RFC 7208 5). `include` is an evaluation of its own, in [`super::evaluate`].
//!
//! Decides: matches or not. Must not: order the mechanisms, or give results.

use std::net::IpAddr;

use super::lookup::{Lookups, Stop, failed, is_within};
use super::macros::MacroString;
use super::term::{Mechanism, PrefixLengths};
use crate::route::{DnsRecord, RecordType};

/// Most MX hosts of one mechanism.
const MAX_MX_HOSTS: usize = 10;

/// True if a mechanism of a domain's record matches. `include` never does here.
pub(super) async fn is_match(
    lookups: &mut Lookups<'_>,
    mechanism: &Mechanism,
    domain: &str,
) -> Result<bool, Stop> {
    let ip = lookups.request.ip;
    match mechanism {
        Mechanism::All => Ok(true),
        Mechanism::Include(_) => Ok(false),
        Mechanism::Ip4(network, length) => Ok(is_in(ip, IpAddr::V4(*network), *length)),
        Mechanism::Ip6(network, length) => Ok(is_in(ip, IpAddr::V6(*network), *length)),
        Mechanism::A(target, lengths) => {
            lookups.count()?;
            let name = lookups.target(target.as_ref(), domain).await?;
            let records = lookups.term_records(&name, lookups.address_type()).await?;
            Ok(has_address(&records, ip, *lengths))
        }
        Mechanism::Mx(target, lengths) => {
            lookups.count()?;
            let name = lookups.target(target.as_ref(), domain).await?;
            matches_mx(lookups, &name, *lengths).await
        }
        Mechanism::Ptr(target) => matches_ptr(lookups, target.as_ref(), domain).await,
        Mechanism::Exists(target) => {
            lookups.count()?;
            let name = lookups.target(Some(target), domain).await?;
            // A record of an IPv4 address, also for a client with an IPv6 address (5.7).
            let records = lookups.term_records(&name, RecordType::A).await?;
            Ok(!records.is_empty())
        }
    }
}

/// A domain without MX records has no implicit one here (5.4).
async fn matches_mx(lookups: &mut Lookups<'_>, name: &str, lengths: PrefixLengths) -> Result<bool, Stop> {
    let mut hosts: Vec<(u16, String)> = Vec::new();
    for record in lookups.term_records(name, RecordType::Mx).await? {
        match record {
            DnsRecord::Mx(preference, host) => hosts.push((preference, host)),
            DnsRecord::Address(_) | DnsRecord::Text(_) | DnsRecord::Name(_) => {}
        }
    }
    if hosts.len() > MAX_MX_HOSTS {
        return Err(Stop::Permanent(format!("{name} has more than {MAX_MX_HOSTS} MX records")));
    }
    hosts.sort();
    let kind = lookups.address_type();
    for (_, host) in hosts.iter().filter(|(_, host)| !host.is_empty()) {
        let records = lookups.records(host, kind).await.map_err(|fault| failed(host, kind, &fault))?;
        if has_address(&records, lookups.request.ip, lengths) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn matches_ptr(
    lookups: &mut Lookups<'_>,
    target: Option<&MacroString>,
    domain: &str,
) -> Result<bool, Stop> {
    lookups.count()?;
    let target = lookups.target(target, domain).await?;
    let names = lookups.client_names().await?;
    Ok(names.iter().any(|name| is_within(name, &target)))
}

fn has_address(records: &[DnsRecord], ip: IpAddr, lengths: PrefixLengths) -> bool {
    let length = if ip.is_ipv4() { lengths.v4 } else { lengths.v6 };
    records.iter().any(|record| matches!(record, DnsRecord::Address(address) if is_in(ip, *address, length)))
}

/// True if the first bits of two addresses of one family are the same.
fn is_in(ip: IpAddr, network: IpAddr, length: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let differing = ip.to_bits() ^ network.to_bits();
            differing.checked_shr(32 - u32::from(length)).unwrap_or(0) == 0
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let differing = ip.to_bits() ^ network.to_bits();
            differing.checked_shr(128 - u32::from(length)).unwrap_or(0) == 0
        }
        _ => false,
    }
}
