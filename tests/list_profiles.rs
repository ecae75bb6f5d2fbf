//! Lists that are handed over to a product: its headers, what it does not take, splits, and counts that add up.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own lists and stops at what fails"
)]

#[path = "support/list_folder.rs"]
mod list_folder;
mod support;

use std::process::Command;

use list_folder::ListFolder;

use listproof::Verdict;
use listproof::list::{ListError, OutputCounts, OutputTarget, ReadOptions, WriteOptions};
use listproof::policy::{Profile, Profiles, SkipCause};

/// Quotes, formulas, letters beyond ASCII, several same addresses, no address, unknown, short rows.
const CONTACTS: &str = "First Name;E-Mail;Email;Note é\r\n\
    \"Lee; \"\"Ann\"\"\"; ann@x.example ;a1;=cmd|'/c calc'!A1\r\n\
    Bob;gone@x.example;a2;+49 30\r\n\
    Cy;grey@x.example;a3;-1\r\n\
    Dee;full@x.example;;@SUM(A1)\r\n\
    Ann;ann@x.example;a5;\ttab\r\n\
    Eve;;a6;\r\n\
    Jörg;jörg@x.example;a7;\"two\r\nlines\"\r\n\
    Ida;=1+1@x.example\r\n\
    Joe;gone@y.example;a8;\r\n\
    Guy;guess@x.example;a9;";

fn profile(id: &str) -> &'static Profile {
    Profiles::built_in().named(id).unwrap()
}

/// The shipped profile with other limits, as a user's file could have it.
fn limited(form: &str) -> &'static Profile {
    let own = format!(
        "[[profile]]\nid = \"own\"\nname = \"Own\"\nas_of = \"2026-12\"\nsources = []\nsteps = []\n\
         [profile.contacts]\nemail = \"Email\"\nform = {{ {form} }}\n\
         [profile.suppression]\ncolumns = [{{ header = \"Email\", value = \"email\" }}]\nform = {{ {form} }}\n"
    );
    let profiles: &'static Profiles =
        Box::leak(Box::new(Profiles::built_in().with("own.toml", &own).unwrap()));
    profiles.named("own").unwrap()
}

fn run(folder: &ListFolder, profile: &'static Profile) -> OutputCounts {
    let write = WriteOptions { profile: Some(profile), ..WriteOptions::default() };
    folder.run("contacts.csv", &folder.out(), &ReadOptions::default(), &write).unwrap()
}

fn read(folder: &ListFolder, what: &str) -> String {
    std::fs::read_to_string(folder.path(&format!("out/contacts.{what}"))).unwrap()
}

fn rows(files: &[(String, u64)]) -> u64 {
    files.iter().map(|(_, rows)| rows).sum()
}

/// Every row stands in one file, and each file has the rows that its count says.
fn check_counts(folder: &ListFolder, counts: &OutputCounts, profile: &Profile) {
    let parts = &counts.hand_over;
    assert_eq!(counts.of(Verdict::Deliverable), rows(&parts.contacts) + parts.skipped());
    assert_eq!(counts.suppressed, rows(&parts.suppression));
    let skipped = parts.skipped() + parts.skipped_suppression.values().sum::<u64>();
    let count = |name: &str, has_header: bool| {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(has_header)
            .from_path(folder.path(&format!("out/{name}")))
            .unwrap();
        reader.records().map(Result::unwrap).count() as u64
    };
    assert_eq!(count("contacts.skipped.csv", true), skipped);
    if profile.contacts.is_some() {
        for (name, rows) in &parts.contacts {
            assert_eq!(count(name, true), *rows, "{name}");
        }
    }
    for (name, rows) in &parts.suppression {
        assert_eq!(count(name, profile.suppression.has_header), *rows, "{name}");
    }
}

#[test]
fn every_profile_writes_files_whose_counts_add_up() {
    for id in Profiles::built_in().ids() {
        let folder = ListFolder::with("contacts.csv", CONTACTS);
        let counts = run(&folder, profile(id));
        assert_eq!((counts.results, counts.duplicates, counts.without_address), (10, 1, 1), "{id}");
        check_counts(&folder, &counts, profile(id));
    }
}

#[test]
fn contacts_have_the_headers_of_the_product_and_the_cells_of_the_list() {
    let folder = ListFolder::with("contacts.csv", CONTACTS);
    run(&folder, profile("hubspot"));
    let text = read(&folder, "deliverable.csv");
    assert!(!text.contains('\u{feff}') && !text.contains(";a1"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header: Vec<&str> = reader.headers().unwrap().iter().collect::<Vec<_>>();
    let added = ["Email Verdict", "Email Verdict Reason", "Email Verified At"];
    assert_eq!(header, [&["First Name", "Email", "Email_2", "Note é"][..], &added[..]].concat());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let cells = |row: usize, count: usize| rows[row].iter().take(count).collect::<Vec<&str>>();
    assert_eq!(cells(0, 5), ["Lee; \"Ann\"", "ann@x.example", "a1", "=cmd|'/c calc'!A1", "deliverable"]);
    assert_eq!(cells(1, 4), ["Jörg", "jörg@x.example", "a7", "two\r\nlines"]);
    assert_eq!(cells(2, 5), ["Ida", "=1+1@x.example", "", "", "deliverable"]);
    assert_eq!(read(&folder, "suppression.csv"), "Email\ngone@x.example\ngone@y.example\n");
    // The list names the address column as the product names another one, and all letters are plain.
    run(&folder, profile("brevo"));
    let text = read(&folder, "deliverable.csv");
    assert!(text.starts_with("FIRSTNAME,EMAIL,EMAIL_2,NOTE__,EMAIL_VERDICT,"), "{text}");
}

#[test]
fn what_a_product_does_not_take_is_listed_with_its_cause() {
    let long = format!("{CONTACTS}\r\nMax;max@x.example;{};", "é".repeat(200));
    let folder = ListFolder::with("contacts.csv", long);
    let counts = run(&folder, profile("mailchimp"));
    let causes: Vec<_> = counts.hand_over.skipped_contacts.into_iter().collect();
    assert_eq!(causes, [(SkipCause::NonAsciiLocalPart, 1)]);
    assert_eq!(counts.hand_over.cut_cells, 1);
    let skipped = "deliverable,7,jörg@x.example,non_ascii_local_part,";
    assert!(read(&folder, "skipped.csv").contains(skipped), "{}", read(&folder, "skipped.csv"));
    let text = read(&folder, "deliverable.csv");
    assert!(text.contains(&"é".repeat(127)) && !text.contains(&"é".repeat(128)));
}

#[test]
fn a_suppression_list_has_no_reason_that_its_product_has_no_word_for() {
    let folder = ListFolder::with("contacts.csv", CONTACTS);
    run(&folder, profile("ses"));
    assert_eq!(read(&folder, "suppression.csv"), "gone@x.example,BOUNCE\ngone@y.example,BOUNCE\n");
    // Without contacts the cleaned list is the user's own.
    assert!(read(&folder, "deliverable.csv").starts_with("First Name;E-Mail;Email;Note é\r\n"));
    run(&folder, profile("mailgun"));
    let text = read(&folder, "suppression.csv");
    let first =
        "gone@x.example,550,\"550 5.1.1 no, \"\"gone\"\" is not here\",\"Fri, 15 Jan 2027 08:00:00 +0000\"\n";
    assert!(text.starts_with(&format!("address,code,error,created_at\n{first}")), "{text}");
    run(&folder, profile("cloudflare"));
    assert_eq!(read(&folder, "suppression.csv"), "gone@x.example\ngone@y.example\n");
}

#[test]
fn a_file_is_split_where_the_limit_is_passed_and_not_before() {
    let list = |count: usize| {
        let rows: Vec<String> = (0..count).map(|n| format!("a{n}@x.example,{n}\n")).collect();
        format!("email,n\n{}", rows.concat())
    };
    for (count, sizes) in [(3, vec![3]), (4, vec![3, 1]), (7, vec![3, 3, 1]), (0, vec![0])] {
        let folder = ListFolder::with("contacts.csv", format!("{}gone@x.example,x\n", list(count)));
        let own = limited("max_rows = 3");
        let counts = run(&folder, own);
        check_counts(&folder, &counts, own);
        let parts = counts.hand_over.contacts;
        assert_eq!(parts.iter().map(|(_, rows)| *rows).collect::<Vec<_>>(), sizes, "{count}");
        let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names[0],
            if sizes.len() == 1 { "contacts.deliverable.csv" } else { "contacts.deliverable.1.csv" }
        );
        for name in names {
            let text = std::fs::read_to_string(folder.path(&format!("out/{name}"))).unwrap();
            assert!(text.starts_with("Email,n\n"), "{name}");
        }
        // The parts of an earlier run do not stay.
        run(&folder, profile("generic"));
        let count = std::fs::read_dir(folder.path("out"))
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(".deliverable"));
        assert_eq!(count.count(), 1);
    }
    // Two rows with their header have 38 bytes.
    for (bytes, parts) in [(38, 1), (37, 2)] {
        let folder = ListFolder::with("contacts.csv", list(2));
        let counts = run(&folder, limited(&format!("max_bytes = {bytes}")));
        assert_eq!(counts.hand_over.contacts.len(), parts, "{bytes}");
        for (name, _) in counts.hand_over.contacts {
            let length = std::fs::metadata(folder.path(&format!("out/{name}"))).unwrap().len();
            assert!(length <= bytes, "{name}: {length}");
        }
    }
}

#[test]
fn a_profile_needs_a_table_and_a_folder() {
    let folder = ListFolder::with("contacts.csv", CONTACTS);
    std::fs::write(folder.path("list.ndjson"), "{\"email\":\"ann@x.example\"}\n").unwrap();
    let write = WriteOptions { profile: Some(profile("hubspot")), ..WriteOptions::default() };
    let read = ReadOptions::default();
    let alone = OutputTarget::File(folder.path("alone.csv"));
    for (list, target) in [("list.ndjson", &folder.out()), ("contacts.csv", &alone)] {
        let error = folder.run(list, target, &read, &write).unwrap_err();
        assert!(matches!(error, ListError::NoProfile { .. }), "{error}");
    }
    let wide: Vec<String> = (0..120).map(|n| format!("c{n}")).collect();
    std::fs::write(folder.path("wide.csv"), format!("email,{}\nann@x.example\n", wide.join(","))).unwrap();
    let write = WriteOptions { profile: Some(profile("customerio")), ..WriteOptions::default() };
    let error = folder.run("wide.csv", &folder.out(), &read, &write).unwrap_err();
    assert!(error.to_string().contains("takes 100 columns"), "{error}");
}

#[test]
fn python_reads_every_file_of_every_profile() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("left out: there is no python3");
        return;
    }
    let script = "import csv, sys\n\
        for path in sys.argv[1:]:\n\
        \x20   rows = list(csv.reader(open(path, encoding='utf-8', newline=''), strict=True))\n\
        \x20   assert len({len(row) for row in rows}) <= 1, (path, rows)\n\
        \x20   print(len(rows))\n";
    for id in Profiles::built_in().ids() {
        let profile = profile(id);
        let folder = ListFolder::with("contacts.csv", CONTACTS);
        let parts = run(&folder, profile).hand_over;
        let mut files = parts.suppression.clone();
        files.extend(parts.contacts.clone().into_iter().filter(|_| profile.contacts.is_some()));
        let paths = files.iter().map(|(name, _)| folder.path(&format!("out/{name}")));
        let ran = Command::new("python3").args(["-c", script]).args(paths).output().unwrap();
        assert!(ran.status.success(), "{id}: {}", String::from_utf8_lossy(&ran.stderr));
        let lines = String::from_utf8(ran.stdout).unwrap();
        let counted: Vec<u64> = lines.lines().map(|line| line.parse().unwrap()).collect();
        let header = u64::from(profile.suppression.has_header);
        let mut expected: Vec<u64> = parts.suppression.iter().map(|(_, rows)| rows + header).collect();
        expected.extend(files[parts.suppression.len()..].iter().map(|(_, rows)| rows + 1));
        assert_eq!(counted, expected, "{id}");
    }
}
