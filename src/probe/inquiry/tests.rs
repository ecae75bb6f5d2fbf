//! Inquiries that begin with what is known, one answer at a time.

use std::time::UNIX_EPOCH;

use super::*;
use crate::policy::replies::{Context, ReplyRules};
use crate::smtp::{Reply, Stage};
use crate::verdict::evidence::{Attempt, Proof, Said};

const MINUTE: Duration = Duration::from_secs(60);

/// So long after the beginning of a run that began a day after the first.
fn at(elapsed: Duration) -> Moment {
    Moment { elapsed, wall: UNIX_EPOCH + Duration::from_secs(86_400) + elapsed }
}

fn said(words: &str) -> Said {
    let reply = Reply::parse(format!("{words}\r\n").as_bytes()).unwrap();
    let meaning = ReplyRules::built_in().read(&reply, &Context { stage: Stage::Rcpt, provider: None });
    Said { stage: Stage::Rcpt, reply, meaning }
}

fn listed(names: &[&str]) -> Vec<Listed> {
    let address = |name: &str| Address::parse(&format!("{name}@acme.example")).unwrap();
    (0..).zip(names).map(|(target, name)| Listed::from((Target(target), address(name)))).collect()
}

fn host() -> Domain {
    Domain::parse("mx.acme.example").unwrap()
}

fn inquiry(listed: Vec<Listed>, known: Known, now: Moment) -> Inquiry {
    let expectation = Expectation { made_up: Turn::Second, proof: 2 };
    let patience = Patience { max_wait: 30 * MINUTE };
    let domain = Domain::parse("acme.example").unwrap();
    Inquiry::new(domain, [host()], listed, known, expectation, patience, now)
}

const ACCEPTED: &str = "250 2.1.5 Ok";
const UNKNOWN: &str = "550 5.1.1 User unknown";
const PUT_OFF: &str = "450 4.2.0 Greylisted, please try again later";

/// Answers whatever is asked at a moment; who was asked.
fn answer(inquiry: &mut Inquiry, now: Moment, words: impl Fn(Who) -> &'static str) -> Vec<Who> {
    let mut asked = Vec::new();
    let mut random = Rng::with_seed(1);
    while inquiry.next(now) == Next::Ask {
        for (who, _) in inquiry.asks(now, 10, &mut random) {
            asked.push(who);
            inquiry.heard(who, said(words(who)), now);
        }
    }
    asked
}

fn honest(who: Who) -> &'static str {
    if who == Who::MadeUp { UNKNOWN } else { ACCEPTED }
}

#[test]
fn a_later_part_of_a_domain_needs_no_control_of_its_own() {
    let mut first = inquiry(listed(&["ann", "bob"]), Known::default(), at(MINUTE));
    assert!(answer(&mut first, at(MINUTE), honest).contains(&Who::MadeUp));
    let (known, _) = first.settle(None);
    let mut second = inquiry(listed(&["cleo"]), known, at(2 * MINUTE));
    assert_eq!(answer(&mut second, at(2 * MINUTE), honest), [Who::Listed(0)]);
    let (_, settled) = second.settle(None);
    assert_eq!(settled[0].1.catch_all, CatchAll::No(Proof::Control));
}

#[test]
fn a_domain_known_to_accept_any_name_is_not_asked_again() {
    let mut first = inquiry(listed(&["ann", "bob"]), Known::default(), at(MINUTE));
    answer(&mut first, at(MINUTE), |_| ACCEPTED);
    let (known, _) = first.settle(None);
    let mut second = inquiry(listed(&["cleo"]), known, at(2 * MINUTE));
    assert_eq!(second.next(at(2 * MINUTE)), Next::Done);
    assert!(matches!(second.settle(None).1[0].1.catch_all, CatchAll::Yes(_)));
}

#[test]
fn a_wait_goes_on_in_a_later_run_and_the_control_keeps_its_name() {
    let begun = at(MINUTE);
    let mut first = inquiry(listed(&["ann"]), Known::default(), begun);
    assert_eq!(answer(&mut first, begun, |_| PUT_OFF), [Who::Listed(0), Who::MadeUp]);
    let (known, settled) = first.settle(Some(Unprobed::Deadline));
    let name = known.exchangers[0].made_up.clone();
    let earlier = settled[0].1.attempts.clone();

    // Two minutes later another run begins; three of the five minutes are left.
    let now = Moment { elapsed: Duration::ZERO, wall: begun.wall + 2 * MINUTE };
    let mut second = inquiry(vec![Listed { earlier, ..listed(&["ann"]).remove(0) }], known, now);
    assert_eq!(second.next(now), Next::Wait(3 * MINUTE));
    let later = Moment { elapsed: 3 * MINUTE, wall: now.wall + 3 * MINUTE };
    // The control comes last, where somebody was accepted.
    for expected in [Who::Listed(0), Who::MadeUp] {
        assert_eq!(second.next(later), Next::Ask);
        let asked = second.asks(later, 10, &mut Rng::with_seed(2));
        let [(who, address)] = &asked[..] else { panic!("{asked:?}") };
        assert!(*who == expected && (expected != Who::MadeUp || Some(address) == name.as_ref()));
        second.heard(*who, said(honest(*who)), later);
    }
    let (_, settled) = second.settle(None);
    assert_eq!(settled[0].1.attempts.len(), 2, "what was said before comes out again");
    assert_eq!(settled[0].1.catch_all, CatchAll::No(Proof::Control));
}

#[test]
fn an_acceptance_of_a_killed_run_only_lacks_its_control() {
    let attempt = Attempt { exchanger: host(), at: at(Duration::ZERO).wall, said: said(ACCEPTED) };
    let earlier = vec![Listed { earlier: vec![attempt], ..listed(&["ann"]).remove(0) }];
    let mut inquiry = inquiry(earlier, Known::default(), at(MINUTE));
    assert_eq!(answer(&mut inquiry, at(MINUTE), honest), [Who::MadeUp]);
}

#[test]
fn who_was_put_off_too_often_is_asked_once_more_in_another_run() {
    let attempt = |n: u32| Attempt { exchanger: host(), at: UNIX_EPOCH + n * MINUTE, said: said(PUT_OFF) };
    let earlier = (0..5).map(attempt).collect();
    let mut inquiry =
        inquiry(vec![Listed { earlier, ..listed(&["ann"]).remove(0) }], Known::default(), at(MINUTE));
    assert!(answer(&mut inquiry, at(MINUTE), honest).contains(&Who::Listed(0)));
}

#[test]
fn answers_are_final_as_soon_as_the_domain_is_known_not_to_accept_everybody() {
    let now = at(MINUTE);
    let mut inquiry = inquiry(listed(&["ann", "bob", "cleo"]), Known::default(), now);
    let mut random = Rng::with_seed(1);
    let mut said_to = |inquiry: &mut Inquiry, words: &str| {
        let (who, _) = inquiry.asks(now, 1, &mut random).remove(0);
        inquiry.heard(who, said(words), now);
        inquiry.take_final().into_iter().map(|(target, _)| target).collect::<Vec<_>>()
    };
    assert_eq!(said_to(&mut inquiry, ACCEPTED), []);
    assert_eq!(said_to(&mut inquiry, UNKNOWN), [Target(0)], "the made-up one");
    assert_eq!(said_to(&mut inquiry, UNKNOWN), [Target(1)]);
    assert_eq!(inquiry.settle(None).1.len(), 1);
}

#[test]
fn a_made_up_name_is_asked_only_where_the_listed_ones_show_nothing() {
    let names = ["ann", "bob", "cleo", "dora"];
    let [ann, bob, cleo, dora] = [0, 1, 2, 3].map(Who::Listed);
    for (made_up, proof, unknown, asked) in [
        // Who accepted one may accept anybody.
        (Turn::Second, 1, vec![], vec![ann, Who::MadeUp, bob, cleo, dora]),
        // Who refused one does not.
        (Turn::Second, 1, vec![ann], vec![ann, bob, cleo, dora]),
        // One refusal proves nothing here, but the others may.
        (Turn::Second, 2, vec![ann], vec![ann, bob, cleo, dora, Who::MadeUp]),
        (Turn::Second, 2, vec![ann, dora], vec![ann, bob, cleo, dora]),
        // Nobody was accepted, so there is nothing to prove.
        (Turn::Second, 9, vec![ann, bob, cleo, dora], vec![ann, bob, cleo, dora]),
        (Turn::First, 1, vec![], vec![Who::MadeUp, ann, bob, cleo, dora]),
        (Turn::Last, 1, vec![], vec![ann, bob, cleo, dora, Who::MadeUp]),
        (Turn::Last, 1, vec![cleo], vec![ann, bob, cleo, dora]),
    ] {
        let domain = Domain::parse("acme.example").unwrap();
        let (patience, expectation) = (Patience { max_wait: MINUTE }, Expectation { made_up, proof });
        let listed = listed(&names);
        let mut inquiry =
            Inquiry::new(domain, [host()], listed, Known::default(), expectation, patience, at(MINUTE));
        let words = |who| if unknown.contains(&who) { UNKNOWN } else { honest(who) };
        assert_eq!(answer(&mut inquiry, at(MINUTE), words), asked, "{made_up:?} {proof} {unknown:?}");
    }
}
