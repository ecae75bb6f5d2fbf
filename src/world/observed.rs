//! What the servers of a world remember of their clients: counters for tests and benchmarks, lines for people.
//!
//! Decides: nothing. A log that can't be written is given up silently: the world goes on.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::Serialize;

use super::limits::LimitViolation;

/// What all servers heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// By host name; hosts of one name are added up.
    pub hosts: BTreeMap<String, ObservedHost>,
    /// Questions by name and record type. In process `A` stands for both families.
    pub queries: BTreeMap<(String, &'static str), u64>,
}

impl Observed {
    /// How often this recipient was asked for, at all hosts together.
    pub fn asked(&self, address: &str) -> u64 {
        self.hosts.values().filter_map(|host| host.asked.get(address)).sum()
    }

    /// All sessions.
    pub fn sessions(&self) -> u64 {
        self.hosts.values().map(|host| host.sessions).sum()
    }

    /// All RCPT commands.
    pub fn rcpts(&self) -> u64 {
        self.hosts.values().flat_map(|host| host.asked.values()).sum()
    }

    /// All violations, added up over the hosts.
    pub fn violations(&self) -> BTreeMap<LimitViolation, u64> {
        let mut sum = BTreeMap::new();
        for (violation, count) in self.hosts.values().flat_map(|host| &host.violations) {
            *sum.entry(*violation).or_default() += count;
        }
        sum
    }
}

/// What one host heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedHost {
    /// Connections that came.
    pub sessions: u64,
    /// The most that one client had open at once.
    pub most_at_once: u32,
    /// Commands by verb, in upper case.
    pub commands: BTreeMap<String, u64>,
    /// How often each recipient was asked for, as written on the wire.
    pub asked: BTreeMap<String, u64>,
    /// Recipients that were unknown.
    pub unknown: u64,
    /// What clients should not have done.
    pub violations: BTreeMap<LimitViolation, u64>,
}

impl ObservedHost {
    pub(super) fn add(&mut self, other: &ObservedHost) {
        fn sum<K: Ord + Clone>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
            for (key, count) in from {
                *into.entry(key.clone()).or_default() += count;
            }
        }
        self.sessions += other.sessions;
        self.most_at_once = self.most_at_once.max(other.most_at_once);
        self.unknown += other.unknown;
        sum(&mut self.commands, &other.commands);
        sum(&mut self.asked, &other.asked);
        sum(&mut self.violations, &other.violations);
    }
}

/// The questions that name servers were asked.
#[derive(Default)]
pub(super) struct Queries(Mutex<BTreeMap<(String, &'static str), u64>>);

impl Queries {
    pub(super) fn count(&self, name: &str, kind: &'static str) {
        *lock(&self.0).entry((name.to_owned(), kind)).or_default() += 1;
    }

    pub(super) fn counts(&self) -> BTreeMap<(String, &'static str), u64> {
        lock(&self.0).clone()
    }
}

/// One line of the log.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum LogLine<'a> {
    /// A question to the name servers.
    Query { name: &'a str, kind: &'a str, answer: &'a str },
    /// A session, written when it is over; `at` is when it began.
    Session {
        host: &'a str,
        client: IpAddr,
        seconds: f64,
        /// The HELO name, if it came so far.
        helo: Option<&'a str>,
        /// Recipients in order, each with the code of its answer (0: none).
        asked: &'a [(String, u16)],
        violations: &'a [LimitViolation],
    },
}

/// Where the lines go, if anywhere.
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
        // One write per line: lines stay whole even where the process is killed between two.
        if written.and_then(|text| writer.write_all((text + "\n").as_bytes())).is_err() {
            *log = None;
        }
    }
}

/// A lock that a panic elsewhere does not close: counters are never half changed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::Arc;

    /// A log in memory.
    #[derive(Clone, Default)]
    pub(in crate::world) struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Kept {
        pub(in crate::world) fn lines(&self) -> Vec<String> {
            String::from_utf8(lock(&self.0).clone()).unwrap().lines().map(str::to_owned).collect()
        }
    }

    impl Write for Kept {
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
        let (log, kept) = (WorldLog::default(), Kept::default());
        let at = SystemTime::UNIX_EPOCH;
        let query = LogLine::Query { name: "acme.example", kind: "MX", answer: "noerror" };
        log.write(at, &query);
        log.open(Box::new(kept.clone()));
        log.write(at, &query);
        let asked = [("jane@acme.example".to_owned(), 250)];
        log.write(
            at,
            &LogLine::Session {
                host: "mx.acme.example",
                client: [192, 0, 2, 1].into(),
                seconds: 0.5,
                helo: Some("x"),
                asked: &asked,
                violations: &[LimitViolation::EarlyTalk],
            },
        );
        assert_eq!(
            kept.lines(),
            [
                r#"{"at":"1970-01-01T00:00:00.000Z","event":"query","name":"acme.example","kind":"MX","answer":"noerror"}"#,
                r#"{"at":"1970-01-01T00:00:00.000Z","event":"session","host":"mx.acme.example","client":"192.0.2.1","seconds":0.5,"helo":"x","asked":[["jane@acme.example",250]],"violations":["early_talk"]}"#,
            ]
        );
    }
}
