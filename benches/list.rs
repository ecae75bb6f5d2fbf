//! Reading a list and writing it with our columns, against the csv crate that copies it with as many columns.
//!
//! `cargo bench --bench list`. Files are in memory where the system has such a folder. Each round reads the same file and
//! writes to a file in the same folder; the figures count input rows.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark makes its own files and stops at what fails"
)]

mod copy;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use copy::copy;
use divan::Bencher;
use divan::counter::ItemsCount;
use tempfile::TempDir;

use listproof::details::AddressKinds;
use listproof::list::{self, ColumnSet, ListEntry, OutputTarget, Outputs, ReadOptions, Source, WriteOptions};
use listproof::{Address, AddressResult, Confidence, Finding, Judgment, Reason};

const ROWS: u64 = 200_000;

fn main() {
    divan::main();
}

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.unwrap()
});

/// Five columns as a CRM exports them, 66 bytes a row.
static LIST: LazyLock<PathBuf> = LazyLock::new(|| {
    let path = FOLDER.path().join("contacts.csv");
    let mut list = String::from("id,first name,company,email,city\n");
    for row in 0..ROWS {
        let company = if row % 20 == 0 { "\"Miller, Sons & Co.\"" } else { "Miller and Sons Ltd" };
        let domain = row % 5_000;
        writeln!(list, "{row},Annabel,{company},annabel.{row}@company{domain}.example,Berlin").unwrap();
    }
    std::fs::write(&path, list).unwrap();
    path
});

fn record(address: Option<Address>) -> AddressResult {
    AddressResult {
        repairs: Vec::new(),
        judgment: Judgment {
            reason: Reason::Finding(Finding::NotProbed),
            rule: "offline".into(),
            confidence: Confidence::Inferred,
            retry_after: None,
        },
        did_you_mean: None,
        address,
        kinds: AddressKinds {
            role: Some(false),
            disposable: Some(false),
            free: Some(false),
            tagged: Some(false),
            relay: Some(false),
        },
        provider: None,
        mx_host: None,
        catch_all: None,
        reply: None,
        attempts: 0,
        checked_at: None,
        expires_at: None,
    }
}

fn csv_copy(list: &Path, more: bool) {
    copy(list, &FOLDER.path().join("copy.csv"), more);
}

#[divan::bench(sample_count = 11, sample_size = 1)]
fn csv_crate_copies(bencher: Bencher<'_, '_>) {
    let list = &*LIST;
    bencher.counter(ItemsCount::new(ROWS)).bench(|| csv_copy(list, false));
}

#[divan::bench(sample_count = 11, sample_size = 1)]
fn csv_crate_copies_with_standard_columns(bencher: Bencher<'_, '_>) {
    let list = &*LIST;
    bencher.counter(ItemsCount::new(ROWS)).bench(|| csv_copy(list, true));
}

#[divan::bench(sample_count = 11, sample_size = 1)]
fn csv_crate_reads(bencher: Bencher<'_, '_>) {
    let list = &*LIST;
    bencher.counter(ItemsCount::new(ROWS)).bench(|| {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(list).unwrap();
        let mut row = csv::ByteRecord::new();
        let mut bytes = 0;
        while reader.read_byte_record(&mut row).unwrap() {
            bytes += row[3].len();
        }
        bytes
    });
}

#[divan::bench(sample_count = 11, sample_size = 1)]
fn list_reads(bencher: Bencher<'_, '_>) {
    let list = list::open(&Source::Path(LIST.clone()), &ReadOptions::default()).unwrap();
    bencher.counter(ItemsCount::new(ROWS)).bench(|| {
        let mut rows = list.rows().unwrap();
        let mut bytes = 0;
        while let Some(entry) = rows.next().unwrap() {
            if let ListEntry::Row(row) = entry {
                bytes += row.address().len();
            }
        }
        bytes
    });
}

/// Reads and writes each row; `address` returns what goes into `email_normalized` and `domain`.
fn list_copies(columns: ColumnSet, address: impl Fn(&str) -> Option<Address>) {
    let list = list::open(&Source::Path(LIST.clone()), &ReadOptions::default()).unwrap();
    let target = OutputTarget::File(FOLDER.path().join("results.csv"));
    let options = WriteOptions { columns, ..WriteOptions::default() };
    let mut outputs = Outputs::create(&target, list.format(), &options).unwrap();
    let mut rows = list.rows().unwrap();
    let mut record = record(None);
    while let Some(entry) = rows.next().unwrap() {
        match entry {
            ListEntry::Row(row) => {
                record.address = address(row.address());
                outputs.write_row(&row, &record, None, None).unwrap();
            }
            ListEntry::Unreadable(row) => outputs.write_unreadable(&row).unwrap(),
        }
    }
    outputs.finish().unwrap();
}

#[divan::bench(sample_count = 11, sample_size = 1)]
fn list_copies_with_standard_columns(bencher: Bencher<'_, '_>) {
    LazyLock::force(&LIST);
    let one = Address::parse("annabel.12345@company1234.example").unwrap();
    bencher.counter(ItemsCount::new(ROWS)).bench(|| list_copies(ColumnSet::Standard, |_| Some(one.clone())));
}

#[divan::bench(sample_count = 11, sample_size = 1)]
fn list_copies_and_parses_with_standard_columns(bencher: Bencher<'_, '_>) {
    LazyLock::force(&LIST);
    bencher
        .counter(ItemsCount::new(ROWS))
        .bench(|| list_copies(ColumnSet::Standard, |text| Address::parse(text).ok()));
}
