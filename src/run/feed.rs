//! What the scheduler is fed with: domains of the roster, as their lanes have room.
//!
//! Decides: what is told of earlier questions with an order. Whose turn it is among those that wait for room is decided by
//! [`Waiting`]; they cost a few bytes each. Must not: keep addresses beyond the orders that are open.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use super::found::{is_worth_asking, stops};
use crate::address::{Address, Domain};
use crate::policy::Policy;
use crate::probe::inquiry::Target;
use crate::probe::{Known, Listed};
use crate::route::Route;
use crate::schedule::{Order, Scheduler, Waiting};
use crate::state::recall::{LookedUp, Recall};
use crate::state::roster::Fresh;
use crate::state::runs::Begun;
use crate::state::{Key, State, StateError};

/// Who was put off and not told how long waits so long.
const PUT_OFF: Duration = Duration::from_secs(5 * 60);

/// Domains on their way from the roster to the scheduler.
pub struct Feed {
    run: Begun,
    fresh: Fresh,
    /// How long passing trouble is waited for.
    max_wait: Duration,
    /// The last domain that was taken from the roster.
    last: Option<Key>,
    /// Nobody is left in the roster behind that.
    pub is_exhausted: bool,
    /// Domains that wait for room at their lanes.
    waiting: Waiting<Key>,
    /// Domains that were ordered in part: up to whom, and what was learnt.
    parts: HashMap<Key, (Target, Known)>,
    /// The numbers of who we are, by each way out.
    egresses: Vec<i64>,
}

impl Feed {
    /// From the beginning of a run's roster, with what else is fresh.
    pub fn of(run: Begun, fresh: Fresh, max_wait: Duration, egresses: Vec<i64>) -> Feed {
        Feed {
            run,
            fresh,
            max_wait,
            last: None,
            is_exhausted: false,
            waiting: Waiting::default(),
            parts: HashMap::new(),
            egresses,
        }
    }

    /// The next domain of the roster.
    pub fn next(&mut self, state: &State) -> Result<Option<(Key, Domain)>, StateError> {
        let next = state.next_domain(self.run.id, self.last)?;
        match &next {
            Some((key, _)) => self.last = Some(*key),
            None => self.is_exhausted = true,
        }
        Ok(next)
    }

    /// A domain whose route is known waits at its lane; which is handed back. `None` when its mailboxes are not worth
    /// asking about.
    pub fn routed(
        &mut self,
        (key, domain): (Key, &Domain),
        route: Route,
        state: &State,
        policy: &Policy,
    ) -> Result<Option<Arc<str>>, StateError> {
        let (fact, stops) = stops(route, policy);
        let Some(first) = stops.first().filter(|_| is_worth_asking(domain, &fact, &stops, policy)) else {
            return Ok(None);
        };
        let lane = Scheduler::lane_key(&stops, first);
        self.waiting.push(lane.clone(), key, state.count_listed(self.run.id, key)?);
        Ok(Some(lane))
    }

    /// Nobody is left to be ordered.
    pub fn is_idle(&self) -> bool {
        self.is_exhausted && self.waiting.is_empty()
    }

    /// The next order for a lane, if one waits.
    pub fn order(
        &mut self,
        lane: &Arc<str>,
        state: &State,
        policy: &Policy,
        now: SystemTime,
    ) -> Result<Option<Order>, StateError> {
        let mut recall = state.recall(*policy);
        while let Some((key, part)) = self.waiting.next(lane) {
            let (Some(domain), Some(LookedUp { route, .. })) = (recall.domain(key)?, recall.route(key)?)
            else {
                continue;
            };
            let (after, learnt) = self.parts.remove(&key).unwrap_or_default();
            let addresses = state.listed(self.run.id, &domain, after, part.range.len())?;
            let Some(&(last, _)) = addresses.last() else {
                continue;
            };
            let since = self.fresh.since.max(now - policy.lifetimes().catch_all);
            let controls = recall.controls(self.run.id, &domain, since)?;
            let mut known = Known::of(controls, PUT_OFF, now + self.max_wait);
            known.add(learnt);
            if !part.is_last {
                self.parts.insert(key, (last, known.clone()));
            }
            let mut listed = Vec::with_capacity(addresses.len());
            let lately = now - policy.thresholds().anomaly.recently();
            for (target, address) in addresses {
                listed.push(self.listed(key, target, address, lately, &mut recall)?);
            }
            if known.is_waiting() || listed.iter().any(Listed::is_waiting) {
                // Only who comes back from where it was put off is known there.
                let last = recall.last_egress(self.run.id, key)?;
                let place = last.and_then(|last| self.egresses.iter().position(|egress| *egress == last));
                known.egress = known.egress.or(place);
            }
            let (_, exchangers) = stops(route, policy);
            return Ok(Some(Order { domain, exchangers, listed, known }));
        }
        Ok(None)
    }

    fn listed(
        &self,
        domain: Key,
        target: Target,
        address: Address,
        lately: SystemTime,
        recall: &mut Recall<&Connection>,
    ) -> Result<Listed, StateError> {
        let earlier =
            if self.run.goes_on { recall.attempts(self.run.id, domain, &address)? } else { Vec::new() };
        let was_deliverable = recall.was_deliverable(domain, &address, lately)?;
        Ok(Listed { target, address, earlier, was_deliverable })
    }

    /// Something was learnt about a domain, perhaps for its other parts.
    pub fn learnt(&mut self, domain: &Domain, learnt: Known) {
        if !self.parts.is_empty()
            && let Some((_, known)) = self.parts.get_mut(&Key::of(domain.as_str()))
        {
            known.add(learnt);
        }
    }
}
