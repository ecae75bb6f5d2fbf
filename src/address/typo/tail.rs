//! What stands behind a domain's name, and how the typed end relates to the meant one.
//!
//! Decides: whether an end exists (by the public suffix list), and which slip makes it of another. Must not: look at the
//! name before it.

use super::edit::Edit;

/// How the typed end of the domain relates to the meant one, the likelier first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TldMatch {
    /// It is the meant one.
    Same,
    /// It exists nowhere and has a slip.
    Slip,
    /// It exists, but is a well-known slip (`co`, `cm`, `om` for `com`).
    KnownSlip,
    /// It exists nowhere and is the meant one with something behind it, or without its end.
    Remnant,
    /// It exists, and is what a finger beside the right key types.
    NextKey,
    /// It is another one that exists.
    Other,
}

impl TldMatch {
    /// How `typed`, which may exist, relates to `meant`; `None` where they have nothing to do with each other.
    pub(super) fn between(typed: &str, meant: &str, exists: bool) -> Option<TldMatch> {
        if typed == meant {
            return Some(TldMatch::Same);
        }
        let slip = Edit::between(typed, meant);
        if exists {
            return Some(match (typed, meant) {
                ("co" | "cm" | "om", "com") | ("ne", "net") | ("uk", "co.uk") => TldMatch::KnownSlip,
                _ if matches!(slip, Some(Edit::NextKey { .. } | Edit::Swapped)) => TldMatch::NextKey,
                _ => TldMatch::Other,
            });
        }
        if slip.is_some_and(|slip| slip.letters() == 1) {
            return Some(TldMatch::Slip);
        }
        // `com.com`, `comcom`, `c`.
        let is_remnant =
            (typed.starts_with(meant) && typed.len() <= meant.len() + 4) || meant.starts_with(typed);
        is_remnant.then_some(TldMatch::Remnant)
    }
}

/// True for an end that exists.
pub(super) fn exists(suffix: &str) -> bool {
    psl::suffix(suffix.as_bytes())
        .is_some_and(|known| known.is_known() && known.as_bytes() == suffix.as_bytes())
}

/// The top level that is meant by one that exists nowhere, so that it tells for any domain.
pub(super) fn meant_top_level(typed: &str) -> Option<&'static str> {
    let at = TOP_LEVEL_SLIPS.binary_search_by_key(&typed, |(slip, _)| slip).ok()?;
    Some(TOP_LEVEL_SLIPS[at].1)
}

/// Slips of top levels that exist nowhere, sorted.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_relation() {
        for (typed, meant, tail) in [
            ("com", "com", Some(TldMatch::Same)),
            ("con", "com", Some(TldMatch::Slip)),
            ("co.ku", "co.uk", Some(TldMatch::Slip)),
            ("co", "com", Some(TldMatch::KnownSlip)),
            ("com.com", "com", Some(TldMatch::Remnant)),
            ("c", "com", Some(TldMatch::Remnant)),
            ("ml", "nl", Some(TldMatch::NextKey)),
            ("bw", "be", Some(TldMatch::NextKey)),
            ("fr", "de", Some(TldMatch::Other)),
            ("invalid", "de", None),
        ] {
            assert_eq!(TldMatch::between(typed, meant, exists(typed)), tail, "{typed} {meant}");
        }
        assert!(TOP_LEVEL_SLIPS.is_sorted());
        assert!(TOP_LEVEL_SLIPS.iter().all(|(slip, meant)| !exists(slip) && exists(meant)));
    }
}
