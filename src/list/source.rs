//! Where a list comes from, as a stream of its plain bytes that can be had more than once.
//!
//! Decides: whether the bytes are packed (gzip, Zstandard, a workbook) and how far unpacking may go. A stream that can't be read
//! twice (stdin, a pipe) is first copied to a file that only its owner can read. Must not: look at text.
//! Fails: on what the system says, on damaged packing, and on a bomb: a file that unpacks to far more than lists do.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::gzip::Gunzip;
use super::{ListError, workbook};

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
    place: Place,
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Spool(NamedTempFile),
}

impl Bytes {
    pub(super) fn of(source: &Source) -> Result<Bytes, ListError> {
        let (name, path) = match source {
            Source::Stdin => ("stdin".to_owned(), None),
            Source::Path(path) => (path.display().to_string(), Some(path)),
        };
        let failed = |source| ListError::Read { name: name.clone(), source };
        let place = match path {
            None => Place::Spool(spool(&mut io::stdin().lock()).map_err(failed)?),
            Some(path) => {
                let kind = std::fs::metadata(path).map_err(failed)?;
                if kind.is_dir() {
                    return Err(ListError::Folder { name });
                }
                if kind.is_file() {
                    Place::File(path.clone())
                } else {
                    Place::Spool(spool(&mut File::open(path).map_err(failed)?).map_err(failed)?)
                }
            }
        };
        let path = match &place {
            Place::File(path) => Some(path.clone()),
            Place::Spool(_) => None,
        };
        let mut bytes = Bytes { name: name.clone(), path, compression: Compression::Plain, place };
        let mut magic = [0; 4];
        let filled = read_full(&mut bytes.open().map_err(failed)?, &mut magic).map_err(failed)?;
        bytes.compression = match &magic[..filled] {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            // A frame, or a skippable one in front of it (RFC 8878 3.1.1, 3.1.2).
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Compression::Zstd,
            b"PK\x03\x04" if workbook::is_workbook(bytes.open().map_err(failed)?) => {
                let sheet = bytes.open().and_then(|file| workbook::spool(&file));
                bytes.place = Place::Spool(sheet.map_err(failed)?);
                Compression::Workbook
            }
            _ => Compression::Plain,
        };
        Ok(bytes)
    }

    fn open(&self) -> io::Result<File> {
        match &self.place {
            Place::File(path) => File::open(path),
            Place::Spool(file) => file.reopen(),
        }
    }

    /// What tells these bytes from all others: the first half of their SHA-256.
    pub(super) fn digest(&self) -> io::Result<[u8; 16]> {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        let mut file = self.open()?;
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
            Compression::Plain | Compression::Workbook => Ok(self.open()?.metadata()?.len()),
            Compression::Gzip | Compression::Zstd => Ok(0),
        }
    }

    /// The unpacked bytes from the first one on.
    pub(super) fn read(&self) -> io::Result<Box<dyn Read + Send>> {
        let file = self.open()?;
        let packed_bytes = file.metadata()?.len();
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

/// Copies a stream to a file that only its owner can read and that is gone when the run is.
fn spool(stream: &mut dyn Read) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    io::copy(stream, &mut file)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
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

    #[cfg(unix)]
    #[test]
    fn a_stream_is_kept_in_a_file_of_its_own_and_can_be_read_again() {
        use std::os::unix::fs::PermissionsExt;
        let mut stream: &[u8] = b"email\nann@x.example\n";
        let bytes = Bytes {
            name: "stdin".to_owned(),
            path: None,
            compression: Compression::Plain,
            place: Place::Spool(spool(&mut stream).unwrap()),
        };
        let text = || {
            let mut text = String::new();
            bytes.read().unwrap().read_to_string(&mut text).unwrap();
            text
        };
        assert_eq!(
            (text(), text()),
            ("email\nann@x.example\n".to_owned(), "email\nann@x.example\n".to_owned())
        );
        let Place::Spool(file) = &bytes.place else { panic!("it was spooled") };
        let mode = file.as_file().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
