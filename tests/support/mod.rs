//! Starts the program in a folder of each test, without the settings of this machine, serves worlds on loopback, and reads
//! what a run writes: results, summary, state.
//!
//! Must not: signal processes that were not started here. Fails: by a panic that names the file or process.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::HashMap;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// HELO name and sender, for served worlds.
pub(crate) const SENDER: [&str; 4] = ["--helo", "probe.example.org", "--mail-from", "check@example.org"];

/// A folder for one test, removed when it is dropped.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    /// A folder with this file.
    pub(crate) fn with_file(name: &str, bytes: impl AsRef<[u8]>) -> Folder {
        let folder = Folder::new();
        folder.write(name, bytes);
        folder
    }

    /// A folder with a list and a world.
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

    /// The lines of a file; none if the file does not exist.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        std::fs::read_to_string(self.path(name)).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    #[track_caller]
    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// The summary of `list.csv` in the folder `out`.
    #[track_caller]
    pub(crate) fn summary(&self, out: &str) -> Value {
        self.json(&format!("{out}/list.summary.json"))
    }

    /// The rows of a CSV output, cell by cell.
    #[track_caller]
    pub(crate) fn results(&self, name: &str) -> Vec<ResultRow> {
        results(&self.path(name)).unwrap_or_else(|fault| panic!("{fault}"))
    }

    /// The number of rows of an output.
    #[track_caller]
    pub(crate) fn rows(&self, name: &str) -> usize {
        self.read(name).lines().count().saturating_sub(1)
    }

    /// The command `listproof` in this folder.
    pub(crate) fn listproof(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_listproof"));
        command.args(arguments);
        command
    }

    /// A command in this folder, with an empty environment but for `PATH` and `HOME`.
    pub(crate) fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.current_dir(self.0.path()).env_clear().env("PATH", path).env("HOME", self.0.path());
        command.stdin(Stdio::null());
        command
    }

    /// Runs `listproof` to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran(self.listproof(arguments).output().unwrap())
    }

    /// Serves a world from another process, at free ports.
    pub(crate) fn serve(&self, world: &str) -> Served {
        Served::at(self, world, &format!("127.0.0.1:{}", free_port()), &free_port().to_string())
    }
}

/// A free port below those that the system gives to clients. So no client has it when a world comes back to it.
fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Processes that run at the same time start far from each other.
    let start = std::process::id() * 97;
    loop {
        let nth = TAKEN.fetch_add(1, Ordering::Relaxed);
        assert!(nth < COUNT, "no port is free");
        let port = u16::try_from(FIRST + (start % COUNT + nth) % COUNT).unwrap();
        let everywhere = (Ipv4Addr::UNSPECIFIED, port);
        if TcpListener::bind(everywhere).is_ok() && UdpSocket::bind(everywhere).is_ok() {
            return port;
        }
    }
}

/// The rows of a CSV file, by its header.
pub(crate) fn results(file: &Path) -> Result<Vec<ResultRow>, String> {
    let unreadable = |fault: csv::Error| format!("can't read `{}`: {fault}", file.display());
    let mut reader = csv::Reader::from_path(file).map_err(unreadable)?;
    let header = reader.headers().map_err(unreadable)?.clone();
    let row = |record: csv::StringRecord| {
        ResultRow(header.iter().zip(&record).map(|(name, cell)| (name.to_owned(), cell.to_owned())).collect())
    };
    reader.records().map(|record| record.map(row).map_err(unreadable)).collect()
}

/// One row of a CSV file: its cells by the names of their columns.
#[derive(Debug)]
pub(crate) struct ResultRow(HashMap<String, String>);

impl ResultRow {
    #[track_caller]
    pub(crate) fn cell(&self, column: &str) -> &str {
        self.0.get(column).unwrap_or_else(|| panic!("there is no column `{column}`"))
    }
}

/// The first value of a query on a state file that a run may be writing.
pub(crate) fn query<T: rusqlite::types::FromSql>(state: &Path, sql: &str) -> rusqlite::Result<T> {
    rusqlite::Connection::open_with_flags(state, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?.query_row(
        sql,
        [],
        |row| row.get(0),
    )
}

/// A figure of `/proc/PID/status` in KiB: `VmRSS` is the resident memory of a process, `VmHWM` its peak.
pub(crate) fn memory_kib(process: u32, figure: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| {
        line.strip_prefix(figure)?.strip_prefix(':')?.trim().strip_suffix(" kB")?.parse().ok()
    })
}

/// Runs a command to its end, and returns its peak memory in KiB. After this time the command is killed and the test fails.
#[track_caller]
pub(crate) fn watch(command: &mut Command, time: Duration) -> (Ran, u64) {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut peak_kib = 0;
    while child.try_wait().unwrap().is_none() {
        peak_kib = peak_kib.max(memory_kib(child.id(), "VmHWM").unwrap_or(0));
        if started.elapsed() > time {
            child.kill().unwrap();
            panic!("the program does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    (Ran(child.wait_with_output().unwrap()), peak_kib)
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

    /// Fails the test unless the command ended with this code and an error that has these parts and a hint.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, parts: &[&str]) {
        let errors = self.exits(code).stderr();
        for part in parts.iter().chain(&["error: ", "\nhint:"]) {
            assert!(errors.contains(part), "`{part}` is missing in\n{errors}");
        }
        assert!(!errors.contains("panicked"), "{errors}");
    }
}

/// A world that another process serves on loopback until this is dropped.
pub(crate) struct Served {
    pub(crate) child: Child,
    /// When the clock of the world started.
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
        // It prints the flags of `verify` for this world: `... --dns ADDR --smtp-port N ... --mail-from ...`.
        let (mut printed, mut byte) = (String::new(), [0]);
        let mut stdout = child.stdout.take().unwrap();
        while !printed.contains("--mail-from") && stdout.read(&mut byte).unwrap() == 1 {
            printed.push(char::from(byte[0]));
        }
        let word_after = |flag: &str| {
            let mut words = printed.split_whitespace().skip_while(|word| *word != flag);
            words.nth(1).unwrap_or_else(|| panic!("no {flag} in {printed}")).to_owned()
        };
        Served { dns: word_after("--dns"), port: word_after("--smtp-port"), began: Instant::now(), child }
    }

    /// The flags of `verify` for this world.
    pub(crate) fn flags(&self) -> [&str; 6] {
        ["--dns", &self.dns, "--smtp-port", &self.port, "--allow-mx-net", "127.0.0.0/8"]
    }

    /// Ends the process in such a way that every session is in its log.
    pub(crate) fn end(&mut self) {
        send("-TERM", &self.child);
        end_of(&mut self.child);
    }

    /// Serves another world at the same ports.
    pub(crate) fn becomes(&mut self, folder: &Folder, world: &str) {
        self.is_gone_for(Duration::ZERO, folder, world);
    }

    /// Ends the process, and after this time serves a world at the same ports.
    pub(crate) fn is_gone_for(&mut self, time: Duration, folder: &Folder, world: &str) {
        self.end();
        std::thread::sleep(time);
        *self = Served::at(folder, world, &self.dns, &self.port);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // The process may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The longest time that a process may take to end.
const LONGEST_END: Duration = Duration::from_secs(300);

/// Waits until a child has ended. If it does not end, it is killed and the test fails.
#[track_caller]
pub(crate) fn end_of(child: &mut Child) -> ExitStatus {
    within(LONGEST_END, child).unwrap_or_else(|| {
        child.kill().unwrap();
        panic!("the program does not end")
    })
}

/// The exit status of a child, if it ends within this time.
pub(crate) fn within(time: Duration, child: &mut Child) -> Option<ExitStatus> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if started.elapsed() >= time {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal to a child, as `kill` does.
pub(crate) fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success(), "kill {signal}");
}

/// The permission bits of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
}
