//! The lines that one session sent and received, for people to read (`--trace`).
//!
//! Decides: nothing. The server is not trusted: the number of lines and their lengths are bounded, and control
//! characters are removed.

use super::reply::{decode, sanitize};

/// How many lines are kept.
const MAX_LINES: usize = 1000;
/// How many bytes of a received line are kept.
const MAX_LINE_BYTES: usize = 512;

/// One line of the dialogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TranscriptLine {
    /// A line that we sent.
    Sent(String),
    /// A line that the server sent.
    Received(String),
    /// An event that is no line: connected, encrypted, ended.
    Note(String),
}

/// The lines of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    lines: Vec<TranscriptLine>,
    /// A received line whose end has not arrived yet.
    unfinished: Vec<u8>,
}

impl Transcript {
    /// The lines so far.
    pub fn lines(&self) -> &[TranscriptLine] {
        &self.lines
    }

    pub(super) fn sent(&mut self, bytes: &[u8]) {
        for line in bytes.split_inclusive(|&b| b == b'\n') {
            self.push(TranscriptLine::Sent(sanitize(&decode(line))));
        }
    }

    pub(super) fn received(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            let room = MAX_LINE_BYTES.saturating_sub(self.unfinished.len());
            self.unfinished.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.finish_line();
            }
        }
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        if !self.unfinished.is_empty() {
            self.finish_line();
        }
        self.push(TranscriptLine::Note(text.into()));
    }

    fn finish_line(&mut self) {
        let line = std::mem::take(&mut self.unfinished);
        self.push(TranscriptLine::Received(sanitize(&decode(&line))));
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
    fn lines_are_joined_and_hold_no_escape_sequences() {
        let mut transcript = Transcript::default();
        transcript.received(b"220 \x1b[2Jhe");
        transcript.received(b"llo\r\n250-a\n25");
        transcript.sent(b"MAIL FROM:<a@shop.example>\r\nRCPT TO:<b@shop.example>\r\n");
        transcript.note("closed");
        let expected = [
            TranscriptLine::Received("220  [2Jhello".into()),
            TranscriptLine::Received("250-a".into()),
            TranscriptLine::Sent("MAIL FROM:<a@shop.example>".into()),
            TranscriptLine::Sent("RCPT TO:<b@shop.example>".into()),
            TranscriptLine::Received("25".into()),
            TranscriptLine::Note("closed".into()),
        ];
        assert_eq!(transcript.lines(), expected);
    }

    #[test]
    fn a_flood_is_cut_off() {
        let mut transcript = Transcript::default();
        transcript.received(&b"x".repeat(1_000_000));
        transcript.received(b"\n");
        assert_eq!(transcript.lines(), [TranscriptLine::Received("x".repeat(MAX_LINE_BYTES))]);
        transcript.received(&b"y\n".repeat(10_000));
        assert_eq!(transcript.lines().len(), MAX_LINES + 1);
    }
}
