//! Any bytes as a list: an error with a printable message, or every record is written once, and the results can be read
//! again.

use std::path::Path;
use std::time::SystemTime;

use listproof::details::NotProbedReason;
use listproof::internals::run::{self, Analyzer, EvidenceReader};
use listproof::list::{
    ByteOrderMark, ColumnSet, Encoding, HeaderChoice, ListEntry, ListError, ListFormat, OutputTarget,
    Outputs, ReadOptions, Source, WriteOptions, open,
};
use listproof::policy::AddressLists;

/// The first byte says how it is read and written, the rest is the file.
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
    let reading = ReadOptions {
        split_cells: how & 1 == 1,
        columns: if how & 2 == 2 { vec!["1".to_owned()] } else { Vec::new() },
        header: if how >> 4 == 2 { HeaderChoice::Nowhere } else { HeaderChoice::Search },
        delimiter: (how >> 4 == 3).then_some(b';'),
        encoding: Encoding::labeled("windows-1251").filter(|_| how >> 4 == 4),
        sheet: None,
    };
    let reading = if how >> 4 == 5 {
        ReadOptions { columns: vec!["1".to_owned(), "2".to_owned()], ..reading }
    } else {
        reading
    };
    let writing = WriteOptions {
        columns: if how & 4 == 4 { ColumnSet::Full } else { ColumnSet::Standard },
        unprobed: how & 8 == 8,
        bom: if how >> 4 == 6 { ByteOrderMark::Always } else { ByteOrderMark::Auto },
        ..WriteOptions::default()
    };
    // All the files of a folder take their time.
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
            let message = error.to_string() + &error.hint();
            let is_printable = !message.replace('\n', " ").contains(char::is_control);
            assert!(!message.is_empty() && is_printable, "{message:?}");
        }
    }
    // The next run would not recognize the files of another list as results.
    if in_folder {
        let _ = std::fs::remove_dir_all(folder.join("out"));
    }
    let _ = std::fs::remove_file(folder.join("results.csv"));
}

/// What `verify --offline` does, on one thread. Gives what the list is, and the rows in the results.
fn one_run(
    path: &Path,
    reading: &ReadOptions,
    writing: &WriteOptions,
    target: &OutputTarget,
) -> Result<(ListFormat, u64), ListError> {
    let list = open(&Source::Path(path.to_owned()), reading)?;
    let mut outputs = Outputs::create(target, list.format(), writing)?;
    let (mut rows, mut unreadable, mut further, mut clashed, mut last_line) = (0, 0, 0, 0, 0);
    let mut analyzer = Analyzer::new(AddressLists::built_in());
    let mut found = EvidenceReader::without_facts(NotProbedReason::Offline, SystemTime::UNIX_EPOCH);
    let mut reader = list.rows()?;
    while let Some(entry) = reader.next()? {
        match entry {
            ListEntry::Row(row) => {
                assert!(row.line >= last_line, "rows come in their order");
                last_line = row.line;
                let mut seen = analyzer.analyze(row.address());
                let repaired = seen.repaired.take();
                let record = run::judge_row(&mut found, seen, false).expect("nothing is stored");
                outputs.write_row(&row, &record, repaired.as_deref(), None)?;
                rows += 1;
            }
            ListEntry::Unreadable(one) => {
                outputs.write_unreadable(&one)?;
                if one.is_row() { unreadable += 1 } else { further += 1 }
            }
        }
    }
    let counts = outputs.finish()?.counts;
    // A row that already has an added key is listed as unreadable.
    clashed += rows - counts.results;
    assert_eq!(counts.rows(), rows + unreadable, "rows in are rows out and unreadable ones");
    assert_eq!((counts.unreadable, counts.further_addresses), (unreadable + clashed, further));
    let judged: u64 = counts.verdicts.iter().sum();
    let others = counts.duplicates + counts.excluded + counts.without_address;
    assert_eq!(judged + others, counts.results, "every row with an address has a verdict");
    Ok((list.format().clone(), counts.results))
}

/// Our own results are a list that we can read.
fn are_readable(results: &Path, form: &ListFormat, rows: u64) {
    let columns = vec![(form.address_column + 1).to_string()];
    let reading = ReadOptions { columns, ..ReadOptions::default() };
    let list = open(&Source::Path(results.to_owned()), &reading)
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
