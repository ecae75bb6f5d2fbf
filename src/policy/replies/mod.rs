//! What a reply means: the only place that searches the text of server replies.
//!
//! Owns the question "which cause does this reply have?". [`ReplyRules::classify`] answers it by rules that are data
//! (`policy/data/replies/`); nothing else may look into a reply's text for a meaning.
//!
//! | to see | open |
//! |---|---|
//! | how a reply gets its meaning, and what no rule can change | `rules.rs` |
//! | when one rule matches | `rule.rs` |
//! | which form of the text the rules see | `normalize.rs` |
//! | which part of a reply is read first | `reading.rs` |
//! | how a rules file is read and checked | `load.rs` |
//! | how several hundred patterns stay fast | `matching.rs`, `cache.rs` |
//! | what `policy check` and `policy show` print | `inspect.rs` |

mod cache;
mod inspect;
mod load;
mod matching;
mod normalize;
mod reading;
mod rule;
mod rules;

pub use cache::ReplyCache;
pub use load::RuleFile;
pub(crate) use normalize::comparable_text;
pub use rule::{ReplyContext, ReplyRule, RuleId};
pub use rules::{Meaning, ReplyRules};
