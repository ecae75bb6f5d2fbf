//! The names of the crate's root: a new one is a decision, so it has to be accepted in the snapshot (`cargo insta accept`, or
//! by hand).

/// The statements of a source that begin with `pub`, each on one line, with the doc comments and bodies left out.
fn statements(source: &str) -> Vec<String> {
    let code: Vec<&str> = source
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//") && !line.starts_with('#'))
        .collect();
    code.join(" ").split_inclusive([';', '{', '}']).map(str::to_owned).collect()
}

/// The names that a file of `pub use` and `pub mod` lines makes public, each with its path.
fn names(source: &str) -> Vec<String> {
    let (mut names, mut within) = (Vec::new(), Vec::new());
    let mut list = None;
    for part in statements(source) {
        let text = part.trim();
        match (list.take(), text) {
            // The inside of `pub use room::{...}`, its end.
            (Some(true), text) => {
                for name in
                    text.trim_end_matches('}').split(',').map(str::trim).filter(|name| !name.is_empty())
                {
                    names.push(path(&within, name));
                }
            }
            (_, text) if text.starts_with("pub use ") && text.ends_with('{') => list = Some(true),
            (_, text) if text.starts_with("pub use ") => {
                let name = text.trim_end_matches(';').rsplit("::").next().unwrap_or_default();
                names.push(path(&within, name));
            }
            (_, text) if text.starts_with("pub mod ") => {
                let name = text.trim_start_matches("pub mod ").trim_end_matches([';', '{']).trim();
                names.push(path(&within, &format!("{name}::")));
                if text.ends_with('{') {
                    within.push(name.to_owned());
                }
            }
            (_, "}") => drop(within.pop()),
            _ => {}
        }
    }
    names.sort();
    names
}

fn path(within: &[String], name: &str) -> String {
    within.iter().map(|module| format!("{module}::")).chain([name.to_owned()]).collect()
}

const ROOT: &str = include_str!("../src/lib.rs");

#[test]
fn the_names_of_the_root() {
    insta::assert_snapshot!(names(ROOT).join("\n"));
}

#[test]
fn the_root_stays_small() {
    let names = names(ROOT);
    let modules = names.iter().filter(|name| name.matches("::").count() == 1 && name.ends_with("::")).count();
    let own = names.iter().filter(|name| !name.contains("::")).count();
    // `internals` is not one of the twelve.
    assert!(modules <= 12 + 1, "{modules} public modules");
    assert!((15..=25).contains(&own), "{own} names at the root");
    assert!(!ROOT.contains("::*"), "each name is written down");
}

#[test]
fn the_number_of_internal_names_is_known() {
    let internals = include_str!("../src/internals.rs");
    assert!(!internals.contains("::*"), "each name is written down");
    let count = names(internals).iter().filter(|name| !name.ends_with("::")).count();
    assert_eq!(count, 59, "fewer is better: the tests of the insides should need less of them");
}
