//! Rows that repeat the address of an earlier row.
//!
//! Decides: how they are found. The addresses of a short list are remembered while it is read. A list with more
//! distinct addresses than fit in memory, or with so many lines, is read once to its end before, by way of a temporary
//! file, so that memory stays bounded. Fails: if that file can't be written.

use std::borrow::Cow;

use super::analyze::{AnalyzeOptions, Analyzer, PlainAddress};
use super::parallel;
use crate::address::{Address, MailHost, folded_local};
use crate::error::Error;
use crate::list::{
    AddressHash, AddressHasher, DuplicateFinder, Duplicates, FirstSeen, List, ListEntry, ListError,
    MOST_REMEMBERED, RowBatch, TooManyAddresses,
};

/// A list with more lines has too many addresses to be remembered, unless most of them are duplicates.
const LONG: u64 = 2 * MOST_REMEMBERED as u64;

/// Finds, in the order of the list, the rows that repeat an earlier one.
pub(super) struct DuplicateRows<'a> {
    list: &'a List,
    how: AnalyzeOptions,
    keys: AddressKeys,
    known: DuplicateIndex,
}

enum DuplicateIndex {
    /// The list is read to its end when the first row is asked for.
    None,
    /// The addresses of the rows so far.
    SoFar(FirstSeen),
    /// The duplicates of the whole list.
    WholeList(Box<Duplicates>),
}

impl<'a> DuplicateRows<'a> {
    /// Begins at the first row.
    pub(super) fn of(list: &'a List, how: AnalyzeOptions) -> DuplicateRows<'a> {
        let is_long = list.format().estimated_lines > LONG;
        let known = if is_long { DuplicateIndex::None } else { DuplicateIndex::SoFar(FirstSeen::default()) };
        let keys = AddressKeys { hasher: AddressHasher::default(), case_sensitive: how.case_sensitive };
        DuplicateRows { list, how, keys, known }
    }

    /// The hash function for the keys of addresses.
    pub(super) fn keys(&self) -> AddressKeys {
        self.keys.clone()
    }

    /// For each of these rows, the first row with its key; `None` if that is the row itself, or if it has no key. Must
    /// be called once for each row, in the order of the list.
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
                    // Free its memory first.
                    Err(TooManyAddresses) => self.known = DuplicateIndex::None,
                },
                DuplicateIndex::None => {
                    self.known = DuplicateIndex::WholeList(Box::new(self.read_whole_list()?));
                }
                DuplicateIndex::WholeList(duplicates) => return duplicates.first_of(record).map_err(spill),
            }
        }
    }

    fn read_whole_list(&self) -> Result<Duplicates, Error> {
        let mut finder = DuplicateFinder::default();
        let keys = |analyzer: &mut Analyzer, batch: &RowBatch, keys: &mut Vec<(u64, AddressHash)>| {
            keys.clear();
            keys.extend(batch.entries().filter_map(|entry| match entry {
                ListEntry::Row(row) => Some((row.record, key(&self.keys, analyzer, row.address())?)),
                ListEntry::Unreadable(_) => None,
            }));
            Ok(())
        };
        parallel::each(self.list, parallel::analyzers(&self.how), keys, |keys| {
            keys.iter().try_for_each(|&(record, key)| finder.add(record, key).map_err(spill))
        })?;
        finder.finish().map_err(spill)
    }
}

/// Makes the keys of addresses: equal for the same address, of which spellings in ASCII case are one unless the user wants
/// them apart.
#[derive(Clone)]
pub(super) struct AddressKeys {
    hasher: AddressHasher,
    case_sensitive: bool,
}

impl AddressKeys {
    /// The key of an address.
    pub(super) fn of(&self, address: &Address) -> AddressHash {
        match address.host() {
            MailHost::Domain(domain) => self.of_parts(address.local(), domain.as_str()),
            MailHost::Literal(ip) => self.hasher.hash(&(self.local(address.local()), ip)),
        }
    }

    /// The key of an address, from its local part and its domain.
    pub(super) fn of_parts(&self, local: &str, domain: &str) -> AddressHash {
        self.hasher.hash(&(self.local(local), domain))
    }

    fn local<'a>(&self, local: &'a str) -> Cow<'a, str> {
        if self.case_sensitive { Cow::Borrowed(local) } else { folded_local(local) }
    }
}

/// The key of the address in a cell, if it holds one.
fn key(keys: &AddressKeys, analyzer: &mut Analyzer, cell: &str) -> Option<AddressHash> {
    match analyzer.analyze_fast(cell) {
        Some(PlainAddress { local, domain, .. }) => Some(keys.of_parts(local, domain)),
        None => analyzer.analyze(cell).form.listed_address().map(|address| keys.of(address)),
    }
}

/// A temporary file that can't be written.
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
    fn a_list_that_is_read_to_its_end_first_has_the_same_duplicates() {
        let cell = |n: u64| format!("user{}@acme.example", n * 7 % 601);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        (0..2_000).for_each(|n| writeln!(file, "{}", cell(n)).unwrap());
        let source = Source::Path(file.path().to_owned());
        let list = crate::list::open(&source, &ReadOptions::default()).unwrap();
        let how = AnalyzeOptions::from(AddressLists::built_in());
        let firsts = |known: DuplicateIndex| {
            let mut duplicates = DuplicateRows { known, ..DuplicateRows::of(&list, how.clone()) };
            let mut analyzer = Analyzer::new(how.clone());
            let rows: Vec<(u64, Option<AddressHash>)> =
                (0..2_000).map(|n| (n + 1, key(&duplicates.keys, &mut analyzer, &cell(n)))).collect();
            duplicates.first_of(rows.into_iter()).unwrap()
        };
        let remembered = firsts(DuplicateIndex::SoFar(FirstSeen::default()));
        assert_eq!(remembered.iter().flatten().count(), 2_000 - 601);
        assert_eq!(firsts(DuplicateIndex::None), remembered);
    }
}
