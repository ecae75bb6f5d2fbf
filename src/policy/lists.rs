//! The word lists: throw-away services, relays, free providers, roles, typos and their targets.
//!
//! Decides: nothing; it looks up. The built-in lists are sorted text files, compiled in and searched as they are, so
//! that starting costs nothing. A user's file of the same name adds lines, removes those after a `-`, or begins with
//! `!replace` and stands alone. Fails: on a user's file it can't read or understand, with file and line.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::address::{Address, Domain, KindTables, KnownDomains, NameRule, NameRules, OwnEntries, Table};

/// A user's list that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyListError {
    /// It can't be read.
    #[error("cannot read `{}`: {source}", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of it makes no sense.
    #[error("{}:{line}: {what}", file.display())]
    Line {
        /// Which file.
        file: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

/// Every list there is, in the form in which it is looked up.
#[derive(Clone, Debug)]
pub struct AddressLists {
    /// Throw-away services, relays, free providers, roles.
    pub kinds: KindTables,
    /// What the big providers allow left of the @.
    pub name_rules: NameRules,
    /// What the typo search needs.
    pub targets: KnownDomains,
}

macro_rules! data {
    ($name:literal) => {
        include_str!(concat!("data/", $name))
    };
}

/// The list files by the names a user's folder may use, with what a line of them holds.
const FILES: [(&str, &str, Shape); 11] = [
    ("disposable.txt", data!("disposable.txt"), Shape::Domain),
    ("disposable_mx.txt", data!("disposable_mx.txt"), Shape::Domain),
    ("free.txt", data!("free.txt"), Shape::Domain),
    ("neighbours.txt", data!("neighbours.txt"), Shape::Domain),
    ("no_reply.txt", data!("no_reply.txt"), Shape::Word),
    ("provider_syntax.csv", data!("provider_syntax.csv"), Shape::NameRule),
    ("relays.txt", data!("relays.txt"), Shape::Domain),
    ("roles.txt", data!("roles.txt"), Shape::Word),
    ("targets.csv", data!("targets.csv"), Shape::Target),
    ("typos.csv", data!("typos.csv"), Shape::Typo),
    ("words.txt", data!("words.txt"), Shape::Word),
];

/// What a line of a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Domain,
    Word,
    /// `domain,rank`
    Target,
    /// `typo,domain`
    Typo,
    /// `domain,id,min,max,specials,ignored,tag,not_last`
    NameRule,
}

static BUILT_IN: LazyLock<AddressLists> =
    LazyLock::new(|| AddressLists::of(FILES.map(|(_, text, _)| Table::new(text))));

impl AddressLists {
    /// The lists compiled in.
    pub fn built_in() -> &'static AddressLists {
        &BUILT_IN
    }

    /// The lists compiled in, merged with the files of the same names in a user's folder. Other files there are not
    /// ours and are not looked at.
    pub fn with_files(folder: &Path) -> Result<AddressLists, PolicyListError> {
        let mut tables = FILES.map(|(_, text, _)| Table::new(text));
        for (table, (name, _, shape)) in tables.iter_mut().zip(FILES) {
            let file = folder.join(name);
            match std::fs::read_to_string(&file) {
                Ok(text) => {
                    merge(table, &text, shape).map_err(|(line, what)| PolicyListError::Line {
                        file,
                        line,
                        what,
                    })?;
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(PolicyListError::Unreadable { file, source }),
            }
        }
        Ok(AddressLists::of(tables))
    }

    fn of(tables: [Table; FILES.len()]) -> AddressLists {
        let [
            disposable,
            disposable_mx,
            free,
            neighbours,
            no_reply,
            name_rules,
            relays,
            roles,
            targets,
            typos,
            words,
        ] = tables;
        let name_rules = name_rules.entries().into_iter();
        let name_rules = name_rules
            .filter_map(|(domain, value)| Some((Domain::parse(domain).ok()?, name_rule(value).ok()?)));
        AddressLists {
            kinds: KindTables::new([disposable, disposable_mx, relays, free, roles, no_reply]),
            name_rules: name_rules.collect(),
            targets: KnownDomains::new(targets, typos, neighbours, words),
        }
    }
}

/// Takes a user's file into a list. Fails with the line and what is wrong with it.
fn merge(table: &mut Table, text: &str, shape: Shape) -> Result<(), (usize, String)> {
    let mut own = OwnEntries::default();
    let mut replaces = false;
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        let wrong = |what: String| (number + 1, what);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line == "!replace" {
            if !own.added.is_empty() || !own.removed.is_empty() {
                return Err(wrong(
                    "`!replace` comes after entries\nhint: put it before the first one".to_owned(),
                ));
            }
            replaces = true;
            continue;
        }
        let (line, removes) = line.strip_prefix('-').map_or((line, false), |rest| (rest.trim(), true));
        let (key, value) = Table::parse_entry(line);
        let key = canonical(key.trim(), shape).map_err(wrong)?;
        if removes {
            own.removed.insert(key);
        } else {
            check_value(value.trim(), shape).map_err(wrong)?;
            own.added.insert(key, value.trim().to_owned());
        }
    }
    table.merge(own, replaces);
    Ok(())
}

fn canonical(key: &str, shape: Shape) -> Result<String, String> {
    if shape == Shape::Word {
        let word = key.to_lowercase();
        // Whatever can stand left of an @ can be a role.
        return match Address::parse(&format!("{word}@example.com")) {
            Ok(_) => Ok(word),
            Err(_) => Err(format!("`{key}` can't stand before an @")),
        };
    }
    let domain = Domain::parse(key.trim_start_matches("*."));
    domain
        .map(|domain| domain.as_str().to_owned())
        .map_err(|fault| format!("`{key}` is no domain: {}", fault.kind.sentence()))
}

fn check_value(value: &str, shape: Shape) -> Result<(), String> {
    match shape {
        Shape::Domain | Shape::Word if value.is_empty() => Ok(()),
        Shape::Domain | Shape::Word => Err(format!("`{value}` is more than the one column of this list")),
        Shape::Target if matches!(value, "sole" | "big" | "common") => Ok(()),
        Shape::Target => {
            Err(format!("`{value}` is no rank\nhint: write `domain,common`, or `big` or `sole`"))
        }
        Shape::Typo if Domain::parse(value).is_ok() => Ok(()),
        Shape::Typo => Err(format!("`{value}` is no domain\nhint: write `typo,domain`")),
        Shape::NameRule => name_rule(value).map(|_| ()),
    }
}

/// Reads `id,min,max,specials,ignored,tag,not_last`.
fn name_rule(value: &str) -> Result<NameRule, String> {
    let columns: Vec<&str> = value.split(',').collect();
    let [id, min, max, specials, ignored, tag, not_last] = columns[..] else {
        return Err("a line needs `domain,id,min,max,specials,ignored,tag,not_last`".to_owned());
    };
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is no number of characters"));
    let mut tags = tag.chars();
    let tag = tags.next();
    if tags.next().is_some() {
        return Err("a tag is separated by one character".to_owned());
    }
    Ok(NameRule {
        id: id.to_owned(),
        min_chars: number(min)?,
        max_chars: number(max)?,
        specials: specials.to_owned(),
        ignored: ignored.to_owned(),
        tag,
        not_last: not_last.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    fn keys(name: &str) -> Vec<&'static str> {
        let (_, text, _) = FILES.iter().find(|(file, ..)| *file == name).unwrap();
        Table::skip_head(text).lines().map(|line| Table::parse_entry(line).0).collect()
    }

    #[test]
    fn every_list_is_sorted_canonical_and_says_where_it_comes_from() {
        for (name, text, shape) in FILES {
            let lines: Vec<&str> = Table::skip_head(text).lines().collect();
            assert!(
                lines.is_sorted_by(|a, b| Table::parse_entry(a).0 < Table::parse_entry(b).0),
                "`{name}` is not sorted or has doubles"
            );
            assert!(text.starts_with("# ") && text.contains("Date: 20"), "`{name}` has no head");
            for line in lines {
                let (key, value) = Table::parse_entry(line);
                assert_eq!(canonical(key, shape).as_deref(), Ok(key), "{name}");
                assert_eq!(check_value(value, shape), Ok(()), "{name}: {line}");
            }
        }
    }

    #[test]
    fn no_list_contradicts_another() {
        let lists = AddressLists::built_in();
        let targets: HashSet<&str> = keys("targets.csv").into_iter().collect();
        let neighbours: HashSet<&str> = keys("neighbours.txt").into_iter().collect();
        let typos: HashSet<&str> = keys("typos.csv").into_iter().collect();
        for real in
            targets.iter().chain(&neighbours).copied().chain(keys("free.txt")).chain(keys("relays.txt"))
        {
            assert!(!lists.kinds.is_disposable(&domain(real)), "`{real}` is a provider, and disposable");
            assert!(!typos.contains(real), "`{real}` is a provider, and a typo");
        }
        for typo in &typos {
            assert!(!lists.kinds.is_disposable(&domain(typo)), "`{typo}` is a typo, and disposable");
        }
        assert!(targets.is_disjoint(&neighbours));
        for (typo, meant) in lists.targets.typos() {
            assert!(targets.contains(meant), "`{typo}` is a typo of `{meant}`, which is no target");
        }
        for relay in keys("relays.txt") {
            assert!(!lists.kinds.is_free(&domain(relay)), "`{relay}` is a relay, and free");
        }
        for name in keys("no_reply.txt") {
            assert!(!keys("roles.txt").contains(&name), "`{name}` stands in two lists");
        }
    }

    /// Nobody owns what stands below a public suffix together: it can't be one throw-away service.
    #[test]
    fn no_public_suffix_is_disposable() {
        let names = keys("disposable.txt").into_iter().chain(keys("disposable_mx.txt"));
        let suffixes: Vec<&str> = names.filter(|name| domain(name).registrable().is_none()).collect();
        assert!(suffixes.is_empty(), "public suffixes: {suffixes:?}");
    }

    #[test]
    fn every_entry_of_the_longest_list_is_found() {
        for key in keys("disposable.txt") {
            assert!(AddressLists::built_in().kinds.is_disposable(&domain(key)), "`{key}` is not found");
        }
    }

    #[test]
    fn subdomains_belong_to_their_service_and_lookalikes_do_not() {
        let lists = AddressLists::built_in();
        assert!(lists.kinds.is_disposable(&domain("mailinator.com")));
        assert!(lists.kinds.is_disposable(&domain("a.b.mailinator.com")));
        assert!(!lists.kinds.is_disposable(&domain("mailinator.com.example")));
        assert!(lists.kinds.is_disposable_mx(&domain("mx1.mailinator.com")));
        assert!(
            lists.kinds.is_relay(&domain("jane.33mail.com"))
                && !lists.kinds.is_disposable(&domain("jane.33mail.com"))
        );
    }

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::io::Write::write_all(
                &mut std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(folder.path().join(name))
                    .unwrap(),
                text.as_bytes(),
            )
            .unwrap();
        }
        folder
    }

    #[test]
    fn a_users_files_add_remove_and_replace() {
        let folder = folder(&[
            ("disposable.txt", "# ours\nThrowAway.example\n-mailinator.com\n"),
            ("roles.txt", "!replace\nquestura\n"),
            ("typos.csv", "gmail.example,gmail.com\n"),
            ("notes.md", "is none of ours"),
        ]);
        let lists = AddressLists::with_files(folder.path()).unwrap();
        assert!(lists.kinds.is_disposable(&domain("a.throwaway.example")));
        assert!(
            !lists.kinds.is_disposable(&domain("mailinator.com"))
                && !lists.kinds.is_disposable(&domain("a.mailinator.com"))
        );
        assert!(lists.kinds.is_disposable(&domain("yopmail.com")));
        assert!(lists.kinds.is_role("questura") && !lists.kinds.is_role("info"));
        let meant = crate::address::suggest_domain(&domain("gmail.example"), &lists.targets).unwrap();
        assert_eq!(meant.domain, domain("gmail.com"));
    }

    #[test]
    fn a_users_mistake_is_told_with_file_and_line() {
        for (name, text, message) in [
            (
                "disposable.txt",
                "a.example\na b\n",
                "disposable.txt:2: `a b` is no domain: there is a space in the address",
            ),
            (
                "disposable.txt",
                "a.example,x\n",
                "disposable.txt:1: `x` is more than the one column of this list",
            ),
            ("targets.csv", "\na.example,huge\n", "targets.csv:2: `huge` is no rank"),
            ("typos.csv", "a.example\n", "typos.csv:1: `` is no domain"),
            ("roles.txt", "a@b\n", "roles.txt:1: `a@b` can't stand before an @"),
            ("roles.txt", "a\n!replace\n", "roles.txt:2: `!replace` comes after entries"),
            ("provider_syntax.csv", "a.example,x,1\n", "provider_syntax.csv:1: a line needs"),
        ] {
            let folder = folder(&[(name, text)]);
            let error = AddressLists::with_files(folder.path()).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
