//! The README: its console blocks run, and its tables agree with the code.

use std::fmt::Write;

use listproof::Reason;
use listproof::list::Column;

#[test]
fn console_blocks_print_what_they_show() {
    trycmd::TestCases::new().case("README.md");
}

fn reasons() -> String {
    let mut table = String::from("| reason | verdict | fault | means |\n|---|---|---|---|\n");
    for reason in Reason::all() {
        let (verdict, fault) = (reason.verdict().word(), reason.fault().word());
        let _ = writeln!(table, "| {reason} | {verdict} | {fault} | {} |", reason.sentence());
    }
    table
}

/// `UPDATE=1 cargo test --test readme` writes the table again.
#[test]
#[expect(clippy::disallowed_methods, reason = "rewriting the README is what UPDATE=1 asks for")]
fn the_table_of_reasons_is_the_vocabulary() {
    let (start, end) = ("<!-- reasons -->\n", "<!-- end of reasons -->");
    let readme = std::fs::read_to_string("README.md").unwrap();
    let (head, rest) = readme.split_once(start).unwrap();
    let (table, tail) = rest.split_once(end).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write("README.md", format!("{head}{start}{}{end}{tail}", reasons())).unwrap();
    } else {
        assert_eq!(table, reasons(), "run `UPDATE=1 cargo test --test readme`");
    }
}

#[test]
fn every_column_is_explained() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    for column in Column::ALL {
        assert!(readme.contains(&format!("`{}`", column.name())), "`{}`", column.name());
    }
}

/// Each row of the safety table names the tests that show it.
#[test]
fn every_sentence_about_safety_names_a_test_that_exists() {
    let readme = include_str!("../README.md");
    let table = readme.split_once("| what | shown by |").unwrap().1.split_once("\n\n").unwrap().0;
    let proofs = table.lines().flat_map(|line| line.split(" | ").skip(1));
    let named: Vec<&str> = proofs.flat_map(|proof| proof.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 10, "{named:?}");
    let mut sources = String::new();
    let mut folders = vec![std::path::PathBuf::from("src"), "tests".into()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                sources.push_str(&std::fs::read_to_string(&path).unwrap());
            } else if path.extension().is_some_and(|ending| ending == "toml") {
                write!(sources, "fn {}(", path.file_stem().unwrap().to_string_lossy()).unwrap();
            }
        }
    }
    for name in named {
        assert!(sources.contains(&format!("fn {name}(")), "no test is called `{name}`");
    }
}
