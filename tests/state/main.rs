//! The state file, through the whole program: runs resume, no recipient is probed twice, and a file that is not a state, or
//! belongs to another world, stays as it is.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own files and stops at what fails"
)]

mod changes;
mod file;
mod outages;
mod rerouted;
mod resume;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use support::{Folder, SENDER, Served};

const WORLD: &str = r#"
[[domain]]
name = "acme.example"
mx = ["10 mx.acme.example"]
mailboxes = ["user{1..30}"]
[[host]]
name = "mx.acme.example"
[[domain]]
name = "any.example"
mx = ["10 mx.any.example"]
catch_all = true
[[host]]
name = "mx.any.example"
"#;

/// A folder for one test, with a world and a list of 60 recipients.
fn lab() -> Folder {
    let emails = (1..=40).map(|n| format!("user{n}@acme.example\n"));
    let list: String = emails.chain((1..=20).map(|n| format!("user{n}@any.example\n"))).collect();
    Folder::with(format!("email\n{list}").as_bytes(), WORLD)
}

/// Runs `verify` in the world, with a state. Returns the summary.
#[track_caller]
fn verify(lab: &Folder, out: &str, more: &[&str], code: i32) -> serde_json::Value {
    let arguments =
        ["verify", "list.csv", "--world", "world.toml", "--state", "state/state.db", "-q", "-o", out];
    lab.run(&[&arguments[..], more].concat()).exits(code);
    lab.summary(out)
}

fn results(lab: &Folder, out: &str) -> String {
    lab.read(&format!("{out}/list.results.csv"))
}

/// The first value of a query on a state file.
fn query(file: &Path, sql: &str) -> i64 {
    support::query(file, sql).unwrap()
}

/// Changes a state file.
fn change(file: &Path, sql: &str) {
    rusqlite::Connection::open(file).unwrap().execute_batch(sql).unwrap();
}

/// How many probes of recipients were repeated.
fn repeated_probes(file: &Path) -> i64 {
    query(file, "SELECT count(*) - count(DISTINCT email) FROM attempts WHERE who = 'listed'")
}

/// Runs `verify` over the list in a served world, with a state.
#[track_caller]
fn verify_served(lab: &Folder, served: &Served, more: &[&str], code: i32) {
    let verify = ["verify", "list.csv", "-q", "-o", "out", "--state", "s.db", "--pace", "fast"];
    lab.run(&[&verify, &SENDER[..], &served.flags(), more].concat()).exits(code);
}

/// A list of this many recipients at one domain.
fn users(count: u32) -> String {
    let users: Vec<String> = (1..=count).map(|n| format!("user{n}@acme.example\n")).collect();
    users.concat()
}
