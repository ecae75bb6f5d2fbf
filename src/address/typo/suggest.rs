//! Suggests the domain or the address that was probably meant.
//!
//! Decides: which known domain a mistyped one stands for, and how certain that is, by the letters alone. Real domains
//! near big ones ("neighbours") are never corrected. Must not: judge or change an address. Can't know: whether the
//! typed domain works. A caller that knows that it has a working MX treats every suggestion but a [`Certainty::Trap`]
//! as a hint.

use super::edit::{Edit, letters};
use super::known_domains::{self, KnownDomain, KnownDomains, Rank};
use super::penalty::{self, Certainty};
use super::suffix::{self, SuffixMatch};
use crate::address::domain::Domain;
use crate::address::{Address, FaultKind, SyntaxFault};

/// A domain that was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The domain.
    pub domain: Domain,
    /// How certain that is.
    pub certainty: Certainty,
}

/// The domain that was probably meant; `None` if the typed one is known to be right, or nothing better is known.
pub fn suggest_domain(domain: &Domain, targets: &KnownDomains) -> Option<Suggestion> {
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
    if let Some(meant) = with_dot(typed).filter(|_| !targets.is_word(typed)) {
        return suggestion(Domain::parse(&meant).ok()?, Certainty::Hint);
    }
    let (head, top_level) = typed.rsplit_once('.').filter(|(_, top_level)| *top_level != "com")?;
    let meant = suffix::meant_top_level(top_level)?;
    suggestion(Domain::parse(&format!("{head}.{meant}")).ok()?, Certainty::Likely)
}

/// The domain for a text without a dot that ends in a usual top-level domain: `bakerycom`.
fn with_dot(typed: &str) -> Option<String> {
    const SHORTEST_NAME: usize = 4;
    let split = |top_level| Some((typed.strip_suffix(top_level)?, top_level));
    let (name, top_level) = ["com", "net", "org"].into_iter().find_map(split)?;
    let is_bare = !name.contains('.') && name.len() >= SHORTEST_NAME && !name.ends_with('-');
    is_bare.then(|| format!("{name}.{top_level}"))
}

/// The known domain with the lowest penalty.
fn nearest<'a>(typed: &str, targets: &'a KnownDomains) -> Option<(&'a KnownDomain, Certainty)> {
    let Some((name, suffix)) = typed.split_once('.') else {
        return without_dot(typed, targets);
    };
    // `hotmailco.uk`: the right letters with the dots in other places.
    if let Some(target) = targets.undotted(typed) {
        return Some((target, Certainty::Likely));
    }
    let mut best: Option<((u32, SuffixMatch, Rank), &KnownDomain, Certainty)> = None;
    let mut suffix_exists = None;
    let mut is_word = None;
    for target in targets.near(name.len(), letters(name)) {
        let Some(edit) = Edit::between(name, target.name()) else {
            continue;
        };
        // A dictionary word or a personal name was probably typed on purpose.
        if edit != Edit::None && *is_word.get_or_insert_with(|| targets.is_word(name)) {
            continue;
        }
        let exists = *suffix_exists.get_or_insert_with(|| suffix::exists(suffix));
        let Some(suffix_match) = SuffixMatch::between(suffix, target.suffix(), exists) else {
            continue;
        };
        let Some((certainty, penalty)) = penalty::rate(name, edit, suffix_match, target) else {
            continue;
        };
        let key = (penalty, suffix_match, target.rank);
        if best.as_ref().is_none_or(|(other, ..)| key < *other) {
            best = Some((key, target, certainty));
        }
    }
    best.map(|(_, target, certainty)| (target, certainty))
}

/// The known domain for a text without a dot: `gmailcom`, `gmail`. Such a text is never a mail domain, so one typing
/// mistake in it counts nothing.
fn without_dot<'a>(typed: &str, targets: &'a KnownDomains) -> Option<(&'a KnownDomain, Certainty)> {
    if let Some(target) = targets.undotted(typed) {
        return Some((target, Certainty::Likely));
    }
    let is_one_edit_away = |target: &&KnownDomain| {
        let whole = known_domains::without_dots(target.domain.as_str());
        whole.len() > 5 && Edit::between(typed, &whole).is_some_and(|edit| edit.count() == 1)
    };
    if let Some(target) = targets.list.iter().filter(is_one_edit_away).min_by_key(|target| target.rank) {
        return Some((target, Certainty::Likely));
    }
    let named = targets.list.iter().filter(|target| target.name() == typed && target.rank != Rank::Common);
    named.min_by_key(|target| target.rank).map(|target| (target, Certainty::Hint))
}

/// The address that was probably meant by a text with a syntax fault: with its missing dot or @, at a known domain.
pub(crate) fn suggest_address(text: &str, fault: &SyntaxFault, targets: &KnownDomains) -> Option<Address> {
    let candidates = match fault.kind {
        FaultKind::NoAt => return missing_at(text, targets),
        FaultKind::DomainCharacter
        | FaultKind::WhiteSpace
        | FaultKind::SecondAt
        | FaultKind::DomainDoubleDot => {
            let (head, tail) = text.split_at_checked(fault.at)?;
            let rest = &tail[tail.chars().next()?.len_utf8()..];
            [format!("{head}{rest}"), format!("{head}.{rest}")]
        }
        _ => return None,
    };
    candidates.iter().find_map(|candidate| {
        let address = Address::parse(candidate).ok()?;
        let domain = address.domain()?;
        if targets.is_target(domain.as_str()) {
            return Some(address);
        }
        let meant = suggest_domain(domain, targets)?;
        address.at_domain(meant.domain).ok()
    })
}

/// The address meant by a text without an @ that ends in a known domain: `janegmail.com`, `jane.gmail.com`,
/// `jane#gmail.com`, `jane at gmail.com`.
fn missing_at(text: &str, targets: &KnownDomains) -> Option<Address> {
    let lower = text.to_ascii_lowercase();
    let ends_in = |target: &&KnownDomain| lower.ends_with(target.domain.as_str());
    let target = targets.list.iter().filter(ends_in).max_by_key(|target| target.domain.as_str().len())?;
    let local = &text[..text.len() - target.domain.as_str().len()];
    let stand_ins = ["(at)", "[at]", " at ", "_at_", "#", ".", "&", "*", " "];
    let local = stand_ins.iter().find_map(|stand_in| local.strip_suffix(stand_in)).unwrap_or(local);
    Address::parse(&format!("{local}@{}", target.domain)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::AddressLists;

    fn suggested(typed: &str) -> Option<(String, Certainty)> {
        let domain = Domain::parse(typed).unwrap();
        suggest_domain(&domain, &AddressLists::built_in().targets)
            .map(|s| (s.domain.to_string(), s.certainty))
    }

    #[test]
    fn typing_mistakes_are_corrected() {
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
            ("bakerycom", "bakery.com", Hint),
            ("exampleorg", "example.org", Hint),
        ] {
            assert_eq!(suggested(typed), Some((meant.to_owned(), certainty)), "{typed}");
        }
    }

    #[test]
    fn real_domains_near_big_ones_are_not_corrected() {
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
        fn no_domain_is_its_own_correction(name in "[a-z]{2,9}", suffix in "(com|con|fr|co\\.uk|de|net|c)") {
            let typed = format!("{name}.{suffix}");
            if let Some((meant, _)) = suggested(&typed) {
                prop_assert_ne!(meant, typed);
            }
        }
    }

    #[test]
    fn no_known_domain_is_corrected() {
        let targets = &AddressLists::built_in().targets;
        for (domain, _) in targets.protected() {
            assert_eq!(suggested(domain), None, "{domain}");
        }
    }

    #[test]
    fn a_missing_at_or_dot_is_restored() {
        for (text, meant) in [
            ("janegmail.com", Some("jane@gmail.com")),
            ("jane.gmail.com", Some("jane@gmail.com")),
            ("jane(at)gmail.com", Some("jane@gmail.com")),
            ("jane@gmail,com", Some("jane@gmail.com")),
            ("jane@gmail com", Some("jane@gmail.com")),
            ("jane@gmail..com", Some("jane@gmail.com")),
            ("jane@@gmail.com", Some("jane@gmail.com")),
            ("jane@gmial,com", Some("jane@gmail.com")),
            ("gmail.com", None),
            ("jane.bakery.example", None),
            ("jane@bakery,example", None),
        ] {
            let fault = Address::parse(text).unwrap_err();
            let found = suggest_address(text, &fault, &AddressLists::built_in().targets);
            assert_eq!(found.map(|address| address.to_string()).as_deref(), meant, "{text}");
        }
    }
}
