//! Files and folders that only their owner can read, and temporary files that replace their target when they are
//! complete.
//!
//! Decides: the name of a temporary file (beside its target), and which process may write it. A process that is killed
//! leaves its temporary file behind; the next process that writes the same target removes it.
//! Fails: if another process is writing the same target. Can't know: on a file system without locks, whether another
//! process is; then the last one to finish wins.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError, symlink_metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

/// Creates a folder that only its owner can read, and its missing parents.
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Opens a file for reading and writing, and creates it if it is missing. From then on only its owner can read it.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    const OTHERS: u32 = 0o077;
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let mode = file.metadata()?.mode();
    if mode & OTHERS != 0 {
        // Fails for a user who may write the file but does not own it. Then its mode stays.
        let _ = file.set_permissions(Permissions::from_mode(mode & !OTHERS));
    }
    Ok(file)
}

/// An empty temporary file beside `target`, to be renamed to it when it is complete. It is removed when it is dropped.
/// The error is [`ErrorKind::ResourceBusy`] if another process has one.
pub(crate) fn create_temp_beside(target: &Path) -> io::Result<NamedTempFile> {
    let path = temp_path(target)?;
    loop {
        // Always a new file: one that exists may be a link, or readable by others.
        let file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                remove_stale(&path)?;
                continue;
            }
            created => created?,
        };
        lock(&file)?;
        // Before it was locked, another process may have removed it as a stale one.
        if is_at(&file, &path)? {
            return Ok(NamedTempFile::from_parts(file, TempPath::try_from_path(path)?));
        }
    }
}

/// Gives a complete temporary file its name, in place of an earlier file, so that the name outlasts a power cut. The file
/// itself must be synced before.
pub(crate) fn persist(file: NamedTempFile, target: &Path) -> io::Result<File> {
    let file = file.persist(target)?;
    sync_folder_of(target)?;
    Ok(file)
}

/// Writes the names in the folder of a file to the disk.
pub(crate) fn sync_folder_of(file: &Path) -> io::Result<()> {
    let folder = match file.parent().ok_or(ErrorKind::InvalidFilename)? {
        here if here.as_os_str().is_empty() => Path::new("."),
        folder => folder,
    };
    match File::open(folder)?.sync_all() {
        // Some file systems can't sync a folder.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// Removes the temporary file of `target` that a killed process left behind, if there is one.
pub(crate) fn remove_stale_temp(target: &Path) -> io::Result<()> {
    let path = temp_path(target)?;
    match symlink_metadata(&path) {
        Ok(_) => remove_stale(&path),
        Err(_) => Ok(()),
    }
}

/// The temporary file of a target: `out/.results.csv.part` for `out/results.csv`.
fn temp_path(target: &Path) -> io::Result<PathBuf> {
    let name = target.file_name().ok_or(ErrorKind::InvalidFilename)?;
    let mut temp = std::ffi::OsString::from(".");
    temp.push(name);
    temp.push(".part");
    Ok(target.with_file_name(temp))
}

fn remove_stale(path: &Path) -> io::Result<()> {
    let blocked = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => Ok(()),
        kind => Err(io::Error::new(kind, format!("`{}` is in the way: {error}", path.display()))),
    };
    match symlink_metadata(path) {
        Ok(meta) if !meta.is_file() => return blocked(io::Error::other("it is no file")),
        Ok(_) => {}
        Err(error) => return blocked(error),
    }
    // Network file systems lock only files that are open for writing.
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) => return blocked(error),
    };
    lock(&file)?;
    if is_at(&file, path)? { std::fs::remove_file(path).or_else(blocked) } else { Ok(()) }
}

/// Locks a file, or fails if another process holds the lock. The operating system releases the lock when the process
/// ends.
fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Err(io::Error::new(ErrorKind::ResourceBusy, "another process is writing it"))
        }
        // The error of a file system without locks is ignored.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// True if the open file is the one at this path now.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    Ok(symlink_metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (open.dev(), open.ino())))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests create stale files")]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_temporary_file_is_hidden_private_and_removed_with_its_writer() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("list.csv");
        let temp = create_temp_beside(&target).unwrap();
        assert_eq!(names(folder.path()), [".list.csv.part"]);
        assert_eq!(temp.as_file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        drop(temp);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_file_that_others_can_read_is_made_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.db");
        std::fs::write(&file, "kept").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let opened = open(&file).unwrap().metadata().unwrap();
        assert_eq!((opened.len(), opened.permissions().mode() & 0o777), (4, 0o600));
    }

    #[test]
    fn the_second_of_two_writers_gets_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("list.csv");
        let mut first = create_temp_beside(&target).unwrap();
        first.write_all(b"first").unwrap();
        for second in [create_temp_beside(&target).map(drop), remove_stale_temp(&target)] {
            assert_eq!(second.unwrap_err().kind(), ErrorKind::ResourceBusy);
        }
        persist(first, &target).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"first");
        create_temp_beside(&target).unwrap().persist(&target).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"");
    }

    #[test]
    fn a_stale_file_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, stale) = (folder.path().join("list.csv"), folder.path().join(".list.csv.part"));
        std::fs::write(&stale, "jane@acme.example").unwrap();
        std::fs::set_permissions(&stale, Permissions::from_mode(0o644)).unwrap();
        let fresh = create_temp_beside(&target).unwrap().as_file().metadata().unwrap();
        assert_eq!((fresh.len(), fresh.permissions().mode() & 0o777), (0, 0o600));
        std::fs::write(&stale, "jane@acme.example").unwrap();
        remove_stale_temp(&target).unwrap();
        remove_stale_temp(&target).unwrap();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (target, victim) = (folder.path().join("list.csv"), folder.path().join("target"));
        symlink(&victim, folder.path().join(".list.csv.part")).unwrap();
        assert!(
            create_temp_beside(&target)
                .unwrap_err()
                .to_string()
                .ends_with(".part` is in the way: it is no file")
        );
        assert!(!victim.exists());
    }
}
