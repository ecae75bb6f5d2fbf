//! The reply rules against replies: every rule on its own examples, and the recorded ones of `tests/replies/`.

use listproof::policy::replies::{Context, ReplyRules};
use listproof::reason::Cause;
use listproof::smtp::{Reply, Stage};

#[test]
fn every_rule_wins_on_its_own_examples_and_on_none_of_its_counter_examples() {
    let rules = ReplyRules::built_in();
    let faults: Vec<String> =
        rules.iter().filter_map(|rule| rules.check(rule).err()).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn recorded_replies_mean_what_they_meant() {
    let rules = ReplyRules::built_in();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in include_str!("replies/documented.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        count += 1;
        let mut parts = line.splitn(4, " | ");
        let mut part = || parts.next().unwrap();
        let cause = Cause::from_word(part()).unwrap();
        let stage = Stage::from_word(part()).unwrap();
        let provider = Some(part()).filter(|id| *id != "-");
        let reply = Reply::parse(part().replace("\\n", "\n").as_bytes()).unwrap();
        let meaning = rules.read(&reply, &Context { stage, provider });
        if meaning.cause != cause {
            wrong.push(format!("{} not {} (by {}): {line}", meaning.cause.word(), cause.word(), meaning.rule));
        }
    }
    assert!(wrong.is_empty(), "{} of {count}\n{}", wrong.len(), wrong.join("\n"));
}
