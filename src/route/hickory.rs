//! The real name service: hickory-resolver, asked so that its errors stay apart.
//!
//! Decides: which name server is asked when another failed, and which of our [`Miss`]es an error of the library is.
//! Must not: let any error become "no record": that is said only for NOERROR and NXDOMAIN replies.
//! Fails: as [`Miss::Failed`], after every name server failed. Can't know: whether a name server tells the truth;
//! [`Dns::invented`] catches those that make up answers.
//!
//! Each name server has a resolver of its own, because within one hickory takes a fast SERVFAIL or REFUSED for the
//! answer though the next server knows it. Names are A-labels with a trailing dot, so no search list is applied.
//! Case randomisation stays off: forwarders that don't keep the case of a question would fail every lookup, and a
//! random port for each query guards already.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use tokio::sync::{OnceCell, Semaphore};

use super::dns::{Answering, Dns, DnsFault, Invented, Miss, Mx, MxTarget};
use crate::address::Domain;
use crate::smtp::reply::clean;

/// Lookups in flight, each with a UDP socket of its own. More bought nothing (measured), and costs open files.
const IN_FLIGHT: usize = 256;
/// Answers that hickory keeps by their TTL; [`super::cache`] keeps them for the run.
const CACHED_ANSWERS: u64 = 1024;

/// How patiently a name server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For one try.
    pub timeout: Duration,
    /// Tries beyond the first, before the next name server has its turn.
    pub retries: usize,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            timeout: Duration::from_secs(5),
            retries: 1,
        }
    }
}

/// The name servers of this machine, or those that were named.
pub struct NameServers {
    servers: Vec<Server>,
    /// The one that answered last: a dead first one should cost its time-out once, not for each question.
    preferred: AtomicUsize,
    slots: Semaphore,
    invented: OnceCell<Invented>,
}

/// Why there is nobody to ask.
#[derive(Debug, thiserror::Error)]
pub enum SetupFault {
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
    pub fn of_system(patience: Patience) -> Result<NameServers, SetupFault> {
        let (config, _) = read_system_conf().map_err(|fault| SetupFault::System(fault.to_string()))?;
        let servers: Vec<SocketAddr> = config
            .name_servers()
            .iter()
            .map(|server| {
                SocketAddr::new(
                    server.ip,
                    server
                        .connections
                        .first()
                        .map_or(53, |connection| connection.port),
                )
            })
            .collect();
        NameServers::at(&servers, patience)
    }

    /// These, in order of preference.
    pub fn at(servers: &[SocketAddr], patience: Patience) -> Result<NameServers, SetupFault> {
        let servers = servers
            .iter()
            .map(|&server| {
                Server::new(server, patience).map_err(|fault| SetupFault::Server(server, fault.to_string()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if servers.is_empty() {
            return Err(SetupFault::NoServer);
        }
        Ok(NameServers {
            servers,
            preferred: AtomicUsize::new(0),
            slots: Semaphore::new(IN_FLIGHT),
            invented: OnceCell::new(),
        })
    }

    async fn lookup(&self, name: &str, kind: RecordType) -> Result<Lookup, Miss> {
        let name = Name::from_ascii(format!("{name}.")).map_err(|fault| other(&fault.to_string()))?;
        let first = self.preferred.load(Ordering::Relaxed);
        let mut worst = None;
        for turn in 0..self.servers.len() {
            let index = (first + turn) % self.servers.len();
            let fault = match self.ask(&self.servers[index], &name, kind).await {
                Err(Miss::Failed(fault)) => fault,
                answer => {
                    if turn > 0 {
                        self.preferred.store(index, Ordering::Relaxed);
                    }
                    return answer;
                }
            };
            // A server that answered tells more than one that did not.
            worst = Some(
                worst
                    .take()
                    .filter(|known| *known != DnsFault::Timeout)
                    .unwrap_or(fault),
            );
        }
        Err(Miss::Failed(worst.unwrap_or(DnsFault::Timeout)))
    }

    async fn ask(&self, server: &Server, name: &Name, kind: RecordType) -> Result<Lookup, Miss> {
        let _slot = self
            .slots
            .acquire()
            .await
            .map_err(|fault| other(&fault.to_string()))?;
        server.lookup(name, kind).await
    }

    async fn addresses_of(&self, host: &str) -> Result<Vec<IpAddr>, Miss> {
        let (v4, v6) = tokio::join!(
            self.lookup(host, RecordType::A),
            self.lookup(host, RecordType::AAAA)
        );
        let found: Vec<IpAddr> = [&v4, &v6].into_iter().flatten().flat_map(addresses_in).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        match (v4, v6) {
            (Err(Miss::Failed(fault)), _) | (_, Err(Miss::Failed(fault))) => Err(Miss::Failed(fault)),
            (Err(Miss::NoSuchDomain), Err(Miss::NoSuchDomain)) => Err(Miss::NoSuchDomain),
            _ => Err(Miss::NoData),
        }
    }

    /// Asks for two names that can't exist (RFC 6761 6.4): some inventors take turns between addresses.
    async fn find_inventions(&self) -> Invented {
        let mut invented = Vec::new();
        let mut any = false;
        for _ in 0..2 {
            let label: String = std::iter::repeat_with(fastrand::alphanumeric).take(20).collect();
            let name = format!("{}.invalid", label.to_ascii_lowercase());
            if let Ok(addresses) = self.addresses_of(&name).await {
                invented.extend(addresses);
                any = true;
            }
            any |= matches!(self.lookup(&name, RecordType::MX).await, Ok(lookup) if !exchangers_in(&lookup).is_empty());
        }
        if any {
            Invented::new(invented)
        } else {
            Invented::default()
        }
    }
}

impl Dns for NameServers {
    fn mx<'a>(&'a self, domain: &'a Domain) -> Answering<'a, Vec<Mx>> {
        Box::pin(async move {
            let lookup = self.lookup(domain.as_str(), RecordType::MX).await?;
            match exchangers_in(&lookup) {
                none if none.is_empty() => Err(nothing_of_that_kind(&lookup)),
                some => Ok(some),
            }
        })
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> Answering<'a, Vec<IpAddr>> {
        Box::pin(self.addresses_of(host.as_str()))
    }

    fn invented(&self) -> Pin<Box<dyn Future<Output = Invented> + Send + '_>> {
        Box::pin(async { self.invented.get_or_init(|| self.find_inventions()).await.clone() })
    }
}

/// One name server, asked with EDNS (RFC 6891) and, where it does not know that, without.
struct Server {
    edns: TokioResolver,
    plain: TokioResolver,
}

impl Server {
    fn new(server: SocketAddr, patience: Patience) -> Result<Server, NetError> {
        Ok(Server {
            edns: resolver(server, patience, true)?,
            plain: resolver(server, patience, false)?,
        })
    }

    async fn lookup(&self, name: &Name, kind: RecordType) -> Result<Lookup, Miss> {
        let mut answer = self.edns.lookup(name.clone(), kind).await;
        if let Err(NetError::Dns(DnsError::ResponseCode(
            ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS,
        ))) = answer
        {
            answer = self.plain.lookup(name.clone(), kind).await;
        }
        // What hickory says when it ran into itself, not into the name server.
        if let Err(NetError::NoConnections | NetError::Busy | NetError::Message(_) | NetError::Msg(_)) =
            answer
        {
            answer = self.plain.lookup(name.clone(), kind).await;
        }
        answer.map_err(|fault| miss(&fault))
    }
}

fn resolver(server: SocketAddr, patience: Patience, edns: bool) -> Result<TokioResolver, NetError> {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, connections.into());
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.timeout = patience.timeout;
    options.attempts = patience.retries;
    options.edns0 = edns;
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = CACHED_ANSWERS;
    builder.build()
}

/// Which miss an error is. Read off the library's types, never off its texts.
fn miss(fault: &NetError) -> Miss {
    match fault {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => Miss::NoSuchDomain,
            // Name servers of somebody else, and no SOA: not "no such record" but "ask them" (RFC 2308 2.2).
            ResponseCode::NoError if none.soa.is_none() && none.ns.is_some() => {
                other("a referral, no answer")
            }
            ResponseCode::NoError => Miss::NoData,
            code => other(&code.to_string()),
        },
        NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => Miss::Failed(DnsFault::ServFail),
        NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)) => Miss::Failed(DnsFault::Refused),
        NetError::Timeout => Miss::Failed(DnsFault::Timeout),
        fault => other(&fault.to_string()),
    }
}

/// The text may hold a stranger's names.
fn other(text: &str) -> Miss {
    Miss::Failed(DnsFault::Other(clean(text)))
}

/// Records came, aliases perhaps, but none of the kind that was asked for.
fn nothing_of_that_kind(lookup: &Lookup) -> Miss {
    match lookup.message().response_code {
        ResponseCode::NXDomain => Miss::NoSuchDomain,
        _ => Miss::NoData,
    }
}

fn exchangers_in(lookup: &Lookup) -> Vec<Mx> {
    let records = lookup.answers().iter();
    records
        .filter_map(|record| match &record.data {
            RData::MX(mx) => Some(Mx {
                preference: mx.preference,
                target: target(&mx.exchange),
            }),
            _ => None,
        })
        .collect()
}

fn target(name: &Name) -> MxTarget {
    if name.is_root() {
        return MxTarget::Null;
    }
    let text = name.to_ascii();
    let text = text.trim_end_matches('.');
    match Domain::parse(text) {
        Ok(host) if text.parse::<IpAddr>().is_err() => MxTarget::Host(host),
        _ => MxTarget::Malformed(clean(text)),
    }
}

fn addresses_in(lookup: &Lookup) -> Vec<IpAddr> {
    let records = lookup.answers().iter();
    records
        .filter_map(|record| match &record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        })
        .collect()
}
