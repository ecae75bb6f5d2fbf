//! Inquiries that begin with what is known, one answer at a time.

use std::time::UNIX_EPOCH;

use fastrand::Rng;

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
    Said { stage: Stage::Rcpt, reply, meaning: meaning.into() }
}

fn listed(names: &[&str]) -> Vec<Listed> {
    let address = |name: &str| Address::parse(&format!("{name}@acme.example")).unwrap();
    (0..).zip(names).map(|(target, name)| Listed::from((Target(target), address(name)))).collect()
}

fn host() -> Domain {
    Domain::parse("mx.acme.example").unwrap()
}

fn inquiry(listed: Vec<Listed>, known: Known, now: Moment) -> Inquiry {
    inquiry_with(Turn { after: 1, along: false }, 2, listed, known, now)
}

fn inquiry_with(turn: Turn, proof: u32, listed: Vec<Listed>, known: Known, now: Moment) -> Inquiry {
    let expectation = Expectation { turn, proof };
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
        for (who, _) in inquiry.asks(now, 10, false, &mut random) {
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
    assert_eq!(settled[0].inquired.catch_all, CatchAll::No(Proof::Control));
}

#[test]
fn what_is_not_believed_any_more_is_asked_again() {
    let mut first = inquiry(listed(&["ann"]), Known::default(), at(MINUTE));
    answer(&mut first, at(MINUTE), honest);
    let (known, _) = first.settle(None);
    let mut second = inquiry(listed(&["bob", "cleo"]), known, at(2 * MINUTE));
    second.disbelieve(&host());
    assert_eq!(answer(&mut second, at(2 * MINUTE), |_| ACCEPTED), [Who::Listed(0), Who::MadeUp]);
    assert!(matches!(second.settle(None).1[0].inquired.catch_all, CatchAll::Yes(_)));
}

#[test]
fn a_domain_known_to_accept_any_name_is_not_asked_again() {
    let mut first = inquiry(listed(&["ann", "bob"]), Known::default(), at(MINUTE));
    answer(&mut first, at(MINUTE), |_| ACCEPTED);
    let (known, _) = first.settle(None);
    let mut second = inquiry(listed(&["cleo"]), known, at(2 * MINUTE));
    assert_eq!(second.next(at(2 * MINUTE)), Next::Done);
    assert!(matches!(second.settle(None).1[0].inquired.catch_all, CatchAll::Yes(_)));
}

#[test]
fn a_wait_goes_on_in_a_later_run_and_the_control_keeps_its_name() {
    let begun = at(MINUTE);
    let mut first = inquiry(listed(&["ann"]), Known::default(), begun);
    assert_eq!(answer(&mut first, begun, |_| PUT_OFF), [Who::Listed(0), Who::MadeUp]);
    let (known, settled) = first.settle(Some(Unprobed::Deadline));
    let name = known.exchangers[0].made_up.clone();
    let earlier = settled[0].inquired.attempts.clone();

    // Two minutes later another run begins; three of the five minutes are left.
    let now = Moment { elapsed: Duration::ZERO, wall: begun.wall + 2 * MINUTE };
    let mut second = inquiry(vec![Listed { earlier, ..listed(&["ann"]).remove(0) }], known, now);
    assert_eq!(second.next(now), Next::Wait(3 * MINUTE));
    let later = Moment { elapsed: 3 * MINUTE, wall: now.wall + 3 * MINUTE };
    assert_eq!(second.next(later), Next::Ask);
    for expected in [Who::Listed(0), Who::MadeUp] {
        let (who, address) = second.asks(later, 10, false, &mut Rng::with_seed(2)).remove(0);
        assert!(who == expected && (who != Who::MadeUp || Some(&address) == name.as_ref()));
        second.heard(who, said(honest(who)), later);
    }
    let (_, settled) = second.settle(None);
    assert_eq!(settled[0].inquired.attempts.len(), 2, "what was said before comes out again");
    assert_eq!(settled[0].inquired.catch_all, CatchAll::No(Proof::Control));
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
fn a_clock_that_was_ahead_makes_no_wait_longer() {
    let ahead = at(30 * MINUTE);
    let mut first = inquiry(listed(&["ann"]), Known::default(), ahead);
    answer(&mut first, ahead, |_| PUT_OFF);
    let (known, settled) = first.settle(Some(Unprobed::Deadline));
    let earlier = settled[0].inquired.attempts.clone();

    let now = Moment { elapsed: Duration::ZERO, wall: at(MINUTE).wall };
    let mut second = inquiry(vec![Listed { earlier, ..listed(&["ann"]).remove(0) }], known, now);
    assert_eq!(second.next(now), Next::Wait(5 * MINUTE));
    let later = Moment { elapsed: 5 * MINUTE, wall: now.wall + 5 * MINUTE };
    assert_eq!(
        answer(&mut second, later, honest),
        [Who::Listed(0), Who::MadeUp],
        "it did not wait longer either"
    );
}

#[test]
fn answers_are_final_as_soon_as_the_domain_is_known_not_to_accept_everybody() {
    let now = at(MINUTE);
    let mut inquiry = inquiry(listed(&["ann", "bob", "cleo"]), Known::default(), now);
    let mut random = Rng::with_seed(1);
    let mut said_to = |inquiry: &mut Inquiry, words: &str| {
        let (who, _) = inquiry.asks(now, 1, false, &mut random).remove(0);
        inquiry.heard(who, said(words), now);
        inquiry.take_final().into_iter().map(|found| found.target).collect::<Vec<_>>()
    };
    assert_eq!(said_to(&mut inquiry, ACCEPTED), []);
    assert_eq!(said_to(&mut inquiry, UNKNOWN), [Target(0)], "the made-up one");
    assert_eq!(said_to(&mut inquiry, UNKNOWN), [Target(1)]);
    assert_eq!(inquiry.settle(None).1.len(), 1);
}

#[test]
fn once_the_made_up_name_is_put_off_the_others_wait_for_nothing() {
    let (now, due) = (at(MINUTE), at(6 * MINUTE));
    let mut inquiry = inquiry(listed(&["ann", "bob", "cleo"]), Known::default(), now);
    let mut random = Rng::with_seed(1);
    for words in [ACCEPTED, PUT_OFF] {
        let (who, _) = inquiry.asks(now, 1, false, &mut random).remove(0);
        inquiry.heard(who, said(words), now);
    }
    // The wait is over before the others were asked, as when their lane is slow.
    assert_eq!(inquiry.next(due), Next::Ask);
    let asked: Vec<Who> = inquiry.asks(due, 10, false, &mut random).into_iter().map(|(who, _)| who).collect();
    assert_eq!(asked, [Who::Listed(1), Who::Listed(2)]);
    for who in asked {
        inquiry.heard(who, said(ACCEPTED), due);
    }
    assert_eq!(answer(&mut inquiry, due, honest), [Who::MadeUp], "it proves all of them at once");
}

#[test]
fn a_made_up_name_is_asked_about_only_where_the_listed_ones_show_nothing() {
    let [ann, bob, cleo, dora] = [0, 1, 2, 3].map(Who::Listed);
    let after = |after| Turn { after, along: false };
    for (turn, proof, unknown, asked) in [
        (after(0), 1, vec![], vec![Who::MadeUp, ann, bob, cleo, dora]),
        // Who accepted one may accept anybody.
        (after(1), 2, vec![], vec![ann, Who::MadeUp, bob, cleo, dora]),
        (after(2), 1, vec![], vec![ann, bob, Who::MadeUp, cleo, dora]),
        (Turn { after: 2, along: true }, 2, vec![], vec![ann, bob, Who::MadeUp, cleo, dora]),
        // Who refused one does not.
        (after(2), 1, vec![bob], vec![ann, bob, cleo, dora]),
        // One refusal proves nothing here, but the others may.
        (after(1), 2, vec![ann], vec![ann, bob, cleo, dora, Who::MadeUp]),
        (after(1), 2, vec![ann, dora], vec![ann, bob, cleo, dora]),
        (after(4), 1, vec![], vec![ann, bob, cleo, dora, Who::MadeUp]),
        (after(4), 2, vec![ann, bob, cleo, dora], vec![ann, bob, cleo, dora]),
    ] {
        let names = listed(&["ann", "bob", "cleo", "dora"]);
        let mut inquiry = inquiry_with(turn, proof, names, Known::default(), at(MINUTE));
        let words = |who| if who == Who::MadeUp || unknown.contains(&who) { UNKNOWN } else { ACCEPTED };
        assert_eq!(answer(&mut inquiry, at(MINUTE), words), asked, "{turn:?}, {proof}, {unknown:?}");
    }
}

#[test]
fn in_a_hurry_the_made_up_name_goes_along_with_the_only_address() {
    let mut inquiry = inquiry(listed(&["ann"]), Known::default(), at(MINUTE));
    assert_eq!(inquiry.demand(true), 2);
    let asked = inquiry.asks(at(MINUTE), 10, true, &mut Rng::with_seed(1));
    assert!(matches!(asked[..], [(Who::Listed(0), _), (Who::MadeUp, _)]));
    assert!(inquiry.keeps_nothing_back());
}
