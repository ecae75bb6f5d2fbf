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

/// When a made-up name is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Before any listed address: a domain that accepts any name costs one question.
    First,
    /// After the first listed address that is accepted: such a domain costs two.
    Second,
    /// After all of them, if none was refused: there should be no such domain.
    Last,
}

/// When a made-up name is asked about at an operator, by the share of its domains that accept any name.
///
/// Asked first, it was in vain where the listed address is refused, which shows as much; asked second, the listed one was
/// in vain where any name is accepted. With `a` the share of such domains and `v` that of unknown mailboxes, first costs
/// fewer questions iff `a (1 + v) > v`, which is `a / (1 - a) > v`. But a refusal costs more than its question: a session
/// bears few of them, and an acceptance after one may need a proof of its own, because the host may discard what it accepts
/// ([`crate::policy::Provider::may_discard`]).
pub fn turn(catch_all_share: f64, needs_proof: bool) -> Turn {
    /// Unknown mailboxes in an ordinary list that was not cleaned for a year.
    const UNKNOWN_SHARE: f64 = 0.12;
    /// What a refusal costs beyond its question, in questions.
    const REFUSAL: f64 = 0.4;
    let refused = 1.0 + REFUSAL + f64::from(u8::from(needs_proof));
    if catch_all_share <= 0.0 {
        Turn::Last
    } else if catch_all_share / (1.0 - catch_all_share) > UNKNOWN_SHARE * refused {
        Turn::First
    } else {
        Turn::Second
    }
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
    fn the_likelier_a_domain_accepts_any_name_the_earlier_a_made_up_one_is_asked() {
        for (share, needs_proof, expected) in [
            (0.0, false, Turn::Last),
            (0.12, false, Turn::Second),
            (0.15, true, Turn::Second),
            (0.15, false, Turn::First),
            (0.3, true, Turn::First),
            (1.0, false, Turn::First),
        ] {
            assert_eq!(turn(share, needs_proof), expected, "{share} {needs_proof}");
        }
    }
}
