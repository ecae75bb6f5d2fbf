//! The plain bytes of a list, which can be read more than once.
//!
//! Decides: whether the bytes are packed (gzip, Zstandard, an archive, a workbook, an address book) and how much they may unpack to. A file is opened
//! once, so that another file in its place, or none, does not matter. A stream that can't be read twice (stdin, a pipe) is
//! copied to a temporary file first. Must not: look at text. Fails: with an error of the system, for damaged data, for a
//! decompression bomb (a file that unpacks to far more than lists do), and when the file is written to during the run.
//! Can't know: that it was, where its length and time stay the same.

use std::fs::{File, Permissions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use flate2::bufread::GzDecoder;

use crate::list::ListError;
use crate::list::error::{CopyError, printable, read_error};
use crate::list::format::{self, ChosenSheet, Compression, SheetError, Source, read_full};

/// Data may unpack to this many times their size; real lists reach 30, generated ones 100.
const MAX_RATIO: u64 = 250;
/// Below this many unpacked bytes the ratio does not matter.
const RATIO_COUNTS_FROM_BYTES: u64 = 16 << 20;
/// Most unpacked bytes, whatever the ratio: about ten times the largest list that one machine can verify.
const MAX_UNPACKED_BYTES: u64 = 64 << 30;
/// The largest window that a Zstandard frame may need: 2^27 bytes, the limit of the `zstd` program.
const MAX_ZSTD_WINDOW_LOG: u32 = 27;
const COPY_BUFFER_BYTES: usize = 64 << 10;

/// The bytes of a list; each [`ListBytes::read`] begins with the first one.
#[derive(Debug)]
pub(super) struct ListBytes {
    pub(super) name: String,
    /// The path that the user named, when it is a regular file.
    pub(super) path: Option<PathBuf>,
    pub(super) compression: Compression,
    /// Where in the file the list is, for the user.
    pub(super) place: Option<String>,
    file: Arc<File>,
    /// The version of the file that was opened.
    version: FileVersion,
}

/// What changes when a file is written to, but not when it is moved or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileVersion {
    len_bytes: u64,
    modified: SystemTime,
}

impl FileVersion {
    fn of(file: &File) -> io::Result<FileVersion> {
        let meta = file.metadata()?;
        Ok(FileVersion { len_bytes: meta.len(), modified: meta.modified()? })
    }
}

impl ListBytes {
    /// Opens a list; of a workbook, the sheet with the given name.
    pub(super) fn of(source: &Source, sheet: Option<&str>) -> Result<ListBytes, ListError> {
        let (name, path) = match source {
            Source::Stdin => ("stdin".to_owned(), None),
            Source::Path(path) => (path.display().to_string(), Some(path)),
        };
        let failed = |source| ListError::Read { name: name.clone(), source };
        let copied = |stream: &mut dyn Read| copy(stream).map_err(|error| error.of_list(&name));
        let (file, path) = match path {
            None => (copied(&mut io::stdin().lock())?, None),
            Some(path) => {
                let mut file = File::open(path).map_err(failed)?;
                let kind = file.metadata().map_err(failed)?;
                if kind.is_dir() {
                    return Err(ListError::Folder { name });
                }
                if kind.is_file() { (file, Some(path.clone())) } else { (copied(&mut file)?, None) }
            }
        };
        let version = FileVersion::of(&file).map_err(failed)?;
        let mut bytes = ListBytes {
            name: name.clone(),
            path,
            compression: Compression::Plain,
            place: None,
            file: Arc::new(file),
            version,
        };
        bytes.unpack(sheet)?;
        Ok(bytes)
    }

    /// Copies the list in an archive, a workbook or an address book to a file of its own, and finds out how it is compressed.
    fn unpack(&mut self, sheet: Option<&str>) -> Result<(), ListError> {
        let mut start = [0; 64];
        let filled = read_full(&mut self.open(), &mut start).map_err(read_error(&self.name))?;
        let mut start = &start[..filled];
        let mut of_list = [0; 64];
        if start.starts_with(b"PK\x03\x04") && !format::is_workbook(self.open()) {
            let packed_bytes = self.file.metadata().map_err(read_error(&self.name))?.len();
            let list = format::read_only_list(self.open(), |entry, name| {
                let mut unpacked = BombGuard { inner: entry, packed_bytes, unpacked_bytes: 0 };
                copy(&mut unpacked).map(|file| (file, name))
            });
            if let Some((list, name)) = list.map_err(|error| error.of_list(&self.name))? {
                self.replace(list)?;
                self.place = Some(format!("`{}` in a ZIP archive", printable(&name)));
                let filled = read_full(&mut self.open(), &mut of_list).map_err(read_error(&self.name))?;
                start = &of_list[..filled];
            }
        }
        self.compression = match start {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            // A frame, or a skippable one before it (RFC 8878 3.1.1, 3.1.2).
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            [b'P', b'K', 3, 4, ..] if format::is_workbook(self.open()) => {
                let (file, chosen) = format::copy_sheet(&self.open(), sheet, temporary_file)
                    .map_err(|error| self.sheet_error(error, sheet))?;
                self.replace(file)?;
                self.place = Some(sheet_place(self.place.as_deref(), &chosen));
                self.compression = Compression::Workbook;
                return Ok(());
            }
            start if format::is_vcard(start) => {
                let cards = format::copy_cards(self.open(), temporary_file);
                self.replace(cards.map_err(|error| error.of_list(&self.name))?)?;
                Compression::VCard
            }
            _ => Compression::Plain,
        };
        match sheet {
            Some(sheet) => Err(ListError::NotAWorkbook { name: self.name.clone(), sheet: sheet.to_owned() }),
            None => Ok(()),
        }
    }

    /// Reads another file from now on, which holds the list of the first one.
    fn replace(&mut self, file: File) -> Result<(), ListError> {
        self.check_unchanged()?;
        self.version = FileVersion::of(&file).map_err(read_error(&self.name))?;
        self.file = Arc::new(file);
        Ok(())
    }

    fn sheet_error(&self, error: SheetError, sheet: Option<&str>) -> ListError {
        match error {
            SheetError::Copy(error) => error.of_list(&self.name),
            SheetError::Unknown(sheets) => ListError::UnknownSheet {
                name: self.name.clone(),
                sheet: sheet.unwrap_or_default().to_owned(),
                sheets,
            },
        }
    }

    fn open(&self) -> SharedReader {
        SharedReader { file: self.file.clone(), at: 0 }
    }

    /// Fails if the file was written to since it was opened: the results would mix the rows of two lists.
    pub(super) fn check_unchanged(&self) -> Result<(), ListError> {
        let version = FileVersion::of(&self.file).map_err(read_error(&self.name))?;
        if version == self.version { Ok(()) } else { Err(ListError::Changed { name: self.name.clone() }) }
    }

    /// The first half of the SHA-256 of the file, or of a workbook's sheet.
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

    /// How many unpacked bytes there are; 0 for gzip and Zstandard, where only unpacking shows it.
    pub(super) fn unpacked_len(&self) -> io::Result<u64> {
        match self.compression {
            Compression::Plain | Compression::Workbook | Compression::VCard => {
                Ok(self.file.metadata()?.len())
            }
            Compression::Gzip | Compression::Zstd => Ok(0),
        }
    }

    /// The unpacked bytes, from the first one on.
    pub(super) fn read(&self) -> io::Result<Box<dyn Read + Send>> {
        let file = self.open();
        let packed_bytes = self.file.metadata()?.len();
        let unpacked: Box<dyn Read + Send> = match self.compression {
            Compression::Plain | Compression::Workbook | Compression::VCard => return Ok(Box::new(file)),
            Compression::Gzip => Box::new(Gunzip::new(file)),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(file)?;
                decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
        };
        Ok(Box::new(BombGuard { inner: unpacked, packed_bytes, unpacked_bytes: 0 }))
    }
}

/// Reads a file from its first byte on; several readers of one file don't disturb each other.
#[derive(Clone, Debug)]
struct SharedReader {
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

/// Which sheet is read, and which others could be.
fn sheet_place(place: Option<&str>, chosen: &ChosenSheet) -> String {
    let place = place.map(|place| format!("{place}, ")).unwrap_or_default();
    let name = printable(&chosen.name);
    if chosen.others.is_empty() {
        return format!("{place}sheet `{name}`");
    }
    let others: Vec<String> =
        chosen.others.iter().take(3).map(|name| format!("`{}`", printable(name))).collect();
    format!("{place}sheet `{name}` (`--sheet` reads another: {})", others.join(", "))
}

/// Counts the bytes that a decompressor returns, and fails for a bomb.
struct BombGuard<R> {
    inner: R,
    packed_bytes: u64,
    unpacked_bytes: u64,
}

impl<R: Read> Read for BombGuard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.unpacked_bytes += n as u64;
        let ratio_limit = RATIO_COUNTS_FROM_BYTES.max(self.packed_bytes.saturating_mul(MAX_RATIO));
        if self.unpacked_bytes > ratio_limit {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it unpacks to more than {MAX_RATIO} times its size"),
            ));
        }
        if self.unpacked_bytes > MAX_UNPACKED_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it unpacks to more than {} GiB", MAX_UNPACKED_BYTES >> 30),
            ));
        }
        Ok(n)
    }
}

/// A new temporary file with mode 0600. It has no name, so that no other program can open it and nothing is left of it
/// when the process ends, even by a kill.
fn temporary_file() -> Result<File, CopyError> {
    let file = tempfile::tempfile().map_err(CopyError::Copy)?;
    file.set_permissions(Permissions::from_mode(0o600)).map_err(CopyError::Copy)?;
    Ok(file)
}

/// Copies a stream to a temporary file.
fn copy(stream: &mut dyn Read) -> Result<File, CopyError> {
    let mut copy = temporary_file()?;
    let mut buffer = vec![0; COPY_BUFFER_BYTES];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(copy),
            Ok(n) => copy.write_all(&buffer[..n]).map_err(CopyError::Copy)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Unpacks gzip, one member after the other (RFC 1952 2.2), and fails if other data follow. Zeros after a member are the
/// padding of a tape or a disk block.
struct Gunzip<R> {
    /// The member that is being unpacked; `None` at the end.
    member: Option<GzDecoder<BufReader<R>>>,
}

impl<R: Read> Gunzip<R> {
    fn new(packed: R) -> Gunzip<R> {
        Gunzip { member: Some(GzDecoder::new(BufReader::new(packed))) }
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let n = member.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            let mut packed = self.member.take().map(GzDecoder::into_inner);
            if packed.as_mut().map_or(Ok(false), skip_zeros)? {
                self.member = packed.map(GzDecoder::new);
            }
        }
        Ok(0)
    }
}

const OTHER_DATA: &str = "other data follow the gzip data";

/// Skips padding; true when another member follows.
fn skip_zeros(packed: &mut impl BufRead) -> io::Result<bool> {
    const MAGIC: u8 = 0x1f;
    loop {
        let bytes = packed.fill_buf()?;
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        match bytes.get(zeros) {
            Some(&MAGIC) => {
                packed.consume(zeros);
                return Ok(true);
            }
            Some(_) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, OTHER_DATA));
            }
            None if zeros == 0 => return Ok(false),
            None => packed.consume(zeros),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn member(text: &str) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    }

    fn unpacked(packed: &[u8]) -> Result<String, String> {
        let mut text = String::new();
        let read = Gunzip::new(packed).read_to_string(&mut text);
        read.map(|_| text).map_err(|error| error.to_string())
    }

    #[test]
    fn gzip_members_follow_each_other_and_may_be_padded_with_zeros() {
        let (one, other, zeros) = (member("ann@x.example\n"), member("bob@x.example\n"), vec![0; 20_000]);
        let both = Ok("ann@x.example\nbob@x.example\n".to_owned());
        assert_eq!(unpacked(&[&one[..], &other].concat()), both);
        assert_eq!(unpacked(&[&one[..], &member(""), &other, &zeros].concat()), both);
        assert_eq!(unpacked(&[&one[..], &zeros, &other].concat()), both);
        assert_eq!(unpacked(&[&one[..], b"garbage"].concat()), Err(OTHER_DATA.to_owned()));
        assert!(unpacked(&one[..one.len() - 1]).is_err());
    }

    #[test]
    fn a_copy_has_no_name_and_mode_0600() {
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
