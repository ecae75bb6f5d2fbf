//! Made-up names: mailboxes that can't exist, asked about to learn whether a domain accepts anything.
//!
//! Decides: the name. It must be legal at every operator, must not look like a person's, and can't be guessed by a
//! receiver: 20 letters and digits of which 90 bits are random.

use fastrand::Rng;

use crate::address::{Address, Domain};
use crate::evidence::ClassifiedReply;
use crate::reason::{Cause, Confidence, Fault};

/// Letters in a made-up name; 36^18 is more than 2^90.
const RANDOM_CHARS: usize = 18;

/// A made-up address of a domain. `None` only if the domain is so long that no such address fits into a path.
pub fn random_recipient(domain: &Domain, random: &mut Rng) -> Option<Address> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_names_differ_and_look_like_no_address_of_a_person() {
        let domain = Domain::parse("acme.example").unwrap();
        let mut random = Rng::with_seed(7);
        let [one, two] = [0, 1].map(|_| random_recipient(&domain, &mut random).unwrap());
        assert_ne!(one, two);
        assert_eq!(one.local().len(), RANDOM_CHARS + 2);
        assert_eq!(one.domain(), Some(&domain));
        assert!(one.local().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    }
}
