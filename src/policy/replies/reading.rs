//! Which part of a reply is read first: the reason that it gives, or its last line.
//!
//! Decides: where the reason begins (after `because`, `due to`, an arrow), which line is the last one that says something,
//! and whether words that no rule knows may be about the sender. The phrases are data (`[reading]` in
//! `data/replies/words.toml`). Must not: say what a part means; `rules.rs` weighs it against the whole reply.

use super::matching::Pattern;
use super::normalize::NormalizedReply;

/// How replies are read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Phrases after which a reason follows.
    pub(super) reason: Option<Pattern>,
    /// Lines that only say where to read more.
    pub(super) pointer: Option<Pattern>,
    /// Words that may be about the sender.
    pub(super) about_us: Option<Pattern>,
    /// Words about a recipient.
    pub(super) about_recipient: Option<Pattern>,
    /// Words of a rejection that say nothing about whom it concerns.
    pub(super) neutral: Vec<String>,
    /// Providers whose documentation says that the last line decides.
    pub(super) last_line_decides: Vec<String>,
}

/// A part of a reply that is read before the whole.
pub(super) struct Part {
    /// The part as a reply with the codes of the whole.
    pub(super) reply: NormalizedReply,
    /// What the part is.
    pub(super) kind: PartKind,
}

/// What a part is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PartKind {
    /// The reason that the reply gives.
    Reason,
    /// The last of several lines.
    LastLine,
    /// The last of several lines, at a provider whose last line alone decides.
    DecidingLine,
}

impl Reading {
    /// The part of a reply that is read first, if it has one.
    pub(super) fn first_part(&self, whole: &NormalizedReply, provider: Option<&str>) -> Option<Part> {
        let decides = provider.is_some_and(|id| self.last_line_decides.iter().any(|listed| listed == id));
        if let Some((line, _)) = self.last_line(whole).filter(|_| decides) {
            return Some(Part { reply: whole.with_words(line), kind: PartKind::DecidingLine });
        }
        if let Some(reason) = self.reason(&whole.words) {
            return Some(Part { reply: whole.with_words(reason), kind: PartKind::Reason });
        }
        // A line that continues a sentence says little alone.
        let (line, _) = self.last_line(whole).filter(|(_, begins_sentence)| *begins_sentence)?;
        Some(Part { reply: whole.with_words(line), kind: PartKind::LastLine })
    }

    /// The text after the last phrase that announces a reason, to the end of its sentence.
    fn reason<'w>(&self, words: &'w str) -> Option<&'w str> {
        let start = self.reason.as_ref()?.last_end(words)?;
        let reason = words[start..].trim_start_matches([' ', ':', ',', ';', '.']);
        let end = reason.find(". ").unwrap_or(reason.len());
        Some(&reason[..end]).filter(|reason| !reason.is_empty())
    }

    /// The last line of several, without lines that only say where to read more, and whether it begins a sentence.
    fn last_line<'w>(&self, whole: &'w NormalizedReply) -> Option<(&'w str, bool)> {
        let is_pointer = |line: &str| self.pointer.as_ref().is_some_and(|pointer| pointer.matches(line));
        let lines = whole.lines().filter(|(line, _)| !line.is_empty() && !is_pointer(line));
        let (mut count, mut last) = (0, None);
        for line in lines {
            count += 1;
            last = Some(line);
        }
        last.filter(|_| count > 1)
    }

    /// True if words that no rule knows may be about the sender: they name the sender, and no recipient.
    pub(super) fn may_be_about_us(&self, words: &str, words_about_mailbox: &str) -> bool {
        self.about_us.as_ref().is_some_and(|pattern| pattern.matches(words))
            && !self.is_about_recipient(words_about_mailbox)
    }

    /// True if a positive control can explain these words: they are about a recipient, or they say nothing at all.
    pub(super) fn can_be_explained(&self, words: &str, words_about_mailbox: &str) -> bool {
        let is_neutral = |word: &str| {
            let word = word.trim_matches(|c: char| !c.is_alphanumeric());
            word.bytes().all(|b| b.is_ascii_digit()) || self.neutral.iter().any(|known| known == word)
        };
        self.is_about_recipient(words_about_mailbox) || words.split(' ').all(is_neutral)
    }

    fn is_about_recipient(&self, words_about_mailbox: &str) -> bool {
        self.about_recipient.as_ref().is_some_and(|pattern| pattern.matches(words_about_mailbox))
    }
}
