//! Suffixes: what follows the first dot of a domain (`com`, `co.uk`), and how a typed suffix relates to the meant one.
//!
//! Decides: whether a suffix exists (by the public suffix list), and which mistake turns one into another. Must not:
//! look at the name before the suffix.

use super::edit::Edit;

/// How a typed suffix relates to the meant one, in order of falling probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SuffixMatch {
    /// It is the meant suffix.
    Same,
    /// It does not exist, and differs by one typing mistake.
    Misspelled,
    /// It exists, but is a well-known typo (`co`, `cm`, `om` for `com`).
    KnownTypo,
    /// It does not exist, and is the meant suffix with something appended or cut off (`com.com`, `c`).
    Remnant,
    /// It exists, and differs by a neighboring key or a swap of two letters.
    NextKey,
    /// It is any other suffix that exists.
    Other,
}

impl SuffixMatch {
    /// How `typed` relates to `meant`; `None` if it is no mistake for it. `exists`: whether `typed` exists.
    pub(super) fn between(typed: &str, meant: &str, exists: bool) -> Option<SuffixMatch> {
        if typed == meant {
            return Some(SuffixMatch::Same);
        }
        let edit = Edit::between(typed, meant);
        if exists {
            return Some(match (typed, meant) {
                ("co" | "cm" | "om", "com") | ("ne", "net") | ("uk", "co.uk") => SuffixMatch::KnownTypo,
                _ if matches!(edit, Some(Edit::NextKey { .. } | Edit::Swapped)) => SuffixMatch::NextKey,
                _ => SuffixMatch::Other,
            });
        }
        if edit.is_some_and(|edit| edit.count() == 1) {
            return Some(SuffixMatch::Misspelled);
        }
        // `com.com`, `comcom`, `c`.
        let is_remnant =
            (typed.starts_with(meant) && typed.len() <= meant.len() + 4) || meant.starts_with(typed);
        is_remnant.then_some(SuffixMatch::Remnant)
    }
}

/// True for a suffix that exists.
pub(super) fn exists(suffix: &str) -> bool {
    psl::suffix(suffix.as_bytes())
        .is_some_and(|known| known.is_known() && known.as_bytes() == suffix.as_bytes())
}

/// The suffix that is meant by a top-level domain that does not exist, for any name before it; `None` if unknown.
pub(super) fn meant_top_level(typed: &str) -> Option<&'static str> {
    let at = TOP_LEVEL_TYPOS.binary_search_by_key(&typed, |(typo, _)| typo).ok()?;
    Some(TOP_LEVEL_TYPOS[at].1)
}

/// Typos of top-level domains, none of which exists, with the meant suffix; sorted.
const TOP_LEVEL_TYPOS: &[(&str, &str)] = &[
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_relation_of_suffixes_is_found() {
        for (typed, meant, relation) in [
            ("com", "com", Some(SuffixMatch::Same)),
            ("con", "com", Some(SuffixMatch::Misspelled)),
            ("co.ku", "co.uk", Some(SuffixMatch::Misspelled)),
            ("co", "com", Some(SuffixMatch::KnownTypo)),
            ("com.com", "com", Some(SuffixMatch::Remnant)),
            ("c", "com", Some(SuffixMatch::Remnant)),
            ("ml", "nl", Some(SuffixMatch::NextKey)),
            ("bw", "be", Some(SuffixMatch::NextKey)),
            ("fr", "de", Some(SuffixMatch::Other)),
            ("invalid", "de", None),
        ] {
            assert_eq!(SuffixMatch::between(typed, meant, exists(typed)), relation, "{typed} {meant}");
        }
        assert!(TOP_LEVEL_TYPOS.is_sorted());
        assert!(TOP_LEVEL_TYPOS.iter().all(|(typo, meant)| !exists(typo) && exists(meant)));
    }
}
