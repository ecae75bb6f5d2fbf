//! Which rows repeat the address of an earlier row, in memory that does not grow with the list.
//!
//! Decides: whether two addresses are equal, by a 128-bit hash that is keyed anew in each run; by 96 of its bits where
//! [`FirstSeen`] remembers them. With a good hash, the chance that two of a thousand million rows are wrongly taken for
//! one is about 2^-64. Must not: normalize an address; the caller hashes the normalized one. Fails: when the temporary
//! file can't be written.
//!
//! A list of at most [`MOST_REMEMBERED`] different addresses needs one pass, with [`FirstSeen`]. A longer one is read
//! twice. Pass one gives a [`DuplicateFinder`] each (hash, record); it sorts them by hash into parts on disk. Each part
//! alone fits in memory and shows which records repeat an earlier one. These (record, first record) pairs are sorted by
//! record into parts on disk, so that pass two gets them in the order of the list, again one part at a time.

use std::fs::File;
use std::hash::{BuildHasher, Hash};
use std::io::{self, Read, Seek, SeekFrom, Write};

use foldhash::quality::RandomState;

/// Into how many parts the entries are sorted; one part at a time is in memory.
const PARTS: usize = 64;
/// Bytes of a part that are kept in memory before they go to the file; a small list never needs the file.
const BUFFERED_BYTES: usize = 64 << 10;

/// Hashes addresses, with a random key so that a list can't be made to collide. Only hashes of the same `AddressHasher`
/// and its clones can be compared.
#[derive(Clone, Default)]
pub(crate) struct AddressHasher(RandomState, RandomState);

/// The hash of an address; equal for equal addresses of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressHash {
    high: u64,
    low: u64,
}

impl AddressHasher {
    /// The hash of a normalized address.
    pub(crate) fn hash(&self, address: &impl Hash) -> AddressHash {
        AddressHash { high: self.0.hash_one(address), low: self.1.hash_one(address) }
    }
}

/// How many addresses [`FirstSeen`] remembers: as many as fit into the table that a million need.
pub(crate) const MOST_REMEMBERED: usize = MOST_SLOTS / 4 * 3;
const MOST_SLOTS: usize = 1 << 21;
const FIRST_SLOTS: usize = 1 << 9;
/// By how much the table grows: moving its entries costs more than unused memory does.
const GROWTH: usize = 1 << 6;

/// Remembers the first record of each address.
///
/// The table is our own because it can [prefetch](FirstSeen::prefetch) many addresses together: then the processor waits
/// for memory once and not for each of them.
pub(crate) struct FirstSeen {
    /// Open addressing: the length is a power of two, and an entry stands in the first free slot from its home slot on.
    slots: Vec<Slot>,
    remembered: usize,
}

/// 96 bits of a hash and the record; the record is 0 in a free slot.
#[derive(Clone, Copy, Default)]
struct Slot {
    fingerprint: [u32; 3],
    record: u32,
}

/// There are more addresses, or records, than [`FirstSeen`] can remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyAddresses;

#[expect(clippy::cast_possible_truncation, reason = "a part of a hash is a hash")]
fn fingerprint(hash: AddressHash) -> [u32; 3] {
    [hash.high as u32, (hash.high >> 32) as u32, hash.low as u32]
}

impl Default for FirstSeen {
    fn default() -> FirstSeen {
        FirstSeen { slots: vec![Slot::default(); FIRST_SLOTS], remembered: 0 }
    }
}

impl FirstSeen {
    /// Loads the memory that calls of [`first_of`](FirstSeen::first_of) with these hashes need.
    pub(crate) fn prefetch(&self, hashes: impl Iterator<Item = AddressHash>) {
        let touched =
            hashes.fold(0, |touched, hash| touched ^ self.slots[self.home_slot(fingerprint(hash))].record);
        std::hint::black_box(touched);
    }

    /// The first record (from 1 on) with this address; `None` when that is `record` itself.
    pub(crate) fn first_of(
        &mut self,
        record: u64,
        hash: AddressHash,
    ) -> Result<Option<u64>, TooManyAddresses> {
        let fingerprint = fingerprint(hash);
        let record = u32::try_from(record).map_err(|_| TooManyAddresses)?;
        let at = self.find(fingerprint);
        let slot = self.slots[at];
        if slot.record != 0 {
            return Ok((slot.record != record).then_some(slot.record.into()));
        }
        if self.remembered == MOST_REMEMBERED {
            return Err(TooManyAddresses);
        }
        self.slots[at] = Slot { fingerprint, record };
        self.remembered += 1;
        if self.remembered > self.slots.len() / 4 * 3 {
            self.grow();
        }
        Ok(None)
    }

    fn home_slot(&self, fingerprint: [u32; 3]) -> usize {
        fingerprint[0] as usize & (self.slots.len() - 1)
    }

    /// The slot with this fingerprint, or the free one where it belongs.
    fn find(&self, fingerprint: [u32; 3]) -> usize {
        let mut at = self.home_slot(fingerprint);
        while self.slots[at].record != 0 && self.slots[at].fingerprint != fingerprint {
            at = (at + 1) & (self.slots.len() - 1);
        }
        at
    }

    fn grow(&mut self) {
        let bigger = vec![Slot::default(); (self.slots.len() * GROWTH).min(MOST_SLOTS)];
        for slot in std::mem::replace(&mut self.slots, bigger) {
            if slot.record != 0 {
                let at = self.find(slot.fingerprint);
                self.slots[at] = slot;
            }
        }
    }
}

/// Finds the duplicates of a long list, from the hashes of all its addresses.
#[derive(Default)]
pub(crate) struct DuplicateFinder {
    spill: Spill,
    last_record: u64,
}

impl DuplicateFinder {
    /// Adds the address of `record`; records rise from call to call.
    pub(crate) fn add(&mut self, record: u64, hash: AddressHash) -> io::Result<()> {
        let AddressHash { high, low } = hash;
        self.last_record = self.last_record.max(record);
        let part = usize::from(high.to_be_bytes()[0]) % PARTS;
        let mut entry = [0; 24];
        entry[..8].copy_from_slice(&high.to_be_bytes());
        entry[8..16].copy_from_slice(&low.to_be_bytes());
        entry[16..].copy_from_slice(&record.to_be_bytes());
        self.spill.push(part, &entry)
    }

    /// Finds the duplicates among all added records.
    pub(crate) fn finish(mut self) -> io::Result<Duplicates> {
        let records_per_part = self.last_record / PARTS as u64 + 1;
        let mut repeats = Spill::default();
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
                }
            }
        }
        Ok(Duplicates { repeats, next_part: 0, current: Vec::new().into_iter(), next: None })
    }
}

/// The records that repeat an earlier one, to be read in the order of the list.
pub(crate) struct Duplicates {
    repeats: Spill,
    next_part: usize,
    current: std::vec::IntoIter<[u8; 16]>,
    /// The next duplicate, and the first record with its address.
    next: Option<(u64, u64)>,
}

impl Duplicates {
    /// The first record with the address of `record`; `None` when that is `record` itself. Records rise from call to call.
    pub(crate) fn first_of(&mut self, record: u64) -> io::Result<Option<u64>> {
        loop {
            match self.next {
                Some((repeat, first)) if repeat == record => return Ok(Some(first)),
                Some((repeat, _)) if repeat > record => return Ok(None),
                _ => {}
            }
            self.next = self.read_next()?;
            if self.next.is_none() {
                return Ok(None);
            }
        }
    }

    fn read_next(&mut self) -> io::Result<Option<(u64, u64)>> {
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

/// Entries sorted into parts, in one temporary file without a name.
struct Spill {
    file: Option<File>,
    file_bytes: u64,
    parts: [Part; PARTS],
}

#[derive(Default)]
struct Part {
    buffered: Vec<u8>,
    /// Offset and length of each piece in the file; a piece has at most [`BUFFERED_BYTES`].
    pieces: Vec<(u64, usize)>,
}

impl Default for Spill {
    fn default() -> Spill {
        Spill { file: None, file_bytes: 0, parts: std::array::from_fn(|_| Part::default()) }
    }
}

impl Spill {
    fn push(&mut self, part: usize, entry: &[u8]) -> io::Result<()> {
        let part = &mut self.parts[part];
        part.buffered.extend_from_slice(entry);
        if part.buffered.len() + entry.len() <= BUFFERED_BYTES {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.write_all(&part.buffered)?;
        part.pieces.push((self.file_bytes, part.buffered.len()));
        self.file_bytes += part.buffered.len() as u64;
        part.buffered.clear();
        Ok(())
    }

    /// Takes all entries of a part.
    fn take<const BYTES: usize>(&mut self, part: usize) -> io::Result<Vec<[u8; BYTES]>> {
        let Part { buffered, pieces } = std::mem::take(&mut self.parts[part]);
        let spilled: usize = pieces.iter().map(|&(_, length)| length).sum();
        let mut bytes = vec![0; spilled];
        let mut filled = 0;
        if let Some(file) = &mut self.file {
            for (offset, length) in pieces {
                file.seek(SeekFrom::Start(offset))?;
                file.read_exact(&mut bytes[filled..filled + length])?;
                filled += length;
            }
        }
        let entries = bytes.as_chunks().0.iter().chain(buffered.as_chunks().0);
        Ok(entries.copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn in_two_passes(addresses: &[String]) -> Vec<Option<u64>> {
        let (hasher, mut finder) = (AddressHasher::default(), DuplicateFinder::default());
        for (record, address) in (1..).zip(addresses) {
            finder.add(record, hasher.hash(address)).unwrap();
        }
        let mut duplicates = finder.finish().unwrap();
        (1..).zip(addresses).map(|(record, _)| duplicates.first_of(record).unwrap()).collect()
    }

    fn in_one_pass(addresses: &[String]) -> Vec<Option<u64>> {
        let (hasher, mut seen) = (AddressHasher::default(), FirstSeen::default());
        (1..)
            .zip(addresses)
            .map(|(record, address)| seen.first_of(record, hasher.hash(address)).unwrap())
            .collect()
    }

    fn expected(addresses: &[String]) -> Vec<Option<u64>> {
        let mut first = HashMap::new();
        let firsts =
            (1..).zip(addresses).map(|(record, address)| (record, *first.entry(address).or_insert(record)));
        firsts.map(|(record, first)| (record != first).then_some(first)).collect()
    }

    proptest! {
        #[test]
        fn the_first_record_with_an_address_is_found_as_a_hash_map_finds_it(
            addresses in prop::collection::vec("[ab]{0,4}", 0..300),
        ) {
            prop_assert_eq!(in_two_passes(&addresses), expected(&addresses));
            prop_assert_eq!(in_one_pass(&addresses), expected(&addresses));
        }
    }

    #[test]
    fn duplicates_in_parts_on_disk_are_found() {
        let addresses: Vec<String> =
            (0..400_000u64).map(|n| format!("{}@x.example", n * 7 % 250_001)).collect();
        assert_eq!(in_two_passes(&addresses), expected(&addresses));
    }

    #[test]
    fn full_memory_is_an_error_and_still_finds_what_it_has() {
        let (hasher, mut seen) = (AddressHasher::default(), FirstSeen::default());
        for record in 1..=MOST_REMEMBERED as u64 {
            assert_eq!(seen.first_of(record, hasher.hash(&record)), Ok(None));
        }
        assert_eq!(seen.first_of(u64::from(u32::MAX), hasher.hash(&7u64)), Ok(Some(7)));
        assert_eq!(seen.first_of(u64::from(u32::MAX), hasher.hash(&0u64)), Err(TooManyAddresses));
        assert_eq!(FirstSeen::default().first_of(1 << 32, hasher.hash(&7u64)), Err(TooManyAddresses));
    }

    #[test]
    fn records_may_be_left_out() {
        let (hasher, mut finder) = (AddressHasher::default(), DuplicateFinder::default());
        for (record, address) in [(2, "a"), (5, "b"), (9, "a"), (700, "b"), (701, "a")] {
            finder.add(record, hasher.hash(&address)).unwrap();
        }
        let mut duplicates = finder.finish().unwrap();
        let firsts: Vec<Option<u64>> = [1, 9, 10, 701, 702].map(|n| duplicates.first_of(n).unwrap()).to_vec();
        assert_eq!(firsts, [None, Some(2), None, Some(2), None]);
    }
}
