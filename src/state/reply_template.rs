//! A reply's words, taken apart into what all such replies share and what only this one has.
//!
//! Servers say the same few sentences with other addresses, ids and times in them. The sentence is kept once, the rest
//! with the answer; both together give back the reply, byte for byte.

use crate::smtp::Enhanced;

/// Stands for the address asked about.
const ADDRESS: char = '\u{11}';
/// Stands for its local part.
const LOCAL: char = '\u{12}';
/// Stands for the next part. No reply holds such characters: they are control characters.
const PART: char = '\u{1a}';

/// Where a reply is not about one address: then all that it names are its own parts.
pub(super) const NOBODY: &str = "\u{11}";

/// What stands around a name in a reply.
const AROUND: &[char] = &['<', '>', '(', ')', '[', ']', '"', '\'', '`', ':', ';', ',', '.'];

/// Takes a reply's lines apart: what it shares, and its own parts, if there are any.
pub(super) fn take_apart(lines: &[String], local: &str, address: &str) -> (String, Option<String>) {
    let (mut shared, mut parts) = (String::new(), String::new());
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            shared.push('\n');
        }
        for (place, word) in line.split(' ').enumerate() {
            if place > 0 {
                shared.push(' ');
            }
            take_word(word, local, address, &mut shared, &mut parts);
        }
    }
    (shared, (!parts.is_empty()).then_some(parts))
}

fn take_word(word: &str, local: &str, address: &str, shared: &mut String, parts: &mut String) {
    if let Some(at) = word.find(address) {
        let (before, after) = (&word[..at], &word[at + address.len()..]);
        if !is_own(before) && !is_own(after) {
            shared.push_str(before);
            shared.push(ADDRESS);
            shared.push_str(after);
            return;
        }
    } else if word.trim_matches(AROUND) == local {
        shared.push_str(&word.replace(local, LOCAL.encode_utf8(&mut [0; 4])));
        return;
    }
    if !is_own(word) {
        shared.push_str(word);
        return;
    }
    if !parts.is_empty() {
        parts.push(' ');
    }
    parts.push_str(word);
    shared.push(PART);
}

/// A word that another reply of the kind would not have: with digits, but not a code.
fn is_own(word: &str) -> bool {
    /// `(#5.1.1)` and the like; longer ones are times and ids.
    const CODE_BYTES: usize = 9;
    let is_code = |word: &str| {
        word.len() <= CODE_BYTES && word.bytes().all(|b| b.is_ascii_digit() || b".-#()[]:;,".contains(&b))
    };
    word.contains('@')
        || (word.bytes().any(|b| b.is_ascii_digit()) && !is_code(word) && Enhanced::parse(word).is_none())
}

/// Puts a reply's lines together again.
pub(super) fn put_together(shared: &str, parts: Option<&str>, local: &str, address: &str) -> Vec<String> {
    let mut parts = parts.unwrap_or_default().split(' ');
    let line = |line: &str| {
        let mut whole = String::with_capacity(line.len() + 32);
        for c in line.chars() {
            match c {
                ADDRESS => whole.push_str(address),
                LOCAL => whole.push_str(local),
                PART => whole.push_str(parts.next().unwrap_or_default()),
                c => whole.push(c),
            }
        }
        whole
    };
    shared.split('\n').map(line).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::smtp::Reply;

    const JANE: (&str, &str) = ("jane", "jane@acme.example");

    fn shared(line: &str) -> String {
        take_apart(&[line.to_owned()], JANE.0, JANE.1).0
    }

    #[test]
    fn what_is_about_nobody_shares_no_name() {
        let lines = ["4.7.1 <jane@acme.example>: Try again later".to_owned()];
        let (shared, parts) = take_apart(&lines, NOBODY, NOBODY);
        assert_eq!(
            (&*shared, parts.as_deref()),
            ("4.7.1 \u{1a} Try again later", Some("<jane@acme.example>:"))
        );
        assert_eq!(put_together(&shared, parts.as_deref(), NOBODY, NOBODY), lines);
    }

    #[test]
    fn replies_that_differ_in_names_ids_and_times_share_their_words() {
        for (one, other) in [
            (
                "5.1.1 <jane@acme.example>: Recipient address rejected",
                "5.1.1 <jane@acme.example>: Recipient address rejected",
            ),
            ("5.1.1 No such user d2e1a72fcca58-7f3b - gsmtp", "5.1.1 No such user 77a0f3 - gsmtp"),
            (
                "5.4.1 Access denied. [AM0EUR02FT003.eop.example 2026-01-05T09:00:00.000Z 08DE2F1A2B3C4D5E]",
                "5.4.1 Access denied. [VE1EUR01FT009.eop.example 2026-11-22T01:02:03.004Z 08DE000000000000]",
            ),
        ] {
            assert_eq!(shared(one), shared(other));
        }
        assert_ne!(shared("5.1.1 x"), shared("5.2.1 x"));
        assert_eq!(shared("user jane unknown"), "user \u{12} unknown");
    }

    proptest! {
        #[test]
        fn a_reply_taken_apart_and_put_together_is_the_same(
            lines in prop::collection::vec("([a-z0-9.@<>#() -]|jane@acme.example|jane|5.1.1 ){0,12}", 1..4),
        ) {
            let lines = Reply::new(550, lines).lines;
            let (shared, parts) = take_apart(&lines, JANE.0, JANE.1);
            prop_assert_eq!(put_together(&shared, parts.as_deref(), JANE.0, JANE.1), lines);
        }
    }
}
