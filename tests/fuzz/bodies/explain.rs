//! Any bytes as a bounce, a log or a question: always answered, line for line, and garbage kills nobody.

use std::io::BufReader;

use listproof::explain::{Explainer, Explanation};
use listproof::policy::{Providers, replies::ReplyRules};
use listproof::reason::{Confidence, Verdict};

/// What somebody pastes, in whatever bytes.
pub(crate) fn check(bytes: &[u8]) {
    let explainer =
        Explainer { rules: ReplyRules::built_in(), operator_of: &|host| Providers::built_in().id_of(host) };
    let explanations = explainer.explain(bytes);
    assert!(!explanations.is_empty(), "nothing was said");
    for Explanation { failure, meaning, .. } in &explanations {
        assert!(!failure.reply.to_string().contains(char::is_control), "{failure:?}");
        let is_dead = meaning.cause.verdict() == Verdict::Undeliverable;
        assert!(!is_dead || failure.reply.is_permanent(), "{failure:?}: {meaning:?}");
    }

    // The same without its words: a code alone is a suspicion.
    let blotted: Vec<u8> = bytes
        .iter()
        .map(|byte| if byte.is_ascii_alphabetic() || !byte.is_ascii() { b'#' } else { *byte })
        .collect();
    for Explanation { failure, meaning, .. } in explainer.explain(&blotted) {
        let is_dead = meaning.cause.verdict() == Verdict::Undeliverable;
        let is_sure = meaning.confidence == Confidence::Confirmed && failure.reply.enhanced.is_none();
        assert!(!(is_dead && is_sure), "{failure:?}: {meaning:?}");
    }

    let mut told = Vec::new();
    explainer.run(BufReader::new(bytes), &mut told).expect("memory can be read and written");
    let told = String::from_utf8(told).expect("text");
    assert!(!told.replace('\n', " ").contains(char::is_control), "{told:?}");

    let mut answers = Vec::new();
    explainer.jsonl(bytes, &mut answers).expect("memory can be read and written");
    let asked = bytes.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    let answered = answers.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).map(|line| {
        let answer: serde_json::Value = serde_json::from_slice(line).expect("an object");
        assert!(answer["reason"].is_string());
    });
    assert_eq!(answered.count(), asked, "as many answers as questions");
}
