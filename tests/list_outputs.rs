//! What is written of a list: every row, the user's bytes untouched, ours beside them, and nothing of anybody else's
//! replaced.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own lists and stops at what fails"
)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use support::{Folder, mode};

use listproof::details::AddressKinds;
use listproof::list::{
    self, ColumnSet, Dialect, ListEntry, ListError, ListKind, OutputCounts, OutputTarget, Outputs,
    ReadOptions, Source, UnreadableRow, WriteOptions,
};
use listproof::{Address, AddressResult, Cause, Confidence, Domain, Finding, Judgment, Reason, Reply};

/// A record as a run could have it: the local part says what happened.
fn record(address: &str) -> AddressResult {
    let reply = |code: u16, text: &str| Some(Reply::new(code, [text]));
    let found = |finding: Finding| (Reason::Found(finding), None);
    let (reason, reply) = match address.split('@').next().unwrap() {
        "" => found(Finding::Empty),
        "gone" => (Reason::Said(Cause::MailboxUnknown), reply(550, "5.1.1 no, \"gone\" is not here")),
        "full" => (Reason::Said(Cause::MailboxFull), reply(452, "4.2.2 full")),
        "grey" => (Reason::Said(Cause::Greylisted), reply(451, "come back later")),
        "guess" => found(Finding::DomainNotServed),
        _ => (Reason::Said(Cause::Accepted), reply(250, "2.1.5 ok")),
    };
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let sure = !matches!(reason, Reason::Found(Finding::DomainNotServed));
    AddressResult {
        repairs: Vec::new(),
        judgment: Judgment {
            reason,
            rule: "test".into(),
            confidence: if sure { Confidence::Confirmed } else { Confidence::Inferred },
            retry_after: (reason == Reason::Said(Cause::Greylisted)).then_some(time),
        },
        did_you_mean: None,
        address: Address::parse(address).ok(),
        kinds: AddressKinds { role: Some(false), ..AddressKinds::default() },
        provider: None,
        mx_host: Domain::parse("mx.example").ok(),
        catch_all: Some(false),
        attempts: u32::from(reply.is_some()),
        checked_at: reply.is_some().then_some(time),
        expires_at: None,
        reply,
    }
}

struct Desk {
    folder: Folder,
}

impl Desk {
    fn with(name: &str, bytes: impl AsRef<[u8]>) -> Desk {
        Desk { folder: Folder::with_file(name, bytes) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    /// Verifies a list: trims the address, and knows an earlier row with the same one.
    fn run(
        &self,
        name: &str,
        target: &OutputTarget,
        read: &ReadOptions,
        write: &WriteOptions,
    ) -> Result<OutputCounts, ListError> {
        let list = list::open(&Source::Path(self.path(name)), read)?;
        let mut outputs = Outputs::create(target, list.form(), write)?;
        let mut first = BTreeMap::new();
        let mut rows = list.rows()?;
        while let Some(entry) = rows.next()? {
            match entry {
                ListEntry::Unreadable(rejected) => outputs.reject(&rejected)?,
                ListEntry::Row(row) => {
                    let address = row.address().trim().to_owned();
                    let repaired = (address != row.address()).then_some(address.as_str());
                    let first = *first.entry(address.clone()).or_insert(row.record);
                    let duplicate_of = (first != row.record && !address.is_empty()).then_some(first);
                    outputs.write(&row, &record(&address), repaired, duplicate_of)?;
                }
            }
        }
        let finished = outputs.finish()?;
        finished.summary(b"{}\n")?;
        Ok(finished.counts)
    }

    fn out(&self) -> OutputTarget {
        OutputTarget::Folder(self.path("out"))
    }

    /// All files in `out`, by name.
    fn files(&self) -> String {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(self.path("out")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let text = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            format!("== {name}\n{}", std::fs::read_to_string(path).unwrap())
        };
        files.iter().map(text).collect()
    }
}

fn minimal() -> WriteOptions {
    WriteOptions { columns: ColumnSet::Minimal, ..WriteOptions::default() }
}

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
    let desk = Desk::with("contacts.csv", CONTACTS);
    let counts = desk.run("contacts.csv", &desk.out(), &ReadOptions::default(), &minimal()).unwrap();
    assert_eq!((counts.rows(), counts.results, counts.rejected, counts.further_addresses), (9, 8, 1, 1));
    assert_eq!((counts.verdicts, counts.duplicates, counts.suppressed), ([2, 1, 3, 1], 1, 1));
    assert_eq!(counts.results, counts.verdicts.iter().sum::<u64>() + counts.duplicates);
    insta::assert_snapshot!(desk.files());
}

#[test]
fn without_probes_nothing_is_called_deliverable() {
    let desk = Desk::with("contacts.csv", CONTACTS);
    desk.run("contacts.csv", &desk.out(), &ReadOptions::default(), &minimal()).unwrap();
    let offline = WriteOptions { unprobed: true, ..minimal() };
    desk.run("contacts.csv", &desk.out(), &ReadOptions::default(), &offline).unwrap();
    for stale in ["deliverable", "retry"] {
        assert!(!desk.path(&format!("out/contacts.{stale}.csv")).exists(), "{stale}");
    }
    let unprobed = std::fs::read_to_string(desk.path("out/contacts.unprobed.csv")).unwrap();
    assert_eq!(unprobed.lines().count(), 4);
}

#[test]
fn ndjson_keeps_its_values_and_gets_our_keys() {
    let list = "{\"id\":1.0,\"Email\":\" ann@x.example\"}\n{}\n{\"Email\":\"gone@x.example\", \"reason\":1}\n\
        {\"n\":{\"a\" : 1},\"Email\":[\"b@x.example\",\"c@x.example\"]}\n";
    let desk = Desk::with("contacts.ndjson", list);
    desk.run("contacts.ndjson", &desk.out(), &ReadOptions::default(), &minimal()).unwrap();
    insta::assert_snapshot!(desk.files());
}

#[test]
fn split_cells_makes_a_row_of_each_address() {
    let desk =
        Desk::with("list.csv", "name,email\nAnn,\"ann@x.example; gone@x.example\"\nBob,bob@x.example\n");
    let read = ReadOptions { split_cells: true, ..ReadOptions::default() };
    let counts = desk.run("list.csv", &desk.out(), &read, &minimal()).unwrap();
    assert_eq!((counts.results, counts.further_addresses), (3, 0));
    let results = std::fs::read_to_string(desk.path("out/list.results.csv")).unwrap();
    let users: Vec<String> =
        results.lines().map(|line| line.splitn(3, ',').take(2).collect::<Vec<_>>().join(",")).collect();
    assert_eq!(users, ["name,email", "Ann,ann@x.example", "Ann,gone@x.example", "Bob,bob@x.example"]);
}

#[test]
fn columns_of_an_earlier_run_are_replaced_in_place() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/csv/earlier_results.csv");
    let desk = Desk::with("list.csv", std::fs::read(case).unwrap());
    desk.run("list.csv", &desk.out(), &ReadOptions::default(), &minimal()).unwrap();
    insta::assert_snapshot!(desk.files());
}

#[test]
fn one_address_per_line_becomes_csv() {
    let desk = Desk::with("list.txt", "Lee, Ann <ann@x.example>\nbob@x.example\ncy@x.example\n");
    let target = OutputTarget::File(desk.path("results.csv"));
    desk.run("list.txt", &target, &ReadOptions::default(), &minimal()).unwrap();
    let results = std::fs::read_to_string(desk.path("results.csv")).unwrap();
    assert!(results.starts_with("column_1,verdict,"), "{results}");
    assert!(results.contains("\n\"Lee, Ann <ann@x.example>\","), "{results}");
}

#[test]
fn a_column_of_the_lists_own_keeps_its_name() {
    let desk = Desk::with("list.csv", "email,Domain\nann@x.example,x\n");
    let list = list::open(&Source::Path(desk.path("list.csv")), &ReadOptions::default()).unwrap();
    let outputs = Outputs::create(&desk.out(), list.form(), &minimal()).unwrap();
    let warning = outputs.warning().unwrap();
    assert_eq!(
        warning,
        "the list has a column `Domain` of its own, so ours are called `verify_verdict` and so on"
    );
}

/// Message, hint and class of the error of a run into `target`.
fn refusal(desk: &Desk, list: &str, target: &OutputTarget) -> String {
    let error = desk.run(list, target, &ReadOptions::default(), &minimal()).unwrap_err();
    let folder = desk.path("").display().to_string();
    let message = error.to_string().replace(&folder, "");
    format!("error {}: {message}; hint: {}", error.class().exit_code(), error.hint())
}

#[test]
fn a_file_that_is_no_earlier_result_is_not_replaced() {
    let desk = Desk::with("list.csv", "email\nann@x.example\n");
    std::fs::create_dir(desk.path("out")).unwrap();
    std::fs::write(desk.path("out/list.retry.csv"), "mine").unwrap();
    assert_eq!(
        refusal(&desk, "list.csv", &desk.out()),
        "error 74: `out/list.retry.csv` is there already and is not an earlier result; \
         hint: move it away, or choose another place with `-o`"
    );
    assert_eq!(desk.files(), "== list.retry.csv\nmine");
}

#[test]
fn the_list_itself_is_not_replaced_even_where_it_is_ours() {
    let desk = Desk::with("list.csv", "email\nann@x.example\n");
    let results = OutputTarget::File(desk.path("results.csv"));
    desk.run("list.csv", &results, &ReadOptions::default(), &minimal()).unwrap();
    desk.run("list.csv", &results, &ReadOptions::default(), &minimal()).unwrap();
    assert_eq!(
        refusal(&desk, "results.csv", &results),
        "error 74: `results.csv` is the list itself; hint: choose another name with `-o`"
    );
}

#[cfg(unix)]
#[test]
fn outputs_are_their_owners_alone_and_never_go_through_a_link() {
    use std::os::unix::fs::symlink;
    let desk = Desk::with("list.csv", "email\nann@x.example\n");
    desk.run("list.csv", &desk.out(), &ReadOptions::default(), &minimal()).unwrap();
    assert_eq!(mode(&desk.path("out")), 0o700);
    for file in std::fs::read_dir(desk.path("out")).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
    symlink(desk.path("elsewhere"), desk.path("link.csv")).unwrap();
    assert_eq!(
        refusal(&desk, "list.csv", &OutputTarget::File(desk.path("link.csv"))),
        "error 74: `link.csv` is a symbolic link, and results are not written through links; \
         hint: remove the link, or choose another place with `-o`"
    );
}

#[test]
fn a_place_that_cannot_be_written_is_said_before_the_first_row() {
    let desk = Desk::with("list.csv", "email\nann@x.example\n");
    let below_a_file = OutputTarget::Folder(desk.path("list.csv/out"));
    let refusal = refusal(&desk, "list.csv", &below_a_file);
    assert!(refusal.starts_with("error 74: cannot write `list.csv/out`: "), "{refusal}");
}

/// Reads what was written by the csv crate, strictly: every row has as many cells as the header.
fn table(path: &Path, delimiter: u8) -> Vec<Vec<String>> {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).from_path(path).unwrap();
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
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
    fn the_users_cells_come_out_as_they_went_in_and_ours_stand_under_their_names(
        rows in any_table(),
        delimiter in prop::sample::select(b",;\t|".as_slice()),
    ) {
        let mut writer =
            csv::WriterBuilder::new().delimiter(delimiter).flexible(true).from_writer(Vec::new());
        writer.write_record(["name", "email", "note"]).unwrap();
        for row in &rows { writer.write_record(row).unwrap(); }
        let desk = Desk::with("list.csv", writer.into_inner().unwrap());
        let write = WriteOptions { columns: ColumnSet::Full, ..WriteOptions::default() };
        let counts = desk.run("list.csv", &desk.out(), &ReadOptions::default(), &write).unwrap();
        prop_assert_eq!(counts.results, rows.len() as u64);
        let results = table(&desk.path("out/list.results.csv"), delimiter);
        prop_assert_eq!(results.len(), rows.len() + 1);
        for (row, told) in rows.iter().zip(&results[1..]) {
            let padded: Vec<&str> = row.iter().map(String::as_str).chain(["", ""]).take(3).collect();
            prop_assert_eq!(&told[..3], padded);
            let expected = record(row.get(1).map_or("", |address| address.trim()));
            prop_assert_eq!(&told[4], expected.judgment.reason.word());
            prop_assert_eq!(&told[22], if expected.reply.is_some() { "1" } else { "0" });
        }
        // A second run over the results gives the same user's cells and one set of ours.
        std::fs::copy(desk.path("out/list.results.csv"), desk.path("again.csv")).unwrap();
        desk.run("again.csv", &desk.out(), &ReadOptions::default(), &write).unwrap();
        prop_assert_eq!(table(&desk.path("out/again.results.csv"), delimiter), results);
    }

    #[test]
    fn any_bytes_are_refused_or_every_row_comes_out_with_its_bytes(
        start in prop::sample::select(["", "email,b\n", "email;b\r\n", "email\r", "{\"email\":1}\n", "\u{feff}email\tb\n"].as_slice()),
        bytes in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(b"ab@.,;\t\"\r\n{}: \x00\xc3\xa4\xff".as_slice()),
            1 => any::<u8>(),
        ], 0..300),
    ) {
        let desk = Desk::with("list.csv", [start.as_bytes(), &bytes].concat());
        let Ok(list) = list::open(&Source::Path(desk.path("list.csv")), &ReadOptions::default()) else {
            return Ok(());
        };
        let target = OutputTarget::File(desk.path("results"));
        let mut outputs = Outputs::create(&target, list.form(), &minimal()).unwrap();
        let mut rows = list.rows().unwrap();
        let (mut raws, mut rejected) = (Vec::new(), Vec::<UnreadableRow>::new());
        while let Some(entry) = rows.next().unwrap() {
            match entry {
                ListEntry::Row(row) => {
                    outputs.write(&row, &record("gone@x.example"), None, None).unwrap();
                    raws.push(row.raw().to_vec());
                }
                ListEntry::Unreadable(row) => {
                    outputs.reject(&row).unwrap();
                    rejected.push(row);
                }
            }
        }
        let counts = outputs.finish().unwrap().counts;
        prop_assert_eq!(counts.results, raws.len() as u64);
        prop_assert_eq!(counts.rejected, rejected.iter().filter(|row| row.is_row()).count() as u64);
        let results = std::fs::read(desk.path("results")).unwrap();
        let mut rest = results.as_slice();
        if list.form().kind != ListKind::Ndjson {
            let header = memchr::memmem::find(rest, b"checked_at").unwrap();
            rest = &rest[header..];
        }
        for raw in raws {
            let raw = match list.form().kind {
                ListKind::Ndjson => raw.rsplitn(2, |byte| *byte == b'}').last().unwrap().to_vec(),
                // Quoted where it needs to be.
                ListKind::Lines => String::from_utf8(raw).unwrap().replace('"', "\"\"").into_bytes(),
                ListKind::Delimited(_) => raw,
            };
            let at = memchr::memmem::find(rest, &raw);
            prop_assert!(at.is_some_and(|at| at < 200), "{:?} in {:?}", raw, rest);
            let end = at.unwrap() + raw.len();
            let ours = memchr::memmem::find(&rest[end..], b"undeliverable").unwrap();
            prop_assert!(ours < 100, "{ours}");
            rest = &rest[end + ours..];
        }
    }
}

#[test]
fn the_words_of_another_service_are_written_and_known_again() {
    let desk =
        Desk::with("contacts.csv", "email,status\nann@x.example,new\ngone@x.example,old\nfull@x.example,\n");
    let options = WriteOptions { dialect: Dialect::named("neverbounce"), ..WriteOptions::default() };
    for _ in 0..2 {
        desk.run("contacts.csv", &desk.out(), &ReadOptions::default(), &options).unwrap();
    }
    let read = |file: &str| std::fs::read_to_string(desk.path("out").join(file)).unwrap();
    assert_eq!(
        read("contacts.results.csv"),
        "email,status,result,suggested_correction\nann@x.example,new,valid,\ngone@x.example,old,invalid,\n\
         full@x.example,,invalid,\n"
    );
    assert_eq!(
        read("contacts.undeliverable.csv"),
        "email,status,result,suggested_correction,smtp_text\n\
         gone@x.example,old,invalid,,\"550 5.1.1 no, \"\"gone\"\" is not here\"\n"
    );
    assert_eq!(read("contacts.risky.csv").lines().count(), 2);
    let zero = WriteOptions { dialect: Dialect::named("zerobounce"), ..WriteOptions::default() };
    desk.run("contacts.csv", &desk.out(), &ReadOptions::default(), &zero).unwrap();
    assert!(read("contacts.results.csv").starts_with("email,status,verify_status,verify_sub_status,"));
}
