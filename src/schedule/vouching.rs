//! Refusals that nobody vouches for yet.
//!
//! Decides: when "no such mailbox" is believed. A host that turns against us says it to everybody, sometimes before it says
//! what it means. So a refusal is handed out once the same lane has accepted somebody after it, or has run dry; if the
//! lane turns out to refuse us before that, all that it said since its last acceptance is withdrawn.

use crate::policy::thresholds::Anomaly;
use crate::probe::inquiry::Target;
use crate::reason::{Cause, Fault};
use crate::verdict::evidence::{Attempt, CatchAll, Inquired, Obstacle, Said, Trouble};

/// Refusals since a lane's last acceptance.
#[derive(Debug, Default)]
pub(super) struct Unvouched {
    refusals: Vec<(Target, Inquired)>,
    /// The lane has accepted somebody.
    has_accepted: bool,
}

impl Unvouched {
    /// Keeps a refusal; hands anything else back, which needs nobody to vouch for it.
    pub(super) fn hold(&mut self, target: Target, inquired: Inquired) -> Option<(Target, Inquired)> {
        if is_refusal(&inquired) {
            self.refusals.push((target, inquired));
            return None;
        }
        Some((target, inquired))
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.refusals.len()
    }

    /// Somebody was accepted.
    pub(super) fn accepted(&mut self) -> Vec<(Target, Inquired)> {
        self.has_accepted = true;
        std::mem::take(&mut self.refusals)
    }

    /// Nothing more will be asked: what is left is believed, unless it is too much. Where nobody was ever accepted, the
    /// run's own look at the operator tells.
    pub(super) fn run_dry(&mut self, anomaly: Anomaly) -> Vec<(Target, Inquired)> {
        let is_too_much = self.has_accepted && self.refusals.len() >= anomaly.asked as usize;
        let mut refusals = std::mem::take(&mut self.refusals);
        if is_too_much {
            for (_, inquired) in &mut refusals {
                inquired.anomaly = true;
            }
        }
        refusals
    }

    /// The lane refuses us.
    pub(super) fn take(&mut self) -> Vec<(Target, Inquired)> {
        std::mem::take(&mut self.refusals)
    }
}

/// Takes back what was said about an address by a host that turned out to refuse us.
pub(super) fn withdrawn(inquired: Inquired, said: &Said) -> Inquired {
    if !is_refusal(&inquired) {
        return inquired;
    }
    let trouble = inquired.attempts.last().map(|Attempt { exchanger, at, .. }| Trouble {
        exchanger: exchanger.clone(),
        at: *at,
        what: Obstacle::Refused(Box::new(said.clone())),
    });
    Inquired { trouble, ..Inquired::default() }
}

/// The last word about it may condemn it, and the domain is not one that accepts anybody.
fn is_refusal(inquired: &Inquired) -> bool {
    let accepts_any = matches!(inquired.catch_all, CatchAll::Yes(_));
    let last = inquired.attempts.last().map(|attempt| attempt.said.meaning.cause);
    !accepts_any && last.is_some_and(|cause| cause == Cause::Ambiguous || cause.fault() == Fault::Mailbox)
}
