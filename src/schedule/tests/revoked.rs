//! Results that are revoked, because their provider turned out to reject us.

use super::*;
use crate::reason::{Cause, Reason};

/// The reasons of twelve recipients, of which the first four exist. Their host replies "no such mailbox" to each
/// recipient before it says that it rejects us. `has_other`: the domain has an MX host of another provider, too.
fn reasons(has_other: bool) -> (Vec<Reason>, World) {
    let mut world = World::default();
    let mut scheduler = scheduler(SOCKET_BOUND, &world);
    let habits = [("mx.google.com", Habit::Sours(6)), ("mx.other.example", Habit::Honest)];
    let mut mx_hosts = Vec::new();
    for (n, (name, habit)) in (0u8..).zip(habits).take(1 + usize::from(has_other)) {
        let host = Domain::parse(name).unwrap();
        let provider = Providers::built_in().of(&host).clone();
        world.habits.insert([192, 0, 2, n].into(), (habit, name.to_owned()));
        mx_hosts.push(MxHop { host, addresses: vec![[192, 0, 2, n].into()], provider });
    }
    let address = |n| Address::parse(&format!("user{n}@d.example")).unwrap();
    world.exists.extend((0..4).map(|n| address(n).to_string()));
    let recipients = (0..12).map(|n| Recipient::from((RecipientId(n), address(n)))).collect();
    let (domain, facts) = (Domain::parse("d.example").unwrap(), DomainFacts::default());
    scheduler.submit(DomainJob { domain, mx_hosts, recipients, facts }, world.timestamp());
    scheduler.close_job_source();
    let mut results = drive(&mut scheduler, &mut world, SOCKET_BOUND);
    let reasons = (0..12).map(|n| checks::reason(&address(n), results.remove(&RecipientId(n)).unwrap()));
    (reasons.collect(), world)
}

#[test]
fn a_rejection_right_before_a_block_is_revoked_and_the_next_provider_probed() {
    let (reasons, world) = reasons(true);
    let exists = |n| if n < 4 { Cause::Accepted } else { Cause::MailboxUnknown };
    assert_eq!(reasons, (0..12).map(|n| Reason::from(exists(n))).collect::<Vec<_>>());
    assert!(!world.revoked.is_empty(), "the replies of the first host must not be found again after a crash");
}

#[test]
fn without_another_provider_it_stays_unknown_and_no_recipient_is_probed_again() {
    let (reasons, world) = reasons(false);
    assert_eq!(reasons, [Reason::from(Cause::IpBlocklisted); 12]);
    let probes: usize = world.probes.values().map(Vec::len).sum();
    assert!(probes <= 6 + 10, "{probes}");
}

/// The reasons of one recipient at each of so many domains behind one host. The host accepts all of them, rejects a
/// random recipient of each as unknown, and then says that it rejects us.
fn reasons_behind_one_that_turns(domains: u32) -> (Vec<Reason>, World) {
    let mut world = World::default();
    let mut scheduler = scheduler(SOCKET_BOUND, &world);
    let host = "mx.google.com";
    world.habits.insert([192, 0, 2, 0].into(), (Habit::Turns(domains), host.to_owned()));
    let address = |n| format!("user@d{n}.example");
    for n in 0..domains {
        let recipients = vec![recipient(n.into(), &address(n))];
        scheduler.submit(job(&format!("d{n}.example"), host, [192, 0, 2, 0], recipients), world.timestamp());
    }
    scheduler.close_job_source();
    let mut results = drive(&mut scheduler, &mut world, SOCKET_BOUND);
    let reasons = (0..domains).map(|n| {
        let mailbox = results.remove(&RecipientId(n.into())).unwrap();
        checks::reason(&Address::parse(&address(n)).unwrap(), mailbox)
    });
    (reasons.collect(), world)
}

#[test]
fn no_row_is_deliverable_by_a_control_that_was_rejected_right_before_a_block() {
    let (reasons, world) = reasons_behind_one_that_turns(6);
    assert_eq!(reasons, [Reason::from(Cause::IpBlocklisted); 6]);
    let random = world.revoked.iter().filter(|address| address.local() != "user");
    assert_eq!(random.count(), 6, "nor in a later run");
}

#[test]
fn a_random_recipient_that_is_rejected_right_after_an_acceptance_needs_no_confirmation() {
    let (reasons, world) = reasons_behind_one_that_turns(1);
    assert_eq!(reasons, [Reason::from(Cause::Accepted)]);
    assert_eq!(world.revoked, []);
}
