//! Typing mistakes that turn one word into another.
//!
//! Decides: which single mistake, or that two of them, explain the difference of two words. Must not: know a domain.

/// The typing mistake between the meant name and the typed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    None,
    /// Two neighboring letters are swapped.
    Swapped,
    /// A letter is typed twice instead of once, or once instead of twice.
    Doubled,
    Missing {
        first: bool,
    },
    /// One more letter; `beside` if its key is beside the key of a letter next to it, so that one finger hit both.
    Extra {
        beside: bool,
    },
    /// The key beside the right one was hit.
    NextKey {
        first: bool,
    },
    OtherKey {
        first: bool,
    },
    /// Two mistakes; `first` if the first letter differs.
    Two {
        first: bool,
    },
}

impl Edit {
    /// The mistake that turns `meant` into `typed`; `None` if it takes more than two.
    pub(super) fn between(typed: &str, meant: &str) -> Option<Edit> {
        let (typed, meant) = (typed.as_bytes(), meant.as_bytes());
        let head = typed.iter().zip(meant).take_while(|(a, b)| a == b).count();
        let (a, b) = (&typed[head..], &meant[head..]);
        let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
        let (a, b) = (&a[..a.len() - tail], &b[..b.len() - tail]);
        let first = head == 0;
        let edit = match (a, b) {
            ([], []) => Edit::None,
            ([more], []) if head > 0 && typed[head - 1] == *more => Edit::Doubled,
            ([], [more]) if head > 0 && meant[head - 1] == *more => Edit::Doubled,
            ([more], []) => {
                let around = [head.checked_sub(1), Some(head + 1)].into_iter().flatten();
                let beside = around.filter_map(|at| typed.get(at)).any(|key| next_to(*more, *key));
                Edit::Extra { beside }
            }
            ([], [_]) => Edit::Missing { first },
            ([key], [other]) if next_to(*key, *other) => Edit::NextKey { first },
            ([_], [_]) => Edit::OtherKey { first },
            (&[one, two], &[first_meant, then]) if (one, two) == (then, first_meant) => Edit::Swapped,
            _ if distance(a, b) == 2 => Edit::Two { first: first && typed.first() != meant.first() },
            _ => return None,
        };
        Some(edit)
    }

    /// The number of mistakes.
    pub(super) fn count(self) -> u32 {
        match self {
            Edit::None => 0,
            Edit::Two { .. } => 2,
            _ => 1,
        }
    }
}

/// The number of edits between two short words, where a swap of neighbors is one edit (optimal string alignment); 3
/// for all above 2.
fn distance(a: &[u8], b: &[u8]) -> usize {
    const LONGEST: usize = 32;
    if a.len().abs_diff(b.len()) > 2 || a.len().max(b.len()) >= LONGEST {
        return 3;
    }
    let mut rows = [[0usize; LONGEST]; 3];
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        let (now, before, earlier) = (i % 3, (i + 2) % 3, (i + 1) % 3);
        rows[now][0] = i;
        for j in 1..=b.len() {
            let substitution = rows[before][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut cost = substitution.min(rows[before][j] + 1).min(rows[now][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                cost = cost.min(rows[earlier][j - 2] + 1);
            }
            rows[now][j] = cost;
        }
    }
    rows[a.len() % 3][b.len()].min(3)
}

/// The letters of a name as a bit set; a digit or a hyphen shares the bit of a letter.
pub(super) fn letters(name: &str) -> u32 {
    name.bytes().fold(0, |set, b| set | 1 << (b & 31))
}

/// True for neighboring keys on QWERTY, QWERTZ or AZERTY.
fn next_to(a: u8, b: u8) -> bool {
    const ROWS: &[&[u8]] = &[
        b"1234567890-",
        b"qwertyuiop",
        b"asdfghjkl",
        b"zxcvbnm",
        b"qwertzuiop",
        b"yxcvbnm",
        b"azertyuiop",
        b"qsdfghjklm",
        b"wxcvbn",
    ];
    // Keys that touch each other in different rows.
    const COLUMNS: &[&[u8]] = &[
        b"1qaz", b"2wsx", b"3edc", b"4rfv", b"5tgb", b"6yhn", b"7ujm", b"8ik", b"9ol", b"0p", b"2qa",
        b"3wsz", b"4edx", b"5rfc", b"6tgv", b"7yhb", b"8ujn", b"9ikm", b"0ol", b"pl-", b"aw", b"se", b"dr",
        b"ft", b"gy", b"hu", b"ji", b"ko",
    ];
    let beside = |keys: &&[u8]| keys.windows(2).any(|pair| pair == [a, b] || pair == [b, a]);
    ROWS.iter().chain(COLUMNS).any(beside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_a_swap_as_one() {
        for (a, b, edits) in
            [("", "", 0), ("ab", "ba", 1), ("abc", "ca", 3), ("gmial", "gmail", 1), ("abcd", "badc", 2)]
        {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), edits, "{a} {b}");
        }
    }

    #[test]
    fn each_mistake_has_its_name() {
        for (typed, meant, edit) in [
            ("gmail", "gmail", Some(Edit::None)),
            ("gmial", "gmail", Some(Edit::Swapped)),
            ("gmaill", "gmail", Some(Edit::Doubled)),
            ("yaho", "yahoo", Some(Edit::Doubled)),
            ("gail", "gmail", Some(Edit::Missing { first: false })),
            ("mail", "gmail", Some(Edit::Missing { first: true })),
            ("gmaxil", "gmail", Some(Edit::Extra { beside: false })),
            ("gmnail", "gmail", Some(Edit::Extra { beside: true })),
            ("hgmail", "gmail", Some(Edit::Extra { beside: true })),
            ("gnail", "gmail", Some(Edit::NextKey { first: false })),
            ("hmail", "gmail", Some(Edit::NextKey { first: true })),
            ("gmbil", "gmail", Some(Edit::OtherKey { first: false })),
            ("gimal", "gmail", Some(Edit::Two { first: false })),
            ("bakery", "gmail", None),
        ] {
            assert_eq!(Edit::between(typed, meant), edit, "{typed}");
        }
    }
}
