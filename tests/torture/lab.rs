//! The lab: a world that another process serves, a list, and the commands that verify it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::support::{Folder, ResultRow, SENDER, Served};

/// The start of the world, in its own time.
pub(crate) const WORLD_BEGINS: &str = "2026-01-05T09:00:00Z";

/// The users of the list at every domain. The second half of them does not exist.
fn users() -> std::ops::Range<u32> {
    if is_full() { 0..10 } else { 4..6 }
}

/// The size of a test: small in `cargo test`, full with `LISTPROOF_TORTURE=full`.
pub(crate) struct Size {
    pub(crate) rows: u32,
    pub(crate) kills: u32,
}

impl Size {
    pub(crate) fn from_environment() -> Size {
        if is_full() { Size { rows: 20_000, kills: 30 } } else { Size { rows: 400, kills: 2 } }
    }
}

pub(crate) fn is_full() -> bool {
    std::env::var("LISTPROOF_TORTURE").is_ok_and(|word| word == "full")
}

/// A folder with a list and a world for it.
pub(crate) struct Lab {
    pub(crate) folder: Folder,
    rows: u32,
}

/// Verdict and reason of each address.
pub(crate) type Verdicts = BTreeMap<String, (String, String)>;

impl Lab {
    pub(crate) fn new(rows: u32) -> Lab {
        let domains = rows / u32::try_from(users().len()).unwrap();
        Lab { folder: Folder::with(list(domains).as_bytes(), &world(domains)), rows }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// The program; stdout is discarded, stderr captured.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.folder.listproof(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// `verify` over the list in the served world.
    pub(crate) fn verify(&self, served: &Served, more: &[&str]) -> Command {
        let mut command = self.command(&["verify", "list.csv", "-q", "--pace", "fast"]);
        command.args(SENDER).args(served.flags());
        for (flag, value) in [("-o", "out"), ("--state", "state.db")] {
            if !more.contains(&flag) {
                command.args([flag, value]);
            }
        }
        command.args(more);
        command
    }

    /// The verdicts of an undisturbed run: in the same world, in process and in virtual time.
    pub(crate) fn undisturbed(&self) -> Verdicts {
        let arguments = ["verify", "list.csv", "-q", "--pace", "fast", "--world", "world.toml", "-o", "calm"];
        assert_eq!(ended(self.command(&arguments)), (0, String::new()));
        let verdicts = self.verdicts("calm");
        assert_eq!(verdicts.len(), usize::try_from(self.rows).unwrap());
        assert!(verdicts.values().all(|(verdict, _)| verdict != "unknown"));
        verdicts
    }

    /// The verdicts in the results of a folder. Every row must be there, and the counts must add up.
    pub(crate) fn verdicts(&self, folder: &str) -> Verdicts {
        let row = |row: &ResultRow| {
            let [email, verdict, reason] =
                ["email", "verdict", "reason"].map(|name| row.cell(name).to_owned());
            (email, (verdict, reason))
        };
        let verdicts: Verdicts =
            self.folder.results(&format!("{folder}/list.results.csv")).iter().map(row).collect();
        assert_eq!(verdicts.len(), usize::try_from(self.rows).unwrap(), "every row is in the results");
        let summary = self.summary(folder);
        let split: u64 = ["deliverable", "risky", "undeliverable", "unknown"]
            .iter()
            .map(|verdict| summary["verdicts"][verdict].as_u64().unwrap())
            .sum();
        assert_eq!(split, u64::from(self.rows), "{summary}");
        verdicts
    }

    pub(crate) fn summary(&self, folder: &str) -> Value {
        self.folder.summary(folder)
    }

    /// Stops the world for this time.
    pub(crate) fn stop_for(&self, served: &mut Served, time: Duration) {
        served.is_gone_for(time, &self.folder, "world.toml");
    }

    pub(crate) fn serve(&self) -> Served {
        self.folder.serve("world.toml")
    }
}

/// A world in which six domains of ten are plain; of the others one is a catch-all, one accepts any recipient after a few
/// rejections in a session, one has a null MX, and one greylists, in the full size only.
fn world(domains: u32) -> String {
    let last = |tenths: u32| domains * tenths / 10 - 1;
    // A short list needs few round trips; they are long, so that a kill meets the run on the fastest machine too.
    let rtt = if is_full() { "20ms" } else { "250ms" };
    let host = |kind: &str, last: u32| {
        let behavior = if kind == "turns" { "accepts_after_unknowns = 2\n" } else { "" };
        format!("[[host]]\nname = \"mx.{kind}{{0..{last}}}.example\"\nrtt = \"{rtt}\"\n{behavior}")
    };
    let domain = |kind: &str, last: u32, rest: &str| {
        format!("[[domain]]\nname = \"{kind}{{0..{last}}}.example\"\n{rest}\n")
    };
    let mx = |kind: &str| format!("mx = [\"10 mx.{kind}{{n}}.example\"]\n");
    let mailboxes = "mailboxes = [\"user{0..4}\"]\n";
    // A deferred recipient waits for at least ten seconds, each time.
    let greylist = if is_full() {
        "greylist = { delay = \"1s\", by = \"domain\", say = \"451 4.7.1 Greylisted, try again in 2 seconds\" }"
    } else {
        ""
    };
    [
        format!("now = {WORLD_BEGINS}\n"),
        domain("plain", last(6), &(mx("plain") + mailboxes)),
        host("plain", last(6)),
        domain("turns", last(1), &(mx("turns") + mailboxes)),
        host("turns", last(1)),
        domain("any", last(1), &(mx("any") + "catch_all = true")),
        host("any", last(1)),
        domain("later", last(1), &(mx("later") + mailboxes + greylist)),
        host("later", last(1)),
        domain("none", last(1), "mx = [\"0 .\"]"),
    ]
    .concat()
}

fn list(domains: u32) -> String {
    let kinds = [("plain", 6), ("turns", 1), ("any", 1), ("later", 1), ("none", 1)];
    let mut lines = vec!["email".to_owned()];
    for user in users() {
        for (kind, tenths) in kinds {
            let domains = 0..domains * tenths / 10;
            lines.extend(domains.map(|domain| format!("user{user}@{kind}{domain}.example")));
        }
    }
    lines.join("\n") + "\n"
}

/// Runs a command to its end. Returns its exit code and its errors.
pub(crate) fn ended(mut command: Command) -> (i32, String) {
    let output = command.output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}
