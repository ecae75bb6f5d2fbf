//! Providers that were quiet for a while: which ones are evicted, and which are kept.

use super::*;

const RUN: Run = Run { pace: Pace::Normal, job_source_closed: false, ..SOCKET_BOUND };

/// A scheduler that probed one recipient at each of these providers, one after the other, with a wait after each.
fn probed_in_turn(providers: impl IntoIterator<Item = (u8, Habit)>, wait: Duration) -> Scheduler {
    probed_at(providers, "example", wait)
}

/// As [`probed_in_turn`], with the MX hosts under a parent domain.
fn probed_at(providers: impl IntoIterator<Item = (u8, Habit)>, parent: &str, wait: Duration) -> Scheduler {
    let mut world = World::default();
    world.exists.insert("user@d.example".to_owned());
    let mut scheduler = scheduler(RUN, &world);
    for (id, (n, habit)) in (0..).zip(providers) {
        let host = format!("mx{n}.{parent}");
        let job = job("d.example", &host, [192, 0, 2, n], vec![recipient(id, "user@d.example")]);
        world.habits.insert([192, 0, 2, n].into(), (habit, host));
        scheduler.submit(job, world.timestamp());
        assert_eq!(drive(&mut scheduler, &mut world, RUN).len(), 1);
        world.now += wait;
        scheduler.wake(world.timestamp());
    }
    scheduler
}

/// The numbers of known providers, and of slots for providers, lanes and endpoints.
fn counts(scheduler: &Scheduler) -> [usize; 4] {
    let Scheduler { provider_ids, providers, lanes, endpoints, .. } = scheduler;
    [provider_ids.len(), providers.len(), lanes.len(), endpoints.len()]
}

#[test]
fn a_quiet_provider_is_evicted_but_for_its_unknown_recipients() {
    let scheduler = probed_in_turn([0, 1, 2].map(|n| (n, Habit::Honest)), 2 * MINUTE);
    assert_eq!(counts(&scheduler), [0, 1, 1, 1], "the next one gets the slot of the one before");
    assert_eq!(scheduler.earlier_at_machine.len(), 3, "their unknown recipients still count");
}

#[test]
fn a_provider_of_one_domain_inside_it_is_evicted_earlier() {
    let three = || [0, 1, 2].map(|n| (n, Habit::Honest));
    assert_eq!(counts(&probed_at(three(), "d.example", MINUTE / 2)), [0, 1, 1, 1]);
    assert_eq!(counts(&probed_in_turn(three(), MINUTE / 2)), [1, 2, 2, 2]);
}

#[test]
fn a_provider_that_rejected_us_or_has_tighter_limits_is_not_evicted() {
    for habit in [Habit::BlocksAt(Stage::Connect), Habit::Unreachable, Habit::BrokenTls, Habit::TooFast(1)] {
        let scheduler = probed_in_turn([(0, habit), (1, Habit::Honest), (2, Habit::Honest)], 2 * MINUTE);
        assert_eq!(counts(&scheduler), [1, 2, 2, 2], "{habit:?}");
    }
}

#[test]
fn a_provider_that_was_busy_meanwhile_stays_until_its_rate_limits_refill() {
    let scheduler = probed_in_turn([(0, Habit::Honest); 2], MINUTE * 2 / 3);
    assert_eq!(counts(&scheduler), [1, 1, 1, 1]);
}

/// An unknown provider without limits.
const OWN_HOSTS: &str = include_str!("../../../benches/own_hosts.toml");

#[test]
fn many_providers_without_limits_do_not_take_a_whole_list_into_memory() {
    let world = World::default();
    let mut scheduler = scheduler(RUN, &world);
    let mut providers = Providers::built_in().clone();
    providers.extend("own_hosts.toml", OWN_HOSTS).unwrap();
    let mut submitted = 0;
    for provider in 0..1_000_u32 {
        let host = format!("mx{provider}.example");
        let [_, _, high, low] = provider.to_be_bytes();
        // The parts of a domain with a thousand recipients.
        for _ in 0..5 {
            if !scheduler.try_admit(&host) {
                break;
            }
            let listed = (0..200).map(|_| recipient(submitted, "user@d.example")).collect();
            let mut job = job("d.example", &host, [192, 0, high, low], listed);
            job.mx_hosts[0].provider = providers.of(&job.mx_hosts[0].host).clone();
            scheduler.submit(job, world.timestamp());
            submitted += 200;
        }
    }
    // Each provider has one part to begin with; the first ones all of theirs.
    assert!((200_000..300_000).contains(&submitted), "{submitted}");
    assert_eq!(scheduler.open_recipients, usize::try_from(submitted).unwrap());
}
