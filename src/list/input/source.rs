//! Where a list comes from, as a stream of its plain bytes that can be had more than once.
//!
//! Decides: whether the bytes are packed (gzip, Zstandard, a workbook) and how far unpacking may go. A file is opened once, so
//! that another one in its place, or none, is no matter; a stream that can't be read twice (stdin, a pipe) is copied first.
//! Must not: look at text. Fails: on what the system says, on damaged packing, on a bomb (a file that unpacks to far more than
//! lists do), and where somebody writes to the file meanwhile. Can't know: that, where its length and time stay the same.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::list::input::gzip::Gunzip;
use crate::list::input::spool;
use crate::list::{ListError, format, read_error};

/// Unpacking may give this many times the packed bytes; real lists reach 30, machine-made ones 100.
const MAX_RATIO: u64 = 250;
/// Below so many unpacked bytes the ratio does not matter.
const RATIO_COUNTS_FROM_BYTES: u64 = 16 << 20;
/// Unpacking stops here whatever the ratio: some ten times the largest list that one machine can verify.
const MAX_UNPACKED_BYTES: u64 = 64 << 30;
/// A Zstandard frame may ask for a window of so much memory (2^27 bytes, the format's own advice).
const MAX_ZSTD_WINDOW_LOG: u32 = 27;

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file, or a pipe that has a name.
    Path(PathBuf),
    /// Standard input.
    Stdin,
}

impl Source {
    /// The file that is named.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Source::Path(path) => Some(path),
            Source::Stdin => None,
        }
    }
}

/// How the bytes were packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// gzip, one member or many (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// The first sheet of an Excel workbook (XLSX).
    Workbook,
}

impl Compression {
    /// What it is called; `None` when there is nothing to call.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Compression::Plain => None,
            Compression::Gzip => Some("gzip"),
            Compression::Zstd => Some("zstd"),
            Compression::Workbook => Some("first sheet of an Excel workbook"),
        }
    }
}

/// A list's bytes, at rest: each [`Bytes::read`] starts at the first one.
#[derive(Debug)]
pub(super) struct Bytes {
    pub(super) name: String,
    /// The file that the user named, when it is one.
    pub(super) path: Option<PathBuf>,
    pub(super) compression: Compression,
    file: Arc<File>,
    /// The file when it was opened.
    seen: Seen,
}

/// What changes when somebody writes to a file. That it is moved or removed changes neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    len_bytes: u64,
    modified: SystemTime,
}

impl Seen {
    fn of(file: &File) -> io::Result<Seen> {
        let meta = file.metadata()?;
        Ok(Seen { len_bytes: meta.len(), modified: meta.modified()? })
    }
}

impl Bytes {
    pub(super) fn of(source: &Source) -> Result<Bytes, ListError> {
        let (name, path) = match source {
            Source::Stdin => ("stdin".to_owned(), None),
            Source::Path(path) => (path.display().to_string(), Some(path)),
        };
        let failed = |source| ListError::Read { name: name.clone(), source };
        let (file, path) = match path {
            None => (
                crate::list::input::spool::copy(&mut io::stdin().lock()).map_err(|error| error.of(&name))?,
                None,
            ),
            Some(path) => {
                let mut file = File::open(path).map_err(failed)?;
                let kind = file.metadata().map_err(failed)?;
                if kind.is_dir() {
                    return Err(ListError::Folder { name });
                }
                if kind.is_file() {
                    (file, Some(path.clone()))
                } else {
                    (crate::list::input::spool::copy(&mut file).map_err(|error| error.of(&name))?, None)
                }
            }
        };
        let seen = Seen::of(&file).map_err(failed)?;
        let mut bytes =
            Bytes { name: name.clone(), path, compression: Compression::Plain, file: Arc::new(file), seen };
        let mut magic = [0; 4];
        let filled = read_full(&mut bytes.open(), &mut magic).map_err(failed)?;
        bytes.compression = match &magic[..filled] {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            // A frame, or a skippable one in front of it (RFC 8878 3.1.1, 3.1.2).
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Compression::Zstd,
            b"PK\x03\x04" if format::is_workbook(bytes.open()) => {
                let sheet = format::spool(&bytes.open()).map_err(|error| error.of(&name))?;
                bytes.unchanged()?;
                bytes.seen = Seen::of(&sheet).map_err(failed)?;
                bytes.file = Arc::new(sheet);
                Compression::Workbook
            }
            _ => Compression::Plain,
        };
        Ok(bytes)
    }

    fn open(&self) -> SharedReader {
        SharedReader { file: self.file.clone(), at: 0 }
    }

    /// Fails where somebody has written to the file since it was opened: rows of two lists would be told as one.
    pub(super) fn unchanged(&self) -> Result<(), ListError> {
        let seen = Seen::of(&self.file).map_err(read_error(&self.name))?;
        if seen == self.seen { Ok(()) } else { Err(ListError::Changed { name: self.name.clone() }) }
    }

    /// What tells these bytes from all others: the first half of their SHA-256.
    pub(super) fn digest(&self) -> io::Result<[u8; 16]> {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        let mut file = self.open();
        let mut buffer = vec![0; 256 << 10];
        loop {
            let filled = read_full(&mut file, &mut buffer)?;
            if filled == 0 {
                let digest = context.finish();
                return Ok(*digest.as_ref().first_chunk().unwrap_or(&[0; 16]));
            }
            context.update(&buffer[..filled]);
        }
    }

    /// How many unpacked bytes there are; 0 where nobody can know that without unpacking them.
    pub(super) fn unpacked_len(&self) -> io::Result<u64> {
        match self.compression {
            Compression::Plain | Compression::Workbook => Ok(self.file.metadata()?.len()),
            Compression::Gzip | Compression::Zstd => Ok(0),
        }
    }

    /// The unpacked bytes from the first one on.
    pub(super) fn read(&self) -> io::Result<Box<dyn Read + Send>> {
        let file = self.open();
        let packed_bytes = self.file.metadata()?.len();
        let unpacked: Box<dyn Read + Send> = match self.compression {
            Compression::Plain | Compression::Workbook => return Ok(Box::new(file)),
            Compression::Gzip => Box::new(Gunzip::new(file)),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(file)?;
                decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
        };
        Ok(Box::new(Unpacked { inner: unpacked, packed_bytes, given_bytes: 0 }))
    }
}

/// A file from its first byte on, whoever else reads it at the same time.
#[derive(Clone, Debug)]
pub(super) struct SharedReader {
    file: Arc<File>,
    at: u64,
}

impl Read for SharedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for SharedReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// Reads until `buffer` is full or the stream ends; returns how much was read.
pub(super) fn read_full(stream: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Counts what comes out of a decoder and stops at a bomb.
struct Unpacked {
    inner: Box<dyn Read + Send>,
    packed_bytes: u64,
    given_bytes: u64,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.given_bytes += n as u64;
        let ratio_limit = RATIO_COUNTS_FROM_BYTES.max(self.packed_bytes.saturating_mul(MAX_RATIO));
        if self.given_bytes > ratio_limit {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it unpacks to more than {MAX_RATIO} times its size"),
            ));
        }
        if self.given_bytes > MAX_UNPACKED_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it unpacks to more than {} GiB", MAX_UNPACKED_BYTES >> 30),
            ));
        }
        Ok(n)
    }
}

/// The end of a path that names files: `contacts.csv.gz` gives `contacts`.
pub(super) fn stem(path: Option<&Path>) -> String {
    let name = path.and_then(Path::file_name).map(|name| name.to_string_lossy());
    let mut stem = name.as_deref().unwrap_or("stdin");
    for ending in [".gz", ".gzip", ".zst", ".zstd"] {
        stem = cut_ending(stem, ending);
    }
    for ending in
        [".csv", ".tsv", ".tab", ".txt", ".ndjson", ".jsonl", ".json", ".psv", ".list", ".xlsx", ".xlsm"]
    {
        let cut = cut_ending(stem, ending);
        if cut != stem {
            stem = cut;
            break;
        }
    }
    stem.to_owned()
}

/// Where results of that name go when no place is named.
pub(super) fn folder(stem: &str) -> PathBuf {
    PathBuf::from(format!("{stem}.listproof"))
}

fn cut_ending<'a>(name: &'a str, ending: &str) -> &'a str {
    let at = name.len().saturating_sub(ending.len());
    match name.split_at_checked(at) {
        Some((rest, end)) if !rest.is_empty() && end.eq_ignore_ascii_case(ending) => rest,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_named_after_the_list_without_its_endings() {
        for (path, expected) in [
            ("contacts.csv", "contacts"),
            ("a/b/contacts.v2.CSV.gz", "contacts.v2"),
            ("list.ndjson.zst", "list"),
            ("contacts.retry.csv", "contacts.retry"),
            ("contacts", "contacts"),
            (".csv", ".csv"),
            ("list.csv.csv", "list.csv"),
        ] {
            assert_eq!(stem(Some(Path::new(path))), expected, "{path}");
        }
        assert_eq!(stem(None), "stdin");
    }
}
