//! Answers that are taken back, because who gave them turned out to refuse us.

use super::habits::Habit;
use super::hosts::World;
use super::*;
use crate::reason::{Cause, Reason};

/// What becomes of twelve addresses, of which the first four exist, at a host that says "no such mailbox" to everybody
/// before it says that it refuses us; behind it there may be a host of another operator.
fn reasons(has_other: bool) -> (Vec<Reason>, World) {
    let mut world = World::default();
    let mut scheduler = scheduler(HURRIED, &world);
    let habits = [("mx.google.com", Habit::Sours(6)), ("mx.other.example", Habit::Honest)];
    let mut stops = Vec::new();
    for (n, (name, habit)) in (0u8..).zip(habits).take(1 + usize::from(has_other)) {
        let host = Domain::parse(name).unwrap();
        let provider = Providers::built_in().of(&host).clone();
        world.habits.insert([192, 0, 2, n].into(), (habit, name.to_owned()));
        stops.push(MxHop { host, addresses: vec![[192, 0, 2, n].into()], provider });
    }
    let address = |n| Address::parse(&format!("user{n}@d.example")).unwrap();
    world.exists.extend((0..4).map(|n| address(n).to_string()));
    let listed = (0..12).map(|n| Recipient::from((RecipientId(n), address(n)))).collect();
    let domain = Domain::parse("d.example").unwrap();
    scheduler
        .order(DomainJob { domain, mx_hosts: stops, listed, known: DomainFacts::default() }, world.moment());
    scheduler.close_job_source();
    let mut settled = drive(&mut scheduler, &mut world, HURRIED);
    let reasons = (0..12).map(|n| checks::reason(&address(n), settled.remove(&RecipientId(n)).unwrap()));
    (reasons.collect(), world)
}

#[test]
fn a_rejection_right_before_a_block_is_revoked_and_the_next_provider_probed() {
    let (reasons, world) = reasons(true);
    let exists = |n| if n < 4 { Cause::Accepted } else { Cause::MailboxUnknown };
    assert_eq!(reasons, (0..12).map(|n| Reason::from(exists(n))).collect::<Vec<_>>());
    assert!(!world.taken_back.is_empty(), "what the first host said must not be found again after a crash");
}

#[test]
fn without_another_provider_it_stays_unknown_and_no_recipient_is_probed_again() {
    let (reasons, world) = reasons(false);
    assert_eq!(reasons, [Reason::from(Cause::IpBlocklisted); 12]);
    let asked: usize = world.asks.values().map(Vec::len).sum();
    assert!(asked <= 6 + 10, "{asked}");
}

/// What becomes of one address at each of so many domains behind one host, which accepts all of them, refuses a made-up name
/// of each as if it did not exist, and then says that it refuses us.
fn reasons_behind_one_that_turns(domains: u32) -> (Vec<Reason>, World) {
    let mut world = World::default();
    let mut scheduler = scheduler(HURRIED, &world);
    let host = Domain::parse("mx.google.com").unwrap();
    world.habits.insert([192, 0, 2, 0].into(), (Habit::Turns(domains), host.to_string()));
    let address = |n| Address::parse(&format!("user@d{n}.example")).unwrap();
    for n in 0..domains {
        let provider = Providers::built_in().of(&host).clone();
        let mx_hosts = vec![MxHop { host: host.clone(), addresses: vec![[192, 0, 2, 0].into()], provider }];
        let (domain, known) = (Domain::parse(&format!("d{n}.example")).unwrap(), DomainFacts::default());
        let listed = vec![Recipient::from((RecipientId(n.into()), address(n)))];
        scheduler.order(DomainJob { domain, mx_hosts, listed, known }, world.moment());
    }
    scheduler.close_job_source();
    let mut settled = drive(&mut scheduler, &mut world, HURRIED);
    let reasons =
        (0..domains).map(|n| checks::reason(&address(n), settled.remove(&RecipientId(n.into())).unwrap()));
    (reasons.collect(), world)
}

#[test]
fn no_row_is_deliverable_by_a_control_that_was_rejected_right_before_a_block() {
    let (reasons, world) = reasons_behind_one_that_turns(6);
    assert_eq!(reasons, [Reason::from(Cause::IpBlocklisted); 6]);
    let random_recipient = world.taken_back.iter().filter(|name| name.local() != "user");
    assert_eq!(random_recipient.count(), 6, "nor in a later run");
}

#[test]
fn a_random_recipient_that_is_rejected_right_after_an_acceptance_needs_no_confirmation() {
    let (reasons, world) = reasons_behind_one_that_turns(1);
    assert_eq!(reasons, [Reason::from(Cause::Accepted)]);
    assert_eq!(world.taken_back, []);
}
