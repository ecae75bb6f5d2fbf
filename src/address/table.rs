//! A sorted text file that is searched in place, with the changes of a user's file.
//!
//! Decides: nothing; it looks up keys. Nothing is built at start: a look-up is a binary search in the text. After many
//! look-ups, as a whole list needs, an index is built.
//! Relies on: lines sorted by key; a test in [`crate::policy`] checks the files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;

use super::Domain;

/// A list of keys, each with or without a value.
#[derive(Clone, Debug)]
pub struct Table {
    /// Sorted lines `key` or `key,value`.
    built_in: &'static str,
    index: Arc<Index>,
    own: Arc<OwnEntries>,
}

/// An index of the built-in lines, built after [`SEARCHES_BEFORE_INDEX`] searches. Building the index of the longest
/// list takes some milliseconds, which a check of a few addresses avoids.
#[derive(Debug, Default)]
struct Index {
    searches: AtomicU32,
    entries: OnceLock<HashMap<&'static str, &'static str, RandomState>>,
}

/// The number of searches after which the index is built.
const SEARCHES_BEFORE_INDEX: u32 = 5_000;

impl Index {
    fn find(&self, lines: &'static str, key: &str) -> Option<&'static str> {
        if self.entries.get().is_none() && self.searches.fetch_add(1, Relaxed) < SEARCHES_BEFORE_INDEX {
            return find(lines, key);
        }
        let entries = self.entries.get_or_init(|| lines.lines().map(Table::parse_entry).collect());
        entries.get(key).copied()
    }
}

/// The entries of a user's file. They take precedence over the built-in list.
#[derive(Debug, Default)]
pub struct OwnEntries {
    /// Entries that are added to the list or replace built-in ones.
    pub added: BTreeMap<String, String>,
    /// Keys that are removed from the list.
    pub removed: BTreeSet<String>,
}

impl Table {
    /// The list of a compiled-in file.
    pub fn new(file: &'static str) -> Table {
        Table { built_in: Table::skip_head(file), index: Arc::default(), own: Arc::default() }
    }

    /// The value of a key, empty if its line has none; `None` if the key is not listed.
    pub fn get(&self, key: &str) -> Option<&str> {
        if let Some(value) = self.own.added.get(key) {
            return Some(value);
        }
        if self.own.removed.contains(key) {
            return None;
        }
        self.index.find(self.built_in, key)
    }

    /// True if the key is listed.
    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// True if the domain or one of its parents is listed. The search ends at a name that the user removed.
    pub fn covers(&self, domain: &Domain) -> bool {
        domain
            .and_parents()
            .take_while(|name| !self.own.removed.contains(*name))
            .any(|name| self.contains(name))
    }

    /// True if a user's file lists the domain or one of its parents.
    pub fn covers_by_user(&self, domain: &Domain) -> bool {
        domain.and_parents().any(|name| self.own.added.contains_key(name))
    }

    /// Applies the entries of a user's file; if `replaces`, they replace the whole built-in list.
    pub fn merge(&mut self, own: OwnEntries, replaces: bool) {
        if replaces {
            self.built_in = "";
            self.index = Arc::default();
        }
        self.own = Arc::new(own);
    }

    /// All entries, as key and value.
    pub fn entries(&self) -> Vec<(&str, &str)> {
        let built_in = self
            .built_in
            .lines()
            .map(Table::parse_entry)
            .filter(|(key, _)| !self.own.removed.contains(*key) && !self.own.added.contains_key(*key));
        let own = self.own.added.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        built_in.chain(own).collect()
    }

    /// A list file without the comment at its head.
    pub fn skip_head(file: &'static str) -> &'static str {
        let mut rest = file;
        while rest.starts_with('#') {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        }
        rest
    }

    /// The key and the value of a line.
    pub fn parse_entry(line: &str) -> (&str, &str) {
        line.split_once(',').unwrap_or((line, ""))
    }
}

/// Searches sorted lines for a key. No key holds a byte below the comma, so that lines are sorted as their keys are.
fn find<'a>(lines: &'a str, wanted: &str) -> Option<&'a str> {
    let bytes = lines.as_bytes();
    let (mut low, mut high) = (0, bytes.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = memchr::memrchr(b'\n', &bytes[low..middle]).map_or(low, |i| low + i + 1);
        let end = memchr::memchr(b'\n', &bytes[middle..high]).map_or(high, |i| middle + i);
        let (key, value) = Table::parse_entry(&lines[start..end]);
        match key.cmp(wanted) {
            std::cmp::Ordering::Equal => return Some(value),
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_line_are_found() {
        for (lines, key, value) in [
            ("a,1\nb,2\nb.c,3\nz", "a", Some("1")),
            ("a,1\nb,2\nb.c,3\nz", "b", Some("2")),
            ("a,1\nb,2\nb.c,3\nz", "b.c", Some("3")),
            ("a,1\nb,2\nb.c,3\nz\n", "z", Some("")),
            ("a,1\nb,2\nb.c,3\nz\n", "zz", None),
            ("a,1\nb,2", "", None),
            ("", "a", None),
        ] {
            assert_eq!(find(lines, key), value, "{key} in {lines:?}");
            let index = Index { searches: SEARCHES_BEFORE_INDEX.into(), ..Index::default() };
            assert_eq!(index.find(lines, key), value, "{key} in the index of {lines:?}");
        }
    }
}
