//! The files that results go to: their endings, marks and names, and the copy for spreadsheet programs.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own lists and stops at what fails"
)]

#[path = "support/list_folder.rs"]
mod list_folder;
mod support;

use list_folder::{ListFolder, minimal, result};

use listproof::list::{
    self, ByteOrderMark, ListEntry, ListKind, OutputTarget, Outputs, ReadOptions, Source, WriteOptions,
};

#[test]
fn lists_with_tabs_give_results_with_tabs_that_are_named_so() {
    let folder = ListFolder::with("list.csv", "name\temail\nAnn\tann@x.example\nBob\tgone@x.example\n");
    for _ in 0..2 {
        folder.run("list.csv", &folder.out(), &ReadOptions::default(), &minimal()).unwrap();
    }
    let mut names: Vec<String> = std::fs::read_dir(folder.path("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names.join(" "),
        "list.deliverable.tsv list.duplicates.tsv list.rejected.csv list.results.tsv list.retry.tsv list.risky.tsv \
         list.summary.json list.suppression.csv list.undeliverable.tsv"
    );
    let deliverable = std::fs::read_to_string(folder.path("out/list.deliverable.tsv")).unwrap();
    assert_eq!(deliverable, "name\temail\nAnn\tann@x.example\n");
}

#[test]
fn results_with_any_delimiter_are_known_as_results() {
    for delimiter in [';', '^', '~', '#', '!', ':'] {
        let list = format!("name{delimiter}email\nAnn{delimiter}ann@x.example\n");
        let folder = ListFolder::with("list.csv", list);
        let read = ReadOptions { delimiter: u8::try_from(delimiter).ok(), ..ReadOptions::default() };
        for _ in 0..2 {
            folder.run("list.csv", &folder.out(), &read, &minimal()).unwrap();
        }
        let again =
            list::open(&Source::Path(folder.path("out/list.results.csv")), &ReadOptions::default()).unwrap();
        assert_eq!(again.format().kind, ListKind::Delimited(read.delimiter.unwrap()), "{delimiter}");
        assert_eq!(again.format().address_column, 1);
    }
}

#[test]
fn a_byte_order_mark_is_written_as_the_list_has_it_or_as_wished() {
    for (mark, bom, has) in [
        ("", ByteOrderMark::Auto, false),
        ("\u{feff}", ByteOrderMark::Auto, true),
        ("", ByteOrderMark::Always, true),
        ("\u{feff}", ByteOrderMark::Never, false),
    ] {
        let folder = ListFolder::with("list.csv", format!("{mark}email\nann@x.example\ngone@x.example\n"));
        let options = WriteOptions { bom, ..minimal() };
        // The second run knows the files of the first one.
        for _ in 0..2 {
            folder.run("list.csv", &folder.out(), &ReadOptions::default(), &options).unwrap();
        }
        for file in ["results", "deliverable", "suppression", "rejected"] {
            let text = std::fs::read_to_string(folder.path(&format!("out/list.{file}.csv"))).unwrap();
            assert_eq!(text.matches('\u{feff}').count(), usize::from(has), "{file} {bom:?}");
            assert_eq!(text.starts_with('\u{feff}'), has, "{file} {bom:?}");
        }
    }
    let objects = ListFolder::with("list.ndjson", "\u{feff}{\"email\":\"ann@x.example\"}\n");
    objects.run("list.ndjson", &objects.out(), &ReadOptions::default(), &minimal()).unwrap();
    assert!(std::fs::read_to_string(objects.path("out/list.results.ndjson")).unwrap().starts_with('{'));
}

#[test]
fn the_copy_for_spreadsheets_has_no_formula_and_the_results_stay() {
    let folder = ListFolder::with(
        "list.csv",
        "name,email,phone,n\n=1+1,ann@x.example,+49 30,-5\n\"@a, b\",gone@x.example,,\n",
    );
    let options = WriteOptions { spreadsheet_safe: true, ..minimal() };
    for target in [folder.out(), OutputTarget::File(folder.path("r.csv"))] {
        for _ in 0..2 {
            folder.run("list.csv", &target, &ReadOptions::default(), &options).unwrap();
        }
    }
    let read = |file: &str| std::fs::read_to_string(folder.path(file)).unwrap();
    for (results, copy) in
        [("out/list.results.csv", "out/list.spreadsheet.csv"), ("r.csv", "r.spreadsheet.csv")]
    {
        assert!(read(results).contains("\n=1+1,ann@x.example,+49 30,-5,deliverable,"));
        let copy = read(copy);
        assert!(copy.starts_with("\u{feff}name,email,phone,n,verdict,"), "{copy}");
        assert!(copy.contains("\n'=1+1,ann@x.example,'+49 30,-5,deliverable,"), "{copy}");
        assert!(copy.contains("\n\"'@a, b\",gone@x.example,,,undeliverable,"), "{copy}");
    }
    folder.run("list.csv", &folder.out(), &ReadOptions::default(), &minimal()).unwrap();
    assert!(!folder.path("out/list.spreadsheet.csv").exists(), "a stale copy is removed");
    let error = folder.run("list.csv", &OutputTarget::Stdout, &ReadOptions::default(), &options).unwrap_err();
    assert_eq!(error.class().exit_code(), 2);
}

#[test]
fn a_list_with_a_long_name_has_results() {
    let name = format!("{}.csv", "n".repeat(251));
    let folder = ListFolder::with(&name, "email\nann@x.example\n");
    for _ in 0..2 {
        folder.run(&name, &folder.out(), &ReadOptions::default(), &minimal()).unwrap();
    }
    let names: Vec<String> = std::fs::read_dir(folder.path("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 9, "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("nnnn") && name.len() < 240), "{names:?}");
}

#[test]
fn without_a_folder_the_unreadable_rows_are_returned() {
    let folder = ListFolder::with(
        "list.csv",
        "name,email\nAnn,\"ann@x.example,bob@x.example\"\nBob,b@x.example,x,y\n",
    );
    let list = list::open(&Source::Path(folder.path("list.csv")), &ReadOptions::default()).unwrap();
    let mut outputs =
        Outputs::create(&OutputTarget::File(folder.path("r.csv")), list.format(), &minimal()).unwrap();
    let mut rows = list.rows().unwrap();
    while let Some(entry) = rows.next().unwrap() {
        match entry {
            ListEntry::Row(row) => outputs.write_row(&row, &result(row.address()), None, None).unwrap(),
            ListEntry::Unreadable(row) => outputs.write_unreadable(&row).unwrap(),
        }
    }
    let finished = outputs.finish().unwrap();
    let lines: Vec<u64> = finished.unlisted.iter().map(|row| row.line).collect();
    assert_eq!((lines, finished.counts.unreadable, finished.counts.further_addresses), (vec![2, 3], 1, 1));
}
