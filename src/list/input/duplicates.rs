//! Which row repeats the address of an earlier one, in memory that does not grow with the list.
//!
//! Decides: equality of keys, by a 128-bit hash with a key of its own per run; 96 bits where a million are remembered. As
//! far as the hash is a good one, two of a thousand million rows are taken for one by a chance of 2^-64. Must not: know what a canonical address is. Fails: when the spill file
//! can't be written.
//!
//! A list of [`MOST_REMEMBERED`] addresses or fewer needs one pass: [`FirstSeen`] remembers them. A longer one is read ahead
//! to its end by a [`DuplicateFinder`]. Its pass one spills (hash, record) into parts by hash; each part alone fits in memory and tells which records repeat
//! an earlier one. These (record, first) pairs are spilled into parts by record, so that pass two gets them in row
//! order, again one part at a time.

use std::fs::File;
use std::hash::{BuildHasher, Hash};
use std::io::{self, Read, Seek, SeekFrom, Write};

use foldhash::quality::RandomState;

/// Parts of a spill; each of them is in memory once.
const PARTS: usize = 64;
/// A part's bytes that wait for the file; a small list never touches it.
const WAITING_BYTES: usize = 64 << 10;

/// Makes keys that nobody can foresee: those of one `AddressHasher` and its clones can be compared.
#[derive(Clone, Default)]
pub struct AddressHasher(RandomState, RandomState);

/// What stands for an address among the others of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressHash {
    high: u64,
    low: u64,
}

impl AddressHasher {
    /// The key of an address, or of anything else that can be equal.
    pub fn of(&self, equal: &impl Hash) -> AddressHash {
        AddressHash { high: self.0.hash_one(equal), low: self.1.hash_one(equal) }
    }
}

/// So many keys are remembered: as many as fit into the table that a million need.
pub const MOST_REMEMBERED: usize = MOST_PLACES / 4 * 3;
const MOST_PLACES: usize = 1 << 21;
const FIRST_PLACES: usize = 1 << 9;
/// The table grows so many times at once: to move what it holds costs more than to have room.
const GROWTH: usize = 1 << 6;

/// Remembers the first record of each key, in a table of its own that is asked about many keys at a time: then the
/// processor waits for memory once, not for each of them.
pub struct FirstSeen {
    /// A power of two of them; a key stands at the first free place from its own on.
    places: Vec<Place>,
    remembered: usize,
}

/// 96 bits of a key and its record, 0 where there is none.
#[derive(Clone, Copy, Default)]
struct Place {
    print: [u32; 3],
    record: u32,
}

/// There are too many keys, or records, to remember them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyAddresses;

#[expect(clippy::cast_possible_truncation, reason = "a part of a hash is a hash")]
fn print(key: AddressHash) -> [u32; 3] {
    [key.high as u32, (key.high >> 32) as u32, key.low as u32]
}

impl Default for FirstSeen {
    fn default() -> FirstSeen {
        FirstSeen { places: vec![Place::default(); FIRST_PLACES], remembered: 0 }
    }
}

impl FirstSeen {
    /// Has the memory ready that these keys will be looked for in.
    pub fn expect(&self, keys: impl Iterator<Item = AddressHash>) {
        let touched = keys.fold(0, |touched, key| touched ^ self.places[self.home(print(key))].record);
        std::hint::black_box(touched);
    }

    /// The first record (from 1 on) with this key; `None` when that is `record` itself.
    pub fn first_of(&mut self, record: u64, key: AddressHash) -> Result<Option<u64>, TooManyAddresses> {
        let print = print(key);
        let record = u32::try_from(record).map_err(|_| TooManyAddresses)?;
        let at = self.find(print);
        let place = self.places[at];
        if place.record != 0 {
            return Ok((place.record != record).then_some(place.record.into()));
        }
        if self.remembered == MOST_REMEMBERED {
            return Err(TooManyAddresses);
        }
        self.places[at] = Place { print, record };
        self.remembered += 1;
        if self.remembered > self.places.len() / 4 * 3 {
            self.grow();
        }
        Ok(None)
    }

    fn home(&self, print: [u32; 3]) -> usize {
        print[0] as usize & (self.places.len() - 1)
    }

    /// Where the key stands, or would.
    fn find(&self, print: [u32; 3]) -> usize {
        let mut at = self.home(print);
        while self.places[at].record != 0 && self.places[at].print != print {
            at = (at + 1) & (self.places.len() - 1);
        }
        at
    }

    fn grow(&mut self) {
        let bigger = vec![Place::default(); (self.places.len() * GROWTH).min(MOST_PLACES)];
        for place in std::mem::replace(&mut self.places, bigger) {
            if place.record != 0 {
                let at = self.find(place.print);
                self.places[at] = place;
            }
        }
    }
}

/// Takes the keys of pass one.
#[derive(Default)]
pub struct DuplicateFinder {
    spill: Spill,
    last_record: u64,
}

impl DuplicateFinder {
    /// Notes that `record` (rising from call to call) has the address that `key` stands for.
    pub fn feed(&mut self, record: u64, key: AddressHash) -> io::Result<()> {
        let AddressHash { high, low } = key;
        self.last_record = self.last_record.max(record);
        let part = usize::from(high.to_be_bytes()[0]) % PARTS;
        let mut entry = [0; 24];
        entry[..8].copy_from_slice(&high.to_be_bytes());
        entry[8..16].copy_from_slice(&low.to_be_bytes());
        entry[16..].copy_from_slice(&record.to_be_bytes());
        self.spill.push(part, &entry)
    }

    /// Finds the repeats.
    pub fn finish(mut self) -> io::Result<Duplicates> {
        let records_per_part = self.last_record / PARTS as u64 + 1;
        let mut repeats = Spill::default();
        let mut count = 0;
        for part in 0..PARTS {
            let mut entries: Vec<[u8; 24]> = self.spill.take(part)?;
            // By hash, then by record, as the bytes are big-endian.
            entries.sort_unstable();
            for same in entries.chunk_by(|a, b| a[..16] == b[..16]) {
                for repeat in &same[1..] {
                    let record = number(&repeat[16..]);
                    let mut entry = [0; 16];
                    entry[..8].copy_from_slice(&repeat[16..]);
                    entry[8..].copy_from_slice(&same[0][16..]);
                    let part = usize::try_from(record / records_per_part).unwrap_or(PARTS - 1);
                    repeats.push(part, &entry)?;
                    count += 1;
                }
            }
        }
        Ok(Duplicates { repeats, next_part: 0, current: Vec::new().into_iter(), waiting: None, count })
    }
}

/// Tells in row order which records repeat an earlier one.
pub struct Duplicates {
    repeats: Spill,
    next_part: usize,
    current: std::vec::IntoIter<[u8; 16]>,
    waiting: Option<(u64, u64)>,
    count: u64,
}

impl Duplicates {
    /// How many records repeat an earlier one.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first record with the address of `record`; `None` when that is `record` itself. Ask in rising order.
    pub fn first_of(&mut self, record: u64) -> io::Result<Option<u64>> {
        loop {
            match self.waiting {
                Some((repeat, first)) if repeat == record => return Ok(Some(first)),
                Some((repeat, _)) if repeat > record => return Ok(None),
                _ => {}
            }
            self.waiting = self.pull()?;
            if self.waiting.is_none() {
                return Ok(None);
            }
        }
    }

    fn pull(&mut self) -> io::Result<Option<(u64, u64)>> {
        loop {
            if let Some(entry) = self.current.next() {
                return Ok(Some((number(&entry[..8]), number(&entry[8..]))));
            }
            if self.next_part == PARTS {
                return Ok(None);
            }
            let mut entries: Vec<[u8; 16]> = self.repeats.take(self.next_part)?;
            entries.sort_unstable();
            self.current = entries.into_iter();
            self.next_part += 1;
        }
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// Entries sorted into parts, in one file that has no name.
struct Spill {
    file: Option<File>,
    file_bytes: u64,
    parts: [Part; PARTS],
}

#[derive(Default)]
struct Part {
    waiting: Vec<u8>,
    /// Where the stretches of [`WAITING_BYTES`] or less are that went to the file, and how long they are.
    stretches: Vec<(u64, usize)>,
}

impl Default for Spill {
    fn default() -> Spill {
        Spill { file: None, file_bytes: 0, parts: std::array::from_fn(|_| Part::default()) }
    }
}

impl Spill {
    fn push(&mut self, part: usize, entry: &[u8]) -> io::Result<()> {
        let part = &mut self.parts[part];
        part.waiting.extend_from_slice(entry);
        if part.waiting.len() + entry.len() <= WAITING_BYTES {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.write_all(&part.waiting)?;
        part.stretches.push((self.file_bytes, part.waiting.len()));
        self.file_bytes += part.waiting.len() as u64;
        part.waiting.clear();
        Ok(())
    }

    /// All entries of a part, which is empty after that.
    fn take<const BYTES: usize>(&mut self, part: usize) -> io::Result<Vec<[u8; BYTES]>> {
        let Part { waiting, stretches } = std::mem::take(&mut self.parts[part]);
        let spilled: usize = stretches.iter().map(|&(_, length)| length).sum();
        let mut bytes = vec![0; spilled];
        let mut filled = 0;
        if let Some(file) = &mut self.file {
            for (offset, length) in stretches {
                file.seek(SeekFrom::Start(offset))?;
                file.read_exact(&mut bytes[filled..filled + length])?;
                filled += length;
            }
        }
        let entries = bytes.as_chunks().0.iter().chain(waiting.as_chunks().0);
        Ok(entries.copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn found(keys: &[String]) -> Vec<Option<u64>> {
        let (hasher, mut finder) = (AddressHasher::default(), DuplicateFinder::default());
        for (record, key) in (1..).zip(keys) {
            finder.feed(record, hasher.of(key)).unwrap();
        }
        let mut duplicates = finder.finish().unwrap();
        (1..).zip(keys).map(|(record, _)| duplicates.first_of(record).unwrap()).collect()
    }

    fn remembered(keys: &[String]) -> Vec<Option<u64>> {
        let (hasher, mut firsts) = (AddressHasher::default(), FirstSeen::default());
        (1..).zip(keys).map(|(record, key)| firsts.first_of(record, hasher.of(key)).unwrap()).collect()
    }

    fn expected(keys: &[String]) -> Vec<Option<u64>> {
        let mut first = HashMap::new();
        let firsts = (1..).zip(keys).map(|(record, key)| (record, *first.entry(key).or_insert(record)));
        firsts.map(|(record, first)| (record != first).then_some(first)).collect()
    }

    proptest! {
        #[test]
        fn the_first_record_with_a_key_is_found_as_a_hash_map_finds_it(
            keys in prop::collection::vec("[ab]{0,4}", 0..300),
        ) {
            prop_assert_eq!(found(&keys), expected(&keys));
            prop_assert_eq!(remembered(&keys), expected(&keys));
        }
    }

    #[test]
    fn parts_that_went_to_the_file_are_found_too() {
        let keys: Vec<String> = (0..400_000u64).map(|n| format!("{}@x.example", n * 7 % 250_001)).collect();
        assert_eq!(found(&keys), expected(&keys));
    }

    #[test]
    fn a_full_memory_says_so_and_still_knows_what_it_has() {
        let (keys, mut firsts) = (AddressHasher::default(), FirstSeen::default());
        for record in 1..=MOST_REMEMBERED as u64 {
            assert_eq!(firsts.first_of(record, keys.of(&record)), Ok(None));
        }
        assert_eq!(firsts.first_of(u64::from(u32::MAX), keys.of(&7u64)), Ok(Some(7)));
        assert_eq!(firsts.first_of(u64::from(u32::MAX), keys.of(&0u64)), Err(TooManyAddresses));
        assert_eq!(FirstSeen::default().first_of(1 << 32, keys.of(&7u64)), Err(TooManyAddresses));
    }

    #[test]
    fn records_may_be_left_out_and_asked_in_leaps() {
        let (keys, mut finder) = (AddressHasher::default(), DuplicateFinder::default());
        for (record, key) in [(2, "a"), (5, "b"), (9, "a"), (700, "b"), (701, "a")] {
            finder.feed(record, keys.of(&key)).unwrap();
        }
        let mut duplicates = finder.finish().unwrap();
        assert_eq!(duplicates.count(), 3);
        let firsts: Vec<Option<u64>> = [1, 9, 10, 701, 702].map(|n| duplicates.first_of(n).unwrap()).to_vec();
        assert_eq!(firsts, [None, Some(2), None, Some(2), None]);
    }
}
