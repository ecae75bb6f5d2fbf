//! Facts about a few addresses, taken over from a state that another process holds.
//!
//! They come from no run: those of the other state have the numbers that the runs of this one have.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::worklist::counts_beside;
use super::{NameHash, State, StateError};
use crate::address::Address;

/// No run has this number.
const NO_RUN: i64 = 0;

impl State {
    /// Takes over what another state knows about these addresses.
    pub fn borrow<'a>(
        &mut self,
        other: &State,
        addresses: impl Iterator<Item = &'a Address>,
    ) -> Result<(), StateError> {
        self.begin_writing()?;
        for address in addresses {
            let Some(domain) = address.domain() else { continue };
            let (domain, local) = (NameHash::of(domain.as_str()), address.local());
            let settled = format!("domain = ?1 AND local = ?2 AND {}", counts_beside("0"));
            let of_address: [(&str, &str); 3] = [
                ("result", &settled),
                (
                    "reply",
                    "domain = ?1 AND (kind > 0 OR kind = 0 AND local = ?2 AND run =
                         (SELECT run FROM result WHERE result.domain = ?1 AND result.local = ?2))",
                ),
                ("route", "domain = ?1 AND ?2 <> ''"),
            ];
            let of_answers: [(&str, &str); 3] = [
                (
                    "name",
                    "?2 <> '' AND (id = ?1 OR id IN (SELECT mx_host FROM reply WHERE domain = ?1)
                     OR id IN (SELECT mx_host FROM obstacle JOIN result ON obstacle.id = result.obstacle
                               WHERE result.domain = ?1))",
                ),
                ("reply_template", "?2 <> '' AND id IN (SELECT template FROM reply WHERE domain = ?1)"),
                ("obstacle", "id IN (SELECT obstacle FROM result WHERE domain = ?1 AND local = ?2)"),
            ];
            for (table, which) in of_address.into_iter().chain(of_answers) {
                copy(&other.db, &self.db, table, which, domain, local)?;
            }
        }
        self.commit()
    }
}

fn copy(
    from: &Connection,
    to: &Connection,
    table: &str,
    which: &str,
    domain: NameHash,
    local: &str,
) -> Result<(), StateError> {
    let mut find = from.prepare_cached(&format!("SELECT * FROM {table} WHERE {which}"))?;
    // By their names: two files need not have them in one order.
    let columns: Vec<String> = find.column_names().map(str::to_owned).collect();
    let (names, marks) = (columns.join(", "), vec!["?"; columns.len()].join(", "));
    let mut insert =
        to.prepare_cached(&format!("INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"))?;
    let mut rows = find.query(rusqlite::params![domain, local])?;
    while let Some(row) = rows.next()? {
        let value = |name: &String| {
            if name == "run" { Ok(NO_RUN.into()) } else { row.get::<_, Value>(name.as_str()) }
        };
        let values = columns.iter().map(value).collect::<Result<Vec<_>, _>>()?;
        insert.execute(params_from_iter(values))?;
    }
    Ok(())
}
