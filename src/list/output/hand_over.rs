//! What the product of a profile gets: files with their rows, and what is skipped.

use std::collections::BTreeMap;

use super::profile::HandedRow;
use crate::policy::SkipCause;
use crate::reason::{Reason, Verdict};

/// What the product of a profile gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandOver {
    /// The files of contacts, and their rows.
    pub contacts: Vec<(String, u64)>,
    /// The files of the suppression list, and their rows.
    pub suppression: Vec<(String, u64)>,
    /// Deliverable rows that the product does not take, by cause.
    pub skipped_contacts: BTreeMap<SkipCause, u64>,
    /// Addresses for suppression that the product does not take, by cause.
    pub skipped_suppression: BTreeMap<SkipCause, u64>,
    /// Cells that were cut.
    pub cut_cells: u64,
    /// Role accounts among the contacts.
    pub roles: u64,
}

impl HandOver {
    pub(super) fn count(&mut self, reason: Reason, row: HandedRow) {
        let skipped = match reason.verdict() {
            Verdict::Deliverable => &mut self.skipped_contacts,
            _ => &mut self.skipped_suppression,
        };
        if let Some(cause) = row.skipped {
            *skipped.entry(cause).or_default() += 1;
        }
        self.cut_cells += u64::from(row.cut_cells);
        self.roles += u64::from(row.is_role);
    }

    /// Deliverable rows in the file of skipped rows.
    pub fn skipped(&self) -> u64 {
        self.skipped_contacts.values().sum()
    }

    /// Addresses for suppression in the file of skipped rows.
    pub fn not_suppressed(&self) -> u64 {
        self.skipped_suppression.values().sum()
    }
}
