//! How many typos in domains are corrected, and how often a real domain is taken for a typo.
//!
//! The typos are generated from common domains, by the mistakes that fingers make on a keyboard.

#![expect(clippy::unwrap_used, reason = "a test stops at what fails")]

use listproof::Domain;
use listproof::internals::address;
use listproof::policy::AddressLists;

const COMMON_DOMAINS: &str = include_str!("typos/common_domains.txt");
const REAL_DOMAINS: &str = include_str!("typos/real_domains.txt");
/// Sites that people visit, with names near those of known domains.
const SITES: &str = include_str!("typos/sites.txt");

/// The lines of a list, without its head.
fn lines(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().filter(|line| !line.starts_with('#'))
}

/// A key beside this one.
fn neighbor(key: u8, random: &mut fastrand::Rng) -> u8 {
    let keys: &[u8] = match key {
        b'a' => b"sqz",
        b'b' => b"vnh",
        b'c' => b"xvd",
        b'd' => b"sfe",
        b'e' => b"wrd",
        b'f' => b"dgr",
        b'g' => b"fht",
        b'h' => b"gjy",
        b'i' => b"uok",
        b'j' => b"hku",
        b'k' => b"jli",
        b'l' => b"ko",
        b'm' => b"nj",
        b'n' => b"bmh",
        b'o' => b"ipl",
        b'p' => b"ol",
        b'q' => b"wa",
        b'r' => b"etf",
        b's' => b"adw",
        b't' => b"ryg",
        b'u' => b"yij",
        b'v' => b"cbg",
        b'w' => b"qes",
        b'x' => b"zcs",
        b'y' => b"tuh",
        b'z' => b"xa",
        _ => return key,
    };
    keys[random.usize(..keys.len())]
}

/// A typo in a domain.
fn typo(meant: &str, random: &mut fastrand::Rng) -> String {
    let bytes = meant.as_bytes().to_vec();
    let mut typed = bytes.clone();
    let dot = meant.find('.').unwrap();
    match random.u8(..100) {
        // Most typos are in the name before the first dot.
        0..70 => {
            let at = random.usize(1.min(dot - 1)..dot);
            match random.u8(..5) {
                0 if at + 1 < dot => typed.swap(at, at + 1),
                1 => typed.insert(at, bytes[at]),
                2 => {
                    typed.remove(at);
                }
                3 => typed[at] = neighbor(bytes[at], random),
                _ => typed.insert(at, neighbor(bytes[at], random)),
            }
        }
        70..74 => {
            typed.remove(dot);
        }
        _ => {
            let at = random.usize(dot + 1..bytes.len());
            match random.u8(..5) {
                0 if at + 1 < bytes.len() => typed.swap(at, at + 1),
                1 => typed.insert(at, bytes[at]),
                2 => {
                    typed.remove(at);
                }
                3 => typed[at] = neighbor(bytes[at], random),
                _ => typed.push(neighbor(bytes[bytes.len() - 1], random)),
            }
        }
    }
    String::from_utf8(typed).unwrap()
}

/// The domain that is suggested for a typed one.
fn suggested(typed: &str) -> Option<String> {
    let found = address::suggest_domain(&Domain::parse(typed).ok()?, &AddressLists::built_in().targets)?;
    Some(found.domain.as_str().to_owned())
}

#[test]
fn of_a_hundred_typos_at_least_88_are_corrected_and_hardly_one_wrongly() {
    let targets = &AddressLists::built_in().targets;
    let mut random = fastrand::Rng::with_seed(5);
    let (mut typos, mut right, mut wrong) = (0, 0, Vec::new());
    for meant in lines(COMMON_DOMAINS).flat_map(|meant| std::iter::repeat_n(meant, 10)) {
        let typed = typo(meant, &mut random);
        if typed == meant || targets.knows(&typed) {
            continue;
        }
        typos += 1;
        match suggested(&typed) {
            Some(found) if found == meant => right += 1,
            Some(found) => wrong.push(format!("{typed}: {found}, not {meant}")),
            None => {}
        }
    }
    assert!(right * 100 >= typos * 88, "{right} of {typos}");
    assert!(wrong.len() * 100 <= typos, "{wrong:?}");
}

#[test]
fn of_a_hundred_real_domains_hardly_one_is_taken_for_a_typo() {
    let real: Vec<&str> = lines(REAL_DOMAINS).collect();
    let wrong: Vec<String> =
        real.iter().filter_map(|real| Some(format!("{real}: {}", suggested(real)?))).collect();
    assert!(wrong.len() * 100 <= real.len(), "{wrong:?}");
}

#[test]
fn of_a_thousand_sites_that_people_visit_hardly_one_is_touched() {
    let sites: Vec<&str> = lines(SITES).collect();
    let wrong: Vec<String> =
        sites.iter().filter_map(|site| Some(format!("{site}: {}", suggested(site)?))).collect();
    assert!(sites.len() >= 1_000);
    assert!(wrong.len() * 1_000 <= sites.len() * 6, "{} of {}: {wrong:?}", wrong.len(), sites.len());
}
