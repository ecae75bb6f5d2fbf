//! Runs under the failures of real runs: a run is killed or stopped, its disk is full, the network or the servers are gone,
//! another run uses its state. Afterwards the same command resumes, gives the verdicts of an undisturbed run, and probes no
//! recipient twice.
//!
//! All of it happens on loopback, between processes and in real time. `cargo test` runs a small form,
//! `LISTPROOF_TORTURE=full cargo test --test torture` the full one: 20,000 rows and 30 kills.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test waits for real processes and stops at what fails"
)]
#![expect(clippy::print_stderr, reason = "the figures are worth reading")]

mod disk;
mod lab;
mod repeats;
#[path = "../support/mod.rs"]
mod support;

use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use disk::on_a_small_disk;
use lab::{Lab, Size, Verdicts, ended};
use repeats::Repeats;
use support::{end_of, query, send, within};

/// A random time until the next signal, short compared with the run, so that a run gets several.
fn random_delay(random: &mut fastrand::Rng) -> Duration {
    Duration::from_millis(random.u64(20..900))
}

/// Fails if a row has another verdict than in the undisturbed run. Unknown rows are allowed.
#[track_caller]
fn must_agree(found: &Verdicts, expected: &Verdicts) {
    let decided = found.iter().filter(|(_, (verdict, _))| verdict != "unknown");
    must_be_equal(&decided.map(|(address, row)| (address.clone(), row.clone())).collect(), expected);
}

/// Fails unless all rows have the verdicts of the undisturbed run.
#[track_caller]
fn must_be_complete(found: &Verdicts, expected: &Verdicts) {
    assert_eq!(found.len(), expected.len());
    must_be_equal(found, expected);
}

#[track_caller]
fn must_be_equal(found: &Verdicts, expected: &Verdicts) {
    let other: Vec<_> = found.iter().filter(|(address, row)| expected[*address] != **row).collect();
    assert!(other.is_empty(), "{} of {} differ: {:?}", other.len(), found.len(), other.iter().take(9));
}

/// True for recipients that must not be probed twice. At a host that starts to accept any recipient, earlier acceptances are
/// revoked and probed again.
fn is_probed_once(address: &str, expected: &Verdicts) -> bool {
    expected.contains_key(address) && !address.contains("@turns")
}

/// Recipients of one transaction at an unknown host.
const IN_FLIGHT: usize = 10;

#[test]
fn a_run_that_is_killed_again_and_again_finds_the_same_and_probes_no_recipient_twice() {
    let size = Size::from_environment();
    let lab = Lab::new(size.rows);
    let expected = lab.undisturbed();
    let mut served = lab.serve();
    let mut random = fastrand::Rng::with_seed(1);
    let mut kills = Vec::new();
    for _ in 0..size.kills {
        let mut child = lab.verify(&served, &[]).spawn().unwrap();
        let status = within(random_delay(&mut random), &mut child);
        assert_eq!(status, None, "the run ended before it was killed");
        kills.push(served.began.elapsed());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(ended(lab.verify(&served, &[])), (0, String::new()));
    must_be_complete(&lab.verdicts("out"), &expected);
    served.end();
    let repeats =
        Repeats::in_log(&lab.folder.lines("world.log"), &kills, |address| is_probed_once(address, &expected));
    eprintln!("{} rows, {} kills: {repeats:?}", lab.rows(), kills.len());
    let one_in_a_thousand = usize::try_from(lab.rows() / 1_000).unwrap();
    assert!(repeats.others <= one_in_a_thousand, "{repeats:?}");
    assert!(repeats.most_in_a_session <= IN_FLIGHT, "{repeats:?}");
}

#[test]
fn a_run_that_gets_a_stop_signal_waits_for_its_probes_writes_its_results_and_resumes() {
    let size = Size::from_environment();
    let lab = Lab::new(size.rows);
    let expected = lab.undisturbed();
    let mut served = lab.serve();
    let mut random = fastrand::Rng::with_seed(2);
    let mut stops = 0;
    for (signal, code) in [("-TERM", 143), ("-INT", 130)].into_iter().cycle().take(size.kills as usize) {
        let mut child = lab.verify(&served, &[]).spawn().unwrap();
        wait_until_probing(&lab, &mut child);
        sleep(random_delay(&mut random));
        send(signal, &child);
        let ended = end_of(&mut child).code();
        // Each stopped run waits for the replies to its probes, so the list may be finished before the last signal.
        if ended == Some(0) {
            break;
        }
        stops += 1;
        assert_eq!(ended, Some(code));
        assert_eq!(lab.summary("out")["exit_code"], code);
        must_agree(&lab.verdicts("out"), &expected);
    }
    assert_eq!(ended(lab.verify(&served, &[])), (0, String::new()));
    must_be_complete(&lab.verdicts("out"), &expected);
    served.end();
    let repeats =
        Repeats::in_log(&lab.folder.lines("world.log"), &[], |address| is_probed_once(address, &expected));
    eprintln!("{} rows, {stops} stops: {repeats:?}", lab.rows());
    assert!(stops > 1, "{stops}");
    assert_eq!(repeats.others, 0);
}

/// Waits until a run has locked its state and completed its worklist: a run that is stopped before writes nothing.
fn wait_until_probing(lab: &Lab, child: &mut Child) {
    let holder = format!("{}, started", child.id());
    let state = lab.folder.path("state.db");
    let has_worklist = || query::<bool>(&state, "SELECT count(*) > 0 FROM run WHERE worklist_complete");
    while !(lab.folder.lines("state.db.lock").iter().any(|line| line.starts_with(&holder))
        && has_worklist().unwrap_or(false))
    {
        assert_eq!(within(Duration::from_millis(5), child), None, "the run ended before its first probe");
    }
}

#[test]
fn a_full_disk_of_the_state_ends_the_run_with_a_hint_and_it_resumes_on_a_larger_one() {
    let lab = Lab::new(Size::from_environment().rows);
    let expected = lab.undisturbed();
    let served = lab.serve();
    let run = lab.verify(&served, &["--state", "disk/state.db"]);
    let disk = if lab::is_full() { "2m" } else { "400k" };
    let Some(ends) = on_a_small_disk(&lab, disk, &run) else { return };
    assert_eq!((ends.full.as_str(), ends.enlarged.as_str()), ("74", "0"), "{}", ends.errors);
    assert!(
        ends.errors.contains("error: ") && ends.errors.contains("hint: make room on the disk"),
        "{}",
        ends.errors
    );
    must_be_complete(&lab.verdicts("out"), &expected);
}

#[test]
fn a_full_disk_of_the_outputs_leaves_no_file_and_costs_no_second_probe() {
    let lab = Lab::new(Size::from_environment().rows);
    let expected = lab.undisturbed();
    let served = lab.serve();
    let Some(ends) = on_a_small_disk(&lab, "64k", &lab.verify(&served, &["-o", "disk/out"])) else { return };
    assert_eq!((ends.full.as_str(), ends.enlarged.as_str()), ("74", "0"), "{}", ends.errors);
    assert!(ends.errors.contains("hint: "), "{}", ends.errors);
    must_be_complete(&lab.verdicts("after/out"), &expected);
    assert_eq!(lab.summary("after/out")["questions"], 0);
}

#[test]
fn servers_that_stand_still_for_a_while_change_no_verdict() {
    let lab = Lab::new(Size::from_environment().rows);
    let expected = lab.undisturbed();
    let served = lab.serve();
    let mut child = lab.verify(&served, &[]).spawn().unwrap();
    wait_until_probing(&lab, &mut child);
    sleep(Duration::from_millis(500));
    send("-STOP", &served.child);
    sleep(Duration::from_secs(2));
    send("-CONT", &served.child);
    assert_eq!(end_of(&mut child).code(), Some(0));
    must_be_complete(&lab.verdicts("out"), &expected);
}

#[test]
fn servers_that_are_gone_for_a_while_change_no_verdict() {
    let lab = Lab::new(Size::from_environment().rows);
    let expected = lab.undisturbed();
    let mut served = lab.serve();
    let mut child = lab.verify(&served, &["--max-wait", "5s"]).spawn().unwrap();
    wait_until_probing(&lab, &mut child);
    sleep(Duration::from_millis(500));
    lab.stop_for(&mut served, Duration::from_secs(2));
    end_of(&mut child);
    must_agree(&lab.verdicts("out"), &expected);
    assert_eq!(ended(lab.verify(&served, &[])), (0, String::new()));
    must_be_complete(&lab.verdicts("out"), &expected);
}

#[test]
fn a_run_that_is_out_of_time_says_so_and_resumes() {
    let lab = Lab::new(Size::from_environment().rows);
    let expected = lab.undisturbed();
    let served = lab.serve();
    assert_eq!(ended(lab.verify(&served, &["--max-duration", "200ms"])), (10, String::new()));
    must_agree(&lab.verdicts("out"), &expected);
    assert_eq!(ended(lab.verify(&served, &[])), (0, String::new()));
    must_be_complete(&lab.verdicts("out"), &expected);
}

#[test]
fn of_two_runs_at_the_same_time_one_waits_or_names_the_other() {
    let lab = Lab::new(Size::from_environment().rows);
    let expected = lab.undisturbed();
    let served = lab.serve();
    let mut first = lab.verify(&served, &[]).spawn().unwrap();
    wait_until_probing(&lab, &mut first);
    let (code, errors) = ended(lab.verify(&served, &[]));
    assert_eq!(code, 11, "{errors}");
    assert!(errors.contains(&format!("in use by process {}, started 20", first.id())), "{errors}");
    assert_eq!(ended(lab.verify(&served, &["-o", "second", "--wait-lock"])), (0, String::new()));
    assert_eq!(
        within(Duration::ZERO, &mut first).and_then(|status| status.code()),
        Some(0),
        "the first run has ended"
    );
    for folder in ["out", "second"] {
        must_be_complete(&lab.verdicts(folder), &expected);
    }
    assert_eq!(lab.summary("second")["connections"], 0, "no recipient is probed again");
}
