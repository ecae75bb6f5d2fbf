//! Any bytes as a list: refused with an error text, or every record is written once and the results are a readable list.

use std::path::Path;
use std::time::SystemTime;

use listproof::evidence::NotProbedReason;
use listproof::list::{
    ColumnSet, ListEntry, ListError, ListFormat, OutputTarget, Outputs, ReadOptions, Source, WriteOptions,
    open,
};
use listproof::policy::AddressLists;
use listproof::run::{self, Analyzer, EvidenceReader};

/// The first byte selects options, the rest is the file.
pub(crate) fn check(bytes: &[u8]) {
    let Some((&how, file)) = bytes.split_first() else { return };
    thread_local! {
        static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a folder for the list");
    }
    FOLDER.with(|folder| pass(folder.path(), file, how));
}

fn pass(folder: &Path, file: &[u8], how: u8) {
    let path = folder.join("list.csv");
    std::fs::write(&path, file).expect("the list can be written");
    let reading = ReadOptions { split_cells: how & 1 == 1, column: (how & 2 == 2).then(|| "1".to_owned()) };
    let writing = WriteOptions {
        columns: if how & 4 == 4 { ColumnSet::Full } else { ColumnSet::Standard },
        unprobed: how & 8 == 8,
        ..WriteOptions::default()
    };
    // Rarely, because many files take time.
    let in_folder = how >> 4 == 1;
    let target = if in_folder {
        OutputTarget::Folder(folder.join("out"))
    } else {
        OutputTarget::File(folder.join("results.csv"))
    };
    match one_run(&path, &reading, &writing, &target) {
        Ok((form, rows)) => {
            let results = folder.join(if in_folder { "out/list.results.csv" } else { "results.csv" });
            if results.exists() && rows > 0 {
                are_readable(&results, &form, rows);
            }
        }
        Err(error) => {
            let text = error.to_string() + &error.hint();
            assert!(!text.is_empty() && !text.replace('\n', " ").contains(char::is_control), "{text:?}");
        }
    }
    // The next run must not find files of another list.
    if in_folder {
        let _ = std::fs::remove_dir_all(folder.join("out"));
    }
    let _ = std::fs::remove_file(folder.join("results.csv"));
}

/// Verifies a list on one thread, as `verify --offline` does. Returns the format of the list and the number of results.
fn one_run(
    path: &Path,
    reading: &ReadOptions,
    writing: &WriteOptions,
    target: &OutputTarget,
) -> Result<(ListFormat, u64), ListError> {
    let list = open(&Source::Path(path.to_owned()), reading)?;
    let mut outputs = Outputs::create(target, list.form(), writing)?;
    let (mut rows, mut rejected, mut further, mut clashed, mut last_line) = (0, 0, 0, 0, 0);
    let mut analyzer = Analyzer::new(AddressLists::built_in());
    let mut found = EvidenceReader::nothing(NotProbedReason::Offline, SystemTime::UNIX_EPOCH);
    let mut reader = list.rows()?;
    while let Some(entry) = reader.next()? {
        match entry {
            ListEntry::Row(row) => {
                assert!(row.line >= last_line, "rows are in order");
                last_line = row.line;
                let mut seen = analyzer.look(row.address());
                let repaired = seen.repaired.take();
                let record = run::record(&mut found, seen, false).expect("nothing is stored");
                outputs.write(&row, &record, repaired.as_deref(), None)?;
                rows += 1;
            }
            ListEntry::Unreadable(one) => {
                outputs.reject(&one)?;
                if one.is_row() { rejected += 1 } else { further += 1 }
            }
        }
    }
    let counts = outputs.finish()?.counts;
    // A row that already has a key of ours is written as unreadable.
    clashed += rows - counts.results;
    assert_eq!(counts.rows(), rows + rejected, "each row is written once");
    assert_eq!((counts.rejected, counts.further_addresses), (rejected + clashed, further));
    let judged: u64 = counts.verdicts.iter().sum();
    assert_eq!(judged + counts.duplicates, counts.results, "every row has a verdict");
    Ok((list.form().clone(), counts.results))
}

/// Fails unless results can be read as a list with this many rows.
fn are_readable(results: &Path, form: &ListFormat, rows: u64) {
    let column = Some((form.address + 1).to_string());
    let list = open(&Source::Path(results.to_owned()), &ReadOptions { column, split_cells: false })
        .unwrap_or_else(|error| panic!("our own results: {error}"));
    let mut reader = list.rows().expect("our own results");
    let mut read = 0;
    while let Some(entry) = reader.next().expect("our own results") {
        match entry {
            ListEntry::Row(_) => read += 1,
            ListEntry::Unreadable(one) => assert!(!one.is_row(), "our own results: {one:?}"),
        }
    }
    assert_eq!(read, rows, "our own results have another number of rows");
}
