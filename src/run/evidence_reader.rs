//! What was found out about a row: facts from the state, put together into evidence.
//!
//! Decides: which facts count: those of this run, and older ones that are still fresh. Must not: judge.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use rusqlite::Connection;

use super::analyze::CellAnalysis;
use super::routing::{self, is_disposable, stops};
use crate::address::{Address, Certainty, Domain};
use crate::evidence::{
    AddressStatus, Attempt, Evidence, MailboxEvidence, NotProbedReason, RouteFact, SuspectedTypo,
};
use crate::policy::{Lifetimes, Policy};
use crate::reason::Cause;
use crate::schedule::{RunBlocked, Scheduler};
use crate::state::{
    ChangeStatus, FactQueries, FreshnessPolicy, NameHash, RunHandle, RunId, State, StateError, StoredResult,
    StoredRoute,
};
use crate::verdict::AddressResult;

/// What holds for all rows of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunConditions {
    /// Why mailboxes were not asked about that nothing else is known of.
    pub unprobed: Option<NotProbedReason>,
    /// Set when nothing that servers said may be judged.
    pub shut: Option<RunBlocked>,
    /// Keys of the lanes at which too many mailboxes vanished at once.
    pub anomalies: BTreeSet<Arc<str>>,
}

/// Puts evidence together.
pub struct EvidenceReader {
    facts: Option<FactReader>,
    whole: RunConditions,
    now: SystemTime,
    domains: HashMap<Domain, Arc<StoredDomain>>,
}

/// Which facts count.
#[derive(Clone, Copy)]
pub struct FactFilter {
    /// By the rules of the day.
    pub policy: Policy,
    /// About this run.
    pub run: RunId,
    /// What else may be used.
    pub fresh: FreshnessPolicy,
    /// The run beside whose predecessors news are news; `None` where everything counts as news, and none is noted.
    pub news: Option<RunHandle>,
}

/// Where facts come from.
pub struct FactReader {
    recall: FactQueries<Connection>,
    scope: FactFilter,
    /// Runs whose word that a mailbox is gone does not count yet.
    unreported: Arc<[RunId]>,
}

/// A domain as the policy sees it.
#[derive(Debug)]
struct StoredDomain {
    key: NameHash,
    route: Option<(RouteFact, SystemTime)>,
    /// Names of its exchangers.
    hosts: Vec<Domain>,
    /// What its lane is keyed by, where it has exchangers.
    lane: Option<Arc<str>>,
    /// Its mail goes to a throw-away service.
    disposable: bool,
}

/// A row's evidence, and what was told about its address last.
pub struct RowEvidence {
    /// Everything known about the row.
    pub evidence: Evidence,
    /// The operator's id, where somebody knows it.
    pub provider: Option<Arc<str>>,
    /// When its domain was looked up.
    pub looked_up: Option<SystemTime>,
    /// The end of the questions about it.
    pub settled: Option<StoredResult>,
}

/// So many domains are remembered. Rows of one domain often stand together, and a list has a few that many rows share.
const REMEMBERED_DOMAINS: usize = 1 << 15;

impl EvidenceReader {
    /// With facts of a state. `now` is the end of the run.
    pub fn of(facts: FactReader, whole: RunConditions, now: SystemTime) -> EvidenceReader {
        EvidenceReader { facts: Some(facts), whole, now, domains: HashMap::new() }
    }

    /// Nothing was asked, for this reason.
    pub fn nothing(unprobed: NotProbedReason, now: SystemTime) -> EvidenceReader {
        let whole = RunConditions { unprobed: Some(unprobed), ..RunConditions::default() };
        EvidenceReader { facts: None, whole, now, domains: HashMap::new() }
    }

    /// True where there are no facts: what is told of an address follows from what shows in it.
    pub fn is_nothing(&self) -> bool {
        self.facts.is_none()
    }

    /// The end of the run.
    pub fn now(&self) -> SystemTime {
        self.now
    }

    /// How long what is found out holds.
    pub fn lifetimes(&self) -> &'static Lifetimes {
        self.facts.as_ref().map_or_else(Lifetimes::built_in, |facts| facts.scope.policy.lifetimes())
    }

    /// Puts together what is known about a row.
    pub fn known(&mut self, seen: CellAnalysis) -> Result<RowEvidence, StateError> {
        let CellAnalysis { form, mut kinds, slip, .. } = seen;
        let mut known = MailboxEvidence::default();
        let (mut route, mut provider, mut looked_up, mut settled) = (None, None, None, None);
        if let AddressStatus::Valid(address) = &form {
            let domain = self.domain(address)?;
            if domain.as_ref().is_some_and(|domain| domain.disposable) {
                kinds.disposable = Some(true);
            }
            if let Some((fact, at)) = domain.as_ref().and_then(|domain| domain.route.as_ref()) {
                (route, looked_up) = (Some(fact.clone()), Some(*at));
            }
            if let Some(RouteFact::Hosts { provider: id, .. }) = &route {
                provider = (!id.is_empty()).then(|| id.clone());
            }
            settled = domain.as_ref().map_or(Ok(None), |domain| self.settled(domain.key, address))?;
            let is_askable = match &route {
                Some(RouteFact::Hosts { is_checkable: evidence, .. }) => {
                    *evidence && kinds.disposable != Some(true)
                }
                _ => true,
            };
            known = match &settled {
                Some(settled) => settled.mailbox.clone(),
                None => self.begun(domain.as_deref(), address, is_askable)?,
            };
            if let Some(domain) = &domain {
                let is_anomalous =
                    domain.lane.as_ref().is_some_and(|lane| self.whole.anomalies.contains(lane));
                known.provider_anomaly =
                    is_anomalous && !self.is_said_before(domain.key, address, &known.attempts)?;
                let run = settled.as_ref().map(|settled| settled.run);
                known.domain_not_served = self.is_unserved(domain, run, &known.attempts)?;
            }
            let is_of_run = self
                .facts
                .as_ref()
                .is_some_and(|facts| settled.as_ref().is_none_or(|settled| settled.run == facts.scope.run));
            if self.whole.shut.is_some() && is_of_run {
                known = MailboxEvidence {
                    obstacle: known.obstacle,
                    unprobed: Some(NotProbedReason::ProviderPaused),
                    ..MailboxEvidence::default()
                };
            }
        }
        // A domain that takes mail is no slip just because it looks like one, unless it is a known trap.
        let works = matches!(route, Some(RouteFact::Hosts { .. }));
        let slip = slip.map(|suspicion| SuspectedTypo {
            probable: suspicion.certainty == Certainty::Trap
                || (suspicion.certainty == Certainty::Likely && !works),
            meant: suspicion.meant,
        });
        Ok(RowEvidence {
            evidence: Evidence { status: form, kinds, typo: slip, route, mailbox: known },
            provider,
            looked_up,
            settled,
        })
    }

    /// Is something else told about a row than before this run?
    pub fn news(&self, cell: &str, record: &AddressResult) -> Result<ChangeStatus, StateError> {
        let Some((FactReader { recall, .. }, run)) =
            self.facts.as_ref().and_then(|facts| Some((facts, facts.scope.news?)))
        else {
            return Ok(ChangeStatus::FIRST);
        };
        let address = record.address.as_ref().map(ToString::to_string);
        recall.news(address.as_deref().unwrap_or(cell.trim()), record.judgment.reason, run)
    }

    fn settled(&mut self, domain: NameHash, address: &Address) -> Result<Option<StoredResult>, StateError> {
        let Some(FactReader { recall, scope: FactFilter { run, fresh, .. }, unreported }) = &mut self.facts
        else {
            return Ok(None);
        };
        let settled = recall.settled(domain, address, self.now)?;
        Ok(settled.filter(|settled| {
            let is_fresh = settled.expires.is_some_and(|at| at > fresh.at)
                && settled.checked.is_some_and(|at| at >= fresh.since);
            settled.run == *run || (is_fresh && !(unreported.contains(&settled.run) && settled.condemns()))
        }))
    }

    /// What is known about an address that was not asked about to the end.
    fn begun(
        &mut self,
        domain: Option<&StoredDomain>,
        address: &Address,
        is_askable: bool,
    ) -> Result<MailboxEvidence, StateError> {
        let mut mailbox = MailboxEvidence::default();
        if is_askable {
            mailbox.unprobed = self.whole.unprobed;
            if let (Some(FactReader { recall, scope, .. }), Some(domain)) = (&mut self.facts, domain) {
                mailbox.attempts = recall.attempts(scope.run, domain.key, address)?;
            }
        }
        Ok(mailbox)
    }

    fn domain(&mut self, address: &Address) -> Result<Option<Arc<StoredDomain>>, StateError> {
        let (Some(facts), Some(domain)) = (&mut self.facts, address.domain()) else {
            return Ok(None);
        };
        if let Some(known) = self.domains.get(domain) {
            return Ok(Some(known.clone()));
        }
        let known = Arc::new(facts.domain(domain)?);
        if self.domains.len() == REMEMBERED_DOMAINS {
            self.domains.clear();
        }
        self.domains.insert(domain.clone(), known.clone());
        Ok(Some(known))
    }

    /// The same was said so long ago that an outage would be over, and nobody was accepted since.
    fn is_said_before(
        &mut self,
        domain: NameHash,
        address: &Address,
        attempts: &[Attempt],
    ) -> Result<bool, StateError> {
        let (Some(FactReader { recall, scope, .. }), Some(last)) = (&mut self.facts, attempts.last()) else {
            return Ok(false);
        };
        let held_back = scope.policy.thresholds().anomaly.held_back();
        let cause = |attempt: &Attempt| attempt.classified.meaning.cause;
        let until_now = recall.attempts_until(domain, address, last.at)?;
        let since_accepted = until_now.iter().rev().take_while(|earlier| cause(earlier) != Cause::Accepted);
        Ok(since_accepted
            .filter(|earlier| last.at.duration_since(earlier.at).is_ok_and(|ago| ago >= held_back))
            .any(|earlier| attempts.iter().any(|now| cause(now) == cause(earlier))))
    }

    /// Every exchanger said "not my domain", and each of them has clearly answered for another, in the same run.
    fn is_unserved(
        &self,
        domain: &StoredDomain,
        run: Option<RunId>,
        attempts: &[Attempt],
    ) -> Result<bool, StateError> {
        let denied = |host: &Domain| {
            attempts.iter().any(|a| a.mx_host == *host && a.classified.meaning.cause == Cause::RelayDenied)
        };
        let Some(facts) = self.facts.as_ref().filter(|_| !domain.hosts.is_empty()) else {
            return Ok(false);
        };
        let run = run.unwrap_or(facts.scope.run);
        for host in &domain.hosts {
            if !denied(host) || !facts.recall.serves_others(run, host, domain.key)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl FactReader {
    /// What a state says.
    pub fn of(state: &State, scope: FactFilter) -> Result<FactReader, StateError> {
        let unreported = state.unreported_runs(scope.run)?.into();
        Ok(FactReader::read_by(state.reader()?, scope, unreported))
    }

    /// The same, for each of so many who tell it.
    pub fn for_each(
        state: &State,
        scope: FactFilter,
        worker_count: usize,
        after_writing: bool,
    ) -> Result<Vec<FactReader>, StateError> {
        let unreported: Arc<[RunId]> = state.unreported_runs(scope.run)?.into();
        let facts = |reader| FactReader::read_by(reader, scope, unreported.clone());
        Ok(state.readers(worker_count, after_writing)?.into_iter().map(facts).collect())
    }

    fn read_by(reader: Connection, scope: FactFilter, unreported: Arc<[RunId]>) -> FactReader {
        FactReader { recall: FactQueries::of(reader, scope.policy), scope, unreported }
    }

    fn domain(&self, domain: &Domain) -> Result<StoredDomain, StateError> {
        let key = NameHash::of(domain.as_str());
        let Some(StoredRoute { route, at, run }) = self.recall.route(key)? else {
            return Ok(StoredDomain { key, route: None, hosts: Vec::new(), lane: None, disposable: false });
        };
        let FactFilter { policy, run: own, fresh, .. } = self.scope;
        let (route, stops) = stops(route, &policy);
        // What an older look-up found missing may be there by now.
        let is_fresh = run == own
            || matches!(route, RouteFact::Hosts { .. })
            || routing::is_fresh(&route, at, policy.lifetimes(), fresh);
        Ok(StoredDomain {
            key,
            disposable: is_disposable(domain, &stops, &policy),
            lane: stops.first().map(|stop| Scheduler::lane_key(&stops, stop)),
            hosts: stops.into_iter().map(|stop| stop.host).collect(),
            route: is_fresh.then_some((route, at)),
        })
    }
}
