//! The provisional results of a lane: which results are provisional there, and what one becomes that is revoked.
//!
//! A server that starts to reject us may reply `550 no such user` to every recipient before it says so openly.
//! Therefore a rejection is provisional at its lane, and an acceptance that relies on a rejected control as well. A
//! revoked recipient without an MX host of another provider is unknown. It is never probed again at a provider that
//! rejects us, nor from another egress, because that would work around a block.
//!
//! Exception: a random recipient that is rejected directly after an acceptance in the same domain needs no
//! confirmation, because two different replies in a row show that the server distinguishes recipients.

use std::sync::Arc;

use crate::address::{Address, Domain};
use crate::evidence::{
    self, Attempt, CatchAll, ControlOutcome, MailboxEvidence, Obstacle, ObstacleKind, PositiveControl,
    ProbeResult, RecipientKind, RecordedReply,
};
use crate::reason::{Cause, Fault};
use crate::schedule::job::RemainingRoute;
use crate::schedule::limits::{EndpointId, LaneId};

/// The provisional results of a lane.
#[derive(Debug, Default)]
pub(in crate::schedule) struct ProvisionalResults {
    /// Rejections, and acceptances that rely on rejections.
    results: Vec<ProvisionalResult>,
    /// Rejected random recipients, each with the MX host that rejected it.
    controls: Vec<(Domain, Address)>,
    /// The domain of the last reply, if that reply accepted a recipient.
    last_accepted_domain: Option<Domain>,
}

impl ProvisionalResults {
    fn is_empty(&self) -> bool {
        self.results.is_empty() && self.controls.is_empty()
    }

    /// The number of results that are held.
    pub(in crate::schedule) fn held(&self) -> usize {
        self.results.len()
    }

    /// Holds results.
    pub(super) fn hold(&mut self, results: Vec<ProvisionalResult>) {
        self.results.reserve_exact(results.len());
        self.results.extend(results);
    }

    /// Takes out all results and all rejected controls.
    pub(super) fn take(&mut self) -> (Vec<ProvisionalResult>, Vec<(Domain, Address)>) {
        (std::mem::take(&mut self.results), std::mem::take(&mut self.controls))
    }

    /// Notes a reply about a domain.
    pub(in crate::schedule) fn note_reply(&mut self, domain: &Domain, is_accepted: bool) {
        self.last_accepted_domain = is_accepted.then(|| domain.clone());
    }

    /// Adds the control if `reply` rejects one, unless it comes directly after an acceptance in the same domain.
    pub(in crate::schedule) fn add_control(&mut self, reply: &RecordedReply) {
        let RecordedReply { domain, kind, address, attempt, .. } = reply;
        let is_rejected = matches!(
            evidence::interpret_control(&attempt.classified),
            ControlOutcome::Rejected | ControlOutcome::RejectedUnclearly
        );
        if *kind == RecipientKind::Random && is_rejected && self.last_accepted_domain.as_ref() != Some(domain)
        {
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
    /// The lane that has the recipient in its backlog.
    pub(super) initial_lane: LaneId,
    /// MX hosts of other providers, where the recipient is probed if this result is revoked.
    pub(super) elsewhere: Option<Arc<RemainingRoute>>,
    /// Of a rejection by an endpoint that accepted no recipient so far: this endpoint, and the MX hosts where the
    /// recipient is probed again once it does.
    pub(super) unproven: Option<Unproven>,
}

/// Where a rejection comes from that no acceptance confirms.
#[derive(Clone, Debug)]
pub(in crate::schedule) struct Unproven {
    /// The endpoint that rejected.
    pub(in crate::schedule) endpoint: EndpointId,
    /// The MX hosts of the domain that are left, the endpoint's first.
    pub(in crate::schedule) route: Arc<RemainingRoute>,
}

/// True if no acceptance came after the rejection in its session.
pub(in crate::schedule) fn is_unproven(result: &ProbeResult) -> bool {
    result.mailbox.positive_control == PositiveControl::Inconclusive
}

impl ProvisionalResult {
    /// Drops the texts of the replies, because a thousand lanes hold some hundred results each: the replies are
    /// stored by now, and their meanings are enough.
    pub(super) fn new(
        mut result: ProbeResult,
        initial_lane: LaneId,
        elsewhere: Option<&Arc<RemainingRoute>>,
        unproven: Option<&Unproven>,
    ) -> ProvisionalResult {
        for attempt in &mut result.mailbox.attempts {
            attempt.classified.reply.lines = Vec::new();
        }
        let unproven = unproven.filter(|_| is_unproven(&result)).cloned();
        ProvisionalResult { result, initial_lane, elsewhere: elsewhere.cloned(), unproven }
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

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::evidence::{ClassifiedReply, RecipientId, Tally};
    use crate::policy::{ReplyContext, ReplyRules};
    use crate::smtp::{Reply, Stage};

    fn attempt(words: &str) -> Attempt {
        let reply = Reply::parse(format!("{words}\r\n").as_bytes()).unwrap();
        let context = ReplyContext { stage: Stage::Rcpt, provider: None };
        let meaning = ReplyRules::built_in().classify(&reply, &context).into();
        let classified = ClassifiedReply { stage: Stage::Rcpt, reply, meaning };
        Attempt { mx_host: Domain::parse("mx.acme.example").unwrap(), at: UNIX_EPOCH, classified }
    }

    fn result(id: i64, words: &str) -> ProbeResult {
        let mailbox = MailboxEvidence { attempts: vec![attempt(words)], ..MailboxEvidence::default() };
        let address = Address::parse(&format!("user{id}@acme.example")).unwrap();
        ProbeResult { id: RecipientId(id), address, was_deliverable: false, mailbox: Box::new(mailbox) }
    }

    #[test]
    fn a_rejection_is_provisional_and_an_acceptance_without_control_is_not() {
        let results = vec![result(1, "250 2.1.5 Ok"), result(2, "550 5.1.1 User unknown")];
        let (provisional, confirmed) = ProvisionalResults::default().split(results);
        assert_eq!((provisional.len(), provisional[0].id), (1, RecipientId(2)));
        assert_eq!((confirmed.len(), confirmed[0].id), (1, RecipientId(1)));
    }

    #[test]
    fn a_random_recipient_that_is_rejected_right_after_an_acceptance_is_not_held() {
        let domain = Domain::parse("acme.example").unwrap();
        let reply = RecordedReply {
            domain: domain.clone(),
            kind: RecipientKind::Random,
            address: Address::parse("q7x2kf9w@acme.example").unwrap(),
            attempt: attempt("550 5.1.1 User unknown"),
            egress: 0,
            lane: "acme".into(),
            tally: Tally::default(),
        };
        for (is_accepted, held) in [(true, 0), (false, 1)] {
            let mut results = ProvisionalResults::default();
            results.note_reply(&domain, is_accepted);
            results.add_control(&reply);
            assert_eq!(results.take().1.len(), held, "{is_accepted}");
        }
    }

    #[test]
    fn what_is_revoked_is_unknown_with_the_obstacle() {
        let why = ObstacleKind::NoReply(crate::reason::Finding::MalformedReply);
        let revoked = unknown_because(result(1, "550 5.1.1 User unknown"), &why);
        assert!(revoked.mailbox.attempts.is_empty());
        assert_eq!(revoked.mailbox.obstacle.as_ref().map(|obstacle| &obstacle.kind), Some(&why));
    }
}
