//! Any bytes as a bounce, a log or JSON lines: always explained, line for line, and garbage is never a confirmed dead
//! mailbox.

use std::io::BufReader;

use listproof::explain::{Explainer, Explanation};
use listproof::policy::{Providers, ReplyRules};
use listproof::{Confidence, Verdict};

/// The first byte selects what is checked, the rest is the input.
pub(crate) fn check(bytes: &[u8]) {
    let Some((&how, pasted)) = bytes.split_first() else { return };
    let explainer =
        Explainer { rules: ReplyRules::built_in(), provider_of: &|host| Providers::built_in().id_of(host) };
    match how % 4 {
        0 => is_explained(&explainer, pasted),
        1 => cards_are_harmless(&explainer, pasted),
        2 => each_line_is_answered(&explainer, pasted),
        _ => codes_alone_are_inferred(&explainer, pasted),
    }
}

fn is_explained(explainer: &Explainer<'_>, pasted: &[u8]) {
    let explanations = explainer.explain_text(pasted);
    assert!(!explanations.is_empty(), "no explanation");
    for Explanation { failure, meaning, .. } in &explanations {
        assert!(!failure.reply.to_string().contains(char::is_control), "{failure:?}");
        let is_dead = meaning.cause.verdict() == Verdict::Undeliverable;
        assert!(!is_dead || failure.reply.is_permanent(), "{failure:?}: {meaning:?}");
    }
}

/// Without its words, a reply never confirms a dead mailbox.
fn codes_alone_are_inferred(explainer: &Explainer<'_>, pasted: &[u8]) {
    let blot = |byte: &u8| if byte.is_ascii_alphabetic() || !byte.is_ascii() { b'#' } else { *byte };
    let blotted: Vec<u8> = pasted.iter().map(blot).collect();
    for Explanation { failure, meaning, .. } in explainer.explain_text(&blotted) {
        let is_dead = meaning.cause.verdict() == Verdict::Undeliverable;
        let is_sure = meaning.confidence == Confidence::Confirmed && failure.reply.enhanced.is_none();
        assert!(!(is_dead && is_sure), "{failure:?}: {meaning:?}");
    }
}

/// The printed text has no control characters.
fn cards_are_harmless(explainer: &Explainer<'_>, pasted: &[u8]) {
    let mut cards = Vec::new();
    explainer.write_cards(BufReader::new(pasted), &mut cards).expect("memory can be read and written");
    let cards = String::from_utf8(cards).expect("text");
    assert!(!cards.replace('\n', " ").contains(char::is_control), "{cards:?}");
}

/// There is one answer for each line.
fn each_line_is_answered(explainer: &Explainer<'_>, pasted: &[u8]) {
    let mut answers = Vec::new();
    explainer.write_json_lines(pasted, &mut answers).expect("memory can be read and written");
    let lines = pasted.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    let answered = answers.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).map(|line| {
        let answer: serde_json::Value = serde_json::from_slice(line).expect("an object");
        assert!(answer["reason"].is_string());
    });
    assert_eq!(answered.count(), lines, "one answer for each line");
}
