//! The README and the guide: their console blocks run, and their tables, flags and links agree with the code, in both directions.
#![expect(clippy::unwrap_used, reason = "a test that stops at what fails")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use listproof::guide::{self, CHAPTERS};
use listproof::list::Column;
use listproof::{Exit, Reason, Verdict};

#[test]
fn console_blocks_print_what_they_show() {
    trycmd::TestCases::new().case("README.md").case("src/guide/*.md");
}

fn chapter(topic: &str) -> &'static str {
    guide::chapter(topic).unwrap().text
}

/// The README and all chapters.
fn pages() -> Vec<(PathBuf, &'static str)> {
    let chapters =
        CHAPTERS.iter().map(|chapter| (format!("src/guide/{}.md", chapter.topic).into(), chapter.text));
    chapters.chain([("README.md".into(), include_str!("../README.md"))]).collect()
}

/// The words in backticks of the first cells of the table whose header begins so.
fn first_cells(text: &str, header: &str) -> BTreeSet<String> {
    let table = text.split_once(header).unwrap_or_else(|| panic!("no table `{header}`")).1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
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
#[expect(clippy::disallowed_methods, reason = "rewriting the chapter is what UPDATE=1 asks for")]
fn the_table_of_reasons_is_the_vocabulary() {
    let (start, end) = ("<!-- reasons -->\n", "<!-- end of reasons -->");
    let text = chapter("verdicts");
    let (head, rest) = text.split_once(start).unwrap();
    let (table, tail) = rest.split_once(end).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write("src/guide/verdicts.md", format!("{head}{start}{}{end}{tail}", reasons())).unwrap();
    } else {
        assert_eq!(table, reasons(), "run `UPDATE=1 cargo test --test readme`");
    }
}

#[test]
fn the_tables_of_verdicts_have_all_verdicts() {
    for text in [chapter("verdicts"), include_str!("../README.md")] {
        let table = text.split_once("| verdict | means |").unwrap().1;
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let listed: BTreeSet<&str> = rows.map(|row| row.split('|').nth(1).unwrap().trim()).collect();
        let all = Reason::all().map(Reason::verdict);
        let all: BTreeSet<&str> = all.map(Verdict::word).filter(|word| !word.is_empty()).collect();
        assert_eq!(listed, all);
    }
}

#[test]
fn the_table_of_columns_has_all_columns() {
    let mut columns: BTreeSet<String> = Column::ALL.iter().map(|column| column.name().to_owned()).collect();
    // The first is a key of JSON, the second a column of lists in which addresses were replaced.
    columns.extend(["repairs", "email_original"].map(str::to_owned));
    assert_eq!(first_cells(chapter("columns"), "| column | holds |"), columns);
}

#[test]
fn the_table_of_exit_codes_has_all_codes() {
    let table = chapter("exit-codes").split_once("| code | means |").unwrap().1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let listed: BTreeSet<u8> =
        cells.flat_map(|cell| cell.split(',')).map(|code| code.trim().parse().unwrap()).collect();
    let all = [
        Exit::Finished,
        Exit::Internal,
        Exit::Usage,
        Exit::TooManyUnknown,
        Exit::GateFailed,
        Exit::OutOfTime,
        Exit::StateLocked,
        Exit::Blocked,
        Exit::Unreadable,
        Exit::Unwritable,
        Exit::NetworkDown,
        Exit::Misconfigured,
        Exit::Interrupted,
        Exit::Terminated,
    ];
    assert_eq!(listed, all.into_iter().map(Exit::code).collect());
}

#[test]
fn the_tables_of_files_have_the_files_of_a_run() {
    let files = include_str!("../src/list/output/files.rs");
    let lists = files.split_once("const LISTS").unwrap().1.split_once("];").unwrap().0;
    let mut written: BTreeSet<String> =
        lists.split('"').skip(1).step_by(2).map(|list| format!("contacts.{list}.csv")).collect();
    written.extend(
        ["report.html", "report.md", "summary.json", "handover.txt"].map(|file| format!("contacts.{file}")),
    );
    let listed = first_cells(chapter("files"), "| file | holds |");
    // It has a paragraph of its own.
    let unprobed = "contacts.unprobed.csv".to_owned();
    assert!(chapter("files").contains(&unprobed));
    assert_eq!(&listed | &BTreeSet::from([unprobed]), written);
    let of_readme = first_cells(include_str!("../README.md"), "| file | holds |");
    assert!(of_readme.is_subset(&written), "{:?}", &of_readme - &written);
}

/// All flags that the program's commands have, by their help.
fn flags() -> BTreeSet<String> {
    fn collect(command: &[&str], flags: &mut BTreeSet<String>) {
        let mut program = Command::new(env!("CARGO_BIN_EXE_listproof"));
        let help = program.args(command).arg("--help").output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        for line in help.lines().map(str::trim_start).filter(|line| line.starts_with('-')) {
            let words = line.split([' ', ',', '=', '[', '.']).filter(|word| word.starts_with("--"));
            flags.extend(words.take(1).map(str::to_owned));
        }
        let Some((_, commands)) = help.split_once("\nCommands:\n") else { return };
        for line in commands.lines().take_while(|line| !line.is_empty()) {
            let Some(name) = line.strip_prefix("  ").and_then(|line| line.split(' ').next()) else {
                continue;
            };
            if !name.is_empty() && name != "help" {
                collect(&[command, &[name]].concat(), flags);
            }
        }
    }
    let mut flags = BTreeSet::new();
    collect(&[], &mut flags);
    flags
}

/// Flags of other programs in the pages.
const FOREIGN: [&str; 14] = [
    "--release",
    "--locked",
    "--path",
    "--test",
    "--bench",
    "--lib",
    "--bin",
    "--",
    "--all-targets",
    "--edges",
    "--prefix",
    "--features",
    "--offline",
    "--no-default-features",
];

#[test]
fn every_flag_in_the_pages_exists_and_every_flag_is_in_them() {
    let flags = flags();
    assert!(flags.len() > 40, "{flags:?}");
    let mut named = BTreeSet::new();
    for (page, text) in pages() {
        for (at, _) in text.match_indices("--") {
            let before = text[..at].chars().next_back();
            if !before.is_none_or(|c| c.is_whitespace() || "`('[".contains(c)) {
                continue;
            }
            let end = text[at + 2..].find(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            let flag = &text[at..end.map_or(text.len(), |end| at + 2 + end)];
            if !flag[2..].starts_with(|c: char| c.is_ascii_lowercase()) {
                continue;
            }
            assert!(
                flags.contains(flag) || FOREIGN.contains(&flag),
                "{}: {flag} does not exist",
                page.display()
            );
            named.insert(flag.to_owned());
        }
    }
    let missing = &flags - &named;
    let missing: Vec<_> = missing.iter().filter(|flag| *flag != "--help").collect();
    assert!(missing.is_empty(), "in no page: {missing:?}");
}

#[test]
fn every_link_and_path_in_the_pages_leads_to_a_file() {
    for (page, text) in pages() {
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let paths = text.split('`').skip(1).step_by(2).filter(|word| {
            ["src/", "samples/", "tests/", ".github/"].iter().any(|root| word.starts_with(root))
                && !word.contains(' ')
        });
        for link in links.chain(paths).filter(|link| !link.starts_with("http")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            assert!(path.is_empty() || Path::new(path).exists(), "{}: {link}", page.display());
            if path.is_empty() {
                let heading =
                    |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
                assert!(
                    text.lines().any(|line| line.starts_with('#') && heading(line) == anchor),
                    "#{anchor}"
                );
            }
        }
    }
}

#[test]
fn the_readme_is_short_and_lists_every_chapter() {
    let readme = include_str!("../README.md");
    assert!(readme.lines().count() <= 250 && readme.len() <= 14_000, "{} bytes", readme.len());
    for chapter in CHAPTERS {
        assert!(readme.contains(&format!("| [{0}](src/guide/{0}.md) |", chapter.topic)), "{}", chapter.topic);
    }
    assert_eq!(readme.matches("](src/guide/").count(), CHAPTERS.len());
}

#[test]
fn the_guide_prints_its_topics_and_its_chapters() {
    let guide = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_listproof")).arg("guide").args(args).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, topics) = guide(&[]);
    assert_eq!((code, topics.lines().count()), (Some(0), CHAPTERS.len()));
    for chapter in CHAPTERS {
        assert_eq!(guide(&[chapter.topic]), (Some(0), chapter.text.to_owned()));
        assert!(topics.contains(chapter.title()), "{topics}");
    }
    assert_eq!(guide(&["weather"]).0, Some(2));
}

/// Each row of the safety table names the tests that show it.
#[test]
fn every_sentence_about_safety_names_a_test_that_exists() {
    let table = chapter("security").split_once("| what | shown by |").unwrap().1.trim_start();
    let proofs = table.lines().flat_map(|line| line.split(" | ").skip(1));
    let named: Vec<&str> = proofs.flat_map(|proof| proof.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 10, "{named:?}");
    let mut sources = String::new();
    let mut folders = vec![PathBuf::from("src"), "tests".into()];
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
