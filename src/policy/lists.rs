//! The word lists: throw-away services, relays, free providers, roles, typos and their targets.
//!
//! Decides: nothing; it looks up. The built-in lists are sorted text files, compiled in and searched as they are, so
//! that starting costs nothing. A user's file of the same name adds lines, removes those after a `-`, or begins with
//! `!replace` and stands alone. Fails: on a user's file it can't read or understand, with file and line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use crate::address::provider_syntax::NameRule;
use crate::address::typo::Targets;
use crate::address::{Address, Domain};

/// A list of keys, each with or without a value.
#[derive(Clone, Debug)]
pub struct Table {
    /// Sorted lines `key` or `key,value`.
    built_in: &'static str,
    own: Arc<Own>,
}

/// What a user's file says; it goes before the built-in list.
#[derive(Debug, Default)]
struct Own {
    added: BTreeMap<String, String>,
    removed: BTreeSet<String>,
}

impl Table {
    fn new(file: &'static str) -> Table {
        Table {
            built_in: after_head(file),
            own: Arc::default(),
        }
    }

    /// The value of a key, empty where the list has none; `None` for a key that is not listed.
    pub fn get(&self, key: &str) -> Option<&str> {
        if let Some(value) = self.own.added.get(key) {
            return Some(value);
        }
        if self.own.removed.contains(key) {
            return None;
        }
        find(self.built_in, key)
    }

    /// True when the key is listed.
    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// True when the name or one above it is listed; a name that the user removed ends the search.
    fn covers(&self, domain: &Domain) -> bool {
        domain
            .and_parents()
            .take_while(|name| !self.own.removed.contains(*name))
            .any(|name| self.contains(name))
    }

    /// All entries, key and value.
    pub fn entries(&self) -> Vec<(&str, &str)> {
        let built_in = self
            .built_in
            .lines()
            .map(entry)
            .filter(|(key, _)| !self.own.removed.contains(*key) && !self.own.added.contains_key(*key));
        let own = self
            .own
            .added
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        built_in.chain(own).collect()
    }
}

/// A list file without the comment at its head.
fn after_head(file: &'static str) -> &'static str {
    let mut rest = file;
    while rest.starts_with('#') {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest
}

fn entry(line: &str) -> (&str, &str) {
    line.split_once(',').unwrap_or((line, ""))
}

/// Binary search in sorted lines. No key holds a byte below the comma, so lines sort as their keys do.
fn find<'a>(lines: &'a str, wanted: &str) -> Option<&'a str> {
    let bytes = lines.as_bytes();
    let (mut low, mut high) = (0, bytes.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = memchr::memrchr(b'\n', &bytes[low..middle]).map_or(low, |i| low + i + 1);
        let end = memchr::memchr(b'\n', &bytes[middle..high]).map_or(high, |i| middle + i);
        let (key, value) = entry(&lines[start..end]);
        match key.cmp(wanted) {
            std::cmp::Ordering::Equal => return Some(value),
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}

/// A user's list that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
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

/// Every list there is.
#[derive(Clone, Debug)]
pub struct Lists {
    disposable: Table,
    disposable_mx: Table,
    relays: Table,
    free: Table,
    roles: Table,
    no_reply: Table,
    name_rules: BTreeMap<String, NameRule>,
    targets: Targets,
}

macro_rules! data {
    ($name:literal) => {
        include_str!(concat!("data/", $name))
    };
}

/// The list files by the names a user's folder may use, with what a line of them holds.
const FILES: [(&str, &str, Shape); 10] = [
    ("disposable.txt", data!("disposable.txt"), Shape::Domain),
    ("disposable_mx.txt", data!("disposable_mx.txt"), Shape::Domain),
    ("free.txt", data!("free.txt"), Shape::Domain),
    ("neighbours.txt", data!("neighbours.txt"), Shape::Domain),
    ("no_reply.txt", data!("no_reply.txt"), Shape::Word),
    (
        "provider_syntax.csv",
        data!("provider_syntax.csv"),
        Shape::NameRule,
    ),
    ("relays.txt", data!("relays.txt"), Shape::Domain),
    ("roles.txt", data!("roles.txt"), Shape::Word),
    ("targets.csv", data!("targets.csv"), Shape::Target),
    ("typos.csv", data!("typos.csv"), Shape::Typo),
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

static BUILT_IN: LazyLock<Lists> = LazyLock::new(|| Lists::of(FILES.map(|(_, text, _)| Table::new(text))));

impl Lists {
    /// The lists compiled in.
    pub fn built_in() -> &'static Lists {
        &BUILT_IN
    }

    /// The lists compiled in, merged with the files of the same names in a user's folder. Other files there are not
    /// ours and are not looked at.
    pub fn with_files(folder: &Path) -> Result<Lists, ListError> {
        let mut tables = FILES.map(|(_, text, _)| Table::new(text));
        for (table, (name, _, shape)) in tables.iter_mut().zip(FILES) {
            let file = folder.join(name);
            match std::fs::read_to_string(&file) {
                Ok(text) => {
                    merge(table, &text, shape).map_err(|(line, what)| ListError::Line { file, line, what })?
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(ListError::Unreadable { file, source }),
            }
        }
        Ok(Lists::of(tables))
    }

    fn of(tables: [Table; FILES.len()]) -> Lists {
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
        ] = tables;
        let name_rules = name_rules
            .entries()
            .into_iter()
            .filter_map(|(domain, value)| Some((domain.to_owned(), name_rule(value).ok()?)))
            .collect();
        let targets = Targets::new(targets, typos, neighbours);
        Lists {
            disposable,
            disposable_mx,
            relays,
            free,
            roles,
            no_reply,
            name_rules,
            targets,
        }
    }

    /// What the typo search needs.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// Is it, or is it below, a throw-away service?
    pub fn is_disposable(&self, domain: &Domain) -> bool {
        self.disposable.covers(domain)
    }

    /// Is the exchanger that of a throw-away service?
    pub fn is_disposable_mx(&self, host: &Domain) -> bool {
        self.disposable_mx.covers(host)
    }

    /// Is it, or is it below, a relay or forwarder?
    pub fn is_relay(&self, domain: &Domain) -> bool {
        self.relays.covers(domain)
    }

    /// Is it a free provider's?
    pub fn is_free(&self, domain: &Domain) -> bool {
        self.free.contains(domain.as_str())
    }

    /// Is it the name of a shared role? The name in lower case, without a tag.
    pub fn is_role(&self, name: &str) -> bool {
        self.roles.contains(name)
    }

    /// Is it a name that nobody reads? The name in lower case, without a tag.
    pub fn is_no_reply(&self, name: &str) -> bool {
        self.no_reply.contains(name)
    }

    /// What this provider allows left of the @, where that is known.
    pub fn name_rule(&self, domain: &Domain) -> Option<&NameRule> {
        self.name_rules.get(domain.as_str())
    }
}

/// Takes a user's file into a list. Fails with the line and what is wrong with it.
fn merge(table: &mut Table, text: &str, shape: Shape) -> Result<(), (usize, String)> {
    let mut own = Own::default();
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
        let (line, removes) = line
            .strip_prefix('-')
            .map_or((line, false), |rest| (rest.trim(), true));
        let (key, value) = entry(line);
        let key = canonical(key.trim(), shape).map_err(wrong)?;
        if removes {
            own.removed.insert(key);
        } else {
            check_value(value.trim(), shape).map_err(wrong)?;
            own.added.insert(key, value.trim().to_owned());
        }
    }
    if replaces {
        table.built_in = "";
    }
    table.own = Arc::new(own);
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
        Shape::Target => Err(format!(
            "`{value}` is no rank\nhint: write `domain,common`, or `big` or `sole`"
        )),
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
    let number = |text: &str| {
        text.parse()
            .map_err(|_| format!("`{text}` is no number of characters"))
    };
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
