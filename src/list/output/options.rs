//! Where results go, and how they are written, as the user wants it.
//!
//! Decides: which files that may be. Must not: write one.

use std::path::{Path, PathBuf};

use super::{files, spreadsheet};
use crate::list::columns::{ColumnSet, Dialect};
use crate::list::format::{ListFormat, ListKind, Source, default_folder, stem};
use crate::policy::Profile;

/// Where the results go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputTarget {
    /// All files of a run, into this folder, which is created if it does not exist.
    Folder(PathBuf),
    /// Only the results, into this file.
    File(PathBuf),
    /// Only the results, to standard output.
    Stdout,
}

impl OutputTarget {
    /// Every file that a run over this list may write; the target `None` is the folder named after the list.
    pub fn files(target: Option<&OutputTarget>, list: &Source) -> Vec<PathBuf> {
        let stem = stem(list.path());
        let in_folder = |folder: &Path| files::names(&stem).map(|name| folder.join(name)).collect();
        match target {
            None => in_folder(&default_folder(&stem)),
            Some(OutputTarget::Folder(folder)) => in_folder(folder),
            Some(OutputTarget::File(path)) => vec![path.clone(), spreadsheet::path_beside(path)],
            Some(OutputTarget::Stdout) => Vec::new(),
        }
    }
}

/// How results are written.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct WriteOptions {
    /// Which columns are added.
    pub columns: ColumnSet,
    /// The columns and words of another service, in place of `columns`.
    pub dialect: Option<&'static Dialect>,
    /// What the added names begin with; `None`: nothing, or a prefix where a name is taken.
    pub prefix: Option<String>,
    /// Mailboxes were not probed (`--offline`, `--dns-only`): rows with the verdict unknown go to `.unprobed`.
    pub unprobed: bool,
    /// The user excludes addresses: their rows go to `.excluded`.
    pub excludes: bool,
    /// Also add `email_original`, because suggestions were applied.
    pub originals: bool,
    /// Whether files begin with a byte order mark.
    pub bom: ByteOrderMark,
    /// Also write a copy of the results for spreadsheet programs, in which no cell is a formula.
    pub spreadsheet_safe: bool,
    /// The product that the list is handed over to.
    pub profile: Option<&'static Profile>,
}

/// Whether written lists begin with a byte order mark, by which Excel knows that they are UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByteOrderMark {
    /// As the list had it; never in NDJSON.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ByteOrderMark {
    pub(super) fn bytes(self, format: &ListFormat) -> &'static [u8] {
        let has = match self {
            ByteOrderMark::Auto => format.mark_bytes > 0 && format.kind != ListKind::Ndjson,
            ByteOrderMark::Always => true,
            ByteOrderMark::Never => false,
        };
        if has { "\u{feff}".as_bytes() } else { b"" }
    }
}
