//! Faults that the property of the scheduler found, each as the smallest run that showed it.

use super::habits::{Provided, Traits};
use super::*;

#[test]
fn no_connection_is_opened_once_every_domain_has_ended() {
    // The round trip is so long that a session lasts until the pace allows another one, so the scheduler is never idle.
    let traits = vec![Traits { rtt: Duration::from_millis(304), ..Traits::default() }];
    let with = Provided { traits, earlier: Some((MINUTE, 0)), ..Provided::default() };
    let provider =
        DrawnProvider { known: false, hosts: vec![Habit::Mute], domains: vec![vec![false, false]], with };
    let run = Run { max_wait: 30 * MINUTE, sockets: 1, job_source_closed: false, seed: 0, ..SOCKET_BOUND };
    let connections: usize = play(&[provider], run).connections.values().map(Vec::len).sum();
    assert!(connections < 10, "{connections}");
}

#[test]
fn a_backup_that_is_out_of_step_makes_no_mailbox_undeliverable_that_exists() {
    let with = Provided { backup: Some(Habit::Stutters), in_parts: true, ..Provided::default() };
    let hosts = vec![Habit::BlocksAt(Stage::Connect)];
    let provider =
        DrawnProvider { known: false, hosts, domains: vec![vec![false, true, false, false]], with };
    let run = Run { pace: Pace::Gentle, sockets: 1, job_source_closed: false, seed: 0, ..SOCKET_BOUND };
    play(&[provider], run);
}

#[test]
fn a_rejection_right_before_a_block_is_revoked_where_a_backup_follows() {
    let with = Provided { backup: Some(Habit::Honest), ..Provided::default() };
    let hosts = vec![Habit::Sours(1)];
    let provider = DrawnProvider { known: false, hosts, domains: vec![vec![true, false]], with };
    play(
        &[provider],
        Run { pace: Pace::Gentle, sockets: 1, job_source_closed: false, seed: 0, ..SOCKET_BOUND },
    );
}

#[test]
fn a_control_at_a_host_that_is_out_of_step_is_repeated_a_few_times_at_most() {
    let with = Provided { in_parts: true, beyond_ascii: Some(2), ..Provided::default() };
    let with = Provided { backup: Some(Habit::Takes(2)), ..with };
    let odd = [true, false, false, false, false];
    let domains = vec![vec![false, true, true, true, true, false], odd.to_vec(), odd.to_vec()];
    let provider = DrawnProvider { known: false, hosts: vec![Habit::Stutters], domains, with };
    let seed = 1_156_682_811_436_329_999;
    let run = Run { sockets: 1, job_source_closed: false, seed, egresses: EGRESSES[2], ..SOCKET_BOUND };
    play(&[provider], run);
}

#[test]
fn a_revoked_recipient_is_not_probed_again_on_a_route_that_has_expired() {
    let slow = Traits {
        wait: Duration::from_secs(68),
        capabilities: crate::smtp::Capabilities::default(),
        ..Traits::default()
    };
    let first = DrawnProvider {
        domains: vec![vec![false; 7]; 3],
        with: Provided { traits: vec![slow], in_parts: true, ..Provided::default() },
        ..one_host(Habit::Stutters, Vec::new())
    };
    let with = Provided {
        earlier: Some((5 * MINUTE, 0)),
        in_parts: true,
        moves: Some(Duration::from_secs(2902)),
        ..Provided::default()
    };
    let second = DrawnProvider {
        domains: vec![vec![false; 2], vec![true, false]],
        with,
        ..one_host(Habit::Overloaded(1), Vec::new())
    };
    let with = Provided {
        used_up: Some((15, Duration::from_secs(49_500))),
        moves: Some(Duration::from_secs(897)),
        ..Provided::default()
    };
    let third = DrawnProvider {
        domains: vec![vec![false], vec![false; 3], vec![false, true, false, false, false]],
        with,
        ..one_host(Habit::DropsAt(3), Vec::new())
    };
    let run = Run { pace: Pace::Normal, sockets: 2, job_source_closed: false, seed: 0, ..SOCKET_BOUND };
    play(&[first, second, third], Run { egresses: EGRESSES[2], ..run });
}

#[test]
fn a_host_that_accepts_after_many_unknown_recipients_is_noticed_after_its_lane_was_evicted() {
    let domains = vec![
        vec![false, true, false, false],
        vec![false, true, false, false, false, false, true, false, true],
        vec![true, false, false, false, false, false, false, false],
    ];
    for pace in [Pace::Normal, Pace::Fast] {
        let provider = DrawnProvider {
            domains: domains.clone(),
            with: Provided { in_parts: true, ..Provided::default() },
            ..one_host(Habit::LiesInAll(13), Vec::new())
        };
        let run = Run { pace, sockets: 1, job_source_closed: false, seed: 0, ..SOCKET_BOUND };
        play(&[provider], Run { gap: Duration::from_secs(62), ..run });
    }
}
