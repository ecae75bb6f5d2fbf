//! Routes of the domains of a run: which look-ups begin, and what follows from an answer, or from none.
//!
//! Decides: that a route is looked up again when its TTL is over, and that nothing is looked up while no name server
//! answers ([`super::super::name_servers`] knows). A look-up that is aborted leaves its recipients to a later run.

use std::sync::Arc;
use std::time::Duration;

use super::{Engine, LOOKUPS};
use crate::address::{Address, Domain};
use crate::error::Error;
use crate::evidence::{NotProbedReason, RecipientId, Timestamp};
use crate::route::{DnsFault, ResolvedRoute, Route};
use crate::run::job_source::RoutedJobs;
use crate::run::name_servers::SilentLookup;
use crate::run::routed_domain::RoutedDomain;
use crate::run::tasks::FinishedLookup;
use crate::state::{FreshnessPolicy, NameHash, RouteTimes, StoredRoute};

impl Engine<'_, '_> {
    /// True if there are domains to look up, and room for them.
    pub(super) fn may_look_up(&self) -> bool {
        let has_room = self.lookups.len() < LOOKUPS && !self.scheduler.is_short_of_sockets();
        !self.stopped && !self.jobs.has_all_domains && has_room && self.health.may_look_up()
    }

    /// Starts to look up the next domains of the worklist; a stored route that is fresh is used instead.
    pub(super) fn look_up(&mut self) -> Result<(), Error> {
        if self.may_look_up() {
            self.state.begin_writing()?;
        }
        for _ in self.lookups.len()..LOOKUPS {
            if !self.may_look_up() {
                break;
            }
            let Some((key, domain)) = self.jobs.next_domain(self.state)? else { break };
            if let Some(routed) = self.stored_route(key, &domain)? {
                self.on_routed(key, &domain, &routed, Vec::new())?;
                continue;
            }
            self.outcome.counts.domains += 1;
            self.start_lookup(key, domain);
        }
        self.look_up_again();
        self.test_name_servers()?;
        if self.jobs.is_empty() && self.lookups.len() == 0 && !self.health.holds_any() {
            self.scheduler.close_job_source();
        }
        Ok(())
    }

    fn start_lookup(&mut self, key: NameHash, domain: Domain) {
        if self.health.on_begun(self.job.network.clock.now().elapsed) {
            self.start_test();
        }
        self.lookups.start(key, domain);
    }

    /// Starts to look up the domains whose route has expired.
    pub(super) fn look_up_again(&mut self) {
        if !self.stopped && self.health.may_look_up() {
            for (key, domain) in self.jobs.take_expired() {
                self.start_lookup(key, domain);
            }
        }
    }

    /// Sends a test query where silent look-ups may be the fault of the name servers.
    fn test_name_servers(&mut self) -> Result<(), Error> {
        if self.stopped {
            return Ok(());
        }
        let is_last = self.jobs.has_all_domains && self.lookups.len() == 0 && self.tests.is_empty();
        if self.health.wants_test(is_last, self.job.network.clock.now().elapsed) {
            self.start_test();
        } else if is_last && self.health.never_answered() {
            for lookup in self.health.take_held() {
                self.on_lookup_failed(lookup)?;
            }
        }
        Ok(())
    }

    fn start_test(&mut self) {
        let network = self.job.network.clone();
        self.tests.spawn(async move { network.dns.is_alive().await });
    }

    /// Takes the result of a test query.
    pub(super) fn on_tested(&mut self, is_alive: bool) -> Result<(), Error> {
        match self.health.on_test(is_alive, self.job.network.clock.now().elapsed) {
            Ok(again) => again.into_iter().for_each(|lookup| self.lookups.start(lookup.key, lookup.domain)),
            Err(failed) => failed.into_iter().try_for_each(|lookup| self.on_lookup_failed(lookup))?,
        }
        Ok(())
    }

    /// Stops a run that has no name service. The same command continues it.
    pub(super) fn on_name_servers_lost(&mut self) {
        let held = self.health.take_held();
        let fault = held.iter().find_map(|lookup| match &lookup.route {
            Route::Failed(fault) => Some(fault.clone()),
            _ => None,
        });
        self.outcome.conditions.unresolved = Some(fault.unwrap_or(DnsFault::Timeout));
        self.outcome.name_servers_down = true;
        self.outcome.counts.unanswered += held.len() as u64;
        tracing::warn!(event = "name_servers_down", "no name server answers, so the run stops");
        self.stop(NotProbedReason::Deadline);
        self.lookups.abort();
    }

    /// A stored route that is fresh now, and allowed by the networks of this run: a resumed run may have begun long
    /// ago, with others.
    fn stored_route(&self, key: NameHash, domain: &Domain) -> Result<Option<RoutedDomain>, Error> {
        let policy = &self.job.policy;
        let Some(StoredRoute { route, at, valid_until, .. }) = self.state.facts(*policy).route(key)? else {
            return Ok(None);
        };
        if !route.is_valid_under(&self.job.network.allowed) {
            return Ok(None);
        }
        let now = self.job.network.clock.now().wall;
        let fresh = FreshnessPolicy { at: now.max(self.fresh.at), ..self.fresh };
        let routed = RoutedDomain::new(domain, route, policy);
        Ok(Some(routed).filter(|routed| routed.is_fresh(at, valid_until, policy.lifetimes(), fresh)))
    }

    /// Takes the route that a look-up found. An aborted one leaves its recipients to a later run.
    pub(super) fn on_looked_up(&mut self, finished: FinishedLookup) -> Result<(), Error> {
        let Some((key, domain, resolved)) = self.lookups.take_route(finished) else {
            return Ok(());
        };
        tracing::debug!(event = "routed", %domain, route = ?resolved.route);
        match &resolved.route {
            Route::Failed(fault) if fault.is_silence() => {
                if !self.stopped {
                    self.health.on_silence(SilentLookup { key, domain, route: resolved.route });
                }
                return Ok(());
            }
            _ => {
                for lookup in self.health.on_answer() {
                    self.on_lookup_failed(lookup)?;
                }
            }
        }
        self.on_resolved(key, &domain, resolved)
    }

    /// Takes a look-up without an answer that is not made again.
    fn on_lookup_failed(&mut self, lookup: SilentLookup) -> Result<(), Error> {
        let SilentLookup { key, domain, route } = lookup;
        self.on_resolved(key, &domain, ResolvedRoute { route, ttl: Duration::ZERO })
    }

    /// Stores a route.
    fn on_resolved(&mut self, key: NameHash, domain: &Domain, resolved: ResolvedRoute) -> Result<(), Error> {
        let ResolvedRoute { route, ttl } = resolved;
        match &route {
            Route::Failed(DnsFault::Internal) => {
                tracing::error!(event = "lookup_failed", "a look-up failed inside");
            }
            Route::Failed(_) => self.outcome.counts.unanswered += 1,
            _ => {}
        }
        let now = self.job.network.clock.now().wall;
        let valid_until = now + self.job.policy.lifetimes().of_route(ttl);
        let lasts = RouteTimes { looked_up: now, valid_until };
        let is_changed = self.state.write_route(self.run.id, domain, &route, lasts)?;
        let again = match &route {
            Route::Hosts(mx_hosts) if is_changed => {
                let after = self.jobs.last_submitted(key);
                self.state.drop_other_hosts(self.run.id, domain, mx_hosts, after)?
            }
            _ => Vec::new(),
        };
        self.on_routed(key, domain, &RoutedDomain::new(domain, route, &self.job.policy), again)
    }

    /// Queues a domain for its lane, or completes its recipients if there is nothing to probe, also when the run was
    /// stopped. `again`: recipients that were put into the worklist again.
    fn on_routed(
        &mut self,
        key: NameHash,
        domain: &Domain,
        routed: &RoutedDomain,
        again: Vec<(RecipientId, Address)>,
    ) -> Result<(), Error> {
        let is_probed = !self.job.dns_only && routed.is_worth_probing();
        let expired = self.jobs.routed_again(key);
        let Some(lane) = routed.lane_key().filter(|_| is_probed) else {
            let completed = self.state.remove_domain(self.run.id, key)?;
            self.progress.advance(completed, self.sessions.len());
            return Ok(());
        };
        // Recipients that were submitted before are submitted again; the others wait for room.
        let (waits, mut returned) =
            expired.map_or((true, Vec::new()), |expired| (expired.waits, expired.returned));
        if waits {
            self.jobs.enqueue(lane.clone(), key, self.state)?;
        } else {
            returned.extend(again);
        }
        if !self.stopped {
            let now = self.job.network.clock.now();
            let jobs = self.jobs.returned_jobs(domain, returned, self.state, &self.job.policy, now.wall)?;
            if let Some(jobs) = jobs {
                self.submit(jobs, now);
            }
        }
        self.fill(&lane)
    }

    /// Submits jobs to a lane while it has room for them.
    pub(super) fn fill(&mut self, lane: &Arc<str>) -> Result<(), Error> {
        while !self.stopped && self.scheduler.try_admit(lane) {
            self.state.begin_writing()?;
            let now = self.job.network.clock.now();
            let Some(jobs) = self.jobs.next_jobs(lane, self.state, &self.job.policy, now.wall)? else {
                break;
            };
            self.submit(jobs, now);
        }
        Ok(())
    }

    fn submit(&mut self, RoutedJobs { jobs, valid_until }: RoutedJobs, now: Timestamp) {
        let expires = now.elapsed + valid_until.duration_since(now.wall).unwrap_or_default();
        for job in jobs {
            self.scheduler.submit_until(job, expires, now);
        }
    }
}
