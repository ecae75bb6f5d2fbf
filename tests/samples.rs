//! The samples: what the README shows must be true, for each row and each reason.
#![expect(clippy::unwrap_used, reason = "samples that can't be read are a failure of the test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use listproof::reason::{Cause, Finding, Reason};
use listproof::world::World;

/// Reasons that a run of `verify` over a small list in a world can't end with.
const ELSEWHERE: [Reason; 6] = [
    Reason::Said(Cause::ContentRejected), // about a message: only `explain` of a bounce meets it
    Reason::Said(Cause::MessageTooLarge), // likewise
    Reason::Found(Finding::OperatorAnomaly), // needs twenty refused rows at one operator
    Reason::Found(Finding::NotProbed),    // needs `--offline`, `--dns-only`, a deadline or a budget
    Reason::Found(Finding::RoleAccount),  // needs `--risky-roles`
    Reason::Found(Finding::Internal),     // a defect
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
fn the_sample_world_reads_and_leads_every_host_to_its_own_address() {
    let world = World::open(&sample("world.toml")).unwrap_or_else(|fault| panic!("{fault}"));
    let mut seen = BTreeSet::new();
    for host in world.hosts() {
        for &address in &host.addresses {
            assert!(world.nets().iter().any(|net| net.contains(&address)), "{address}");
            assert!(seen.insert(world.loopback(address).unwrap()), "{address}");
        }
    }
    assert!(!world.nets().iter().any(|net| net.contains(&std::net::IpAddr::from([127, 0, 0, 1]))));
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
    let out = tempfile::tempdir().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_listproof"))
        .arg("verify")
        .arg(sample("contacts.csv"))
        .arg("--world")
        .arg(sample("world.toml"))
        .arg("-o")
        .arg(out.path())
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    let results = out.path().join("contacts.results.csv");
    let line = |(email, reason): (String, String)| format!("{email}: {reason}");
    let of = |file: &Path, email, reason| {
        let rows = column(file, email).into_iter().zip(column(file, reason));
        rows.map(line).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(of(&results, "Email", "reason"), of(&sample("expected.csv"), "email", "reason"));
}
