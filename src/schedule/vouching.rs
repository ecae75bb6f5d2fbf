//! Refusals that nobody vouches for yet.
//!
//! Decides: when "no such mailbox" is believed. A host that turns against us says it to everybody, sometimes before it says
//! what it means. So a refusal is handed out once the same lane has accepted somebody after it, or has run dry; if the
//! lane turns out to refuse us before that, all that it said since its last acceptance is withdrawn.

use crate::probe::inquiry::Target;
use crate::reason::{Cause, Fault};
use crate::verdict::evidence::{Attempt, CatchAll, Inquired, Obstacle, Trouble};

/// Refusals since a lane's last acceptance.
#[derive(Debug, Default)]
pub(super) struct Unvouched {
    refusals: Vec<(Target, Inquired)>,
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

    /// They are believed, or taken back.
    pub(super) fn take(&mut self) -> Vec<(Target, Inquired)> {
        std::mem::take(&mut self.refusals)
    }
}

/// Takes back what was said about an address by a host that turned out to refuse us.
pub(super) fn withdrawn(inquired: Inquired, why: &Obstacle) -> Inquired {
    if !is_refusal(&inquired) {
        return inquired;
    }
    let trouble = inquired.attempts.last().map(|Attempt { exchanger, at, .. }| Trouble {
        exchanger: exchanger.clone(),
        at: *at,
        what: why.clone(),
    });
    Inquired { trouble, ..Inquired::default() }
}

/// The last word about it may condemn it, and the domain is not one that accepts anybody.
fn is_refusal(inquired: &Inquired) -> bool {
    let accepts_any = matches!(inquired.catch_all, CatchAll::Yes(_));
    let last = inquired.attempts.last().map(|attempt| attempt.said.meaning.cause);
    !accepts_any && last.is_some_and(|cause| cause == Cause::Ambiguous || cause.fault() == Fault::Mailbox)
}
