//! Rows judged and composed, a batch at a time, on any thread.
//!
//! Decides: which rows are told as one before was. Where nothing is asked, a plain address is told by its kinds alone, so
//! the first of its kinds is judged for all. Must not: judge otherwise than [`judged_row`] does.

use super::analyze::{AnalyzeOptions, Analyzer, PlainAddress};
use super::duplicates::{key_of, key_of_parts};
use super::evidence_reader::EvidenceReader;
use super::judged_row;
use super::write_results::{StateUpdates, Validity};
use crate::address::AddressKinds;
use crate::error::Error;
use crate::list::{AddressHasher, Composed, Composer, ListEntry, Row, RowBatch};
use crate::verdict::AddressResult;

/// What a worker judges rows with.
pub(super) struct RowJudge {
    analyzer: Analyzer,
    found: EvidenceReader,
    composer: Composer,
    keys: AddressHasher,
    telling: JudgeOptions,
    /// What is told of plain addresses of these kinds, where nothing is asked.
    alike: Vec<(AddressKinds, AddressResult, Validity)>,
}

/// What is told of rows, and of which.
#[derive(Clone, Copy, Debug)]
pub(super) struct JudgeOptions {
    /// Roles are risky.
    pub risky_roles: bool,
    /// Just the rows are written about which something else is told than before.
    pub changed_only: bool,
}

/// A batch that was judged.
#[derive(Default)]
pub(super) struct JudgedBatch {
    /// Its rows as they will be written.
    pub composed: Composed,
    /// How long what is told of them holds.
    pub age: Validity,
    /// What is told otherwise than before.
    pub otherwise: StateUpdates,
}

impl RowJudge {
    /// Judges by what was found, and composes with this composer and these keys of the list's addresses.
    pub(super) fn of(
        found: EvidenceReader,
        how: AnalyzeOptions,
        composer: Composer,
        keys: AddressHasher,
        telling: JudgeOptions,
    ) -> RowJudge {
        RowJudge { analyzer: Analyzer::new(how), found, composer, keys, telling, alike: Vec::new() }
    }

    /// Judges a batch; the outcome is overwritten.
    pub(super) fn judge(&mut self, batch: &RowBatch, outcome: &mut JudgedBatch) -> Result<(), Error> {
        outcome.composed.clear();
        outcome.otherwise.update.clear();
        outcome.otherwise.notes.clear();
        outcome.age = Validity::default();
        batch.entries().try_for_each(|entry| match entry {
            ListEntry::Unreadable(rejected) => {
                outcome.composed.add_unreadable(rejected);
                Ok(())
            }
            ListEntry::Row(row) => self.row(&row, outcome),
        })
    }

    fn row(&mut self, row: &Row<'_>, outcome: &mut JudgedBatch) -> Result<(), Error> {
        let plain = if self.found.is_nothing() { self.analyzer.analyze_fast(row.address()) } else { None };
        if let Some(PlainAddress { local, domain, kinds }) = plain
            && let Some((_, record, age)) = self.alike.iter().find(|(others, ..)| *others == kinds)
        {
            let key = key_of_parts(&self.keys, local, domain);
            self.composer.plain_row(row, record, (local, domain), Some(key), &mut outcome.composed);
            outcome.age.add(*age);
            return Ok(());
        }
        let mut seen = self.analyzer.look(row.address());
        let repaired = seen.repaired.take();
        let key = seen.form.address().map(|address| key_of(&self.keys, address));
        let judged_row::JudgedRow { record, age, update } =
            judged_row::row(&mut self.found, seen, self.telling.risky_roles)?;
        let news = self.found.news(row.address(), &record)?;
        if news.is_news || !self.telling.changed_only {
            self.composer.row(row, &record, repaired.as_deref(), key, &mut outcome.composed);
        } else {
            outcome.composed.add_unchanged(row.record, record.judgment.reason, key);
        }
        outcome.age.add(age);
        outcome.otherwise.update.extend(update);
        outcome.otherwise.notes.extend(news.note);
        if let Some(PlainAddress { kinds, .. }) = plain {
            self.alike.push((kinds, record, age));
        }
        Ok(())
    }
}
