//! The domains that people really have, indexed for the search of the one that was meant.
//!
//! Decides: which known domains can be near a typed name, by length and letters alone, so that most are never compared.
//! Must not: rate a mistake.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;

use super::edit::letters;
use crate::address::domain::Domain;
use crate::address::table::Table;

/// The domains that people really have, and the names near them that must not be corrected.
#[derive(Clone, Debug)]
pub struct KnownDomains {
    /// Sorted by the length of the name.
    pub(super) list: Vec<KnownDomain>,
    /// Positions in `list`, by domain without dots.
    by_undotted: HashMap<String, usize, RandomState>,
    /// The letters of each name, in the order of `list`. Most domains are excluded by these alone.
    letters: Vec<u32>,
    /// For each length of a name, the range of its domains in `list` and `letters`.
    lengths: Vec<Range<usize>>,
    known: Table,
    pub(super) typos: Table,
    /// Real domains near known ones: of the same providers, and sites that people visit.
    neighbours: [Table; 2],
    /// Dictionary words and personal names near the name of a known domain.
    words: Table,
}

/// A domain that people really have.
#[derive(Clone, Debug)]
pub(super) struct KnownDomain {
    pub(super) domain: Domain,
    /// The length of the part before the first dot, in bytes.
    name_len: usize,
    pub(super) rank: Rank,
    /// The best rank of all domains with this name, if the name is longer than a word like `mail`; else its own rank.
    pub(super) brand: Rank,
    /// True if no other known domain has this name.
    pub(super) has_unique_name: bool,
}

/// How many people have addresses at a known domain, by `targets.csv`; of two equal suggestions the bigger one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// A big one whose brand has no other domain, so that its name with another suffix is a typo too.
    Sole,
    Big,
    Common,
}

impl KnownDomain {
    pub(super) fn name(&self) -> &str {
        &self.domain.as_str()[..self.name_len]
    }

    pub(super) fn suffix(&self) -> &str {
        &self.domain.as_str()[self.name_len + 1..]
    }
}

impl KnownDomains {
    /// Builds the index. Entries of `targets` are `domain,rank` with the ranks `sole`, `big` and `common`. Entries that
    /// are no domain with a dot are skipped; the loader of the lists has reported them.
    pub fn new(targets: Table, typos: Table, neighbours: [Table; 2], words: Table) -> KnownDomains {
        let target = |(domain, rank): (&str, &str)| {
            let domain = Domain::parse(domain).ok()?;
            let name_len = domain.as_str().find('.')?;
            let rank = match rank {
                "sole" => Rank::Sole,
                "big" => Rank::Big,
                _ => Rank::Common,
            };
            Some(KnownDomain { domain, name_len, rank, brand: rank, has_unique_name: true })
        };
        let mut list: Vec<KnownDomain> = targets.entries().into_iter().filter_map(target).collect();
        list.sort_by_key(|target| target.name_len);
        let mut brands: HashMap<String, (Rank, bool)> = HashMap::new();
        for target in &list {
            let known = brands.get(target.name()).map(|&(best, _)| (best.min(target.rank), false));
            brands.insert(target.name().to_owned(), known.unwrap_or((target.rank, true)));
        }
        for target in &mut list {
            let (best, has_unique_name) = brands[target.name()];
            target.has_unique_name = has_unique_name;
            if target.name_len > 4 {
                target.brand = best;
            }
        }
        let by_undotted =
            list.iter().enumerate().map(|(at, target)| (without_dots(target.domain.as_str()), at)).collect();
        let letters = list.iter().map(|target| letters(target.name())).collect();
        let longest = list.last().map_or(0, |target| target.name_len);
        let shorter = |length| list.partition_point(|target| target.name_len < length);
        let lengths = (0..=longest).map(|length| shorter(length)..shorter(length + 1)).collect();
        KnownDomains { list, by_undotted, letters, lengths, known: targets, typos, neighbours, words }
    }

    /// True for a domain that is no typo: a known one or a neighbour.
    pub fn knows(&self, domain: &str) -> bool {
        self.known.contains(domain) || self.neighbours.iter().any(|list| list.contains(domain))
    }

    /// All domains that are no typos.
    #[cfg(test)]
    pub(super) fn protected(&self) -> Vec<(&str, &str)> {
        let neighbours = self.neighbours.iter().flat_map(Table::entries);
        self.known.entries().into_iter().chain(neighbours).collect()
    }

    /// The listed typos, each with the domain that is meant.
    pub fn typos(&self) -> Vec<(&str, &str)> {
        self.typos.entries()
    }

    /// The known domains whose names have nearly the same length and letters.
    pub(super) fn near(&self, typed: usize, typed_letters: u32) -> impl Iterator<Item = &KnownDomain> {
        let lengths = typed.saturating_sub(2)..=typed + 2;
        lengths.filter_map(|length| Some((length, self.lengths.get(length)?.clone()))).flat_map(
            move |(length, place)| {
                let most = most_changed(length, typed);
                let sets = self.letters[place.clone()].chunks(CHUNK);
                let near = sets
                    .zip(self.list[place].chunks(CHUNK))
                    .filter(move |(sets, _)| may_be_near(sets, typed_letters, most))
                    .flat_map(|(sets, targets)| sets.iter().zip(targets));
                near.filter(move |&(set, _)| differ_by_at_most(set ^ typed_letters, most))
                    .map(|(_, target)| target)
            },
        )
    }

    /// True for a dictionary word, a personal name, or the name of a known domain.
    pub(super) fn is_word(&self, name: &str) -> bool {
        let alike = self.lengths.get(name.len()).map_or(&[][..], |place| &self.list[place.clone()]);
        self.words.contains(name) || alike.iter().any(|target| target.name() == name)
    }

    /// The known domain with the same letters, wherever its dots are.
    pub(super) fn undotted(&self, typed: &str) -> Option<&KnownDomain> {
        self.by_undotted.get(&without_dots(typed)).map(|&at| &self.list[at])
    }

    /// True for a known domain.
    pub(super) fn is_target(&self, domain: &str) -> bool {
        self.known.contains(domain)
    }
}

/// A domain without its dots.
pub(super) fn without_dots(domain: &str) -> String {
    domain.chars().filter(|&c| c != '.').collect()
}

/// How many letters can differ between the sets of letters of a name and of a typed one. A missing or extra letter
/// makes one difference, a replaced letter two; two mistakes count only in names of more than six letters (see
/// `penalty`).
fn most_changed(name: usize, typed: usize) -> u32 {
    match (name.abs_diff(typed), name > 6) {
        (0, true) => 4,
        (1, true) => 3,
        (0, false) | (2, true) => 2,
        (1, false) => 1,
        _ => 0,
    }
}

/// How many sets are compared together, so that the compiler uses vector instructions.
const CHUNK: usize = 16;

/// False if each of these sets differs from `typed` by more than `most` letters.
fn may_be_near(sets: &[u32], typed: u32, most: u32) -> bool {
    let Ok(sets) = <[u32; CHUNK]>::try_from(sets) else { return true };
    let mut different = sets.map(|set| set ^ typed);
    for _ in 0..most {
        // Removes the lowest letter of each set; an empty set stays empty.
        different = different.map(|set| set & set.wrapping_sub(1));
    }
    different.contains(&0)
}

/// True for a set of at most `most` letters.
fn differ_by_at_most(mut set: u32, most: u32) -> bool {
    for _ in 0..most {
        set &= set.wrapping_sub(1);
    }
    set == 0
}
