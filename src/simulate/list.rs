//! A generated list and the providers behind it: which provider serves which domain, and which mailboxes exist.
//!
//! Decides: everything that is given in a simulation, from a mix and a seed. A domain needs 16 bytes of memory and a
//! row none, because what a row is follows from the seed and its number; so lists of millions of rows fit. Can't
//! know: how real lists look.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares and times of a simulation need not be exact"
)]

use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::setup::{Mix, SharedProvider};
use crate::address::{Address, Domain};
use crate::evidence::{DomainFacts, Recipient, RecipientId};
use crate::policy::{Provider, Providers};
use crate::schedule::{DomainJob, MxHop};

/// The index of a domain in [`GeneratedList::domains`].
pub(super) type DomainId = u32;
/// The index of a provider in [`GeneratedList::hosts`].
pub(super) type HostId = u32;

/// A list and its providers.
#[derive(Debug)]
pub struct GeneratedList {
    pub(super) seed: u64,
    pub(super) unknown: f64,
    /// The number of rows, duplicates and invalid ones included.
    pub rows: u32,
    /// The domains, in the order of their first rows.
    pub domains: Vec<ListedDomain>,
    /// The providers.
    pub hosts: Vec<GeneratedHost>,
    /// How long greylisting hosts defer a recipient.
    pub wait: Duration,
    /// The domains that are looked up in a second.
    pub dns_per_second: f64,
}

/// A domain of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedDomain {
    /// Its provider.
    pub host: HostId,
    /// The number of its first recipient; the others follow.
    pub first: u32,
    /// The number of its different recipients.
    pub recipients: u32,
    /// It is a catch-all.
    pub catch_all: bool,
    /// It has no mail.
    pub dead: bool,
}

/// A provider of the generated world, with one MX host. Its limits are the policy's.
#[derive(Clone, Debug)]
pub struct GeneratedHost {
    /// Its name in the log.
    pub name: Arc<str>,
    /// The provider as the policy describes it.
    pub provider: Arc<Provider>,
    /// Its MX host, with one IP address for each endpoint.
    pub mx_hosts: Vec<MxHop>,
    /// The time of a round trip.
    pub latency: Duration,
    /// The server's time per recipient.
    pub think: Duration,
    /// It rejects us at the greeting.
    pub rejects_us: bool,
    /// It greylists.
    pub greylists: bool,
}

impl GeneratedHost {
    /// The time from the first packet to the reply to EHLO, with TLS to the second EHLO.
    pub fn opening_time(&self) -> Duration {
        self.latency * if self.provider.tls { 6 } else { 3 }
    }
}

impl GeneratedList {
    /// Generates a list from a mix.
    pub fn generate(mix: &Mix, rows: u32, seed: u64) -> GeneratedList {
        let mut list = GeneratedList {
            seed,
            unknown: mix.unknown,
            rows,
            domains: Vec::new(),
            hosts: Vec::new(),
            wait: Duration::from_secs(mix.wait_s),
            dns_per_second: mix.dns_per_second,
        };
        let providers: Vec<(HostId, &SharedProvider)> =
            mix.providers.iter().map(|provider| (list.add_provider(provider), provider)).collect();
        let hosters: Vec<HostId> = (0..mix.hosters.count).map(|n| list.add_hoster(mix, n)).collect();

        // Each row belongs to a domain, by the rank of the domain; large domains have the first ranks.
        let big = u32::try_from(mix.big.len()).unwrap_or(u32::MAX);
        let useful = f64::from(rows) * (1.0 - mix.duplicates - mix.invalid);
        let mut ranks: Vec<(u32, u32)> = (0..useful as u32)
            .map(|row| {
                let mut quantile = list.draw(RandomStream::Row, row.into());
                for (rank, big) in (0..).zip(&mix.big) {
                    if quantile < big.share {
                        return (rank, row);
                    }
                    quantile -= big.share;
                }
                (big.saturating_add(mix.domains.rank(list.draw(RandomStream::Rank, row.into())) as u32), row)
            })
            .collect();
        ranks.sort_unstable();
        let mut domains: Vec<(u32, ListedDomain)> = Vec::new();
        for same in ranks.chunk_by(|one, other| one.0 == other.0) {
            let (rank, first_row) = same[0];
            let unplaced = ListedDomain {
                host: 0,
                first: 0,
                recipients: u32::try_from(same.len()).unwrap_or(u32::MAX),
                catch_all: false,
                dead: false,
            };
            let domain = match mix.big.get(rank as usize) {
                Some(big) => {
                    let host = providers.iter().find(|(_, provider)| provider.id == big.provider);
                    ListedDomain { host: host.map_or(0, |(id, _)| *id), ..unplaced }
                }
                None => list.place(mix, &providers, &hosters, rank, unplaced),
            };
            domains.push((first_row, domain));
        }
        drop(ranks);
        domains.sort_unstable_by_key(|(first_row, _)| *first_row);
        let mut first = 0;
        list.domains = domains
            .into_iter()
            .map(|(_, domain)| {
                let placed = ListedDomain { first, ..domain };
                first += domain.recipients;
                placed
            })
            .collect();
        list
    }

    /// Gives a domain its provider, and decides whether it is a catch-all or dead.
    fn place(
        &mut self,
        mix: &Mix,
        providers: &[(HostId, &SharedProvider)],
        hosters: &[HostId],
        rank: u32,
        unplaced: ListedDomain,
    ) -> ListedDomain {
        let key = u64::from(rank);
        let dead = self.draw(RandomStream::Dead, key) < mix.dead;
        let catch_all_draw = self.draw(RandomStream::CatchAll, key);
        let mut quantile = self.draw(RandomStream::Provider, key);
        for (host, provider) in providers {
            if quantile < provider.share {
                return ListedDomain {
                    host: *host,
                    catch_all: catch_all_draw < provider.catch_all,
                    dead,
                    ..unplaced
                };
            }
            quantile -= provider.share;
        }
        if quantile < mix.hosters.share && !hosters.is_empty() {
            // The firm of rank n has weight 1/n.
            let n = (hosters.len() as f64).powf(self.draw(RandomStream::Hoster, key)) - 1.0;
            let host = hosters[(n as usize).min(hosters.len() - 1)];
            return ListedDomain {
                host,
                catch_all: catch_all_draw < mix.hosters.catch_all,
                dead,
                ..unplaced
            };
        }
        let host = if dead { 0 } else { self.add_own(mix, rank) };
        ListedDomain { host, catch_all: catch_all_draw < mix.own.catch_all, dead, ..unplaced }
    }

    fn add_provider(&mut self, provider: &SharedProvider) -> HostId {
        let known = Providers::built_in();
        let host = GeneratedHost {
            name: provider.id.as_str().into(),
            provider: known.by_id(&provider.id).unwrap_or(known.unknown()).clone(),
            mx_hosts: Vec::new(),
            latency: Duration::from_millis(provider.latency_ms.into()),
            think: Duration::from_millis(provider.think_ms.into()),
            rejects_us: provider.rejects_us,
            greylists: false,
        };
        self.add_host(host, provider.endpoints)
    }

    fn add_hoster(&mut self, mix: &Mix, number: u32) -> HostId {
        let host = GeneratedHost {
            name: format!("hoster{number}").into(),
            provider: Providers::built_in().unknown().clone(),
            mx_hosts: Vec::new(),
            latency: Duration::from_millis(mix.hosters.latency_ms.into()),
            think: Duration::from_millis(mix.hosters.think_ms.into()),
            rejects_us: false,
            greylists: false,
        };
        self.add_host(host, 1)
    }

    /// Adds the host of a domain, on a machine of its own or a shared one.
    fn add_own(&mut self, mix: &Mix, rank: u32) -> HostId {
        let draw = self.draw(RandomStream::HostBehavior, rank.into());
        let host = GeneratedHost {
            name: format!("own{rank}").into(),
            provider: Providers::built_in().unknown().clone(),
            mx_hosts: Vec::new(),
            latency: Duration::from_millis(mix.own.latency_ms.into()),
            think: Duration::from_millis(mix.own.think_ms.into()),
            rejects_us: draw < mix.own.rejects_us,
            greylists: draw > 1.0 - mix.own.greylists,
        };
        let id = self.add_host(host, 1);
        let quantile = self.draw(RandomStream::Machine, rank.into());
        if quantile < mix.own.shared && mix.own.machines > 0 {
            // The machine of rank n has weight 1/n.
            let n = f64::from(mix.own.machines).powf(quantile / mix.own.shared) - 1.0;
            let machine = Ipv6Addr::new(0x2001, 0xdb8, u16::MAX, n as u16, 0, 0, 0, 1);
            for mx_hop in &mut self.hosts[id as usize].mx_hosts {
                mx_hop.addresses = vec![machine.into()];
            }
        }
        id
    }

    fn add_host(&mut self, mut host: GeneratedHost, endpoints: u32) -> HostId {
        let id = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        let [high, low] = [(id >> 16) as u16, id as u16];
        let name = Domain::parse(&format!("mx.{}.test", host.name));
        host.mx_hosts = name
            .map(|name| MxHop {
                host: name,
                addresses: (1..=endpoints)
                    .map(|endpoint| {
                        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, high, low, 0, 0, 0, endpoint as u16))
                    })
                    .collect(),
                provider: host.provider.clone(),
            })
            .into_iter()
            .collect();
        self.hosts.push(host);
        id
    }

    /// The provider of a domain.
    pub fn host(&self, domain: DomainId) -> &GeneratedHost {
        &self.hosts[self.domains[domain as usize].host as usize]
    }

    /// The provider of a recipient.
    pub fn host_of(&self, target: RecipientId) -> HostId {
        let after = self.domains.partition_point(|domain| i64::from(domain.first) <= target.0);
        self.domains.get(after.saturating_sub(1)).map_or(0, |domain| domain.host)
    }

    /// True if the recipient is unknown.
    pub fn is_unknown(&self, row: u32) -> bool {
        self.draw(RandomStream::Mailbox, row.into()) < self.unknown
    }

    /// True if recipients of the domain are probed: it has mail, at a provider whose replies to RCPT are evidence.
    pub fn is_probed(&self, domain: DomainId) -> bool {
        !self.domains[domain as usize].dead && self.host(domain).provider.rcpt_is_evidence
    }

    /// The job for a domain, as it comes out of the DNS, or for a part of its recipients.
    pub fn job(&self, id: DomainId, part: Range<u32>) -> Option<DomainJob> {
        let placed = self.domains[id as usize];
        let domain = Domain::parse(&format!("d{id}.test")).ok()?;
        let mut mx_hosts = self.host(id).mx_hosts.clone();
        for mx_hop in &mut mx_hosts {
            // If a provider has many IP addresses, a domain has one of them.
            let endpoint = id as usize % mx_hop.addresses.len();
            mx_hop.addresses = vec![mx_hop.addresses[endpoint]];
        }
        let rows = placed.first + part.start..placed.first + part.end;
        let recipients = rows.filter_map(|row| {
            let address = Address::parse(&format!("r{row}@d{id}.test")).ok()?;
            Some(Recipient::from((RecipientId(row.into()), address)))
        });
        let (recipients, facts) = (recipients.collect(), DomainFacts::default());
        Some(DomainJob { domain, mx_hosts, recipients, facts })
    }

    /// A number from 0 up to 1 that depends on the seed, the stream and the key only.
    pub(super) fn draw(&self, stream: RandomStream, key: u64) -> f64 {
        let mixed = self.seed
            ^ (stream as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ key.wrapping_mul(0xd6e8_feb8_6659_fd93);
        fastrand::Rng::with_seed(mixed).f64()
    }
}

/// What a probed recipient is, read from its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecipientTruth {
    /// A recipient of the list, by its number.
    Row(u32),
    /// A random recipient, or `postmaster`.
    Control {
        /// True for `postmaster`, which exists at every domain.
        exists: bool,
    },
}

/// The domain of an address and what the recipient is; the address is from [`GeneratedList::job`] or a control.
pub(super) fn look_up(address: &Address) -> Option<(DomainId, RecipientTruth)> {
    let domain = domain_id(address.domain()?)?;
    let row = address.local().strip_prefix('r').and_then(|number| number.parse().ok());
    let truth =
        row.map_or(RecipientTruth::Control { exists: address.local() == "postmaster" }, RecipientTruth::Row);
    Some((domain, truth))
}

/// The index of a domain of the list.
pub(super) fn domain_id(domain: &Domain) -> Option<DomainId> {
    domain.as_str().strip_prefix('d')?.strip_suffix(".test")?.parse().ok()
}

/// What a random number is drawn for. The values decide which list a seed makes.
#[derive(Clone, Copy)]
pub(super) enum RandomStream {
    Row = 1,
    Rank,
    Dead,
    CatchAll,
    Provider,
    Hoster,
    HostBehavior,
    Mailbox,
    Machine,
}
