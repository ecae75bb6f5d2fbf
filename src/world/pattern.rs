//! Patterns for many names: `user{1..5000}`, `d{000..999}.example`, `ja*`, and texts with the number of a name.
//!
//! Decides: which names a pattern stands for, and what `{n}` and `{n%20}` expand to. Must not: know what is named.
//! Fails: with a sentence that says what is expected.

use std::ops::RangeInclusive;

/// The most names to which one pattern may be expanded.
const MAX_NAMES: u64 = 1_000_000;

/// A name, a numbered range of names (`{1..9}`, both ends included; `{001..999}` is padded), or all names with a prefix
/// and a suffix (`ja*`). With ` 88%` after it, it stands for that share of these names, chosen by hash.
#[derive(Clone, Debug, PartialEq)]
pub struct NamePattern {
    before: String,
    middle: Middle,
    after: String,
    share: f64,
}

#[derive(Clone, Debug, PartialEq)]
enum Middle {
    Nothing,
    Any,
    Number { range: RangeInclusive<u64>, digits: usize },
}

impl NamePattern {
    /// Reads a pattern. It is converted to lower case, because domains and the mailboxes of a world are in lower case.
    pub fn parse(text: &str) -> Result<NamePattern, String> {
        let (text, share) = match text.split_once(' ') {
            None => (text, 1.0),
            Some((names, share)) => (names, percent(share)?),
        };
        let text = text.to_lowercase();
        let (before, middle, after) = if let Some((before, rest)) = text.split_once('{') {
            let (range, after) = rest.split_once('}').ok_or("a `{` without its `}`")?;
            (before, number(range)?, after)
        } else if let Some((before, after)) = text.split_once('*') {
            (before, Middle::Any, after)
        } else {
            (text.as_str(), Middle::Nothing, "")
        };
        if after.contains(['{', '*']) {
            return Err("only one `{…}` or `*` in a name".to_owned());
        }
        Ok(NamePattern { before: before.to_owned(), middle, after: after.to_owned(), share })
    }

    /// True if the pattern stands for this name. `salt` makes each domain choose its share differently.
    pub fn contains(&self, name: &str, salt: u64) -> bool {
        let inside =
            name.strip_prefix(self.before.as_str()).and_then(|rest| rest.strip_suffix(self.after.as_str()));
        let matches = match (&self.middle, inside) {
            (_, None) => false,
            (Middle::Nothing, Some(inside)) => inside.is_empty(),
            (Middle::Any, Some(_)) => true,
            (Middle::Number { range, digits }, Some(inside)) => {
                inside.parse().is_ok_and(|n| range.contains(&n) && padded(n, *digits) == inside)
            }
        };
        matches && (self.share >= 1.0 || chance(salt, name) < self.share)
    }

    /// True for a pattern with a range or a `*`.
    pub fn is_many(&self) -> bool {
        self.middle != Middle::Nothing
    }

    /// All names with their numbers, in order. A single name has the number 0. Fails for `*`.
    pub fn each(&self) -> Result<impl Iterator<Item = (u64, String)> + '_, String> {
        let range = match &self.middle {
            Middle::Nothing => 0..=0,
            Middle::Number { range, .. } => range.clone(),
            Middle::Any => {
                return Err("`*` can't be counted; write a range such as `{1..99}`".to_owned());
            }
        };
        if range.end() - range.start() >= MAX_NAMES {
            return Err(format!("more than {MAX_NAMES} names in one pattern"));
        }
        Ok(range.map(|n| (n, self.nth(n))))
    }

    fn nth(&self, n: u64) -> String {
        let middle = match &self.middle {
            Middle::Number { digits, .. } => padded(n, *digits),
            Middle::Nothing | Middle::Any => String::new(),
        };
        format!("{}{middle}{}", self.before, self.after)
    }
}

impl TryFrom<String> for NamePattern {
    type Error = String;

    fn try_from(text: String) -> Result<NamePattern, String> {
        NamePattern::parse(&text)
    }
}

fn number(text: &str) -> Result<Middle, String> {
    let wrong = || format!("`{{{text}}}` is not a range such as `{{1..99}}`");
    let (first, last) = text.split_once("..").ok_or_else(wrong)?;
    let digits = if first.starts_with('0') { first.len() } else { 1 };
    let first: u64 = first.parse().map_err(|_| wrong())?;
    let last: u64 = last.parse().map_err(|_| wrong())?;
    if first > last {
        return Err(wrong());
    }
    Ok(Middle::Number { range: first..=last, digits })
}

fn padded(n: u64, digits: usize) -> String {
    format!("{n:0digits$}")
}

/// Reads a share: `88%` is 0.88.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|digits| digits.parse::<f64>().ok());
    match number {
        Some(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err(format!("`{text}` is not a share such as `88%`")),
    }
}

/// Replaces `{n}` by the number and `{n%20}` by its remainder, so that numbered entries can refer to one another.
pub(super) fn fill(text: &str, n: u64) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, tail)) = rest.split_once("{n") {
        let (modulus, after) = tail.split_once('}').ok_or("a `{` without its `}`")?;
        let n = match modulus.strip_prefix('%').map(str::parse::<u64>) {
            None if modulus.is_empty() => n,
            Some(Ok(modulus)) if modulus > 0 => n % modulus,
            _ => {
                return Err(format!("`{{n{modulus}}}` is neither `{{n}}` nor such as `{{n%20}}`"));
            }
        };
        out.push_str(before);
        out.push_str(&n.to_string());
        rest = after;
    }
    Ok(out + rest)
}

/// A pseudo-random number from 0 to 1 that depends only on its arguments.
pub(super) fn chance(salt: u64, name: &str) -> f64 {
    fastrand::Rng::with_seed(hash(salt, name)).f64()
}

/// FNV-1a, which is the same in every build and version; the hashes of `std` may change.
pub(super) fn hash(salt: u64, text: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    text.bytes().fold(start, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_contains_exactly_the_names_to_which_it_expands() {
        let table = [
            ("jane", vec!["jane"], vec!["jan", "jane2", "", "janejane"]),
            ("U{8..11}x", vec!["u8x", "u9x", "u10x", "u11x"], vec!["u08x", "u12x", "ux", "u8"]),
            ("d{08..10}", vec!["d08", "d09", "d10"], vec!["d8", "d010"]),
        ];
        for (pattern, inside, outside) in table {
            let names = NamePattern::parse(pattern).unwrap();
            let each: Vec<String> = names.each().unwrap().map(|(_, name)| name).collect();
            assert_eq!(each, inside);
            assert!(inside.iter().all(|name| names.contains(name, 0)), "{pattern}");
            assert!(!outside.iter().any(|name| names.contains(name, 0)), "{pattern}");
        }
        let names = NamePattern::parse("ja*e").unwrap();
        assert!(names.contains("jane", 0) && names.contains("jae", 0) && !names.contains("jan", 0));
        assert!(names.each().is_err());
    }

    #[test]
    fn a_share_is_about_right_and_always_the_same_names() {
        let names = NamePattern::parse("user{1..10000} 88%").unwrap();
        let kept = |salt| (1..=10_000).filter(move |n| names.contains(&format!("user{n}"), salt));
        let (first, again, other): (Vec<u64>, Vec<u64>, Vec<u64>) =
            (kept.clone()(1).collect(), kept.clone()(1).collect(), kept(2).collect());
        assert!((8_700..8_900).contains(&first.len()), "{}", first.len());
        assert_eq!(first, again);
        assert_ne!(first, other);
    }

    #[test]
    fn numbers_are_filled_in() {
        assert_eq!(fill("10 mx{n%20}.op{n}.example", 47).unwrap(), "10 mx7.op47.example");
        for bad in ["{n%0}", "{n", "{nx}"] {
            assert!(fill(bad, 1).is_err(), "{bad}");
        }
    }

    #[test]
    fn malformed_patterns_are_errors() {
        for bad in ["a{1..}", "a{5..2}", "a{1..2", "a{1..2}{1..2}", "a 101%", "a b"] {
            assert!(NamePattern::parse(bad).is_err(), "{bad}");
        }
        assert!(NamePattern::parse("a{1..9000000}").unwrap().each().is_err());
    }
}
