//! Lists in files of other programs: address books, workbooks, archives.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own lists and stops at what fails"
)]

mod support;

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use support::Folder;

use listproof::list::{self, ListEntry, ReadOptions, Source};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// What a list is, and its rows with their lines; or the error and its hint.
fn read(name: &str, bytes: &[u8], options: &ReadOptions) -> String {
    let folder = Folder::with_file(name, bytes);
    let read = || -> Result<String, list::ListError> {
        let list = list::open(&Source::Path(folder.path(name)), options)?;
        let mut text = format!("{}\n", list.format().sentence());
        let mut rows = list.rows()?;
        while let Some(entry) = rows.next()? {
            match entry {
                ListEntry::Row(row) => {
                    writeln!(
                        text,
                        "{}: {} | {}",
                        row.line,
                        row.address(),
                        String::from_utf8_lossy(row.raw())
                    )
                    .unwrap();
                }
                ListEntry::Unreadable(row) => writeln!(text, "{}: ! {}", row.line, row.text).unwrap(),
            }
        }
        Ok(text)
    };
    let path = format!("{}/", folder.path("").display()).replace("//", "/");
    read().unwrap_or_else(|error| {
        format!("error {}: {}; {}\n", error.class().exit_code(), error, error.hint()).replace(&path, "")
    })
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A workbook of sheets: name, state, rows of cells.
fn workbook(sheets: &[(&str, &str, &[&[&str]])]) -> Vec<u8> {
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
    let (mut book, mut links, mut types) = (String::new(), String::new(), String::new());
    let mut files = Vec::new();
    for (number, (name, state, rows)) in (1..).zip(sheets) {
        write!(book, "<sheet name=\"{name}\" sheetId=\"{number}\" state=\"{state}\" r:id=\"r{number}\"/>")
            .unwrap();
        write!(links, "<Relationship Id=\"r{number}\" Type=\"{OFFICE}/worksheet\" Target=\"worksheets/sheet{number}.xml\"/>").unwrap();
        write!(types, "<Override PartName=\"/xl/worksheets/sheet{number}.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml\"/>").unwrap();
        let mut cells = String::new();
        for (line, row) in (1..).zip(*rows) {
            write!(cells, "<row r=\"{line}\">").unwrap();
            for (column, text) in ('A'..).zip(*row).filter(|(_, text)| !text.is_empty()) {
                write!(cells, "<c r=\"{column}{line}\" t=\"inlineStr\"><is><t>{text}</t></is></c>").unwrap();
            }
            cells += "</row>";
        }
        let sheet = format!("<worksheet xmlns=\"{MAIN}\"><sheetData>{cells}</sheetData></worksheet>");
        files.push((format!("xl/worksheets/sheet{number}.xml"), sheet));
    }
    files.push(("[Content_Types].xml".to_owned(), format!("<Types xmlns=\"{PACKAGE}/content-types\"><Default Extension=\"xml\" ContentType=\"application/xml\"/>{types}</Types>")));
    files.push(("_rels/.rels".to_owned(), format!("<Relationships xmlns=\"{PACKAGE}/relationships\"><Relationship Id=\"r1\" Type=\"{OFFICE}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>")));
    files.push((
        "xl/workbook.xml".to_owned(),
        format!("<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><sheets>{book}</sheets></workbook>"),
    ));
    files.push((
        "xl/_rels/workbook.xml.rels".to_owned(),
        format!("<Relationships xmlns=\"{PACKAGE}/relationships\">{links}</Relationships>"),
    ));
    let files: Vec<(&str, &[u8])> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    zip(&files)
}

#[test]
fn cards_of_all_versions_become_rows_of_name_and_address() {
    let cards = "BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=BC=\r\nrgen\r\n\
        EMAIL;INTERNET;HOME:juergen@x.example\r\nEND:VCARD\r\n\
        BEGIN:VCARD\nVERSION:3.0\nFN:Lee\\, Ann\nitem1.EMAIL;type=INTERNET;type=pref:ann@x.example\n\
        EMAIL;TYPE=WORK:ann@y.ex\n ample\nitem1.X-ABLabel:_$!<Other>!$_\nPHOTO;ENCODING=b:AAAA\n BBBB\n CCCC\nEND:VCARD\n\
        begin:vcard\nversion:4.0\nEMAIL;PID=1.1;TYPE=\"work,a:b\":bob@x.example\nfn:Bob \"B\" Ray\nend:vcard\n\
        BEGIN:VCARD\nVERSION:4.0\nFN:No address\nEND:VCARD\n\
        BEGIN:VCARD\nORG:Acme Ltd\nEMAIL:office@acme.example\n";
    assert_eq!(
        read("contacts.vcf", cards.as_bytes(), &ReadOptions::default()),
        "vCard (results are CSV); addresses: column 2 `email`, by its name\n\
         5: juergen@x.example | \"Jürgen Müller\",\"juergen@x.example\"\n\
         10: ann@x.example | \"Lee, Ann\",\"ann@x.example\"\n\
         11: ann@y.example | \"Lee, Ann\",\"ann@y.example\"\n\
         20: bob@x.example | \"Bob \"\"B\"\" Ray\",\"bob@x.example\"\n\
         23:  | \"No address\",\"\"\n\
         29: office@acme.example | \"Acme Ltd\",\"office@acme.example\"\n"
    );
    let mark = [b"\xef\xbb\xbf", cards.as_bytes()].concat();
    assert!(read("a", &mark, &ReadOptions::default()).starts_with("vCard"));
}

const LIST: &[&[&str]] =
    &[&["Report of June"], &[], &["Name", "Email"], &["Ann", "ann@x.example"], &["Bob", "bob@x.example"]];
const COVER: &[&[&str]] = &[&["Contacts", "2026"], &["Questions to", "office@x.example"]];

#[test]
fn the_sheet_with_the_addresses_is_read_and_not_its_cover() {
    let book = workbook(&[("Cover", "visible", COVER), ("Old", "hidden", LIST), ("People", "visible", LIST)]);
    let rows =
        "1: ! Report of June\n4: ann@x.example | Ann,ann@x.example\n5: bob@x.example | Bob,bob@x.example\n";
    assert_eq!(
        read("book.xlsx", &book, &ReadOptions::default()),
        format!("XLSX (results are CSV), sheet `People`; addresses: column 2 `Email`, by its name\n{rows}")
    );
    let sheet = |name: &str| ReadOptions { sheet: Some(name.to_owned()), ..ReadOptions::default() };
    assert_eq!(
        read("book.xlsx", &book, &sheet("old")),
        format!("XLSX (results are CSV), sheet `Old`; addresses: column 2 `Email`, by its name\n{rows}")
    );
    assert_eq!(
        read("book.xlsx", &book, &sheet("Nothing")),
        "error 2: `book.xlsx`: there is no sheet `Nothing`; the sheets are `Cover`, `Old`, `People`\n"
    );
    assert_eq!(
        read("list.csv", b"email\na@x.example\n", &sheet("People")),
        "error 2: `list.csv` is not an Excel workbook (XLSX), so it has no sheet `People`; leave out `--sheet`\n"
    );
    let two = workbook(&[("Leads", "visible", LIST), ("Clients", "visible", LIST)]);
    let text = read("book.xlsx", &two, &ReadOptions::default());
    assert!(
        text.starts_with("XLSX (results are CSV), sheet `Leads` (`--sheet` reads another: `Clients`); "),
        "{text}"
    );
    let only_cover = workbook(&[("Empty", "visible", &[]), ("Cover", "visible", COVER)]);
    assert!(read("book.xlsx", &only_cover, &ReadOptions::default()).contains("sheet `Cover`"));
}

#[test]
fn an_archive_with_one_list_is_read() {
    let list: &[u8] = b"name,email\nAnn,ann@x.example\n";
    let row = "2: ann@x.example | Ann,ann@x.example\n";
    let of = |files: &[(&str, &[u8])]| read("export.zip", &zip(files), &ReadOptions::default());
    let csv = format!(
        "CSV in UTF-8, `a/list.csv` in a ZIP archive; addresses: column 2 `email`, by its name\n{row}"
    );
    assert_eq!(of(&[("a/list.csv", list)]), csv);
    assert_eq!(
        of(&[
            ("__MACOSX/a/._list.csv", b"x"),
            ("a/list.csv", list),
            ("a/readme.md", b"x"),
            (".DS_Store", b"")
        ]),
        csv
    );
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(list).unwrap();
    assert!(of(&[("list.csv.gz", &packed.finish().unwrap())]).ends_with(row));
    let book = workbook(&[("People", "visible", LIST)]);
    let text = of(&[("book.xlsx", &book)]);
    assert!(
        text.starts_with("XLSX (results are CSV), `book.xlsx` in a ZIP archive, sheet `People`; "),
        "{text}"
    );
    for files in [&[("a.csv", list), ("b.csv", list)][..], &[]] {
        let text = of(files);
        assert!(text.starts_with("error 65: `export.zip` is a ZIP archive with several files"), "{text}");
    }
    // An archive that unpacks without end.
    let bomb = vec![b'a'; 64 << 20];
    assert!(of(&[("list.csv", &bomb)]).contains("it unpacks to more than 250 times its size"));
}
