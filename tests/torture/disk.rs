//! A disk that is full until it is enlarged: memory that is mounted in a private mount namespace.

use std::process::{Command, Stdio};

use super::lab::{Lab, is_full};

/// Runs its arguments on a small disk at `disk`, then again on a larger one, and copies what is on it.
const TWICE: &str = r#"
mount -t tmpfs -o mode=700,size="$SIZE" tmpfs disk || exit 1
"$@"; echo "$?"
mount -o remount,size=1g disk || exit 1
"$@"; echo "$?"
cp -r disk/. after
"#;

/// The exit codes of a command on the full disk and on the enlarged one, and its errors.
pub(crate) struct Ends {
    pub(crate) full: String,
    pub(crate) enlarged: String,
    pub(crate) errors: String,
}

/// `None` without the right to mount; with `LISTPROOF_TORTURE=full` the test fails then.
pub(crate) fn on_a_small_disk(lab: &Lab, size: &str, command: &Command) -> Option<Ends> {
    let Some(unshare) = may_mount() else {
        assert!(!is_full(), "no right to mount a disk here");
        eprintln!("no right to mount a disk here: not tested");
        return None;
    };
    for folder in ["disk", "after"] {
        std::fs::create_dir(lab.path(folder)).unwrap();
    }
    let mut twice = Command::new("unshare");
    twice.args(unshare).args(["sh", "-c", TWICE, "sh"]).arg(command.get_program()).args(command.get_args());
    twice.current_dir(lab.path("")).env("SIZE", size).env("HOME", lab.path("")).stdin(Stdio::null());
    let output = twice.output().unwrap();
    let (codes, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let mut codes = codes.lines().map(str::to_owned);
    let (full, enlarged) = (codes.next().unwrap_or_default(), codes.next().unwrap_or_default());
    Some(Ends { full, enlarged, errors: errors.into_owned() })
}

/// The flags of `unshare` with which a disk can be mounted here.
fn may_mount() -> Option<&'static [&'static str]> {
    const FLAGS: [&[&str]; 2] = [&["--mount"], &["--map-root-user", "--mount"]];
    FLAGS.into_iter().find(|flags| {
        let tried = Command::new("unshare")
            .args(*flags)
            .args(["mount", "-t", "tmpfs", "tmpfs", "/tmp"])
            .stderr(Stdio::null())
            .status();
        tried.is_ok_and(|status| status.success())
    })
}
