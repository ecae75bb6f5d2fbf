//! What `policy check` and `policy show` tell: which rules are loaded, from where, and which wins on a reply.
//!
//! Decides: nothing; it shows what [`ReplyRules::read`] decides. Prints nothing itself.

use super::{ReplyContext, ReplyRule, ReplyRules, Tier};
use crate::reason::Cause;
use crate::smtp::Reply;
use std::collections::BTreeMap;
use std::fmt;

/// What is loaded: rules by file and tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedRules<'a> {
    /// Number of rules of each file and tier, in reading order of the tiers.
    pub counts: BTreeMap<(&'a str, Tier), usize>,
}

/// A reply put to the rules.
#[derive(Debug)]
pub struct RuleTrial<'a> {
    /// What the reply means in the end: a rule's cause, unless the stage or the reply's class forbids it.
    pub cause: Cause,
    /// The rules that hold, in reading order.
    pub holding: Vec<(RuleOutcome, &'a ReplyRule)>,
}

/// What became of a rule that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleOutcome {
    /// It decides.
    Wins,
    /// It holds too, but stands later in the order of reading.
    Loses,
}

impl ReplyRules {
    /// What is loaded.
    pub fn loaded(&self) -> LoadedRules<'_> {
        let mut counts = BTreeMap::new();
        for rule in self.iter() {
            *counts.entry((rule.origin().0, rule.tier())).or_default() += 1;
        }
        LoadedRules { counts }
    }

    /// Which rule wins on a reply, and which lose.
    pub fn trial(&self, reply: &Reply, at: &ReplyContext<'_>) -> RuleTrial<'_> {
        let outcomes = std::iter::once(RuleOutcome::Wins).chain(std::iter::repeat(RuleOutcome::Loses));
        RuleTrial {
            cause: self.read(reply, at).cause,
            holding: outcomes.zip(self.matching(reply, at)).collect(),
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
        for (outcome, rule) in &self.holding {
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
        let told: Vec<_> =
            trial.holding.iter().map(|(outcome, rule)| (*outcome, rule.id().as_str())).collect();
        assert_eq!(
            told,
            [
                (RuleOutcome::Wins, "user-unknown"),
                (RuleOutcome::Loses, "no-such-mailbox"),
                (RuleOutcome::Loses, "code-mailbox-unknown"),
                (RuleOutcome::Loses, "bare-refusal"),
            ]
        );
        assert!(trial.to_string().starts_with("mailbox_unknown: there is no such mailbox"));
    }

    #[test]
    fn what_is_loaded_adds_up() {
        let rules = ReplyRules::built_in();
        assert_eq!(rules.loaded().counts.values().sum::<usize>(), rules.iter().count());
    }
}
