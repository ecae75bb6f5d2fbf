//! Names and texts as numbers that need no look-up.
//!
//! Decides: the number, the first 63 bits of the SHA-256, so that any tool can work it out and nobody can make two
//! names collide at will. By chance two of ten million do once in two hundred thousand states; who reads a name back
//! by its number compares it.

use ring::digest::{SHA256, digest};
use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};

/// The number of a name or a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameHash(pub(super) i64);

impl NameHash {
    /// The number of this text.
    pub fn of(text: &str) -> NameHash {
        let digest = digest(&SHA256, text.as_bytes());
        let first = digest.as_ref().iter().take(8).fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        NameHash((first >> 1).cast_signed())
    }
}

impl std::fmt::LowerHex for NameHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::LowerHex::fmt(&self.0, f)
    }
}

impl ToSql for NameHash {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for NameHash {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<NameHash> {
        i64::column_result(value).map(NameHash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_what_other_tools_make_of_the_name() {
        // printf example.com | sha256sum: a379a6f6eeafb9a5...
        assert_eq!(NameHash::of("example.com"), NameHash((0xa379_a6f6_eeaf_b9a5_u64 >> 1).cast_signed()));
    }
}
