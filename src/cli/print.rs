//! Printing: results to stdout, errors and hints to stderr.
//!
//! Decides: what happens where that fails. A full stdout is an error of its own; a reader that closed stdout has seen enough
//! (`command` recognizes it by [`is_closed`]). A stderr that cannot be written is ignored. Must not: panic, as `println!`
//! does.

use std::io::{self, ErrorKind, Write};

use listproof::Error;

/// Prints a text to stdout, to its last byte.
pub(super) fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    to_stdout(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints a text that is not a result to stdout: a closed stdout is no error.
pub(super) fn print_note(text: &str) -> Result<(), Error> {
    print(text).or_else(|error| if is_closed(&error) { Ok(()) } else { Err(error) })
}

/// Prints a text to stderr, if that is possible.
pub(super) fn to_stderr(text: &str) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The outcome of a write to stdout as an outcome of the program.
pub(super) fn to_stdout(written: io::Result<()>) -> Result<(), Error> {
    written.map_err(|source| Error::Unwritable {
        what: "to stdout".to_owned(),
        hint: "make room where it goes, or send it elsewhere",
        source,
    })
}

/// True for a stdout whose reader has gone.
pub(super) fn is_closed(error: &Error) -> bool {
    matches!(error, Error::Unwritable { source, .. } if source.kind() == ErrorKind::BrokenPipe)
}
