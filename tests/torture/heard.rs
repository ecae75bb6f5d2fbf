//! What the world heard, by its own log: who was asked again although an answer had been given.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::lab::WORLD_BEGINS;

/// The last answers of a session that ended this shortly before a kill may not have been heard either: machines that
/// run tests are busy.
const UNHEARD: Duration = Duration::from_secs(1);

/// Questions that were answered for good and asked again all the same.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Repeats {
    /// Answered in a session that was open at a kill: the answer may not have been heard.
    pub(crate) in_flight: usize,
    /// The most of them in one such session.
    pub(crate) most_in_a_session: usize,
    /// Answered in any other session.
    pub(crate) others: usize,
    /// Sessions in all.
    pub(crate) sessions: usize,
}

struct Session {
    /// Since the world began.
    began: Duration,
    ended: Duration,
    /// Listed addresses with an answer that is no "later".
    answered: BTreeSet<String>,
}

impl Repeats {
    /// Counts them in a log. The kills are times since the world began; `is_listed` tells listed addresses from made-up ones.
    pub(crate) fn in_log(log: &[String], kills: &[Duration], is_listed: impl Fn(&str) -> bool) -> Repeats {
        let mut sessions: Vec<Session> = log.iter().filter_map(|line| session(line, &is_listed)).collect();
        sessions.sort_by_key(|session| session.began);
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for (number, session) in sessions.iter().enumerate() {
            last.extend(session.answered.iter().map(|address| (address.as_str(), number)));
        }
        let mut repeats = Repeats { sessions: sessions.len(), ..Repeats::default() };
        for (number, session) in sessions.iter().enumerate() {
            let again = session.answered.iter().filter(|address| last[address.as_str()] > number).count();
            let cut = |kill: &Duration| session.began <= *kill && *kill <= session.ended + UNHEARD;
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
    let answered = line["asked"].as_array()?.iter().filter_map(|asked| {
        let (address, code) = (asked[0].as_str()?, asked[1].as_u64()?);
        (is_listed(address) && (code / 100 == 2 || code / 100 == 5)).then(|| address.to_owned())
    });
    Some(Session {
        began,
        ended: began + Duration::from_secs_f64(line["seconds"].as_f64()?),
        answered: answered.collect(),
    })
}
