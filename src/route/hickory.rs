//! The real name service: hickory-resolver, asked so that its errors stay apart.
//!
//! Decides: which name server is asked when another failed, and which of our [`LookupError`]es an error of the library is.
//! Must not: let any error become "no record": that is said only for NOERROR and NXDOMAIN replies.
//! Fails: as [`LookupError::Failed`], after every name server failed. Can't know: whether a name server tells the truth;
//! [`Dns::invented`] catches those that make up answers.
//!
//! Used is the library's pool, one per name server, below its `Resolver`. Within one pool a fast SERVFAIL or REFUSED is
//! taken for the answer though the next server knows it; and the `Resolver` answers for `.invalid` without asking
//! anybody, and calls a circle of aliases "no records". Names are A-labels with a trailing dot, so no search list is
//! applied. Case randomisation stays off: forwarders that don't keep the case of a question would fail every lookup,
//! and a random port for each query guards already.
//!
//! Where one leaves by IPv4, AAAA records are asked for only where no A record leads to an address that may be connected to:
//! a third of all questions. The price: a host whose IPv4 address is dead is not tried at its other one.

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
use tokio::sync::{OnceCell, Semaphore};

use super::dns::{Dns, DnsFault, LookupError, LookupFuture, Mx, MxTarget, NxdomainRewriting};
use super::public::{AddressScope, AllowedNets};
use crate::address::Domain;
use crate::smtp::sanitize;

/// Lookups in flight, each with a UDP socket of its own. More bought nothing (measured), and costs open files.
const IN_FLIGHT: usize = 256;
/// Most times that an alias is followed by a further question; resolvers send the whole chain at once.
const MAX_QUESTIONS: usize = 8;

/// How patiently a name server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsTimeouts {
    /// For one try.
    pub timeout: Duration,
    /// Tries beyond the first, before the next name server has its turn.
    pub retries: usize,
}

impl Default for DnsTimeouts {
    fn default() -> DnsTimeouts {
        DnsTimeouts { timeout: Duration::from_secs(5), retries: 1 }
    }
}

/// The name servers of this machine, or those that were named.
pub struct NameServers {
    servers: Vec<Server>,
    /// The one that answered last: a dead first one should cost its time-out once, not for each question.
    preferred: AtomicUsize,
    slots: Semaphore,
    invented: OnceCell<NxdomainRewriting>,
    /// One IPv4 address among these is enough.
    content_with: Option<AllowedNets>,
}

/// Why there is nobody to ask.
#[derive(Debug, thiserror::Error)]
pub enum ResolverSetupError {
    /// The system's resolver configuration can't be read.
    #[error("can't read the system's resolver configuration: {0}")]
    System(String),
    /// No name server is configured or named.
    #[error("no name server is configured")]
    NoServer,
    /// A resolver could not be made.
    #[error("can't use name server `{0}`: {1}")]
    Server(SocketAddr, String),
}

impl NameServers {
    /// Those that the system is configured to use.
    pub fn of_system(patience: DnsTimeouts) -> Result<NameServers, ResolverSetupError> {
        let (config, _) =
            read_system_conf().map_err(|fault| ResolverSetupError::System(fault.to_string()))?;
        let address = |server: &NameServerConfig| {
            let port = server.connections.first().map_or(53, |connection| connection.port);
            SocketAddr::new(server.ip, port)
        };
        let servers: Vec<SocketAddr> = config.name_servers().iter().map(address).collect();
        NameServers::at(&servers, patience)
    }

    /// These, in order of preference.
    pub fn at(servers: &[SocketAddr], patience: DnsTimeouts) -> Result<NameServers, ResolverSetupError> {
        let servers = servers
            .iter()
            .map(|&server| {
                Server::new(server, patience)
                    .map_err(|fault| ResolverSetupError::Server(server, fault.to_string()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if servers.is_empty() {
            return Err(ResolverSetupError::NoServer);
        }
        Ok(NameServers {
            servers,
            preferred: AtomicUsize::new(0),
            slots: Semaphore::new(IN_FLIGHT),
            invented: OnceCell::new(),
            content_with: None,
        })
    }

    /// Asks for AAAA records only where no A record leads to an address that may be connected to.
    #[must_use]
    pub fn ipv4_first(self, allowed: AllowedNets) -> NameServers {
        NameServers { content_with: Some(allowed), ..self }
    }

    /// The records of a kind that a name has, or the end of its aliases.
    async fn lookup(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, LookupError> {
        let mut name = Name::from_ascii(format!("{name}.")).map_err(|fault| other(&fault.to_string()))?;
        for _ in 0..MAX_QUESTIONS {
            let reply = self.ask(&name, kind).await?;
            let Some(end) = end_of_aliases(&name, &reply.answers) else {
                return Err(other("a circle of aliases"));
            };
            let mut found = reply.answers.clone();
            found.retain(|record| record.name == end && record.record_type() == kind);
            if !found.is_empty() {
                return Ok(found.into_iter().map(|record| record.data).collect());
            }
            if reply.response_code == ResponseCode::NXDomain {
                return Err(LookupError::NoSuchDomain);
            }
            if reply.soa().is_some() {
                return Err(LookupError::NoData);
            }
            if end == name {
                return Err(other("an answer to another question"));
            }
            name = end;
        }
        Err(other("too many aliases"))
    }

    /// Asks the name servers in turn, until one answers.
    async fn ask(&self, name: &Name, kind: RecordType) -> Result<DnsResponse, LookupError> {
        let slot = self.slots.acquire().await;
        let _slot = slot.map_err(|fault| other(&fault.to_string()))?;
        let query = Query::query(name.clone(), kind);
        let first = self.preferred.load(Ordering::Relaxed);
        let mut worst = DnsFault::Timeout;
        for turn in 0..self.servers.len() {
            let index = (first + turn) % self.servers.len();
            let answer = self.servers[index].ask(&query).await;
            match answer.map_err(|fault| miss(&fault)) {
                // A server that answered something tells more than one that did not.
                Err(LookupError::Failed(fault)) if worst == DnsFault::Timeout => worst = fault,
                Err(LookupError::Failed(_)) => {}
                answer => {
                    if turn > 0 {
                        self.preferred.store(index, Ordering::Relaxed);
                    }
                    return answer;
                }
            }
        }
        Err(LookupError::Failed(worst))
    }

    async fn addresses_of(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        let Some(allowed) = &self.content_with else {
            return self.all_addresses_of(host).await;
        };
        let v4 = self.lookup(host, RecordType::A).await;
        let may_be_reached = |ip| allowed.reach(ip) == AddressScope::Public;
        if v4.iter().flatten().filter_map(address).any(may_be_reached) {
            return together(v4, Err(LookupError::NoData));
        }
        together(v4, self.lookup(host, RecordType::AAAA).await)
    }

    async fn all_addresses_of(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        let (v4, v6) = tokio::join!(self.lookup(host, RecordType::A), self.lookup(host, RecordType::AAAA));
        together(v4, v6)
    }

    /// Asks for names that can't exist (RFC 6761 6.4): two, because some inventors take turns between addresses.
    async fn find_inventions(&self) -> NxdomainRewriting {
        let name = || {
            let label: String = std::iter::repeat_with(fastrand::lowercase).take(20).collect();
            format!("{label}.invalid")
        };
        let (one, other) = (name(), name());
        let (first, second, mx) = tokio::join!(
            self.all_addresses_of(&one),
            self.all_addresses_of(&other),
            self.lookup(&one, RecordType::MX)
        );
        if first.is_ok() || second.is_ok() || mx.is_ok() {
            NxdomainRewriting::new([first, second].into_iter().flatten().flatten())
        } else {
            NxdomainRewriting::default()
        }
    }
}

impl Dns for NameServers {
    fn mx<'a>(&'a self, domain: &'a Domain) -> LookupFuture<'a, Vec<Mx>> {
        Box::pin(async move {
            let records = self.lookup(domain.as_str(), RecordType::MX).await?;
            Ok(records.iter().filter_map(mx_host).collect())
        })
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> LookupFuture<'a, Vec<IpAddr>> {
        Box::pin(self.addresses_of(host.as_str()))
    }

    fn invented(&self) -> Pin<Box<dyn Future<Output = NxdomainRewriting> + Send + '_>> {
        Box::pin(async { self.invented.get_or_init(|| self.find_inventions()).await.clone() })
    }
}

/// One name server.
struct Server {
    pool: NameServerPool<TokioRuntimeProvider>,
    retries: usize,
}

impl Server {
    fn new(server: SocketAddr, patience: DnsTimeouts) -> Result<Server, NetError> {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = server.port();
            connection
        });
        let config = NameServerConfig::new(server.ip(), true, connections.into());
        let mut options = ResolverOpts::default();
        options.timeout = patience.timeout;
        // The system's choice is as random, and costs one call less for each question.
        options.os_port_selection = true;
        let context = PoolContext::new(options, TlsConfig::new()?);
        Ok(Server {
            pool: NameServerPool::from_config([config], Arc::new(context), TokioRuntimeProvider::default()),
            retries: patience.retries,
        })
    }

    /// Asks with EDNS (RFC 6891), and where that is not known, without.
    async fn ask(&self, query: &Query) -> Result<DnsResponse, NetError> {
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        let mut retries = self.retries;
        loop {
            match self.pool.lookup(query.clone(), options).first_answer().await {
                Err(NetError::Dns(DnsError::ResponseCode(
                    ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS,
                ))) if options.use_edns => options.use_edns = false,
                Err(fault) if retries > 0 && may_pass(&fault) => retries -= 1,
                // The library passes codes that it does not know.
                Ok(reply) if !is_answer(reply.response_code) => {
                    return Err(DnsError::ResponseCode(reply.response_code).into());
                }
                answer => return answer,
            }
        }
    }
}

/// The two codes by which a server answers a question, and doesn't refuse it.
fn is_answer(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::NoError | ResponseCode::NXDomain)
}

/// Whether the same question may be answered a moment later: nobody heard it, the library ran into itself, or the
/// server had not got its own answer yet.
fn may_pass(fault: &NetError) -> bool {
    !matches!(
        fault,
        NetError::Dns(DnsError::NoRecordsFound(_) | DnsError::ResponseCode(ResponseCode::Refused))
    )
}

/// Which miss an error is. Read off the library's types, never off its texts.
fn miss(fault: &NetError) -> LookupError {
    match fault {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => LookupError::NoSuchDomain,
            // Name servers of somebody else, and no SOA: not "no such record" but "ask them" (RFC 2308 2.2).
            ResponseCode::NoError if none.soa.is_none() && none.ns.is_some() => {
                other("a referral, no answer")
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
        fault => other(&fault.to_string()),
    }
}

/// The addresses of both families, IPv4 first. A failure of one beside addresses of the other is no failure.
fn together(
    v4: Result<Vec<RData>, LookupError>,
    v6: Result<Vec<RData>, LookupError>,
) -> Result<Vec<IpAddr>, LookupError> {
    let found: Vec<IpAddr> = [&v4, &v6].into_iter().flatten().flatten().filter_map(address).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    match (v4, v6) {
        (Err(LookupError::Failed(fault)), _) | (_, Err(LookupError::Failed(fault))) => {
            Err(LookupError::Failed(fault))
        }
        (Err(LookupError::NoSuchDomain), Err(LookupError::NoSuchDomain)) => Err(LookupError::NoSuchDomain),
        _ => Err(LookupError::NoData),
    }
}

/// The text may hold a stranger's names.
fn other(text: &str) -> LookupError {
    LookupError::Failed(DnsFault::Other(sanitize(text)))
}

/// Where a chain of aliases among `answers` ends, in whatever order they stand; `None` when it has no end.
fn end_of_aliases(name: &Name, answers: &[Record]) -> Option<Name> {
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

fn mx_host(record: &RData) -> Option<Mx> {
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
