//! How much there is to doubt that a name is a slip of another.
//!
//! Decides: by adding up. A short name is more often somebody's own than a slip, a likely slip is doubted less than a far
//! one, and who has many users has many who slip. The figures were set so that of the slips of fingers most are
//! understood while next to no real domain is touched (tests/typos.rs). Must not: know a domain by name.

use super::Certainty;
use super::edit::Edit;
use super::tail::TldMatch;
use super::targets::{KnownDomain, Rank};

/// More doubt than this is too much; people slip on what they type every day, so a big name may be farther away.
const MOST: u32 = 12;
const MOST_OF_A_BIG_ONE: u32 = 15;
/// With so much less than that it is likely a slip, and not only a hint.
const CERTAIN: u32 = 2;

/// How sure it is that `typed` stands for the target, and how much doubt is left; `None` where there is too much.
pub(super) fn weigh(
    typed: &str,
    slip: Edit,
    tail: TldMatch,
    target: &KnownDomain,
) -> Option<(Certainty, u32)> {
    let most = if target.brand == Rank::Common { MOST } else { MOST_OF_A_BIG_ONE };
    let doubt = match slip {
        Edit::None => of_end_alone(tail, target)?,
        _ => of_slip(slip, target)? + somebodys_own(typed.len(), target) + of_end(tail)?,
    };
    let is_somewhere = matches!(tail, TldMatch::NextKey | TldMatch::Other);
    let is_certain = doubt + CERTAIN <= most && !is_somewhere;
    let certainty = if is_certain { Certainty::Likely } else { Certainty::Hint };
    (doubt <= most).then_some((certainty, doubt))
}

/// How far a slip is from what was meant.
fn of_slip(slip: Edit, target: &KnownDomain) -> Option<u32> {
    let letters = target.name().len();
    if letters < 3 {
        return None;
    }
    let doubt = match slip {
        Edit::None | Edit::Swapped | Edit::Doubled => 0,
        Edit::Extra { beside: true } => 1,
        Edit::NextKey { first: false } | Edit::Missing { first: false } => 2,
        // Who looks at the screen sees the first letter.
        Edit::Missing { first: true } => 5,
        Edit::OtherKey { first: false } => 6,
        Edit::Extra { beside: false } => 7,
        Edit::NextKey { first: true } => 8,
        Edit::Two { first: false } if letters > 6 => 9,
        Edit::OtherKey { first: true } | Edit::Two { .. } => return None,
    };
    Some(doubt)
}

/// How often a name of so many letters is somebody's own. Under `com` and its like every short one is.
fn somebodys_own(letters: usize, target: &KnownDomain) -> u32 {
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

/// How far the end is from the meant one, when the name has a slip too.
fn of_end(tail: TldMatch) -> Option<u32> {
    match tail {
        TldMatch::Same => Some(0),
        TldMatch::Slip => Some(1),
        TldMatch::Remnant => Some(2),
        TldMatch::KnownSlip | TldMatch::NextKey | TldMatch::Other => None,
    }
}

/// The same, when the name is the target's own. An end that exists may be the name's in another country.
fn of_end_alone(tail: TldMatch, target: &KnownDomain) -> Option<u32> {
    let letters = target.name().len();
    match tail {
        TldMatch::KnownSlip if letters > 3 || target.brand != Rank::Common => Some(3),
        TldMatch::NextKey if target.is_alone => Some(6 + somebodys_own(letters, target)),
        TldMatch::Other if target.rank == Rank::Sole => Some(MOST_OF_A_BIG_ONE),
        _ => of_end(tail),
    }
}
