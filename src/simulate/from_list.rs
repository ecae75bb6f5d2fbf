//! A real list as the list of a simulation: its domains and their providers, with replies drawn from assumptions.
//!
//! Decides: how much there is to probe, so that a run can be planned; nothing about any address. Can't know: which
//! mailboxes exist, which domains are catch-alls, and which hosts greylist. `priors.toml` holds the assumptions.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::list::{GeneratedHost, GeneratedList, HostId, ListedDomain, RandomStream};
use crate::address::Domain;
use crate::policy::PolicyError;
use crate::schedule::{MxHop, Scheduler};

/// The assumptions.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Priors {
    unknown: f64,
    greylists: f64,
    wait_s: u64,
    latency_ms: u64,
    think_ms: u64,
    dns_per_second: f64,
}

/// A domain of a real list.
#[derive(Clone, Debug)]
pub struct RealDomain {
    /// Its MX hosts, best first; none if no recipient is probed.
    pub mx_hosts: Vec<MxHop>,
    /// The number of its different recipients.
    pub recipients: u32,
}

impl GeneratedList {
    /// The list of these domains. Fails only if the shipped assumptions are wrong.
    pub fn from_domains(domains: &[RealDomain], seed: u64) -> Result<GeneratedList, PolicyError> {
        let text = include_str!("priors.toml");
        let priors: Priors =
            toml::from_str(text).map_err(|fault| PolicyError::toml("priors.toml", text, &fault))?;
        let mut list = GeneratedList {
            seed,
            unknown: priors.unknown,
            rows: 0,
            domains: Vec::with_capacity(domains.len()),
            hosts: Vec::new(),
            wait: Duration::from_secs(priors.wait_s),
            dns_per_second: priors.dns_per_second,
        };
        let mut host_of: HashMap<Arc<str>, HostId> = HashMap::new();
        for domain in domains {
            let Some(mx_hop) = domain.mx_hosts.first() else { continue };
            let host = match host_of.entry(Scheduler::lane_key(&domain.mx_hosts, mx_hop)) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    let name = new.key().clone();
                    *new.insert(list.add_from_mx(name, mx_hop, priors))
                }
            };
            list.add_endpoint(host, mx_hop);
            let id = list.domains.len() as u64;
            let catch_all = list.draw(RandomStream::CatchAll, id) < mx_hop.provider.catch_all_share;
            let first = list.rows;
            list.rows += domain.recipients;
            let recipients = domain.recipients;
            list.domains.push(ListedDomain { host, first, recipients, catch_all, dead: false });
        }
        Ok(list)
    }

    fn add_from_mx(&mut self, name: Arc<str>, mx_hop: &MxHop, priors: Priors) -> HostId {
        let id = HostId::try_from(self.hosts.len()).unwrap_or(HostId::MAX);
        // Each provider gets an MX host of its own, because several providers may share a real one.
        let host = Domain::parse(&format!("mx.h{id}.test")).unwrap_or_else(|_| mx_hop.host.clone());
        let greylists = !mx_hop.provider.is_known()
            && self.draw(RandomStream::HostBehavior, id.into()) < priors.greylists;
        self.hosts.push(GeneratedHost {
            name,
            provider: mx_hop.provider.clone(),
            mx_hosts: vec![MxHop { host, addresses: Vec::new(), provider: mx_hop.provider.clone() }],
            latency: Duration::from_millis(priors.latency_ms),
            think: Duration::from_millis(priors.think_ms),
            rejects_us: false,
            greylists,
        });
        id
    }

    /// Adds the IP address at which a domain would be probed.
    fn add_endpoint(&mut self, host: HostId, mx_hop: &MxHop) {
        /// More endpoints make no difference to a plan.
        const MAX_ENDPOINTS: usize = 64;
        let endpoints = &mut self.hosts[host as usize].mx_hosts[0].addresses;
        if let Some(address) = mx_hop.addresses.first()
            && endpoints.len() < MAX_ENDPOINTS
            && !endpoints.contains(address)
        {
            endpoints.push(*address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Providers;

    fn domain(hosts: &[&str], recipients: u32) -> RealDomain {
        let mx_hop = |name: &&str| {
            let host = Domain::parse(name).unwrap();
            let provider = Providers::built_in().of(&host).clone();
            MxHop { host, addresses: vec![[192, 0, 2, 1].into()], provider }
        };
        RealDomain { mx_hosts: hosts.iter().map(mx_hop).collect(), recipients }
    }

    #[test]
    fn domains_of_one_provider_have_one_host() {
        let domains = [
            domain(&["aspmx.l.google.com"], 3),
            domain(&["mx.a.example", "mx.b.example"], 1),
            domain(&["alt1.aspmx.l.google.com"], 2),
            domain(&["mx.b.example", "mx.a.example"], 1),
            domain(&[], 7),
        ];
        let list = GeneratedList::from_domains(&domains, 1).unwrap();
        assert_eq!(list.rows, 7, "no recipient is probed at a domain without MX hosts");
        let hosts: Vec<u32> = list.domains.iter().map(|domain| domain.host).collect();
        assert_eq!(hosts, [0, 1, 0, 1]);
        assert_eq!(&*list.hosts[1].name, "mx.a.example mx.b.example");
    }
}
