//! The reply rules against replies: every rule on its own examples, and the recorded ones of `tests/replies/`.

use listproof::policy::replies::ReplyRules;

#[test]
fn every_rule_wins_on_its_own_examples_and_on_none_of_its_counter_examples() {
    let rules = ReplyRules::built_in();
    let faults: Vec<String> =
        rules.iter().filter_map(|rule| rules.check(rule).err()).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
