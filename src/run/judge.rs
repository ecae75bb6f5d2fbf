//! Rows judged and composed, a batch at a time, on any thread.
//!
//! Decides: which rows are told as one before was. Where nothing is asked, a plain address is told by its kinds alone, so
//! the first of its kinds is judged for all. Must not: judge otherwise than [`told`] does.

use super::found::Found;
use super::intake::{Intake, Look, Plain};
use super::repeats::{key_of, key_of_parts};
use super::telling::{Age, Otherwise};
use super::told;
use crate::address::Kinds;
use crate::error::Error;
use crate::list::batch::Batch;
use crate::list::duplicates::Keys;
use crate::list::{Composed, Composer, Entry, Row};
use crate::verdict::Record;

/// What a worker judges rows with.
pub struct Judge {
    intake: Intake,
    found: Found,
    composer: Composer,
    keys: Keys,
    telling: Telling,
    /// What is told of plain addresses of these kinds, where nothing is asked.
    alike: Vec<(Kinds, Record, Age)>,
}

/// What is told of rows, and of which.
#[derive(Clone, Copy, Debug)]
pub struct Telling {
    /// Roles are risky.
    pub risky_roles: bool,
    /// Just the rows are written about which something else is told than before.
    pub changed_only: bool,
}

/// A batch that was judged.
#[derive(Default)]
pub struct Outcome {
    /// Its rows as they will be written.
    pub composed: Composed,
    /// How long what is told of them holds.
    pub age: Age,
    /// What is told otherwise than before.
    pub otherwise: Otherwise,
}

impl Judge {
    /// Judges by what was found, and composes with this composer and these keys of the list's addresses.
    pub fn of(found: Found, how: Look, composer: Composer, keys: Keys, telling: Telling) -> Judge {
        Judge { intake: Intake::new(how), found, composer, keys, telling, alike: Vec::new() }
    }

    /// Judges a batch; the outcome is overwritten.
    pub fn judge(&mut self, batch: &Batch, outcome: &mut Outcome) -> Result<(), Error> {
        outcome.composed.clear();
        outcome.otherwise.retold.clear();
        outcome.otherwise.notes.clear();
        outcome.age = Age::default();
        batch.entries().try_for_each(|entry| match entry {
            Entry::Rejected(rejected) => {
                outcome.composed.reject(rejected);
                Ok(())
            }
            Entry::Row(row) => self.row(&row, outcome),
        })
    }

    fn row(&mut self, row: &Row<'_>, outcome: &mut Outcome) -> Result<(), Error> {
        let plain = if self.found.is_nothing() { self.intake.glance(row.address()) } else { None };
        if let Some(Plain { local, domain, kinds }) = plain
            && let Some((_, record, age)) = self.alike.iter().find(|(others, ..)| *others == kinds)
        {
            let key = key_of_parts(&self.keys, local, domain);
            self.composer.row_alike(row, record, (local, domain), Some(key), &mut outcome.composed);
            outcome.age.add(*age);
            return Ok(());
        }
        let mut seen = self.intake.look(row.address());
        let repaired = seen.repaired.take();
        let key = seen.form.address().map(|address| key_of(&self.keys, address));
        let told::Row { record, age, retold } = told::row(&mut self.found, seen, self.telling.risky_roles)?;
        let news = self.found.news(row.address(), &record)?;
        if news.is_news || !self.telling.changed_only {
            self.composer.row(row, &record, repaired.as_deref(), key, &mut outcome.composed);
        } else {
            outcome.composed.pass_over(row.record, record.judgement.reason, key);
        }
        outcome.age.add(age);
        outcome.otherwise.retold.extend(retold);
        outcome.otherwise.notes.extend(news.note);
        if let Some(Plain { kinds, .. }) = plain {
            self.alike.push((kinds, record, age));
        }
        Ok(())
    }
}
