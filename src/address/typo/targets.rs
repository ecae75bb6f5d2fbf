//! The domains people have, by country, ready to be searched for what was meant.
//!
//! Decides: which of them a typed name can be near at all, by length and letters alone, so that most are never compared.
//! Must not: judge a slip.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;

use super::edit::letters;
use crate::address::domain::Domain;
use crate::address::table::Table;

/// The domains people really have, and what must not be taken for a slip of them.
#[derive(Clone, Debug)]
pub struct KnownDomains {
    /// By the length of the name.
    pub(super) list: Vec<KnownDomain>,
    /// Where each is in the list, by its domain without dots.
    run_together: HashMap<String, usize, RandomState>,
    /// The letters of each, in the same order: most are told apart by these alone.
    letters: Vec<u32>,
    /// Where those with names of so many letters are in both.
    lengths: Vec<Range<usize>>,
    known: Table,
    pub(super) typos: Table,
    neighbours: Table,
    /// Words and names of people near a target's name.
    words: Table,
}

#[derive(Clone, Debug)]
pub(super) struct KnownDomain {
    pub(super) domain: Domain,
    /// Length of the part before the first dot, in bytes.
    name: usize,
    pub(super) rank: Rank,
    /// The best rank of all domains of this name, if it is long enough to be a brand and not a word like `mail`.
    pub(super) brand: Rank,
    /// No other target has this name.
    pub(super) is_alone: bool,
}

/// How many people have it, as `targets.csv` says; ties go to the bigger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Its name under another top level is a slip too: the brand has no other domain.
    Sole,
    Big,
    Common,
}

impl KnownDomain {
    pub(super) fn name(&self) -> &str {
        &self.domain.as_str()[..self.name]
    }

    pub(super) fn suffix(&self) -> &str {
        &self.domain.as_str()[self.name + 1..]
    }
}

impl KnownDomains {
    /// Makes the search ready. Entries of `targets` are `domain,rank` with rank `sole`, `big` or `common`; who isn't a
    /// domain with a dot is left out, the loader has told about it.
    pub fn new(targets: Table, typos: Table, neighbours: Table, words: Table) -> KnownDomains {
        let target = |(domain, rank): (&str, &str)| {
            let domain = Domain::parse(domain).ok()?;
            let name = domain.as_str().find('.')?;
            let rank = match rank {
                "sole" => Rank::Sole,
                "big" => Rank::Big,
                _ => Rank::Common,
            };
            Some(KnownDomain { domain, name, rank, brand: rank, is_alone: true })
        };
        let mut list: Vec<KnownDomain> = targets.entries().into_iter().filter_map(target).collect();
        list.sort_by_key(|target| target.name);
        let mut brands: HashMap<String, (Rank, bool)> = HashMap::new();
        for target in &list {
            let known = brands.get(target.name()).map(|&(best, _)| (best.min(target.rank), false));
            brands.insert(target.name().to_owned(), known.unwrap_or((target.rank, true)));
        }
        for target in &mut list {
            let (best, is_alone) = brands[target.name()];
            target.is_alone = is_alone;
            if target.name > 4 {
                target.brand = best;
            }
        }
        let run_together =
            list.iter().enumerate().map(|(at, target)| (run_together(target.domain.as_str()), at)).collect();
        let letters = list.iter().map(|target| letters(target.name())).collect();
        let longest = list.last().map_or(0, |target| target.name);
        let shorter = |length| list.partition_point(|target| target.name < length);
        let lengths = (0..=longest).map(|length| shorter(length)..shorter(length + 1)).collect();
        KnownDomains { list, run_together, letters, lengths, known: targets, typos, neighbours, words }
    }

    /// True for a domain that is nobody's slip.
    pub fn knows(&self, domain: &str) -> bool {
        self.known.contains(domain) || self.neighbours.contains(domain)
    }

    /// All domains that are nobody's slip.
    #[cfg(test)]
    pub(super) fn protected(&self) -> Vec<(&str, &str)> {
        [self.known.entries(), self.neighbours.entries()].concat()
    }

    /// The listed typos, each with what it stands for.
    pub fn typos(&self) -> Vec<(&str, &str)> {
        self.typos.entries()
    }

    /// Targets whose names have about as many letters, and about the same.
    pub(super) fn near(&self, typed: usize, typed_letters: u32) -> impl Iterator<Item = &KnownDomain> {
        let lengths = typed.saturating_sub(2)..=typed + 2;
        lengths.filter_map(|length| Some((length, self.lengths.get(length)?.clone()))).flat_map(
            move |(length, place)| {
                let most = most_changed(length, typed);
                let sets = self.letters[place.clone()].chunks(AT_ONCE);
                let near = sets
                    .zip(self.list[place].chunks(AT_ONCE))
                    .filter(move |(sets, _)| may_be_near(sets, typed_letters, most))
                    .flat_map(|(sets, targets)| sets.iter().zip(targets));
                near.filter(move |&(set, _)| differ_by_at_most(set ^ typed_letters, most))
                    .map(|(_, target)| target)
            },
        )
    }

    /// True for a word, somebody's name, or the name of a target.
    pub(super) fn is_word(&self, name: &str) -> bool {
        let alike = self.lengths.get(name.len()).map_or(&[][..], |place| &self.list[place.clone()]);
        self.words.contains(name) || alike.iter().any(|target| target.name() == name)
    }

    /// The target that has the same letters, wherever its dots are.
    pub(super) fn undotted(&self, typed: &str) -> Option<&KnownDomain> {
        self.run_together.get(&run_together(typed)).map(|&at| &self.list[at])
    }

    pub(super) fn is_target(&self, domain: &str) -> bool {
        self.known.contains(domain)
    }
}

/// The letters of a domain without its dots.
pub(super) fn run_together(domain: &str) -> String {
    domain.chars().filter(|&c| c != '.').collect()
}

/// In how many places the sets of letters of a name and of what was typed can differ: a letter more or less is one, one
/// for another two, and only a name that is long enough ([`super::doubt`]) is known again after two slips.
fn most_changed(name: usize, typed: usize) -> u32 {
    match (name.abs_diff(typed), name > 6) {
        (0, true) => 4,
        (1, true) => 3,
        (0, false) | (2, true) => 2,
        (1, false) => 1,
        _ => 0,
    }
}

/// So many sets are compared in the same instructions.
const AT_ONCE: usize = 16;

/// False where none of these sets differs by so few letters.
fn may_be_near(sets: &[u32], typed: u32, most: u32) -> bool {
    let Ok(sets) = <[u32; AT_ONCE]>::try_from(sets) else { return true };
    let mut different = sets.map(|set| set ^ typed);
    for _ in 0..most {
        // Each without its lowest letter; an empty set stays empty.
        different = different.map(|set| set & set.wrapping_sub(1));
    }
    different.contains(&0)
}

/// True for a set of at most so many.
fn differ_by_at_most(mut set: u32, most: u32) -> bool {
    for _ in 0..most {
        set &= set.wrapping_sub(1);
    }
    set == 0
}
