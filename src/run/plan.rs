//! The plan of a run: what it would ask, where, and how long that takes, without asking any mail server.
//!
//! Decides: nothing that a run would decide otherwise; the same scheduler runs under a virtual clock, with answers drawn
//! from what is usual. Can't know: how many mailboxes are gone and which domains accept any name, so its figures are
//! estimates. The DNS is asked as a run would; with `--offline` only domains that the policy knows have an operator.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::analyze::{AnalyzeOptions, Analyzer};
use super::duplicates::{self, DuplicateRows};
use super::engine::LOOKUPS;
use super::network::Network;
use super::routed_domain::RoutedDomain;
use super::{parallel, sockets};
use crate::address::{Address, Domain};
use crate::error::Error;
use crate::evidence::{AddressStatus, RouteFact};
use crate::list::{self, AddressHash, List, ListEntry, ReadOptions, RowBatch, Source};
use crate::policy::Policy;
use crate::report::{Forecast, ForecastRows, NotProbedCounts};
use crate::route::{self, Route};
use crate::schedule::MxHop;
use crate::settings::{NetworkTarget, RunDepth, Settings};
use crate::simulate::{self, GeneratedList, RealDomain, SimulationSetup};

/// What is to be planned.
#[derive(Debug)]
pub struct PlanJob {
    /// The list.
    pub source: Source,
    /// How it is read.
    pub reading: ReadOptions,
    /// How the world would be asked.
    pub settings: Settings,
}

/// Plans a run.
pub async fn plan(plan: &PlanJob) -> Result<Forecast, Error> {
    let settings = &plan.settings;
    let policy = settings.policy()?;
    let list = list::open(&plan.source, &plan.reading)?;
    let (rows, domains) = count(&list, policy)?;
    let mut not_asked = NotProbedCounts::default();
    let given: Vec<RealDomain> = match &settings.reach {
        RunDepth::Offline => {
            domains.into_iter().map(|domain| guess(domain, policy, &mut not_asked)).collect()
        }
        RunDepth::Dns(place) | RunDepth::Probe(place) => {
            look_up(domains, place, policy, &mut not_asked).await?
        }
    };
    let simulated = GeneratedList::from_domains(&given, 1)?;
    let setup = SimulationSetup {
        egresses: settings.ways_out,
        pace: settings.pace,
        max_wait: settings.max_wait,
        sockets: sockets::available(),
        seed: 1,
    };
    let simulated = Arc::new(simulated);
    let outcome = simulate::run(&simulated, &setup, None)
        .map_err(|source| Error::System { what: "simulate", source })?;
    let form = list.format();
    let looked_up = !matches!(settings.reach, RunDepth::Offline);
    Ok(Forecast::new(form.name.clone(), rows, not_asked, looked_up, &simulated, &outcome))
}

/// A domain of the list, with its different addresses.
struct Counted {
    domain: Domain,
    addresses: u32,
}

/// A row by its number, its key and its address; `None` where the row can't be read.
type Looked = Option<(u64, Option<AddressHash>, Option<Address>)>;

/// Reads the list: how many rows of which kind, and the domains in the order of their first address.
fn count(list: &List, policy: Policy) -> Result<(ForecastRows, Vec<Counted>), Error> {
    let how = AnalyzeOptions { lists: policy.lists, apply_suggestions: false };
    let mut repeats = DuplicateRows::of(list, how);
    let keys = repeats.keys();
    let mut rows = ForecastRows::default();
    let mut places: HashMap<Domain, usize> = HashMap::new();
    let mut domains: Vec<Counted> = Vec::new();
    let look = |analyzer: &mut Analyzer, batch: &RowBatch, looked: &mut Vec<Looked>| {
        looked.clear();
        looked.extend(batch.entries().map(|entry| match entry {
            ListEntry::Unreadable(_) => None,
            ListEntry::Row(row) => {
                let form = analyzer.analyze(row.address()).form;
                let key = form.address().map(|address| duplicates::key_of(&keys, address));
                let fine = if let AddressStatus::Valid(address) = form { Some(address) } else { None };
                Some((row.record, key, fine))
            }
        }));
        Ok(())
    };
    parallel::each(list, parallel::analyzers(how), look, |batch| {
        rows.rejected += batch.iter().filter(|row| row.is_none()).count() as u64;
        let read: Vec<_> = batch.drain(..).flatten().collect();
        let firsts = repeats.first_of(read.iter().map(|(record, key, _)| (*record, *key)))?;
        for ((_, key, fine), first) in read.into_iter().zip(firsts) {
            rows.rows += 1;
            rows.duplicates += u64::from(first.is_some());
            rows.not_addresses += u64::from(key.is_none());
            let domain = fine.filter(|_| first.is_none()).and_then(|address| address.domain().cloned());
            if let Some(domain) = domain {
                rows.addresses += 1;
                let place = *places.entry(domain.clone()).or_insert_with(|| {
                    domains.push(Counted { domain, addresses: 0 });
                    domains.len() - 1
                });
                domains[place].addresses += 1;
            }
        }
        Ok(())
    })?;
    rows.domains = domains.len() as u64;
    Ok((rows, domains))
}

/// Asks the DNS where the mail of all domains goes.
async fn look_up(
    domains: Vec<Counted>,
    place: &NetworkTarget,
    policy: Policy,
    not_asked: &mut NotProbedCounts,
) -> Result<Vec<RealDomain>, Error> {
    let network = Arc::new(Network::of(place)?);
    let mut given = vec![RealDomain { mx_hosts: Vec::new(), recipients: 0 }; domains.len()];
    let mut waiting = domains.into_iter().enumerate();
    let mut lookups: JoinSet<(usize, Counted, Route)> = JoinSet::new();
    loop {
        while lookups.len() < LOOKUPS {
            let Some((place, counted)) = waiting.next() else { break };
            let network = network.clone();
            lookups.spawn(async move {
                let route = route::resolve(&*network.dns, &counted.domain, &network.allowed).await;
                (place, counted, route)
            });
        }
        let Some(looked_up) = lookups.join_next().await else {
            return Ok(given);
        };
        // A lookup that failed inside leaves its rows out of the plan, as a run would.
        let Ok((place, Counted { domain, addresses }, route)) = looked_up else {
            continue;
        };
        let routed = RoutedDomain::new(&domain, route, &policy);
        let is_asked = routed.is_worth_probing();
        let count = match routed.fact {
            _ if is_asked => None,
            RouteFact::Hosts { .. } => Some(&mut not_asked.not_checkable),
            RouteFact::Failed(_) => Some(&mut not_asked.dns_failure),
            RouteFact::NullMx | RouteFact::Absent(_) | RouteFact::Unroutable => Some(&mut not_asked.no_mail),
        };
        if let Some(count) = count {
            *count += u64::from(addresses);
        }
        let stops = if is_asked { routed.mx_hosts } else { Vec::new() };
        given[place] = RealDomain { mx_hosts: stops, recipients: addresses };
    }
}

/// What can be said of a domain without the DNS: the operators of big domains are known, any other may have its own host.
fn guess(counted: Counted, policy: Policy, not_asked: &mut NotProbedCounts) -> RealDomain {
    let Counted { domain, addresses } = counted;
    let provider = policy.providers().of_domain(&domain).clone();
    if !provider.rcpt_is_evidence || policy.lists.kinds.is_disposable(&domain) {
        not_asked.not_checkable += u64::from(addresses);
        return RealDomain { mx_hosts: Vec::new(), recipients: addresses };
    }
    let nowhere = vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
    RealDomain { mx_hosts: vec![MxHop { host: domain, addresses: nowhere, provider }], recipients: addresses }
}
