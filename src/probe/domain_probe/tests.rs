//! Inquiries that begin with what is known, one answer at a time.

use std::time::UNIX_EPOCH;

use fastrand::Rng;

use super::*;
use crate::evidence::{Attempt, ClassifiedReply, NotCatchAllProof};
use crate::policy::{ReplyContext, ReplyRules};
use crate::smtp::{Reply, Stage};

const MINUTE: Duration = Duration::from_secs(60);

/// So long after the beginning of a run that began a day after the first.
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
    (0..).zip(names).map(|(target, name)| Recipient::from((RecipientId(target), address(name)))).collect()
}

fn host() -> Domain {
    Domain::parse("mx.acme.example").unwrap()
}

fn domain_probe(listed: Vec<Recipient>, known: DomainFacts, now: Timestamp) -> DomainProbe {
    inquiry_with(ControlPlan { after: 1, along: false }, 2, listed, known, now)
}

fn inquiry_with(
    turn: ControlPlan,
    proof: u32,
    listed: Vec<Recipient>,
    known: DomainFacts,
    now: Timestamp,
) -> DomainProbe {
    let expectation = ProbeStrategy { turn, proof };
    let retry_policy = RetryPolicy { max_wait: 30 * MINUTE };
    let domain = Domain::parse("acme.example").unwrap();
    DomainProbe::new(domain, [host()], listed, known, expectation, retry_policy, now)
}

const ACCEPTED: &str = "250 2.1.5 Ok";
const UNKNOWN: &str = "550 5.1.1 User unknown";
const PUT_OFF: &str = "450 4.2.0 Greylisted, please try again later";

/// Answers whatever is asked at a moment; who was asked.
fn answer(
    domain_probe: &mut DomainProbe,
    now: Timestamp,
    words: impl Fn(RecipientKind) -> &'static str,
) -> Vec<RecipientKind> {
    let mut asked = Vec::new();
    let mut random = Rng::with_seed(1);
    while domain_probe.next(now) == NextStep::Probe {
        for (who, _) in domain_probe.next_probes(now, 10, false, &mut random) {
            asked.push(who);
            domain_probe.heard(who, classified(words(who)), now);
        }
    }
    asked
}

fn honest(who: RecipientKind) -> &'static str {
    if who == RecipientKind::Random { UNKNOWN } else { ACCEPTED }
}

#[test]
fn a_later_part_of_a_domain_needs_no_control_of_its_own() {
    let mut first = domain_probe(listed(&["ann", "bob"]), DomainFacts::default(), at(MINUTE));
    assert!(answer(&mut first, at(MINUTE), honest).contains(&RecipientKind::Random));
    let (known, _) = first.settle(None);
    let mut second = domain_probe(listed(&["cleo"]), known, at(2 * MINUTE));
    assert_eq!(answer(&mut second, at(2 * MINUTE), honest), [RecipientKind::Listed(0)]);
    let (_, settled) = second.settle(None);
    assert_eq!(settled[0].mailbox.catch_all, CatchAll::No(NotCatchAllProof::Control));
}

#[test]
fn a_revoked_control_is_probed_again() {
    let mut first = domain_probe(listed(&["ann"]), DomainFacts::default(), at(MINUTE));
    answer(&mut first, at(MINUTE), honest);
    let (known, _) = first.settle(None);
    let mut second = domain_probe(listed(&["bob", "cleo"]), known, at(2 * MINUTE));
    second.invalidate_control(&host());
    assert_eq!(
        answer(&mut second, at(2 * MINUTE), |_| ACCEPTED),
        [RecipientKind::Listed(0), RecipientKind::Random]
    );
    assert!(matches!(second.settle(None).1[0].mailbox.catch_all, CatchAll::Yes(_)));
}

#[test]
fn a_known_catch_all_domain_is_not_probed_again() {
    let mut first = domain_probe(listed(&["ann", "bob"]), DomainFacts::default(), at(MINUTE));
    answer(&mut first, at(MINUTE), |_| ACCEPTED);
    let (known, _) = first.settle(None);
    let mut second = domain_probe(listed(&["cleo"]), known, at(2 * MINUTE));
    assert_eq!(second.next(at(2 * MINUTE)), NextStep::Done);
    assert!(matches!(second.settle(None).1[0].mailbox.catch_all, CatchAll::Yes(_)));
}

#[test]
fn a_wait_goes_on_in_a_later_run_and_the_control_keeps_its_name() {
    let begun = at(MINUTE);
    let mut first = domain_probe(listed(&["ann"]), DomainFacts::default(), begun);
    assert_eq!(answer(&mut first, begun, |_| PUT_OFF), [RecipientKind::Listed(0), RecipientKind::Random]);
    let (known, settled) = first.settle(Some(NotProbedReason::Deadline));
    let name = known.mx_hosts[0].random_recipient.clone();
    let earlier = settled[0].mailbox.attempts.clone();

    // Two minutes later another run begins; three of the five minutes are left.
    let now = Timestamp { elapsed: Duration::ZERO, wall: begun.wall + 2 * MINUTE };
    let mut second = domain_probe(vec![Recipient { earlier, ..listed(&["ann"]).remove(0) }], known, now);
    assert_eq!(second.next(now), NextStep::Wait(3 * MINUTE));
    let later = Timestamp { elapsed: 3 * MINUTE, wall: now.wall + 3 * MINUTE };
    assert_eq!(second.next(later), NextStep::Probe);
    for expected in [RecipientKind::Listed(0), RecipientKind::Random] {
        let (who, address) = second.next_probes(later, 10, false, &mut Rng::with_seed(2)).remove(0);
        assert!(who == expected && (who != RecipientKind::Random || Some(&address) == name.as_ref()));
        second.heard(who, classified(honest(who)), later);
    }
    let (_, settled) = second.settle(None);
    assert_eq!(settled[0].mailbox.attempts.len(), 2, "what was said before comes out again");
    assert_eq!(settled[0].mailbox.catch_all, CatchAll::No(NotCatchAllProof::Control));
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
        |n: u32| Attempt { mx_host: host(), at: UNIX_EPOCH + n * MINUTE, classified: classified(PUT_OFF) };
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
    answer(&mut first, ahead, |_| PUT_OFF);
    let (known, settled) = first.settle(Some(NotProbedReason::Deadline));
    let earlier = settled[0].mailbox.attempts.clone();

    let now = Timestamp { elapsed: Duration::ZERO, wall: at(MINUTE).wall };
    let mut second = domain_probe(vec![Recipient { earlier, ..listed(&["ann"]).remove(0) }], known, now);
    assert_eq!(second.next(now), NextStep::Wait(5 * MINUTE));
    let later = Timestamp { elapsed: 5 * MINUTE, wall: now.wall + 5 * MINUTE };
    assert_eq!(
        answer(&mut second, later, honest),
        [RecipientKind::Listed(0), RecipientKind::Random],
        "it did not wait longer either"
    );
}

#[test]
fn results_are_final_as_soon_as_the_domain_is_known_not_to_be_catch_all() {
    let now = at(MINUTE);
    let mut domain_probe = domain_probe(listed(&["ann", "bob", "cleo"]), DomainFacts::default(), now);
    let mut random = Rng::with_seed(1);
    let mut said_to = |domain_probe: &mut DomainProbe, words: &str| {
        let (who, _) = domain_probe.next_probes(now, 1, false, &mut random).remove(0);
        domain_probe.heard(who, classified(words), now);
        domain_probe.take_final().into_iter().map(|found| found.target).collect::<Vec<_>>()
    };
    assert_eq!(said_to(&mut domain_probe, ACCEPTED), []);
    assert_eq!(said_to(&mut domain_probe, UNKNOWN), [RecipientId(0)], "the made-up one");
    assert_eq!(said_to(&mut domain_probe, UNKNOWN), [RecipientId(1)]);
    assert_eq!(domain_probe.settle(None).1.len(), 1);
}

#[test]
fn once_the_random_recipient_is_deferred_the_others_wait_for_nothing() {
    let (now, due) = (at(MINUTE), at(6 * MINUTE));
    let mut domain_probe = domain_probe(listed(&["ann", "bob", "cleo"]), DomainFacts::default(), now);
    let mut random = Rng::with_seed(1);
    for words in [ACCEPTED, PUT_OFF] {
        let (who, _) = domain_probe.next_probes(now, 1, false, &mut random).remove(0);
        domain_probe.heard(who, classified(words), now);
    }
    // The wait is over before the others were asked, as when their lane is slow.
    assert_eq!(domain_probe.next(due), NextStep::Probe);
    let asked: Vec<RecipientKind> =
        domain_probe.next_probes(due, 10, false, &mut random).into_iter().map(|(who, _)| who).collect();
    assert_eq!(asked, [RecipientKind::Listed(1), RecipientKind::Listed(2)]);
    for who in asked {
        domain_probe.heard(who, classified(ACCEPTED), due);
    }
    assert_eq!(
        answer(&mut domain_probe, due, honest),
        [RecipientKind::Random],
        "it proves all of them at once"
    );
}

#[test]
fn a_random_recipient_is_probed_only_where_the_listed_ones_show_nothing() {
    let [ann, bob, cleo, dora] = [0, 1, 2, 3].map(RecipientKind::Listed);
    let after = |after| ControlPlan { after, along: false };
    for (turn, proof, unknown, asked) in [
        (after(0), 1, vec![], vec![RecipientKind::Random, ann, bob, cleo, dora]),
        // Who accepted one may accept anybody.
        (after(1), 2, vec![], vec![ann, RecipientKind::Random, bob, cleo, dora]),
        (after(2), 1, vec![], vec![ann, bob, RecipientKind::Random, cleo, dora]),
        (ControlPlan { after: 2, along: true }, 2, vec![], vec![ann, bob, RecipientKind::Random, cleo, dora]),
        // Who refused one does not.
        (after(2), 1, vec![bob], vec![ann, bob, cleo, dora]),
        // One refusal proves nothing here, but the others may.
        (after(1), 2, vec![ann], vec![ann, bob, cleo, dora, RecipientKind::Random]),
        (after(1), 2, vec![ann, dora], vec![ann, bob, cleo, dora]),
        (after(4), 1, vec![], vec![ann, bob, cleo, dora, RecipientKind::Random]),
        (after(4), 2, vec![ann, bob, cleo, dora], vec![ann, bob, cleo, dora]),
    ] {
        let names = listed(&["ann", "bob", "cleo", "dora"]);
        let mut domain_probe = inquiry_with(turn, proof, names, DomainFacts::default(), at(MINUTE));
        let words =
            |who| if who == RecipientKind::Random || unknown.contains(&who) { UNKNOWN } else { ACCEPTED };
        assert_eq!(answer(&mut domain_probe, at(MINUTE), words), asked, "{turn:?}, {proof}, {unknown:?}");
    }
}

#[test]
fn where_sockets_are_scarce_the_random_recipient_goes_along_with_the_only_listed_one() {
    let mut domain_probe = domain_probe(listed(&["ann"]), DomainFacts::default(), at(MINUTE));
    assert_eq!(domain_probe.demand(true), 2);
    let asked = domain_probe.next_probes(at(MINUTE), 10, true, &mut Rng::with_seed(1));
    assert!(matches!(asked[..], [(RecipientKind::Listed(0), _), (RecipientKind::Random, _)]));
    assert!(domain_probe.has_nothing_pending());
}
