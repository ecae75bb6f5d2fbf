//! Any bytes as a bounce, a log or a question: always answered, line for line, and garbage kills nobody.

use std::io::BufReader;

use listproof::explain::{Explainer, Explanation};
use listproof::policy::{Providers, ReplyRules};
use listproof::{Confidence, Verdict};

/// The first byte says how it is asked, the rest is what somebody pastes.
pub(crate) fn check(bytes: &[u8]) {
    let Some((&how, pasted)) = bytes.split_first() else { return };
    let explainer =
        Explainer { rules: ReplyRules::built_in(), provider_of: &|host| Providers::built_in().id_of(host) };
    match how % 4 {
        0 => is_explained(&explainer, pasted),
        1 => is_told(&explainer, pasted),
        2 => is_answered(&explainer, pasted),
        _ => is_doubted(&explainer, pasted),
    }
}

fn is_explained(explainer: &Explainer<'_>, pasted: &[u8]) {
    let explanations = explainer.explain_text(pasted);
    assert!(!explanations.is_empty(), "nothing was said");
    for Explanation { failure, meaning, .. } in &explanations {
        assert!(!failure.reply.to_string().contains(char::is_control), "{failure:?}");
        let is_dead = meaning.cause.verdict() == Verdict::Undeliverable;
        assert!(!is_dead || failure.reply.is_permanent(), "{failure:?}: {meaning:?}");
    }
}

/// With its words taken away, a code alone is a suspicion.
fn is_doubted(explainer: &Explainer<'_>, pasted: &[u8]) {
    let blot = |byte: &u8| if byte.is_ascii_alphabetic() || !byte.is_ascii() { b'#' } else { *byte };
    let blotted: Vec<u8> = pasted.iter().map(blot).collect();
    for Explanation { failure, meaning, .. } in explainer.explain_text(&blotted) {
        let is_dead = meaning.cause.verdict() == Verdict::Undeliverable;
        let is_sure = meaning.confidence == Confidence::Confirmed && failure.reply.enhanced.is_none();
        assert!(!(is_dead && is_sure), "{failure:?}: {meaning:?}");
    }
}

/// What people read holds nothing that could steer a terminal.
fn is_told(explainer: &Explainer<'_>, pasted: &[u8]) {
    let mut told = Vec::new();
    explainer.write_cards(BufReader::new(pasted), &mut told).expect("memory can be read and written");
    let told = String::from_utf8(told).expect("text");
    assert!(!told.replace('\n', " ").contains(char::is_control), "{told:?}");
}

/// As many answers as questions.
fn is_answered(explainer: &Explainer<'_>, pasted: &[u8]) {
    let mut answers = Vec::new();
    explainer.write_json_lines(pasted, &mut answers).expect("memory can be read and written");
    let asked = pasted.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    let answered = answers.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).map(|line| {
        let answer: serde_json::Value = serde_json::from_slice(line).expect("an object");
        assert!(answer["reason"].is_string());
    });
    assert_eq!(answered.count(), asked, "as many answers as questions");
}
