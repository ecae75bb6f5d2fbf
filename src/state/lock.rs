//! The lock of a state file: one run at a time writes to it.
//!
//! Decides: which process holds the state. The operating system locks a file beside it (`state.db.lock`) and releases
//! it when the process ends, so a lock can't be stale. The lock file names the holder for people. All links to one
//! state lead to one lock. Must not: trust the content of the lock file, or overwrite a file that is no lock.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::StateError;
use crate::{secure_file, smtp};

/// A held lock, released when it is dropped.
#[derive(Debug)]
pub(crate) struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the lock of a state file.
    pub(crate) fn take(state: &Path, now: SystemTime) -> Result<StateLock, StateError> {
        let path = beside(state).map_err(|source| StateError::Unusable { file: state.to_owned(), source })?;
        let unusable = |source| StateError::Unusable { file: path.clone(), source };
        let mut file = open(&path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StateError::Locked { file: state.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        if !is_lock(&mut file).map_err(unusable)? {
            return Err(StateError::Foreign { file: path });
        }
        give_to_owner_of(state, &file);
        let words = format!("{}{STARTED}{}\n", std::process::id(), humantime::format_rfc3339_seconds(now));
        // The lock holds even if the holder's name can't be written.
        let _ = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(words.as_bytes()));
        Ok(StateLock { _file: file })
    }
}

impl StateLock {
    /// Who holds the lock of a state file; `None` if nothing does. Changes nothing.
    pub(crate) fn holder_of(state: &Path) -> Result<Option<String>, StateError> {
        let path = beside(state).map_err(|source| StateError::Unusable { file: state.to_owned(), source })?;
        let unusable = |source| StateError::Unusable { file: path.clone(), source };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(unusable(source)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(holder(&mut file))),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }
}

/// The text between a holder's process id and its start.
const STARTED: &str = ", started ";

/// The lock file of a state: beside the file itself, where links lead to it.
fn beside(state: &Path) -> io::Result<PathBuf> {
    let state = match state.canonicalize() {
        // A state that does not exist yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !state.is_symlink() => state.to_owned(),
        found => found?,
    };
    let mut name = state.into_os_string();
    name.push(".lock");
    Ok(name.into())
}

fn open(path: &Path) -> io::Result<File> {
    if path.is_symlink() {
        return Err(io::Error::other("it is a link, and a lock must be a file"));
    }
    secure_file::open(path)
}

/// True if a file is empty or names a holder as a lock does.
fn is_lock(file: &mut File) -> io::Result<bool> {
    let words = words(file)?;
    // After a power cut it may hold only zeros.
    let words = words.trim_end_matches('\0');
    let (process, since) = words.split_once(STARTED).unwrap_or_default();
    Ok(words.is_empty() || (process.parse::<u32>().is_ok() && !since.is_empty()))
}

/// Gives the lock to the owner of the state: a lock made by root would keep the owner out.
fn give_to_owner_of(state: &Path, file: &File) {
    if let (Ok(state), Ok(lock)) = (state.metadata(), file.metadata())
        && state.uid() != lock.uid()
    {
        let _ = fchown(file, Some(state.uid()), Some(state.gid()));
    }
}

/// The beginning of a lock file.
fn words(file: &mut File) -> io::Result<String> {
    const MOST_BYTES: u64 = 200;
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn holder(file: &mut File) -> String {
    match words(file) {
        Ok(words) if !words.trim().is_empty() => smtp::sanitize(words.trim()),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_lock_has_one_holder_and_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state.db");
        let now = SystemTime::UNIX_EPOCH;
        let held = StateLock::take(&state, now).unwrap();
        let Err(StateError::Locked { holder, .. }) = StateLock::take(&state, now) else {
            panic!("held twice")
        };
        assert_eq!(holder, format!("{}, started 1970-01-01T00:00:00Z", std::process::id()));
        drop(held);
        assert!(StateLock::take(&state, now).is_ok());
    }

    #[test]
    fn a_state_has_one_lock_by_all_its_names_and_no_other_file_is_used_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let (state, other) = (folder.path().join("state.db"), folder.path().join("other.db"));
        let (now, lock) = (SystemTime::UNIX_EPOCH, folder.path().join("other.db.lock"));
        secure_file::open(&state).unwrap();
        symlink(&state, &other).unwrap();
        let held = StateLock::take(&other, now).unwrap();
        assert!(matches!(StateLock::take(&state, now), Err(StateError::Locked { .. })));
        drop(held);
        std::fs::remove_file(&other).unwrap();
        secure_file::open(&lock).unwrap().write_all(b"dear diary").unwrap();
        assert!(matches!(StateLock::take(&other, now), Err(StateError::Foreign { .. })));
        assert_eq!(std::fs::read(&lock).unwrap(), b"dear diary");
        std::fs::remove_file(&lock).unwrap();
        symlink(&state, &lock).unwrap();
        assert!(
            matches!(StateLock::take(&other, now), Err(StateError::Unusable { file, .. }) if file == lock)
        );
        assert_eq!(std::fs::read(&state).unwrap(), b"");
    }
}
