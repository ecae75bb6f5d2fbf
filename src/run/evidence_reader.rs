//! The evidence of a row, put together from its cell and the facts in the state.
//!
//! Decides: which facts count: those of this run, and older ones that are still fresh. Must not: judge.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use rusqlite::Connection;

use super::analyze::CellAnalysis;
use super::probe_job::RunConditions;
use super::routed_domain::RoutedDomain;
use crate::address::{Address, Certainty, Domain};
use crate::evidence::{
    AddressStatus, Attempt, CatchAll, Evidence, MailboxEvidence, NotProbedReason, RouteFact, SuspectedTypo,
};
use crate::policy::Policy;
use crate::reason::{Cause, Verdict};
use crate::state::{
    ChangeStatus, FactQueries, FreshnessPolicy, NameHash, RunHandle, RunId, State, StateError, StoredResult,
    StoredRoute,
};
use crate::verdict::AddressResult;

/// Puts the evidence of rows together.
pub struct EvidenceReader {
    facts: Option<FactReader>,
    conditions: RunConditions,
    now: SystemTime,
    domains: HashMap<Domain, Arc<StoredDomain>>,
}

/// Which facts of a state count.
#[derive(Clone, Copy)]
pub struct FactFilter {
    /// Classifies replies, and names providers.
    pub policy: Policy,
    /// The run whose facts count in any case.
    pub run: RunId,
    /// Which facts of other runs count.
    pub fresh: FreshnessPolicy,
    /// The run against whose predecessors reasons are compared for `--changed-only`. `None`: every row counts as
    /// changed, and nothing is recorded.
    pub compared_run: Option<RunHandle>,
}

/// Reads the facts that count.
pub struct FactReader {
    facts: FactQueries<Connection>,
    filter: FactFilter,
    /// Runs whose `undeliverable` results do not count yet.
    unreported: Arc<[RunId]>,
}

/// A domain as rows need it.
#[derive(Debug)]
struct StoredDomain {
    key: NameHash,
    route: Option<(RouteFact, SystemTime)>,
    mx_hosts: Vec<Domain>,
    /// The key of its lane, if it has MX hosts.
    lane: Option<Arc<str>>,
    /// It belongs to a disposable address service, as [`RoutedDomain`] has it.
    is_disposable: Option<bool>,
}

/// The evidence of a row, and what goes with it.
pub struct RowEvidence {
    /// The evidence.
    pub evidence: Evidence,
    /// The id of the provider, if the policy knows it.
    pub provider: Option<Arc<str>>,
    /// When the route was looked up.
    pub looked_up: Option<SystemTime>,
    /// The stored result that the evidence is from.
    pub stored: Option<StoredResult>,
}

/// The most domains that are cached. Rows of one domain often stand together, and some domains have rows all over a list.
const CACHED_DOMAINS: usize = 1 << 15;

impl EvidenceReader {
    /// With the facts of a state. `now` is the end of the run.
    pub fn new(facts: FactReader, conditions: RunConditions, now: SystemTime) -> EvidenceReader {
        EvidenceReader { facts: Some(facts), conditions, now, domains: HashMap::new() }
    }

    /// Without any facts, for this reason.
    pub fn without_facts(reason: NotProbedReason, now: SystemTime) -> EvidenceReader {
        let conditions = RunConditions { not_probed: Some(reason), ..RunConditions::default() };
        EvidenceReader { facts: None, conditions, now, domains: HashMap::new() }
    }

    /// True if the evidence of a row is only its cell.
    pub fn has_no_facts(&self) -> bool {
        self.facts.is_none()
    }

    /// The end of the run.
    pub fn now(&self) -> SystemTime {
        self.now
    }

    /// How long results are valid, and when a row that stays unknown is due again.
    pub(super) fn policy(&self) -> Policy {
        self.facts.as_ref().map_or_else(Policy::built_in, |facts| facts.filter.policy)
    }

    /// The evidence of a row with this cell.
    pub fn evidence_for(&mut self, cell: CellAnalysis) -> Result<RowEvidence, StateError> {
        let CellAnalysis { form, mut kinds, typo, .. } = cell;
        let mut mailbox = MailboxEvidence::default();
        let (mut route, mut provider, mut looked_up, mut stored) = (None, None, None, None);
        if let AddressStatus::Valid(address) = &form {
            let domain = self.domain(address)?;
            if let Some(domain) = domain.as_ref().filter(|domain| domain.route.is_some()) {
                kinds.disposable = domain.is_disposable;
            }
            if let Some((fact, at)) = domain.as_ref().and_then(|domain| domain.route.as_ref()) {
                (route, looked_up) = (Some(fact.clone()), Some(*at));
            }
            if let Some(RouteFact::Hosts { provider: id, .. }) = &route {
                provider = (!id.is_empty()).then(|| id.clone());
            }
            stored = domain.as_ref().map_or(Ok(None), |domain| self.stored_result(domain.key, address))?;
            if route.is_none() && stored.is_none() {
                route = self.conditions.unresolved.clone().map(RouteFact::Failed);
            }
            // A look-up that failed says nothing about a recipient whose replies still count.
            if matches!(route, Some(RouteFact::Failed(_)))
                && stored.as_ref().is_some_and(|stored| !stored.mailbox.attempts.is_empty())
            {
                route = None;
            }
            let can_be_probed = match &route {
                Some(RouteFact::Hosts { is_checkable, .. }) => {
                    *is_checkable && kinds.disposable != Some(true)
                }
                _ => true,
            };
            mailbox = match &stored {
                Some(stored) => stored.mailbox.clone(),
                None => self.partial_evidence(domain.as_deref(), address, can_be_probed)?,
            };
            if let (None, true, Some(domain)) = (&stored, mailbox.attempts.is_empty(), &domain) {
                mailbox = self.of_other_spelling(domain, address, can_be_probed)?.unwrap_or(mailbox);
            }
            if let Some(domain) = &domain {
                let is_anomalous =
                    domain.lane.as_ref().is_some_and(|lane| self.conditions.anomalies.contains(lane));
                mailbox.provider_anomaly =
                    is_anomalous && !self.is_confirmed_by_earlier(domain.key, address, &mailbox.attempts)?;
                let run = stored.as_ref().map(|stored| stored.run);
                mailbox.domain_not_served = self.is_unserved(domain, run, &mailbox.attempts)?;
            }
            let is_of_run = self
                .facts
                .as_ref()
                .is_some_and(|facts| stored.as_ref().is_none_or(|stored| stored.run == facts.filter.run));
            if self.conditions.blocked.is_some() && is_of_run {
                mailbox = without_rejections(mailbox);
            }
        }
        // A domain that receives mail is no typo only because it looks like one, unless it is a known typo trap.
        let has_hosts = matches!(route, Some(RouteFact::Hosts { .. }));
        let typo = typo.map(|typo| SuspectedTypo {
            probable: typo.certainty == Certainty::Trap
                || (typo.certainty == Certainty::Likely && !has_hosts),
            meant: typo.meant,
        });
        let evidence = Evidence { status: form, kinds, typo, route, mailbox };
        Ok(RowEvidence { evidence, provider, looked_up, stored })
    }

    /// Compares the reason of a row with the one that was reported before this run.
    pub fn change_status(&self, cell: &str, result: &AddressResult) -> Result<ChangeStatus, StateError> {
        let Some((FactReader { facts, .. }, run)) =
            self.facts.as_ref().and_then(|facts| Some((facts, facts.filter.compared_run?)))
        else {
            return Ok(ChangeStatus::FIRST);
        };
        let address = result.address.as_ref().map(ToString::to_string);
        facts.change_status(address.as_deref().unwrap_or(cell.trim()), result.judgment.reason, run)
    }

    /// The stored result of a recipient, if it counts.
    fn stored_result(
        &mut self,
        domain: NameHash,
        address: &Address,
    ) -> Result<Option<StoredResult>, StateError> {
        let Some(FactReader { facts, filter: FactFilter { run, fresh, .. }, unreported }) = &mut self.facts
        else {
            return Ok(None);
        };
        let stored = facts.result(domain, address, self.now)?;
        Ok(stored.filter(|stored| {
            let is_fresh = stored.expires.is_some_and(|at| at > fresh.at)
                && stored.checked.is_some_and(|at| fresh.includes(at));
            // A later run over another list has probed it in place of this one.
            let is_later = stored.run.is_later_than(*run);
            let is_usable = !(unreported.contains(&stored.run) && stored.is_undeliverable());
            stored.run == *run || ((is_fresh || is_later) && is_usable)
        }))
    }

    /// The evidence of a recipient without a result: it was not probed, or not to the end.
    fn partial_evidence(
        &mut self,
        domain: Option<&StoredDomain>,
        address: &Address,
        can_be_probed: bool,
    ) -> Result<MailboxEvidence, StateError> {
        let mut mailbox = MailboxEvidence::default();
        if can_be_probed {
            mailbox.unprobed = self.conditions.not_probed;
            if let (Some(FactReader { facts, filter, .. }), Some(domain)) = (&mut self.facts, domain) {
                mailbox.attempts = facts.attempts(filter.run, domain.key, address)?;
            }
        }
        Ok(mailbox)
    }

    /// The evidence of the spelling that was probed for this address, unless a host rejected that: then nothing is known
    /// of this one. `None` if no other spelling was probed for it.
    fn of_other_spelling(
        &mut self,
        domain: &StoredDomain,
        address: &Address,
        can_be_probed: bool,
    ) -> Result<Option<MailboxEvidence>, StateError> {
        let Some(FactReader { facts, filter, .. }) = &self.facts else {
            return Ok(None);
        };
        let Some(other) = facts.probed_as(filter.run, domain.key, address)? else {
            return Ok(None);
        };
        let mailbox = match self.stored_result(domain.key, &other)? {
            Some(stored) => stored.mailbox,
            None => self.partial_evidence(Some(domain), &other, can_be_probed)?,
        };
        let is_rejection =
            |attempt: &Attempt| attempt.classified.meaning.cause.verdict() == Verdict::Undeliverable;
        if !mailbox.attempts.iter().any(is_rejection) {
            return Ok(Some(mailbox));
        }
        let unprobed = self.conditions.not_probed.unwrap_or(NotProbedReason::Deadline);
        Ok(Some(MailboxEvidence { unprobed: Some(unprobed), ..MailboxEvidence::default() }))
    }

    fn domain(&mut self, address: &Address) -> Result<Option<Arc<StoredDomain>>, StateError> {
        let (Some(facts), Some(domain)) = (&mut self.facts, address.domain()) else {
            return Ok(None);
        };
        if let Some(known) = self.domains.get(domain) {
            return Ok(Some(known.clone()));
        }
        let known = Arc::new(facts.domain(domain)?);
        if self.domains.len() == CACHED_DOMAINS {
            self.domains.clear();
        }
        self.domains.insert(domain.clone(), known.clone());
        Ok(Some(known))
    }

    /// True if an earlier reply had the cause of one of these, longer ago than an outage lasts, and no acceptance came
    /// after it.
    fn is_confirmed_by_earlier(
        &mut self,
        domain: NameHash,
        address: &Address,
        attempts: &[Attempt],
    ) -> Result<bool, StateError> {
        let (Some(FactReader { facts, filter, .. }), Some(last)) = (&mut self.facts, attempts.last()) else {
            return Ok(false);
        };
        let held_back = filter.policy.thresholds().anomaly.held_back();
        let cause = |attempt: &Attempt| attempt.classified.meaning.cause;
        let until_now = facts.attempts_until(domain, address, last.at)?;
        let since_accepted = until_now.iter().rev().take_while(|earlier| cause(earlier) != Cause::Accepted);
        Ok(since_accepted
            .filter(|earlier| last.at.duration_since(earlier.at).is_ok_and(|ago| ago >= held_back))
            .any(|earlier| attempts.iter().any(|now| cause(now) == cause(earlier))))
    }

    /// True if every MX host denied relaying for the domain, and each of them accepted or clearly rejected a recipient
    /// of another domain in the same run.
    fn is_unserved(
        &self,
        domain: &StoredDomain,
        run: Option<RunId>,
        attempts: &[Attempt],
    ) -> Result<bool, StateError> {
        let denied = |host: &Domain| {
            attempts.iter().any(|a| a.mx_host == *host && a.classified.meaning.cause == Cause::RelayDenied)
        };
        let Some(reader) = self.facts.as_ref().filter(|_| !domain.mx_hosts.is_empty()) else {
            return Ok(false);
        };
        let run = run.unwrap_or(reader.filter.run);
        for host in &domain.mx_hosts {
            if !denied(host) || !reader.facts.serves_others(run, host, domain.key)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The evidence of a recipient in a run that is blocked: no rejection is judged. Controlled acceptances stand, and so do
/// replies about us.
fn without_rejections(mailbox: MailboxEvidence) -> MailboxEvidence {
    let is_controlled = matches!(mailbox.catch_all, CatchAll::Yes(_) | CatchAll::No(_));
    let stands = |attempt: &Attempt| match attempt.classified.meaning.cause {
        Cause::Accepted => is_controlled,
        Cause::Ambiguous => false,
        cause => cause.verdict() == Verdict::Unknown,
    };
    if mailbox.attempts.iter().all(stands) {
        let unprobed = mailbox.unprobed.or(Some(NotProbedReason::ProviderPaused));
        let unprobed = unprobed.filter(|_| mailbox.attempts.is_empty());
        return MailboxEvidence { unprobed, ..mailbox };
    }
    MailboxEvidence {
        obstacle: mailbox.obstacle,
        unprobed: Some(NotProbedReason::ProviderPaused),
        ..MailboxEvidence::default()
    }
}

impl FactReader {
    /// Reads a state.
    pub fn new(state: &State, filter: FactFilter) -> Result<FactReader, StateError> {
        let unreported = state.unreported_runs(filter.run)?.into();
        Ok(FactReader::over(state.reader()?, filter, unreported))
    }

    /// Several readers of a state, one for each worker. After a run that wrote a lot they get less memory.
    pub fn several(
        state: &State,
        filter: FactFilter,
        how_many: usize,
        after_writing: bool,
    ) -> Result<Vec<FactReader>, StateError> {
        let unreported: Arc<[RunId]> = state.unreported_runs(filter.run)?.into();
        let reader = |connection| FactReader::over(connection, filter, unreported.clone());
        Ok(state.readers(how_many, after_writing)?.into_iter().map(reader).collect())
    }

    fn over(connection: Connection, filter: FactFilter, unreported: Arc<[RunId]>) -> FactReader {
        FactReader { facts: FactQueries::new(connection, filter.policy), filter, unreported }
    }

    fn domain(&self, domain: &Domain) -> Result<StoredDomain, StateError> {
        let key = NameHash::of(domain.as_str());
        let Some(StoredRoute { route, at, valid_until, run }) = self.facts.route(key)? else {
            let mx_hosts = Vec::new();
            return Ok(StoredDomain { key, route: None, mx_hosts, lane: None, is_disposable: Some(false) });
        };
        let FactFilter { policy, run: own, fresh, .. } = self.filter;
        let routed = RoutedDomain::new(domain, route, &policy);
        // A domain or host that an older look-up did not find may exist by now.
        let is_usable = run == own
            || matches!(routed.fact, RouteFact::Hosts { .. })
            || routed.is_fresh(at, valid_until, policy.lifetimes(), fresh);
        Ok(StoredDomain {
            key,
            is_disposable: routed.is_disposable,
            lane: routed.lane_key(),
            mx_hosts: routed.mx_hosts.into_iter().map(|mx_host| mx_host.host).collect(),
            route: is_usable.then_some((routed.fact, at)),
        })
    }
}
