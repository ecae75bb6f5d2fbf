//! What is printed: what was asked for to stdout, errors and hints to stderr.
//!
//! Decides: what happens where that can't be written. A stdout that is full is an error of its own; who stops reading it has
//! seen enough (`main` knows it by [`is_closed`]). A stderr that can't be written is nobody's trouble. Never panics, as
//! `println!` and its like do.

use std::io::{self, ErrorKind, Write};

use listproof::error::Error;

/// Prints a text to stdout, to its last byte.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    stdout(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints what nobody has to read: who closed stdout has seen enough.
pub(crate) fn offer(text: &str) -> Result<(), Error> {
    print(text).or_else(|error| if is_closed(&error) { Ok(()) } else { Err(error) })
}

/// Prints a text to stderr, if that can be.
pub(crate) fn tell(text: &str) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// What became of writing to stdout.
pub(crate) fn stdout(written: io::Result<()>) -> Result<(), Error> {
    written.map_err(|source| Error::Unwritable {
        what: "to stdout".to_owned(),
        hint: "make room where it goes, or send it elsewhere",
        source,
    })
}

/// True where nobody reads any more what is printed.
pub(crate) fn is_closed(error: &Error) -> bool {
    matches!(error, Error::Unwritable { source, .. } if source.kind() == ErrorKind::BrokenPipe)
}
