//! What a run talks to: name servers, mail servers and a clock, all real or all scripted.
//!
//! Decides: nothing but which of the two. Everything behind it sees only the traits.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::clock::Clock;
use crate::error::Error;
use crate::route::{AllowedNets, CachedDns, Dns, DnsTimeouts, NameServers};
use crate::settings::{EgressSpec, NetworkTarget};
use crate::smtp::{Connect, Egress, EgressPath, IpFamilies, TcpConnector, has_route_to};
use crate::world::World;

/// The other side.
pub struct Network {
    /// Names.
    pub dns: Arc<dyn Dns>,
    /// Connections.
    pub connect: Arc<dyn Connect>,
    /// The port of the mail servers.
    pub smtp_port: u16,
    /// Addresses that may be connected to although they are not public.
    pub allowed: AllowedNets,
    /// Who we are, by each way out; none where no mail server is asked.
    pub egresses: Vec<Egress>,
    /// The clock that runs there.
    pub clock: Clock,
    /// Where made-up names come from; a world always gives the same.
    pub random: fastrand::Rng,
}

impl Network {
    /// The network of a place. Must be called where a runtime runs, because its clock starts here.
    pub fn of(place: &NetworkTarget) -> Result<Network, Error> {
        match place {
            NetworkTarget::World { file, ways } => {
                let mut network = Network::scripted(World::open(file)?);
                network.leave_by(ways);
                Ok(network)
            }
            NetworkTarget::Internet { dns, smtp_port, allowed, egresses } => {
                let servers = if dns.is_empty() {
                    NameServers::of_system(DnsTimeouts::default())?
                } else {
                    NameServers::at(dns, DnsTimeouts::default())?
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

    /// Leaves by these ways. What they don't say of the sender stays as it is.
    pub fn leave_by(&mut self, ways: &[EgressSpec]) {
        if let Some(own) = self.egresses.first().cloned() {
            let egress = |way: &EgressSpec| Egress {
                path: way.path.clone(),
                helo: way.helo.clone().unwrap_or_else(|| own.helo.clone()),
                sender: way.sender.clone().unwrap_or_else(|| own.sender.clone()),
            };
            self.egresses = ways.iter().map(egress).collect();
        }
    }

    /// A scripted world, with the sender that it brings along. Its clock starts here, as above.
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
            clock: Clock::showing(world.start_time()),
            random: fastrand::Rng::with_seed(world.seed()),
            dns: Arc::new(world.clone()),
            connect: Arc::new(world),
        }
    }
}

/// May somebody be reached by IPv6 who has IPv4 addresses too?
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
