//! The real name service: hickory-resolver, used so that its errors stay distinct.
//!
//! Decides: which name server is queried after another one failed, and which [`LookupError`] an error of the library is.
//! Must not: turn an error into "no record": only NOERROR and NXDOMAIN replies mean that. Fails: as
//! [`LookupError::Failed`], after every name server failed. Can't know: whether a name server's answer is true;
//! [`Dns::nxdomain_rewriting`] detects the resolvers that rewrite NXDOMAIN.
//!
//! Each name server has a pool of its own, and the library's `Resolver` is not used, for two reasons. A pool of several
//! servers returns a fast SERVFAIL or REFUSED even if the next server has the answer. The `Resolver` answers for `.invalid`
//! without a query, and returns "no records" for a CNAME loop. Names are A-labels with a trailing dot, so no search list
//! applies. Case randomization is off: behind a forwarder that changes the case of a name every look-up would fail, and each
//! query has a random port already.
//!
//! If connections leave by IPv4, AAAA records are queried only for hosts without an A record that may be connected to. This
//! saves a third of all queries. The price: the IPv6 address of a host whose IPv4 address is dead is not tried.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{DnsRequestOptions, DnsResponse, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use tokio::sync::Semaphore;

use super::dns::{
    Dns, DnsAnswer, DnsFault, DnsRecord, LookupError, LookupFuture, Mx, MxTarget, NxdomainRewriting,
};
use super::public::{AddressScope, AllowedNets};
use super::record;
use crate::address::Domain;
use crate::smtp::sanitize;

/// Concurrent queries, each with a UDP socket of its own. More were not faster (measured) and cost open files.
const MAX_IN_FLIGHT: usize = 256;
/// Most queries for one look-up. Each one after the first follows a CNAME; most resolvers send the whole chain in one reply.
const MAX_QUERIES: usize = 8;

/// How long to wait for a name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsTimeouts {
    /// Time-out of one query.
    pub timeout: Duration,
    /// Queries beyond the first, before the next name server is tried.
    pub retries: usize,
}

impl Default for DnsTimeouts {
    fn default() -> DnsTimeouts {
        DnsTimeouts { timeout: Duration::from_secs(5), retries: 1 }
    }
}

/// A name service over the name servers of this machine, or over given ones.
pub struct NameServers {
    servers: Vec<NameServer>,
    /// The index of the server that answered last. A dead first server costs its time-out once, not for each query.
    preferred: AtomicUsize,
    slots: Semaphore,
    /// If set, AAAA records are queried only for hosts without an A record of public scope under these networks.
    ipv4_suffices_in: Option<AllowedNets>,
}

/// Why no name server can be queried.
#[derive(Debug, thiserror::Error)]
pub enum ResolverSetupError {
    /// The system's resolver configuration cannot be read.
    #[error("cannot read the system's resolver configuration: {0}")]
    System(String),
    /// No name server is configured or given.
    #[error("no name server is configured")]
    NoServer,
    /// A name server cannot be used.
    #[error("cannot use name server `{0}`: {1}")]
    Server(SocketAddr, String),
}

impl NameServers {
    /// The name servers that the system is configured to use.
    pub fn of_system(timeouts: DnsTimeouts) -> Result<NameServers, ResolverSetupError> {
        let (config, _) =
            read_system_conf().map_err(|fault| ResolverSetupError::System(fault.to_string()))?;
        let address = |server: &NameServerConfig| {
            let port = server.connections.first().map_or(53, |connection| connection.port);
            SocketAddr::new(server.ip, port)
        };
        let servers: Vec<SocketAddr> = config.name_servers().iter().map(address).collect();
        NameServers::at(&servers, timeouts)
    }

    /// Given name servers, in order of preference.
    pub fn at(servers: &[SocketAddr], timeouts: DnsTimeouts) -> Result<NameServers, ResolverSetupError> {
        let servers = servers
            .iter()
            .map(|&server| {
                NameServer::new(server, timeouts)
                    .map_err(|fault| ResolverSetupError::Server(server, fault.to_string()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if servers.is_empty() {
            return Err(ResolverSetupError::NoServer);
        }
        Ok(NameServers {
            servers,
            preferred: AtomicUsize::new(0),
            slots: Semaphore::new(MAX_IN_FLIGHT),
            ipv4_suffices_in: None,
        })
    }

    /// Queries AAAA records only for hosts without an A record that may be connected to.
    #[must_use]
    pub fn ipv4_first(self, allowed: AllowedNets) -> NameServers {
        NameServers { ipv4_suffices_in: Some(allowed), ..self }
    }

    /// The records of a type that a name has, or the name at the end of its CNAME chain; none if that has none.
    async fn lookup(&self, name: &str, kind: RecordType) -> Result<DnsAnswer<RData>, LookupError> {
        let name = Name::from_ascii(format!("{name}.")).map_err(|fault| other(&fault.to_string()))?;
        self.lookup_name(name, kind).await
    }

    async fn lookup_name(&self, mut name: Name, kind: RecordType) -> Result<DnsAnswer<RData>, LookupError> {
        let answer = |records, ttl: u32| DnsAnswer { records, ttl: Duration::from_secs(ttl.into()) };
        let mut ttl = u32::MAX;
        for _ in 0..MAX_QUERIES {
            let reply = match self.query(&name, kind).await? {
                ServerReply::Message(reply) => reply,
                ServerReply::NoData(negative) => return Ok(answer(Vec::new(), negative.min(ttl))),
            };
            let Some(end) = end_of_cname_chain(&name, &reply.answers) else {
                return Err(other("a CNAME loop"));
            };
            let of_end = |record: &&Record| record.name == end && record.record_type() == kind;
            let of_chain = |record: &&Record| record.record_type() == RecordType::CNAME || of_end(record);
            ttl =
                reply.answers.iter().filter(of_chain).map(|record| record.ttl).min().unwrap_or(ttl).min(ttl);
            let records: Vec<RData> =
                reply.answers.iter().filter(of_end).map(|record| record.data.clone()).collect();
            if !records.is_empty() {
                return Ok(answer(records, ttl));
            }
            if reply.response_code == ResponseCode::NXDomain {
                return Err(LookupError::NoSuchDomain);
            }
            if let Some(negative) = reply.negative_ttl() {
                return Ok(answer(Vec::new(), negative.min(ttl)));
            }
            if end == name {
                return Err(other("an answer to another query"));
            }
            name = end;
        }
        Err(other("too many CNAME records"))
    }

    /// Queries the name servers in turn, until one answers.
    async fn query(&self, name: &Name, kind: RecordType) -> Result<ServerReply, LookupError> {
        let slot = self.slots.acquire().await;
        let _slot = slot.map_err(|fault| other(&fault.to_string()))?;
        let query = Query::query(name.clone(), kind);
        let first = self.preferred.load(Ordering::Relaxed);
        let mut reported: Option<DnsFault> = None;
        for turn in 0..self.servers.len() {
            let index = (first + turn) % self.servers.len();
            let answer = match self.servers[index].query(&query).await {
                Ok(message) => Ok(ServerReply::Message(message)),
                Err(fault) => match lookup_error(&fault) {
                    LookupError::NoData => Ok(ServerReply::NoData(negative_ttl(&fault))),
                    error => Err(error),
                },
            };
            match answer {
                // An error code from one server says more than the silence of another.
                Err(LookupError::Failed(fault)) => {
                    if reported.as_ref().is_none_or(DnsFault::is_silence) {
                        reported = Some(fault);
                    }
                }
                answer => {
                    if turn > 0 {
                        self.preferred.store(index, Ordering::Relaxed);
                    }
                    return answer;
                }
            }
        }
        Err(LookupError::Failed(reported.unwrap_or(DnsFault::Timeout)))
    }

    async fn addresses_of(&self, host: &str) -> Result<DnsAnswer<IpAddr>, LookupError> {
        let Some(allowed) = &self.ipv4_suffices_in else {
            return self.all_addresses_of(host).await;
        };
        let v4 = self.lookup(host, RecordType::A).await;
        let may_connect = |ip| allowed.scope(ip) == AddressScope::Public;
        if v4.iter().flat_map(|answer| &answer.records).filter_map(address).any(may_connect) {
            return merged(v4, Err(LookupError::NoData));
        }
        merged(v4, self.lookup(host, RecordType::AAAA).await)
    }

    async fn all_addresses_of(&self, host: &str) -> Result<DnsAnswer<IpAddr>, LookupError> {
        let (v4, v6) = tokio::join!(self.lookup(host, RecordType::A), self.lookup(host, RecordType::AAAA));
        merged(v4, v6)
    }

    /// Looks up two random names that cannot exist (RFC 6761 6.4); two, because some resolvers alternate between addresses.
    async fn detect_rewriting(&self) -> NxdomainRewriting {
        let (one, other) = (name_that_cannot_exist(), name_that_cannot_exist());
        let (first, second, mx) = tokio::join!(
            self.all_addresses_of(&one),
            self.all_addresses_of(&other),
            self.lookup(&one, RecordType::MX)
        );
        if first.is_ok() || second.is_ok() || mx.as_ref().is_ok_and(|answer| !answer.records.is_empty()) {
            let addresses = [first, second].into_iter().flatten().flat_map(|answer| answer.records);
            return NxdomainRewriting::To(addresses.collect());
        }
        let failed = [first.err(), second.err(), mx.err()].into_iter().flatten();
        let fault = failed.filter_map(|error| match error {
            LookupError::Failed(fault) => Some(fault),
            LookupError::NoSuchDomain | LookupError::NoData => None,
        });
        fault.min_by_key(DnsFault::is_silence).map_or(NxdomainRewriting::No, NxdomainRewriting::Unknown)
    }
}

/// A random name under `.invalid`.
fn name_that_cannot_exist() -> String {
    let label: String = std::iter::repeat_with(fastrand::lowercase).take(20).collect();
    format!("{label}.invalid")
}

impl Dns for NameServers {
    fn mx<'a>(&'a self, domain: &'a Domain) -> LookupFuture<'a, DnsAnswer<Mx>> {
        Box::pin(async move {
            let DnsAnswer { records, ttl } = self.lookup(domain.as_str(), RecordType::MX).await?;
            Ok(DnsAnswer { records: records.iter().filter_map(mx_record).collect(), ttl })
        })
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> LookupFuture<'a, DnsAnswer<IpAddr>> {
        Box::pin(self.addresses_of(host.as_str()))
    }

    fn records<'a>(&'a self, name: &'a str, kind: super::RecordType) -> LookupFuture<'a, Vec<DnsRecord>> {
        Box::pin(async move {
            let name = record::name(name).map_err(|fault| other(&fault.to_string()))?;
            let answer = self.lookup_name(name, record::kind(kind)).await?;
            let records: Vec<DnsRecord> = answer.records.iter().filter_map(record::read).collect();
            if records.is_empty() { Err(LookupError::NoData) } else { Ok(records) }
        })
    }

    fn nxdomain_rewriting(&self) -> Pin<Box<dyn Future<Output = NxdomainRewriting> + Send + '_>> {
        Box::pin(self.detect_rewriting())
    }

    fn is_alive(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async {
            let answer = self.lookup(&name_that_cannot_exist(), RecordType::A).await;
            !matches!(answer, Err(LookupError::Failed(fault)) if fault.is_silence())
        })
    }
}

/// What a name server replied.
enum ServerReply {
    /// Records, or a code.
    Message(DnsResponse),
    /// That the name has no such record, for so many seconds.
    NoData(u32),
}

/// One name server.
struct NameServer {
    pool: NameServerPool<TokioRuntimeProvider>,
    retries: usize,
}

impl NameServer {
    fn new(server: SocketAddr, timeouts: DnsTimeouts) -> Result<NameServer, NetError> {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = server.port();
            connection
        });
        let config = NameServerConfig::new(server.ip(), true, connections.into());
        let mut options = ResolverOpts::default();
        options.timeout = timeouts.timeout;
        // The port that the system chooses is as random, and saves a call for each query.
        options.os_port_selection = true;
        let context = PoolContext::new(options, TlsConfig::new()?);
        Ok(NameServer {
            pool: NameServerPool::from_config([config], Arc::new(context), TokioRuntimeProvider::default()),
            retries: timeouts.retries,
        })
    }

    /// Queries with EDNS (RFC 6891), and without it if the server does not support it.
    async fn query(&self, query: &Query) -> Result<DnsResponse, NetError> {
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        let mut retries = self.retries;
        loop {
            match self.pool.lookup(query.clone(), options).first_answer().await {
                Err(NetError::Dns(DnsError::ResponseCode(
                    ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS,
                ))) if options.use_edns => options.use_edns = false,
                Err(fault) if retries > 0 && is_transient(&fault) => retries -= 1,
                // The library returns replies with a code that it does not know as answers.
                Ok(reply) if !is_answer(reply.response_code) => {
                    return Err(DnsError::ResponseCode(reply.response_code).into());
                }
                answer => return answer,
            }
        }
    }
}

/// True for the two response codes that answer a query; all others are errors.
fn is_answer(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::NoError | ResponseCode::NXDomain)
}

/// True if a retry may succeed: a packet was lost, the library failed internally, or the server still waited for an answer
/// itself.
fn is_transient(fault: &NetError) -> bool {
    !matches!(
        fault,
        NetError::Dns(DnsError::NoRecordsFound(_) | DnsError::ResponseCode(ResponseCode::Refused))
    )
}

/// The [`LookupError`] for an error of the library. Decided by the library's types, never by its texts.
fn lookup_error(fault: &NetError) -> LookupError {
    match fault {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => LookupError::NoSuchDomain,
            // NS records without SOA are not "no such record" but a referral to other name servers (RFC 2308 2.2).
            ResponseCode::NoError if none.soa.is_none() && none.ns.is_some() => {
                other("a referral instead of an answer")
            }
            ResponseCode::NoError => LookupError::NoData,
            code => other(&code.to_string()),
        },
        NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => {
            LookupError::Failed(DnsFault::ServFail)
        }
        NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)) => {
            LookupError::Failed(DnsFault::Refused)
        }
        NetError::Timeout => LookupError::Failed(DnsFault::Timeout),
        NetError::Io(_) | NetError::NoConnections => LookupError::Failed(DnsFault::Unreachable),
        fault => other(&fault.to_string()),
    }
}

/// How many seconds the absence of a record lasts (RFC 2308 5); 0 if the reply does not say.
fn negative_ttl(fault: &NetError) -> u32 {
    match fault {
        NetError::Dns(DnsError::NoRecordsFound(none)) => none.negative_ttl.unwrap_or(0),
        _ => 0,
    }
}

/// The addresses of both families, IPv4 first. If one family fails and the other has addresses, these are the result.
fn merged(
    v4: Result<DnsAnswer<RData>, LookupError>,
    v6: Result<DnsAnswer<RData>, LookupError>,
) -> Result<DnsAnswer<IpAddr>, LookupError> {
    let answers = || [&v4, &v6].into_iter().flatten();
    let records: Vec<IpAddr> = answers().flat_map(|answer| &answer.records).filter_map(address).collect();
    if !records.is_empty() {
        let ttl = answers().map(|answer| answer.ttl).min().unwrap_or_default();
        return Ok(DnsAnswer { records, ttl });
    }
    match (v4, v6) {
        (Err(LookupError::Failed(fault)), _) | (_, Err(LookupError::Failed(fault))) => {
            Err(LookupError::Failed(fault))
        }
        (Err(LookupError::NoSuchDomain), Err(LookupError::NoSuchDomain)) => Err(LookupError::NoSuchDomain),
        _ => Err(LookupError::NoData),
    }
}

/// A failure with a text. It is cleaned, because it may hold names from an untrusted server.
fn other(text: &str) -> LookupError {
    LookupError::Failed(DnsFault::Other(sanitize(text)))
}

/// The name at the end of a CNAME chain; the records may be in any order. `None` if the chain is a loop.
fn end_of_cname_chain(name: &Name, answers: &[Record]) -> Option<Name> {
    let mut end = name;
    for _ in 0..=answers.len() {
        let alias = answers.iter().find_map(|record| match &record.data {
            RData::CNAME(alias) if record.name == *end => Some(&alias.0),
            _ => None,
        });
        match alias {
            None => return Some(end.clone()),
            Some(alias) => end = alias,
        }
    }
    None
}

fn mx_record(record: &RData) -> Option<Mx> {
    match record {
        RData::MX(mx) => Some(Mx { preference: mx.preference, target: target(&mx.exchange) }),
        _ => None,
    }
}

fn address(record: &RData) -> Option<IpAddr> {
    match record {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    }
}

fn target(name: &Name) -> MxTarget {
    if name.is_root() {
        return MxTarget::Null;
    }
    let text = name.to_ascii();
    let text = text.trim_end_matches('.');
    match Domain::from_dns(text) {
        Ok(host) if text.parse::<IpAddr>().is_err() => MxTarget::Host(host),
        _ => MxTarget::Malformed(sanitize(text)),
    }
}

#[cfg(test)]
mod tests;
