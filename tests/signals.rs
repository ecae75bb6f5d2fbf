//! Signals in all phases of a run: the first ends the run soon and without incomplete outputs, the second immediately.
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

/// The longest time from a signal to the end of a run, on a busy machine.
const SOON: Duration = Duration::from_secs(10);
/// Signals within half a second count as one.
const ANOTHER_SIGNAL: Duration = Duration::from_millis(700);

/// A list that takes longer than [`SOON`].
fn long_list() -> String {
    "email\n".to_owned() + &"somebody@shop.example\n".repeat(2_000_000)
}

/// The exit code of a child that must end soon.
#[track_caller]
fn code_of(child: &mut Child) -> Option<i32> {
    let ended = within(SOON, child);
    child.kill().unwrap();
    ended.unwrap_or_else(|| panic!("the program does not end")).code()
}

/// Reads stderr of a child up to the line that has this text. Returns the rest.
#[track_caller]
fn after_line_with(text: &str, child: &mut Child) -> BufReader<ChildStderr> {
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while errors.read_line(&mut line).unwrap() > 0 {
        if line.contains(text) {
            return errors;
        }
        line.clear();
    }
    panic!("no line with `{text}`")
}

/// A run that has begun to read its list: its unfinished outputs exist.
fn at_work(lab: &Folder, arguments: &[&str]) -> Child {
    let mut command = lab.listproof(&[&["verify", "list.csv", "-o", "out"], arguments].concat());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    while std::fs::read_dir(lab.path("out")).map_or(0, Iterator::count) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before its outputs existed");
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
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert!(errors.contains("no file was written or replaced\nhint: "), "{errors}");
        assert_eq!(std::fs::read_dir(lab.path("out")).unwrap().count(), 0, "no file is left");
    }
}

#[test]
fn a_run_without_a_network_stops() {
    stops_with_nothing_written(&["--offline"]);
}

#[test]
fn a_run_that_still_reads_its_list_stops() {
    // No server listens at this port, and no query is sent.
    stops_with_nothing_written(&["--dns-only", "--dns", "127.0.0.1:9", "--state", "s.db"]);
}

#[test]
fn the_second_signal_ends_a_run_that_is_blocked() {
    let lab = Folder::with(long_list().as_bytes(), "");
    let mut command = lab.listproof(&["verify", "list.csv", "--offline", "-o", "-"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The rest of its output is not read, so it blocks.
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    send("-INT", &child);
    let _errors = after_line_with("again to leave at once", &mut child);
    sleep(ANOTHER_SIGNAL);
    assert!(child.try_wait().unwrap().is_none(), "one signal does not end it");
    // On a busy machine the next one may still count as the same signal.
    let ended = (0..20).find_map(|_| {
        send("-INT", &child);
        within(ANOTHER_SIGNAL, &mut child)
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
    // It has begun to write, and the rest does not fit into a pipe.
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    send("-INT", &child);
    let _errors = after_line_with("stopping", &mut child);
    let mut results = String::new();
    stdout.read_to_string(&mut results).unwrap();
    assert!(results.lines().count() < 100_000, "the report ended before its list");
    assert_eq!(code_of(&mut child), Some(130));
}

/// The names in a folder.
fn names(lab: &Folder, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(lab.path(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn unfinished_outputs_of_a_killed_run_are_removed_by_the_next() {
    let lab = Folder::with(long_list().as_bytes(), "");
    let mut child = at_work(&lab, &["--dns-only", "--dns", "127.0.0.1:9", "--no-state"]);
    send("-KILL", &child);
    assert_eq!(code_of(&mut child), None);
    let left = names(&lab, "out");
    assert!(left.contains(&".list.results.csv.part".to_owned()), "{left:?}");
    let parts = left.iter().filter(|name| name.starts_with('.'));
    assert!(parts.map(|name| mode(&lab.path("out").join(name))).all(|mode| mode == 0o600));
    // Also an output that the next run does not write.
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
    assert!(first.try_wait().unwrap().is_none(), "the first run continues");
    send("-TERM", &first);
    assert_eq!(code_of(&mut first), Some(143));
}

/// A lab whose state is locked by this test, and a run that waits for it.
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
        let _errors = after_line_with("waiting, because `s.db` is in use", &mut child);
        send(signal, &child);
        assert_eq!(code_of(&mut child), Some(code));
        assert!(!lab.path("out").exists());
    }
}

#[test]
fn the_start_of_a_run_that_waited_is_when_it_got_the_state() {
    let (lab, lock, mut child) = waiting();
    let _errors = after_line_with("waiting", &mut child);
    sleep(Duration::from_millis(1500));
    let free = SystemTime::now() - Duration::from_secs(1);
    drop(lock);
    assert_eq!(code_of(&mut child), Some(0));
    let holder = lab.read("s.db.lock");
    let started = holder.trim_end().rsplit(' ').next().unwrap();
    assert!(humantime::parse_rfc3339(started).unwrap() > free, "{holder}");
}
