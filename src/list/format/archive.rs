//! A ZIP archive that holds one list.
//!
//! Decides: which file of the archive is the list: the only one, or the only one with the ending of a list. Must not: choose
//! between two. Fails: for a damaged archive.

use std::io::{self, BufReader, Read, Seek};

use zip::ZipArchive;

/// Endings of lists, in lower case.
const LIST_ENDINGS: [&str; 12] =
    ["csv", "tsv", "tab", "txt", "ndjson", "jsonl", "json", "psv", "list", "vcf", "xlsx", "xlsm"];

/// Gives the list of an archive, and its name, to `copy`; `None` if the archive does not hold one list. `file` is a ZIP
/// archive.
pub(in crate::list) fn read_only_list<T, E: From<io::Error>>(
    file: impl Read + Seek,
    copy: impl FnOnce(&mut dyn Read, String) -> Result<T, E>,
) -> Result<Option<T>, E> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(io::Error::from)?;
    let is_file = |name: &String| {
        let last = name.rsplit('/').next().unwrap_or_default();
        // What macOS and Windows add: `__MACOSX/`, `.DS_Store`, `Thumbs.db`.
        !last.is_empty() && !last.starts_with('.') && !name.starts_with("__MACOSX/") && last != "Thumbs.db"
    };
    let names = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned()));
    let names: Vec<String> = names.filter(is_file).collect();
    let is_list = |name: &&String| {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_lowercase();
        LIST_ENDINGS.contains(&ending.as_str())
    };
    let mut lists = names.iter().filter(is_list);
    let name = match (&names[..], lists.next(), lists.next()) {
        ([only], ..) | (_, Some(only), None) => only.clone(),
        _ => return Ok(None),
    };
    let mut entry = archive.by_name(&name).map_err(io::Error::from)?;
    copy(&mut entry, name).map(Some)
}
