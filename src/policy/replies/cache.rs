//! A cache of classified replies: servers send the same few sentences again and again.
//!
//! Decides: which replies are the same sentence, namely those that differ only in the addresses that they name. Rules see
//! every address as `@` (`normalize.rs`), and `ReplyRules::classify` depends on nothing but the words, the stage and the
//! provider; so replies of one sentence have one meaning. Memory is bounded: a full cache is emptied.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::rule::ReplyContext;
use super::rules::Meaning;
use crate::policy::Policy;
use crate::smtp::{Reply, Stage};

/// The capacity in bytes. Most sentences need about 300; an untrusted server may send others.
const CAPACITY: usize = 4096 * 300;
/// Memory of a cached meaning beside its sentence; rough.
const BYTES_OF_MEANING: usize = 200;

/// Stands for an address in a sentence. No reply contains this character.
const ADDRESS: char = '\0';

/// Classifies replies, each sentence once.
#[derive(Debug)]
pub struct ReplyCache {
    /// Its rules are loaded when the first reply is classified.
    policy: Policy,
    /// The key is a hash of sentence and context. The value repeats both, so that a hash collision is detected.
    meanings: HashMap<u64, CachedMeaning, RandomState>,
    bytes: usize,
    /// Buffer for the sentence of the current reply.
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
    /// An empty cache over the rules of a policy.
    pub fn of(policy: Policy) -> ReplyCache {
        ReplyCache { policy, meanings: HashMap::default(), bytes: 0, sentence: String::new() }
    }

    /// The same meaning as `ReplyRules::classify`.
    pub fn classify(&mut self, reply: &Reply, context: &ReplyContext<'_>) -> Arc<Meaning> {
        self.sentence.clear();
        for line in &reply.lines {
            append_without_addresses(line, &mut self.sentence);
            self.sentence.push('\n');
        }
        let hash =
            self.meanings.hasher().hash_one((context.stage, context.provider, reply.code, &self.sentence));
        if let Some(cached) = self.meanings.get(&hash)
            && cached.stage == context.stage
            && cached.provider.as_deref() == context.provider
            && cached.code == reply.code
            && *cached.sentence == *self.sentence
        {
            return cached.meaning.clone();
        }
        let meaning = Arc::new(self.policy.replies().classify(reply, context));
        if self.bytes >= CAPACITY {
            self.meanings.clear();
            self.bytes = 0;
        }
        self.bytes += BYTES_OF_MEANING + self.sentence.len();
        let cached = CachedMeaning {
            stage: context.stage,
            provider: context.provider.map(Into::into),
            code: reply.code,
            sentence: self.sentence.as_str().into(),
            meaning: meaning.clone(),
        };
        self.meanings.insert(hash, cached);
        meaning
    }
}

/// Appends a line with [`ADDRESS`] in place of each plain address that stands alone or in angle brackets. Any other address
/// stays: beside a quote, a colon or a code it is not clear where it begins and ends.
fn append_without_addresses(line: &str, out: &mut String) {
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
        // Text directly after a replaced address is not an address of its own.
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

/// True for `550-jane@acme.example`: a line of a quoted reply.
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
        append_without_addresses(line, &mut out);
        out
    }

    #[test]
    fn an_address_is_left_out_where_its_ends_are_clear() {
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
        fn a_cached_meaning_is_the_meaning(drawn in prop::collection::vec((0..6usize, 0..3usize, 0..3usize), 1..60)) {
            let policy = Policy::built_in();
            let mut cache = ReplyCache::of(policy);
            for (text, stage, provider) in drawn {
                let reply = Reply::parse(TEXTS[text].as_bytes()).unwrap();
                let context = ReplyContext { stage: STAGES[stage], provider: [None, Some("google"), Some("gmx")][provider] };
                prop_assert_eq!(&*cache.classify(&reply, &context), &policy.replies().classify(&reply, &context));
            }
        }

        #[test]
        fn replies_of_one_sentence_have_one_normal_form(
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
        let context = ReplyContext { stage: Stage::Rcpt, provider: None };
        for (length, most) in [(2_000, CAPACITY / 2_000), (3_500, CAPACITY / 3_500)] {
            let mut cache = ReplyCache::of(Policy::built_in());
            let filler = "x".repeat(length);
            for number in 0..=most {
                let reply = Reply::parse(format!("550 no mailbox {number} {filler}\r\n").as_bytes()).unwrap();
                cache.classify(&reply, &context);
            }
            assert!((1..most).contains(&cache.meanings.len()), "{length}: {}", cache.meanings.len());
            let bytes: usize = cache.meanings.values().map(|cached| cached.sentence.len()).sum();
            assert!(bytes <= CAPACITY, "{length}: {bytes}");
        }
    }
}
