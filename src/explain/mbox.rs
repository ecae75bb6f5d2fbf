//! A mailbox file: messages one after the other.
//!
//! Decides: where a message ends (a `From ` line after a blank one), and what was quoted to keep it from looking like an
//! end (`>From `). Holds one message in memory, and of a large one only its start. Fails: only when reading fails.

use std::io::{self, BufRead};

/// More than this of a message is the returned mail, not the report.
const MOST_MESSAGE_BYTES: usize = 1 << 20;

/// The messages of an mbox, or the one message of a file.
pub(super) fn messages<R: BufRead>(input: R) -> Messages<R> {
    Messages { input }
}

/// See [`messages`].
pub(super) struct Messages<R> {
    input: R,
}

impl<R: BufRead> Iterator for Messages<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        let mut message = Vec::new();
        let mut line = Vec::new();
        let mut after_blank = true;
        loop {
            line.clear();
            match self.input.read_until(b'\n', &mut line) {
                Err(error) => return Some(Err(error)),
                Ok(0) => break,
                Ok(_) => {}
            }
            if line.starts_with(b"From ") && after_blank {
                if message.is_empty() {
                    continue;
                }
                break;
            }
            after_blank = line.trim_ascii().is_empty();
            if message.len() < MOST_MESSAGE_BYTES {
                message.extend_from_slice(unquoted(&line));
            }
        }
        (!message.is_empty()).then_some(Ok(message))
    }
}

/// `>From ` stands for `From `, `>>From ` for `>From `.
fn unquoted(line: &[u8]) -> &[u8] {
    let quotes = line.iter().take_while(|&&b| b == b'>').count();
    if quotes > 0 && line[quotes..].starts_with(b"From ") { &line[1..] } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_end_where_a_from_line_follows_a_blank_one() {
        let mbox = "From a Sat\nFrom b Sat\r\nSubject: 1\r\n\r\n>From there\r\nFrom here\r\n\r\nFrom c Sat\nSubject: 2\n\nlast";
        let all: Vec<String> =
            messages(mbox.as_bytes()).map(|message| String::from_utf8(message.unwrap()).unwrap()).collect();
        assert_eq!(all, ["Subject: 1\r\n\r\nFrom there\r\nFrom here\r\n\r\n", "Subject: 2\n\nlast"]);
        assert_eq!(messages(&b""[..]).count(), 0);
    }
}
