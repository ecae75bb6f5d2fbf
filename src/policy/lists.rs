//! Lists of words and domains: disposable services, relays, free providers, roles, known typos and their corrections.
//!
//! Decides: what a user's file changes. It adds lines, removes the lines that it has with a leading `-`, or replaces the
//! shipped list if it begins with `!replace`. The shipped lists are sorted text files that are compiled in and searched
//! as they are, so that loading costs nothing. Fails: with file and line, on a user's file that cannot be read or
//! understood.

use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;

use super::file::PolicyError;
use crate::address::{
    Address, Domain, KindTables, KnownDomains, NameRule, NameRules, OwnEntries, Placeholders, Table,
};

/// All lists, ready for look-ups.
#[derive(Clone, Debug)]
pub struct AddressLists {
    /// Disposable services, relays, free providers, roles.
    pub kinds: KindTables,
    /// Which local parts the large providers allow.
    pub name_rules: NameRules,
    /// What domains are corrected to, and what is never corrected.
    pub targets: KnownDomains,
    /// What stands in the address column where there is no address.
    pub placeholders: Placeholders,
    /// Domains that have local parts with dots at any place, which are sent in quotes.
    pub quoted_dots: Table,
}

macro_rules! data {
    ($name:literal) => {
        include_str!(concat!("data/", $name))
    };
}

/// The lists: file name, the same in a user's folder; shipped text; content of a line.
const FILES: [(&str, &str, Shape); 16] = [
    ("disposable.txt", data!("disposable.txt"), Shape::Sourced),
    ("disposable_mx.txt", data!("disposable_mx.txt"), Shape::Domain),
    ("free.txt", data!("free.txt"), Shape::Domain),
    ("neighbours.txt", data!("neighbours.txt"), Shape::Domain),
    ("no_reply.txt", data!("no_reply.txt"), Shape::Word),
    ("placeholders.txt", data!("placeholders.txt"), Shape::Placeholder),
    ("provider_syntax.csv", data!("provider_syntax.csv"), Shape::NameRule),
    ("quoted_dots.txt", data!("quoted_dots.txt"), Shape::Domain),
    ("relays.txt", data!("relays.txt"), Shape::Domain),
    ("role_words.csv", data!("role_words.csv"), Shape::RoleWord),
    ("roles.txt", data!("roles.txt"), Shape::Word),
    ("sinkhole_mx.txt", data!("sinkhole_mx.txt"), Shape::Domain),
    ("sites.txt", data!("sites.txt"), Shape::Domain),
    ("targets.csv", data!("targets.csv"), Shape::Target),
    ("typos.csv", data!("typos.csv"), Shape::Typo),
    ("words.txt", data!("words.txt"), Shape::Word),
];

/// The content of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Domain,
    /// `domain,letters`: a letter for each source that has the domain. A user's line has the domain alone.
    Sourced,
    Word,
    /// `text,use`
    Placeholder,
    /// `domain,rank`
    Target,
    /// `typo,domain`
    Typo,
    /// `word,first`, `word,with` or `word,after`.
    RoleWord,
    /// `domain,id,min,max,specials,ignored,tag,not_last`
    NameRule,
}

static BUILT_IN: LazyLock<AddressLists> =
    LazyLock::new(|| AddressLists::of(FILES.map(|(_, text, _)| Table::new(text))));

impl AddressLists {
    /// The shipped lists.
    pub fn built_in() -> &'static AddressLists {
        &BUILT_IN
    }

    /// The shipped lists, merged with the files of the same names in a user's folder. Other files there are ignored.
    pub fn with_files(folder: &Path) -> Result<AddressLists, PolicyError> {
        let mut tables = FILES.map(|(_, text, _)| Table::new(text));
        for (table, (name, _, shape)) in tables.iter_mut().zip(FILES) {
            let file = folder.join(name);
            let error = |(line, what)| PolicyError {
                file: file.display().to_string(),
                line,
                what,
                hint: "a user's list has one entry a line; a `-` in front removes a shipped one".to_owned(),
            };
            match std::fs::read_to_string(&file) {
                Ok(text) => merge(table, &text, shape).map_err(error)?,
                Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => {}
                Err(fault) => return Err(error((1, fault.to_string()))),
            }
        }
        Ok(AddressLists::of(tables))
    }

    /// Takes the tables in the order of [`FILES`].
    fn of(tables: [Table; FILES.len()]) -> AddressLists {
        let mut tables: HashMap<&str, Table> = FILES.map(|(name, ..)| name).into_iter().zip(tables).collect();
        let mut table =
            |name| tables.remove(name).unwrap_or_else(|| unreachable!("`{name}` is a name in `FILES`"));
        let name_rules = table("provider_syntax.csv");
        let name_rules = name_rules.entries().into_iter();
        let name_rules = name_rules
            .filter_map(|(domain, value)| Some((Domain::parse(domain).ok()?, name_rule(value).ok()?)));
        let kinds = [
            "disposable.txt",
            "disposable_mx.txt",
            "sinkhole_mx.txt",
            "relays.txt",
            "free.txt",
            "roles.txt",
            "role_words.csv",
            "no_reply.txt",
        ];
        AddressLists {
            kinds: KindTables::new(kinds.map(&mut table)),
            name_rules: name_rules.collect(),
            targets: KnownDomains::new(
                table("targets.csv"),
                table("typos.csv"),
                [table("neighbours.txt"), table("sites.txt")],
                table("words.txt"),
            ),
            placeholders: Placeholders::new(&table("placeholders.txt")),
            quoted_dots: table("quoted_dots.txt"),
        }
    }
}

/// Merges a user's file into a list. Fails with the line and what is wrong with it.
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
            let shape = if shape == Shape::Sourced { Shape::Domain } else { shape };
            check_value(value.trim(), shape).map_err(wrong)?;
            own.added.insert(key, value.trim().to_owned());
        }
    }
    table.merge(own, replaces);
    Ok(())
}

/// The form in which a key is looked up.
fn canonical(key: &str, shape: Shape) -> Result<String, String> {
    if shape == Shape::Placeholder {
        let word = Placeholders::squash(key);
        return if word.is_empty() { Err(format!("`{key}` has no letter or digit")) } else { Ok(word) };
    }
    if matches!(shape, Shape::Word | Shape::RoleWord) {
        let word = key.to_lowercase();
        // A role is any text that can be a local part.
        return match Address::parse(&format!("{word}@example.com")) {
            Ok(_) => Ok(word),
            Err(_) => Err(format!("`{key}` cannot stand before an @")),
        };
    }
    let domain = Domain::parse(key.trim_start_matches("*."));
    domain
        .map(|domain| domain.as_str().to_owned())
        .map_err(|fault| format!("`{key}` is not a domain: {}", fault.kind.sentence()))
}

/// Whether what follows the key is right for this kind of list.
fn check_value(value: &str, shape: Shape) -> Result<(), String> {
    match shape {
        Shape::Sourced if !value.is_empty() && value.bytes().all(|b| b.is_ascii_lowercase()) => Ok(()),
        Shape::Sourced => Err("the letters of its sources are missing".to_owned()),
        Shape::Domain | Shape::Word if value.is_empty() => Ok(()),
        Shape::Domain | Shape::Word => {
            Err(format!("this list has one column, and `{value}` is a second one"))
        }
        Shape::Placeholder if Placeholders::USES.contains(&value) => Ok(()),
        Shape::Placeholder => Err(format!("`{value}` is not `both`, `address` or `line`")),
        Shape::Target if matches!(value, "sole" | "big" | "common") => Ok(()),
        Shape::Target => {
            Err(format!("`{value}` is not a rank\nhint: write `domain,common`, or `big` or `sole`"))
        }
        Shape::Typo if Domain::parse(value).is_ok() => Ok(()),
        Shape::Typo => Err(format!("`{value}` is not a domain\nhint: write `typo,domain`")),
        Shape::RoleWord if matches!(value, "first" | "with" | "after") => Ok(()),
        Shape::RoleWord => Err(format!(
            "`{value}` is no kind of word\nhint: write `word,first`, `word,with` or `word,after`"
        )),
        Shape::NameRule => name_rule(value).map(|_| ()),
    }
}

/// Reads `id,min,max,specials,ignored,tag,not_last`.
fn name_rule(value: &str) -> Result<NameRule, String> {
    let columns: Vec<&str> = value.split(',').collect();
    let [id, min, max, specials, ignored, tag, not_last] = columns[..] else {
        return Err("a line needs `domain,id,min,max,specials,ignored,tag,not_last`".to_owned());
    };
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is not a number of characters"));
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
                "`{name}` is not sorted or has duplicates"
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
            assert!(!lists.kinds.is_disposable(&domain(real)), "`{real}` is both a provider and disposable");
            assert!(!typos.contains(real), "`{real}` is both a provider and a typo");
        }
        for typo in &typos {
            assert!(!lists.kinds.is_disposable(&domain(typo)), "`{typo}` is both a typo and disposable");
        }
        assert!(targets.is_disjoint(&neighbours));
        for site in keys("sites.txt") {
            assert!(!lists.kinds.is_disposable(&domain(site)), "`{site}` is both a site and disposable");
            assert!(!targets.contains(site) && !neighbours.contains(site) && !typos.contains(site), "{site}");
        }
        for (typo, meant) in lists.targets.typos() {
            assert!(targets.contains(meant), "`{typo}` is a typo of `{meant}`, which is not a target");
        }
        for relay in keys("relays.txt") {
            assert!(!lists.kinds.is_free(&domain(relay)), "`{relay}` is both a relay and free");
        }
        for name in keys("no_reply.txt") {
            assert!(!keys("roles.txt").contains(&name), "`{name}` is in two lists");
        }
    }

    /// The domains below a public suffix have different owners, so they cannot be one disposable service.
    #[test]
    fn no_public_suffix_is_disposable() {
        let names = keys("disposable.txt")
            .into_iter()
            .chain(keys("disposable_mx.txt"))
            .chain(keys("sinkhole_mx.txt"));
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
            ("disposable.txt", "# own\nOneDay.example\n-mailinator.com\n"),
            ("roles.txt", "!replace\nquestura\n"),
            ("typos.csv", "gmail.example,gmail.com\n"),
            ("notes.md", "is ignored"),
        ]);
        let lists = AddressLists::with_files(folder.path()).unwrap();
        assert!(lists.kinds.is_disposable(&domain("a.oneday.example")));
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
    fn an_error_in_a_users_file_names_file_and_line() {
        for (name, text, message) in [
            (
                "disposable.txt",
                "a.example\na b\n",
                "disposable.txt:2: `a b` is not a domain: there is a space in the address",
            ),
            (
                "disposable.txt",
                "a.example,x\n",
                "disposable.txt:1: this list has one column, and `x` is a second one",
            ),
            ("targets.csv", "\na.example,huge\n", "targets.csv:2: `huge` is not a rank"),
            ("typos.csv", "a.example\n", "typos.csv:1: `` is not a domain"),
            ("roles.txt", "a@b\n", "roles.txt:1: `a@b` cannot stand before an @"),
            ("roles.txt", "a\n!replace\n", "roles.txt:2: `!replace` comes after entries"),
            ("provider_syntax.csv", "a.example,x,1\n", "provider_syntax.csv:1: a line needs"),
        ] {
            let folder = folder(&[(name, text)]);
            let error = AddressLists::with_files(folder.path()).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
