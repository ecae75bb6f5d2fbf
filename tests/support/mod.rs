//! The program as tests start it: in a folder of their own, with nothing of this machine's settings, and beside it worlds
//! that are served on loopback.
//!
//! Must not: signal anybody but the processes started here. Fails: by a panic that names the file or process.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Who asks, in worlds that are served.
pub(crate) const SENDER: [&str; 4] = ["--helo", "probe.example.org", "--mail-from", "check@example.org"];

/// A folder for one test, which is gone with it.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    /// With a list and a world in it.
    pub(crate) fn with(list: &[u8], world: &str) -> Folder {
        let folder = Folder::new();
        folder.write("list.csv", list);
        folder.write("world.toml", world);
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
    }

    /// The lines of a file, none where there is none.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        std::fs::read_to_string(self.path(name)).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    #[track_caller]
    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// The summary of the list, in the folder of its outputs.
    #[track_caller]
    pub(crate) fn summary(&self, out: &str) -> Value {
        self.json(&format!("{out}/list.summary.json"))
    }

    /// The data rows of an output.
    #[track_caller]
    pub(crate) fn rows(&self, name: &str) -> usize {
        self.read(name).lines().count().saturating_sub(1)
    }

    /// listproof in this folder.
    pub(crate) fn listproof(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_listproof"));
        command.args(arguments);
        command
    }

    /// Any program in this folder.
    pub(crate) fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.current_dir(self.0.path()).env_clear().env("PATH", path).env("HOME", self.0.path());
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran(self.listproof(arguments).output().unwrap())
    }

    /// Serves a world from a process of its own, at ports that are free.
    pub(crate) fn serve(&self, world: &str) -> Served {
        Served::at(self, world, "127.0.0.1:0", "0")
    }
}

/// A command that has ended.
pub(crate) struct Ran(pub(crate) Output);

impl Ran {
    pub(crate) fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    #[track_caller]
    pub(crate) fn exits(&self, code: i32) -> &Ran {
        assert_eq!(self.code(), Some(code), "{}", self.stderr());
        self
    }

    /// Every error says what happened and what to do next.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, says: &[&str]) {
        let errors = self.exits(code).stderr();
        for part in says.iter().chain(&["error: ", "\nhint:"]) {
            assert!(errors.contains(part), "`{part}` is missing in\n{errors}");
        }
        assert!(!errors.contains("panicked"), "{errors}");
    }
}

/// A world on loopback, until it is dropped.
pub(crate) struct Served {
    pub(crate) child: Child,
    /// When its clock began.
    pub(crate) began: Instant,
    dns: String,
    port: String,
}

impl Served {
    fn at(folder: &Folder, world: &str, dns: &str, port: &str) -> Served {
        let mut child = folder
            .listproof(&["world", world, "--dns", dns, "--smtp-port", port, "--log", "world.log"])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        // It prints how to ask it: `... --dns ADDR --smtp-port N ...`.
        let (mut said, mut byte) = (String::new(), [0]);
        let mut stdout = child.stdout.take().unwrap();
        while !said.contains("--mail-from") && stdout.read(&mut byte).unwrap() == 1 {
            said.push(char::from(byte[0]));
        }
        let word_after = |flag: &str| {
            let mut words = said.split_whitespace().skip_while(|word| *word != flag);
            words.nth(1).unwrap_or_else(|| panic!("no {flag} in {said}")).to_owned()
        };
        Served { dns: word_after("--dns"), port: word_after("--smtp-port"), began: Instant::now(), child }
    }

    /// The flags that lead to it.
    pub(crate) fn flags(&self) -> [&str; 6] {
        ["--dns", &self.dns, "--smtp-port", &self.port, "--allow-mx-net", "127.0.0.0/8"]
    }

    /// Ends it so that every session is in its log.
    pub(crate) fn end(&mut self) {
        send("-TERM", &self.child);
        end_of(&mut self.child);
    }

    /// Ends it, and serves another world at the same ports.
    pub(crate) fn becomes(&mut self, folder: &Folder, world: &str) {
        self.is_gone_for(Duration::ZERO, folder, world);
    }

    /// Ends it; after that time there is one at the same ports.
    pub(crate) fn is_gone_for(&mut self, time: Duration, folder: &Folder, world: &str) {
        self.end();
        std::thread::sleep(time);
        *self = Served::at(folder, world, &self.dns, &self.port);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have been ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long a process may take that is to end.
const PATIENCE: Duration = Duration::from_secs(300);

/// Waits for the end of a child; one that does not end is killed, and the test fails.
#[track_caller]
pub(crate) fn end_of(child: &mut Child) -> ExitStatus {
    within(PATIENCE, child).unwrap_or_else(|| {
        child.kill().unwrap();
        panic!("it does not end")
    })
}

/// The end of a child, should it come within this time.
pub(crate) fn within(time: Duration, child: &mut Child) -> Option<ExitStatus> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if begun.elapsed() >= time {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success(), "kill {signal}");
}

/// Who may read, write and open a file.
pub(crate) fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
}
