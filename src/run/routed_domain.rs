//! A domain with its route, by the current policy: the providers of its MX hosts, and whether its recipients are worth
//! probing.
//!
//! Decides: which domains are not probed, which MX hosts receive no mail by their names alone, and how long a look-up may be used again. Must not: look anything up.

use std::sync::Arc;
use std::time::SystemTime;

use crate::address::Domain;
use crate::evidence::RouteFact;
use crate::policy::{Lifetimes, Policy};
use crate::reason::Finding;
use crate::route::{MxHost, NoMailReason, Route};
use crate::schedule::{MxHop, Scheduler};
use crate::state::FreshnessPolicy;

/// A domain whose route is known.
pub(super) struct RoutedDomain {
    /// The route as a verdict needs it.
    pub(super) fact: RouteFact,
    /// The MX hosts, best first, each with its provider; none where no mail is accepted.
    pub(super) mx_hosts: Vec<MxHop>,
    /// The domain or one of its MX hosts belongs to a disposable address service; `None` if a list says so of the domain,
    /// and its provider makes that improbable.
    pub(super) is_disposable: Option<bool>,
}

impl RoutedDomain {
    pub(super) fn new(domain: &Domain, route: Route, policy: &Policy) -> RoutedDomain {
        let kinds = &policy.lists.kinds;
        let mut mx_hosts = Vec::new();
        let fact = match route {
            Route::Hosts(hosts) if hosts.iter().all(|mx_host| kinds.is_sinkhole_mx(&mx_host.host)) => {
                RouteFact::Unroutable
            }
            Route::Hosts(hosts) => {
                mx_hosts = hosts.into_iter().map(|mx_host| with_provider(mx_host, policy)).collect();
                let first = mx_hosts.first().map(|mx_host| &mx_host.provider);
                RouteFact::Hosts {
                    provider: first.map(|provider| provider.id.clone()).unwrap_or_default(),
                    is_checkable: first.is_none_or(|provider| provider.rcpt_is_evidence),
                }
            }
            Route::NullMx => RouteFact::NullMx,
            Route::Absent(reason) => RouteFact::Absent(reason),
            Route::Unroutable(_) => RouteFact::Unroutable,
            Route::Failed(fault) => RouteFact::Failed(fault),
        };
        let has_disposable_host = mx_hosts.iter().any(|mx_host| kinds.is_disposable_mx(&mx_host.host));
        let is_paid = mx_hosts.first().is_some_and(|first| first.provider.has_paid_mailboxes);
        let is_disposable = match (has_disposable_host, kinds.is_disposable(domain)) {
            (true, _) => Some(true),
            (false, true) if is_paid && !kinds.is_disposable_by_user(domain) => None,
            (false, is_listed) => Some(is_listed),
        };
        RoutedDomain { fact, mx_hosts, is_disposable }
    }

    /// False where a probe would show nothing: no MX host, a provider whose replies to `RCPT` are no evidence, or
    /// disposable addresses.
    pub(super) fn is_worth_probing(&self) -> bool {
        matches!(self.fact, RouteFact::Hosts { is_checkable: true, .. }) && self.is_disposable != Some(true)
    }

    /// The key of the lane that probes the domain, which is that of its best MX host.
    pub(super) fn lane_key(&self) -> Option<Arc<str>> {
        self.mx_hosts.first().map(|first| Scheduler::lane_key(&self.mx_hosts, first))
    }

    /// True if a stored route may be used again: for connections to its MX hosts as long as its TTL, otherwise as long as a
    /// result that rests on it. A failed look-up never is.
    pub(super) fn is_fresh(
        &self,
        looked_up: SystemTime,
        valid_until: Option<SystemTime>,
        lifetimes: &Lifetimes,
        fresh: FreshnessPolicy,
    ) -> bool {
        let lifetime = match self.fact {
            RouteFact::Hosts { .. } => valid_until
                .and_then(|until| until.duration_since(looked_up).ok())
                .map(|ttl| ttl.min(lifetimes.route)),
            RouteFact::NullMx => lifetimes.of(Finding::NullMx.into()),
            RouteFact::Absent(NoMailReason::NoSuchDomain) => lifetimes.of(Finding::DomainNotFound.into()),
            RouteFact::Absent(NoMailReason::NoMailHost) => lifetimes.of(Finding::NoMailHost.into()),
            RouteFact::Unroutable => lifetimes.of(Finding::MxUnroutable.into()),
            RouteFact::Failed(_) => None,
        };
        fresh.includes(looked_up) && lifetime.is_some_and(|lifetime| looked_up + lifetime > fresh.at)
    }
}

fn with_provider(mx_host: MxHost, policy: &Policy) -> MxHop {
    let MxHost { host, addresses, .. } = mx_host;
    MxHop { provider: policy.providers().of(&host).clone(), host, addresses }
}
