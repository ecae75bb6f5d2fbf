//! The network of a run: name servers, mail servers and a clock, all real or all scripted.
//!
//! Decides: only which of the two. Everything that uses it sees traits.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::clock::Clock;
use crate::error::Error;
use crate::policy::Policy;
use crate::route::{AllowedNets, CachedDns, Dns, DnsTimeouts, NameServers};
use crate::settings::{EgressSpec, NetworkTarget, Settings};
use crate::smtp::{Connect, Egress, EgressPath, IpFamilies, TcpConnector, has_route_to, is_own_address};
use crate::world::World;

/// The network of a run. A clone shares the cache of DNS answers.
#[derive(Clone)]
pub struct Network {
    /// DNS look-ups.
    pub dns: Arc<dyn Dns>,
    /// Connections.
    pub connect: Arc<dyn Connect>,
    /// The port of the mail servers.
    pub smtp_port: u16,
    /// Addresses that may be connected to although they are not public.
    pub allowed: AllowedNets,
    /// How connections leave, and with which sender; none where no mail server is probed.
    pub egresses: Vec<Egress>,
    /// The clock of the run.
    pub clock: Clock,
    /// The source of random recipients; a world always gives the same ones.
    pub random: fastrand::Rng,
}

/// What a job that uses the network works with.
pub(super) struct NetworkJob<'a> {
    pub(super) settings: &'a Settings,
    pub(super) target: &'a NetworkTarget,
    pub(super) policy: Policy,
    pub(super) network: Network,
}

impl Network {
    /// The network that the settings name. Its clock starts now, so it is made inside the runtime of the run.
    pub(super) fn of(target: &NetworkTarget) -> Result<Network, Error> {
        Network::with_timeouts(target, DnsTimeouts::default())
    }

    /// The same with other time-outs of the DNS.
    pub(super) fn with_timeouts(target: &NetworkTarget, timeouts: DnsTimeouts) -> Result<Network, Error> {
        match target {
            NetworkTarget::World { file, egresses } => {
                let mut network = Network::scripted(World::open(file)?);
                network.leave_by(egresses);
                Ok(network)
            }
            NetworkTarget::Internet { dns, smtp_port, allowed, egresses } => {
                check_sources(egresses)?;
                let servers = if dns.is_empty() {
                    NameServers::of_system(timeouts)?
                } else {
                    NameServers::at(dns, timeouts)?
                };
                let allowed = AllowedNets::new(allowed.iter().copied());
                let servers =
                    if leaves_by_ipv6(egresses) { servers } else { servers.ipv4_first(allowed.clone()) };
                Ok(Network {
                    smtp_port: *smtp_port,
                    allowed,
                    egresses: egresses.clone(),
                    clock: Clock::system(),
                    random: fastrand::Rng::new(),
                    dns: Arc::new(CachedDns::new(servers)),
                    connect: Arc::new(TcpConnector),
                })
            }
        }
    }

    /// The same network for another run, which begins now.
    pub(super) fn for_next_run(&self) -> Network {
        let random = if self.clock.is_scripted() { self.random.clone() } else { fastrand::Rng::new() };
        Network { clock: self.clock.restarted(), random, ..self.clone() }
    }

    /// Sets the egresses. A missing HELO name or sender stays as it is.
    pub fn leave_by(&mut self, egresses: &[EgressSpec]) {
        if let Some(own) = self.egresses.first().cloned() {
            let egress = |spec: &EgressSpec| Egress {
                path: spec.path.clone(),
                helo: spec.helo.clone().unwrap_or_else(|| own.helo.clone()),
                sender: spec.sender.clone().unwrap_or_else(|| own.sender.clone()),
            };
            self.egresses = egresses.iter().map(egress).collect();
        }
    }

    /// A scripted world, with the sender that its file names. Its clock starts now.
    pub fn scripted(world: World) -> Network {
        let own = world.sender();
        Network {
            smtp_port: 25,
            allowed: AllowedNets::new(world.networks()),
            egresses: vec![Egress {
                path: EgressPath::Direct(None),
                helo: own.helo.clone(),
                sender: own.mail_from.clone(),
            }],
            clock: Clock::showing(world.now()),
            random: fastrand::Rng::with_seed(world.seed()),
            dns: Arc::new(world.clone()),
            connect: Arc::new(world),
        }
    }
}

/// Fails if a source address is not one of this machine: every connection would fail, as if port 25 were closed.
fn check_sources(egresses: &[Egress]) -> Result<(), Error> {
    let foreign = egresses.iter().find_map(|egress| match egress.path {
        EgressPath::Direct(Some(source)) => Some(source).filter(|source| !is_own_address(*source)),
        _ => None,
    });
    foreign.map_or(Ok(()), |source| {
        Err(Error::Setting {
            message: format!("`--source-ip {source}` is not an address of this machine"),
            hint: "`ip address` lists the addresses of this machine; leave the setting out for the system's choice"
                .to_owned(),
        })
    })
}

/// IPv6 is used even for hosts that have IPv4 addresses, so AAAA records are needed for all hosts.
fn leaves_by_ipv6(egresses: &[Egress]) -> bool {
    let has_no_ipv4 = || {
        !has_route_to(Ipv4Addr::new(192, 0, 2, 1))
            && has_route_to(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))
    };
    egresses.iter().any(|egress| match &egress.path {
        EgressPath::Direct(None) => has_no_ipv4(),
        path => path.families() == IpFamilies::V6,
    })
}
