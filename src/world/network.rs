//! A scripted world, ready for use: its zone, its hosts, its clock, and what they have observed.
//!
//! Decides: which loopback address stands for a scripted one. Must not: read files, speak SMTP or DNS, wait.

use std::collections::HashMap;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use ipnet::IpNet;

use super::host::ScriptedHost;
use super::observed::{Observed, QueryCounts, WorldLog};
use super::zone::Zone;
use crate::address::{Address, Domain};

/// A handle to a world; clones share it and are cheap.
#[derive(Clone)]
pub struct World {
    pub(super) shared: Arc<Shared>,
}

/// What all handles to a world share.
pub(super) struct Shared {
    start_time: SystemTime,
    pub(super) seed: u64,
    pub(super) sender: ClientSender,
    pub(super) dns_delay: Duration,
    pub(super) zone: Zone,
    hosts: Vec<Arc<ScriptedHost>>,
    by_address: HashMap<IpAddr, Endpoint>,
    /// When the world was first used. All its times count from then.
    first_use: OnceLock<tokio::time::Instant>,
    pub(super) queries: QueryCounts,
    pub(super) log: WorldLog,
}

/// The identity of the client, for runs that name none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSender {
    /// The name in EHLO.
    pub helo: Domain,
    /// The envelope sender.
    pub mail_from: Address,
    /// The source address that hosts see if the egress names none.
    pub ip: IpAddr,
}

/// One address of a host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint {
    /// Index of the host in [`World::hosts`].
    pub(super) host: usize,
    /// Number among all addresses, in file order.
    pub(super) number: u32,
}

impl World {
    pub(super) fn new(
        start_time: SystemTime,
        seed: u64,
        sender: ClientSender,
        dns_delay: Duration,
        zone: Zone,
        hosts: Vec<Arc<ScriptedHost>>,
        by_address: HashMap<IpAddr, Endpoint>,
    ) -> World {
        World {
            shared: Arc::new(Shared {
                start_time,
                seed,
                sender,
                dns_delay,
                zone,
                hosts,
                by_address,
                first_use: OnceLock::new(),
                queries: QueryCounts::default(),
                log: WorldLog::default(),
            }),
        }
    }

    /// The identity of the client, for runs that name none.
    pub fn sender(&self) -> &ClientSender {
        &self.shared.sender
    }

    /// The seed of all random choices in the world.
    pub fn seed(&self) -> u64 {
        self.shared.seed
    }

    /// The time of day at which the world starts.
    pub fn start_time(&self) -> SystemTime {
        self.shared.start_time
    }

    /// The time since the world was first used. The first call starts its clock.
    pub fn elapsed(&self) -> Duration {
        self.shared.first_use.get_or_init(tokio::time::Instant::now).elapsed()
    }

    /// The time of day in the world now.
    pub fn now(&self) -> SystemTime {
        self.time_of_day(self.elapsed())
    }

    /// The addresses of all hosts. In this world they may be connected to, even if a registry of special addresses
    /// forbids it. Addresses that only DNS records name (an MX host on loopback) are not included.
    pub fn networks(&self) -> Vec<IpNet> {
        let networks: Vec<IpNet> = self.shared.by_address.keys().map(|&address| address.into()).collect();
        IpNet::aggregate(&networks)
    }

    /// The mail servers, in file order.
    pub fn hosts(&self) -> &[Arc<ScriptedHost>] {
        &self.shared.hosts
    }

    /// What all servers have observed so far.
    pub fn observed(&self) -> Observed {
        let mut observed = Observed { queries: self.shared.queries.counts(), ..Observed::default() };
        for host in &self.shared.hosts {
            observed.hosts.entry(host.name.to_string()).or_default().add(&host.observed());
        }
        observed
    }

    /// Writes one line of JSON per session and per DNS query from now on.
    pub fn log_to(&self, writer: Box<dyn Write + Send>) {
        self.shared.log.open(writer);
    }

    /// The loopback address at which [`WorldServer`](super::WorldServer) listens in place of a scripted address:
    /// 127.1.0.1 and the following ones, in file order.
    pub fn loopback(&self, address: IpAddr) -> Option<Ipv4Addr> {
        let number = self.shared.by_address.get(&address)?.number;
        let (block, last) = (number / 254, number % 254 + 1);
        Some(Ipv4Addr::from(0x7f01_0000 + (block << 8) + last))
    }

    /// The host with this address.
    pub(super) fn host_at(&self, address: IpAddr) -> Option<&Arc<ScriptedHost>> {
        self.shared.by_address.get(&address).map(|endpoint| &self.shared.hosts[endpoint.host])
    }

    /// The time of day in the world at this elapsed time.
    pub(super) fn time_of_day(&self, elapsed: Duration) -> SystemTime {
        self.shared.start_time + elapsed
    }
}
