//! Rows that are one address in several spellings, no address, or excluded; and addresses among words.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own files and stops at what fails"
)]

mod support;

use serde_json::Value;
use support::{Folder, Ran};

const WORLD: &str = r#"
[[domain]]
name = "acme.example"
mx = ["10 mx.acme.example"]
mailboxes = ["jane", "joe", "ida"]
[[host]]
name = "mx.acme.example"
[[domain]]
name = "docomo.ne.jp"
mx = ["10 mx.docomo.ne.jp"]
mailboxes = ['"taro..x"', '"hanako."']
[[host]]
name = "mx.docomo.ne.jp"
"#;

fn verify(lab: &Folder, list: &str, more: &[&str]) -> Ran {
    lab.write("list.csv", list);
    lab.run(
        &[&["verify", "list.csv", "--world", "world.toml", "-o", "out", "--columns", "full"], more].concat(),
    )
}

/// These columns of all rows, with blanks between them.
fn columns(lab: &Folder, names: &[&str]) -> Vec<String> {
    let row = |row: support::ResultRow| names.map_cells(&row).join(" ");
    lab.results("out/list.results.csv").into_iter().map(row).collect()
}

trait Cells {
    fn map_cells(&self, row: &support::ResultRow) -> Vec<String>;
}

impl Cells for [&str] {
    fn map_cells(&self, row: &support::ResultRow) -> Vec<String> {
        self.iter().map(|name| row.cell(name).to_owned()).collect()
    }
}

#[test]
fn spellings_of_an_address_are_one_and_the_one_in_lower_case_is_probed() {
    let lab = Folder::with(b"", WORLD);
    let list = "email\nJane@acme.example\njane@acme.example\nJANE@acme.example\nJoe@acme.example\nJOE@acme.example\n";
    let state = |ran: &str| lab.run(&["state", "export", ran, "--state", "state.db"]).stdout();
    verify(&lab, list, &["--state", "state.db"]).exits(0);
    assert_eq!(
        columns(&lab, &["verdict", "confidence", "duplicate_of"]),
        [
            "deliverable confirmed ",
            "deliverable confirmed 1",
            "deliverable confirmed 1",
            "deliverable confirmed ",
            "deliverable confirmed 4"
        ]
    );
    assert_eq!(lab.read("out/list.deliverable.csv"), "email\nJane@acme.example\nJoe@acme.example\n");
    assert_eq!(lab.rows("out/list.duplicates.csv"), 3);
    let probed = |address: &str| {
        let known: Value = serde_json::from_str(&state(address)).unwrap();
        let others = known["other_spellings"].as_array().cloned().unwrap_or_default();
        let all = std::iter::once(&known).chain(&others);
        let probed =
            all.filter(|spelling| spelling["attempts"].as_array().is_some_and(|replies| !replies.is_empty()));
        probed.map(|spelling| spelling["email"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(probed("jane@acme.example"), ["jane@acme.example"]);
    assert_eq!(probed("joe@acme.example"), ["Joe@acme.example"]);
    // The same list again needs no probe, and has the same results.
    verify(&lab, list, &["--state", "state.db"]).exits(0);
    assert_eq!(lab.summary("out")["questions"], 0);
    assert_eq!(columns(&lab, &["verdict"]), ["deliverable"; 5]);
    verify(&lab, list, &["--case-sensitive"]).exits(0);
    assert_eq!(columns(&lab, &["duplicate_of"]), [""; 5]);
}

#[test]
fn a_rejection_of_one_spelling_condemns_no_other_before_that_is_probed() {
    let lab = Folder::with(b"", WORLD);
    let list = "email\nGone@acme.example\ngone@acme.example\nGONE@acme.example\njane@acme.example\n";
    verify(&lab, list, &["--state", "state.db"]).exits(0);
    assert_eq!(
        columns(&lab, &["reason", "smtp_code", "duplicate_of"]),
        ["mailbox_unknown 550 ", "mailbox_unknown 550 1", "mailbox_unknown 550 1", "accepted 250 "]
    );
    let known: Value = serde_json::from_str(
        &lab.run(&["state", "export", "gone@acme.example", "--state", "state.db"]).stdout(),
    )
    .unwrap();
    assert_eq!(known["attempts"].as_array().unwrap().len(), 1);
    let others = known["other_spellings"].as_array().unwrap();
    assert_eq!(others.len(), 2, "each spelling was probed: {others:?}");
    assert_eq!(lab.read("out/list.suppression.csv"), "email\nGone@acme.example\n");
}

#[test]
fn letters_beyond_ascii_are_one_in_their_composed_form_alone() {
    let lab = Folder::with(b"", WORLD);
    let list = "email\njos\u{e9}@acme.example\njose\u{301}@acme.example\nJOS\u{c9}@acme.example\nstra\u{df}e@acme.example\n\
                strasse@acme.example\n";
    verify(&lab, list, &["--offline"]).exits(0);
    assert_eq!(columns(&lab, &["duplicate_of"]), ["", "1", "", "", ""]);
}

#[test]
fn every_spelling_is_exported_and_forgotten() {
    let lab = Folder::with(b"", WORLD);
    let state = ["--state", "state.db"];
    verify(&lab, "email\nmax@acme.example\nMax@acme.example\njoe@acme.example\n", &state).exits(0);
    let export = |address: &str| {
        let ran = lab.run(&["state", "export", address, "--state", "state.db"]);
        serde_json::from_str::<Value>(&ran.exits(0).stdout()).unwrap()
    };
    let known = export("MAX@acme.example");
    let spellings = [&known["email"], &known["other_spellings"][0]["email"]]
        .map(|email| email.as_str().unwrap().to_owned());
    assert_eq!(spellings, ["Max@acme.example", "max@acme.example"]);
    lab.run(&["state", "forget", "mAX@acme.example", "--state", "state.db"]).exits(0);
    assert_eq!(export("max@acme.example"), Value::Null);
    assert!(export("joe@acme.example").is_object());
}

#[test]
fn a_row_without_an_address_counts_in_no_rate_and_stands_in_the_results_alone() {
    let lab = Folder::with(b"", WORLD);
    let list = "name,email\nJane,jane@acme.example\nA,\nB,  \nC,-\nD,n/a\nE,None\nF,keine E-Mail\nG,nessuna\nH,нет\nI,なし\n\
                J,none@none.com\nK,noemail@acme.example\nL,no-email@nowhere.example\nEmail,Email\nM,E-Mail Address\n\
                Joe,joe@acme.example\nX,jane.acme.example\nTotal records: 3,\n,Report generated 2026-11-30\n,Page 1 of 1\n";
    let ran = verify(&lab, list, &["--fail-if", "undeliverable>34%"]);
    ran.exits(0);
    let reasons = columns(&lab, &["reason"]);
    let with_address: Vec<&String> = reasons.iter().filter(|reason| *reason != "empty").collect();
    assert_eq!(with_address, ["accepted", "accepted", "syntax"]);
    assert_eq!(reasons.len(), 20);
    let row = &lab.results("out/list.results.csv")[1];
    assert_eq!(["verdict", "fault", "action"].map_cells(row), ["", "list", ""]);
    let summary = lab.summary("out");
    assert_eq!((&summary["without_address"], &summary["verdicts"]["undeliverable"]), (&17.into(), &1.into()));
    for (part, rows) in
        [("deliverable", 2), ("risky", 0), ("undeliverable", 1), ("retry", 0), ("suppression", 0)]
    {
        assert_eq!(lab.rows(&format!("out/list.{part}.csv")), rows, "{part}");
    }
    assert!(ran.stdout().contains(
        "results 20 = 2 deliverable + 0 risky + 1 undeliverable + 0 retry + 0 duplicates + 0 excluded + 17 without address"
    ), "{}", ran.stdout());
}

#[test]
fn a_field_of_a_template_that_was_never_filled_in_is_no_address() {
    let lab = Folder::with(b"", WORLD);
    let list = "email,name\njane@acme.example,Jane\n{{contact.email}},A\n%%emailaddr%%,B\n*|EMAIL|*,C\n[Email],D\n\
                \"{\"\"ImportId\"\":\"\"email\"\"}\",E\n[ada at acme.example],F\n";
    verify(&lab, list, &["--offline"]).exits(0);
    let reasons = columns(&lab, &["reason"]);
    assert_eq!(reasons[..6], ["not_probed", "empty", "empty", "empty", "empty", "empty"]);
    assert_ne!(reasons[6], "empty", "an address in words");
}

#[test]
fn what_may_be_a_damaged_address_is_a_syntax_fault_wherever_it_stands() {
    let lab = Folder::with(b"", WORLD);
    let list = "email,name\njane@acme.example,Jane\nno address here,Ada\njoe,\nnot one,\njane.doe,\nLast words,Eve\n";
    verify(&lab, list, &["--offline"]).exits(0);
    assert_eq!(columns(&lab, &["reason"]), ["not_probed", "syntax", "syntax", "empty", "syntax", "syntax"]);
}

#[test]
fn excluded_addresses_and_domains_are_not_probed_and_stand_in_a_file_of_their_own() {
    let lab = Folder::with(b"", WORLD);
    lab.write("own.csv", "reason,Email\nunsubscribed,JANE@acme.example\nasked,\"Ida <ida@acme.example>\"\n");
    lab.write("domains.txt", "@docomo.ne.jp\n");
    lab.write("empty.txt", "");
    let list = "email\njane@acme.example\nJane@acme.example\njoe@acme.example\ntaro@docomo.ne.jp\nx@sub.docomo.ne.jp\n\n";
    let exclude = ["--exclude", "own.csv", "--exclude", "domains.txt", "--exclude", "empty.txt"];
    let ran = verify(&lab, list, &exclude);
    ran.exits(0);
    let rows = columns(&lab, &["verdict", "reason", "fault", "action", "duplicate_of"]);
    assert_eq!(rows[0], " excluded none remove ");
    assert_eq!(rows[1], " excluded none remove 1");
    assert!(rows[2].starts_with("deliverable accepted"), "{}", rows[2]);
    assert_eq!(rows[3], " excluded none remove ");
    assert!(rows[4].starts_with("undeliverable domain_not_found"), "{}", rows[4]);
    assert_eq!(lab.rows("out/list.excluded.csv"), 2);
    assert_eq!(lab.rows("out/list.retry.csv"), 0);
    let summary = lab.summary("out");
    assert_eq!((&summary["excluded"], &summary["duplicates"]), (&2.into(), &1.into()));
    assert!(ran.stdout().contains("+ 1 duplicates + 2 excluded +"), "{}", ran.stdout());
    let plan = lab.run(&[&["plan", "list.csv", "--offline"], &exclude[..]].concat());
    assert!(plan.exits(0).stdout().contains("2 excluded"), "{}", plan.stdout());
    // A later run without them replaces the files.
    verify(&lab, list, &[]).exits(0);
    assert!(!lab.path("out/list.excluded.csv").exists());
}

#[test]
fn a_list_of_excluded_addresses_that_can_not_be_read_is_an_error() {
    let lab = Folder::with(b"", WORLD);
    lab.write("words.txt", "just some words\nand more of them\n");
    verify(&lab, "email\njane@acme.example\n", &["--exclude", "words.txt"]).fails(65, &["words.txt"]);
    verify(&lab, "email\njane@acme.example\n", &["--exclude", "missing.txt"]).fails(65, &["missing.txt"]);
}

#[test]
fn an_address_among_words_is_verified_and_never_suppressed() {
    let lab = Folder::with(b"", WORLD);
    let list = "name,email\n1,Jane Doe (jane@acme.example)\n2,\"=\"\"joe@acme.example\"\"\"\n\
                3,jane@acme.example(work)\n4,mr doe@acme.example\n5,\"joe@acme,example\"\n6,joe@@acme.example\n";
    verify(&lab, list, &[]).exits(0);
    let rows = columns(&lab, &["verdict", "reason", "confidence", "did_you_mean"]);
    assert_eq!(
        rows,
        [
            "deliverable accepted confirmed ",
            "deliverable accepted confirmed ",
            "undeliverable syntax inferred jane@acme.example",
            "undeliverable syntax inferred doe@acme.example",
            "undeliverable syntax confirmed joe@acme.example",
            "undeliverable syntax confirmed joe@acme.example",
        ]
    );
    assert_eq!(lab.rows("out/list.suppression.csv"), 0);
}

#[test]
fn old_addresses_of_mobile_companies_are_probed_in_quotes() {
    let lab = Folder::with(b"", WORLD);
    verify(&lab, "email\ntaro..x@docomo.ne.jp\nhanako.@docomo.ne.jp\na..b@acme.example\n", &[]).exits(0);
    let rows = columns(&lab, &["reason", "email_normalized"]);
    assert_eq!(rows, ["accepted \"taro..x\"@docomo.ne.jp", "accepted \"hanako.\"@docomo.ne.jp", "syntax "]);
}

#[test]
fn the_card_of_a_syntax_fault_names_it() {
    let lab = Folder::with(b"", WORLD);
    let ran = lab.run(&["check", "--offline", "jane..doe@acme.example"]);
    assert!(ran.exits(0).stdout().contains("two dots in a row"), "{}", ran.stdout());
}

#[test]
fn what_is_undeliverable_and_not_confirmed_is_counted_and_postmaster_confirms_it() {
    let lab = Folder::with(
        b"",
        "[[domain]]\nname = \"acme.example\"\nmx = [\"10 mx.acme.example\"]\n[[host]]\nname = \"mx.acme.example\"\n",
    );
    let list = "email\nghost@acme.example\nGhost@acme.example\n";
    let line = "1  undeliverable, not confirmed: not in the suppression list";
    let count = |lab: &Folder| lab.summary("out")["undeliverable_not_confirmed"].as_u64();
    let suppressed = |lab: &Folder| lab.read("out/list.suppression.csv");
    let said = verify(&lab, list, &[]).exits(0).stdout();
    assert!(said.contains(line), "{said}");
    assert_eq!((count(&lab), &*suppressed(&lab)), (Some(1), "email\n"));
    let said = verify(&lab, list, &["--confirm"]).exits(0).stdout();
    assert!(!said.contains(line), "{said}");
    assert_eq!((count(&lab), &*suppressed(&lab)), (Some(0), "email\nghost@acme.example\n"));
    let plan =
        |more: &[&str]| lab.run(&[&["plan", "list.csv", "--world", "world.toml"], more].concat()).stdout();
    assert!(plan(&["--confirm"]).contains("of these probes ask `postmaster`"), "{}", plan(&["--confirm"]));
    assert!(!plan(&[]).contains("postmaster"), "{}", plan(&[]));
}
