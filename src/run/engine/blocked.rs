//! A run that cannot work at all, with what the state knows of earlier runs.

use super::Engine;
use crate::error::Error;
use crate::run::routed_domain::RoutedDomain;
use crate::schedule::RunBlocked;
use crate::state::{DomainContact, StoredRoute};

impl Engine<'_, '_> {
    /// Why the run cannot work at all, if that is so. Earlier contacts are read only when this run alone would say so.
    pub(super) fn run_blocked(&mut self) -> Result<Option<RunBlocked>, Error> {
        if self.scheduler.run_blocked().is_none() {
            return Ok(None);
        }
        if !std::mem::replace(&mut self.knows_earlier_contacts, true) {
            let since = self.job.network.clock.now().wall - self.job.policy.thresholds().contacted.earlier();
            for &DomainContact { domain, at, contact } in self.state.earlier_contacts() {
                let mut facts = self.state.facts(self.job.policy);
                if at >= since
                    && let Some(name) = facts.domain(domain)?
                    && let Some(StoredRoute { route, .. }) = facts.route(domain)?
                    && let Some(lane) = RoutedDomain::new(&name, route, &self.job.policy).lane_key()
                {
                    self.scheduler.add_earlier_contact(&lane, contact);
                }
            }
        }
        Ok(self.scheduler.run_blocked())
    }
}
