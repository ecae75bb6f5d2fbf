//! Files of a policy: how a user's file is read, and how a fault in one is reported.
//!
//! Decides: in which line a fault stands. Must not: know what the files mean; each kind has its own loader.

use std::io::ErrorKind;
use std::path::Path;

/// Why a policy file was rejected: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct PolicyError {
    /// The file as the user named it; a shipped file has its name in the source tree.
    pub file: String,
    /// Line in the file, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to do next.
    pub hint: String,
}

impl PolicyError {
    /// A fault of the TOML reader, with its line.
    pub fn toml(file: &str, text: &str, fault: &toml::de::Error) -> PolicyError {
        let hint = "the head of the shipped file says which keys there are and what they mean";
        let offset = fault.span().map_or(0, |span| span.start);
        PolicyError::at(file, text, offset, fault.message().to_owned(), hint)
    }

    /// A fault at a byte offset of a file's text.
    pub(super) fn at(file: &str, text: &str, offset: usize, what: String, hint: &str) -> PolicyError {
        PolicyError { file: file.to_owned(), line: line_at(text, offset), what, hint: hint.to_owned() }
    }
}

/// The line that holds a byte offset, counted from 1.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    1 + memchr::memchr_iter(b'\n', &text.as_bytes()[..offset.min(text.len())]).count()
}

/// The name and the text of a user's file.
pub(super) fn read_file(path: &Path, hint: &str) -> Result<(String, String), PolicyError> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((name, text)),
        Err(error) => {
            Err(PolicyError { file: name, line: 1, what: error.to_string(), hint: hint.to_owned() })
        }
    }
}

/// The path and the text of a file in a user's folder; `None` if the folder has no such file.
pub(super) fn read(folder: &Path, name: &str) -> Result<Option<(String, String)>, PolicyError> {
    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path.display().to_string(), text))),
        Err(error) if error.kind() == ErrorKind::NotFound && folder.is_dir() => Ok(None),
        Err(error) => Err(PolicyError {
            file: path.display().to_string(),
            line: 1,
            what: error.to_string(),
            hint: "`--policy` takes a folder that you may read".to_owned(),
        }),
    }
}
