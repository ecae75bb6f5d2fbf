//! A copy of what can't be read twice, in a temporary file.
//!
//! Decides: where that is. The file has no name, so nobody else can open it and nothing is left of it when the process ends,
//! however that happens. Fails: where the original can't be read, or the copy not be written; those are different troubles.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;

use crate::list::ListError;

const COPIED_BYTES: usize = 64 << 10;

/// Why there is no copy.
#[derive(Debug)]
pub(super) enum SpoolError {
    /// What is to be copied can't be read.
    Original(io::Error),
    /// The copy can't be written.
    Copy(io::Error),
}

impl From<io::Error> for SpoolError {
    fn from(error: io::Error) -> SpoolError {
        SpoolError::Original(error)
    }
}

impl SpoolError {
    /// The same about the list of this name.
    pub(super) fn of(self, name: &str) -> ListError {
        match self {
            SpoolError::Original(source) => ListError::Read { name: name.to_owned(), source },
            SpoolError::Copy(source) => ListError::spool(source),
        }
    }
}

/// A new file for a copy, for its owner alone.
pub(super) fn file() -> Result<File, SpoolError> {
    let file = tempfile::tempfile().map_err(SpoolError::Copy)?;
    file.set_permissions(Permissions::from_mode(0o600)).map_err(SpoolError::Copy)?;
    Ok(file)
}

/// Copies a stream to its end.
pub(super) fn copy(stream: &mut dyn Read) -> Result<File, SpoolError> {
    let mut copy = file()?;
    let mut buffer = vec![0; COPIED_BYTES];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(copy),
            Ok(n) => copy.write_all(&buffer[..n]).map_err(SpoolError::Copy)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_no_name_and_is_its_owners() {
        use std::os::unix::fs::{FileExt, MetadataExt};
        let mut stream: &[u8] = b"email\nann@x.example\n";
        let copy = copy(&mut stream).unwrap();
        let mut text = [0; 20];
        copy.read_exact_at(&mut text, 0).unwrap();
        let meta = copy.metadata().unwrap();
        assert_eq!(
            (&text[..], meta.nlink(), meta.mode() & 0o777),
            (&b"email\nann@x.example\n"[..], 0, 0o600)
        );
    }
}
