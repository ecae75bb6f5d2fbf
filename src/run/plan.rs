//! The plan of a run: what it would probe, where, and how long that takes, without contacting any mail server.
//!
//! Decides: nothing that a run decides differently. The same scheduler runs under a virtual clock, with replies drawn from
//! usual rates. Can't know: how many mailboxes do not exist and which domains are catch-all, so its figures are estimates.
//! The DNS is asked as in a run; offline, only domains that the policy knows have a provider.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::analyze::{AnalyzeOptions, Analyzer};
use super::duplicates::DuplicateRows;
use super::engine::LOOKUPS;
use super::list_job::OpenedList;
use super::network::{Network, NetworkJob};
use super::parallel;
use super::routed_domain::RoutedDomain;
use crate::address::{Address, Domain};
use crate::error::Error;
use crate::evidence::{AddressStatus, RouteFact};
use crate::list::{AddressHash, List, ListEntry, RowBatch};
use crate::policy::Policy;
use crate::report::{Forecast, ForecastRows, NotProbedCounts};
use crate::route::{self, Route};
use crate::schedule::MxHop;
use crate::settings::Settings;
use crate::simulate::{self, GeneratedList, RealDomain, SimulationSetup};

/// Plans a run without any network.
pub(super) fn plan_offline(
    opened: &OpenedList,
    settings: &Settings,
    policy: Policy,
) -> Result<Forecast, Error> {
    let (rows, domains) = count(&opened.list, &opened.analyze_options(policy))?;
    let mut not_probed = NotProbedCounts::default();
    let routed: Vec<RealDomain> =
        domains.into_iter().map(|domain| guess(domain, policy, &mut not_probed)).collect();
    forecast(opened, settings, rows, &routed, not_probed, false)
}

/// Plans a run, with DNS look-ups.
pub(super) async fn plan(opened: &OpenedList, job: NetworkJob<'_>) -> Result<Forecast, Error> {
    let (rows, domains) = count(&opened.list, &opened.analyze_options(job.policy))?;
    let mut not_probed = NotProbedCounts::default();
    let routed = look_up(domains, job.network, job.policy, &mut not_probed).await?;
    forecast(opened, job.settings, rows, &routed, not_probed, true)
}

/// Simulates the run.
fn forecast(
    opened: &OpenedList,
    settings: &Settings,
    rows: ForecastRows,
    routed: &[RealDomain],
    not_probed: NotProbedCounts,
    is_looked_up: bool,
) -> Result<Forecast, Error> {
    let setup = SimulationSetup {
        egresses: settings.egress_count,
        pace: settings.pace,
        max_wait: settings.max_wait,
        confirm: settings.confirm,
        sockets: settings.connections,
        seed: 1,
    };
    let simulated = Arc::new(GeneratedList::from_domains(routed, 1)?);
    let outcome = simulate::run(&simulated, &setup, None)
        .map_err(|source| Error::System { what: "simulate", source })?;
    let name = opened.list.format().name.clone();
    Ok(Forecast::new(name, rows, not_probed, is_looked_up, &simulated, &outcome))
}

/// A domain of the list, and how many distinct addresses it has.
struct ListedDomain {
    domain: Domain,
    addresses: u32,
}

/// What counts of a row.
struct AnalyzedRow {
    record: u64,
    /// The hash of its address.
    key: Option<AddressHash>,
    /// The address, if it can be probed.
    valid: Option<Address>,
    /// The user's own lists exclude it.
    is_excluded: bool,
}

/// Reads the list: how many rows of each kind, and the domains in the order of their first address.
fn count(list: &List, how: &AnalyzeOptions) -> Result<(ForecastRows, Vec<ListedDomain>), Error> {
    let mut duplicate_rows = DuplicateRows::of(list, how.clone());
    let keys = duplicate_rows.keys();
    let mut rows = ForecastRows::default();
    let mut indexes: HashMap<Domain, usize> = HashMap::new();
    let mut domains: Vec<ListedDomain> = Vec::new();
    let look = |analyzer: &mut Analyzer, batch: &RowBatch, analyzed: &mut Vec<Option<AnalyzedRow>>| {
        analyzed.clear();
        analyzed.extend(batch.entries().filter_map(|entry| match entry {
            // A further address in a cell is no row.
            ListEntry::Unreadable(row) => row.is_row().then_some(None),
            ListEntry::Row(row) => {
                let form = analyzer.analyze(row.address()).form;
                let key = form.listed_address().map(|address| keys.of(address));
                let is_excluded = matches!(form, AddressStatus::Excluded(_));
                let valid = if let AddressStatus::Valid(address) = form { Some(address) } else { None };
                Some(Some(AnalyzedRow { record: row.record, key, valid, is_excluded }))
            }
        }));
        Ok(())
    };
    parallel::each(list, parallel::analyzers(how), look, |batch| {
        rows.rejected += batch.iter().filter(|row| row.is_none()).count() as u64;
        let read: Vec<AnalyzedRow> = batch.drain(..).flatten().collect();
        let firsts = duplicate_rows.first_of(read.iter().map(|row| (row.record, row.key)))?;
        for (AnalyzedRow { key, valid, is_excluded, .. }, first) in read.into_iter().zip(firsts) {
            rows.rows += 1;
            rows.duplicates += u64::from(first.is_some());
            rows.not_addresses += u64::from(key.is_none());
            rows.excluded += u64::from(is_excluded && first.is_none());
            let domain = valid.filter(|_| first.is_none()).and_then(|address| address.domain().cloned());
            if let Some(domain) = domain {
                rows.addresses += 1;
                let index = *indexes.entry(domain.clone()).or_insert_with(|| {
                    domains.push(ListedDomain { domain, addresses: 0 });
                    domains.len() - 1
                });
                domains[index].addresses += 1;
            }
        }
        Ok(())
    })?;
    rows.domains = domains.len() as u64;
    Ok((rows, domains))
}

/// Looks up the routes of all domains.
async fn look_up(
    domains: Vec<ListedDomain>,
    network: Network,
    policy: Policy,
    not_probed: &mut NotProbedCounts,
) -> Result<Vec<RealDomain>, Error> {
    let network = Arc::new(network);
    let mut routed = vec![RealDomain { mx_hosts: Vec::new(), recipients: 0 }; domains.len()];
    let mut waiting = domains.into_iter().enumerate();
    let mut lookups: JoinSet<(usize, ListedDomain, Route)> = JoinSet::new();
    loop {
        while lookups.len() < LOOKUPS {
            let Some((index, listed)) = waiting.next() else { break };
            let network = network.clone();
            lookups.spawn(async move {
                let resolved = route::resolve(&*network.dns, &listed.domain, &network.allowed).await;
                (index, listed, resolved.route)
            });
        }
        let Some(looked_up) = lookups.join_next().await else {
            return Ok(routed);
        };
        // A look-up that panicked leaves its rows out of the plan, as in a run.
        let Ok((index, ListedDomain { domain, addresses }, route)) = looked_up else {
            continue;
        };
        let domain = RoutedDomain::new(&domain, route, &policy);
        let is_probed = domain.is_worth_probing();
        let count = match domain.fact {
            _ if is_probed => None,
            RouteFact::Hosts { .. } => Some(&mut not_probed.not_checkable),
            RouteFact::Failed(_) => Some(&mut not_probed.dns_failure),
            RouteFact::NullMx | RouteFact::Absent(_) | RouteFact::Unroutable => Some(&mut not_probed.no_mail),
        };
        if let Some(count) = count {
            *count += u64::from(addresses);
        }
        let mx_hosts = if is_probed { domain.mx_hosts } else { Vec::new() };
        routed[index] = RealDomain { mx_hosts, recipients: addresses };
    }
}

/// The route of a domain without DNS: the policy knows the providers of large domains, and any other domain counts as one
/// with a host of its own.
fn guess(listed: ListedDomain, policy: Policy, not_probed: &mut NotProbedCounts) -> RealDomain {
    let ListedDomain { domain, addresses } = listed;
    let provider = policy.providers().of_domain(&domain).clone();
    if !provider.rcpt_is_evidence || policy.lists.kinds.is_disposable(&domain) {
        not_probed.not_checkable += u64::from(addresses);
        return RealDomain { mx_hosts: Vec::new(), recipients: addresses };
    }
    let unspecified = vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
    RealDomain {
        mx_hosts: vec![MxHop { host: domain, addresses: unspecified, provider }],
        recipients: addresses,
    }
}
