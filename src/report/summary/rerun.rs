//! The command line of a run, as it can be given again.
//!
//! Must not: hold a secret; a command line with one is not repeated.

/// The command line of a run, for the commands that follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rerun {
    /// The same command; `None` where it cannot be given again: its list came from stdin, or it holds a password.
    pub again: Option<String>,
    /// The flags of the command without its list and its outputs, with a blank in front; `None` where they hold a password.
    pub flags: Option<String>,
    /// A state keeps the answers: the same command asks only for what is unknown.
    pub keeps_answers: bool,
}

/// A word of a command line, in quotes for a shell where it needs them.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

impl Default for Rerun {
    /// Without a command line: settings come from elsewhere.
    fn default() -> Rerun {
        Rerun { again: None, flags: Some(String::new()), keeps_answers: false }
    }
}

impl Rerun {
    /// The words of a command as a line for a shell.
    pub fn line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
        words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_with_anything_special_is_quoted_for_a_shell() {
        for (word, line) in [
            ("out/a.csv", "out/a.csv"),
            ("my list.csv", "'my list.csv'"),
            ("it's", r"'it'\''s'"),
            ("undeliverable>5%", "'undeliverable>5%'"),
            ("$(x)", "'$(x)'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), line);
        }
    }
}
