//! Signals, wherever they meet a run: the first ends it soon and leaves no half outputs, the second ends it at once.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own files and stops at what fails"
)]

mod support;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use support::{Folder, SENDER, mode, send, within};

/// As soon as a run that is told to stop must be over, on a busy machine.
const SOON: Duration = Duration::from_secs(10);
/// Signals within half a second are one wish.
const ANOTHER_WISH: Duration = Duration::from_millis(700);

/// A list that is worked on for longer than [`SOON`].
fn long_list() -> String {
    "email\n".to_owned() + &"somebody@shop.example\n".repeat(2_000_000)
}

/// The exit code of a child that must be over soon.
#[track_caller]
fn code_of(child: &mut Child) -> Option<i32> {
    let ended = within(SOON, child);
    child.kill().unwrap();
    ended.unwrap_or_else(|| panic!("it does not end")).code()
}

/// A child's errors, after the line that has these words.
#[track_caller]
fn after_saying(words: &str, child: &mut Child) -> BufReader<ChildStderr> {
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while errors.read_line(&mut line).unwrap() > 0 {
        if line.contains(words) {
            return errors;
        }
        line.clear();
    }
    panic!("it did not say `{words}`")
}

/// A child that is past the beginning of its work on a list: its outputs stand beside their places.
fn at_work(lab: &Folder, arguments: &[&str]) -> Child {
    let mut command = lab.listproof(&[&["verify", "list.csv", "-o", "out"], arguments].concat());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    while std::fs::read_dir(lab.path("out")).map_or(0, Iterator::count) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it began");
        sleep(Duration::from_millis(5));
    }
    sleep(Duration::from_millis(300));
    child
}

#[track_caller]
fn stops_with_nothing_written(arguments: &[&str]) {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let lab = Folder::with(long_list().as_bytes(), "");
        let mut child = at_work(&lab, arguments);
        send(signal, &child);
        assert_eq!(code_of(&mut child), Some(code));
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains("no file was written or replaced\nhint: "), "{said}");
        assert_eq!(std::fs::read_dir(lab.path("out")).unwrap().count(), 0, "nothing is left");
    }
}

#[test]
fn a_run_without_a_network_stops() {
    stops_with_nothing_written(&["--offline"]);
}

#[test]
fn a_run_that_still_reads_its_list_stops() {
    // Nobody is at this port, and nobody is asked.
    stops_with_nothing_written(&["--dns-only", "--dns", "127.0.0.1:9", "--state", "s.db"]);
}

#[test]
fn the_second_signal_ends_a_run_that_can_not_move() {
    let lab = Folder::with(long_list().as_bytes(), "");
    let mut command = lab.listproof(&["verify", "list.csv", "--offline", "-o", "-"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Nobody reads the rest of what it writes.
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    send("-INT", &child);
    let _errors = after_saying("again to leave at once", &mut child);
    sleep(ANOTHER_WISH);
    assert!(child.try_wait().unwrap().is_none(), "one signal is one wish");
    // On a busy machine it may take the next one for the same wish still.
    let ended = (0..20).find_map(|_| {
        send("-INT", &child);
        within(ANOTHER_WISH, &mut child)
    });
    child.kill().unwrap();
    assert_eq!(ended.and_then(|status| status.code()), Some(130));
}

#[test]
fn a_report_stops() {
    let list = "email\n".to_owned() + &"no address\n".repeat(100_000);
    let lab = Folder::with(list.as_bytes(), "");
    let verify =
        ["verify", "list.csv", "-o", "out", "-q", "--state", "s.db", "--dns-only", "--dns", "127.0.0.1:9"];
    lab.run(&verify).exits(0);
    let mut command = lab.listproof(&["report", "list.csv", "-o", "-", "--state", "s.db"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It has written something, and more than fits into a pipe is still to come.
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    send("-INT", &child);
    let _errors = after_saying("stopping", &mut child);
    let mut results = String::new();
    stdout.read_to_string(&mut results).unwrap();
    assert!(results.lines().count() < 100_000, "it ended before the list");
    assert_eq!(code_of(&mut child), Some(130));
}

/// The names in a folder.
fn names(lab: &Folder, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(lab.path(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn what_a_killed_run_leaves_beside_the_places_is_gone_after_the_next() {
    let lab = Folder::with(long_list().as_bytes(), "");
    let mut child = at_work(&lab, &["--dns-only", "--dns", "127.0.0.1:9", "--no-state"]);
    send("-KILL", &child);
    assert_eq!(code_of(&mut child), None);
    let left = names(&lab, "out");
    assert!(left.contains(&".list.results.csv.part".to_owned()), "{left:?}");
    let parts = left.iter().filter(|name| name.starts_with('.'));
    assert!(parts.map(|name| mode(&lab.path("out").join(name))).all(|mode| mode == 0o600));
    // Also of a run of another kind.
    lab.write("out/.list.retry.csv.part", "jane@shop.example");
    lab.write("list.csv", "email\njane@shop.example\n");
    lab.run(&["verify", "list.csv", "-o", "out", "--offline", "-q"]).exits(0);
    let names = names(&lab, "out");
    assert!(names.iter().all(|name| !name.starts_with('.')), "{names:?}");
}

#[test]
fn of_two_runs_that_write_the_same_files_the_second_is_refused() {
    let lab = Folder::with(long_list().as_bytes(), "");
    let mut first = at_work(&lab, &["--offline"]);
    let busy = [
        "another process is writing it",
        "wait until the other run has finished, or choose another place with `-o`",
    ];
    lab.run(&["verify", "list.csv", "-o", "out", "--offline"]).fails(74, &busy);
    lab.run(&["verify", "list.csv", "-o", "out/list.results.csv", "--offline"]).fails(74, &busy);
    assert!(first.try_wait().unwrap().is_none(), "the first goes on");
    send("-TERM", &first);
    assert_eq!(code_of(&mut first), Some(143));
}

/// A lab whose state somebody else holds, and a run that waits for it.
fn waiting() -> (Folder, File, Child) {
    let lab = Folder::with(b"email\nno address\n", "");
    let lock = File::create(lab.path("s.db.lock")).unwrap();
    lock.lock().unwrap();
    let verify =
        ["verify", "list.csv", "-o", "out", "--state", "s.db", "--wait-lock", "--dns", "127.0.0.1:9"];
    let mut command = lab.listproof(&[&verify[..], &SENDER].concat());
    let child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    (lab, lock, child)
}

#[test]
fn a_run_that_waits_for_another_stops() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let (lab, _lock, mut child) = waiting();
        let _errors = after_saying("waiting, because `s.db` is in use", &mut child);
        send(signal, &child);
        assert_eq!(code_of(&mut child), Some(code));
        assert!(!lab.path("out").exists());
    }
}

#[test]
fn a_run_that_waited_for_a_state_holds_it_since_it_got_it() {
    let (lab, lock, mut child) = waiting();
    let _errors = after_saying("waiting", &mut child);
    sleep(Duration::from_millis(1500));
    let free = SystemTime::now() - Duration::from_secs(1);
    drop(lock);
    assert_eq!(code_of(&mut child), Some(0));
    let holder = lab.read("s.db.lock");
    let started = holder.trim_end().rsplit(' ').next().unwrap();
    assert!(humantime::parse_rfc3339(started).unwrap() > free, "{holder}");
}
