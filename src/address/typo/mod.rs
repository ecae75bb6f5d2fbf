//! What was probably meant: the domain that somebody's fingers missed.
//!
//! Decides: which domain a mistyped one stands for, and how sure that is, by the letters alone. [`edit`] names what
//! happened to a name and [`tail`] what to its end, [`doubt`] weighs it, [`targets`] are the domains people have, [`fault`]
//! helps texts that are no address. Real domains near big ones (neighbours) are never corrected. Must not: judge or change
//! an address; a suggestion is a suggestion. Can't know: whether the typed domain works. Who knows that it has a working
//! MX takes anything but a [`Certainty::Trap`] for a hint.

use super::domain::Domain;
use edit::{Edit, letters};
use tail::TldMatch;
use targets::{KnownDomain, Rank};

mod doubt;
mod edit;
mod fault;
mod tail;
mod targets;

pub use fault::suggest_for_fault;
pub use targets::KnownDomains;

/// How sure a suggestion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// Near enough to be mentioned.
    Hint,
    /// A slip of the keyboard explains it.
    Likely,
    /// A listed typo. Many of these are registered and accept everything: probable traps.
    Trap,
}

/// What was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The domain.
    pub domain: Domain,
    /// How sure that is.
    pub certainty: Certainty,
}

/// The domain that was probably meant; `None` where nothing better is known.
pub fn suggest(domain: &Domain, targets: &KnownDomains) -> Option<Suggestion> {
    let typed = domain.as_str();
    let suggestion = |domain: Domain, certainty| Some(Suggestion { domain, certainty });
    if let Some(meant) = targets.typos.get(typed) {
        return suggestion(Domain::parse(meant).ok()?, Certainty::Trap);
    }
    if targets.knows(typed) {
        return None;
    }
    if let Some(bare) = typed.strip_prefix("www.").filter(|bare| targets.is_target(bare)) {
        return suggestion(Domain::parse(bare).ok()?, Certainty::Likely);
    }
    if let Some((target, certainty)) = nearest(typed, targets) {
        return suggestion(target.domain.clone(), certainty);
    }
    let (head, tail) = typed.rsplit_once('.').filter(|(_, tail)| *tail != "com")?;
    let meant = tail::meant_top_level(tail)?;
    suggestion(Domain::parse(&format!("{head}.{meant}")).ok()?, Certainty::Likely)
}

fn nearest<'a>(typed: &str, targets: &'a KnownDomains) -> Option<(&'a KnownDomain, Certainty)> {
    let Some((name, suffix)) = typed.split_once('.') else {
        return without_dot(typed, targets);
    };
    // `hotmailco.uk`: the dots are elsewhere.
    if let Some(target) = targets.undotted(typed) {
        return Some((target, Certainty::Likely));
    }
    let mut best: Option<((u32, TldMatch, Rank), &KnownDomain, Certainty)> = None;
    let mut suffix_exists = None;
    let mut is_word = None;
    for target in targets.near(name.len(), letters(name)) {
        let Some(slip) = Edit::between(name, target.name()) else {
            continue;
        };
        // A word, or somebody's name, is what its owner meant to type.
        if slip != Edit::None && *is_word.get_or_insert_with(|| targets.is_word(name)) {
            continue;
        }
        let exists = *suffix_exists.get_or_insert_with(|| tail::exists(suffix));
        let Some(tail) = TldMatch::between(suffix, target.suffix(), exists) else {
            continue;
        };
        let Some((certainty, doubt)) = doubt::weigh(name, slip, tail, target) else {
            continue;
        };
        let key = (doubt, tail, target.rank);
        if best.as_ref().is_none_or(|(other, ..)| key < *other) {
            best = Some((key, target, certainty));
        }
    }
    best.map(|(_, target, certainty)| (target, certainty))
}

/// `gmailcom`, `gmail`: without a dot nobody has mail, so one letter more or less is no doubt.
fn without_dot<'a>(typed: &str, targets: &'a KnownDomains) -> Option<(&'a KnownDomain, Certainty)> {
    if let Some(target) = targets.undotted(typed) {
        return Some((target, Certainty::Likely));
    }
    let one_slip = |target: &&KnownDomain| {
        let whole = targets::run_together(target.domain.as_str());
        whole.len() > 5 && Edit::between(typed, &whole).is_some_and(|slip| slip.letters() == 1)
    };
    if let Some(target) = targets.list.iter().filter(one_slip).min_by_key(|target| target.rank) {
        return Some((target, Certainty::Likely));
    }
    let named = targets.list.iter().filter(|target| target.name() == typed && target.rank != Rank::Common);
    named.min_by_key(|target| target.rank).map(|target| (target, Certainty::Hint))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::AddressLists;

    fn suggested(typed: &str) -> Option<(String, Certainty)> {
        let domain = Domain::parse(typed).unwrap();
        suggest(&domain, &AddressLists::built_in().targets).map(|s| (s.domain.to_string(), s.certainty))
    }

    #[test]
    fn slips_of_the_keyboard_are_understood() {
        use Certainty::{Hint, Likely, Trap};
        for (typed, meant, certainty) in [
            ("gmial.com", "gmail.com", Trap),
            ("gmailx.com", "gmail.com", Likely),
            ("hotmzil.fr", "hotmail.fr", Likely),
            ("outlook.co.ku", "outlook.co.uk", Likely),
            ("hotmail.coom.au", "hotmail.com.au", Likely),
            ("gmaill.con", "gmail.com", Likely),
            ("gmailcom", "gmail.com", Likely),
            ("yahoocouk", "yahoo.co.uk", Likely),
            ("gmail", "gmail.com", Hint),
            ("www.gmail.com", "gmail.com", Likely),
            ("orange.fr1", "orange.fr", Likely),
            ("hottmaill.com", "hotmail.com", Likely),
            ("bakery.con", "bakery.com", Likely),
            ("acme.couk", "acme.co.uk", Likely),
            ("hotmailco.uk", "hotmail.co.uk", Likely),
            ("yhoo.com.vn", "yahoo.com.vn", Likely),
            ("planet.ml", "planet.nl", Hint),
            ("gmbil.com", "gmail.com", Hint),
            ("gxm.de", "gmx.de", Hint),
        ] {
            assert_eq!(suggested(typed), Some((meant.to_owned(), certainty)), "{typed}");
        }
    }

    #[test]
    fn real_domains_near_big_ones_are_left_alone() {
        for domain in [
            "gmail.com",
            "ymail.com",
            "mail.com",
            "email.com",
            "gmx.com",
            "gmx.net",
            "gmx.ch",
            "hotmail.co.uk",
            "live.nl",
            "laposte.fr",
            "cloud.com",
            "bakery.com",
            "mail.yahoo.com",
            "love.com",
            "yandex.net",
            "comcast.com",
            "city.gov",
            "hotmail.acme.com",
            "example.com",
            "xn--bcher-kva.example",
        ] {
            assert_eq!(suggested(domain), None, "{domain}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_its_own_typo(name in "[a-z]{2,9}", suffix in "(com|con|fr|co\\.uk|de|net|c)") {
            let typed = format!("{name}.{suffix}");
            if let Some((meant, _)) = suggested(&typed) {
                prop_assert_ne!(meant, typed);
            }
        }
    }

    #[test]
    fn nobody_known_is_corrected() {
        let targets = &AddressLists::built_in().targets;
        for (domain, _) in targets.protected() {
            assert_eq!(suggested(domain), None, "{domain}");
        }
    }
}
