//! What holds whatever the hosts do: no limit is broken, nobody who exists is condemned, nobody is forgotten.

use std::collections::HashMap;

use super::MINUTE;
use super::habits::Habit;
use super::hosts::{World, lane_from};
use crate::address::{Address, AddressKinds};
use crate::evidence::{AddressStatus, Evidence, MailboxEvidence, RecipientId, RouteFact};
use crate::policy::Provider;
use crate::reason::{Finding, Reason, Verdict};
use crate::schedule::lane::DAY;
use crate::schedule::*;
use crate::verdict::decide;

/// The most within any span of that length.
fn most_within(times: &[Duration], span: Duration) -> usize {
    let after = |from: usize| times[from..].iter().take_while(|at| **at < times[from] + span).count();
    (0..times.len()).map(after).max().unwrap_or(0)
}

/// A listed mailbox.
pub(super) struct Mailbox {
    pub(super) address: Address,
    pub(super) exists: bool,
    /// The hosts of its domain.
    pub(super) hosts: Vec<(Habit, Arc<Provider>)>,
    /// The lane of the first of them, from the first egress.
    pub(super) lane: String,
}

impl Mailbox {
    /// Does a host of its domain accept anybody, in a way that nothing can show?
    fn is_accepted_anyway(&self) -> bool {
        self.hosts.iter().any(|(habit, provider)| match habit {
            Habit::CatchAll | Habit::Turns(_) => true,
            // Of operators that are known not to do so.
            Habit::Lies(_) | Habit::LiesInAll(_) => !provider.may_discard,
            _ => false,
        })
    }

    /// Could nothing show in time that a host of its domain turned against us? It says so later, or another host of the
    /// operator accepted somebody meanwhile.
    fn is_settled_unawares(&self, target: RecipientId, world: &World) -> bool {
        let turns = self.hosts.iter().any(|(habit, _)| matches!(habit, Habit::Sours(_)));
        let egress = world.asked_from.get(&self.address.to_string()).copied().unwrap_or(0);
        let lane = lane_from(egress, &self.lane);
        let is_before = world.turned.get(&lane).is_none_or(|turned| world.settled_at[&target] < *turned);
        turns && (is_before || world.accepted.contains(&lane))
    }
}

/// Each mailbox of the list.
pub(super) type Everybody = HashMap<RecipientId, Mailbox>;

/// What the hosts counted is within the operator's data.
pub(super) fn check_limits(world: &World, providers: &HashMap<String, Arc<Provider>>, pace: Pace) {
    for (lane, provider) in providers {
        let limits = provider.limits(pace);
        let most = |times: &HashMap<String, Vec<Duration>>, span| {
            times.get(lane).map_or(0, |times| most_within(times, span))
        };
        assert!(
            most(&world.connection_pacer, MINUTE) <= limits.connections.max(2) as usize,
            "connections a minute"
        );
        assert!(most(&world.asks, MINUTE) <= limits.recipients.max(2) as usize, "recipients a minute");
        let caps = [(limits.unknown_per_hour, MINUTE * 60), (limits.unknown_per_day, MINUTE * 1440)];
        let mut unknown = world.unknown.get(lane).cloned().unwrap_or_default();
        unknown.sort_unstable();
        for (cap, span) in caps.into_iter().filter_map(|(cap, span)| Some((cap?, span))) {
            // Earlier runs may have used up more; nothing is added to that.
            let this_run = unknown.partition_point(|at| *at < DAY);
            let before = |to: usize| unknown[..=to].iter().filter(|at| **at + span > unknown[to]).count();
            let most = (this_run..unknown.len()).map(before).max().unwrap_or(0);
            assert!(most <= cap as usize, "unknown names: {most} of {cap}");
        }
    }
}

/// Why an address gets the verdict that it gets.
pub(super) fn reason(address: &Address, mailbox: MailboxEvidence) -> Reason {
    let evidence = Evidence {
        status: AddressStatus::Valid(address.clone()),
        kinds: AddressKinds::default(),
        typo: None,
        route: Some(RouteFact::Hosts { provider: "".into(), is_checkable: true }),
        mailbox,
    };
    decide(&evidence, std::time::UNIX_EPOCH).0.reason
}

/// Nobody who exists is condemned, and nobody who does not is praised.
pub(super) fn check_verdicts(
    listed: Everybody,
    mut settled: HashMap<RecipientId, MailboxEvidence>,
    world: &World,
) {
    for (target, mailbox) in listed {
        let Mailbox { address, exists, .. } = &mailbox;
        let evidence = settled.remove(&target).unwrap();
        let reason = reason(address, evidence.clone());
        let verdict = reason.verdict();
        let what = || format!("{address}: {reason:?} by {evidence:?}");
        let is_condemned = verdict == Verdict::Undeliverable;
        assert!(
            !exists || !is_condemned || mailbox.is_settled_unawares(target, world),
            "it exists, {}",
            what()
        );
        let is_praised = verdict == Verdict::Deliverable;
        assert!(*exists || !is_praised || mailbox.is_accepted_anyway(), "it does not exist, {}", what());
        assert_ne!(reason, Finding::Internal.into(), "it was forgotten, {}", what());
    }
}
