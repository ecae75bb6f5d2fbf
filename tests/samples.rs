//! The samples: each row gets its expected reason, each possible reason occurs, and each key of the files is set.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test writes its own files, and samples that can't be read are a failure of it"
)]

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use listproof::world::World;
use listproof::{Cause, Finding, Reason};
use support::Folder;

/// Reasons that a run of `verify` over a small list in a world cannot give.
const ELSEWHERE: [Reason; 7] = [
    Reason::Reply(Cause::ContentRejected), // about a message: only `explain` of a bounce meets it
    Reason::Reply(Cause::MessageTooLarge), // likewise
    Reason::Finding(Finding::ProviderAnomaly), // needs twenty rejected rows at one provider
    Reason::Finding(Finding::NotProbed),   // needs `--offline`, `--dns-only`, a deadline or a budget
    Reason::Finding(Finding::RoleAccount), // needs `--risky-roles`
    Reason::Finding(Finding::Excluded),    // needs `--exclude`
    Reason::Finding(Finding::Internal),    // a defect
];

fn sample(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name)
}

/// One column of a CSV file.
fn column(file: &Path, name: &str) -> Vec<String> {
    let mut reader =
        csv::Reader::from_path(file).unwrap_or_else(|fault| panic!("{}: {fault}", file.display()));
    let at = reader.headers().unwrap().iter().position(|header| header == name);
    let at = at.unwrap_or_else(|| panic!("{} has no column `{name}`", file.display()));
    reader.records().map(|row| row.unwrap()[at].to_owned()).collect()
}

#[test]
fn the_hosts_of_the_sample_world_have_different_addresses() {
    let world = World::open(&sample("world.toml")).unwrap_or_else(|fault| panic!("{fault}"));
    let mut seen = BTreeSet::new();
    for host in world.hosts() {
        for &address in &host.addresses {
            assert!(world.networks().iter().any(|net| net.contains(&address)), "{address}");
            assert!(seen.insert(world.loopback(address).unwrap()), "{address}");
        }
    }
    assert!(!world.networks().iter().any(|net| net.contains(&std::net::IpAddr::from([127, 0, 0, 1]))));
}

#[test]
fn the_samples_show_every_reason_that_a_run_can_give() {
    assert_eq!(column(&sample("contacts.csv"), "Email"), column(&sample("expected.csv"), "email"));
    let shown: BTreeSet<Reason> = column(&sample("expected.csv"), "reason")
        .iter()
        .map(|word| Reason::from_word(word).unwrap_or_else(|| panic!("`{word}` is no reason")))
        .collect();
    let all: BTreeSet<Reason> = Reason::all().filter(|reason| !ELSEWHERE.contains(reason)).collect();
    assert_eq!(shown, all);
}

#[test]
fn each_sample_row_gets_its_reason() {
    let folder = Folder::new();
    let (contacts, world) = (sample("contacts.csv"), sample("world.toml"));
    let verify = ["verify", contacts.to_str().unwrap(), "--world", world.to_str().unwrap(), "-o", "out"];
    folder.run(&verify).exits(0);
    let results = folder.path("out/contacts.results.csv");
    let line = |(email, reason): (String, String)| format!("{email}: {reason}");
    let of = |file: &Path, email, reason| {
        let rows = column(file, email).into_iter().zip(column(file, reason));
        rows.map(line).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(of(&results, "Email", "reason"), of(&sample("expected.csv"), "email", "reason"));
}

/// Keys of one table, as the program lists them in its error about an unknown key.
#[track_caller]
fn keys_by_error(folder: &Folder, arguments: &[&str]) -> BTreeSet<String> {
    let errors = folder.run(arguments).stderr();
    let (_, expected) =
        errors.split_once("unknown field `no_such_key`, expected").unwrap_or_else(|| panic!("{errors}"));
    let expected = expected.split("hint:").next().unwrap();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Keys that a file sets in a table, or in any table of an array.
fn keys_set(value: &toml::Value, path: &[&str]) -> BTreeSet<String> {
    match (value, path) {
        (toml::Value::Array(values), _) => values.iter().flat_map(|value| keys_set(value, path)).collect(),
        (toml::Value::Table(table), []) => table.keys().cloned().collect(),
        (toml::Value::Table(table), [first, rest @ ..]) => {
            table.get(*first).map(|value| keys_set(value, rest)).unwrap_or_default()
        }
        _ => BTreeSet::new(),
    }
}

/// Fails unless a sample sets exactly the keys that the program knows in these tables. A table is given as the text that
/// opens it.
#[track_caller]
fn sets_every_key(sample: &str, file: &str, arguments: &[&str], tables: &[(&str, &[&str])]) {
    let sample: toml::Value = toml::Value::Table(toml::from_str(sample).unwrap());
    let folder = Folder::with(b"email\njane@acme.example\n", "");
    std::fs::create_dir(folder.path("policy")).unwrap();
    for (text, path) in tables {
        folder.write(file, text);
        assert_eq!(keys_set(&sample, path), keys_by_error(&folder, arguments), "{file}: {path:?}");
    }
}

#[test]
fn the_sample_of_settings_sets_every_key() {
    let text = std::fs::read_to_string(sample("listproof.toml")).unwrap();
    // Keys without a default are comments in the sample.
    let is_set = |line: &str| {
        line.starts_with("[[") || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '))
    };
    let line = |line: &'static str| line.strip_prefix("# ").filter(|rest| is_set(rest)).unwrap_or(line);
    let text: Vec<&str> = text.leak().lines().map(line).collect();
    let tables: [(&str, &[&str]); 2] =
        [("no_such_key = 1\n", &[]), ("[[egress]]\nno_such_key = 1\n", &["egress"])];
    let arguments = ["verify", "list.csv", "--offline", "--config", "settings.toml"];
    sets_every_key(&text.join("\n"), "settings.toml", &arguments, &tables);
}

#[test]
fn the_world_with_everything_sets_every_key() {
    let text = include_str!("fuzz/seeds/world/everything");
    let tables: [(&str, &[&str]); 9] = [
        ("no_such_key = 1\n", &[]),
        ("[egress]\nno_such_key = 1\n", &["egress"]),
        ("[[domain]]\nno_such_key = 1\n", &["domain"]),
        ("[[domain]]\nname = \"a.example\"\ngreylist = { no_such_key = 1 }\n", &["domain", "greylist"]),
        ("[[domain]]\nname = \"a.example\"\n[[domain.change]]\nno_such_key = 1\n", &["domain", "change"]),
        ("[[host]]\nno_such_key = 1\n", &["host"]),
        ("[[host]]\nname = \"a.example\"\ngreylist = { no_such_key = 1 }\n", &["host", "greylist"]),
        ("[[host]]\nname = \"a.example\"\nlimits = { no_such_key = 1 }\n", &["host", "limits"]),
        ("[[host]]\nname = \"a.example\"\n[[host.rule]]\nno_such_key = 1\n", &["host", "rule"]),
    ];
    sets_every_key(text, "world.toml", &["verify", "list.csv", "--world", "world.toml"], &tables);
    let folder = Folder::with(b"email\njane@acme.example\n", text);
    folder.run(&["verify", "list.csv", "--world", "world.toml", "-o", "out"]).exits(0);
}

#[test]
fn the_built_in_policy_sets_every_key() {
    let arguments = ["policy", "check", "policy"];
    let data = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/policy/data").join(name);
        std::fs::read_to_string(&path).unwrap()
    };
    let provider = "[[provider]]\nid = \"a\"\nname = \"A\"\nmx = [\"a.example\"]\ncatch_all_share = 0.1\n";
    let session_limits = format!("{provider}manners = {{ no_such_key = 1 }}\n");
    let normal = format!("{provider}normal = {{ no_such_key = 1 }}\n");
    let tables: [(&str, &[&str]); 5] = [
        ("no_such_key = 1\n", &[]),
        ("[default]\nno_such_key = 1\n", &["default"]),
        ("[[provider]]\nno_such_key = 1\n", &["provider"]),
        (&session_limits, &["provider", "manners"]),
        (&normal, &["provider", "normal"]),
    ];
    sets_every_key(&data("providers.toml"), "policy/providers.toml", &arguments, &tables);
    for (name, file) in [("thresholds.toml", "policy/thresholds.toml"), ("retry.toml", "policy/retry.toml")] {
        let sections: toml::Table = toml::from_str(&data(name)).unwrap();
        sets_every_key(&data(name), file, &arguments, &[("no_such_key = 1\n", &[])]);
        for section in sections.keys() {
            let table = format!("[{section}]\nno_such_key = 1\n");
            sets_every_key(&data(name), file, &arguments, &[(&table, &[section.as_str()])]);
        }
    }
    let tables: [(&str, &[&str]); 2] =
        [("no_such_key = 1\n", &[]), ("[facts]\nno_such_key = 1\n", &["facts"])];
    sets_every_key(&data("lifetimes.toml"), "policy/lifetimes.toml", &arguments, &tables);
    // Each rules file has a tier or a part of one.
    let mut rules = toml::Table::new();
    for entry in
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/policy/data/replies")).unwrap()
    {
        let file: toml::Table =
            toml::from_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
        for (tier, value) in file {
            let tiers = rules.entry(tier).or_insert_with(|| toml::Value::Array(Vec::new()));
            match value {
                toml::Value::Array(rules) => tiers.as_array_mut().unwrap().extend(rules),
                words => tiers.as_array_mut().unwrap().push(words),
            }
        }
    }
    let rules: toml::Value = rules.into();
    let folder = Folder::new();
    std::fs::create_dir(folder.path("policy")).unwrap();
    folder.write("policy/replies.toml", "no_such_key = 1\n");
    let tiers = keys_by_error(&folder, &arguments);
    assert_eq!(keys_set(&rules, &[]), tiers);
    let set: BTreeSet<String> = tiers
        .iter()
        .filter(|tier| !["words", "masks", "blocklists", "reading"].contains(&tier.as_str()))
        .flat_map(|tier| keys_set(&rules, &[tier]))
        .collect();
    folder.write("policy/replies.toml", "[[us]]\nno_such_key = 1\n");
    assert_eq!(set, keys_by_error(&folder, &arguments), "a rule");
}
