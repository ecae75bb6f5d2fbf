//! Which rows repeat the address of an earlier one.
//!
//! Decides: how that is found. A short list is remembered while it is read; one with more distinct addresses than that, or
//! that seems to be so long, is read to its end first, once, so that memory stays what it is. Fails: when the spill file
//! can't be written.

use super::analyze::{AnalyzeOptions, Analyzer, PlainAddress};
use super::parallel;
use crate::address::{Address, MailHost};
use crate::error::Error;
use crate::list::{
    AddressHash, AddressHasher, DuplicateFinder, Duplicates, FirstSeen, List, ListEntry, ListError,
    MOST_REMEMBERED, RowBatch, TooManyAddresses,
};

/// A list of more lines has too many addresses to be remembered, unless most of them are repeats.
const LONG: u64 = 2 * MOST_REMEMBERED as u64;

/// Tells in the order of the list which rows repeat an earlier one.
pub(super) struct DuplicateRows<'a> {
    list: &'a List,
    how: AnalyzeOptions,
    keys: AddressHasher,
    known: DuplicateIndex,
}

enum DuplicateIndex {
    Nothing,
    SoFar(FirstSeen),
    ToTheEnd(Box<Duplicates>),
}

impl<'a> DuplicateRows<'a> {
    /// Begins before the first row.
    pub(super) fn of(list: &'a List, how: AnalyzeOptions) -> DuplicateRows<'a> {
        let is_long = list.format().estimated_lines > LONG;
        let known =
            if is_long { DuplicateIndex::Nothing } else { DuplicateIndex::SoFar(FirstSeen::default()) };
        DuplicateRows { list, how, keys: AddressHasher::default(), known }
    }

    /// What makes the keys of addresses.
    pub(super) fn keys(&self) -> AddressHasher {
        self.keys.clone()
    }

    /// For each of these rows, the first record with its key; `None` when that is the row itself, or has no key. Ask
    /// once about each row, in their order.
    pub(super) fn first_of(
        &mut self,
        rows: impl Iterator<Item = (u64, Option<AddressHash>)> + Clone,
    ) -> Result<Vec<Option<u64>>, Error> {
        if let DuplicateIndex::SoFar(firsts) = &self.known {
            firsts.prefetch(rows.clone().filter_map(|(_, key)| key));
        }
        rows.map(|(record, key)| key.map_or(Ok(None), |key| self.first(record, key))).collect()
    }

    fn first(&mut self, record: u64, key: AddressHash) -> Result<Option<u64>, Error> {
        loop {
            match &mut self.known {
                DuplicateIndex::SoFar(firsts) => match firsts.first_of(record, key) {
                    Ok(first) => return Ok(first),
                    // Its memory is needed now.
                    Err(TooManyAddresses) => self.known = DuplicateIndex::Nothing,
                },
                DuplicateIndex::Nothing => {
                    self.known = DuplicateIndex::ToTheEnd(Box::new(self.read_to_the_end()?))
                }
                DuplicateIndex::ToTheEnd(duplicates) => return duplicates.first_of(record).map_err(spill),
            }
        }
    }

    fn read_to_the_end(&self) -> Result<Duplicates, Error> {
        let mut finder = DuplicateFinder::default();
        let keys = |analyzer: &mut Analyzer, batch: &RowBatch, keys: &mut Vec<(u64, AddressHash)>| {
            keys.clear();
            keys.extend(batch.entries().filter_map(|entry| match entry {
                ListEntry::Row(row) => Some((row.record, key(&self.keys, analyzer, row.address())?)),
                ListEntry::Unreadable(_) => None,
            }));
            Ok(())
        };
        parallel::each(self.list, parallel::analyzers(self.how), keys, |keys| {
            keys.iter().try_for_each(|&(record, key)| finder.add(record, key).map_err(spill))
        })?;
        finder.finish().map_err(spill)
    }
}

/// The key of the address in a cell.
fn key(keys: &AddressHasher, analyzer: &mut Analyzer, cell: &str) -> Option<AddressHash> {
    match analyzer.analyze_fast(cell) {
        Some(PlainAddress { local, domain, .. }) => Some(key_of_parts(keys, local, domain)),
        None => analyzer.look(cell).form.address().map(|address| key_of(keys, address)),
    }
}

/// What stands for an address.
pub(super) fn key_of(keys: &AddressHasher, address: &Address) -> AddressHash {
    match address.host() {
        MailHost::Domain(domain) => key_of_parts(keys, address.local(), domain.as_str()),
        MailHost::Literal(ip) => keys.hash(&(address.local(), ip)),
    }
}

/// The same for an address in parts.
pub(super) fn key_of_parts(keys: &AddressHasher, local: &str, domain: &str) -> AddressHash {
    keys.hash(&(local, domain))
}

/// Duplicates are found in temporary files.
fn spill(error: std::io::Error) -> Error {
    ListError::temporary_file(error).into()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::list::{ReadOptions, Source};
    use crate::policy::AddressLists;

    #[test]
    fn a_list_that_is_read_to_its_end_first_has_the_same_repeats() {
        let cell = |n: u64| format!("user{}@acme.example", n * 7 % 601);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        (0..2_000).for_each(|n| writeln!(file, "{}", cell(n)).unwrap());
        let source = Source::Path(file.path().to_owned());
        let list = crate::list::open(&source, &ReadOptions::default()).unwrap();
        let how = AnalyzeOptions::from(AddressLists::built_in());
        let firsts = |known: DuplicateIndex| {
            let mut repeats = DuplicateRows { known, ..DuplicateRows::of(&list, how) };
            let mut analyzer = Analyzer::new(how);
            let rows: Vec<(u64, Option<AddressHash>)> =
                (0..2_000).map(|n| (n + 1, key(&repeats.keys, &mut analyzer, &cell(n)))).collect();
            repeats.first_of(rows.into_iter()).unwrap()
        };
        let remembered = firsts(DuplicateIndex::SoFar(FirstSeen::default()));
        assert_eq!(remembered.iter().flatten().count(), 2_000 - 601);
        assert_eq!(firsts(DuplicateIndex::Nothing), remembered);
    }
}
