//! Lists as files: each file of `tests/csv` is read exactly, or refused with a clear error. What is expected of it
//! stands beside it, in a snapshot of its name.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use listproof::list::{self, Entry, ListError, ReadOptions, Source};

/// What a list is and every row of it; or the error and its hint.
fn read(path: &Path, options: &ReadOptions) -> String {
    let mut text = String::new();
    if let Err(error) = read_into(path, options, &mut text) {
        let folder = format!("{}/", path.parent().unwrap().display());
        let message = error.to_string().replace(&folder, "");
        writeln!(
            text,
            "error {}: {message}\nhint: {}",
            error.class().exit_code(),
            error.hint()
        )
        .unwrap();
    }
    text
}

fn read_into(path: &Path, options: &ReadOptions, text: &mut String) -> Result<(), ListError> {
    let list = list::open(&Source::Path(path.to_owned()), options)?;
    writeln!(text, "{}", list.form().sentence()).unwrap();
    let mut rows = list.rows()?;
    while let Some(entry) = rows.next()? {
        match entry {
            Entry::Row(row) => {
                let raw = String::from_utf8_lossy(row.raw());
                writeln!(
                    text,
                    "row {}, line {}: {:?} in {raw:?}",
                    row.record,
                    row.line,
                    row.address()
                )
                .unwrap();
            }
            Entry::Rejected(rejected) => {
                writeln!(
                    text,
                    "line {} rejected: {}: {:?}",
                    rejected.line, rejected.cause, rejected.text
                )
                .unwrap();
            }
        }
    }
    match rows.mended() {
        0 => {}
        mended => writeln!(text, "mended: {mended}").unwrap(),
    }
    Ok(())
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/csv");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && !path.file_name().unwrap().to_string_lossy().starts_with('.'))
        .collect();
    cases.sort();
    assert!(cases.len() >= 64, "{} files", cases.len());
    cases
}

#[test]
fn every_nasty_list_is_read_exactly_or_refused_with_a_clear_error() {
    for case in cases() {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        insta::with_settings!({ snapshot_path => "csv/expected", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, read(&case, &ReadOptions::default()));
        });
    }
}
