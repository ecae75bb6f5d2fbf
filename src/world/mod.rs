//! A scripted miniature internet: name servers and mail servers in a TOML file, behind the same traits as the real
//! ones. It is the demo, the tests and the lab.
//!
//! [`script`] is the file's format, [`build`] puts it together, [`zone`] answers as the name servers do,
//! [`session`] speaks as a mail server does (bytes in, [`session::ServerAction`]s out: no socket, no clock), [`limits`]
//! counts what a client should not have done, [`observed`] is what the servers remember, [`words`] what well-known
//! software says, [`pattern`] makes many names of one line, [`packet`] writes DNS answers.
//!
//! Two ways in: in process, [`World`] is a [`Dns`](crate::route::Dns) ([`name_service`]) and a
//! [`Dial`](crate::smtp::wire::Dial) ([`connect`]) on tokio's clock, which a frozen runtime moves by itself; and
//! [`serve`] puts the same world on real loopback sockets.
//!
//! Must not: be kinder than the internet. What the file does not say does not exist.

mod build;
mod host;
mod in_process;
mod limits;
mod name_service;
mod observed;
mod packet;
mod pattern;
mod script;
mod serve;
mod session;
mod words;
mod zone;

use std::collections::HashMap;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use ipnet::IpNet;

use crate::address::{Address, Domain};
pub use build::WorldError;
use host::ScriptedHost;
pub use limits::LimitViolation;
pub use observed::{Observed, ObservedHost};
use observed::{Queries, WorldLog};
use zone::Zone;

/// A world, ready to be asked: a handle, cheap to clone, shared by all who ask.
#[derive(Clone)]
pub struct World {
    shared: Arc<Shared>,
}

struct Shared {
    starts: SystemTime,
    seed: u64,
    sender: ClientSender,
    dns_delay: Duration,
    zone: Zone,
    hosts: Vec<Arc<ScriptedHost>>,
    by_address: HashMap<IpAddr, Endpoint>,
    /// The moment of the first question: all times of the world count from here.
    began: OnceLock<tokio::time::Instant>,
    queries: Queries,
    log: WorldLog,
}

/// The sender that a world brings along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSender {
    /// The name for EHLO.
    pub helo: Domain,
    /// The envelope sender.
    pub mail_from: Address,
    /// What hosts see as our address when the egress names none.
    pub ip: IpAddr,
}

/// One address of a host.
#[derive(Clone, Copy, Debug)]
struct Endpoint {
    /// Its place in [`World::hosts`].
    host: usize,
    /// Its place among all addresses, in file order.
    number: u32,
}

impl World {
    /// Reads a world file.
    pub fn open(path: &Path) -> Result<World, WorldError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| WorldError::Unreadable { path: path.display().to_string(), source })?;
        build::read(&text, path)
    }

    /// Reads a world out of a text.
    pub fn parse(text: &str) -> Result<World, WorldError> {
        build::read(text, Path::new("world.toml"))
    }

    fn new(
        starts: SystemTime,
        seed: u64,
        sender: ClientSender,
        dns_delay: Duration,
        zone: Zone,
        hosts: Vec<Arc<ScriptedHost>>,
        by_address: HashMap<IpAddr, Endpoint>,
    ) -> World {
        World {
            shared: Arc::new(Shared {
                starts,
                seed,
                sender,
                dns_delay,
                zone,
                hosts,
                by_address,
                began: OnceLock::new(),
                queries: Queries::default(),
                log: WorldLog::default(),
            }),
        }
    }

    /// The sender for runs that name none.
    pub fn sender(&self) -> &ClientSender {
        &self.shared.sender
    }

    /// What all chance in it comes from.
    pub fn seed(&self) -> u64 {
        self.shared.seed
    }

    /// The time of day at which the world starts.
    pub fn starts(&self) -> SystemTime {
        self.shared.starts
    }

    /// How long the world has been asked; zero before and at the first question.
    pub fn elapsed(&self) -> Duration {
        self.shared.began.get_or_init(tokio::time::Instant::now).elapsed()
    }

    /// All addresses at which a host listens: in this world they may be connected to, whatever the registries of
    /// special addresses say. Scripted records that lead elsewhere (an MX on loopback) are not among them.
    pub fn nets(&self) -> Vec<IpNet> {
        let nets: Vec<IpNet> = self.shared.by_address.keys().map(|&address| address.into()).collect();
        IpNet::aggregate(&nets)
    }

    /// The mail servers, in file order.
    pub fn hosts(&self) -> &[Arc<ScriptedHost>] {
        &self.shared.hosts
    }

    /// What all servers heard until now.
    pub fn heard(&self) -> Observed {
        let mut heard = Observed { queries: self.shared.queries.counts(), ..Observed::default() };
        for host in &self.shared.hosts {
            heard.hosts.entry(host.name.to_string()).or_default().add(&host.heard());
        }
        heard
    }

    /// From now on writes one line per session and per query, as JSON.
    pub fn log_to(&self, writer: Box<dyn Write + Send>) {
        self.shared.log.open(writer);
    }

    /// The loopback address at which [`serve`] listens for a host's scripted one: 127.1.0.1 and on, in file order.
    pub fn loopback(&self, address: IpAddr) -> Option<Ipv4Addr> {
        let number = self.shared.by_address.get(&address)?.number;
        let (block, last) = (number / 254, number % 254 + 1);
        Some(Ipv4Addr::from(0x7f01_0000 + (block << 8) + last))
    }

    fn host_at(&self, address: IpAddr) -> Option<&Arc<ScriptedHost>> {
        self.shared.by_address.get(&address).map(|endpoint| &self.shared.hosts[endpoint.host])
    }

    /// The time of day after so much of the world's time.
    fn time_of_day(&self, elapsed: Duration) -> SystemTime {
        self.shared.starts + elapsed
    }
}

pub use pattern::NamePattern;
pub use serve::WorldServer;
pub use session::{ServerAction, ServerSession};
