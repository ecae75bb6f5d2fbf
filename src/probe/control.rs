//! Made-up names: mailboxes that can't exist, asked about to learn whether a domain accepts anything.
//!
//! Decides: the name. It must be legal at every operator, must not look like a person's, and can't be guessed by a
//! receiver: 20 letters and digits of which 90 bits are random.

use fastrand::Rng;

use crate::address::{Address, Domain};
use crate::reason::{Cause, Confidence, Fault};
use crate::verdict::evidence::Said;

/// Letters in a made-up name; 36^18 is more than 2^90.
const RANDOM_CHARS: usize = 18;

/// A made-up address of a domain. `None` only if the domain is so long that no such address fits into a path.
pub fn made_up(domain: &Domain, random: &mut Rng) -> Option<Address> {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut name = String::with_capacity(RANDOM_CHARS + 2);
    // Operators that demand a letter first and no digit last get both.
    name.push(char::from(b'a' + random.u8(..26)));
    name.extend((0..RANDOM_CHARS).map(|_| char::from(ALPHABET[random.usize(..ALPHABET.len())])));
    name.push(char::from(b'a' + random.u8(..26)));
    Address::parse(&format!("{name}@{domain}")).ok()
}

/// The mailbox that every domain must have (RFC 5321 4.5.1).
pub fn postmaster(domain: &Domain) -> Option<Address> {
    Address::parse(&format!("postmaster@{domain}")).ok()
}

/// What an answer about a made-up name shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Any name is accepted.
    AcceptsAny,
    /// It was refused in clear words.
    Refuses,
    /// It was told from a listed one, in whatever words; alone, that proves nothing.
    RefusesUnclearly,
    /// The host itself answered unclearly.
    Unclear,
    /// The control failed, for now or for good.
    Nothing,
}

/// What an answer about a made-up name shows.
pub fn shown(said: &Said) -> Shown {
    let Said { reply, meaning, .. } = said;
    match meaning.cause {
        _ if reply.is_positive() => Shown::AcceptsAny,
        Cause::MailboxUnknown if meaning.confidence == Confidence::Confirmed => Shown::Refuses,
        cause if cause.fault() == Fault::Mailbox || (cause == Cause::Ambiguous && reply.is_permanent()) => {
            Shown::RefusesUnclearly
        }
        Cause::Ambiguous => Shown::Unclear,
        _ => Shown::Nothing,
    }
}

/// Unknown mailboxes in an ordinary list that was not cleaned for a year.
const UNKNOWN_SHARE: f64 = 0.12;

/// Should a made-up name be asked together with the first of so many listed addresses? It saves a round trip, and is in
/// vain only where the first listed ones alone are refused and prove that not everybody is accepted.
pub fn goes_along(listed: usize, proof: u32) -> bool {
    /// Controls in vain that a round trip is worth.
    const IN_VAIN: f64 = 0.05;
    let enough = u32::try_from(listed).unwrap_or(u32::MAX).min(proof);
    UNKNOWN_SHARE.powi(i32::try_from(enough).unwrap_or(i32::MAX)) < IN_VAIN
}

/// Should a made-up name be asked before the first of so many listed addresses? Asked first, it was in vain where the
/// listed ones alone would have shown that not everybody is accepted, and used up one of the refusals that a session
/// may have, which is as dear again; asked later, each catch-all domain costs one probe more. With `a` their share and
/// `c` the chance that a control is needed, first is cheaper iff `a > 2 (1 - a) (1 - c)`.
pub fn goes_first(catch_all_share: f64, listed: usize) -> bool {
    let known = 1.0 - UNKNOWN_SHARE;
    let listed = i32::try_from(listed).unwrap_or(i32::MAX);
    // A control is needed where somebody is accepted and fewer than two are refused.
    let needed = match listed {
        0 | 1 => known.powi(listed),
        _ => known.powi(listed) + f64::from(listed) * UNKNOWN_SHARE * known.powi(listed - 1),
    };
    catch_all_share > 2.0 * (1.0 - catch_all_share) * (1.0 - needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_names_differ_and_look_like_no_address_of_a_person() {
        let domain = Domain::parse("acme.example").unwrap();
        let mut random = Rng::with_seed(7);
        let [one, two] = [0, 1].map(|_| made_up(&domain, &mut random).unwrap());
        assert_ne!(one, two);
        assert_eq!(one.local().len(), RANDOM_CHARS + 2);
        assert_eq!(one.domain(), Some(&domain));
        assert!(one.local().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    }

    #[test]
    fn made_up_goes_first_only_where_catch_all_is_likely() {
        assert!(!goes_first(0.0, 1) && !goes_first(0.15, 1) && !goes_first(0.0, 1000));
        assert!(goes_first(0.2, 1) && goes_first(0.1, 2));
        assert!(!goes_first(0.2, 50), "so many show it by themselves");
    }

    #[test]
    fn made_up_goes_along_where_one_refusal_proves_nothing_and_a_second_is_unlikely() {
        assert!(goes_along(2, 2) && goes_along(1000, 2));
        assert!(!goes_along(1, 2), "the only address may be refused");
        assert!(!goes_along(1000, 1), "the first refusal proves it");
    }
}
