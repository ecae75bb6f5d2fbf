//! Provisional results: which results wait for a later acceptance, and what becomes of a revoked one.
//!
//! A server that starts to reject us may reply `550 no such user` to every recipient before it says so openly.
//! Therefore a rejection is *provisional* until the same lane accepts some recipient after it, or until nothing more
//! is queued there and all its sessions have ended. An acceptance that relies on a rejected control is provisional as
//! well. If the provider turns out to reject us first, every provisional result since the lane's last acceptance is
//! *revoked*, as if the recipient had not been probed: the stored replies are deleted, and the recipients are probed
//! at their next MX host of another provider, from the same egress, as mail delivery does. A recipient without such
//! an MX host is unknown. It is never probed again at a provider that rejects us, nor from another egress, because
//! that would work around a block.
//!
//! Exception: a random recipient that is rejected directly after an acceptance in the same domain needs no
//! confirmation, because two different replies in a row show that the server distinguishes recipients.
//!
//! Decides: what is provisional. `confirmation` confirms and revokes.

use std::sync::Arc;

use super::job::MxHop;
use crate::address::{Address, Domain};
use crate::evidence::{
    self, Attempt, CatchAll, ControlOutcome, MailboxEvidence, Obstacle, ObstacleKind, ProbeResult,
    RecipientKind, RecordedReply,
};
use crate::reason::{Cause, Fault};

/// The provisional results of a lane.
#[derive(Debug, Default)]
pub(super) struct ProvisionalResults {
    /// Rejections, and acceptances that rely on rejections.
    pub(super) results: Vec<ProvisionalResult>,
    /// Rejected random recipients, each with the MX host that rejected it.
    pub(super) controls: Vec<(Domain, Address)>,
}

impl ProvisionalResults {
    fn is_empty(&self) -> bool {
        self.results.is_empty() && self.controls.is_empty()
    }

    /// Adds the control if `reply` rejects one, unless it comes directly after an acceptance in the same domain.
    pub(super) fn add_control(&mut self, reply: &RecordedReply, last_accepted_domain: Option<&Domain>) {
        let RecordedReply { domain, kind, address, attempt, .. } = reply;
        let is_rejected = matches!(
            evidence::interpret_control(&attempt.classified),
            ControlOutcome::Rejected | ControlOutcome::RejectedUnclearly
        );
        if *kind == RecipientKind::Random && is_rejected && last_accepted_domain != Some(domain) {
            self.controls.push((attempt.mx_host.clone(), address.clone()));
        }
    }

    /// Splits results into provisional ones and final ones.
    pub(super) fn split(&self, results: Vec<ProbeResult>) -> (Vec<ProbeResult>, Vec<ProbeResult>) {
        let has_rejected = !self.is_empty() || results.iter().any(|result| is_rejection(&result.mailbox));
        results.into_iter().partition(|ProbeResult { mailbox, .. }| {
            is_rejection(mailbox) || (has_rejected && matches!(mailbox.catch_all, CatchAll::No(_)))
        })
    }
}

/// A result that may be revoked.
#[derive(Debug)]
pub(super) struct ProvisionalResult {
    pub(super) result: ProbeResult,
    /// MX hosts of other providers, where the recipient is probed if this result is revoked.
    pub(super) elsewhere: Option<Arc<[MxHop]>>,
}

impl ProvisionalResult {
    /// Drops the texts of the replies, because a thousand lanes hold some hundred results each: the replies are
    /// stored by now, and their meanings are enough.
    pub(super) fn new(mut result: ProbeResult, elsewhere: Option<&Arc<[MxHop]>>) -> ProvisionalResult {
        for attempt in &mut result.mailbox.attempts {
            attempt.classified.reply.lines = Vec::new();
        }
        ProvisionalResult { result, elsewhere: elsewhere.cloned() }
    }
}

/// The result of a recipient whose replies were revoked and that cannot be probed elsewhere: unknown, with the
/// obstacle `why`.
pub(super) fn unknown_because(result: ProbeResult, why: &ObstacleKind) -> ProbeResult {
    let obstacle = result.mailbox.attempts.last().map(|Attempt { mx_host, at, .. }| {
        Arc::new(Obstacle { mx_host: mx_host.clone(), at: *at, kind: why.clone() })
    });
    ProbeResult { mailbox: Box::new(MailboxEvidence { obstacle, ..MailboxEvidence::default() }), ..result }
}

/// True if the last reply may make the recipient undeliverable, and the domain is no catch-all.
fn is_rejection(mailbox: &MailboxEvidence) -> bool {
    let is_catch_all = matches!(mailbox.catch_all, CatchAll::Yes(_));
    let last = mailbox.attempts.last().map(|attempt| attempt.classified.meaning.cause);
    !is_catch_all && last.is_some_and(|cause| cause == Cause::Ambiguous || cause.fault() == Fault::Mailbox)
}
