//! What the servers of a world have observed: counters for tests and benchmarks, and a log.
//!
//! Decides: nothing. Fails: if the log cannot be written, it is closed without an error, and the world goes on.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::Serialize;

use super::limits::LimitViolation;

/// What all servers have observed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// By host name; the counts of hosts with the same name are added.
    pub hosts: BTreeMap<String, ObservedHost>,
    /// DNS queries by name and record type. In process, `A` stands for A and AAAA together.
    pub queries: BTreeMap<(String, &'static str), u64>,
}

impl Observed {
    /// How often this recipient was probed, at all hosts together.
    pub fn probes_of(&self, address: &str) -> u64 {
        self.hosts.values().filter_map(|host| host.rcpts.get(address)).sum()
    }

    /// The number of sessions.
    pub fn sessions(&self) -> u64 {
        self.hosts.values().map(|host| host.sessions).sum()
    }

    /// The number of RCPT commands.
    pub fn rcpts(&self) -> u64 {
        self.hosts.values().flat_map(|host| host.rcpts.values()).sum()
    }

    /// The violations at all hosts.
    pub fn violations(&self) -> BTreeMap<LimitViolation, u64> {
        let mut sum = BTreeMap::new();
        for (violation, count) in self.hosts.values().flat_map(|host| &host.violations) {
            *sum.entry(*violation).or_default() += count;
        }
        sum
    }
}

/// What one host has observed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedHost {
    /// The number of connections.
    pub sessions: u64,
    /// The most concurrent connections of one client.
    pub max_concurrent: u32,
    /// Commands by verb, in upper case.
    pub commands: BTreeMap<String, u64>,
    /// How often each recipient was probed, by its address as the client wrote it.
    pub rcpts: BTreeMap<String, u64>,
    /// How many probes were of unknown recipients.
    pub unknown: u64,
    /// The violations of clients.
    pub violations: BTreeMap<LimitViolation, u64>,
}

impl ObservedHost {
    /// Adds the counts of another host.
    pub(super) fn add(&mut self, other: &ObservedHost) {
        fn sum<K: Ord + Clone>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
            for (key, count) in from {
                *into.entry(key.clone()).or_default() += count;
            }
        }
        self.sessions += other.sessions;
        self.max_concurrent = self.max_concurrent.max(other.max_concurrent);
        self.unknown += other.unknown;
        sum(&mut self.commands, &other.commands);
        sum(&mut self.rcpts, &other.rcpts);
        sum(&mut self.violations, &other.violations);
    }
}

/// The numbers of DNS queries, by name and record type.
#[derive(Default)]
pub(super) struct QueryCounts(Mutex<BTreeMap<(String, &'static str), u64>>);

impl QueryCounts {
    pub(super) fn count(&self, name: &str, kind: &'static str) {
        *lock(&self.0).entry((name.to_owned(), kind)).or_default() += 1;
    }

    pub(super) fn counts(&self) -> BTreeMap<(String, &'static str), u64> {
        lock(&self.0).clone()
    }
}

/// One line of the log, as JSON.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum LogLine<'a> {
    /// A DNS query.
    Query { name: &'a str, kind: &'a str, answer: &'a str },
    /// A session, written at its end; `at` is the time of its start.
    Session {
        host: &'a str,
        client: IpAddr,
        seconds: f64,
        /// The EHLO or HELO name; `None` before EHLO.
        helo: Option<&'a str>,
        /// The recipients in order, each with the code of its reply (0: no reply).
        #[serde(rename = "asked")]
        rcpts: &'a [(String, u16)],
        violations: &'a [LimitViolation],
    },
}

/// The log of a world; closed at first.
#[derive(Default)]
pub(super) struct WorldLog(Mutex<Option<Box<dyn Write + Send>>>);

impl WorldLog {
    pub(super) fn open(&self, writer: Box<dyn Write + Send>) {
        *lock(&self.0) = Some(writer);
    }

    pub(super) fn write(&self, at: SystemTime, line: &LogLine<'_>) {
        #[derive(Serialize)]
        struct At<'a> {
            at: String,
            #[serde(flatten)]
            line: &'a LogLine<'a>,
        }
        let mut log = lock(&self.0);
        let Some(writer) = log.as_mut() else { return };
        let at = humantime::format_rfc3339_millis(at).to_string();
        let written = serde_json::to_string(&At { at, line }).map_err(std::io::Error::from);
        // One write per line: if the process is killed, no line is cut.
        if written.and_then(|text| writer.write_all((text + "\n").as_bytes())).is_err() {
            *log = None;
        }
    }
}

/// Locks a mutex, even after a panic in another thread: the data is never half changed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::Arc;

    /// A log in memory.
    #[derive(Clone, Default)]
    pub(in crate::world) struct MemoryLog(Arc<Mutex<Vec<u8>>>);

    impl MemoryLog {
        pub(in crate::world) fn lines(&self) -> Vec<String> {
            String::from_utf8(lock(&self.0).clone()).unwrap().lines().map(str::to_owned).collect()
        }
    }

    impl Write for MemoryLog {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_log_has_a_line_per_query_and_per_session() {
        let (log, memory) = (WorldLog::default(), MemoryLog::default());
        let at = SystemTime::UNIX_EPOCH;
        let query = LogLine::Query { name: "acme.example", kind: "MX", answer: "noerror" };
        log.write(at, &query);
        log.open(Box::new(memory.clone()));
        log.write(at, &query);
        let rcpts = [("jane@acme.example".to_owned(), 250)];
        log.write(
            at,
            &LogLine::Session {
                host: "mx.acme.example",
                client: [192, 0, 2, 1].into(),
                seconds: 0.5,
                helo: Some("x"),
                rcpts: &rcpts,
                violations: &[LimitViolation::EarlyTalk],
            },
        );
        assert_eq!(
            memory.lines(),
            [
                r#"{"at":"1970-01-01T00:00:00.000Z","event":"query","name":"acme.example","kind":"MX","answer":"noerror"}"#,
                r#"{"at":"1970-01-01T00:00:00.000Z","event":"session","host":"mx.acme.example","client":"192.0.2.1","seconds":0.5,"helo":"x","asked":[["jane@acme.example",250]],"violations":["early_talk"]}"#,
            ]
        );
    }
}
