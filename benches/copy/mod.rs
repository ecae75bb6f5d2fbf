//! The csv crate copying a list, alone or with as many columns as the standard set of listproof: both list benchmarks
//! compare with it.
//!
//! Its extra cells cost nothing to find: they are constants, the bytes that listproof composes for most records.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// The column of the address in the lists of the benchmarks.
const ADDRESS: usize = 3;

/// The cells of most rows in the standard columns, without the address and its domain.
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
