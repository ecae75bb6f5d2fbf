//! Remembers what replies meant: servers say the same few sentences over and over.
//!
//! Decides: nothing; a reply whose form was read before at the same stage and operator means the same, because
//! [`super::ReplyRules::read`] knows nothing else. The form leaves out whom a reply names, so each address is not another one.
//! Memory is bounded: when it is full it begins anew.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::form::Heard;
use super::{Context, Meaning};
use crate::policy::Policy;
use crate::smtp::{Reply, Stage};

/// So many replies are remembered, about 300 bytes each.
const REMEMBERED: usize = 4096;

/// Reads replies, each wording once.
#[derive(Debug)]
pub struct RecentReplies {
    /// Its rules are loaded when the first reply is read.
    policy: Policy,
    /// By hash; what it is the hash of stands beside the meaning, so that two never share one.
    known: HashMap<u64, Known, RandomState>,
}

#[derive(Debug)]
struct Known {
    stage: Stage,
    provider: Option<Box<str>>,
    form: Heard,
    meaning: Meaning,
}

impl RecentReplies {
    /// Reads by the rules of this policy.
    pub fn of(policy: Policy) -> RecentReplies {
        RecentReplies { policy, known: HashMap::default() }
    }

    /// What [`super::ReplyRules::read`] says.
    pub fn read(&mut self, reply: &Reply, at: &Context<'_>) -> Meaning {
        let form = Heard::of(reply);
        let hash = self.known.hasher().hash_one((at.stage, at.provider, &form));
        if let Some(known) = self.known.get(&hash)
            && known.stage == at.stage
            && known.provider.as_deref() == at.provider
            && known.form == form
        {
            return known.meaning.clone();
        }
        let meaning = self.policy.replies().read_form(&form, at);
        if self.known.len() == REMEMBERED {
            self.known.clear();
        }
        let known =
            Known { stage: at.stage, provider: at.provider.map(Into::into), form, meaning: meaning.clone() };
        self.known.insert(hash, known);
        meaning
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STAGES: [Stage; 3] = [Stage::Connect, Stage::Mail, Stage::Rcpt];
    const TEXTS: [&str; 6] = [
        "550 5.1.1 no such user\r\n",
        "550 5.1.1 <jane@acme.example>: no such user\r\n",
        "550 5.1.1 <joe@acme.example>: no such user\r\n",
        "550 5.7.1 denied\r\n",
        "451 later\r\n",
        "250 ok\r\n",
    ];

    proptest! {
        #[test]
        fn what_is_remembered_is_what_would_be_read(asked in prop::collection::vec((0..6usize, 0..3usize, 0..3usize), 1..60)) {
            let policy = Policy::built_in();
            let mut recent = RecentReplies::of(policy);
            for (text, stage, provider) in asked {
                let reply = Reply::parse(TEXTS[text].as_bytes()).unwrap();
                let at = Context { stage: STAGES[stage], provider: [None, Some("google"), Some("gmx")][provider] };
                prop_assert_eq!(recent.read(&reply, &at), policy.replies().read(&reply, &at));
            }
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut recent = RecentReplies::of(Policy::built_in());
        let at = Context { stage: Stage::Rcpt, provider: None };
        for number in 0..=REMEMBERED {
            recent.read(&Reply::parse(format!("550 no mailbox {number} here\r\n").as_bytes()).unwrap(), &at);
        }
        assert_eq!(recent.known.len(), 1);
    }
}
