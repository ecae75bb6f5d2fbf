//! TXT records in world files.

use serde::Deserialize;

/// A TXT record.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum TxtEntry {
    /// A text of any length.
    Text(String),
    /// The strings of the record.
    Strings(Vec<String>),
}

impl TxtEntry {
    /// The strings of the record. A text is cut into strings of 255 bytes (RFC 1035 3.3).
    pub(super) fn strings(&self) -> Vec<Vec<u8>> {
        match self {
            TxtEntry::Text(text) => text.as_bytes().chunks(255).map(<[u8]>::to_vec).collect(),
            TxtEntry::Strings(strings) => strings.iter().map(|text| text.clone().into_bytes()).collect(),
        }
    }
}
