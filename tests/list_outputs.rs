//! Writing lists: every row is written, the user's cells byte for byte with the added ones beside them, and no file is
//! replaced but results of an earlier run.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own lists and stops at what fails"
)]

#[path = "support/list_folder.rs"]
mod list_folder;
mod support;

use std::path::Path;

use list_folder::{ListFolder, minimal, result};
use proptest::prelude::*;
use support::mode;

use listproof::list::{
    self, ColumnSet, Dialect, ListEntry, ListKind, OutputTarget, Outputs, ReadOptions, Source, UnreadableRow,
    WriteOptions,
};

const CONTACTS: &str = "name;Email;city\r\n\
    \"Lee; Ann\"; ann@x.example ;Berlin\r\n\
    Bob;gone@x.example;\"Paris\"\r\n\
    Cy;grey@x.example\r\n\
    Dee;full@x.example;\r\n\
    Ann;ann@x.example;Berlin\r\n\
    Eve;;Rome\r\n\
    Flo;flo@x.example, gone@x.example;Rome\r\n\
    Gus;\"gus@x.example;Rome\r\n\
    Guy;guess@x.example;Rome";

#[test]
fn each_row_goes_to_the_files_where_it_belongs() {
    let folder = ListFolder::with("contacts.csv", CONTACTS);
    let counts = folder.run("contacts.csv", &folder.out(), &ReadOptions::default(), &minimal()).unwrap();
    assert_eq!((counts.rows(), counts.results, counts.unreadable, counts.further_addresses), (9, 8, 1, 1));
    assert_eq!((counts.verdicts, counts.duplicates, counts.suppressed), ([2, 1, 2, 1], 1, 1));
    let judged: u64 = counts.verdicts.iter().sum();
    assert_eq!(counts.results, judged + counts.duplicates + counts.without_address);
    insta::assert_snapshot!(folder.files());
}

#[test]
fn without_probes_nothing_is_called_deliverable() {
    let folder = ListFolder::with("contacts.csv", CONTACTS);
    folder.run("contacts.csv", &folder.out(), &ReadOptions::default(), &minimal()).unwrap();
    let offline = WriteOptions { unprobed: true, ..minimal() };
    folder.run("contacts.csv", &folder.out(), &ReadOptions::default(), &offline).unwrap();
    for stale in ["deliverable", "retry"] {
        assert!(!folder.path(&format!("out/contacts.{stale}.csv")).exists(), "{stale}");
    }
    let unprobed = std::fs::read_to_string(folder.path("out/contacts.unprobed.csv")).unwrap();
    assert_eq!(unprobed.lines().count(), 4);
}

#[test]
fn ndjson_keeps_its_values_and_gets_our_keys() {
    let list = "{\"id\":1.0,\"Email\":\" ann@x.example\"}\n{}\n{\"Email\":\"gone@x.example\", \"reason\":1}\n\
        {\"n\":{\"a\" : 1},\"Email\":[\"b@x.example\",\"c@x.example\"]}\n";
    let folder = ListFolder::with("contacts.ndjson", list);
    folder.run("contacts.ndjson", &folder.out(), &ReadOptions::default(), &minimal()).unwrap();
    insta::assert_snapshot!(folder.files());
}

#[test]
fn split_cells_makes_a_row_of_each_address() {
    let folder = ListFolder::with(
        "list.csv",
        "name,email\nAnn,\"ann@x.example; gone@x.example\"\nBob,bob@x.example\n",
    );
    let read = ReadOptions { split_cells: true, ..ReadOptions::default() };
    let counts = folder.run("list.csv", &folder.out(), &read, &minimal()).unwrap();
    assert_eq!((counts.results, counts.further_addresses), (3, 0));
    let results = std::fs::read_to_string(folder.path("out/list.results.csv")).unwrap();
    let users: Vec<String> =
        results.lines().map(|line| line.splitn(3, ',').take(2).collect::<Vec<_>>().join(",")).collect();
    assert_eq!(users, ["name,email", "Ann,ann@x.example", "Ann,gone@x.example", "Bob,bob@x.example"]);
}

#[test]
fn columns_of_an_earlier_run_are_replaced_in_place() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/csv/earlier_results.csv");
    let folder = ListFolder::with("list.csv", std::fs::read(case).unwrap());
    folder.run("list.csv", &folder.out(), &ReadOptions::default(), &minimal()).unwrap();
    insta::assert_snapshot!(folder.files());
}

#[test]
fn one_address_per_line_becomes_csv() {
    let folder = ListFolder::with("list.txt", "Lee, Ann <ann@x.example>\nbob@x.example\ncy@x.example\n");
    let target = OutputTarget::File(folder.path("results.csv"));
    folder.run("list.txt", &target, &ReadOptions::default(), &minimal()).unwrap();
    let results = std::fs::read_to_string(folder.path("results.csv")).unwrap();
    assert!(results.starts_with("column_1,verdict,"), "{results}");
    assert!(results.contains("\n\"Lee, Ann <ann@x.example>\","), "{results}");
}

#[test]
fn a_column_of_the_list_keeps_its_name() {
    let folder = ListFolder::with("list.csv", "email,Domain\nann@x.example,x\n");
    let list = list::open(&Source::Path(folder.path("list.csv")), &ReadOptions::default()).unwrap();
    let outputs = Outputs::create(&folder.out(), list.format(), &minimal()).unwrap();
    let warning = outputs.warning().unwrap();
    assert_eq!(
        warning,
        "the list already has a column `Domain`, so the added columns are named `verify_verdict` and so on"
    );
}

/// Exit code, message and hint of the error of a run into `target`.
fn failure(folder: &ListFolder, list: &str, target: &OutputTarget) -> String {
    let error = folder.run(list, target, &ReadOptions::default(), &minimal()).unwrap_err();
    let root = folder.path("").display().to_string();
    let message = error.to_string().replace(&root, "");
    format!("error {}: {message}; hint: {}", error.class().exit_code(), error.hint())
}

#[test]
fn a_file_that_is_no_earlier_result_is_not_replaced() {
    let folder = ListFolder::with("list.csv", "email\nann@x.example\n");
    std::fs::create_dir(folder.path("out")).unwrap();
    std::fs::write(folder.path("out/list.retry.csv"), "mine").unwrap();
    assert_eq!(
        failure(&folder, "list.csv", &folder.out()),
        "error 74: `out/list.retry.csv` exists and is not a result of an earlier run; \
         hint: move it away, or choose another place with `-o`"
    );
    assert_eq!(folder.files(), "== list.retry.csv\nmine");
}

#[test]
fn the_list_itself_is_not_replaced_even_if_it_is_a_result() {
    let folder = ListFolder::with("list.csv", "email\nann@x.example\n");
    let results = OutputTarget::File(folder.path("results.csv"));
    folder.run("list.csv", &results, &ReadOptions::default(), &minimal()).unwrap();
    folder.run("list.csv", &results, &ReadOptions::default(), &minimal()).unwrap();
    assert_eq!(
        failure(&folder, "results.csv", &results),
        "error 74: `results.csv` is the list itself; hint: choose another name with `-o`"
    );
}

#[cfg(unix)]
#[test]
fn outputs_are_readable_by_their_owner_only_and_never_written_through_a_link() {
    use std::os::unix::fs::symlink;
    let folder = ListFolder::with("list.csv", "email\nann@x.example\n");
    folder.run("list.csv", &folder.out(), &ReadOptions::default(), &minimal()).unwrap();
    assert_eq!(mode(&folder.path("out")), 0o700);
    for file in std::fs::read_dir(folder.path("out")).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
    symlink(folder.path("elsewhere"), folder.path("link.csv")).unwrap();
    assert_eq!(
        failure(&folder, "list.csv", &OutputTarget::File(folder.path("link.csv"))),
        "error 74: `link.csv` is a symbolic link, and results are not written through links; \
         hint: remove the link, or choose another place with `-o`"
    );
}

#[test]
fn a_folder_that_cannot_be_created_is_an_error_before_the_first_row() {
    let folder = ListFolder::with("list.csv", "email\nann@x.example\n");
    let below_a_file = OutputTarget::Folder(folder.path("list.csv/out"));
    let failure = failure(&folder, "list.csv", &below_a_file);
    assert!(failure.starts_with("error 74: cannot write `list.csv/out`: "), "{failure}");
}

/// Reads a file by the csv crate, which is strict: every row has as many cells as the header.
fn table(path: &Path, delimiter: u8) -> Vec<Vec<String>> {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).from_path(path).unwrap();
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// True for a cell in quotes, with two quotes for each inside.
fn is_quoted(cell: &[u8]) -> bool {
    let inner = cell.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    inner.is_some_and(|inner| !String::from_utf8_lossy(inner).replace("\"\"", "").contains('"'))
}

fn any_table() -> impl Strategy<Value = Vec<Vec<String>>> {
    let cell = || prop_oneof!["[a-z ]{0,8}", "[a-c,;\"\n é]{0,8}", Just("=1+1".to_owned())];
    let address = prop_oneof![
        "[a-z]{1,5}@[a-z]{1,5}\\.example",
        Just(String::new()),
        Just(" full@x.example".to_owned())
    ];
    prop::collection::vec((cell(), address, cell(), 1usize..=3), 1..12).prop_map(|rows| {
        rows.into_iter()
            .map(|(name, address, note, cells)| {
                let mut row = vec![format!("n{name}"), address, note];
                row.truncate(cells);
                row
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_users_cells_are_unchanged_and_added_cells_stand_under_their_names(
        rows in any_table(),
        delimiter in prop::sample::select(b",;\t|".as_slice()),
    ) {
        let mut writer =
            csv::WriterBuilder::new().delimiter(delimiter).flexible(true).from_writer(Vec::new());
        writer.write_record(["name", "email", "note"]).unwrap();
        for row in &rows { writer.write_record(row).unwrap(); }
        let folder = ListFolder::with("list.csv", writer.into_inner().unwrap());
        let write = WriteOptions { columns: ColumnSet::Full, ..WriteOptions::default() };
        let counts = folder.run("list.csv", &folder.out(), &ReadOptions::default(), &write).unwrap();
        prop_assert_eq!(counts.results, rows.len() as u64);
        let ending = if delimiter == b'\t' { "tsv" } else { "csv" };
        let results = table(&folder.path(&format!("out/list.results.{ending}")), delimiter);
        prop_assert_eq!(results.len(), rows.len() + 1);
        for (row, written) in rows.iter().zip(&results[1..]) {
            let padded: Vec<&str> = row.iter().map(String::as_str).chain(["", ""]).take(3).collect();
            prop_assert_eq!(&written[..3], padded);
            let expected = result(row.get(1).map_or("", |address| address.trim()));
            prop_assert_eq!(&written[4], expected.judgment.reason.word());
            prop_assert_eq!(&written[22], if expected.reply.is_some() { "1" } else { "0" });
        }
        // A second run over the results gives the same user's cells, and the added cells once.
        std::fs::copy(folder.path(&format!("out/list.results.{ending}")), folder.path("again.csv")).unwrap();
        folder.run("again.csv", &folder.out(), &ReadOptions::default(), &write).unwrap();
        prop_assert_eq!(table(&folder.path(&format!("out/again.results.{ending}")), delimiter), results);
    }

    #[test]
    fn any_bytes_are_an_error_or_every_row_is_written_with_its_bytes(
        start in prop::sample::select(["", "email,b\n", "email;b\r\n", "email\r", "{\"email\":1}\n", "\u{feff}email\tb\n"].as_slice()),
        bytes in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(b"ab@.,;\t\"\r\n{}: \x00\xc3\xa4\xff".as_slice()),
            1 => any::<u8>(),
        ], 0..300),
    ) {
        let folder = ListFolder::with("list.csv", [start.as_bytes(), &bytes].concat());
        let Ok(list) = list::open(&Source::Path(folder.path("list.csv")), &ReadOptions::default()) else {
            return Ok(());
        };
        let target = OutputTarget::File(folder.path("results"));
        let mut outputs = Outputs::create(&target, list.format(), &minimal()).unwrap();
        let mut rows = list.rows().unwrap();
        let (mut raws, mut unreadable) = (Vec::new(), Vec::<UnreadableRow>::new());
        while let Some(entry) = rows.next().unwrap() {
            match entry {
                ListEntry::Row(row) => {
                    outputs.write_row(&row, &result("gone@x.example"), None, None).unwrap();
                    raws.push(row.raw().to_vec());
                }
                ListEntry::Unreadable(row) => {
                    outputs.write_unreadable(&row).unwrap();
                    unreadable.push(row);
                }
            }
        }
        let counts = outputs.finish().unwrap().counts;
        prop_assert_eq!(counts.results, raws.len() as u64);
        prop_assert_eq!(counts.unreadable, unreadable.iter().filter(|row| row.is_row()).count() as u64);
        let results = std::fs::read(folder.path("results")).unwrap();
        let mut rest = results.as_slice();
        if list.format().kind != ListKind::Ndjson {
            let header = memchr::memmem::find(rest, b"checked_at").unwrap();
            rest = &rest[header..];
        }
        for raw in raws {
            let raw = match list.format().kind {
                ListKind::Ndjson => raw.rsplitn(2, |byte| *byte == b'}').last().unwrap().to_vec(),
                // Quoted where needed and not yet quoted.
                ListKind::Lines if is_quoted(&raw) => raw,
                ListKind::Lines => String::from_utf8(raw).unwrap().replace('"', "\"\"").into_bytes(),
                ListKind::Delimited(_) => raw,
            };
            let at = memchr::memmem::find(rest, &raw);
            prop_assert!(at.is_some_and(|at| at < 200), "{:?} in {:?}", raw, rest);
            let end = at.unwrap() + raw.len();
            let added = memchr::memmem::find(&rest[end..], b"undeliverable").unwrap();
            prop_assert!(added < 100, "{added}");
            rest = &rest[end + added..];
        }
    }
}

#[test]
fn the_words_of_another_service_are_written_and_recognized() {
    let folder = ListFolder::with(
        "contacts.csv",
        "email,status\nann@x.example,new\ngone@x.example,old\nfull@x.example,\n",
    );
    let options = WriteOptions { dialect: Dialect::named("neverbounce"), ..WriteOptions::default() };
    for _ in 0..2 {
        folder.run("contacts.csv", &folder.out(), &ReadOptions::default(), &options).unwrap();
    }
    let read = |file: &str| std::fs::read_to_string(folder.path("out").join(file)).unwrap();
    assert_eq!(
        read("contacts.results.csv"),
        "email,status,result,flags,suggested_correction\nann@x.example,new,valid,has_dns smtp_connectable,\n\
         gone@x.example,old,invalid,has_dns smtp_connectable,\n\
         full@x.example,,invalid,has_dns smtp_connectable,\n"
    );
    assert_eq!(
        read("contacts.undeliverable.csv"),
        "email,status,result,flags,suggested_correction,smtp_text\n\
         gone@x.example,old,invalid,has_dns smtp_connectable,,\"550 5.1.1 no, \"\"gone\"\" is not here\"\n"
    );
    assert_eq!(read("contacts.risky.csv").lines().count(), 2);
    let zero = WriteOptions { dialect: Dialect::named("zerobounce"), ..WriteOptions::default() };
    folder.run("contacts.csv", &folder.out(), &ReadOptions::default(), &zero).unwrap();
    assert!(read("contacts.results.csv").starts_with("email,status,verify_status,verify_sub_status,"));
}
