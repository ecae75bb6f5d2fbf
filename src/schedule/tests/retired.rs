//! Operators that were quiet for a while: who is forgotten, and who is remembered.

use super::habits::Habit;
use super::hosts::World;
use super::*;

const RUN: Run = Run { pace: Pace::Normal, close_job_source: false, ..HURRIED };

/// A scheduler that asked these operators, one after the other, about one address each; after each it waits so long.
fn asked_in_turn(providers: impl IntoIterator<Item = (u8, Habit)>, wait: Duration) -> Scheduler {
    asked_at(providers, "example", wait)
}

/// The same, with hosts in this domain.
fn asked_at(providers: impl IntoIterator<Item = (u8, Habit)>, above: &str, wait: Duration) -> Scheduler {
    let mut world = World::default();
    world.exists.insert("user@d.example".to_owned());
    let mut scheduler = scheduler(RUN, &world);
    for (target, (n, habit)) in (0..).zip(providers) {
        let host = Domain::parse(&format!("mx{n}.{above}")).unwrap();
        world.habits.insert([192, 0, 2, n].into(), (habit, host.to_string()));
        let provider = Providers::built_in().of(&host).clone();
        let stop = MxHop { host, addresses: vec![[192, 0, 2, n].into()], provider };
        let listed = vec![Recipient::from((RecipientId(target), Address::parse("user@d.example").unwrap()))];
        let domain = Domain::parse("d.example").unwrap();
        let order = DomainJob { domain, mx_hosts: vec![stop], listed, known: DomainFacts::default() };
        scheduler.order(order, world.moment());
        assert_eq!(drive(&mut scheduler, &mut world, RUN).len(), 1);
        world.now += wait;
        scheduler.wake(world.moment());
    }
    scheduler
}

fn counts(scheduler: &Scheduler) -> [usize; 4] {
    let Scheduler { provider_of, providers, lanes, endpoints, .. } = scheduler;
    [provider_of.len(), providers.len(), lanes.len(), endpoints.len()]
}

#[test]
fn a_quiet_provider_is_evicted_but_for_its_unknown_recipients() {
    let scheduler = asked_in_turn([0, 1, 2].map(|n| (n, Habit::Honest)), 2 * MINUTE);
    assert_eq!(counts(&scheduler), [0, 1, 1, 1], "the next one gets the place of the one before");
    assert_eq!(scheduler.earlier.len(), 3, "their unknown names count on");
}

#[test]
fn a_provider_of_one_domain_inside_it_is_evicted_earlier() {
    let three = || [0, 1, 2].map(|n| (n, Habit::Honest));
    assert_eq!(counts(&asked_at(three(), "d.example", MINUTE / 2)), [0, 1, 1, 1]);
    assert_eq!(counts(&asked_in_turn(three(), MINUTE / 2)), [1, 2, 2, 2]);
}

#[test]
fn a_provider_that_rejected_us_or_has_tighter_limits_is_not_evicted() {
    for habit in [Habit::BlocksAt(Stage::Connect), Habit::Unreachable, Habit::BrokenTls, Habit::TooFast(1)] {
        let scheduler = asked_in_turn([(0, habit), (1, Habit::Honest), (2, Habit::Honest)], 2 * MINUTE);
        assert_eq!(counts(&scheduler), [1, 2, 2, 2], "{habit:?}");
    }
}

#[test]
fn a_provider_that_was_busy_meanwhile_stays_until_its_rate_limits_refill() {
    let scheduler = asked_in_turn([(0, Habit::Honest); 2], MINUTE * 2 / 3);
    assert_eq!(counts(&scheduler), [1, 1, 1, 1]);
}
