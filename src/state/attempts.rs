//! What was probed at a host, when, and with which reply: for a postmaster who asks.

use rusqlite::params;

use super::{State, StateError};

/// One probe at a host, with texts as the view `attempts` has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostAttempt {
    /// When the reply came, in UTC.
    pub at: String,
    /// The recipient.
    pub recipient: String,
    /// Whether it is of a list, random or `postmaster`.
    pub kind: &'static str,
    /// The MX host.
    pub mx_host: String,
    /// The source address or proxy, with HELO name and sender.
    pub egress: String,
    /// The stage of the dialogue.
    pub stage: String,
    /// The code of the reply.
    pub code: u16,
    /// Its text.
    pub text: String,
}

impl State {
    /// The probes at a host, or at all hosts below a domain, from one time to another (`YYYY-MM-DD hh:mm:ss`, both included), in
    /// their order.
    pub fn attempts_at(&self, host: &str, from: &str, to: &str) -> Result<Vec<HostAttempt>, StateError> {
        let mut find = self.db.prepare(
            "SELECT at, email, who, mx_host, coalesce(egress, ''), stage, code, text FROM attempts
             WHERE (mx_host = ?1 OR substr(mx_host, -length(?1) - 1) = '.' || ?1) AND at >= ?2 AND at <= ?3
             ORDER BY at, mx_host, email",
        )?;
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let rows = find.query_map(params![host, from, to], |row| {
            let kind = row.get_ref(2)?.as_str().unwrap_or_default();
            Ok(HostAttempt {
                at: row.get(0)?,
                recipient: row.get(1)?,
                kind: match kind {
                    "listed" => "listed",
                    "postmaster" => "postmaster",
                    _ => "random",
                },
                mx_host: row.get(3)?,
                egress: row.get(4)?,
                stage: row.get(5)?,
                code: row.get(6)?,
                text: row.get(7)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
