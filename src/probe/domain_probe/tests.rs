//! Domain probes that start with known facts, one reply at a time.

use std::time::UNIX_EPOCH;

use fastrand::Rng;

use super::*;
use crate::evidence::{Attempt, ClassifiedReply, NotCatchAllProof, PositiveControl};
use crate::policy::{ReplyContext, ReplyRules, RetryPolicy};
use crate::smtp::{Reply, Stage};

const MINUTE: Duration = Duration::from_secs(60);

/// This long after the start of a run. The run starts a day after the epoch, so that earlier times exist.
fn at(elapsed: Duration) -> Timestamp {
    Timestamp { elapsed, wall: UNIX_EPOCH + Duration::from_secs(86_400) + elapsed }
}

fn classified(words: &str) -> ClassifiedReply {
    let reply = Reply::parse(format!("{words}\r\n").as_bytes()).unwrap();
    let meaning =
        ReplyRules::built_in().classify(&reply, &ReplyContext { stage: Stage::Rcpt, provider: None });
    ClassifiedReply { stage: Stage::Rcpt, reply, meaning: meaning.into() }
}

fn listed(names: &[&str]) -> Vec<Recipient> {
    let address = |name: &str| Address::parse(&format!("{name}@acme.example")).unwrap();
    (0..).zip(names).map(|(id, name)| Recipient::from((RecipientId(id), address(name)))).collect()
}

fn host() -> Domain {
    Domain::parse("mx.acme.example").unwrap()
}

fn domain_probe(listed: Vec<Recipient>, facts: DomainFacts, now: Timestamp) -> DomainProbe {
    domain_probe_with(ControlPlan { after: 1, together: false }, 2, listed, facts, now)
}

fn domain_probe_with(
    control_plan: ControlPlan,
    rejections_needed: u32,
    listed: Vec<Recipient>,
    facts: DomainFacts,
    now: Timestamp,
) -> DomainProbe {
    let strategy =
        ProbeStrategy { control_plan, rejections_needed, hosts_may_turn: false, before_control_retry: 10 };
    let retry_policy = RetryPolicy::built_in(30 * MINUTE);
    let domain = Domain::parse("acme.example").unwrap();
    DomainProbe::new(domain, [host()], listed, facts, strategy, retry_policy, now)
}

const ACCEPTED: &str = "250 2.1.5 Ok";
const UNKNOWN: &str = "550 5.1.1 User unknown";
const DEFERRED: &str = "450 4.2.0 Greylisted, please try again later";

/// Replies to all probes at one moment; returns the recipients that were probed.
fn answer(
    domain_probe: &mut DomainProbe,
    now: Timestamp,
    words: impl Fn(RecipientKind) -> &'static str,
) -> Vec<RecipientKind> {
    let mut probed = Vec::new();
    let mut random = Rng::with_seed(1);
    while domain_probe.next_step(now) == NextStep::Probe {
        for (kind, _) in domain_probe.next_probes(now, 10, false, &mut random) {
            probed.push(kind);
            domain_probe.on_reply(kind, classified(words(kind)), now);
        }
    }
    probed
}

/// An honest server: it rejects the random recipient only.
fn honest(kind: RecipientKind) -> &'static str {
    if kind == RecipientKind::Random { UNKNOWN } else { ACCEPTED }
}

#[test]
fn a_later_part_of_a_domain_needs_no_control_of_its_own() {
    let mut first = domain_probe(listed(&["ann", "bob"]), DomainFacts::default(), at(MINUTE));
    assert!(answer(&mut first, at(MINUTE), honest).contains(&RecipientKind::Random));
    let (facts, _) = first.finish(None);
    let mut second = domain_probe(listed(&["cleo"]), facts, at(2 * MINUTE));
    assert_eq!(answer(&mut second, at(2 * MINUTE), honest), [RecipientKind::Listed(0)]);
    let (_, results) = second.finish(None);
    assert_eq!(results[0].mailbox.catch_all, CatchAll::No(NotCatchAllProof::Control));
}

#[test]
fn a_revoked_control_is_probed_again() {
    let mut first = domain_probe(listed(&["ann"]), DomainFacts::default(), at(MINUTE));
    answer(&mut first, at(MINUTE), honest);
    let (facts, _) = first.finish(None);
    let mut second = domain_probe(listed(&["bob", "cleo"]), facts, at(2 * MINUTE));
    let why = ObstacleKind::NoReply(crate::reason::Finding::MalformedReply);
    second.invalidate_control(&host(), &why, at(2 * MINUTE));
    assert_eq!(
        answer(&mut second, at(2 * MINUTE), |_| ACCEPTED),
        [RecipientKind::Listed(0), RecipientKind::Random]
    );
    assert!(matches!(second.finish(None).1[0].mailbox.catch_all, CatchAll::Yes(_)));
}

#[test]
fn a_known_catch_all_domain_is_not_probed_again() {
    let mut first = domain_probe(listed(&["ann", "bob"]), DomainFacts::default(), at(MINUTE));
    answer(&mut first, at(MINUTE), |_| ACCEPTED);
    let (facts, _) = first.finish(None);
    let mut second = domain_probe(listed(&["cleo"]), facts, at(2 * MINUTE));
    assert_eq!(second.next_step(at(2 * MINUTE)), NextStep::Done);
    assert!(matches!(second.finish(None).1[0].mailbox.catch_all, CatchAll::Yes(_)));
}

#[test]
fn a_wait_continues_in_a_later_run_with_the_same_random_recipient() {
    let begun = at(MINUTE);
    let mut first = domain_probe(listed(&["ann"]), DomainFacts::default(), begun);
    assert_eq!(answer(&mut first, begun, |_| DEFERRED), [RecipientKind::Listed(0), RecipientKind::Random]);
    let (facts, results) = first.finish(Some(NotProbedReason::Deadline));
    let name = facts.mx_hosts[0].random_recipient.clone();
    let earlier = results[0].mailbox.attempts.clone();

    // Another run starts two minutes later; three of the five minutes are left.
    let now = Timestamp { elapsed: Duration::ZERO, wall: begun.wall + 2 * MINUTE };
    let mut second = domain_probe(vec![Recipient { earlier, ..listed(&["ann"]).remove(0) }], facts, now);
    assert_eq!(second.next_step(now), NextStep::Wait(3 * MINUTE));
    let later = Timestamp { elapsed: 3 * MINUTE, wall: now.wall + 3 * MINUTE };
    assert_eq!(second.next_step(later), NextStep::Probe);
    for expected in [RecipientKind::Listed(0), RecipientKind::Random] {
        let (kind, address) = second.next_probes(later, 10, false, &mut Rng::with_seed(2)).remove(0);
        assert!(kind == expected && (kind != RecipientKind::Random || Some(&address) == name.as_ref()));
        second.on_reply(kind, classified(honest(kind)), later);
    }
    let (_, results) = second.finish(None);
    assert_eq!(results[0].mailbox.attempts.len(), 2, "the result contains the earlier reply");
    assert_eq!(results[0].mailbox.catch_all, CatchAll::No(NotCatchAllProof::Control));
}

#[test]
fn an_acceptance_of_a_killed_run_only_lacks_its_control() {
    let attempt = Attempt { mx_host: host(), at: at(Duration::ZERO).wall, classified: classified(ACCEPTED) };
    let earlier = vec![Recipient { earlier: vec![attempt], ..listed(&["ann"]).remove(0) }];
    let mut domain_probe = domain_probe(earlier, DomainFacts::default(), at(MINUTE));
    assert_eq!(answer(&mut domain_probe, at(MINUTE), honest), [RecipientKind::Random]);
}

#[test]
fn a_recipient_that_was_deferred_too_often_is_probed_once_more_in_another_run() {
    let attempt =
        |n: u32| Attempt { mx_host: host(), at: UNIX_EPOCH + n * MINUTE, classified: classified(DEFERRED) };
    let earlier = (0..5).map(attempt).collect();
    let mut domain_probe = domain_probe(
        vec![Recipient { earlier, ..listed(&["ann"]).remove(0) }],
        DomainFacts::default(),
        at(MINUTE),
    );
    assert!(answer(&mut domain_probe, at(MINUTE), honest).contains(&RecipientKind::Listed(0)));
}

#[test]
fn a_clock_that_was_ahead_makes_no_wait_longer() {
    let ahead = at(30 * MINUTE);
    let mut first = domain_probe(listed(&["ann"]), DomainFacts::default(), ahead);
    answer(&mut first, ahead, |_| DEFERRED);
    let (facts, results) = first.finish(Some(NotProbedReason::Deadline));
    let earlier = results[0].mailbox.attempts.clone();

    let now = Timestamp { elapsed: Duration::ZERO, wall: at(MINUTE).wall };
    let mut second = domain_probe(vec![Recipient { earlier, ..listed(&["ann"]).remove(0) }], facts, now);
    assert_eq!(second.next_step(now), NextStep::Wait(5 * MINUTE));
    let later = Timestamp { elapsed: 5 * MINUTE, wall: now.wall + 5 * MINUTE };
    assert_eq!(
        answer(&mut second, later, honest),
        [RecipientKind::Listed(0), RecipientKind::Random],
        "the control waits no longer either"
    );
}

#[test]
fn results_are_final_as_soon_as_the_domain_is_known_not_to_be_catch_all() {
    let now = at(MINUTE);
    let mut domain_probe = domain_probe(listed(&["ann", "bob", "cleo"]), DomainFacts::default(), now);
    let mut random = Rng::with_seed(1);
    let mut said_to = |domain_probe: &mut DomainProbe, words: &str| {
        let (kind, _) = domain_probe.next_probes(now, 1, false, &mut random).remove(0);
        domain_probe.on_reply(kind, classified(words), now);
        domain_probe.take_final().into_iter().map(|result| result.id).collect::<Vec<_>>()
    };
    assert_eq!(said_to(&mut domain_probe, ACCEPTED), []);
    assert_eq!(said_to(&mut domain_probe, UNKNOWN), [RecipientId(0)], "the control");
    assert_eq!(said_to(&mut domain_probe, UNKNOWN), [RecipientId(1)]);
    assert_eq!(domain_probe.finish(None).1.len(), 1);
}

#[test]
fn once_the_random_recipient_is_deferred_the_others_wait_for_nothing() {
    let (now, due) = (at(MINUTE), at(6 * MINUTE));
    let mut domain_probe = domain_probe(listed(&["ann", "bob", "cleo"]), DomainFacts::default(), now);
    let mut random = Rng::with_seed(1);
    for words in [ACCEPTED, DEFERRED] {
        let (kind, _) = domain_probe.next_probes(now, 1, false, &mut random).remove(0);
        domain_probe.on_reply(kind, classified(words), now);
    }
    // The wait ends before the others are probed, as at a slow lane.
    assert_eq!(domain_probe.next_step(due), NextStep::Probe);
    let probed: Vec<RecipientKind> =
        domain_probe.next_probes(due, 10, false, &mut random).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(probed, [RecipientKind::Listed(1), RecipientKind::Listed(2)]);
    for kind in probed {
        domain_probe.on_reply(kind, classified(ACCEPTED), due);
    }
    assert_eq!(
        answer(&mut domain_probe, due, honest),
        [RecipientKind::Random],
        "one control proves all of them"
    );
}

#[test]
fn a_random_recipient_is_probed_only_where_the_listed_ones_show_nothing() {
    let [ann, bob, cleo, dora] = [0, 1, 2, 3].map(RecipientKind::Listed);
    let after = |after| ControlPlan { after, together: false };
    for (control_plan, rejections_needed, unknown, probed) in [
        (after(0), 1, vec![], vec![RecipientKind::Random, ann, bob, cleo, dora]),
        // A server that accepted one recipient may accept any.
        (after(1), 2, vec![], vec![ann, RecipientKind::Random, bob, cleo, dora]),
        (after(2), 1, vec![], vec![ann, bob, RecipientKind::Random, cleo, dora]),
        (
            ControlPlan { after: 2, together: true },
            2,
            vec![],
            vec![ann, bob, RecipientKind::Random, cleo, dora],
        ),
        // A server that rejected one does not.
        (after(2), 1, vec![bob], vec![ann, bob, cleo, dora]),
        // One rejection proves nothing here, but the others may. While none is accepted, they come from the end and the middle.
        (after(1), 2, vec![ann], vec![ann, dora, bob, cleo, RecipientKind::Random]),
        (after(1), 2, vec![ann, dora], vec![ann, dora, bob, cleo]),
        (after(4), 1, vec![], vec![ann, bob, cleo, dora, RecipientKind::Random]),
        (after(4), 2, vec![ann, bob, cleo, dora], vec![ann, bob, cleo, dora]),
    ] {
        let names = listed(&["ann", "bob", "cleo", "dora"]);
        let mut domain_probe =
            domain_probe_with(control_plan, rejections_needed, names, DomainFacts::default(), at(MINUTE));
        let words =
            |kind| if kind == RecipientKind::Random || unknown.contains(&kind) { UNKNOWN } else { ACCEPTED };
        assert_eq!(
            answer(&mut domain_probe, at(MINUTE), words),
            probed,
            "{control_plan:?}, {rejections_needed}, {unknown:?}"
        );
    }
}

#[test]
fn where_sockets_are_scarce_the_random_recipient_goes_along_with_the_only_listed_one() {
    let mut domain_probe = domain_probe(listed(&["ann"]), DomainFacts::default(), at(MINUTE));
    assert_eq!(domain_probe.demand(true), 2);
    let probed = domain_probe.next_probes(at(MINUTE), 10, true, &mut Rng::with_seed(1));
    assert!(matches!(probed[..], [(RecipientKind::Listed(0), _), (RecipientKind::Random, _)]));
    assert!(domain_probe.is_next_batch_last());
}

#[test]
fn a_rejection_of_an_interrupted_run_is_unproven_until_its_host_accepts_a_recipient() {
    let mut first = domain_probe(listed(&["ann"]), DomainFacts::default(), at(MINUTE));
    answer(&mut first, at(MINUTE), |_| UNKNOWN);
    let (_, results) = first.finish(None);
    let rejected = Recipient { earlier: results[0].mailbox.attempts.clone(), ..listed(&["ann"]).remove(0) };
    let control_plan = ControlPlan { after: 1, together: false };
    for (hosts_may_turn, control) in
        [(true, PositiveControl::Inconclusive), (false, PositiveControl::NotSent)]
    {
        let strategy =
            ProbeStrategy { control_plan, rejections_needed: 2, hosts_may_turn, before_control_retry: 10 };
        let retry_policy = RetryPolicy::built_in(30 * MINUTE);
        let new = |recipients: Vec<Recipient>| {
            let domain = Domain::parse("acme.example").unwrap();
            let facts = DomainFacts::default();
            DomainProbe::new(domain, [host()], recipients, facts, strategy, retry_policy, at(2 * MINUTE))
        };
        let mut alone = new(vec![rejected.clone()]);
        assert_eq!(answer(&mut alone, at(2 * MINUTE), |_| ACCEPTED), []);
        assert_eq!(alone.finish(None).1[0].mailbox.positive_control, control);
        let mut beside = new(vec![rejected.clone(), listed(&["ann", "bob"]).remove(1)]);
        let probed = answer(&mut beside, at(2 * MINUTE), honest);
        assert_eq!(probed.contains(&RecipientKind::Listed(0)), hosts_may_turn, "{probed:?}");
    }
}
