//! Patterns over the words of a reply, and an index that finds the few worth running.
//!
//! Decides: which literals every match of a pattern contains, and thereby which patterns can match a text. A pattern is
//! compiled on first use: a single check needs a handful of several hundred. Must not: know rules, causes or tiers.

use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Shorter literals occur in nearly every reply and would exclude no pattern.
const SHORTEST_LITERAL_BYTES: usize = 3;
/// A pattern that needs more alternatives is always a candidate: looking for them all costs more than it saves.
const MOST_LITERALS: usize = 96;

/// A regular expression over [`super::normalize::NormalizedReply::words`]: ASCII classes, any UTF-8 as literals.
#[derive(Debug)]
pub(super) struct Pattern {
    source: String,
    /// The number in the index, if the pattern is in one.
    number: Option<usize>,
    /// Every match contains at least one of these; empty if no such literals are known.
    literals: Vec<Vec<u8>>,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// Checks a pattern. The error is the text of the regex parser.
    pub(super) fn new(source: String) -> Result<Pattern, String> {
        let hir =
            ParserBuilder::new().unicode(false).utf8(false).build().parse(&source).map_err(|error| {
                match error {
                    regex_syntax::Error::Parse(error) => error.kind().to_string(),
                    regex_syntax::Error::Translate(error) => error.kind().to_string(),
                    other => other.to_string(),
                }
            })?;
        if hir.properties().minimum_len() == Some(0) {
            return Err("the pattern matches an empty text".to_owned());
        }
        let literals = needed_literals(&hir).unwrap_or_default();
        Ok(Pattern { source, number: None, literals, compiled: OnceLock::new() })
    }

    /// True if the pattern matches somewhere in the text. A pattern that is too large to compile matches nothing; the
    /// loader rejects such a rule of a user, because it does not match its own example.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(text.as_bytes()))
    }

    /// Where the last match ends.
    pub(super) fn last_end(&self, text: &str) -> Option<usize> {
        let last = self.regex()?.find_iter(text.as_bytes()).last()?;
        text.is_char_boundary(last.end()).then(|| last.end())
    }

    /// The text with `;` in place of every match.
    pub(super) fn cut_from(&self, text: String) -> String {
        let Some(regex) = self.regex() else { return text };
        match regex.replace_all(text.as_bytes(), &b";"[..]) {
            Cow::Borrowed(_) => text,
            Cow::Owned(cut) => String::from_utf8_lossy(&cut).into_owned(),
        }
    }

    fn regex(&self) -> Option<&Regex> {
        let compile = || {
            let mut builder = RegexBuilder::new(&self.source);
            builder.unicode(false).size_limit(4 << 20).dfa_size_limit(4 << 20).build().ok()
        };
        self.compiled.get_or_init(compile).as_ref()
    }
}

/// Literals of which every match contains at least one; `None` if there are no useful ones.
fn needed_literals(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            (literal.0.len() >= SHORTEST_LITERAL_BYTES).then(|| vec![literal.0.to_vec()])
        }
        HirKind::Capture(capture) => needed_literals(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => needed_literals(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(needed_literals).max_by_key(|set| selectivity(set)),
        HirKind::Alternation(parts) => {
            let sets: Option<Vec<_>> = parts.iter().map(needed_literals).collect();
            sets.map(|sets| sets.concat()).filter(|set| set.len() <= MOST_LITERALS)
        }
        _ => None,
    }
}

/// How well a set of literals excludes texts: longer literals are rarer; among equals, fewer are better.
fn selectivity(set: &[Vec<u8>]) -> (usize, usize) {
    let shortest = set.iter().map(Vec::len).min().unwrap_or(0);
    (shortest, MOST_LITERALS.saturating_sub(set.len()))
}

/// Finds the patterns that may match a text, in one pass over it.
#[derive(Debug)]
pub(super) struct LiteralIndex {
    literals: Option<AhoCorasick>,
    /// The patterns that need each literal.
    owners: Vec<Vec<usize>>,
    /// Patterns without a needed literal: always candidates.
    always: Vec<usize>,
    patterns: usize,
}

impl LiteralIndex {
    /// An index of these patterns; it numbers them.
    pub(super) fn new<'a>(all: impl Iterator<Item = &'a mut Pattern>) -> LiteralIndex {
        let mut by_literal = BTreeMap::<&[u8], Vec<usize>>::new();
        let mut always = Vec::new();
        let mut patterns = 0;
        for pattern in all {
            pattern.number = Some(patterns);
            let pattern = &*pattern;
            if pattern.literals.is_empty() {
                always.push(patterns);
            }
            for literal in &pattern.literals {
                by_literal.entry(literal).or_default().push(patterns);
            }
            patterns += 1;
        }
        let literals = AhoCorasick::new(by_literal.keys()).ok();
        if literals.is_none() {
            // Happens only with gigabytes of policy. Then every pattern is a candidate for every text.
            always = (0..patterns).collect();
        }
        let owners = by_literal.into_values().collect();
        LiteralIndex { literals, owners, always, patterns }
    }

    /// The patterns that may match the text.
    pub(super) fn candidates(&self, text: &str) -> Candidates {
        let mut found = Candidates(vec![0; self.patterns.div_ceil(64)]);
        self.always.iter().for_each(|&pattern| found.add(pattern));
        for hit in self.literals.iter().flat_map(|literals| literals.find_overlapping_iter(text)) {
            self.owners[hit.pattern().as_usize()].iter().for_each(|&pattern| found.add(pattern));
        }
        found
    }
}

/// A set of patterns by their numbers.
pub(super) struct Candidates(Vec<u64>);

impl Candidates {
    fn add(&mut self, pattern: usize) {
        self.0[pattern / 64] |= 1 << (pattern % 64);
    }

    /// True if the pattern may match. Of a pattern outside the index this is not known, so it may.
    pub(super) fn contains(&self, pattern: &Pattern) -> bool {
        pattern.number.is_none_or(|number| self.0[number / 64] & (1 << (number % 64)) != 0)
    }
}
