//! What was said and heard in one session, line by line, for people (`--trace`).
//!
//! Decides: nothing. Keeps a bounded number of bounded lines, free of controls: what a server says is a stranger's.

use super::reply::{clean, decode};

/// Most lines kept.
const MAX_LINES: usize = 1000;
/// Most bytes kept of a heard line.
const MAX_LINE_BYTES: usize = 512;

/// One line of the dialogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TranscriptLine {
    /// We said it.
    Said(String),
    /// The server said it.
    Heard(String),
    /// What happened beside the words: connected, encrypted, cut.
    Note(String),
}

/// The lines of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    lines: Vec<TranscriptLine>,
    /// A heard line whose end has not come yet.
    begun: Vec<u8>,
}

impl Transcript {
    /// The lines so far.
    pub fn lines(&self) -> &[TranscriptLine] {
        &self.lines
    }

    pub(super) fn said(&mut self, bytes: &[u8]) {
        for line in bytes.split_inclusive(|&b| b == b'\n') {
            self.push(TranscriptLine::Said(clean(&decode(line))));
        }
    }

    pub(super) fn heard(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            let room = MAX_LINE_BYTES.saturating_sub(self.begun.len());
            self.begun.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.finish_heard();
            }
        }
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        if !self.begun.is_empty() {
            self.finish_heard();
        }
        self.push(TranscriptLine::Note(text.into()));
    }

    fn finish_heard(&mut self) {
        let line = std::mem::take(&mut self.begun);
        self.push(TranscriptLine::Heard(clean(&decode(&line))));
    }

    fn push(&mut self, line: TranscriptLine) {
        if self.lines.len() < MAX_LINES {
            self.lines.push(line);
        } else if self.lines.len() == MAX_LINES {
            self.lines.push(TranscriptLine::Note(format!("cut after {MAX_LINES} lines")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_came_and_hold_no_escapes() {
        let mut transcript = Transcript::default();
        transcript.heard(b"220 \x1b[2Jhe");
        transcript.heard(b"llo\r\n250-a\n25");
        transcript.said(b"MAIL FROM:<a@shop.example>\r\nRCPT TO:<b@shop.example>\r\n");
        transcript.note("hung up");
        let expected = [
            TranscriptLine::Heard("220  [2Jhello".into()),
            TranscriptLine::Heard("250-a".into()),
            TranscriptLine::Said("MAIL FROM:<a@shop.example>".into()),
            TranscriptLine::Said("RCPT TO:<b@shop.example>".into()),
            TranscriptLine::Heard("25".into()),
            TranscriptLine::Note("hung up".into()),
        ];
        assert_eq!(transcript.lines(), expected);
    }

    #[test]
    fn a_flood_is_cut() {
        let mut transcript = Transcript::default();
        transcript.heard(&b"x".repeat(1_000_000));
        transcript.heard(b"\n");
        assert_eq!(transcript.lines(), [TranscriptLine::Heard("x".repeat(MAX_LINE_BYTES))]);
        transcript.heard(&b"y\n".repeat(10_000));
        assert_eq!(transcript.lines().len(), MAX_LINES + 1);
    }
}
