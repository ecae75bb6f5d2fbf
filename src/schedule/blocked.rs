//! A run that cannot work at all: which providers are contacted before it stops, and what is reported.
//!
//! Decides: which providers are drawn. `health` counts how all of them responded, and says when it is enough.

use super::health::RunBlocked;
use super::lane::Lane;
use super::limits::{LaneId, ProviderId};
use super::scheduler::Scheduler;
use crate::address::Domain;
use crate::evidence::EarlierContact;

/// An MX host that rejects us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRejection {
    /// Its name.
    pub mx_host: Domain,
    /// Its reply, on one line.
    pub reply: String,
}

impl Scheduler {
    /// Why the run cannot work at all, if that is so: port 25 is closed, or nearly every provider rejects us. Quick
    /// rejections come before slow acceptances, so providers that were not contacted yet are drawn at random first, and
    /// count from then on.
    pub fn run_blocked(&mut self) -> Option<RunBlocked> {
        let thresholds = self.limits.thresholds;
        self.health.run_blocked(thresholds)?;
        self.draw_providers();
        let is_drawn = self.health.drawn >= thresholds.contacted.sample || self.job_source_closed;
        self.health.run_blocked(thresholds).filter(|_| is_drawn)
    }

    /// Why a run that has ended was blocked, though it has too few providers to stop it early.
    pub fn run_blocked_at_end(&self) -> Option<RunBlocked> {
        self.health.run_blocked_at_end(self.limits.thresholds)
    }

    /// Adds how the provider with this key responded to an earlier run.
    pub fn add_earlier_contact(&mut self, key: &str, contact: EarlierContact) {
        match self.provider_ids.get(key) {
            None => self.health.add_earlier(key, contact),
            Some(&id) => self.update_contact(id, |now| {
                if now.earlier != Some(EarlierContact::Served) {
                    now.earlier = Some(contact);
                }
            }),
        }
    }

    /// The MX hosts that reject us, each with its reply.
    pub fn rejections(&self) -> Vec<HostRejection> {
        let rejection = |lane: &Lane| {
            let classified = lane.health.rejection()?;
            let endpoint = lane.endpoints.values().next()?;
            let mx_host = self.endpoints[*endpoint].host.clone();
            let reply = classified.reply.to_string();
            // Replies may repeat the address that was probed.
            let words =
                reply.split_whitespace().map(|word| if word.contains('@') { "<address>" } else { word });
            Some(HostRejection { mx_host, reply: words.collect::<Vec<_>>().join(" ") })
        };
        self.lanes.iter().filter_map(rejection).collect()
    }

    /// Draws providers that were not contacted yet, and lets them open a session before others.
    fn draw_providers(&mut self) {
        let missing = self.limits.thresholds.contacted.sample.saturating_sub(self.health.drawn);
        let is_untried = |id: &ProviderId| {
            let provider = &self.providers[*id];
            let waits = |lane: &LaneId| {
                !self.lanes[*lane].health.is_open() && !self.lanes[*lane].ready_endpoints.is_empty()
            };
            !provider.contact.tried && !provider.contact.drawn && provider.lanes.iter().any(waits)
        };
        let mut untried: Vec<ProviderId> = (0..self.providers.len()).filter(is_untried).collect();
        self.random.shuffle(&mut untried);
        for id in untried.into_iter().take(missing) {
            self.health.drawn += 1;
            self.update_contact(id, |contact| contact.drawn = true);
            for lane in self.providers[id].lanes.clone() {
                if std::mem::replace(&mut self.lanes[lane].waits_for_socket, true) {
                    self.waiting_for_socket.retain(|other| *other != lane);
                }
                self.waiting_for_socket.push_front(lane);
            }
        }
    }
}
