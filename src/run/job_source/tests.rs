//! Jobs for the parts of a domain, from the egress that was used before, and with a route that has not expired.

use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::evidence::{Attempt, ClassifiedReply, MxHostFacts, RecipientKind, RecordedReply, Tally};
use crate::policy::{ReplyCache, Thresholds};
use crate::route::{MxHost, Route};
use crate::smtp::{EgressPath, Reply, Stage};
use crate::state::{RouteTimes, RunKey};

/// Enough recipients for several parts of one domain.
const LISTED: i64 = 450;

fn deferral(host: &Domain) -> ClassifiedReply {
    let reply = Reply::parse(b"451 4.7.1 Greylisted, please try again later\r\n").unwrap();
    let policy = Policy::built_in();
    ClassifiedReply::new(&mut ReplyCache::of(policy), Stage::Rcpt, policy.providers().of(host), reply)
}

fn two_egresses(state: &mut State) -> EgressIds {
    let egress = |last| Egress {
        path: EgressPath::Direct(Some([192, 0, 2, last].into())),
        helo: Domain::parse("mail.acme.example").unwrap(),
        sender: Address::parse("verify@acme.example").unwrap(),
    };
    EgressIds::of(&[egress(7), egress(9)], state).unwrap()
}

fn address(n: i64) -> Address {
    Address::parse(&format!("user{n}@acme.example")).unwrap()
}

/// A run over one domain, with its MX host.
fn begin(now: SystemTime) -> (State, RunHandle, Domain, Route, Domain) {
    let mut state = State::temporary().unwrap();
    let run = state.begin(&RunKey::default(), Duration::MAX, now, Duration::MAX).unwrap();
    let (domain, host) = (Domain::parse("acme.example").unwrap(), Domain::parse("mx.acme.example").unwrap());
    let mut worklist = state.build_worklist(run.id).unwrap();
    (0..LISTED).for_each(|n| worklist.add(&address(n)).unwrap());
    worklist.finish(FreshnessPolicy::nothing()).unwrap();
    let addresses = vec![[192, 0, 2, 1].into()];
    let route = Route::Hosts(vec![MxHost { preference: 10, host: host.clone(), addresses }]);
    let lasts = RouteTimes { looked_up: now, valid_until: now + Duration::from_secs(3600) };
    state.write_route(run.id, &domain, &route, lasts).unwrap();
    (state, run, domain, route, host)
}

/// Takes the next domain of the worklist, and lets it wait at its lane.
fn enqueue_next(jobs: &mut JobSource, state: &mut State, route: Route) -> Arc<str> {
    let (key, domain) = jobs.next_domain(state).unwrap().unwrap();
    let lane = RoutedDomain::new(&domain, route, &Policy::built_in()).lane_key().unwrap();
    jobs.enqueue(lane.clone(), key, state).unwrap();
    lane
}

#[test]
fn a_part_of_a_domain_gets_the_facts_of_earlier_parts_until_they_are_revoked() {
    let now = UNIX_EPOCH + Duration::from_secs(86_400);
    let (mut state, run, domain, route, host) = begin(now);
    let egresses = two_egresses(&mut state);
    let mut jobs = JobSource::new(
        run,
        FreshnessPolicy::nothing(),
        RetryPolicy::built_in(Duration::ZERO),
        Thresholds::built_in().large_domain,
        egresses,
    );
    let policy = Policy::built_in();
    let lane = enqueue_next(&mut jobs, &mut state, route);
    let known = |jobs: &mut JobSource| {
        jobs.next_jobs(&lane, &state, &policy, now).unwrap().unwrap().jobs.remove(0).facts
    };
    assert_eq!(known(&mut jobs), DomainFacts::default());
    let shown = MxHostFacts { clear_rejections: 2, ..MxHostFacts::new(host) };
    let facts =
        DomainFacts { mx_hosts: vec![shown], postmaster_was_probed: true, egress: None, accepted: None };
    jobs.add_facts(&domain, facts.clone());
    assert_eq!(known(&mut jobs), facts);
    jobs.forget_facts(&address(0));
    assert_eq!(known(&mut jobs), DomainFacts { postmaster_was_probed: true, ..DomainFacts::default() });
}

#[test]
fn a_domain_whose_route_expired_while_it_waited_is_looked_up_again_and_nothing_is_submitted_twice() {
    let now = UNIX_EPOCH + Duration::from_secs(86_400);
    let (mut state, run, domain, route, _) = begin(now);
    let egresses = two_egresses(&mut state);
    let mut jobs = JobSource::new(
        run,
        FreshnessPolicy::nothing(),
        RetryPolicy::built_in(Duration::ZERO),
        Thresholds::built_in().large_domain,
        egresses,
    );
    let policy = Policy::built_in();
    let lane = enqueue_next(&mut jobs, &mut state, route.clone());
    assert!(jobs.next_domain(&mut state).unwrap().is_none());
    let mut submitted: Vec<RecipientId> = Vec::new();
    let mut take = |jobs: &mut JobSource, state: &State, now| {
        let due = jobs.next_jobs(&lane, state, &policy, now).unwrap();
        let due: Vec<RecipientId> =
            due.into_iter().flat_map(|due| due.jobs).flat_map(|job| job.recipients).map(|r| r.id).collect();
        submitted.extend(&due);
        due.len()
    };
    assert_eq!(take(&mut jobs, &state, now), 200);
    let later = now + Duration::from_secs(3600);
    assert_eq!(take(&mut jobs, &state, later), 0);
    assert!(!jobs.is_empty(), "the rest of the domain still waits");
    assert_eq!(jobs.take_expired(), [(NameHash::of("acme.example"), domain.clone())]);
    assert_eq!(jobs.take_expired(), []);
    let lasts = RouteTimes { looked_up: later, valid_until: later + Duration::from_secs(3600) };
    assert!(!state.write_route(run.id, &domain, &route, lasts).unwrap(), "the same route");
    let again = jobs.routed_again(NameHash::of("acme.example")).unwrap();
    assert!(again.waits && again.returned.is_empty());
    jobs.enqueue(lane.clone(), NameHash::of("acme.example"), &state).unwrap();
    while !jobs.is_empty() {
        take(&mut jobs, &state, later);
    }
    submitted.sort_unstable();
    let before = submitted.len();
    submitted.dedup();
    assert_eq!((before, submitted.len()), (450, 450), "each once");
}

#[test]
fn a_resumed_run_retries_a_deferred_recipient_from_its_egress() {
    let now = UNIX_EPOCH + Duration::from_secs(86_400);
    let (mut state, run, domain, route, host) = begin(now);
    // Every third recipient was not probed yet; the others, and a random recipient, in turn from both egresses.
    let egresses = two_egresses(&mut state);
    let mut probed_from = HashMap::new();
    let random_recipient = Address::parse("zq0v8k1xw3@acme.example").unwrap();
    let listed =
        (0..LISTED).filter(|n| n % 3 > 0).map(|n| (RecipientKind::Listed(0), address(n), n % 3 == 1));
    for (kind, address, first) in listed.chain([(RecipientKind::Random, random_recipient.clone(), false)]) {
        let egress = usize::from(!first);
        let attempt = Attempt { mx_host: host.clone(), at: now, classified: deferral(&host) };
        let (lane, tally) = ("lane".into(), Tally::default());
        probed_from.insert(address.clone(), egress);
        let recorded = RecordedReply { domain: domain.clone(), kind, address, attempt, egress, lane, tally };
        state.write_reply(run.id, egresses.id(egress), &recorded).unwrap();
    }

    let resumed = state.begin(&RunKey::default(), Duration::MAX, now, Duration::MAX).unwrap();
    let retry_policy = RetryPolicy::built_in(Duration::from_secs(3600));
    let mut jobs = JobSource::new(
        resumed,
        FreshnessPolicy::nothing(),
        retry_policy,
        Thresholds::built_in().large_domain,
        egresses,
    );
    let policy = Policy::built_in();
    let lane = enqueue_next(&mut jobs, &mut state, route);
    let mut submitted = 0;
    while !jobs.is_empty() {
        let due = jobs.next_jobs(&lane, &state, &policy, now).unwrap();
        for DomainJob { recipients, facts, .. } in due.into_iter().flat_map(|due| due.jobs) {
            submitted += recipients.len();
            let waiting = recipients.iter().filter(|recipient| recipient.is_waiting());
            let others: Vec<_> = waiting
                .map(|recipient| &recipient.address)
                .filter(|address| facts.egress != Some(probed_from[*address]))
                .collect();
            assert_eq!(others, Vec::<&Address>::new(), "submitted for {:?}", facts.egress);
            let knows_control = facts.waiting_control() == Some(&random_recipient);
            assert_eq!(knows_control, facts.egress == Some(probed_from[&random_recipient]), "the control");
        }
        jobs.next_domain(&mut state).unwrap();
    }
    assert_eq!(submitted, usize::try_from(LISTED).unwrap(), "each once");
}
