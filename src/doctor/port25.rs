//! The checks that need connections: port 25, the address that receivers see, and what stands between.
//!
//! Decides: when port 25 counts as closed, which address the others see, and when one host seems to answer for all. One
//! connection to each host.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::answer::ask;
use super::check::{CheckStatus, Finding};
use super::together::join_all;
use super::visit::{Visit, VisitResult, VisitedHost, Visitor};
use crate::address::Domain;
use crate::policy::{Policy, Port25Thresholds};
use crate::route::{AllowedNets, Dns, DnsRecord, RecordType};
use crate::smtp::EgressPath;

/// What the visits found out about one family of addresses.
pub(super) struct Reachability {
    pub(super) visits: Vec<Visit>,
    /// Addresses without a route.
    pub(super) unrouted: usize,
}

impl Reachability {
    /// Nothing was visited.
    pub(super) fn none() -> Reachability {
        Reachability { visits: Vec::new(), unrouted: 0 }
    }

    /// Adds what later visits found out.
    pub(super) fn add(&mut self, later: Reachability) {
        self.visits.extend(later.visits);
        self.unrouted += later.unrouted;
    }

    pub(super) fn is_open(&self) -> bool {
        self.visits
            .iter()
            .any(|visit| matches!(visit.result, VisitResult::Greeted | VisitResult::Rejected(_)))
    }
}

/// The MX hosts of a domain with all addresses that may be connected to, and what failed.
pub(super) async fn hosts_of(
    dns: &dyn Dns,
    domain: &str,
    allowed: &AllowedNets,
) -> (Vec<VisitedHost>, Vec<String>) {
    let mx = ask(dns, domain, RecordType::Mx).await;
    let mut failures: Vec<String> = mx.failure.into_iter().collect();
    let mut names: Vec<(u16, String)> = mx
        .records
        .iter()
        .filter_map(|record| match record {
            DnsRecord::Mx(preference, host) if !host.is_empty() => Some((*preference, host.clone())),
            _ => None,
        })
        .collect();
    names.sort();
    if mx.records.is_empty() && failures.is_empty() {
        names.push((0, domain.to_owned()));
    }
    let mut hosts = Vec::new();
    for (_, name) in names {
        let Ok(host) = Domain::from_dns(&name) else { continue };
        let (v4, v6) = tokio::join!(ask(dns, &name, RecordType::A), ask(dns, &name, RecordType::Aaaa));
        failures.extend(v4.failure.clone().into_iter().chain(v6.failure.clone()));
        let addresses = v4.addresses().chain(v6.addresses()).filter(|address| allowed.may_connect(*address));
        hosts.extend(addresses.map(|address| VisitedHost { host: host.clone(), address }));
    }
    (hosts, failures)
}

/// The port that is tried.
#[derive(Clone, Copy)]
pub(super) struct TriedPort<'a> {
    pub(super) thresholds: Port25Thresholds,
    pub(super) port: u16,
    /// The domain of the hosts, if they are all of the sender's own domain.
    pub(super) own_domain: Option<&'a str>,
}

/// The first address of each family of each host, for at most so many hosts: of different providers, or where all are
/// `of_one_domain`, of different names.
pub(crate) fn chosen(
    hosts: Vec<VisitedHost>,
    most: usize,
    policy: Policy,
    of_one_domain: bool,
) -> Vec<VisitedHost> {
    let mut providers: Vec<(String, String)> = Vec::new();
    let mut chosen: Vec<VisitedHost> = Vec::new();
    for candidate in hosts {
        let name = candidate.host.as_str();
        let registered = candidate.host.registrable().unwrap_or(name);
        let provider = policy.providers().id_of(name).unwrap_or(registered);
        let provider = if of_one_domain { name } else { provider }.to_owned();
        let is_new = |providers: &[(String, String)]| providers.iter().all(|(known, _)| *known != provider);
        if is_new(&providers) && providers.len() < most {
            providers.push((provider.clone(), name.to_owned()));
        }
        let is_chosen_host = providers.iter().any(|(known, host)| *known == provider && host == name);
        let has_family = chosen.iter().any(|other| {
            other.host == candidate.host && other.address.is_ipv4() == candidate.address.is_ipv4()
        });
        let is_known_address = chosen.iter().any(|other| other.address == candidate.address);
        if is_chosen_host && !has_family && !is_known_address {
            chosen.push(candidate);
        }
    }
    chosen
}

/// Visits all hosts of one family together.
pub(super) async fn visit_all(visitor: Visitor<'_>, hosts: &[VisitedHost], is_ipv4: bool) -> Reachability {
    let mut unrouted = 0;
    let mut visits = Vec::new();
    for to in hosts.iter().filter(|host| host.address.is_ipv4() == is_ipv4) {
        let is_direct = matches!(visitor.path, EgressPath::Direct(_));
        if is_direct && visitor.connect.source_toward(to.address).is_none() {
            unrouted += 1;
        } else {
            let to = to.clone();
            visits.push(Box::pin(async move { visitor.visit(to, &[]).await }));
        }
    }
    Reachability { visits: join_all(visits).await, unrouted }
}

/// Port 25 lets connections out.
pub(super) fn port_25(found: &Reachability, tried: TriedPort<'_>, family: &str) -> Finding {
    let Reachability { visits, unrouted } = found;
    let TriedPort { thresholds, port, own_domain } = tried;
    let reached = visits.iter().filter(|visit| !matches!(visit.result, VisitResult::Unreachable(_))).count();
    let count = visits.len();
    if count == 0 {
        let sentence = match unrouted {
            0 => format!("No mail server with an {family} address is known to try port {port} at."),
            _ => format!("This machine has no route by {family}."),
        };
        return Finding::new(CheckStatus::CouldNotConfirm, sentence)
            .fix("Name hosts to try it at: --list contacts.csv, or --mail-from ADDR.");
    }
    let lines = visits.iter().map(Visit::line);
    if found.is_open() {
        let sentence = format!("Port {port} is open by {family}: {reached} of {count} mail servers answer.");
        return Finding::new(CheckStatus::Pass, sentence).details(lines);
    }
    let different: BTreeSet<IpAddr> = visits.iter().map(|visit| visit.to.address).collect();
    let is_enough = different.len() >= thresholds.unreachable;
    let (status, sentence) = match (reached, own_domain) {
        (0, _) if is_enough => (
            CheckStatus::Fail,
            format!("Port {port} is closed by {family}: none of {count} mail servers can be reached."),
        ),
        (0, Some(domain)) => (
            CheckStatus::Fail,
            format!(
                "No MX host of {domain} can be reached at port {port} by {family}: the port is closed for outgoing connections, or they are down."
            ),
        ),
        (0, None) => (
            CheckStatus::CouldNotConfirm,
            format!(
                "No connection to port {port} by {family}; with {count} mail servers it may also be they that are down."
            ),
        ),
        (_, _) if is_enough => (
            CheckStatus::Fail,
            format!(
                "Connections to port {port} open by {family}, but none of {count} mail servers greets: something between answers."
            ),
        ),
        (_, _) => (
            CheckStatus::CouldNotConfirm,
            format!("Connections to port {port} open by {family}, but no mail server greets."),
        ),
    };
    Finding::new(status, sentence).details(lines).fix(
        "Ask the network's owner or the hosting provider to open port 25 for outgoing connections, or use another egress: \
         --source-ip ADDR or --proxy socks5://HOST:PORT. Ports 587 and 465 are no substitute: they are for one's own \
         provider.",
    )
}

/// The address that the most servers echo; none if none does.
pub(super) fn echoed(visits: &[Visit], is_ipv4: bool) -> Option<IpAddr> {
    let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for address in visits.iter().filter_map(Visit::echoed_address).filter(|ip| ip.is_ipv4() == is_ipv4) {
        *counts.entry(address).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(address, _)| address)
}

/// The address that receivers see, compared with the one that connections leave from.
pub(super) fn egress(own: Option<IpAddr>, seen: Option<IpAddr>, visits: &[Visit]) -> Finding {
    let echoes = visits
        .iter()
        .filter_map(|visit| Some(format!("{} sees {}", visit.to.host, visit.echoed_address()?)))
        .collect::<Vec<_>>();
    let finding = match (own, seen) {
        (Some(own), Some(seen)) if own == seen => {
            Finding::new(CheckStatus::Pass, format!("Receivers see {seen}, the address of this machine."))
        }
        (Some(own), Some(seen)) => Finding::new(
            CheckStatus::Warn,
            format!("Receivers see {seen}, not {own}: there is a NAT or a proxy between."),
        )
        .fix(format!("Set the PTR record, SPF and the address of the HELO name for {seen}; others behind it share its reputation.")),
        (None, Some(seen)) => Finding::new(CheckStatus::Pass, format!("Receivers see {seen}.")),
        (Some(own), None) if !AllowedNets::is_internal(own) => Finding::new(
            CheckStatus::Pass,
            format!("Connections leave from {own}; no server showed another address."),
        ),
        (Some(own), None) => Finding::new(
            CheckStatus::CouldNotConfirm,
            format!("Connections leave from {own}, which is an address of an inner network; no server showed which one receivers see."),
        )
        .fix("Name the outer address with --source-ip ADDR."),
        (None, None) => {
            Finding::new(CheckStatus::CouldNotConfirm, "The address that receivers see is not known.")
                .fix("Name it with --source-ip ADDR.")
        }
    };
    finding.details(echoes)
}

/// Nothing answers in place of the mail servers.
pub(super) fn path(visits: &[Visit], policy: Policy) -> Finding {
    let greeted: Vec<&Visit> = visits.iter().filter(|visit| visit.greeting_name().is_some()).collect();
    let hosts: BTreeSet<&str> =
        greeted.iter().map(|visit| visit.to.host.registrable().unwrap_or(visit.to.host.as_str())).collect();
    let addresses: BTreeSet<IpAddr> = greeted.iter().map(|visit| visit.to.address).collect();
    let names: BTreeSet<String> =
        greeted.iter().filter_map(|visit| visit.greeting_name()).map(str::to_ascii_lowercase).collect();
    if hosts.len() < 2 || addresses.len() < 2 {
        return Finding::new(
            CheckStatus::CouldNotConfirm,
            "Fewer than two different mail servers greeted, so nothing can be compared.",
        );
    }
    let is_hidden = names.iter().all(|name| name.starts_with('*'));
    let is_one = names.len() == 1 && !names.iter().any(|name| policy.providers().id_of(name).is_some());
    let lines = greeted.iter().map(|visit| visit.line()).collect::<Vec<_>>();
    match (is_hidden, is_one, names.first()) {
        (true, ..) => Finding::new(
            CheckStatus::Warn,
            "The greetings are overwritten with asterisks: a firewall changes the dialogue.",
        )
        .fix("Turn off the inspection of SMTP (Cisco: `no fixup protocol smtp`, `no inspect esmtp`).")
        .details(lines),
        (false, true, Some(name)) => Finding::new(
            CheckStatus::Warn,
            format!("{} mail servers of different owners greet as {name}: something between seems to answer for them.", greeted.len()),
        )
        .fix("Look for a transparent SMTP proxy: a firewall, a virus scanner, or the network of the provider.")
        .details(lines),
        _ => Finding::new(CheckStatus::Pass, format!("{} mail servers greet with names of their own.", greeted.len())),
    }
}
