//! A run meets what real runs meet: it is killed, told to stop, its disk fills, the network goes away, another run is in
//! its way. Afterwards the same command goes on, finds what an undisturbed run finds, and asks nobody twice.
//!
//! Everything happens on loopback, between processes of their own and in real time. `cargo test` does a little of it;
//! `LISTPROOF_TORTURE=full cargo test --test torture` all: 20,000 rows and 30 kills.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test waits for real processes and stops at what fails"
)]
#![expect(clippy::print_stderr, reason = "what was measured is worth reading")]

mod disk;
mod heard;
mod lab;
#[path = "../support/mod.rs"]
mod support;

use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use disk::on_a_small_disk;
use heard::Repeats;
use lab::{Lab, Measure, Verdicts, ended};
use support::{end_of, query, send, within};

/// The next moment to strike: at random, and short beside the run, so that it takes many.
fn moment(random: &mut fastrand::Rng) -> Duration {
    Duration::from_millis(random.u64(20..900))
}

/// Nothing is told otherwise than in an undisturbed run; what is open is open.
#[track_caller]
fn nothing_differs(found: &Verdicts, calm: &Verdicts) {
    let definite = found.iter().filter(|(_, (verdict, _))| verdict != "unknown");
    same(&definite.map(|(address, told)| (address.clone(), told.clone())).collect(), calm);
}

/// The same is told as in an undisturbed run, and nothing is open.
#[track_caller]
fn nothing_is_open_or_differs(found: &Verdicts, calm: &Verdicts) {
    assert_eq!(found.len(), calm.len());
    same(found, calm);
}

#[track_caller]
fn same(found: &Verdicts, calm: &Verdicts) {
    let other: Vec<_> = found.iter().filter(|(address, told)| calm[*address] != **told).collect();
    assert!(
        other.is_empty(),
        "{} of {} are told otherwise: {:?}",
        other.len(),
        found.len(),
        other.iter().take(9)
    );
}

/// Who is asked once. At a host that lies now and then an acceptance is asked again when a lie comes to light.
fn is_probed_once(address: &str, calm: &Verdicts) -> bool {
    calm.contains_key(address) && !address.contains("@lies")
}

/// Recipients of one transaction at a host that nobody knows.
const IN_FLIGHT: usize = 10;

#[test]
fn a_run_that_is_killed_again_and_again_finds_the_same_and_probes_no_recipient_twice() {
    let measure = Measure::asked_for();
    let lab = Lab::new(measure.rows);
    let calm = lab.undisturbed();
    let mut served = lab.serve();
    let mut random = fastrand::Rng::with_seed(1);
    let mut kills = Vec::new();
    for _ in 0..measure.kills {
        let mut child = lab.verify(&served, &[]).spawn().unwrap();
        let status = within(moment(&mut random), &mut child);
        assert_eq!(status, None, "it ended before it was killed");
        kills.push(served.began.elapsed());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(ended(lab.verify(&served, &[])), (0, String::new()));
    nothing_is_open_or_differs(&lab.verdicts("out"), &calm);
    served.end();
    let repeats =
        Repeats::in_log(&lab.folder.lines("world.log"), &kills, |address| is_probed_once(address, &calm));
    eprintln!("{} rows, {} kills: {repeats:?}", lab.rows(), kills.len());
    let one_in_a_thousand = usize::try_from(lab.rows() / 1_000).unwrap();
    assert!(repeats.others <= one_in_a_thousand, "{repeats:?}");
    assert!(repeats.most_in_a_session <= IN_FLIGHT, "{repeats:?}");
}

#[test]
fn a_run_that_gets_a_stop_signal_waits_for_its_probes_writes_its_results_and_resumes() {
    let measure = Measure::asked_for();
    let lab = Lab::new(measure.rows);
    let calm = lab.undisturbed();
    let mut served = lab.serve();
    let mut random = fastrand::Rng::with_seed(2);
    let mut stops = 0;
    for (signal, code) in [("-TERM", 143), ("-INT", 130)].into_iter().cycle().take(measure.kills as usize) {
        let mut child = lab.verify(&served, &[]).spawn().unwrap();
        is_asking(&lab, &mut child);
        sleep(moment(&mut random));
        send(signal, &child);
        let ended = end_of(&mut child).code();
        // Each stop hears what was asked, so a run may come to its end before it was stopped so often.
        if ended == Some(0) {
            break;
        }
        stops += 1;
        assert_eq!(ended, Some(code));
        assert_eq!(lab.summary("out")["exit_code"], code);
        nothing_differs(&lab.verdicts("out"), &calm);
    }
    assert_eq!(ended(lab.verify(&served, &[])), (0, String::new()));
    nothing_is_open_or_differs(&lab.verdicts("out"), &calm);
    served.end();
    let repeats =
        Repeats::in_log(&lab.folder.lines("world.log"), &[], |address| is_probed_once(address, &calm));
    eprintln!("{} rows, {stops} stops: {repeats:?}", lab.rows());
    assert!(stops > 1, "{stops}");
    assert_eq!(repeats.others, 0);
}

/// Waits until a run holds its state and has gathered whom it asks: who is told to stop before that writes nothing.
fn is_asking(lab: &Lab, child: &mut Child) {
    let holder = format!("{}, started", child.id());
    let state = lab.folder.path("state.db");
    let has_gathered = || query::<bool>(&state, "SELECT count(*) > 0 FROM run WHERE worklist_complete");
    while !(lab.folder.lines("state.db.lock").iter().any(|line| line.starts_with(&holder))
        && has_gathered().unwrap_or(false))
    {
        assert_eq!(within(Duration::from_millis(5), child), None, "it ended before it began");
    }
}

#[test]
fn a_state_on_a_full_disk_ends_the_run_with_a_hint_and_goes_on_when_there_is_room() {
    let lab = Lab::new(Measure::asked_for().rows);
    let calm = lab.undisturbed();
    let served = lab.serve();
    let run = lab.verify(&served, &["--state", "disk/state.db"]);
    let size = if lab::is_full() { "2m" } else { "400k" };
    let Some(ends) = on_a_small_disk(&lab, size, &run) else { return };
    assert_eq!((ends.full.as_str(), ends.roomy.as_str()), ("74", "0"), "{}", ends.said);
    assert!(
        ends.said.contains("error: ") && ends.said.contains("hint: make room on the disk"),
        "{}",
        ends.said
    );
    nothing_is_open_or_differs(&lab.verdicts("out"), &calm);
}

#[test]
fn outputs_on_a_full_disk_leave_nothing_behind_and_cost_no_second_question() {
    let lab = Lab::new(Measure::asked_for().rows);
    let calm = lab.undisturbed();
    let served = lab.serve();
    let Some(ends) = on_a_small_disk(&lab, "64k", &lab.verify(&served, &["-o", "disk/out"])) else { return };
    assert_eq!((ends.full.as_str(), ends.roomy.as_str()), ("74", "0"), "{}", ends.said);
    assert!(ends.said.contains("hint: "), "{}", ends.said);
    nothing_is_open_or_differs(&lab.verdicts("after/out"), &calm);
    assert_eq!(lab.summary("after/out")["questions"], 0);
}

#[test]
fn a_network_that_stands_still_for_a_while_changes_nothing() {
    let lab = Lab::new(Measure::asked_for().rows);
    let calm = lab.undisturbed();
    let served = lab.serve();
    let mut child = lab.verify(&served, &[]).spawn().unwrap();
    is_asking(&lab, &mut child);
    sleep(Duration::from_millis(500));
    send("-STOP", &served.child);
    sleep(Duration::from_secs(2));
    send("-CONT", &served.child);
    assert_eq!(end_of(&mut child).code(), Some(0));
    nothing_is_open_or_differs(&lab.verdicts("out"), &calm);
}

#[test]
fn servers_that_are_gone_for_a_while_change_no_verdict() {
    let lab = Lab::new(Measure::asked_for().rows);
    let calm = lab.undisturbed();
    let mut served = lab.serve();
    let mut child = lab.verify(&served, &["--max-wait", "5s"]).spawn().unwrap();
    is_asking(&lab, &mut child);
    sleep(Duration::from_millis(500));
    lab.without(&mut served, Duration::from_secs(2));
    end_of(&mut child);
    nothing_differs(&lab.verdicts("out"), &calm);
    assert_eq!(ended(lab.verify(&served, &[])), (0, String::new()));
    nothing_is_open_or_differs(&lab.verdicts("out"), &calm);
}

#[test]
fn a_run_that_is_out_of_time_says_so_and_goes_on() {
    let lab = Lab::new(Measure::asked_for().rows);
    let calm = lab.undisturbed();
    let served = lab.serve();
    assert_eq!(ended(lab.verify(&served, &["--max-duration", "200ms"])), (10, String::new()));
    nothing_differs(&lab.verdicts("out"), &calm);
    assert_eq!(ended(lab.verify(&served, &[])), (0, String::new()));
    nothing_is_open_or_differs(&lab.verdicts("out"), &calm);
}

#[test]
fn of_two_runs_at_the_same_time_one_waits_or_names_the_other() {
    let lab = Lab::new(Measure::asked_for().rows);
    let calm = lab.undisturbed();
    let served = lab.serve();
    let mut first = lab.verify(&served, &[]).spawn().unwrap();
    is_asking(&lab, &mut first);
    let (code, said) = ended(lab.verify(&served, &[]));
    assert_eq!(code, 11, "{said}");
    assert!(said.contains(&format!("in use by process {}, started 20", first.id())), "{said}");
    assert_eq!(ended(lab.verify(&served, &["-o", "second", "--wait-lock"])), (0, String::new()));
    assert_eq!(
        within(Duration::ZERO, &mut first).and_then(|status| status.code()),
        Some(0),
        "the first is over"
    );
    for folder in ["out", "second"] {
        nothing_is_open_or_differs(&lab.verdicts(folder), &calm);
    }
    assert_eq!(lab.summary("second")["connections"], 0, "nobody is asked again");
}
