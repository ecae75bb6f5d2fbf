//! Reading lists: each file of `tests/csv` is read exactly, or not at all and with a clear error. The expected rows, or the
//! error, are in a snapshot with the name of the file.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own lists and stops at what fails"
)]

mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use support::Folder;

use listproof::list::{self, HeaderChoice, ListEntry, ListError, ReadOptions, Source};

/// What a list is, and every row of it; or the error and its hint.
fn read(path: &Path, options: &ReadOptions) -> String {
    let mut text = String::new();
    if let Err(error) = read_into(path, options, &mut text) {
        let folder = format!("{}/", path.parent().unwrap().display());
        let message = error.to_string().replace(&folder, "");
        writeln!(text, "error {}: {message}\nhint: {}", error.class().exit_code(), error.hint()).unwrap();
    }
    text
}

fn read_into(path: &Path, options: &ReadOptions, text: &mut String) -> Result<(), ListError> {
    let list = list::open(&Source::Path(path.to_owned()), options)?;
    writeln!(text, "{}", list.format().sentence()).unwrap();
    let mut rows = list.rows()?;
    while let Some(entry) = rows.next()? {
        match entry {
            ListEntry::Row(row) => {
                let raw = String::from_utf8_lossy(row.raw());
                writeln!(text, "row {}, line {}: {:?} in {raw:?}", row.record, row.line, row.address())
                    .unwrap();
            }
            ListEntry::Unreadable(row) => {
                writeln!(text, "line {} unreadable: {}: {:?}", row.line, row.cause, row.text).unwrap();
            }
        }
    }
    match rows.replaced() {
        0 => {}
        replaced => writeln!(text, "replaced: {replaced}").unwrap(),
    }
    Ok(())
}

fn cases(folder: &str, at_least: usize) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && !path.file_name().unwrap().to_string_lossy().starts_with('.'))
        .filter(|path| path.extension().is_none_or(|extension| extension != "md"))
        .collect();
    cases.sort();
    assert!(cases.len() >= at_least, "{} files", cases.len());
    cases
}

#[test]
fn every_list_is_read_exactly_or_fails_with_a_clear_error() {
    for case in cases("csv", 64) {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        insta::with_settings!({ snapshot_path => "csv/expected", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, read(&case, &ReadOptions::default()));
        });
    }
}

/// The shapes in which services and programs export contacts, with invented rows.
#[test]
fn every_export_is_read_as_its_service_writes_it() {
    for case in cases("exports", 30) {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        insta::with_settings!({ snapshot_path => "exports/expected", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, read(&case, &ReadOptions::default()));
        });
    }
}

/// What [`read`] returns for a list with these bytes.
fn read_bytes(bytes: &[u8], options: &ReadOptions) -> String {
    read(&Folder::with_file("list.csv", bytes).path("list.csv"), options)
}

#[test]
fn the_column_that_the_user_gives_is_found_by_name_or_number() {
    let list = b"name,Mail 2,email\nAnn,a2@x.example,a1@x.example\n";
    let choose = |column: &str| {
        let columns = vec![column.to_owned()];
        let text = read_bytes(list, &ReadOptions { columns, ..ReadOptions::default() });
        text.lines().take(2).collect::<Vec<_>>().join("; ")
    };
    let second = "CSV in UTF-8; addresses: column 2 `Mail 2`, chosen by `--column`; \
        row 1, line 2: \"a2@x.example\" in \"Ann,a2@x.example,a1@x.example\"";
    assert_eq!(choose("mail 2"), second);
    assert_eq!(choose("2"), second);
    let unknown = "hint: the columns are 1 `name`, 2 `Mail 2`, 3 `email`";
    for column in ["4", "0", "mail"] {
        let expected = format!("error 2: `list.csv`, line 1: there is no column `{column}`; {unknown}");
        assert_eq!(choose(column), expected);
    }
}

#[test]
fn a_line_that_is_too_long_is_the_only_unreadable_one() {
    let long = "x".repeat(3 << 20);
    let list = format!(
        "name,email\n{long},a@x.example\nBob,bob@y.example\n\"{long}\",c@x.example\nDee,dee@x.example\n"
    );
    let text = read_bytes(list.as_bytes(), &ReadOptions::default());
    let rows: Vec<&str> = text.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(
        rows,
        [
            "CSV in UTF-8; addresses",
            "line 2 unreadable",
            "row 2, line 3",
            "line 4 unreadable",
            "row 4, line 5"
        ]
    );
}

#[test]
fn more_columns_than_a_spreadsheet_may_have_are_an_error() {
    let expected = "error 65: `list.csv`, line 1: more than 16384 columns\n\
        hint: export only the columns that you need, among them the address\n";
    for columns in [20_000, 2_000_000] {
        let list = format!("email{}\na@x.example\n", ",a".repeat(columns));
        assert_eq!(read_bytes(list.as_bytes(), &ReadOptions::default()), expected);
    }
}

#[test]
fn a_decompression_bomb_is_refused() {
    let row = "a@x.example\n".repeat(1 << 16);
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    (0..64).for_each(|_| std::io::Write::write_all(&mut packer, row.as_bytes()).unwrap());
    let text = read_bytes(&packer.finish().unwrap(), &ReadOptions::default());
    let end: Vec<&str> = text.lines().rev().take(2).collect();
    assert_eq!(end[0], "hint: if you trust it, unpack it yourself and name the unpacked file");
    assert!(end[1].starts_with("error 65: cannot read `list.csv` from line "), "{}", end[1]);
    assert!(end[1].ends_with(" on: it unpacks to more than 250 times its size"), "{}", end[1]);
}

#[test]
fn missing_files_and_folders_are_errors() {
    let folder = Folder::new();
    let message = |path: &Path| read(path, &ReadOptions::default());
    let missing = message(&folder.path("missing.csv"));
    assert!(missing.starts_with("error 65: cannot read `missing.csv`: "), "{missing}");
    let inner = folder.path("inner");
    std::fs::create_dir(&inner).unwrap();
    assert_eq!(message(&inner), "error 65: cannot read `inner`: it is a folder\nhint: name one file in it\n");
}

/// Opens a list, changes its file, and reads the rows: how many there are, or the error.
fn read_after(bytes: &[u8], change: impl FnOnce(&Path)) -> Result<usize, String> {
    let folder = Folder::new();
    let path = folder.write("list.csv", bytes);
    // An old time, so that the time of any change differs, even if the file system stores whole seconds only.
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let list = list::open(&Source::Path(path.clone()), &ReadOptions::default()).unwrap();
    change(&path);
    let count = || -> Result<usize, ListError> {
        let (mut rows, mut count) = (list.rows()?, 0);
        while rows.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    };
    count().map_err(|error| {
        format!("{}: {error}", error.class().exit_code())
            .replace(folder.path("").to_str().unwrap().trim_end_matches('/'), "")
    })
}

const OTHER_LIST: &[u8] = b"email,id\na@x.example,1\nb@x.example,2\n";
const LIST: &[u8] = b"id,email\n1,a@x.example\n2,b@x.example\n";

#[test]
fn an_open_list_is_read_even_if_its_file_is_replaced_or_removed() {
    let replace = |path: &Path| {
        std::fs::write(path.with_extension("new"), OTHER_LIST).unwrap();
        std::fs::rename(path.with_extension("new"), path).unwrap();
    };
    assert_eq!(read_after(LIST, replace), Ok(2));
    assert_eq!(read_after(LIST, |path| std::fs::remove_file(path).unwrap()), Ok(2));
}

#[test]
fn a_list_that_is_written_to_after_it_is_opened_is_an_error() {
    let changed = || Err("65: `/list.csv` was changed while it was read".to_owned());
    assert_eq!(read_after(LIST, |path| std::fs::write(path, OTHER_LIST).unwrap()), changed());
    assert_eq!(read_after(LIST, |path| std::fs::write(path, &LIST[..20]).unwrap()), changed());
    assert_eq!(
        read_after(LIST, |path| std::fs::write(path, [LIST, b"3,c@x.example\n"].concat()).unwrap()),
        changed()
    );
}

#[test]
fn a_list_that_is_written_to_between_its_rows_is_an_error_at_its_end() {
    let mut many = String::new();
    (0..100_000).for_each(|n| writeln!(many, "user{n}@acme.example").unwrap());
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, many.as_bytes()).unwrap();
    for bytes in [many.into_bytes(), packed.finish().unwrap()] {
        let folder = Folder::new();
        let path = folder.write("list.csv", &bytes);
        let list = list::open(&Source::Path(path.clone()), &ReadOptions::default()).unwrap();
        let mut rows = list.rows().unwrap();
        rows.next().unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let end = loop {
            match rows.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("rows are lost"),
                Err(error) => break error,
            }
        };
        assert!(matches!(end, ListError::Changed { .. }), "{end}");
    }
}

/// What is read of a list with these options, without the sentence about the whole.
fn rows_of(list: &str, options: &ReadOptions) -> String {
    let text = read_bytes(list.as_bytes(), options);
    if text.starts_with("error") { text } else { text.split_once('\n').unwrap().1.to_owned() }
}

#[test]
fn a_header_behind_other_lines_is_found_and_the_lines_are_listed() {
    let late = format!("Exported list\nName,Email\n{}y,y@example.net\n", "x,\n".repeat(20));
    let text = rows_of(&late, &ReadOptions::default());
    assert!(
        text.starts_with(
            "line 1 unreadable: the row stands above the header: \"Exported list\"\nrow 1, line 3: \"\""
        ),
        "{text}"
    );
    assert!(text.ends_with("row 21, line 23: \"y@example.net\" in \"y,y@example.net\"\n"), "{text}");
    for (list, above, first) in [
        ("Members of the group a@b.example\nEmail address,Nickname\nx@example.net,x\n", 1, "x@example.net"),
        ("Report,June\nOwner:,me@x.example\n\nName,Mail\nAnn,ann@x.example\n", 2, "ann@x.example"),
        ("My people\nEmail\nann@x.example\nbob@x.example\n", 1, "ann@x.example"),
        ("sep=;\nAusgabe vom 1.1.\nName;E-Mail\nAnn;ann@x.example\n", 1, "ann@x.example"),
        (
            &format!("{}Id;E-Mail\n1;ann@x.example\n", "a line of a long preface\n".repeat(400)),
            400,
            "ann@x.example",
        ),
    ] {
        let text = rows_of(list, &ReadOptions::default());
        assert_eq!(text.matches("the row stands above the header").count(), above, "{text}");
        assert!(
            text.contains(&format!(
                "row 1, line {}: {first:?}",
                above + 2 + usize::from(list.contains("\n\n")) + usize::from(list.starts_with("sep"))
            )),
            "{text}"
        );
    }
}

#[test]
fn what_only_looks_like_a_header_is_a_row() {
    let many = "Ann,ann@x.example\n".repeat(5_000);
    let text =
        rows_of(&format!("Name,Email\n{many}Name,Email\nBob,bob@x.example\n"), &ReadOptions::default());
    assert!(!text.contains("unreadable") && text.contains("row 5001, line 5002: \"Email\""));
    let text = rows_of(&format!("{many}phone,Email\nBob,bob@x.example\n"), &ReadOptions::default());
    assert!(text.starts_with("row 1, line 1: \"ann@x.example\"") && !text.contains("unreadable"));
}

#[test]
fn two_lines_that_look_like_the_header_are_an_error_that_names_both() {
    let list = "Email,Name\nE-mail address,Full name\nann@x.example,Ann\nbob@x.example,Bob\n";
    assert_eq!(
        rows_of(list, &ReadOptions::default()),
        "error 65: `list.csv`: line 1 and line 2 both look like the header\n\
         hint: name the header: `--header-row 1` or `--header-row 2`\n"
    );
    let at = |line| ReadOptions { header: HeaderChoice::Line(line), ..ReadOptions::default() };
    assert!(rows_of(list, &at(1)).starts_with("row 1, line 2: \"E-mail address\""));
    assert!(rows_of(list, &at(2)).starts_with(
        "line 1 unreadable: the row stands above the header: \"Email,Name\"\nrow 1, line 3: \"ann@x.example\""
    ));
    assert_eq!(
        rows_of(list, &at(9)),
        "error 2: `list.csv`: no row starts on line 9, which `--header-row` names\n\
         hint: count the lines from 1; the header is within the first megabyte of the list\n"
    );
    let nowhere = ReadOptions { header: HeaderChoice::Nowhere, ..ReadOptions::default() };
    assert!(rows_of(list, &nowhere).starts_with("row 1, line 1: \"Email\""));
}

#[test]
fn where_a_column_is_empty_the_next_one_counts() {
    let columns = |names: &[&str]| ReadOptions {
        columns: names.iter().map(|&name| name.to_owned()).collect(),
        ..ReadOptions::default()
    };
    let list = "name,work,private\nAnn,a1@x.example,a2@x.example\nBob,,b2@x.example\nCyd,\" \",\nDee\n";
    assert_eq!(
        read_bytes(list.as_bytes(), &columns(&["work", "3"])),
        "CSV in UTF-8; addresses: column 2 `work`, where it is empty column 3 `private`, chosen by `--column`\n\
         row 1, line 2: \"a1@x.example\" in \"Ann,a1@x.example,a2@x.example\"\n\
         row 2, line 3: \"b2@x.example\" in \"Bob,,b2@x.example\"\n\
         row 3, line 4: \" \" in \"Cyd,\\\" \\\",\"\n\
         row 4, line 5: \"\" in \"Dee\"\n"
    );
    let list = "{\"id\":1,\"a\":null,\"p\":{\"Email\":\"p@x.example\"}}\n{\"id\":2,\"a\":\"a@x.example\",\"p\":{}}\n";
    let text = rows_of(list, &columns(&["a", "p.email"]));
    assert!(
        text.contains("row 1, line 1: \"p@x.example\"") && text.contains("row 2, line 2: \"a@x.example\""),
        "{text}"
    );
}

#[test]
fn rows_with_an_address_in_another_column_only_are_named() {
    let list = "name,email,email 2\nAnn,a@x.example,\nBob,,b@x.example\nCyd,,\n";
    let text = read_bytes(list.as_bytes(), &ReadOptions::default());
    assert_eq!(
        text.lines().next().unwrap(),
        "CSV in UTF-8; addresses: column 2 `email`, by its name; also possible: column 3 `email 2` (1 of the first 3 rows \
         have an address only there: `--column 2 --column 3` reads both)"
    );
    let only_second = "name,email,email 2\nAnn,,a@x.example\nBob,,b@x.example\n";
    let text = read_bytes(only_second.as_bytes(), &ReadOptions::default());
    assert!(text.starts_with("CSV in UTF-8; addresses: column 3 `email 2`, by its name"), "{text}");
}

#[test]
fn keys_of_objects_count_in_any_case_and_in_objects() {
    let list = "{\"Email\":\"a@x.example\"}\n{\"EMAIL\":\"b@x.example\"}\n{\"email\":\"c@x.example\"}\n";
    let text = rows_of(list, &ReadOptions::default());
    for (number, address) in [(1, "a@x.example"), (2, "b@x.example"), (3, "c@x.example")] {
        assert!(text.contains(&format!("row {number}, line {number}: {address:?}")), "{text}");
    }
    let nested = "{\"id\":\"1\",\"properties\":{\"firstname\":\"Ann\",\"email\":\"a@x.example\"}}\n";
    let text = read_bytes(nested.as_bytes(), &ReadOptions::default());
    assert!(
        text.starts_with(
            "NDJSON in UTF-8; addresses: key `properties.email`, by its name\nrow 1, line 1: \"a@x.example\""
        ),
        "{text}"
    );
}

#[test]
fn a_delimiter_is_found_or_given() {
    for delimiter in [',', ';', '\t', '|', '^', '~', '#', ':'] {
        let list =
            format!("name{delimiter}email\nAnn{delimiter}ann@x.example\nBob{delimiter}bob@x.example\n");
        let text = rows_of(&list, &ReadOptions::default());
        assert!(text.starts_with("row 1, line 2: \"ann@x.example\""), "{delimiter:?}: {text}");
    }
    let given = ReadOptions { delimiter: Some(b'!'), ..ReadOptions::default() };
    assert!(
        rows_of("1!ann@x.example\n2!bob@x.example\n", &given).starts_with("row 1, line 1: \"ann@x.example\"")
    );
}

#[test]
fn addresses_side_by_side_are_all_named_or_all_rows() {
    let split = ReadOptions { split_cells: true, ..ReadOptions::default() };
    for list in [
        "a@example.org,b@example.net\n",
        "a@example.org;b@example.net",
        "a@example.org\tb@example.net\n",
        "\"a@example.org\",\"b@example.net\"\n",
        "a@example.org b@example.net\n",
    ] {
        let text = rows_of(list, &ReadOptions::default());
        let extra = "line 1 unreadable: extra_address: another address of row 1, not checked; `--split-cells` makes a row of it: \"b@example.net\"\n";
        assert!(text.starts_with("row 1, line 1: \"a@example.org\"") && text.ends_with(extra), "{text}");
        let text = rows_of(list, &split);
        assert!(
            text.starts_with("row 1, line 1: \"a@example.org\"")
                && text.contains("row 2, line 1: \"b@example.net\""),
            "{text}"
        );
    }
    let ragged = "a@example.org,b@example.net\nc@example.org\nd@example.org,e@example.net,f@example.com\n";
    assert_eq!(rows_of(ragged, &split).matches("row ").count(), 6);
    assert_eq!(rows_of(ragged, &ReadOptions::default()).matches("extra_address").count(), 3);
    // With a name beside it, a second column of addresses is a column.
    let text = rows_of("Ann,a@example.org,b@example.net\nBob,c@example.org,\n", &ReadOptions::default());
    assert!(!text.contains("extra_address"), "{text}");
}

#[test]
fn quoted_local_parts_under_a_bare_header_are_read_as_csv() {
    let list = "Email\nann@x.example\n\"\"\"john doe\"\"@x.example\"\n\"Doe, Dee\" <dee@x.example>\n\"j d\"@x.example\n";
    let text = rows_of(list, &ReadOptions::default());
    assert!(text.contains("row 2, line 3: \"\\\"john doe\\\"@x.example\""), "{text}");
    assert!(text.contains("row 3, line 4: \"\\\"Doe, Dee\\\" <dee@x.example>\""), "{text}");
    assert!(text.contains("row 4, line 5: \"\\\"j d\\\"@x.example\""), "{text}");
}
