//! What a run found out, kept by address and domain, and put together into the evidence of a row.

use std::collections::HashMap;
use std::sync::Arc;

use super::intake::Seen;
use super::roster::Roster;
use crate::address::Domain;
use crate::address::typo::Certainty;
use crate::policy::Providers;
use crate::policy::lists::Lists;
use crate::probe::inquiry::Target;
use crate::reason::{Cause, Fault};
use crate::route::Route;
use crate::schedule::{Scheduler, Shut, Stop};
use crate::verdict::Confidence;
use crate::verdict::evidence::{Attempt, Evidence, Form, Inquired, RouteFact, Slip, Unprobed};

/// Everything that was found out.
#[derive(Debug, Default)]
pub struct Found {
    domains: HashMap<Domain, DomainFacts>,
    inquired: HashMap<Target, Inquired>,
    /// Domains, two at most, for which an exchanger gave a clear answer: it serves them.
    served: HashMap<Domain, Vec<Domain>>,
    /// Why mailboxes were not asked about, where that holds for the whole run.
    pub unprobed: Option<Unprobed>,
    /// Set when nothing that servers said may be judged.
    pub shut: Option<Shut>,
}

#[derive(Debug)]
struct DomainFacts {
    route: RouteFact,
    /// Names of its exchangers.
    hosts: Vec<Domain>,
    /// What its lane is keyed by, where it was asked.
    lane: Option<Arc<str>>,
    /// Its mail goes to a throw-away service.
    disposable: bool,
    /// At its operator too many mailboxes vanished at once.
    anomaly: bool,
}

impl Found {
    /// Nothing yet. Whoever is left without a word of its own at the end was not asked for this reason.
    pub fn nothing(unprobed: Unprobed) -> Found {
        Found { unprobed: Some(unprobed), ..Found::default() }
    }

    /// Notes where a domain's mail goes. The stops are there when its mailboxes are worth asking about.
    pub fn note_route(
        &mut self,
        domain: &Domain,
        route: Route,
        providers: &Providers,
        lists: &Lists,
    ) -> Vec<Stop> {
        let (route, stops) = match route {
            Route::Hosts(exchangers) => {
                let stops: Vec<Stop> = exchangers
                    .into_iter()
                    .map(|exchanger| Stop {
                        provider: providers.of(&exchanger.host).clone(),
                        host: exchanger.host,
                        addresses: exchanger.addresses,
                    })
                    .collect();
                let first = stops.first().map(|stop| &stop.provider);
                let provider = first.map(|provider| provider.id.clone()).unwrap_or_default();
                let evidence = first.is_none_or(|provider| provider.evidence);
                (RouteFact::Hosts { provider, evidence }, stops)
            }
            Route::NullMx => (RouteFact::NullMx, Vec::new()),
            Route::Absent(absence) => (RouteFact::Absent(absence), Vec::new()),
            Route::Unroutable(_) => (RouteFact::Unroutable, Vec::new()),
            Route::Failed(fault) => (RouteFact::Failed(fault), Vec::new()),
        };
        let disposable = lists.kinds.is_disposable(domain)
            || stops.iter().any(|stop| lists.kinds.is_disposable_mx(&stop.host));
        let worth_asking = matches!(route, RouteFact::Hosts { evidence: true, .. }) && !disposable;
        let lane = stops.first().map(|stop| Scheduler::lane_key(&stops, stop));
        let hosts = stops.iter().map(|stop| stop.host.clone()).collect();
        self.domains.insert(domain.clone(), DomainFacts { route, hosts, lane, disposable, anomaly: false });
        if worth_asking { stops } else { Vec::new() }
    }

    /// Notes what the servers said about an address.
    pub fn note_inquired(&mut self, target: Target, domain: &Domain, inquired: Inquired) {
        for attempt in inquired.attempts.iter().filter(|attempt| is_clear(attempt)) {
            let served = self.served.entry(attempt.exchanger.clone()).or_default();
            if served.len() < 2 && !served.contains(domain) {
                served.push(domain.clone());
            }
        }
        self.inquired.insert(target, inquired);
    }

    /// Marks the domains of the operators at which too many mailboxes vanished at once.
    pub fn note_anomalies(&mut self, is_anomalous: impl Fn(&str) -> bool) {
        for facts in self.domains.values_mut() {
            facts.anomaly = facts.lane.as_deref().is_some_and(&is_anomalous);
        }
    }

    /// The operator's id of a domain; empty for one that nobody knows.
    pub fn provider(&self, domain: &Domain) -> Option<Arc<str>> {
        match &self.domains.get(domain)?.route {
            RouteFact::Hosts { provider, .. } if !provider.is_empty() => Some(provider.clone()),
            _ => None,
        }
    }

    /// Puts together what is known about a row.
    pub fn evidence(&self, seen: Seen, roster: &Roster) -> Evidence {
        let Seen { form, mut kinds, slip, .. } = seen;
        let (mut route, mut inquiry) = (None, Inquired::default());
        if let Form::Fine(address) = &form {
            let facts = address.domain().and_then(|domain| self.domains.get(domain));
            route = facts.map(|facts| facts.route.clone());
            if facts.is_some_and(|facts| facts.disposable) {
                kinds.disposable = Some(true);
            }
            let heard = roster.target(address).and_then(|target| self.inquired.get(&target));
            inquiry = heard.cloned().unwrap_or_default();
            let is_askable = match &route {
                Some(RouteFact::Hosts { evidence, .. }) => *evidence && kinds.disposable != Some(true),
                _ => true,
            };
            if heard.is_none() && is_askable {
                inquiry.unprobed = self.unprobed;
            }
            inquiry.anomaly = facts.is_some_and(|facts| facts.anomaly);
            inquiry.unserved =
                facts.is_some_and(|facts| self.is_unserved(address.domain(), facts, &inquiry.attempts));
            if self.shut.is_some() {
                inquiry = Inquired {
                    trouble: inquiry.trouble,
                    unprobed: Some(Unprobed::OperatorPaused),
                    ..Inquired::default()
                };
            }
        }
        // A domain that takes mail is no slip just because it looks like one, unless it is a known trap.
        let works = matches!(route, Some(RouteFact::Hosts { .. }));
        let slip = slip.map(|suspicion| Slip {
            probable: suspicion.certainty == Certainty::Trap
                || (suspicion.certainty == Certainty::Likely && !works),
            meant: suspicion.meant,
        });
        Evidence { form, kinds, slip, route, inquiry }
    }

    /// Every exchanger said "not my domain", and each of them has clearly answered for another.
    fn is_unserved(&self, domain: Option<&Domain>, facts: &DomainFacts, attempts: &[Attempt]) -> bool {
        let denied = |host: &Domain| {
            attempts.iter().any(|a| a.exchanger == *host && a.said.meaning.cause == Cause::RelayDenied)
        };
        let serves_others = |host: &Domain| {
            self.served.get(host).is_some_and(|served| served.iter().any(|other| Some(other) != domain))
        };
        !facts.hosts.is_empty() && facts.hosts.iter().all(|host| denied(host) && serves_others(host))
    }
}

/// An answer that shows that the exchanger serves the domain.
fn is_clear(attempt: &Attempt) -> bool {
    let meaning = &attempt.said.meaning;
    let about_mailbox = meaning.cause == Cause::Accepted || meaning.cause.fault() == Fault::Mailbox;
    about_mailbox && meaning.confidence == Confidence::Confirmed
}
