//! Remembers what replies meant: servers say the same few sentences over and over.
//!
//! Decides: which replies are one sentence: those that differ in nothing but the addresses that they name. Such an address
//! is no word, whichever it is ([`super::normalize`]), so that they mean the same to [`super::ReplyRules::read`], which knows
//! nothing but the words, the stage and the operator. Memory is bounded: when it is full it begins anew.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::{Meaning, ReplyContext};
use crate::policy::Policy;
use crate::smtp::{Reply, Stage};

/// So many sentences are remembered, about 300 bytes each.
const REMEMBERED: usize = 4096;

/// Stands for an address. No reply holds it.
const ADDRESS: char = '\0';

/// Reads replies, each sentence once.
#[derive(Debug)]
pub struct ReplyCache {
    /// Its rules are loaded when the first reply is read.
    policy: Policy,
    /// By hash; what it is the hash of stands beside the meaning, so that two never share one.
    known: HashMap<u64, CachedMeaning, RandomState>,
    /// The sentence that is being read.
    sentence: String,
}

#[derive(Debug)]
struct CachedMeaning {
    stage: Stage,
    provider: Option<Box<str>>,
    code: u16,
    sentence: Box<str>,
    meaning: Arc<Meaning>,
}

impl ReplyCache {
    /// Reads by the rules of this policy.
    pub fn of(policy: Policy) -> ReplyCache {
        ReplyCache { policy, known: HashMap::default(), sentence: String::new() }
    }

    /// What [`super::ReplyRules::read`] says.
    pub fn read(&mut self, reply: &Reply, at: &ReplyContext<'_>) -> Arc<Meaning> {
        self.sentence.clear();
        for line in &reply.lines {
            without_addresses(line, &mut self.sentence);
            self.sentence.push('\n');
        }
        let hash = self.known.hasher().hash_one((at.stage, at.provider, reply.code, &self.sentence));
        if let Some(known) = self.known.get(&hash)
            && known.stage == at.stage
            && known.provider.as_deref() == at.provider
            && known.code == reply.code
            && *known.sentence == *self.sentence
        {
            return known.meaning.clone();
        }
        let meaning = Arc::new(self.policy.replies().read(reply, at));
        if self.known.len() == REMEMBERED {
            self.known.clear();
        }
        let known = CachedMeaning {
            stage: at.stage,
            provider: at.provider.map(Into::into),
            code: reply.code,
            sentence: self.sentence.as_str().into(),
            meaning: meaning.clone(),
        };
        self.known.insert(hash, known);
        meaning
    }
}

/// Appends a line with a mark for each plain address that stands alone or in angle brackets. Any other stays as it is: with
/// a quote, a colon or a code at it, it is not plain where it begins and ends.
fn without_addresses(line: &str, out: &mut String) {
    let mut copied = 0;
    for at in memchr::memchr_iter(b'@', line.as_bytes()) {
        let Some(before) = line.get(copied..at) else { continue };
        let local = before.len() - before.bytes().rev().take_while(|b| is_of_local_part(*b)).count();
        let (opens, local) = (before[..local].bytes().last(), &before[local..]);
        let after = &line[at + 1..];
        let domain = &after[..after.bytes().take_while(|b| is_of_domain(*b)).count()];
        let closes = after.as_bytes().get(domain.len());
        let stands_alone =
            matches!(opens, None | Some(b' ' | b'<')) && matches!(closes, None | Some(b' ' | b'>'));
        // At the start of what is left of a line stands what was copied before.
        let is_cut = opens.is_none() && copied > 0;
        let ends_well = domain.bytes().last().is_some_and(|b| b.is_ascii_alphanumeric());
        if stands_alone && !is_cut && ends_well && !local.is_empty() && !may_begin_with_code(local) {
            out.push_str(&before[..before.len() - local.len()]);
            out.push(ADDRESS);
            copied = at + 1 + domain.len();
        }
    }
    out.push_str(&line[copied..]);
}

fn is_of_local_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+')
}

fn is_of_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')
}

/// `550-jane@acme.example`: a line of a reply in a reply.
fn may_begin_with_code(local: &str) -> bool {
    local.as_bytes().get(3) == Some(&b'-') && local.as_bytes()[..3].iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::replies::normalize::NormalizedReply;
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

    fn sentence(line: &str) -> String {
        let mut out = String::new();
        without_addresses(line, &mut out);
        out
    }

    #[test]
    fn an_address_is_left_out_where_it_is_sure_to_be_no_word() {
        for (line, expected) in [
            ("5.1.1 <jane@acme.example>: no such user", "5.1.1 <\0>: no such user"),
            ("jane.lee+a_b-c@mx-1.acme.example", "\0"),
            ("a@b.example c@d.example", "\0 \0"),
            ("<a@b.example><c@d.example>", "<\0><\0>"),
            ("550-jane@acme.example unknown", "550-jane@acme.example unknown"),
            ("rcpt=jane@acme.example unknown", "rcpt=jane@acme.example unknown"),
            ("jane@acme.example. Later", "jane@acme.example. Later"),
            ("jane@acme.example, later", "jane@acme.example, later"),
            ("jane@acme.example:550 unknown", "jane@acme.example:550 unknown"),
            ("\"jane lee\"@acme.example", "\"jane lee\"@acme.example"),
            ("ä@acme.example a@ä.example", "ä@acme.example a@ä.example"),
            ("a@b@c.example @ a@ @b", "a@b@c.example @ a@ @b"),
        ] {
            assert_eq!(sentence(line), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_remembered_is_what_would_be_read(asked in prop::collection::vec((0..6usize, 0..3usize, 0..3usize), 1..60)) {
            let policy = Policy::built_in();
            let mut recent = ReplyCache::of(policy);
            for (text, stage, provider) in asked {
                let reply = Reply::parse(TEXTS[text].as_bytes()).unwrap();
                let at = ReplyContext { stage: STAGES[stage], provider: [None, Some("google"), Some("gmx")][provider] };
                prop_assert_eq!(&*recent.read(&reply, &at), &policy.replies().read(&reply, &at));
            }
        }

        #[test]
        fn replies_of_one_sentence_have_one_form(
            parts in prop::collection::vec((any::<bool>(), "[ -~ä]{0,6}|5.1.1| |<|>|550|550-|ip="), 0..8),
            one in "[a-z0-9._+-]{1,6}@[a-z0-9.-]{1,6}",
            other in "[a-zA-Z0-9._+-]{1,6}@[a-z0-9.-]{1,6}",
        ) {
            let text = |address: &str| -> String {
                parts.iter().map(|(is_address, part)| if *is_address { address } else { part }).collect()
            };
            let (one, other) = (text(&one), text(&other));
            if sentence(&one) == sentence(&other) {
                let form = |text: &str| NormalizedReply::of(&Reply { code: 550, enhanced: None, lines: vec![text.to_owned()] });
                prop_assert_eq!(form(&one), form(&other), "{:?} and {:?}", one, other);
            }
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut recent = ReplyCache::of(Policy::built_in());
        let at = ReplyContext { stage: Stage::Rcpt, provider: None };
        for number in 0..=REMEMBERED {
            recent.read(&Reply::parse(format!("550 no mailbox {number} here\r\n").as_bytes()).unwrap(), &at);
        }
        assert_eq!(recent.known.len(), 1);
    }
}
