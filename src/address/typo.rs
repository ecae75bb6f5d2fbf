//! What was probably meant: the domain that somebody's fingers missed.
//!
//! Decides: which domain a mistyped one stands for, and how sure that is, by the letters alone. Real domains near big
//! ones (neighbours) are never corrected. Must not: judge or change an address; a suggestion is a suggestion. Can't
//! know: whether the typed domain works. Who knows that it has a working MX takes anything but a [`Certainty::Trap`]
//! for a hint.

use std::ops::Range;

use super::domain::Domain;
use super::fault::{FaultKind, SyntaxFault};
use super::slip::{Slip, letters};
use super::syntax::Address;
use super::table::Table;

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

/// The domains people really have, and what must not be taken for a slip of them.
#[derive(Clone, Debug)]
pub struct Targets {
    /// By the length of the name.
    list: Vec<Target>,
    /// The letters of each, in the same order: most are told apart by these alone.
    letters: Vec<u64>,
    /// Where those with names of so many letters are in both.
    lengths: Vec<Range<usize>>,
    known: Table,
    typos: Table,
    neighbours: Table,
    /// Words and names of people near a target's name.
    words: Table,
}

#[derive(Clone, Debug)]
struct Target {
    domain: Domain,
    /// Length of the part before the first dot, in bytes.
    name: usize,
    rank: Rank,
}

/// How many people have it, as `targets.csv` says; ties go to the bigger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Its name under another top level is a slip too: the brand has no other domain.
    Sole,
    Big,
    Common,
}

impl Target {
    fn name(&self) -> &str {
        &self.domain.as_str()[..self.name]
    }

    fn suffix(&self) -> &str {
        &self.domain.as_str()[self.name + 1..]
    }
}

impl Targets {
    /// Makes the search ready. Entries of `targets` are `domain,rank` with rank `sole`, `big` or `common`; who isn't a
    /// domain with a dot is left out, the loader has told about it.
    pub fn new(targets: Table, typos: Table, neighbours: Table, words: Table) -> Targets {
        let target = |(domain, rank): (&str, &str)| {
            let domain = Domain::parse(domain).ok()?;
            let name = domain.as_str().find('.')?;
            let rank = match rank {
                "sole" => Rank::Sole,
                "big" => Rank::Big,
                _ => Rank::Common,
            };
            Some(Target { domain, name, rank })
        };
        let mut list: Vec<Target> = targets.entries().into_iter().filter_map(target).collect();
        list.sort_by_key(|target| target.name);
        let letters = list.iter().map(|target| letters(target.name())).collect();
        let longest = list.last().map_or(0, |target| target.name);
        let shorter = |length| list.partition_point(|target| target.name < length);
        let lengths = (0..=longest).map(|length| shorter(length)..shorter(length + 1)).collect();
        Targets { list, letters, lengths, known: targets, typos, neighbours, words }
    }

    /// True for a domain that is nobody's slip.
    pub fn knows(&self, domain: &str) -> bool {
        self.known.contains(domain) || self.neighbours.contains(domain)
    }

    /// The listed typos, each with what it stands for.
    pub fn typos(&self) -> Vec<(&str, &str)> {
        self.typos.entries()
    }

    /// Targets whose names have about as many letters, and about the same.
    fn near(&self, typed: usize, typed_letters: u64) -> impl Iterator<Item = &Target> {
        let lengths = typed.saturating_sub(2)..=typed + 2;
        lengths.filter_map(|length| Some((length, self.lengths.get(length)?))).flat_map(
            move |(length, place)| {
                let most = most_changed(length, typed);
                let targets = self.letters[place.clone()].iter().zip(&self.list[place.clone()]);
                targets
                    .filter(move |&(letters, _)| differ_by_at_most(letters ^ typed_letters, most))
                    .map(|(_, target)| target)
            },
        )
    }

    /// True for a word, somebody's name, or the name of a target.
    fn is_word(&self, name: &str) -> bool {
        let alike = self.lengths.get(name.len()).map_or(&[][..], |place| &self.list[place.clone()]);
        self.words.contains(name) || alike.iter().any(|target| target.name() == name)
    }

    fn is_target(&self, domain: &str) -> bool {
        self.known.contains(domain)
    }
}

/// The domain that was probably meant; `None` where nothing better is known.
pub fn suggest(domain: &Domain, targets: &Targets) -> Option<Suggestion> {
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
    let meant = TOP_LEVEL_SLIPS.binary_search_by_key(&tail, |(slip, _)| slip).ok()?;
    let meant = TOP_LEVEL_SLIPS[meant].1;
    suggestion(Domain::parse(&format!("{head}.{meant}")).ok()?, Certainty::Likely)
}

/// Slips of top levels that exist nowhere, so that they tell for any domain. Sorted.
const TOP_LEVEL_SLIPS: &[(&str, &str)] = &[
    ("c0m", "com"),
    ("ccom", "com"),
    ("cim", "com"),
    ("ckm", "com"),
    ("clm", "com"),
    ("cmm", "com"),
    ("cmo", "com"),
    ("coim", "com"),
    ("coj", "com"),
    ("cok", "com"),
    ("coml", "com"),
    ("comm", "com"),
    ("comn", "com"),
    ("con", "com"),
    ("conm", "com"),
    ("coom", "com"),
    ("copm", "com"),
    ("couk", "co.uk"),
    ("cpm", "com"),
    ("cvom", "com"),
    ("dcom", "com"),
    ("doom", "com"),
    ("ent", "net"),
    ("fom", "com"),
    ("gcom", "com"),
    ("ner", "net"),
    ("nett", "net"),
    ("nte", "net"),
    ("ocm", "com"),
    ("ogr", "org"),
    ("oom", "com"),
    ("orgg", "org"),
    ("orh", "org"),
    ("orq", "org"),
    ("rog", "org"),
    ("vom", "com"),
    ("xcom", "com"),
    ("xom", "com"),
];

fn nearest<'a>(typed: &str, targets: &'a Targets) -> Option<(&'a Target, Certainty)> {
    let Some((name, suffix)) = typed.split_once('.') else {
        return missing_dot(typed, targets);
    };
    let letters = letters(name);
    let mut best = None;
    let mut suffix_exists = None;
    let mut is_word = None;
    for target in targets.near(name.len(), letters) {
        let Some(slip) = Slip::between(name, target.name()) else {
            continue;
        };
        // A word, or somebody's name, is what its owner meant to type.
        if slip != Slip::None && *is_word.get_or_insert_with(|| targets.is_word(name)) {
            continue;
        }
        let exists = *suffix_exists.get_or_insert_with(|| is_public_suffix(suffix));
        let Some(tail) = Tail::between(suffix, target.suffix(), exists) else {
            continue;
        };
        let Some(certainty) = weigh(slip, tail, target) else {
            continue;
        };
        let cost = slip.letters() * 2 + u32::from(tail != Tail::Same);
        let key = (certainty, std::cmp::Reverse(cost), std::cmp::Reverse(target.rank));
        if best.as_ref().is_none_or(|(other, _): &(_, &Target)| key > *other) {
            best = Some((key, target));
        }
    }
    best.map(|((certainty, ..), target)| (target, certainty))
}

/// In how many places the sets of letters of a name and of what was typed can differ: a letter more or less is one, one
/// for another two, and only a name that is long enough ([`weigh`]) is known again after two slips.
fn most_changed(name: usize, typed: usize) -> u32 {
    match (name.abs_diff(typed), name > 6) {
        (0, true) => 4,
        (1, true) => 3,
        (0, false) | (2, true) => 2,
        (1, false) => 1,
        _ => 0,
    }
}

/// True for a set of at most so many.
fn differ_by_at_most(mut set: u64, most: u32) -> bool {
    for _ in 0..most {
        // Without its lowest; an empty one stays empty.
        set &= set.wrapping_sub(1);
    }
    set == 0
}

/// `gmailcom`, `gmail`: without a dot nobody has mail, so one letter more or less is no doubt.
fn missing_dot<'a>(typed: &str, targets: &'a Targets) -> Option<(&'a Target, Certainty)> {
    let run_together = |target: &'a Target| {
        let whole = target.domain.as_str().replace('.', "");
        let slip = Slip::between(typed, &whole)?;
        let near = slip.letters() == 0 || (slip.letters() == 1 && whole.len() > 5);
        near.then_some((slip.letters(), target.rank, target))
    };
    let nearest =
        targets.list.iter().filter_map(run_together).min_by_key(|&(letters, rank, _)| (letters, rank));
    if let Some((.., target)) = nearest {
        return Some((target, Certainty::Likely));
    }
    let named = targets.list.iter().filter(|target| target.name() == typed && target.rank != Rank::Common);
    named.min_by_key(|target| target.rank).map(|target| (target, Certainty::Hint))
}

/// How the typed end of the domain relates to the meant one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    Same,
    /// It exists nowhere and is a letter or so away.
    Slip,
    /// It exists, but is a well-known slip (`co`, `cm`, `om` for `com`).
    KnownSlip,
    /// It is another one that exists.
    Other,
}

impl Tail {
    fn between(typed: &str, meant: &str, exists: bool) -> Option<Tail> {
        if typed == meant {
            return Some(Tail::Same);
        }
        if exists {
            let slip =
                matches!((typed, meant), ("co" | "cm" | "om", "com") | ("ne", "net") | ("uk", "co.uk"));
            return Some(if slip { Tail::KnownSlip } else { Tail::Other });
        }
        // `com1`, `comcom`, `com.com`, `c` and one letter wrong.
        let near = (typed.starts_with(meant) && typed.len() <= meant.len() + 4)
            || meant.starts_with(typed)
            || (Slip::between(typed, meant).is_some_and(|slip| slip.letters() == 1))
            || typed.replace('.', "") == meant.replace('.', "");
        near.then_some(Tail::Slip)
    }
}

fn is_public_suffix(suffix: &str) -> bool {
    psl::suffix(suffix.as_bytes())
        .is_some_and(|known| known.is_known() && known.as_bytes() == suffix.as_bytes())
}

fn weigh(slip: Slip, tail: Tail, target: &Target) -> Option<Certainty> {
    use Certainty::{Hint, Likely};
    let letters = target.name;
    let well_known = target.rank != Rank::Common;
    let in_country = target.domain.top_level().len() == 2;
    let certainty = match (slip, tail) {
        (Slip::None, Tail::Slip) => Likely,
        (Slip::None, Tail::KnownSlip) if letters > 3 || well_known => Likely,
        (Slip::None, Tail::Other) if target.rank == Rank::Sole => Hint,
        (Slip::None, _) | (_, Tail::Other | Tail::KnownSlip) => return None,
        (Slip::Swapped | Slip::Doubled, _) if letters > 4 => Likely,
        (Slip::Swapped | Slip::Doubled, _) if letters > 3 && well_known => Hint,
        (Slip::Missing { first: true }, _) if letters < 7 => return None,
        // Who looks at the screen sees the first letter.
        (Slip::NextKey { first: true }, _) if letters > 5 => Hint,
        (Slip::Missing { .. } | Slip::Extra | Slip::NextKey { first: false }, _)
            if letters > 5 || (letters > 4 && well_known) =>
        {
            Likely
        }
        // Among the short names of a country others are rarer than under `com`, where every one is somebody's.
        (Slip::Doubled, Tail::Same) if letters > 2 && well_known && in_country => Hint,
        (Slip::Extra | Slip::NextKey { first: false }, Tail::Same)
            if letters > 3 && well_known && in_country =>
        {
            Hint
        }
        (Slip::NextKey { first: false }, _) if letters > 4 => Hint,
        (Slip::OtherKey { first: false }, _) if letters > 6 || (letters > 4 && well_known) => Hint,
        (Slip::Two { first: false }, Tail::Same) if letters > 7 => Likely,
        (Slip::Two { first: false }, Tail::Same) if letters > 6 => Hint,
        _ => return None,
    };
    Some(certainty)
}

/// The whole address that was probably meant by a text that is none: with the dot or the @ that is missing.
pub fn suggest_for_fault(text: &str, fault: &SyntaxFault, targets: &Targets) -> Option<Address> {
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
        let meant = suggest(domain, targets)?;
        address.at_domain(meant.domain).ok()
    })
}

/// `janegmail.com`, `jane.gmail.com`, `jane#gmail.com`, `jane at gmail.com`: only before a domain that people have.
fn missing_at(text: &str, targets: &Targets) -> Option<Address> {
    let lower = text.to_ascii_lowercase();
    let ends_in = |target: &&Target| lower.ends_with(target.domain.as_str());
    let target = targets.list.iter().filter(ends_in).max_by_key(|target| target.domain.as_str().len())?;
    let local = &text[..text.len() - target.domain.as_str().len()];
    let stand_ins = ["(at)", "[at]", " at ", "_at_", "#", ".", "&", "*", " "];
    let local = stand_ins.iter().find_map(|stand_in| local.strip_suffix(stand_in)).unwrap_or(local);
    Address::parse(&format!("{local}@{}", target.domain)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::lists::Lists;
    use proptest::prelude::*;

    fn suggested(typed: &str) -> Option<(String, Certainty)> {
        let domain = Domain::parse(typed).unwrap();
        suggest(&domain, &Lists::built_in().targets).map(|s| (s.domain.to_string(), s.certainty))
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
            ("hottmaill.com", "hotmail.com", Hint),
            ("bakery.con", "bakery.com", Likely),
            ("acme.couk", "acme.co.uk", Likely),
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

    #[test]
    fn a_missing_at_or_dot_is_put_back() {
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
            let found = suggest_for_fault(text, &fault, &Lists::built_in().targets);
            assert_eq!(found.map(|address| address.to_string()).as_deref(), meant, "{text}");
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
        let targets = &Lists::built_in().targets;
        for (domain, _) in targets.known.entries().into_iter().chain(targets.neighbours.entries()) {
            assert_eq!(suggested(domain), None, "{domain}");
        }
    }
}
