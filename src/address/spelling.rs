//! Spellings of one address: `Jane.Doe@example.com` and `jane.doe@example.com`.
//!
//! Decides: that local parts are the same if they differ in ASCII case alone, after Unicode's normalization form C. RFC
//! 5321 2.4 allows a host to distinguish case; no provider that could be named does. Must not: fold the case of letters
//! beyond ASCII, or change an address that is sent.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

/// The form that all spellings of a local part share.
pub(crate) fn folded_local(local: &str) -> Cow<'_, str> {
    if !local.is_ascii() {
        let composed = ComposingNormalizerBorrowed::new_nfc().normalize(local);
        return Cow::Owned(composed.to_ascii_lowercase());
    }
    if local.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(local.to_ascii_lowercase())
    } else {
        Cow::Borrowed(local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_differ_in_ascii_case_and_in_the_form_of_letters_alone() {
        for (one, other, is_same) in [
            ("jane.doe", "Jane.DOE", true),
            ("\"jane doe\"", "\"Jane Doe\"", true),
            ("jos\u{e9}", "jose\u{301}", true),
            ("Jos\u{e9}", "JOSe\u{301}", true),
            ("jos\u{e9}", "jos\u{c9}", false),
            ("stra\u{df}e", "strasse", false),
            ("\u{3c3}", "\u{3c2}", false),
            ("i", "\u{131}", false),
            ("jane.doe", "janedoe", false),
            ("jane", "jane+x", false),
        ] {
            assert_eq!(folded_local(one) == folded_local(other), is_same, "{one} {other}");
        }
    }
}
