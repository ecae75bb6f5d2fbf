//! A sorted text file, searched as it is, with what a user's file changes in it.
//!
//! Decides: nothing; it looks up. Nothing is built when the program starts: a look-up is a binary search in the text, and
//! a table that is asked for a whole list gets an index on the way.
//! Relies on: lines sorted by key, which a test in `policy::lists` holds them to.

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

/// An index of the built-in lines. To build one for the longest list takes some milliseconds, so whoever asks about a few
/// addresses does without.
#[derive(Debug, Default)]
struct Index {
    searches: AtomicU32,
    entries: OnceLock<HashMap<&'static str, &'static str, RandomState>>,
}

/// After so many searches an index is built.
const SEARCHES: u32 = 5_000;

impl Index {
    fn find(&self, lines: &'static str, key: &str) -> Option<&'static str> {
        if self.entries.get().is_none() && self.searches.fetch_add(1, Relaxed) < SEARCHES {
            return find(lines, key);
        }
        let entries = self.entries.get_or_init(|| lines.lines().map(entry).collect());
        entries.get(key).copied()
    }
}

/// What a user's file says; it goes before the built-in list.
#[derive(Debug, Default)]
pub struct OwnEntries {
    /// Entries that are added, or take the place of built-in ones.
    pub added: BTreeMap<String, String>,
    /// Keys that are taken out.
    pub removed: BTreeSet<String>,
}

impl Table {
    /// The list of a file that is compiled in.
    pub fn new(file: &'static str) -> Table {
        Table { built_in: after_head(file), index: Arc::default(), own: Arc::default() }
    }

    /// The value of a key, empty where the list has none; `None` for a key that is not listed.
    pub fn get(&self, key: &str) -> Option<&str> {
        if let Some(value) = self.own.added.get(key) {
            return Some(value);
        }
        if self.own.removed.contains(key) {
            return None;
        }
        self.index.find(self.built_in, key)
    }

    /// True when the key is listed.
    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// True when the name or one above it is listed; a name that the user removed ends the search.
    pub fn covers(&self, domain: &Domain) -> bool {
        domain
            .and_parents()
            .take_while(|name| !self.own.removed.contains(*name))
            .any(|name| self.contains(name))
    }

    /// Takes in what a user's file says; `replaces`: it stands alone.
    pub fn merge(&mut self, own: OwnEntries, replaces: bool) {
        if replaces {
            self.built_in = "";
            self.index = Arc::default();
        }
        self.own = Arc::new(own);
    }

    /// All entries, key and value.
    pub fn entries(&self) -> Vec<(&str, &str)> {
        let built_in = self
            .built_in
            .lines()
            .map(entry)
            .filter(|(key, _)| !self.own.removed.contains(*key) && !self.own.added.contains_key(*key));
        let own = self.own.added.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        built_in.chain(own).collect()
    }
}

/// A list file without the comment at its head.
pub fn after_head(file: &'static str) -> &'static str {
    let mut rest = file;
    while rest.starts_with('#') {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest
}

/// Key and value of a line.
pub fn entry(line: &str) -> (&str, &str) {
    line.split_once(',').unwrap_or((line, ""))
}

/// Binary search in sorted lines. No key holds a byte below the comma, so lines sort as their keys do.
fn find<'a>(lines: &'a str, wanted: &str) -> Option<&'a str> {
    let bytes = lines.as_bytes();
    let (mut low, mut high) = (0, bytes.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = memchr::memrchr(b'\n', &bytes[low..middle]).map_or(low, |i| low + i + 1);
        let end = memchr::memchr(b'\n', &bytes[middle..high]).map_or(high, |i| middle + i);
        let (key, value) = entry(&lines[start..end]);
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
    fn a_sorted_text_is_searched_to_its_ends() {
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
            let index = Index { searches: SEARCHES.into(), ..Index::default() };
            assert_eq!(index.find(lines, key), value, "{key} in the index of {lines:?}");
        }
    }
}
