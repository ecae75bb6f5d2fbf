//! One run per state file.
//!
//! Decides: who holds it, by a lock of the operating system on a file beside it, which dies with its process: a stale
//! lock can't be. The file names the holder for people. Must not: trust what stands in it.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::StateError;
use crate::private;

/// A held lock; let go when it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a state file.
    pub fn take(state: &Path, now: SystemTime) -> Result<Lock, StateError> {
        let unusable = |source| StateError::Unusable { file: state.to_owned(), source };
        let mut file = private::open(&beside(state)).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StateError::Held { file: state.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let words = format!("{}, started {}\n", std::process::id(), humantime::format_rfc3339_seconds(now));
        // Whoever can't read who holds it still can't have it.
        let _ = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(words.as_bytes()));
        Ok(Lock { _file: file })
    }
}

fn beside(state: &Path) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn holder(file: &mut File) -> String {
    const MOST_BYTES: u64 = 200;
    let mut words = String::new();
    let read = file.take(MOST_BYTES).read_to_string(&mut words);
    match (read, words.trim()) {
        (Ok(_), words) if !words.is_empty() => crate::smtp::reply::clean(words),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_by_one_and_names_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state.db");
        let now = SystemTime::UNIX_EPOCH;
        let held = Lock::take(&state, now).unwrap();
        let Err(StateError::Held { holder, .. }) = Lock::take(&state, now) else { panic!("held twice") };
        assert_eq!(holder, format!("{}, started 1970-01-01T00:00:00Z", std::process::id()));
        drop(held);
        assert!(Lock::take(&state, now).is_ok());
    }
}
