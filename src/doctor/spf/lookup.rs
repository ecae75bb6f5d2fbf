//! The look-ups of one evaluation, and their limits (RFC 7208 4.6.4).
//!
//! Decides: which terms count, and when there are too many. Fails: as [`Stop`]; a failed query is never "no record".

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::expand::{MacroValues, can_be_looked_up};
use super::macros::MacroString;
use super::report::SpfQuery;
use super::request::SpfRequest;
use crate::route::{Dns, DnsFault, DnsRecord, LookupError, RecordType};

/// Most terms that cause DNS queries.
pub(super) const MAX_LOOKUPS: u32 = 10;
/// Most of them whose query finds nothing.
pub(super) const MAX_VOID_LOOKUPS: u32 = 2;
/// Most names of a client that are validated.
const MAX_CLIENT_NAMES: usize = 10;
/// The time for a whole evaluation; the RFC asks for at least 20 seconds.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Why an evaluation stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The records are wrong.
    Permanent(String),
    /// A look-up failed.
    Temporary(String),
}

/// The look-ups of an evaluation.
pub(super) struct Lookups<'a> {
    dns: &'a dyn Dns,
    pub(super) request: &'a SpfRequest,
    ends_at: Instant,
    /// Terms that count against the limit.
    pub(super) counted: u32,
    /// Terms that found nothing.
    pub(super) void: u32,
    /// The queries of the current term.
    queries: Vec<SpfQuery>,
    /// The current term found nothing.
    is_void: bool,
    /// The validated names of the client, once they are looked up.
    client_names: Option<ClientNames>,
}

/// The names of the client's address that lead back to it.
#[derive(Clone, Debug, Default)]
struct ClientNames {
    names: Vec<String>,
    /// The address has no name.
    is_void: bool,
}

impl<'a> Lookups<'a> {
    /// No look-ups yet. The time runs from now.
    pub(super) fn new(dns: &'a dyn Dns, request: &'a SpfRequest) -> Lookups<'a> {
        Lookups {
            dns,
            request,
            ends_at: Instant::now() + TIME_LIMIT,
            counted: 0,
            void: 0,
            queries: Vec::new(),
            is_void: false,
            client_names: None,
        }
    }

    /// The queries since the last call, and whether the term found nothing.
    pub(super) fn take_queries(&mut self) -> (Vec<SpfQuery>, bool) {
        (std::mem::take(&mut self.queries), std::mem::take(&mut self.is_void))
    }

    /// Counts a term that causes queries.
    pub(super) fn count(&mut self) -> Result<(), Stop> {
        self.counted += 1;
        if self.counted > MAX_LOOKUPS {
            return Err(Stop::Permanent(format!("more than {MAX_LOOKUPS} terms cause look-ups")));
        }
        Ok(())
    }

    /// Counts the current term as void, once.
    pub(super) fn count_void(&mut self) -> Result<(), Stop> {
        if !self.is_void {
            self.is_void = true;
            self.void += 1;
        }
        if self.void > MAX_VOID_LOOKUPS {
            return Err(Stop::Permanent(format!("more than {MAX_VOID_LOOKUPS} look-ups found nothing")));
        }
        Ok(())
    }

    /// The records of a name; none if it does not exist, has none of this type, or cannot be a name.
    pub(super) async fn records(&mut self, name: &str, kind: RecordType) -> Result<Vec<DnsRecord>, DnsFault> {
        if !can_be_looked_up(name) {
            self.log(name, kind, "not a name".to_owned());
            return Ok(Vec::new());
        }
        let answer = timeout_at(self.ends_at, self.dns.records(name, kind)).await;
        let answer = answer.unwrap_or(Err(LookupError::Failed(DnsFault::Timeout)));
        let text = match &answer {
            Ok(records) => records.len().to_string(),
            Err(LookupError::NoSuchDomain) => "NXDOMAIN".to_owned(),
            Err(LookupError::NoData) => "0".to_owned(),
            Err(LookupError::Failed(fault)) => fault.to_string(),
        };
        self.log(name, kind, text);
        match answer {
            Ok(records) => Ok(records),
            Err(LookupError::NoSuchDomain | LookupError::NoData) => Ok(Vec::new()),
            Err(LookupError::Failed(fault)) => Err(fault),
        }
    }

    fn log(&mut self, name: &str, kind: RecordType, answer: String) {
        self.queries.push(SpfQuery { name: name.to_owned(), kind: kind.word(), answer });
    }

    /// The same, for a term: none counts as void, and a failure stops the evaluation.
    pub(super) async fn term_records(
        &mut self,
        name: &str,
        kind: RecordType,
    ) -> Result<Vec<DnsRecord>, Stop> {
        let can_be_void = can_be_looked_up(name);
        let records = self.records(name, kind).await.map_err(|fault| failed(name, kind, &fault))?;
        if records.is_empty() && can_be_void {
            self.count_void()?;
        }
        Ok(records)
    }

    /// The type of the addresses that can be compared with the client's.
    pub(super) fn address_type(&self) -> RecordType {
        match self.request.ip {
            IpAddr::V4(_) => RecordType::A,
            IpAddr::V6(_) => RecordType::Aaaa,
        }
    }

    /// The validated names of the client (RFC 7208 5.5). An address without a name, or whose look-up fails, has none.
    pub(super) async fn client_names(&mut self) -> Result<Vec<String>, Stop> {
        let found = match self.client_names.clone() {
            Some(found) => found,
            None => self.look_up_client_names().await,
        };
        self.client_names = Some(found.clone());
        if found.is_void {
            self.count_void()?;
        }
        Ok(found.names)
    }

    async fn look_up_client_names(&mut self) -> ClientNames {
        let Ok(records) = self.records(&reverse_name(self.request.ip), RecordType::Ptr).await else {
            return ClientNames::default();
        };
        let mut found = ClientNames { names: Vec::new(), is_void: records.is_empty() };
        let kind = self.address_type();
        for record in records.into_iter().take(MAX_CLIENT_NAMES) {
            let DnsRecord::Name(name) = record else { continue };
            let addresses = self.records(&name, kind).await.unwrap_or_default();
            if addresses.contains(&DnsRecord::Address(self.request.ip)) {
                found.names.push(name);
            }
        }
        found
    }

    /// The target of a term: its domain with macros expanded, or the domain of the record.
    pub(super) async fn target(
        &mut self,
        domain_spec: Option<&MacroString>,
        domain: &str,
    ) -> Result<String, Stop> {
        let Some(domain_spec) = domain_spec else {
            return Ok(domain.to_owned());
        };
        let client_name = if domain_spec.needs_client_name() {
            self.count()?;
            self.client_name(domain).await?
        } else {
            String::new()
        };
        Ok(domain_spec.expand_domain(&self.values(domain, &client_name)))
    }

    /// The value of the macro `p`: the domain itself if it is a validated name, else a name below it, else any.
    pub(super) async fn client_name(&mut self, domain: &str) -> Result<String, Stop> {
        let names = self.client_names().await?;
        let of_domain = names.iter().find(|name| name.eq_ignore_ascii_case(domain));
        let below = || names.iter().find(|name| is_within(name, domain));
        let name = of_domain.or_else(below).or_else(|| names.first());
        Ok(name.map_or_else(|| "unknown".to_owned(), Clone::clone))
    }

    /// What macros stand for in the record of a domain.
    pub(super) fn values<'v>(&'v self, domain: &'v str, client_name: &'v str) -> MacroValues<'v> {
        MacroValues {
            local: &self.request.local,
            sender_domain: &self.request.domain,
            domain,
            ip: self.request.ip,
            client_name,
            helo: &self.request.helo,
            receiver: "unknown",
            time: self.request.time,
        }
    }
}

/// The failure of a term's query.
pub(super) fn failed(name: &str, kind: RecordType, fault: &DnsFault) -> Stop {
    Stop::Temporary(format!("the {} look-up of {name} failed: {fault}", kind.word()))
}

/// True if a name is a domain or lies below it.
pub(super) fn is_within(name: &str, domain: &str) -> bool {
    let Some(at) = name.len().checked_sub(domain.len()) else {
        return false;
    };
    let (Some(start), Some(end)) = (name.get(..at), name.get(at..)) else {
        return false;
    };
    end.eq_ignore_ascii_case(domain) && (start.is_empty() || start.ends_with('.'))
}

/// The name of an address in the reverse tree.
pub(crate) fn reverse_name(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            let labels: Vec<String> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            format!("{}.ip6.arpa", labels.join("."))
        }
    }
}
