//! Where a domain's mail goes, as a run sees it: by the policy of the day, and as long as that is fresh.
//!
//! Decides: whether mailboxes there are worth asking about, and how long a look-up is used again. Must not: look anything up.

use std::time::SystemTime;

use crate::address::Domain;
use crate::evidence::RouteFact;
use crate::policy::{Lifetimes, Policy};
use crate::reason::Finding;
use crate::route::{NoMailReason, Route};
use crate::schedule::MxHop;
use crate::state::FreshnessPolicy;

/// A route as a verdict needs it, and the stops on it.
pub(super) fn stops(route: Route, policy: &Policy) -> (RouteFact, Vec<MxHop>) {
    let fact = match route {
        Route::Hosts(mx_hosts) => {
            let stops: Vec<MxHop> = mx_hosts
                .into_iter()
                .map(|mx_host| MxHop {
                    provider: policy.providers().of(&mx_host.host).clone(),
                    host: mx_host.host,
                    addresses: mx_host.addresses,
                })
                .collect();
            let first = stops.first().map(|stop| &stop.provider);
            let provider = first.map(|provider| provider.id.clone()).unwrap_or_default();
            let is_checkable = first.is_none_or(|provider| provider.rcpt_is_evidence);
            return (RouteFact::Hosts { provider, is_checkable }, stops);
        }
        Route::NullMx => RouteFact::NullMx,
        Route::Absent(absence) => RouteFact::Absent(absence),
        Route::Unroutable(_) => RouteFact::Unroutable,
        Route::Failed(fault) => RouteFact::Failed(fault),
    };
    (fact, Vec::new())
}

/// Does a domain's mail go to a throw-away service?
pub(super) fn is_disposable(domain: &Domain, stops: &[MxHop], policy: &Policy) -> bool {
    let kinds = &policy.lists.kinds;
    kinds.is_disposable(domain) || stops.iter().any(|stop| kinds.is_disposable_mx(&stop.host))
}

/// Are a domain's mailboxes worth asking about?
pub(super) fn is_worth_asking(domain: &Domain, route: &RouteFact, stops: &[MxHop], policy: &Policy) -> bool {
    matches!(route, RouteFact::Hosts { is_checkable: true, .. }) && !is_disposable(domain, stops, policy)
}

/// May a route that was looked up at that time be used again? One that is no answer may not.
pub(super) fn is_fresh(
    route: &RouteFact,
    at: SystemTime,
    lifetimes: &Lifetimes,
    fresh: FreshnessPolicy,
) -> bool {
    let lifetime = match route {
        RouteFact::Hosts { .. } => Some(lifetimes.route),
        RouteFact::NullMx => lifetimes.of(Finding::NullMx.into()),
        RouteFact::Absent(NoMailReason::NoSuchDomain) => lifetimes.of(Finding::DomainNotFound.into()),
        RouteFact::Absent(NoMailReason::NoMailHost) => lifetimes.of(Finding::NoMailHost.into()),
        RouteFact::Unroutable => lifetimes.of(Finding::MxUnroutable.into()),
        RouteFact::Failed(_) => None,
    };
    at >= fresh.since && lifetime.is_some_and(|lifetime| at + lifetime > fresh.at)
}
