//! Lists as files: each is read exactly, or refused with a clear error.

use std::path::PathBuf;

use listproof::list::{self, Entry, ReadOptions, Source};

fn rows(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("list.csv");
    std::fs::write(&path, text).unwrap();
    let list = list::open(&Source::Path(path), &ReadOptions::default()).unwrap();
    let mut rows = list.rows().unwrap();
    let mut found = Vec::new();
    while let Some(entry) = rows.next().unwrap() {
        found.push(match entry {
            Entry::Row(row) => format!("{}:{} {}", row.record, row.line, row.address()),
            Entry::Rejected(rejected) => format!("!{} {}", rejected.line, rejected.cause),
        });
    }
    found
}

#[test]
fn a_plain_list() {
    assert_eq!(
        rows("name,email\r\nAnn,ann@x.example\r\n\r\n\"B\n\"\"b\"\"\",b@y.example"),
        ["1:2 ann@x.example", "2:4 b@y.example"]
    );
}
