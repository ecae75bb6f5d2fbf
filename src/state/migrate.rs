//! Makes the tables of a new state, and brings a state of an older version to this one.
//!
//! A state with facts is copied before it is changed: `state.db` of version 4 to `state.db.v4.bak` beside it, which is never
//! overwritten and never deleted. All pending migrations are one transaction, so a process that is killed leaves the old
//! version or the new one. The caller holds the lock of the state.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::StateError;
use super::store::connect;
use crate::reason::Reason;
use crate::secure_file;

/// Marks a database as a state of listproof: "lprf".
pub(super) const APPLICATION_ID: i64 = 0x6c70_7266;
/// The tables and views of a new state.
const TABLES: &str = include_str!("schema/tables.sql");
const VIEWS: &str = include_str!("schema/views.sql");
/// From version 1 to version 2, and so on.
const MIGRATIONS: [&str; 4] = [
    include_str!("schema/migrations/2-told.sql"),
    include_str!("schema/migrations/3-tally.sql"),
    include_str!("schema/migrations/4-told.sql"),
    include_str!("schema/migrations/5-vocabulary.sql"),
];
/// The version that this program makes.
pub(super) const VERSION: usize = 1 + MIGRATIONS.len();
/// The first version with the table `namespace`, and the query for a namespace in a state before that.
pub(super) const FIRST_WITH_NAMESPACE: usize = 5;
pub(super) const OLD_NAMESPACE: &str = "SELECT name FROM universe";

/// A step of a migration that is done; tests stop there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The transaction has begun; nothing is written.
    Begun,
    /// The backup is complete, under its temporary name.
    BackupWritten,
    /// The backup has its name.
    BackupInPlace,
    /// The tables are those of a version.
    MigratedTo(usize),
    /// Everything is written, and not committed.
    Written,
    /// Everything is committed.
    Committed,
}

/// Makes or migrates the tables unless they are of this version. `file` is the state file; `None` for a temporary state.
pub(super) fn migrate(db: &Connection, file: Option<&Path>) -> Result<(), StateError> {
    migrate_in_steps(db, file, &mut |_| Ok(()))
}

fn migrate_in_steps(
    db: &Connection,
    file: Option<&Path>,
    after: &mut dyn FnMut(Step) -> Result<(), StateError>,
) -> Result<(), StateError> {
    if version_of(db)? == VERSION && has_reasons(db)? && has_views(db)? {
        return Ok(());
    }
    // A transaction that is dropped before its commit is rolled back.
    let all = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    after(Step::Begun)?;
    match version_of(&all)? {
        0 => {
            all.execute_batch(TABLES)?;
            all.execute_batch(VIEWS)?;
        }
        VERSION => all.execute_batch(VIEWS)?,
        old => {
            if let Some(file) = file {
                back_up(file, old, after)?;
            }
            for (migration, version) in MIGRATIONS.into_iter().zip(2..).skip(old - 1) {
                all.execute_batch(migration)?;
                after(Step::MigratedTo(version))?;
            }
            all.execute_batch(VIEWS)?;
        }
    }
    write_reasons(&all)?;
    all.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
    ))?;
    after(Step::Written)?;
    all.commit()?;
    after(Step::Committed)
}

/// The version of a state; 0 for one that is still empty.
pub(super) fn version_of(db: &Connection) -> rusqlite::Result<usize> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// A reason as a row of the table.
fn reason_row(reason: Reason) -> [&'static str; 4] {
    [reason.word(), reason.verdict().word(), reason.fault().word(), reason.sentence()]
}

/// True if the state has the reasons of this program.
fn has_reasons(db: &Connection) -> rusqlite::Result<bool> {
    let stored: usize = db.query_row("SELECT count(*) FROM reason", [], |row| row.get(0))?;
    let mut find =
        db.prepare("SELECT 1 FROM reason WHERE word = ? AND verdict = ? AND fault = ? AND sentence = ?")?;
    for reason in Reason::all() {
        if !find.exists(reason_row(reason))? {
            return Ok(false);
        }
    }
    Ok(stored == Reason::all().count())
}

/// True if the state has the views of this program.
fn has_views(db: &Connection) -> rusqlite::Result<bool> {
    let mut find = db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'view' AND sql = ?")?;
    let views = VIEWS.split("CREATE VIEW ").skip(1).filter_map(|view| view.split_once(';'));
    for (view, _) in views {
        if !find.exists([format!("CREATE VIEW {view}")])? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn write_reasons(db: &Connection) -> rusqlite::Result<()> {
    db.execute("DELETE FROM reason", [])?;
    let mut insert = db.prepare("INSERT INTO reason (word, verdict, fault, sentence) VALUES (?, ?, ?, ?)")?;
    Reason::all().try_for_each(|reason| insert.execute(reason_row(reason)).map(|_| ()))
}

/// Copies a state to a file beside it, without what another connection has not committed. A backup that a killed
/// process made and that has the same content is kept instead; one with other content stays, and the new one gets a
/// number.
fn back_up(
    file: &Path,
    version: usize,
    after: &mut dyn FnMut(Step) -> Result<(), StateError>,
) -> Result<(), StateError> {
    let unusable = |file: &Path| {
        let file = file.to_owned();
        |source| StateError::Unusable { file, source }
    };
    // Beside the file itself, not beside a link to it.
    let state = file.canonicalize().map_err(unusable(file))?;
    let first = backup_path(&state, version, 1);
    let part = secure_file::create_temp_beside(&first).map_err(unusable(&first))?;
    let db = connect(&state, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let into = ToSqlOutput::Borrowed(ValueRef::Text(part.path().as_os_str().as_bytes()));
    db.execute("VACUUM INTO ?", [into]).map_err(|error| StateError::from(error).at(file))?;
    part.as_file().sync_all().map_err(unusable(&first))?;
    after(Step::BackupWritten)?;
    let mut number = 1;
    let place = loop {
        let place = backup_path(&state, version, number);
        if !place.try_exists().map_err(unusable(&place))? {
            break place;
        }
        if have_same_content(part.path(), &place).map_err(unusable(&place))? {
            return after(Step::BackupInPlace);
        }
        number += 1;
    };
    part.persist_noclobber(&place).map_err(|error| unusable(&place)(error.error))?;
    secure_file::sync_folder_of(&place).map_err(unusable(&place))?;
    after(Step::BackupInPlace)
}

/// The name of a backup: `state.db.v4.bak` for `state.db` of version 4, then `state.db.v4.2.bak` and so on.
fn backup_path(state: &Path, version: usize, number: usize) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push(match number {
        1 => format!(".v{version}.bak"),
        _ => format!(".v{version}.{number}.bak"),
    });
    name.into()
}

/// The backups beside a state file, of all versions.
pub fn backups(file: &Path) -> io::Result<Vec<PathBuf>> {
    let state = file.canonicalize()?;
    let (Some(folder), Some(name)) = (state.parent(), state.file_name()) else {
        return Ok(Vec::new());
    };
    let begin = [name.as_bytes(), b".v"].concat();
    let mut backups = Vec::new();
    for entry in folder.read_dir()? {
        let name = entry?.file_name();
        if name.as_bytes().starts_with(&begin) && name.as_bytes().ends_with(b".bak") {
            backups.push(folder.join(name));
        }
    }
    backups.sort_unstable();
    Ok(backups)
}

fn have_same_content(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut of_one, mut of_other) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let read = one.read(&mut of_one)?;
        other.read_exact(&mut of_other[..read])?;
        if read == 0 || of_one[..read] != of_other[..read] {
            return Ok(read == 0);
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "states are copied here")]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::SystemTime;

    use rusqlite::types::Value;

    use super::*;
    use crate::state::State;

    /// A state of version 4, with facts.
    const OLD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/states/interrupted/state.db");

    /// A folder with that state in it.
    fn old_state() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.db");
        std::fs::copy(OLD, &file).unwrap();
        (folder, file)
    }

    fn rows(db: &Connection, sql: &str) -> Vec<Vec<Value>> {
        let mut find = db.prepare(sql).unwrap();
        let columns = find.column_count();
        let rows = find.query_map([], |row| (0..columns).map(|column| row.get(column)).collect());
        rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
    }

    fn attempts(file: &Path) -> Vec<Vec<Value>> {
        let mut attempts =
            rows(&Connection::open(file).unwrap(), "SELECT * FROM attempts ORDER BY email, at");
        // Times of 0.1 have a blank for the `T` and no `Z`.
        for value in attempts.iter_mut().flatten() {
            if let Value::Text(text) = value
                && text.len() == 20
                && text.ends_with('Z')
            {
                *text = text.trim_end_matches('Z').replace('T', " ");
            }
        }
        attempts
    }

    /// The files beside a state whose name ends so.
    fn beside(file: &Path, end: &str) -> Vec<String> {
        let entries = std::fs::read_dir(file.parent().unwrap()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(end)).collect();
        names.sort_unstable();
        names
    }

    /// Opens a state and asserts that it is of this version, has the facts of the old one, and one backup.
    fn migrates(file: &Path, what: &str) {
        drop(State::of_owner(file, SystemTime::UNIX_EPOCH).unwrap());
        let db = Connection::open(file).unwrap();
        assert_eq!(version_of(&db).unwrap(), VERSION, "{what}");
        assert_eq!(rows(&db, "PRAGMA integrity_check"), [[Value::Text("ok".to_owned())]], "{what}");
        drop(db);
        let (_folder, old) = old_state();
        let backup = file.with_file_name("state.db.v4.bak");
        assert_eq!(attempts(file), attempts(&old), "{what}");
        assert_eq!(attempts(&backup), attempts(&old), "{what}");
        assert_eq!(beside(file, ".bak"), ["state.db.v4.bak"], "{what}");
        assert_eq!(beside(file, ".part"), Vec::<String>::new(), "{what}");
    }

    #[test]
    fn a_migrated_state_has_the_tables_of_a_new_one() {
        let new = Connection::open_in_memory().unwrap();
        migrate(&new, None).unwrap();
        let old = Connection::open_in_memory().unwrap();
        old.execute_batch(include_str!("schema/migrations/1-facts.sql")).unwrap();
        // Views of a user's own: over a view, and over a table.
        old.execute_batch(
            "CREATE VIEW mine AS SELECT email, text FROM attempts; CREATE VIEW own AS SELECT * FROM answer",
        )
        .unwrap();
        old.execute_batch("PRAGMA user_version = 1").unwrap();
        migrate(&old, None).unwrap();
        old.execute_batch("SELECT * FROM mine; SELECT * FROM own; DROP VIEW mine; DROP VIEW own").unwrap();
        for sql in [
            "SELECT tables.type, tables.name, tables.wr, tables.strict, columns.* FROM pragma_table_list AS tables
             JOIN pragma_table_xinfo(tables.name) AS columns
             WHERE tables.schema = 'main' AND tables.name NOT LIKE 'sqlite_%' ORDER BY tables.name, columns.cid",
            "SELECT name, sql FROM sqlite_schema WHERE type = 'view' ORDER BY name",
            "SELECT name, tbl_name FROM sqlite_schema WHERE type = 'index' ORDER BY name, tbl_name",
            "SELECT * FROM reason ORDER BY word",
            "SELECT user_version, application_id FROM pragma_user_version, pragma_application_id",
        ] {
            let ours = rows(&old, sql);
            assert!(!ours.is_empty(), "{sql}");
            assert_eq!(ours, rows(&new, sql), "{sql}");
        }
    }

    #[test]
    fn a_process_that_is_killed_at_any_step_leaves_a_state_that_migrates() {
        let steps = {
            let (_folder, file) = old_state();
            let mut steps = Vec::new();
            let note = &mut |step| {
                steps.push(step);
                Ok(())
            };
            migrate_in_steps(&Connection::open(&file).unwrap(), Some(&file), note).unwrap();
            steps
        };
        let all = [
            Step::Begun,
            Step::BackupWritten,
            Step::BackupInPlace,
            Step::MigratedTo(VERSION),
            Step::Written,
            Step::Committed,
        ];
        assert_eq!(steps, all);
        for last in steps {
            let (_folder, file) = old_state();
            let left = tempfile::tempdir().unwrap();
            let db = Connection::open(&file).unwrap();
            // A tiny cache: pages go to the disk before the commit.
            db.execute_batch("PRAGMA cache_size = 1").unwrap();
            let stopped = migrate_in_steps(&db, Some(&file), &mut |step| {
                if step != last {
                    return Ok(());
                }
                // The files that a process leaves if it is killed now.
                for entry in file.parent().unwrap().read_dir().unwrap() {
                    let entry = entry.unwrap();
                    std::fs::copy(entry.path(), left.path().join(entry.file_name())).unwrap();
                }
                Err(StateError::NoRun)
            });
            assert!(matches!(stopped, Err(StateError::NoRun)), "{last:?}");
            drop(db);
            migrates(&file, &format!("failed after {last:?}"));
            migrates(&left.path().join("state.db"), &format!("killed after {last:?}"));
        }
    }

    #[test]
    fn a_migration_that_fails_changes_nothing() {
        let (_folder, file) = old_state();
        let db = Connection::open(&file).unwrap();
        db.execute_batch("CREATE TABLE reply (in_the_way)").unwrap();
        let before = rows(&db, "SELECT name, sql FROM sqlite_schema");
        migrate(&db, Some(&file)).unwrap_err();
        assert_eq!((version_of(&db).unwrap(), rows(&db, "SELECT name, sql FROM sqlite_schema")), (4, before));
    }

    #[test]
    fn a_backup_is_private_and_never_overwritten() {
        let (_folder, file) = old_state();
        let [first, second] = [1, 2].map(|number| backup_path(&file, 4, number));
        std::fs::write(&first, "of another state").unwrap();
        drop(State::of_owner(&file, SystemTime::UNIX_EPOCH).unwrap());
        assert_eq!(std::fs::read(&first).unwrap(), b"of another state");
        assert_eq!(second.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(attempts(&second), attempts(Path::new(&old_state().1)));
        assert_eq!(beside(&file, ".bak"), ["state.db.v4.2.bak", "state.db.v4.bak"]);
    }

    #[test]
    fn a_state_that_is_new_or_of_this_version_needs_no_backup() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.db");
        for _ in 0..2 {
            let namespace = crate::state::Namespace::internet();
            drop(State::open(&file, &namespace, SystemTime::UNIX_EPOCH).unwrap());
        }
        assert_eq!(beside(&file, ".bak"), Vec::<String>::new());
    }

    #[test]
    fn a_state_of_a_newer_version_is_refused_and_not_changed() {
        let (_folder, file) = old_state();
        Connection::open(&file).unwrap().pragma_update(None, "user_version", VERSION + 1).unwrap();
        let before = std::fs::read(&file).unwrap();
        let refused = State::of_owner(&file, SystemTime::UNIX_EPOCH).err().unwrap();
        assert_eq!(
            refused.to_string(),
            format!(
                "`{}` was written by a newer listproof (version {}, this one knows {VERSION})",
                file.display(),
                VERSION + 1
            )
        );
        assert!(refused.hint().starts_with("nothing was changed; use that newer listproof"));
        assert!(std::fs::read(&file).unwrap() == before && beside(&file, ".bak").is_empty());
    }

    #[test]
    fn a_state_of_another_namespace_is_refused_before_it_is_migrated() {
        let (_folder, file) = old_state();
        let refused = State::open(&file, &crate::state::Namespace::internet(), SystemTime::UNIX_EPOCH);
        assert!(matches!(refused, Err(StateError::OtherNamespace { .. })));
        assert_eq!(version_of(&Connection::open(&file).unwrap()).unwrap(), 4);
        assert_eq!(beside(&file, ".bak"), Vec::<String>::new());
    }
}
