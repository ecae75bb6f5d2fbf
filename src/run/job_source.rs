//! The domains of a run's worklist, until the scheduler gets them, as their lanes have room.
//!
//! Decides: which facts from before a [`DomainJob`] carries, from which egress it must be probed, and which domains are
//! looked up again, because their route expired while they waited. Which waiting domain comes next is decided by
//! [`Backlog`], where a domain costs a few bytes. Must not: keep recipients that are not submitted, but for those that came
//! back with an expired route.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::SystemTime;

use rusqlite::Connection;

use super::routed_domain::RoutedDomain;
use crate::address::{Address, Domain};
use crate::evidence::{DomainFacts, Recipient, RecipientId};
use crate::policy::{LargeDomainThresholds, Policy, RetryPolicy};
use crate::schedule::{Backlog, DomainJob};
use crate::smtp::Egress;
use crate::state::{
    EgressId, FactQueries, FreshnessPolicy, NameHash, RunHandle, State, StateError, StoredRoute,
};

/// The egresses of a run: the scheduler counts them from 0, the state has an id for each.
#[derive(Clone)]
pub(super) struct EgressIds(Arc<[EgressId]>);

impl EgressIds {
    /// The ids of these egresses; new ones are written.
    pub(super) fn of(egresses: &[Egress], state: &mut State) -> Result<EgressIds, StateError> {
        egresses.iter().map(|egress| state.egress(egress)).collect::<Result<_, _>>().map(EgressIds)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = EgressId> {
        self.0.iter().copied()
    }

    /// The id of an egress of the scheduler, which has no others than these.
    pub(super) fn id(&self, egress: usize) -> EgressId {
        self.0[egress]
    }

    /// The egress with this id; `None` if this run does not have it.
    fn position(&self, id: EgressId) -> Option<usize> {
        self.0.iter().position(|own| *own == id)
    }
}

/// Gives the scheduler its jobs.
pub(super) struct JobSource {
    run: RunHandle,
    /// Which evidence of other runs may be used.
    fresh: FreshnessPolicy,
    /// The longest wait for a recipient that was deferred.
    retry_policy: RetryPolicy,
    /// The last domain that was taken from the worklist.
    last: Option<NameHash>,
    /// The worklist has no further domain.
    pub has_all_domains: bool,
    /// Routed domains that wait for room in their lanes, each with the number of look-ups after its first one.
    waiting: Backlog<(NameHash, u32)>,
    /// Domains that were submitted in part: the last recipient that was, and the facts since.
    parts: HashMap<NameHash, (RecipientId, DomainFacts)>,
    /// Domains whose route expired while they waited: how often.
    reroutes: HashMap<NameHash, u32>,
    /// Domains with an expired route until they are routed again.
    expired: HashMap<NameHash, ExpiredDomain>,
    /// A route has expired in this run, so recipients may have been probed before.
    expired_before: bool,
    /// Those of them that are to be looked up.
    to_look_up: Vec<(NameHash, Domain)>,
    egresses: EgressIds,
}

/// What waits for a new route of a domain.
#[derive(Default)]
pub(super) struct ExpiredDomain {
    /// Recipients that were submitted before.
    pub(super) returned: Vec<(RecipientId, Address)>,
    /// Recipients that were not submitted yet wait, too.
    pub(super) waits: bool,
}

/// The jobs of one domain, and until when sessions may start on its route.
pub(super) struct RoutedJobs {
    pub(super) jobs: Vec<DomainJob>,
    pub(super) valid_until: SystemTime,
}

impl JobSource {
    /// Begins with the first domain of the run's worklist.
    pub(super) fn new(
        run: RunHandle,
        fresh: FreshnessPolicy,
        retry_policy: RetryPolicy,
        large_domain: LargeDomainThresholds,
        egresses: EgressIds,
    ) -> JobSource {
        JobSource {
            run,
            fresh,
            retry_policy,
            last: None,
            has_all_domains: false,
            waiting: Backlog::new(large_domain),
            parts: HashMap::new(),
            reroutes: HashMap::new(),
            expired: HashMap::new(),
            expired_before: false,
            to_look_up: Vec::new(),
            egresses,
        }
    }

    /// The next domain of the worklist, whose route is needed.
    pub(super) fn next_domain(
        &mut self,
        state: &mut State,
    ) -> Result<Option<(NameHash, Domain)>, StateError> {
        let next = state.next_domain(self.run.id, self.last)?;
        match &next {
            Some((key, _)) => self.last = Some(*key),
            None => self.has_all_domains = true,
        }
        Ok(next)
    }

    /// Lets the recipients of a domain that were not submitted yet wait for room in its lane.
    pub(super) fn enqueue(&mut self, lane: Arc<str>, key: NameHash, state: &State) -> Result<(), StateError> {
        let recipients = state.count_recipients(self.run.id, key, self.last_submitted(key))?;
        if recipients > 0 {
            self.waiting.push(lane, (key, self.reroutes_of(key)), recipients);
        }
        Ok(())
    }

    /// True if no domain is left to be submitted.
    pub(super) fn is_empty(&self) -> bool {
        self.has_all_domains && self.waiting.is_empty() && self.expired.is_empty()
    }

    /// The last recipient of a domain that was submitted, if others of it still wait.
    pub(super) fn last_submitted(&self, key: NameHash) -> RecipientId {
        self.parts.get(&key).map(|(last, _)| *last).unwrap_or_default()
    }

    fn reroutes_of(&self, key: NameHash) -> u32 {
        self.reroutes.get(&key).copied().unwrap_or_default()
    }

    /// Takes a recipient that was submitted and came back, because the route of its domain expired before it was probed.
    pub(super) fn return_recipient(&mut self, id: RecipientId, address: Address) {
        if let Some(domain) = address.domain().cloned() {
            self.expire(NameHash::of(domain.as_str()), domain).returned.push((id, address));
        }
    }

    fn expire(&mut self, key: NameHash, domain: Domain) -> &mut ExpiredDomain {
        self.expired_before = true;
        self.expired.entry(key).or_insert_with(|| {
            self.to_look_up.push((key, domain));
            ExpiredDomain::default()
        })
    }

    /// Takes the domains whose route expired, to be looked up again.
    pub(super) fn take_expired(&mut self) -> Vec<(NameHash, Domain)> {
        std::mem::take(&mut self.to_look_up)
    }

    /// Must be called when a domain was looked up. Returns what waited for that; `None` if it is the first look-up.
    pub(super) fn routed_again(&mut self, key: NameHash) -> Option<ExpiredDomain> {
        self.expired.remove(&key)
    }

    /// The next domain for a lane, or a part of a long one; `None` if none waits.
    pub(super) fn next_jobs(
        &mut self,
        lane: &Arc<str>,
        state: &State,
        policy: &Policy,
        now: SystemTime,
    ) -> Result<Option<RoutedJobs>, StateError> {
        while let Some(((key, reroutes), part)) = self.waiting.next(lane) {
            // Parts that wait with an older route are in the backlog once more, with the new one.
            if reroutes != self.reroutes_of(key) {
                continue;
            }
            let mut facts = state.facts(*policy);
            let (Some(domain), Some(stored)) = (facts.domain(key)?, facts.route(key)?) else {
                continue;
            };
            if stored.valid_until.is_none_or(|until| until <= now) {
                *self.reroutes.entry(key).or_default() += 1;
                self.expire(key, domain).waits = true;
                continue;
            }
            let is_first = !self.parts.contains_key(&key);
            let (after, since_then) = self.parts.remove(&key).unwrap_or_default();
            let recipients = state.recipients(self.run.id, &domain, after, part.range.len())?;
            let Some(&(last, _)) = recipients.last() else {
                continue;
            };
            let mut known = self.known_facts(&domain, policy, now, &mut facts)?;
            if is_first && self.may_have_replies() {
                known.accepted = facts.accepted_since(&domain, self.run.at)?;
            }
            known.merge(since_then);
            if !part.is_last {
                self.parts.insert(key, (last, known.clone()));
            }
            return self.jobs_for(&domain, stored, recipients, known, state, policy, now).map(Some);
        }
        Ok(None)
    }

    /// The jobs for recipients that came back, after a new look-up. `None` if its route has expired again.
    pub(super) fn returned_jobs(
        &mut self,
        domain: &Domain,
        returned: Vec<(RecipientId, Address)>,
        state: &State,
        policy: &Policy,
        now: SystemTime,
    ) -> Result<Option<RoutedJobs>, StateError> {
        let mut facts = state.facts(*policy);
        let Some(stored) = facts.route(NameHash::of(domain.as_str()))?.filter(|_| !returned.is_empty())
        else {
            return Ok(None);
        };
        let known = self.known_facts(domain, policy, now, &mut facts)?;
        self.jobs_for(domain, stored, returned, known, state, policy, now).map(Some)
    }

    /// What the stored controls of a domain show.
    fn known_facts(
        &self,
        domain: &Domain,
        policy: &Policy,
        now: SystemTime,
        facts: &mut FactQueries<&Connection>,
    ) -> Result<DomainFacts, StateError> {
        let within = self.fresh.within(now - policy.lifetimes().catch_all);
        let controls = facts.controls(self.run.id, domain, within)?;
        Ok(DomainFacts::of(controls, self.retry_policy.first_wait(), self.retry_policy.latest(now)))
    }

    /// The jobs for some recipients of a domain. There is one for each egress from which recipients were deferred, because
    /// a server that greylists recognizes a retry by the IP address; otherwise exactly one.
    #[expect(clippy::too_many_arguments, reason = "the two callers have all of them at hand")]
    fn jobs_for(
        &self,
        domain: &Domain,
        stored: StoredRoute,
        recipients: Vec<(RecipientId, Address)>,
        mut known: DomainFacts,
        state: &State,
        policy: &Policy,
        now: SystemTime,
    ) -> Result<RoutedJobs, StateError> {
        let mut facts = state.facts(*policy);
        let key = NameHash::of(domain.as_str());
        if let Some(control) = known.waiting_control().filter(|_| known.egress.is_none()) {
            known.egress = self.last_egress(key, control, &facts)?;
        }
        let mut by_egress: BTreeMap<Option<usize>, Vec<Recipient>> = BTreeMap::new();
        let recently = policy.thresholds().anomaly.recently();
        let recently = FreshnessPolicy::of(now, Some(recently), now).within(SystemTime::UNIX_EPOCH);
        for (id, address) in recipients {
            let recipient = self.recipient(key, id, address, &recently, &mut facts)?;
            let egress = if recipient.is_waiting() {
                self.last_egress(key, &recipient.address, &facts)?
            } else {
                None
            };
            by_egress.entry(egress).or_default().push(recipient);
        }
        // Recipients that any egress may probe join one of the others, to share its controls.
        if let Some(anywhere) = by_egress.remove(&None) {
            let egress = known.egress.or_else(|| by_egress.keys().next().copied().flatten());
            by_egress.entry(egress).or_default().extend(anywhere);
        }
        let RoutedDomain { mx_hosts, .. } = RoutedDomain::new(domain, stored.route, policy);
        let job = |(egress, listed)| {
            let (domain, mx_hosts) = (domain.clone(), mx_hosts.clone());
            DomainJob { domain, mx_hosts, recipients: listed, facts: known.for_egress(egress) }
        };
        let jobs = by_egress.into_iter().map(job).collect();
        Ok(RoutedJobs { jobs, valid_until: stored.valid_until.unwrap_or(now) })
    }

    /// The egress from which an address was last probed, if this run has it.
    fn last_egress(
        &self,
        domain: NameHash,
        address: &Address,
        facts: &FactQueries<&Connection>,
    ) -> Result<Option<usize>, StateError> {
        Ok(facts.last_egress(domain, address)?.and_then(|id| self.egresses.position(id)))
    }

    /// True if the state may have replies of this run to recipients that are not submitted yet.
    fn may_have_replies(&self) -> bool {
        self.run.is_resumed || self.expired_before
    }

    /// A recipient with its replies of this run, if there may be any, and whether it was deliverable recently.
    fn recipient(
        &self,
        domain: NameHash,
        id: RecipientId,
        address: Address,
        recently: &RangeInclusive<SystemTime>,
        facts: &mut FactQueries<&Connection>,
    ) -> Result<Recipient, StateError> {
        let earlier =
            if self.may_have_replies() { facts.attempts(self.run.id, domain, &address)? } else { Vec::new() };
        let was_deliverable = facts.was_deliverable(domain, &address, recently)?;
        Ok(Recipient { id, address, earlier, was_deliverable })
    }

    /// Forgets the facts about MX hosts at the domain of a revoked address. That `postmaster` was probed stays.
    pub(super) fn forget_facts(&mut self, address: &Address) {
        if !self.parts.is_empty()
            && let Some(domain) = address.domain()
            && let Some((_, known)) = self.parts.get_mut(&NameHash::of(domain.as_str()))
        {
            known.mx_hosts.clear();
        }
    }

    /// Adds facts about a domain, for its parts that are still to be submitted.
    pub(super) fn add_facts(&mut self, domain: &Domain, facts: DomainFacts) {
        if !self.parts.is_empty()
            && let Some((_, known)) = self.parts.get_mut(&NameHash::of(domain.as_str()))
        {
            known.merge(facts);
        }
    }
}
