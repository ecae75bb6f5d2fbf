//! The checks before a run: the cheap part of all checks that shows that a run would find out little.
//!
//! Decides: what is checked. The HELO name has an address record, port 25 is open, and no blocklist that matters has the address
//! of the egress. As few hosts as possible are visited: one, and the others only if that one does not answer.

use std::net::IpAddr;

use super::catalog::{HELO, LISTED, PORT, PORT_IPV6, of};
use super::check::{Check, CheckStatus};
use super::checks::SenderChecks;
use super::egress::CheckedEgress;
use super::host;
use super::listed::Listed;
use super::port25::{self, Reachability, TriedPort};
use super::together::{join_all, within};
use super::visit::Visit;
use crate::address::Domain;
use crate::route::{AllowedNets, LookupError, RecordType};

/// What a preflight leaves out in a lab.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LabExemptions {
    /// The mail servers are at another port than that of the Internet, so nothing follows about it.
    pub(crate) has_own_port: bool,
    /// The name servers are not those of the Internet, and may know nothing of the sender.
    pub(crate) has_own_dns: bool,
}

impl SenderChecks<'_> {
    /// Makes the checks before a run from this egress over recipients at these domains.
    pub(crate) async fn preflight(
        &self,
        egress: &CheckedEgress,
        domains: &[Domain],
        lab: LabExemptions,
    ) -> Vec<Check> {
        let time = self.policy.sender().lookup_time();
        let helo = async {
            let mut finding = within(time, host::helo(self.dns, egress.helo.as_deref(), None)).await;
            if finding.status == CheckStatus::Fail && lab.has_own_dns && !self.knows_parent(egress).await {
                finding.status = CheckStatus::CouldNotConfirm;
            }
            finding
        };
        let (helo, visited) = tokio::join!(helo, async {
            if lab.has_own_port { None } else { self.try_port(egress, domains).await }
        });
        let mut checks = vec![of(helo, HELO)];
        let mut visits: Vec<Visit> = Vec::new();
        if let Some([v4, v6]) = visited {
            let tried =
                TriedPort { thresholds: self.policy.sender().port_25, port: self.port, own_domain: None };
            let is_open = v4.is_open() || v6.is_open();
            for (found, family, named) in [(&v4, "IPv4", PORT), (&v6, "IPv6", PORT_IPV6)] {
                let finding = port25::port_25(found, tried, family);
                // A run goes on by the other family.
                let is_excused = is_open && finding.status == CheckStatus::Fail;
                if !found.visits.is_empty() && !is_excused {
                    checks.push(of(finding, named));
                }
            }
            visits.extend(v4.visits.into_iter().chain(v6.visits));
        }
        if let Some(ip) = self.known_address(egress, &visits) {
            let lists = self.of_lists(Listed::Address(ip), LISTED).await;
            checks.extend(lists);
        }
        checks
    }

    /// True if the name servers know the registered domain of the HELO name.
    async fn knows_parent(&self, egress: &CheckedEgress) -> bool {
        let Some(helo) = egress.helo.as_deref().and_then(|text| Domain::parse(text).ok()) else {
            return true;
        };
        let parent = helo.registrable().unwrap_or(helo.as_str());
        !matches!(self.dns.records(parent, RecordType::A).await, Err(LookupError::NoSuchDomain))
    }

    /// Visits MX hosts of these domains, IPv4 and IPv6; `None` where there is none to visit.
    async fn try_port(&self, egress: &CheckedEgress, domains: &[Domain]) -> Option<[Reachability; 2]> {
        let visitor = self.visitor(egress)?;
        let visitor = visitor.of();
        let time = self.policy.sender().lookup_time();
        let found = domains.iter().map(|domain| {
            let hosts = port25::hosts_of(self.dns, domain.as_str(), self.allowed);
            Box::pin(async move { tokio::time::timeout(time, hosts).await.unwrap_or_default().0 })
        });
        let found: Vec<_> = join_all(found.collect()).await.into_iter().flatten().collect();
        let hosts = port25::chosen(found, self.policy.sender().port_25.hosts, self.policy, false);
        let (first, others) = hosts.split_at(1.min(hosts.len()));
        let mut all = [Reachability::none(), Reachability::none()];
        for hosts in [first, others] {
            for (all, is_ipv4) in all.iter_mut().zip([true, false]) {
                all.add(port25::visit_all(visitor, hosts, is_ipv4).await);
            }
            if all.iter().any(Reachability::is_open) {
                break;
            }
        }
        Some(all)
    }

    /// The address of the egress, as far as it is known without asking more hosts.
    fn known_address(&self, egress: &CheckedEgress, visits: &[Visit]) -> Option<IpAddr> {
        let seen = port25::echoed(visits, true).or_else(|| port25::echoed(visits, false));
        let own = egress.address.or_else(|| self.connect?.source_toward(visits.first()?.to.address));
        seen.or(own).filter(|ip| !AllowedNets::is_internal(*ip))
    }
}
