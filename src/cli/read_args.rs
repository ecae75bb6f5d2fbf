//! How a list is read: the flags that `verify`, `plan` and `report` share.
//!
//! Decides: nothing. A value that can't be one is an error of usage that names its flag.

use clap::Args;

use listproof::list::{Encoding, HeaderChoice, ReadOptions};

/// How a list is read.
#[derive(Debug, Args)]
pub(super) struct ReadArgs {
    /// The address column, by name, by path in NDJSON (`contact.email`), or by number (from 1); where its cell is empty, the
    /// column of the next `--column` counts [default: found by its name, else by its content].
    #[arg(long, value_name = "NAME|N")]
    column: Vec<String>,
    /// The line of the header, from 1; lines in front are unreadable rows [default: found by the names of its columns].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "no_header")]
    header_row: Option<u64>,
    /// The list has no header: its first line is a row.
    #[arg(long)]
    no_header: bool,
    /// What separates the cells: one character, or `tab` [default: found].
    #[arg(long, value_name = "C", value_parser = delimiter)]
    delimiter: Option<u8>,
    /// How the text is encoded, for example windows-1251, gbk or utf-16le [default: found by the bytes].
    #[arg(long, value_name = "LABEL", value_parser = encoding)]
    encoding: Option<Encoding>,
    /// The sheet of an Excel workbook [default: the first visible one that holds addresses].
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
    /// Several addresses in one cell, or in a line without columns, become rows of their own.
    #[arg(long)]
    split_cells: bool,
}

impl From<ReadArgs> for ReadOptions {
    fn from(args: ReadArgs) -> ReadOptions {
        let header = match (args.header_row, args.no_header) {
            (Some(line), _) => HeaderChoice::Line(line),
            (None, true) => HeaderChoice::Nowhere,
            (None, false) => HeaderChoice::Search,
        };
        ReadOptions {
            columns: args.column,
            split_cells: args.split_cells,
            header,
            delimiter: args.delimiter,
            encoding: args.encoding,
            sheet: args.sheet,
        }
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    let byte = match text {
        "tab" | "\\t" => b'\t',
        "space" => b' ',
        _ => match text.as_bytes() {
            [byte] => *byte,
            _ => return Err("it is one character of ASCII, `tab` or `space`".to_owned()),
        },
    };
    if byte.is_ascii_alphanumeric()
        || !byte.is_ascii()
        || matches!(byte, b'"' | b'\n' | b'\r' | b'@' | b'.' | b'_')
    {
        return Err("letters, digits, quotes, line ends, `@`, `.` and `_` cannot separate cells".to_owned());
    }
    Ok(byte)
}

fn encoding(label: &str) -> Result<Encoding, String> {
    Encoding::labeled(label).ok_or_else(|| {
        "no such label; there are utf-8, utf-16le, windows-1250 to windows-1258, iso-8859-2, koi8-r, shift_jis, euc-jp, gbk, \
         big5, euc-kr and others of the WHATWG standard"
            .to_owned()
    })
}
