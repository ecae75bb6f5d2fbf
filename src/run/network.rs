//! What a run talks to: name servers, mail servers and a clock, all real or all scripted.
//!
//! Decides: nothing but which of the two. Everything behind it sees only the traits.

use std::sync::Arc;

use super::clock::Clock;
use crate::error::Error;
use crate::route::Dns;
use crate::route::cache::Cached;
use crate::route::hickory::{NameServers, Patience};
use crate::route::public::Allowed;
use crate::settings::Place;
use crate::smtp::egress::{Egress, Path};
use crate::smtp::wire::{Dial, Internet};
use crate::world::World;

/// The other side.
pub struct Network {
    /// Names.
    pub dns: Arc<dyn Dns>,
    /// Connections.
    pub dial: Arc<dyn Dial>,
    /// The port of the mail servers.
    pub smtp_port: u16,
    /// Addresses that may be connected to although they are not public.
    pub allowed: Allowed,
    /// Who we are; `None` where no mail server is asked.
    pub egress: Option<Egress>,
    /// The clock that runs there.
    pub clock: Clock,
    /// Where made-up names come from; a world always gives the same.
    pub random: fastrand::Rng,
}

impl Network {
    /// The network of a place. Must be called where a runtime runs, because its clock starts here.
    pub fn of(place: &Place) -> Result<Network, Error> {
        match place {
            Place::World { file, sender: (helo, mail_from) } => {
                let mut network = Network::scripted(World::open(file)?);
                if let Some(egress) = &mut network.egress {
                    egress.helo = helo.clone().unwrap_or_else(|| egress.helo.clone());
                    egress.sender = mail_from.clone().unwrap_or_else(|| egress.sender.clone());
                }
                Ok(network)
            }
            Place::Internet { dns, smtp_port, allowed, sender, way } => {
                let servers = if dns.is_empty() {
                    NameServers::of_system(Patience::default())?
                } else {
                    NameServers::at(dns, Patience::default())?
                };
                let egress = sender.clone().map(|(helo, sender)| Egress { path: way.clone(), helo, sender });
                Ok(Network {
                    smtp_port: *smtp_port,
                    allowed: Allowed::new(allowed.iter().copied()),
                    egress,
                    clock: Clock::system(),
                    random: fastrand::Rng::new(),
                    dns: Arc::new(Cached::new(servers)),
                    dial: Arc::new(Internet),
                })
            }
        }
    }

    /// A scripted world, with the sender that it brings along. Its clock starts here, as above.
    pub fn scripted(world: World) -> Network {
        let own = world.sender();
        Network {
            smtp_port: 25,
            allowed: Allowed::new(world.nets()),
            egress: Some(Egress {
                path: Path::Direct(None),
                helo: own.helo.clone(),
                sender: own.mail_from.clone(),
            }),
            clock: Clock::showing(world.starts()),
            random: fastrand::Rng::with_seed(world.seed()),
            dns: Arc::new(world.clone()),
            dial: Arc::new(world),
        }
    }
}
