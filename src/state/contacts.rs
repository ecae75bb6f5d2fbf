//! How the MX hosts of a list responded to earlier runs.
//!
//! A run that nearly every provider rejects stops early. Whether it is every provider shows only together with earlier
//! runs: what they left unknown is by selection at providers that rejected us or were down.
//!
//! Decides: what a stored result shows about its MX hosts. A run that was blocked everywhere shows nothing. Can't know:
//! anything about a run that resumes, because the list is read only once.

use super::store::{DomainContact, time};
use super::{RunId, State, StateError};
use crate::evidence::EarlierContact;
use crate::reason::{Cause, Fault, Finding, Reason, Verdict};

impl State {
    /// The last contacts with the MX hosts of the list, from the results of its recipients in earlier runs.
    pub(crate) fn earlier_contacts(&self) -> &[DomainContact] {
        &self.earlier_contacts
    }

    /// Reads the earlier contacts of the recipients in the table `incoming`.
    pub(super) fn read_earlier_contacts(&mut self, run: RunId) -> Result<(), StateError> {
        // `max` makes the other columns those of the newest row of its domain.
        let mut find = self.db.prepare(
            "SELECT result.domain, result.reason, max(result.checked)
             FROM incoming JOIN result ON result.domain = incoming.domain AND result.local = incoming.local
             WHERE result.run <> ?1 AND result.reason IS NOT NULL
             AND result.run NOT IN (SELECT id FROM run WHERE stopped_because IS NOT NULL)
             GROUP BY result.domain",
        )?;
        let mut contacts = Vec::new();
        let mut rows = find.query([run])?;
        while let Some(row) = rows.next()? {
            let reason = row.get_ref(1)?.as_str().ok().and_then(Reason::from_word);
            let contact = reason.and_then(contact);
            if let (Some(contact), Some(at)) = (contact, row.get::<_, Option<i64>>(2)?) {
                contacts.push(DomainContact { domain: row.get(0)?, at: time(at), contact });
            }
        }
        drop(rows);
        drop(find);
        self.earlier_contacts = contacts;
        Ok(())
    }
}

/// What a reason shows about the MX hosts; `None`: nothing.
fn contact(reason: Reason) -> Option<EarlierContact> {
    match reason {
        Reason::Reply(Cause::Ambiguous) => None,
        Reason::Reply(cause) if cause.verdict() != Verdict::Unknown => Some(EarlierContact::Served),
        Reason::Reply(cause) if cause.fault() == Fault::Us => Some(EarlierContact::RejectedUs),
        Reason::Finding(Finding::CatchAll | Finding::CatchAllUnknown) => Some(EarlierContact::Served),
        Reason::Finding(Finding::ConnectFailed | Finding::Timeout) => Some(EarlierContact::Unreachable),
        Reason::Reply(_) | Reason::Finding(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_shows_how_the_hosts_responded() {
        let table = [
            ("accepted", Some(EarlierContact::Served)),
            ("mailbox_unknown", Some(EarlierContact::Served)),
            ("catch_all", Some(EarlierContact::Served)),
            ("ip_blocklisted", Some(EarlierContact::RejectedUs)),
            ("ptr_or_helo", Some(EarlierContact::RejectedUs)),
            ("rate_limited", Some(EarlierContact::RejectedUs)),
            ("connect_failed", Some(EarlierContact::Unreachable)),
            ("not_probed", None),
            ("greylisted", None),
            ("dns_failure", None),
            ("ambiguous", None),
        ];
        for (word, expected) in table {
            assert_eq!(contact(Reason::from_word(word).unwrap()), expected, "{word}");
        }
    }
}
