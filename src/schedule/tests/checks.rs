//! What holds whatever the hosts do: no limit is broken, nobody who exists is condemned, nobody is forgotten.

use std::collections::HashMap;

use super::MINUTE;
use super::hosts::World;
use crate::address::{Address, AddressKinds};
use crate::evidence::{AddressStatus, Evidence, MailboxEvidence, RecipientId, RouteFact};
use crate::policy::Provider;
use crate::reason::{Finding, Reason, Verdict};
use crate::schedule::*;
use crate::verdict::decide;

/// The most within any span of that length.
fn most_within(times: &[Duration], span: Duration) -> usize {
    let after = |from: usize| times[from..].iter().take_while(|at| **at < times[from] + span).count();
    (0..times.len()).map(after).max().unwrap_or(0)
}

/// Each address, whether it exists, and whether a host of its domain accepts anybody.
pub(super) type Everybody = HashMap<RecipientId, (Address, bool, bool)>;

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
        for (cap, span) in caps.into_iter().filter_map(|(cap, span)| Some((cap?, span))) {
            assert!(
                most(&world.unknown, span) <= cap as usize,
                "unknown names: {} of {cap}",
                most(&world.unknown, span)
            );
        }
    }
}

/// Why an address gets the verdict that it gets.
pub(super) fn reason(address: &Address, domain_probe: MailboxEvidence) -> Reason {
    let evidence = Evidence {
        form: AddressStatus::Valid(address.clone()),
        kinds: AddressKinds::default(),
        slip: None,
        route: Some(RouteFact::Hosts { provider: "".into(), evidence: true }),
        domain_probe,
    };
    decide(&evidence, std::time::UNIX_EPOCH).0.reason
}

/// Nobody who exists is condemned, and nobody who does not is praised.
pub(super) fn check_verdicts(listed: Everybody, mut settled: HashMap<RecipientId, MailboxEvidence>) {
    for (target, (address, exists, accepts_any)) in listed {
        let mailbox = settled.remove(&target).unwrap();
        let reason = reason(&address, mailbox.clone());
        let verdict = reason.verdict();
        let what = || format!("{address}: {reason:?} by {mailbox:?}");
        assert!(!exists || verdict != Verdict::Undeliverable, "it exists, {}", what());
        assert!(exists || accepts_any || verdict != Verdict::Deliverable, "it does not exist, {}", what());
        assert_ne!(reason, Finding::Internal.into(), "it was forgotten, {}", what());
    }
}
