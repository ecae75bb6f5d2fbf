//! The fuzz targets on stable Rust, for seconds: each body on its seeds, on pieces of seeds, on seeds with changed bytes, and
//! on random bytes. `.github/CONTRIBUTING.md` says how to fuzz for longer; inputs that broke something are in `seeds/`.
#![expect(clippy::expect_used, clippy::disallowed_methods, reason = "a test that stops at what it can't do")]

mod bodies {
    pub(crate) mod address;
    pub(crate) mod explain;
    pub(crate) mod list;
    pub(crate) mod reply;
    pub(crate) mod session;
    pub(crate) mod world;
}

use std::path::Path;

use proptest::prelude::*;

/// The seeds of a target: all files of these folders in `tests/`.
fn seeds(folders: &[&str]) -> Vec<Vec<u8>> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let files = folders.iter().flat_map(|folder| {
        let mut files: Vec<_> =
            tests.join(folder).read_dir().expect(folder).flatten().map(|file| file.path()).collect();
        files.sort();
        files
    });
    let seeds: Vec<_> =
        files.filter(|path| path.is_file()).map(|path| std::fs::read(path).expect("a seed")).collect();
    assert!(!seeds.is_empty(), "no seeds in {folders:?}");
    seeds
}

/// Checks each seed, then pieces of seeds with changed bytes, and random bytes.
fn smoke(cases: u32, folders: &[&str], check: fn(&[u8])) {
    let seeds = seeds(folders);
    for seed in &seeds {
        check(seed);
        // Data of other tests lacks the first byte, which selects a variant.
        (0..4).for_each(|how| check(&[&[how], seed.as_slice()].concat()));
    }
    let changed = (prop::sample::select(seeds), any::<prop::sample::Index>(), any::<prop::sample::Index>())
        .prop_flat_map(|(seed, from, to)| {
            let (from, to) = (from.index(seed.len() + 1), to.index(seed.len() + 1));
            let piece = seed[from.min(to)..from.max(to).min(from.min(to) + 4096)].to_vec();
            let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8);
            (Just(piece), edits).prop_map(|(mut piece, edits)| {
                for (at, byte) in edits {
                    if !piece.is_empty() {
                        let at = at.index(piece.len());
                        piece[at] = byte;
                    }
                }
                piece
            })
        });
    let bytes = prop_oneof![3 => changed, 1 => prop::collection::vec(any::<u8>(), 0..300)];
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let ran = runner.run(&bytes, |bytes| {
        check(&bytes);
        Ok(())
    });
    ran.expect("no bytes break it");
}

#[test]
fn any_bytes_as_a_reply() {
    smoke(1500, &["fuzz/seeds/reply"], bodies::reply::check);
}

#[test]
fn any_bytes_as_the_events_of_a_session() {
    smoke(3000, &["fuzz/seeds/session"], bodies::session::check);
}

#[test]
fn any_bytes_as_an_address() {
    smoke(1000, &["fuzz/seeds/address"], bodies::address::check);
}

#[test]
fn any_bytes_as_a_list() {
    smoke(300, &["fuzz/seeds/list", "csv"], bodies::list::check);
}

#[test]
fn any_bytes_as_something_to_explain() {
    smoke(400, &["fuzz/seeds/explain", "explain"], bodies::explain::check);
}

#[test]
fn any_bytes_as_a_world() {
    smoke(300, &["fuzz/seeds/world", "scenarios"], bodies::world::check);
}
