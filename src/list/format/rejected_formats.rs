//! Files that people have at hand and that are no lists: each is refused by its name, with the way to a list.
//!
//! Decides: by the first bytes alone. Can't know: the many formats that are not in the tables; those end as "no column
//! holds addresses".

use crate::list::ListError;

/// Formats that people have at hand and that are no text, by their first bytes.
pub(super) fn refuse_bytes(name: &str, raw: &[u8]) -> Result<(), ListError> {
    const AS_CSV: &str = "open it in its program and export as CSV (UTF-8)";
    const UNPACK: &str = "unpack it and name the list in it";
    let (what, hint) = match raw {
        [b'P', b'K', 3 | 5 | 7, 4 | 6 | 8, ..] => {
            ("a ZIP archive or an office document", "export as CSV, or unpack it and name the list in it")
        }
        [0xd0, 0xcf, 0x11, 0xe0, ..] => ("an old Excel workbook", AS_CSV),
        [b'%', b'P', b'D', b'F', ..] => ("a PDF document", AS_CSV),
        [b'P', b'A', b'R', b'1', ..] => ("a Parquet file", "convert it to CSV"),
        [b'{', b'\\', b'r', b't', b'f', ..] => ("an RTF document", AS_CSV),
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            ("packed twice", UNPACK)
        }
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => ("packed by bzip2", UNPACK),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => ("packed by xz", UNPACK),
        [b'7', b'z', 0xbc, 0xaf, ..] => ("a 7z archive", UNPACK),
        _ if raw.starts_with(b"SQLite format 3\0") => ("an SQLite database", "export the table as CSV"),
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => ("text in UTF-32", "save it as UTF-8"),
        _ => return Ok(()),
    };
    Err(ListError::Binary { name: name.to_owned(), what, hint })
}

/// Texts that are no lists.
pub(super) fn refuse_text(name: &str, text: &str) -> Result<(), ListError> {
    let start = text.trim_start();
    let lower: String = start.chars().take(15).collect::<String>().to_lowercase();
    let (what, hint) = if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        ("an HTML page", "open it in a spreadsheet program and export as CSV (UTF-8)")
    } else if lower.starts_with("<?xml") {
        ("an XML document", "open it in a spreadsheet program and export as CSV (UTF-8)")
    } else if start.starts_with('[')
        && matches!(start[1..].trim_start().bytes().next(), Some(b'{' | b'"' | b'['))
    {
        ("a JSON array", "write one object per line: `jq -c '.[]'`")
    } else if start.starts_with('{')
        && matches!(start[1..].trim_start_matches(' ').bytes().next(), Some(b'\r' | b'\n'))
    {
        ("a JSON document", "write one object per line: `jq -c .`")
    } else {
        return Ok(());
    };
    Err(ListError::Binary { name: name.to_owned(), what, hint })
}
