//! Output of `policy check` and `policy show`: which rules are loaded, from which files, and which one decides a reply.
//!
//! Decides: nothing; it shows what [`ReplyRules::classify`] decides. Prints nothing itself.

use super::rule::{ReplyContext, ReplyRule, Tier};
use super::rules::ReplyRules;
use crate::reason::Cause;
use crate::smtp::Reply;
use std::collections::BTreeMap;
use std::fmt;

/// How many rules each file has in each tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedRules<'a> {
    /// Number of rules by file and tier.
    pub counts: BTreeMap<(&'a str, Tier), usize>,
}

/// A reply, classified with all rules that match it.
#[derive(Debug)]
pub struct RuleTrial<'a> {
    /// The final cause: that of the first rule, unless the stage or the reply's class forbids it.
    pub cause: Cause,
    /// The rules that match, in reading order.
    pub matching: Vec<(RuleOutcome, &'a ReplyRule)>,
}

/// Whether a matching rule decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleOutcome {
    /// It decides.
    Wins,
    /// It matches, but an earlier rule decides.
    Loses,
}

impl ReplyRules {
    /// How many rules are loaded, by file and tier.
    pub fn loaded(&self) -> LoadedRules<'_> {
        let mut counts = BTreeMap::new();
        for rule in self.iter() {
            *counts.entry((rule.origin().0, rule.tier())).or_default() += 1;
        }
        LoadedRules { counts }
    }

    /// Which rule wins on a reply, and which ones lose. The winner may match only the part that is read first.
    pub fn trial(&self, reply: &Reply, context: &ReplyContext<'_>) -> RuleTrial<'_> {
        let meaning = self.classify(reply, context);
        let is_winner = |rule: &&ReplyRule| *rule.id() == meaning.rule;
        let winner = self.iter().find(is_winner).map(|rule| (RuleOutcome::Wins, rule));
        let losers = self.matching(reply, context).into_iter().filter(|rule| !is_winner(rule));
        RuleTrial {
            cause: meaning.cause,
            matching: winner.into_iter().chain(losers.map(|rule| (RuleOutcome::Loses, rule))).collect(),
        }
    }
}

impl fmt::Display for LoadedRules<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((file, tier), count) in &self.counts {
            writeln!(f, "{count:>5}  {:<10} {file}", tier.word())?;
        }
        writeln!(f, "{:>5}  rules", self.counts.values().sum::<usize>())
    }
}

impl fmt::Display for RuleTrial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.cause.word(), self.cause.sentence())?;
        for (outcome, rule) in &self.matching {
            let (file, line) = rule.origin();
            let outcome = if *outcome == RuleOutcome::Wins { "wins" } else { "loses" };
            writeln!(
                f,
                "  {outcome:<5}  {:<10} {:<32} {:<24} {file}:{line}",
                rule.tier().word(),
                rule.id(),
                rule.cause().word()
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::Stage;

    #[test]
    fn a_trial_names_the_winner_first_and_then_the_losers() {
        let rules = ReplyRules::built_in();
        let reply = Reply::parse(b"550 5.1.1 User unknown").unwrap();
        let trial = rules.trial(&reply, &ReplyContext { stage: Stage::Rcpt, provider: None });
        let outcomes: Vec<_> =
            trial.matching.iter().map(|(outcome, rule)| (*outcome, rule.id().as_str())).collect();
        assert_eq!(
            outcomes[..3],
            [
                (RuleOutcome::Wins, "user-unknown"),
                (RuleOutcome::Loses, "no-such-mailbox"),
                (RuleOutcome::Loses, "code-mailbox-unknown"),
            ]
        );
        assert!(outcomes[3..].iter().all(|(outcome, _)| *outcome == RuleOutcome::Loses));
        assert!(trial.to_string().starts_with("mailbox_unknown: there is no such mailbox"));
    }

    #[test]
    fn what_is_loaded_adds_up() {
        let rules = ReplyRules::built_in();
        assert_eq!(rules.loaded().counts.values().sum::<usize>(), rules.iter().count());
    }
}
