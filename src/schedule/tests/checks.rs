//! What holds whatever the hosts do: no limit is exceeded, no recipient that exists is undeliverable, and no
//! recipient is left out.

use super::hosts::lane_from;
use super::*;
use crate::address::AddressKinds;
use crate::evidence::{AddressStatus, Evidence, PositiveControl, RouteFact};
use crate::policy::Provider;
use crate::reason::{Finding, Reason, Verdict};
use crate::verdict::decide;

/// The most times within any span of that length.
pub(super) fn most_within(times: &[Duration], span: Duration) -> usize {
    let after = |from: usize| times[from..].iter().take_while(|at| **at < times[from] + span).count();
    (0..times.len()).map(after).max().unwrap_or(0)
}

/// A recipient and what is true about it.
pub(super) struct Mailbox {
    pub(super) address: Address,
    pub(super) exists: bool,
    /// The hosts of its domain.
    pub(super) hosts: Vec<(Habit, Arc<Provider>)>,
    /// The lane of the first of them, from the first egress.
    pub(super) lane: String,
}

impl Mailbox {
    /// True if a host of its domain accepts any recipient in a way that no probe can show.
    fn is_accepted_anyway(&self) -> bool {
        self.hosts.iter().any(|(habit, provider)| match habit {
            // `AcceptsAfter` may turn in a session that gets no random recipient: see `turns`.
            Habit::CatchAll | Habit::Turns(_) | Habit::AcceptsAfter(_) => true,
            // At a provider whose data rule that out.
            Habit::Lies(_) | Habit::LiesInAll(_) => !provider.may_discard,
            _ => false,
        })
    }

    /// True if its result could not be revoked although a host of its domain turns or blocks us: the host says so later,
    /// or another host of the provider accepted a recipient meanwhile. `is_inferred`: no recipient was accepted after
    /// its rejection, as far as the lane knew, which may have been evicted meanwhile; such a result is never in the
    /// suppression list.
    fn could_not_be_revoked(&self, target: RecipientId, is_inferred: bool, world: &World) -> bool {
        let is_unseen_turn = |(habit, provider): &(Habit, Arc<Provider>)| match habit {
            Habit::Sours(_) => is_inferred,
            // The data of some providers rule out that their hosts turn or are out of step.
            Habit::Stutters
            | Habit::RejectsAfter(_)
            | Habit::RejectsAfterInAll(_)
            | Habit::RejectsAtFirst(_)
            | Habit::DeniesAfter(_) => is_inferred || provider.is_trusted(),
            _ => false,
        };
        if self.hosts.iter().any(is_unseen_turn) {
            return true;
        }
        let turns = self.hosts.iter().any(|(habit, _)| matches!(habit, Habit::Sours(_)));
        let egress = world.probed_from.get(&self.address.to_string()).copied().unwrap_or(0);
        let lane = lane_from(egress, &self.lane);
        let at = world.last_probed_at.get(&self.address.to_string()).copied().flatten();
        let turned = world.turned_at.get(&(lane.clone(), at));
        let is_before = turned.is_none_or(|turned| world.completed_at[&target] < *turned);
        turns && (is_before || world.accepted.contains(&lane))
    }
}

/// All recipients of the run.
pub(super) type Mailboxes = HashMap<RecipientId, Mailbox>;

/// Checks what the hosts counted against the limits of the providers.
pub(super) fn check_limits(world: &World, providers: &HashMap<String, Arc<Provider>>, pace: Pace) {
    for (lane, provider) in providers {
        let limits = provider.limits(pace);
        let most = |times: &HashMap<String, Vec<Duration>>, span| {
            times.get(lane).map_or(0, |times| most_within(times, span))
        };
        assert!(
            most(&world.connections, MINUTE) <= limits.connections.max(2) as usize,
            "connections a minute"
        );
        assert!(most(&world.probes, MINUTE) <= limits.recipients.max(2) as usize, "recipients a minute");
        let caps = [(limits.unknown_per_hour, MINUTE * 60), (limits.unknown_per_day, MINUTE * 1440)];
        let mut unknown = world.unknown.get(lane).cloned().unwrap_or_default();
        unknown.sort_unstable();
        for (cap, span) in caps.into_iter().filter_map(|(cap, span)| Some((cap?, span))) {
            // Earlier runs may have exceeded the limit, but this run adds nothing then.
            let this_run = unknown.partition_point(|at| *at < DAY);
            let before = |to: usize| unknown[..=to].iter().filter(|at| **at + span > unknown[to]).count();
            let most = (this_run..unknown.len()).map(before).max().unwrap_or(0);
            assert!(most <= cap as usize, "unknown recipients: {most} of {cap}");
        }
    }
}

/// The reason of a verdict.
pub(super) fn reason(address: &Address, mailbox: MailboxEvidence) -> Reason {
    let evidence = Evidence {
        status: AddressStatus::Valid(address.clone()),
        kinds: AddressKinds::default(),
        typo: None,
        route: Some(RouteFact::Hosts { provider: "".into(), is_checkable: true }),
        mailbox,
    };
    decide(&evidence, std::time::UNIX_EPOCH, |_| None).0.reason
}

/// Checks that no recipient that exists is undeliverable, and that none that does not exist is deliverable.
pub(super) fn check_verdicts(
    mailboxes: Mailboxes,
    mut results: HashMap<RecipientId, MailboxEvidence>,
    world: &World,
) {
    for (target, mailbox) in mailboxes {
        let Mailbox { address, exists, .. } = &mailbox;
        let evidence = results.remove(&target).unwrap();
        let reason = reason(address, evidence.clone());
        let verdict = reason.verdict();
        let what = || format!("{address}: {reason:?} by {evidence:?}");
        let is_undeliverable = verdict == Verdict::Undeliverable;
        let is_inferred = evidence.positive_control == PositiveControl::Inconclusive;
        assert!(
            !exists || !is_undeliverable || mailbox.could_not_be_revoked(target, is_inferred, world),
            "it exists, {}",
            what()
        );
        let is_deliverable = verdict == Verdict::Deliverable;
        assert!(*exists || !is_deliverable || mailbox.is_accepted_anyway(), "it does not exist, {}", what());
        assert_ne!(reason, Finding::Internal.into(), "it was left out, {}", what());
    }
}
