//! The DNS tree walk, the organizational domain, and alignment (RFC 9989 4.10, 4.4).
//!
//! Decides: which names are asked. Fails: with the look-up that failed; then nothing is known about the records above.

use super::record::{DmarcRecord, PsdFlag};
use crate::route::{Dns, DnsFault, DnsRecord, LookupError, RecordType};

/// Most queries of a walk. After the query for the domain, a longer name is cut to one label fewer than this.
const MAX_QUERIES: usize = 8;

/// The records between a domain and the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DmarcWalk {
    /// Where it started.
    pub domain: String,
    /// The names that were asked, in order.
    pub queried: Vec<String>,
    /// The records that were found, with their domains, in order.
    pub found: Vec<(String, DmarcRecord)>,
}

/// A look-up that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedLookup {
    /// The name.
    pub name: String,
    /// Why.
    pub fault: DnsFault,
}

impl DmarcWalk {
    /// Walks from a domain to the root, until a record says which domain it belongs to.
    pub(crate) async fn from(dns: &dyn Dns, domain: &str) -> Result<DmarcWalk, FailedLookup> {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        let mut walk = DmarcWalk { domain: domain.clone(), queried: Vec::new(), found: Vec::new() };
        for name in names(&domain) {
            let query = format!("_dmarc.{name}");
            walk.queried.push(query.clone());
            let records = match dns.records(&query, RecordType::Txt).await {
                Ok(records) => records,
                Err(LookupError::NoSuchDomain | LookupError::NoData) => continue,
                Err(LookupError::Failed(fault)) => return Err(FailedLookup { name: query, fault }),
            };
            if let Some(record) = single(&records) {
                let psd = record.psd;
                walk.found.push((name.to_owned(), record));
                if psd != PsdFlag::Unknown {
                    break;
                }
            }
        }
        Ok(walk)
    }

    /// The organizational domain: one that says so (`psd=n`), the one below a public suffix domain (`psd=y`), else the
    /// highest with a record. Without records it is the domain itself.
    pub fn organizational_domain(&self) -> &str {
        for (name, record) in &self.found {
            match record.psd {
                PsdFlag::No => return name,
                PsdFlag::Yes if *name != self.domain => return below(&self.domain, name),
                PsdFlag::Yes | PsdFlag::Unknown => {}
            }
        }
        self.found.last().map_or(&self.domain, |(name, _)| name)
    }

    /// The record of a domain.
    pub fn record_of(&self, domain: &str) -> Option<&DmarcRecord> {
        self.found.iter().find(|(name, _)| name == domain).map(|(_, record)| record)
    }
}

/// The names of a walk: the domain, then its parents; of a long domain first the one with seven labels.
fn names(domain: &str) -> impl Iterator<Item = &str> {
    let labels = domain.split('.').count();
    let mut next = Some(domain);
    let skipped = labels.saturating_sub(MAX_QUERIES);
    let mut is_first = true;
    std::iter::from_fn(move || {
        let name = next?;
        let steps = if std::mem::take(&mut is_first) { skipped + 1 } else { 1 };
        next = name.splitn(steps + 1, '.').nth(steps);
        Some(name)
    })
}

/// The DMARC record of a name. Two of them count as none.
fn single(records: &[DnsRecord]) -> Option<DmarcRecord> {
    let mut found = records.iter().filter_map(|record| match record {
        DnsRecord::Text(text) => DmarcRecord::parse(&String::from_utf8_lossy(text)),
        DnsRecord::Address(_) | DnsRecord::Mx(..) | DnsRecord::Name(_) => None,
    });
    let record = found.next();
    if found.next().is_some() { None } else { record }
}

/// The name one label below a parent of a domain.
fn below<'a>(domain: &'a str, parent: &str) -> &'a str {
    let start = domain.len() - parent.len();
    let above = domain[..start].trim_end_matches('.');
    &domain[above.rfind('.').map_or(0, |dot| dot + 1)..]
}

/// True if an authenticated domain is aligned with the author's: it is the same or, unless alignment is strict, both have the
/// same organizational domain.
pub(crate) async fn is_aligned(
    dns: &dyn Dns,
    author: &DmarcWalk,
    authenticated: &str,
    is_strict: bool,
) -> Result<bool, FailedLookup> {
    let authenticated = authenticated.trim_end_matches('.').to_ascii_lowercase();
    if authenticated == author.domain {
        return Ok(true);
    }
    if is_strict {
        return Ok(false);
    }
    let walk = DmarcWalk::from(dns, &authenticated).await?;
    Ok(walk.organizational_domain() == author.organizational_domain())
}
