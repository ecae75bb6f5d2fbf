//! The csv crate copying a list, alone or with as many columns as ours in the standard set: what both list benchmarks are
//! held against.
//!
//! It gets its cells for nothing: the very bytes that ours composes of most records.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// Where the address is in the benchmarks' lists.
const ADDRESS: usize = 3;

/// Most rows' cells in the standard columns, but for the address and its domain.
const CELLS: [&str; 16] = [
    "unknown",
    "not_probed",
    "us",
    "retry",
    "",
    "",
    "",
    "",
    "false",
    "false",
    "false",
    "false",
    "",
    "",
    "",
    "",
];

/// Copies a list; `wide`: with 18 more columns.
pub(crate) fn copy(list: &Path, out: &Path, wide: bool) {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(list).unwrap();
    let mut writer = csv::Writer::from_writer(BufWriter::with_capacity(64 << 10, File::create(out).unwrap()));
    let mut row = csv::ByteRecord::new();
    while reader.read_byte_record(&mut row).unwrap() {
        if wide {
            let address = row[ADDRESS].to_vec();
            let domain = address.rsplit(|&byte| byte == b'@').next().unwrap();
            row.push_field(&address);
            row.push_field(domain);
            for cell in CELLS {
                row.push_field(cell.as_bytes());
            }
        }
        writer.write_byte_record(&row).unwrap();
    }
    writer.flush().unwrap();
}
