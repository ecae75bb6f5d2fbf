//! Hosts that turn: from some moment on they answer every recipient alike. No recipient that exists is undeliverable, and
//! none that does not exist is deliverable, which `play` checks.

use super::*;
use crate::reason::Verdict;

/// Living and dead recipients in several orders.
fn lists() -> [Vec<bool>; 4] {
    let (living, dead) = (true, false);
    [
        vec![living, dead, living, dead, living, dead, dead],
        vec![dead, dead, living, living, living, dead, dead],
        vec![living, living, living, dead, dead, dead, dead],
        vec![dead, dead, dead, dead, living, living, living],
    ]
}

/// Plays one host with one domain, and with one domain for each recipient, at an unknown provider.
fn play_all(habit: Habit) {
    for mailboxes in lists() {
        for max_wait in [Duration::ZERO, 30 * MINUTE] {
            for pace in [Pace::Fast, Pace::Normal] {
                let run = Run { max_wait, pace, sockets: 2, ..SOCKET_BOUND };
                play(&[one_host(habit, mailboxes.clone())], run);
                let domains = mailboxes.iter().map(|exists| vec![*exists]).collect();
                let provider = DrawnProvider { domains, ..one_host(habit, Vec::new()) };
                play(&[provider], run);
            }
        }
    }
}

#[test]
fn a_host_that_rejects_every_recipient_after_some_in_a_session_condemns_none() {
    (1..9).for_each(|after| play_all(Habit::RejectsAfter(after)));
}

#[test]
fn a_host_that_rejects_every_recipient_by_policy_after_some_condemns_none() {
    (1..9).for_each(|after| play_all(Habit::DeniesAfter(after)));
}

#[test]
fn a_host_that_counts_across_sessions_and_then_rejects_condemns_none() {
    (1..12).for_each(|after| play_all(Habit::RejectsAfterInAll(after)));
}

#[test]
fn a_host_that_rejects_every_recipient_in_its_first_sessions_condemns_none() {
    (1..4).for_each(|until| play_all(Habit::RejectsAtFirst(until)));
}

#[test]
fn a_host_that_accepts_every_recipient_after_some_in_a_session_clears_none() {
    for (after, mailboxes) in (1..12).flat_map(|after| lists().map(|mailboxes| (after, mailboxes))) {
        let mut world = World::default();
        let mut scheduler = scheduler(SOCKET_BOUND, &world);
        world
            .habits
            .insert([192, 0, 2, 0].into(), (Habit::AcceptsAfter(after), "mx.acme.example".to_owned()));
        let address = |n: usize| format!("user{n}@acme.example");
        world.exists.extend((0..mailboxes.len()).filter(|n| mailboxes[*n]).map(address));
        let id = |n: usize| i64::try_from(n).unwrap();
        let recipients = (0..mailboxes.len()).map(|n| recipient(id(n), &address(n))).collect();
        scheduler
            .submit(job("acme.example", "mx.acme.example", [192, 0, 2, 0], recipients), world.timestamp());
        scheduler.close_job_source();
        let mut results = drive(&mut scheduler, &mut world, SOCKET_BOUND);
        for (n, exists) in mailboxes.iter().enumerate() {
            let mailbox = results.remove(&RecipientId(id(n))).unwrap();
            let verdict = checks::reason(&Address::parse(&address(n)).unwrap(), mailbox).verdict();
            let wrong = if *exists { Verdict::Undeliverable } else { Verdict::Deliverable };
            assert_ne!(verdict, wrong, "{n} of {mailboxes:?} after {after}");
        }
    }
}

#[test]
fn at_a_host_that_ends_after_each_rejection_a_control_settles_each_living_recipient() {
    play_all(Habit::EndsAfterRejection);
}

#[test]
fn where_every_reply_is_252_the_random_one_too_the_domain_is_a_catch_all() {
    let mut world = World::default();
    let mut scheduler = scheduler(SOCKET_BOUND, &world);
    world.habits.insert([192, 0, 2, 0].into(), (Habit::CannotVerify, "mx.acme.example".to_owned()));
    let recipients = vec![recipient(0, "user0@acme.example"), recipient(1, "user1@acme.example")];
    scheduler.submit(job("acme.example", "mx.acme.example", [192, 0, 2, 0], recipients), world.timestamp());
    scheduler.close_job_source();
    for (id, mailbox) in drive(&mut scheduler, &mut world, SOCKET_BOUND) {
        let address = Address::parse(&format!("user{}@acme.example", id.0)).unwrap();
        assert_eq!(checks::reason(&address, mailbox), crate::reason::Finding::CatchAll.into());
    }
}
