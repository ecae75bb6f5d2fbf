//! A disk that is full until somebody makes room: memory mounted in a namespace of our own, seen by nobody else.

use std::process::{Command, Stdio};

use super::lab::{Lab, is_full};

/// Runs its arguments on a small disk at `disk`, again when there is room, and keeps what is on it then.
const TWICE: &str = r#"
mount -t tmpfs -o mode=700,size="$SIZE" tmpfs disk || exit 1
"$@"; echo "$?"
mount -o remount,size=1g disk || exit 1
"$@"; echo "$?"
cp -r disk/. after
"#;

/// How a command ended on the full disk, and when there was room; and what it said.
pub(crate) struct Ends {
    pub(crate) full: String,
    pub(crate) roomy: String,
    pub(crate) said: String,
}

/// `None` where nobody may mount anything; with `LISTPROOF_TORTURE=full` that is a failure.
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
    let (codes, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let mut codes = codes.lines().map(str::to_owned);
    let (full, roomy) = (codes.next().unwrap_or_default(), codes.next().unwrap_or_default());
    Some(Ends { full, roomy, said: said.into_owned() })
}

fn may_mount() -> Option<&'static [&'static str]> {
    const WAYS: [&[&str]; 2] = [&["--mount"], &["--map-root-user", "--mount"]];
    WAYS.into_iter().find(|way| {
        let tried = Command::new("unshare")
            .args(*way)
            .args(["mount", "-t", "tmpfs", "tmpfs", "/tmp"])
            .stderr(Stdio::null())
            .status();
        tried.is_ok_and(|status| status.success())
    })
}
