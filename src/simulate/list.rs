//! A generated list and the receivers behind it: who hosts which domain, which mailboxes exist.
//!
//! Decides: everything that is given in a simulation, from a mix and a seed. A domain costs 16 bytes and a row none: what
//! a row is, is a function of the seed and its number, so that millions fit. Can't know: how real lists look.
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

use super::mix::{Mix, SharedProvider};
use crate::address::{Address, Domain};
use crate::evidence::{DomainFacts, Recipient, RecipientId};
use crate::policy::{Provider, Providers};
use crate::schedule::{DomainJob, MxHop};

/// A domain, by its place in [`GeneratedList::domains`].
pub(super) type DomainId = u32;
/// An operator, by its place in [`GeneratedList::hosts`].
pub(super) type HostId = u32;

/// The list and its receivers.
#[derive(Debug)]
pub struct GeneratedList {
    pub(super) seed: u64,
    pub(super) unknown: f64,
    /// Rows, with duplicates and what is no address.
    pub rows: u32,
    /// Its domains in the order of their first rows.
    pub domains: Vec<ListedDomain>,
    /// Its operators.
    pub hosts: Vec<GeneratedHost>,
    /// How long greylisting hosts put off.
    pub wait: Duration,
    /// Domains looked up in a second.
    pub dns_per_second: f64,
}

/// A domain of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedDomain {
    /// Whose it is.
    pub host: HostId,
    /// Its first address; the others follow.
    pub first: u32,
    /// Different addresses.
    pub listed: u32,
    /// It accepts any name.
    pub catch_all: bool,
    /// It has no mail.
    pub dead: bool,
}

/// An operator of this world, as it is; what it bears is in the table of operators.
#[derive(Clone, Debug)]
pub struct GeneratedHost {
    /// What it is called in the log.
    pub name: Arc<str>,
    /// What the table says.
    pub provider: Arc<Provider>,
    /// Its exchanger, with one address for each door.
    pub mx_hosts: Vec<MxHop>,
    /// A round trip.
    pub latency: Duration,
    /// Its time per recipient.
    pub think: Duration,
    /// It refuses us at the greeting.
    pub refuses: bool,
    /// It puts off whom it does not know.
    pub greylists: bool,
}

impl GeneratedHost {
    /// From the first packet to the answer to EHLO, and with TLS to the second one.
    pub fn opening(&self) -> Duration {
        self.latency * if self.provider.tls { 6 } else { 3 }
    }
}

impl GeneratedList {
    /// The list of a mix.
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
            mix.operator.iter().map(|operator| (list.add_operator(operator), operator)).collect();
        let hosters: Vec<HostId> = (0..mix.hosters.count).map(|n| list.add_hoster(mix, n)).collect();

        // Each row falls on a domain, by its rank; big ones come first, as ranks below zero would.
        let big = u32::try_from(mix.big.len()).unwrap_or(u32::MAX);
        let useful = f64::from(rows) * (1.0 - mix.duplicates - mix.invalid);
        let mut ranks: Vec<(u32, u32)> = (0..useful as u32)
            .map(|row| {
                let mut place = list.draw(RandomStream::Row, row.into());
                for (rank, big) in (0..).zip(&mix.big) {
                    if place < big.share {
                        return (rank, row);
                    }
                    place -= big.share;
                }
                (big.saturating_add(mix.domains.rank(list.draw(RandomStream::Rank, row.into())) as u32), row)
            })
            .collect();
        ranks.sort_unstable();
        let mut domains: Vec<(u32, ListedDomain)> = Vec::new();
        for same in ranks.chunk_by(|one, other| one.0 == other.0) {
            let (rank, first_row) = same[0];
            let listed = ListedDomain {
                host: 0,
                first: 0,
                listed: u32::try_from(same.len()).unwrap_or(u32::MAX),
                catch_all: false,
                dead: false,
            };
            let domain = match mix.big.get(rank as usize) {
                Some(big) => {
                    let host = providers.iter().find(|(_, operator)| operator.id == big.operator);
                    ListedDomain { host: host.map_or(0, |(id, _)| *id), ..listed }
                }
                None => list.place(mix, &providers, &hosters, rank, listed),
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
                first += domain.listed;
                placed
            })
            .collect();
        list
    }

    /// Gives a domain its host and its nature.
    fn place(
        &mut self,
        mix: &Mix,
        providers: &[(HostId, &SharedProvider)],
        hosters: &[HostId],
        rank: u32,
        listed: ListedDomain,
    ) -> ListedDomain {
        let key = u64::from(rank);
        let dead = self.draw(RandomStream::Dead, key) < mix.dead;
        let accepts_any = self.draw(RandomStream::CatchAll, key);
        let mut place = self.draw(RandomStream::Operator, key);
        for (host, operator) in providers {
            if place < operator.share {
                return ListedDomain {
                    host: *host,
                    catch_all: accepts_any < operator.catch_all,
                    dead,
                    ..listed
                };
            }
            place -= operator.share;
        }
        if place < mix.hosters.share && !hosters.is_empty() {
            // Weight 1/rank over the firms.
            let n = (hosters.len() as f64).powf(self.draw(RandomStream::Hoster, key)) - 1.0;
            let host = hosters[(n as usize).min(hosters.len() - 1)];
            return ListedDomain { host, catch_all: accepts_any < mix.hosters.catch_all, dead, ..listed };
        }
        let host = if dead { 0 } else { self.add_own(mix, rank) };
        ListedDomain { host, catch_all: accepts_any < mix.own.catch_all, dead, ..listed }
    }

    fn add_operator(&mut self, operator: &SharedProvider) -> HostId {
        let known = Providers::built_in();
        let host = GeneratedHost {
            name: operator.id.as_str().into(),
            provider: known.by_id(&operator.id).unwrap_or(known.unknown()).clone(),
            mx_hosts: Vec::new(),
            latency: Duration::from_millis(operator.latency_ms.into()),
            think: Duration::from_millis(operator.think_ms.into()),
            refuses: operator.refuses,
            greylists: false,
        };
        self.add_host(host, operator.doors)
    }

    fn add_hoster(&mut self, mix: &Mix, number: u32) -> HostId {
        let host = GeneratedHost {
            name: format!("hoster{number}").into(),
            provider: Providers::built_in().unknown().clone(),
            mx_hosts: Vec::new(),
            latency: Duration::from_millis(mix.hosters.latency_ms.into()),
            think: Duration::from_millis(mix.hosters.think_ms.into()),
            refuses: false,
            greylists: false,
        };
        self.add_host(host, 1)
    }

    fn add_own(&mut self, mix: &Mix, rank: u32) -> HostId {
        let temper = self.draw(RandomStream::Temper, rank.into());
        let host = GeneratedHost {
            name: format!("own{rank}").into(),
            provider: Providers::built_in().unknown().clone(),
            mx_hosts: Vec::new(),
            latency: Duration::from_millis(mix.own.latency_ms.into()),
            think: Duration::from_millis(mix.own.think_ms.into()),
            refuses: temper < mix.own.refuses,
            greylists: temper > 1.0 - mix.own.greylists,
        };
        self.add_host(host, 1)
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

    /// The host of a domain.
    pub fn host(&self, domain: DomainId) -> &GeneratedHost {
        &self.hosts[self.domains[domain as usize].host as usize]
    }

    /// Where an address of the list is asked about.
    pub fn host_of(&self, target: RecipientId) -> HostId {
        let after = self.domains.partition_point(|domain| i64::from(domain.first) <= target.0);
        self.domains.get(after.saturating_sub(1)).map_or(0, |domain| domain.host)
    }

    /// Does the mailbox not exist?
    pub fn is_unknown(&self, row: u32) -> bool {
        self.draw(RandomStream::Mailbox, row.into()) < self.unknown
    }

    /// Are there questions about a domain: it has mail, at an operator whose answers are evidence?
    pub fn is_asked(&self, domain: DomainId) -> bool {
        !self.domains[domain as usize].dead && self.host(domain).provider.rcpt_is_evidence
    }

    /// The order for a domain, as it comes out of the DNS, or for a part of its addresses.
    pub fn order(&self, id: DomainId, part: Range<u32>) -> Option<DomainJob> {
        let placed = self.domains[id as usize];
        let domain = Domain::parse(&format!("d{id}.test")).ok()?;
        let mut mx_hosts = self.host(id).mx_hosts.clone();
        for stop in &mut mx_hosts {
            // Where an operator has many addresses, a domain has one of them.
            let endpoint = id as usize % stop.addresses.len();
            stop.addresses = vec![stop.addresses[endpoint]];
        }
        let rows = placed.first + part.start..placed.first + part.end;
        let addresses = rows.filter_map(|row| {
            let address = Address::parse(&format!("r{row}@d{id}.test")).ok()?;
            Some(Recipient::from((RecipientId(row.into()), address)))
        });
        Some(DomainJob { domain, mx_hosts, listed: addresses.collect(), known: DomainFacts::default() })
    }

    /// A number from 0 up to 1 that depends on the seed, what it is for, and a key; nothing else.
    pub(super) fn draw(&self, what: RandomStream, key: u64) -> f64 {
        let mixed = self.seed
            ^ (what as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ key.wrapping_mul(0xd6e8_feb8_6659_fd93);
        fastrand::Rng::with_seed(mixed).f64()
    }
}

/// Whom a question is about, read from its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecipientTruth {
    /// A row of the list.
    Row(u32),
    /// A made-up name, or `postmaster`.
    Control {
        /// True for `postmaster`, which exists everywhere.
        exists: bool,
    },
}

/// Reads an address of [`GeneratedList::order`], or a control at one of its domains.
pub(super) fn read(address: &Address) -> Option<(DomainId, RecipientTruth)> {
    let domain = domain_id(address.domain()?)?;
    let row = address.local().strip_prefix('r').and_then(|number| number.parse().ok());
    let asked =
        row.map_or(RecipientTruth::Control { exists: address.local() == "postmaster" }, RecipientTruth::Row);
    Some((domain, asked))
}

/// Which domain of the list it is.
pub(super) fn domain_id(domain: &Domain) -> Option<DomainId> {
    domain.as_str().strip_prefix('d')?.strip_suffix(".test")?.parse().ok()
}

/// What a number is drawn for.
#[derive(Clone, Copy)]
pub(super) enum RandomStream {
    Row = 1,
    Rank,
    Dead,
    CatchAll,
    Operator,
    Hoster,
    Temper,
    Mailbox,
}
