//! Files and folders that only their owner can look into, and files that stand beside their place until they are whole.
//!
//! Decides: under which name a file is written before it is in its place, and whose turn that is. A process that was killed
//! leaves such a part behind; the next one that writes there takes it away. Fails: where another process is writing there.
//! Can't know: that, on a file system without locks; then the last one wins.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError, symlink_metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

/// Makes a folder that only its owner can look into, and those above it that are missing.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Opens a file for reading and writing, of its owner's alone from now on; makes one where there is none.
pub fn open(path: &Path) -> io::Result<File> {
    const OTHERS: u32 = 0o077;
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let mode = file.metadata()?.mode();
    if mode & OTHERS != 0 {
        // Who may write it without being its owner can't close it.
        let _ = file.set_permissions(Permissions::from_mode(mode & !OTHERS));
    }
    Ok(file)
}

/// An empty file beside a place, for whatever goes there once it is whole. It is gone when it is dropped. The error is
/// [`ErrorKind::ResourceBusy`] where another process has one.
pub fn part(place: &Path) -> io::Result<NamedTempFile> {
    let path = part_path(place)?;
    loop {
        // Made anew each time: what somebody else put there may be a link, or open to others.
        let file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                remove_left_over(&path)?;
                continue;
            }
            made => made?,
        };
        lock(&file)?;
        // Somebody may have taken it for a left-over before it was locked.
        if is_at(&file, &path)? {
            return Ok(NamedTempFile::from_parts(file, TempPath::try_from_path(path)?));
        }
    }
}

/// Removes what a process that was killed left beside a place.
pub fn heal(place: &Path) -> io::Result<()> {
    let path = part_path(place)?;
    match symlink_metadata(&path) {
        Ok(_) => remove_left_over(&path),
        Err(_) => Ok(()),
    }
}

/// `out/results.csv` is written as `out/.results.csv.part`.
fn part_path(place: &Path) -> io::Result<PathBuf> {
    let name = place.file_name().ok_or(ErrorKind::InvalidFilename)?;
    let mut part = std::ffi::OsString::from(".");
    part.push(name);
    part.push(".part");
    Ok(place.with_file_name(part))
}

fn remove_left_over(path: &Path) -> io::Result<()> {
    let in_the_way = |why: io::Error| match why.kind() {
        ErrorKind::NotFound => Ok(()),
        kind => Err(io::Error::new(kind, format!("`{}` is in the way: {why}", path.display()))),
    };
    match symlink_metadata(path) {
        Ok(meta) if !meta.is_file() => return in_the_way(io::Error::other("it is no file")),
        Ok(_) => {}
        Err(error) => return in_the_way(error),
    }
    // A network file system locks only what may be written to.
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) => return in_the_way(error),
    };
    lock(&file)?;
    if is_at(&file, path)? { std::fs::remove_file(path).or_else(in_the_way) } else { Ok(()) }
}

/// The lock is the operating system's, and dies with its process.
fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Err(io::Error::new(ErrorKind::ResourceBusy, "another process is writing it"))
        }
        // A file system without locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Is this the file that has this name now?
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    Ok(symlink_metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "left-overs are made here")]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_part_is_hidden_private_and_gone_with_its_writer() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("list.csv");
        let part = part(&place).unwrap();
        assert_eq!(names(folder.path()), [".list.csv.part"]);
        assert_eq!(part.as_file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        drop(part);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn what_others_could_read_is_closed_to_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.db");
        std::fs::write(&file, "kept").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let opened = open(&file).unwrap().metadata().unwrap();
        assert_eq!((opened.len(), opened.permissions().mode() & 0o777), (4, 0o600));
    }

    #[test]
    fn of_two_writers_the_second_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("list.csv");
        let mut first = part(&place).unwrap();
        first.write_all(b"first").unwrap();
        for second in [part(&place).map(drop), heal(&place)] {
            assert_eq!(second.unwrap_err().kind(), ErrorKind::ResourceBusy);
        }
        first.persist(&place).unwrap();
        assert_eq!(std::fs::read(&place).unwrap(), b"first");
        part(&place).unwrap().persist(&place).unwrap();
        assert_eq!(std::fs::read(&place).unwrap(), b"");
    }

    #[test]
    fn what_was_left_over_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let (place, left) = (folder.path().join("list.csv"), folder.path().join(".list.csv.part"));
        std::fs::write(&left, "jane@acme.example").unwrap();
        std::fs::set_permissions(&left, Permissions::from_mode(0o644)).unwrap();
        let anew = part(&place).unwrap().as_file().metadata().unwrap();
        assert_eq!((anew.len(), anew.permissions().mode() & 0o777), (0, 0o600));
        std::fs::write(&left, "jane@acme.example").unwrap();
        heal(&place).unwrap();
        heal(&place).unwrap();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (place, target) = (folder.path().join("list.csv"), folder.path().join("target"));
        symlink(&target, folder.path().join(".list.csv.part")).unwrap();
        assert!(part(&place).unwrap_err().to_string().ends_with(".part` is in the way: it is no file"));
        assert!(!target.exists());
    }
}
