//! A list that is given: real domains and their operators, with answers drawn from what is usual.
//!
//! Decides: nothing about any address; it only says how much there is to ask, so that a run can be planned. Can't know:
//! which mailboxes exist, who accepts any name and who puts newcomers off: `priors.toml` holds the guesses.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::list::{GeneratedHost, GeneratedList, HostId, ListedDomain, RandomStream};
use crate::address::Domain;
use crate::policy::PolicyError;
use crate::schedule::{MxHop, Scheduler};

/// The guesses.
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
pub struct ListToSimulate {
    /// Its exchangers, best first; none where nobody is to be asked.
    pub stops: Vec<MxHop>,
    /// Its different addresses.
    pub addresses: u32,
}

impl GeneratedList {
    /// The list of these domains. Fails only on the guesses that come with the program.
    pub fn given(domains: &[ListToSimulate], seed: u64) -> Result<GeneratedList, PolicyError> {
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
        for given in domains {
            let Some(stop) = given.stops.first() else { continue };
            let host = match host_of.entry(Scheduler::lane_key(&given.stops, stop)) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    let name = new.key().clone();
                    *new.insert(list.add_given(name, stop, priors))
                }
            };
            list.meet(host, stop);
            let id = list.domains.len() as u64;
            let catch_all = list.draw(RandomStream::CatchAll, id) < stop.provider.catch_all_share;
            let first = list.rows;
            list.rows += given.addresses;
            list.domains.push(ListedDomain { host, first, listed: given.addresses, catch_all, dead: false });
        }
        Ok(list)
    }

    fn add_given(&mut self, name: Arc<str>, stop: &MxHop, priors: Priors) -> HostId {
        let id = HostId::try_from(self.hosts.len()).unwrap_or(HostId::MAX);
        // A name of its own: several operators may share a host.
        let host = Domain::parse(&format!("mx.h{id}.test")).unwrap_or_else(|_| stop.host.clone());
        let greylists =
            !stop.provider.is_known() && self.draw(RandomStream::Temper, id.into()) < priors.greylists;
        self.hosts.push(GeneratedHost {
            name,
            provider: stop.provider.clone(),
            mx_hosts: vec![MxHop { host, addresses: Vec::new(), provider: stop.provider.clone() }],
            latency: Duration::from_millis(priors.latency_ms),
            think: Duration::from_millis(priors.think_ms),
            refuses: false,
            greylists,
        });
        id
    }

    /// Notes at which address a domain would be asked.
    fn meet(&mut self, host: HostId, stop: &MxHop) {
        /// More doors than this make no difference to a plan.
        const DOORS: usize = 64;
        let endpoints = &mut self.hosts[host as usize].mx_hosts[0].addresses;
        if let Some(address) = stop.addresses.first()
            && endpoints.len() < DOORS
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

    fn given(hosts: &[&str], addresses: u32) -> ListToSimulate {
        let stop = |name: &&str| {
            let host = Domain::parse(name).unwrap();
            let provider = Providers::built_in().of(&host).clone();
            MxHop { host, addresses: vec![[192, 0, 2, 1].into()], provider }
        };
        ListToSimulate { stops: hosts.iter().map(stop).collect(), addresses }
    }

    #[test]
    fn domains_of_one_operator_are_one_host() {
        let domains = [
            given(&["aspmx.l.google.com"], 3),
            given(&["mx.a.example", "mx.b.example"], 1),
            given(&["alt1.aspmx.l.google.com"], 2),
            given(&["mx.b.example", "mx.a.example"], 1),
            given(&[], 7),
        ];
        let list = GeneratedList::given(&domains, 1).unwrap();
        assert_eq!(list.rows, 7, "nobody is asked at a domain without exchangers");
        let hosts: Vec<u32> = list.domains.iter().map(|domain| domain.host).collect();
        assert_eq!(hosts, [0, 1, 0, 1]);
        assert_eq!(&*list.hosts[1].name, "mx.a.example mx.b.example");
    }
}
