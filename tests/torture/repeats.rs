//! Repeated probes: recipients that were probed again after a definite reply, counted from the log of the world.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::lab::WORLD_BEGINS;

/// The last replies of a session that ended this shortly before a kill may not have been stored either, on a busy machine.
const NOT_YET_STORED: Duration = Duration::from_secs(1);

/// Probes that had a definite reply and were repeated.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Repeats {
    /// The reply was sent in a session that was open at a kill, so it may not have been received.
    pub(crate) in_flight: usize,
    /// The highest number of them in one such session.
    pub(crate) most_in_a_session: usize,
    /// The reply was sent in any other session.
    pub(crate) others: usize,
    /// Number of sessions.
    pub(crate) sessions: usize,
}

struct Session {
    /// Since the start of the world.
    began: Duration,
    ended: Duration,
    /// Recipients of the list that were accepted or rejected.
    decided: BTreeSet<String>,
}

impl Repeats {
    /// Counts repeated probes in a log. `kills` are times since the start of the world; `is_listed` is false for controls.
    pub(crate) fn in_log(log: &[String], kills: &[Duration], is_listed: impl Fn(&str) -> bool) -> Repeats {
        let mut sessions: Vec<Session> = log.iter().filter_map(|line| session(line, &is_listed)).collect();
        sessions.sort_by_key(|session| session.began);
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for (number, session) in sessions.iter().enumerate() {
            last.extend(session.decided.iter().map(|address| (address.as_str(), number)));
        }
        let mut repeats = Repeats { sessions: sessions.len(), ..Repeats::default() };
        for (number, session) in sessions.iter().enumerate() {
            let again = session.decided.iter().filter(|address| last[address.as_str()] > number).count();
            let cut = |kill: &Duration| session.began <= *kill && *kill <= session.ended + NOT_YET_STORED;
            if kills.iter().any(cut) {
                repeats.in_flight += again;
                repeats.most_in_a_session = repeats.most_in_a_session.max(again);
            } else {
                repeats.others += again;
            }
        }
        repeats
    }
}

fn session(line: &str, is_listed: impl Fn(&str) -> bool) -> Option<Session> {
    let line: Value = serde_json::from_str(line).ok()?;
    if line["event"] != "session" {
        return None;
    }
    let at = |text: &str| humantime::parse_rfc3339(text).ok();
    let began = at(line["at"].as_str()?)?.duration_since(at(WORLD_BEGINS)?).ok()?;
    let decided = line["asked"].as_array()?.iter().filter_map(|probe| {
        let (address, code) = (probe[0].as_str()?, probe[1].as_u64()?);
        (is_listed(address) && (code / 100 == 2 || code / 100 == 5)).then(|| address.to_owned())
    });
    Some(Session {
        began,
        ended: began + Duration::from_secs_f64(line["seconds"].as_f64()?),
        decided: decided.collect(),
    })
}
