//! The penalty of a suggestion: how improbable it is that a typed domain stands for a known one.
//!
//! Decides: by a sum of penalties, and a limit. A short name is more often a domain of its own than a typo, probable
//! mistakes cost less than improbable ones, and domains with many users are mistyped more often. The figures were tuned
//! so that most typos are corrected, and hardly any real domain is (`tests/typos.rs`). Must not: name a domain.

use super::edit::Edit;
use super::known_domains::{KnownDomain, Rank};
use super::suffix::SuffixMatch;

/// How certain a suggestion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// Similar enough to be mentioned.
    Hint,
    /// A probable typing mistake explains the difference.
    Likely,
    /// A listed typo. Many of them are registered and accept any recipient, so they are probably spam traps.
    Trap,
}

/// The highest penalty of a suggestion.
const LIMIT: u32 = 12;
/// The highest penalty for a big brand, which is higher because people type it every day.
const LIMIT_OF_BRAND: u32 = 15;
/// How far below the limit a penalty has to be for [`Certainty::Likely`].
const LIKELY_MARGIN: u32 = 2;

/// The certainty that `typed` stands for the target, and the penalty; `None` if the penalty is above the limit.
pub(super) fn rate(
    typed: &str,
    edit: Edit,
    suffix: SuffixMatch,
    target: &KnownDomain,
) -> Option<(Certainty, u32)> {
    let limit = if target.brand == Rank::Common { LIMIT } else { LIMIT_OF_BRAND };
    let penalty = match edit {
        Edit::None => of_suffix_alone(suffix, target)?,
        _ => of_edit(edit, target)? + of_length(typed.len(), target) + of_suffix(suffix)?,
    };
    let may_be_meant = matches!(suffix, SuffixMatch::NextKey | SuffixMatch::Other);
    let is_likely = penalty + LIKELY_MARGIN <= limit && !may_be_meant;
    let certainty = if is_likely { Certainty::Likely } else { Certainty::Hint };
    (penalty <= limit).then_some((certainty, penalty))
}

/// The penalty of a typing mistake; `None` if it is too improbable.
fn of_edit(edit: Edit, target: &KnownDomain) -> Option<u32> {
    let letters = target.name().len();
    if letters < 3 {
        return None;
    }
    let penalty = match edit {
        Edit::None | Edit::Swapped | Edit::Doubled => 0,
        Edit::Extra { beside: true } => 1,
        Edit::NextKey { first: false } | Edit::Missing { first: false } => 2,
        // A mistake in the first letter is noticed most often.
        Edit::Missing { first: true } => 5,
        Edit::OtherKey { first: false } => 6,
        Edit::Extra { beside: false } => 7,
        Edit::NextKey { first: true } => 8,
        Edit::Two { first: false } if letters > 6 => 9,
        Edit::OtherKey { first: true } | Edit::Two { .. } => return None,
    };
    Some(penalty)
}

/// The penalty of a short name, which is more often a domain of its own. Under `com` and the like every short name is
/// one.
fn of_length(letters: usize, target: &KnownDomain) -> u32 {
    let in_country = target.domain.top_level().len() == 2;
    match (letters, in_country) {
        (0..=2, false) => 20,
        (0..=2, true) => 16,
        (3, false) => 15,
        (3, true) => 14,
        (4, false) => 12,
        (4, true) => 10,
        (5, false) => 8,
        (5, true) => 7,
        (6, _) => 6,
        (7, _) => 3,
        _ => 2,
    }
}

/// The penalty of a suffix if the name has a mistake too; `None` if two such mistakes are too improbable.
fn of_suffix(suffix: SuffixMatch) -> Option<u32> {
    match suffix {
        SuffixMatch::Same => Some(0),
        SuffixMatch::Misspelled => Some(1),
        SuffixMatch::Remnant => Some(2),
        SuffixMatch::KnownTypo | SuffixMatch::NextKey | SuffixMatch::Other => None,
    }
}

/// The penalty of a suffix if the name is right. With a suffix that exists, it may be the same name in another country.
fn of_suffix_alone(suffix: SuffixMatch, target: &KnownDomain) -> Option<u32> {
    let letters = target.name().len();
    match suffix {
        SuffixMatch::KnownTypo if letters > 3 || target.brand != Rank::Common => Some(3),
        SuffixMatch::NextKey if target.has_unique_name => Some(6 + of_length(letters, target)),
        SuffixMatch::Other if target.rank == Rank::Sole => Some(LIMIT_OF_BRAND),
        _ => of_suffix(suffix),
    }
}
