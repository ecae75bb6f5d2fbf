//! One output file: written beside its place, readable by its owner only, and renamed at the end.
//!
//! Must not: know what is written.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use tempfile::NamedTempFile;

use crate::list::ListError;
use crate::secure_file;

pub(super) const WRITE_BUFFER_BYTES: usize = 64 << 10;

/// One output file, which does not have its name yet.
pub(super) struct OutputFile {
    pub(super) path: PathBuf,
    stream: BufWriter<NamedTempFile>,
}

/// For the csv crate, which writes to a stream.
impl Write for &mut OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl OutputFile {
    pub(super) fn create(path: PathBuf) -> Result<OutputFile, ListError> {
        let file = secure_file::create_temp_beside(&path).map_err(|error| ListError::write(&path, error))?;
        Ok(OutputFile { path, stream: BufWriter::with_capacity(WRITE_BUFFER_BYTES, file) })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ListError> {
        let written = self.stream.write_all(bytes);
        written.map_err(|error| ListError::write(&self.path, error))
    }

    /// What was written so far, from the first byte on.
    pub(super) fn reread(&mut self) -> Result<File, ListError> {
        let flushed = self.stream.flush().and_then(|()| self.stream.get_ref().reopen());
        flushed.map_err(|error| ListError::write(&self.path, error))
    }

    /// Gives the file its name, in place of an earlier one.
    pub(super) fn place(self) -> Result<(), ListError> {
        let path = self.path;
        let file = self.stream.into_inner().map_err(|error| ListError::write(&path, error.into_error()))?;
        file.as_file().sync_all().map_err(|error| ListError::write(&path, error))?;
        secure_file::persist(file, &path).map_err(|error| ListError::write(&path, error))?;
        Ok(())
    }
}
