//! DKIM keys: what the record of a selector says (RFC 6376 3.6.1, RFC 8301, RFC 8463).
//!
//! Owns key records. They are read, not used: nothing is signed or verified here.
//!
//! | to see | open |
//! |---|---|
//! | the tags of a record | `key.rs` |
//! | the size of a key | `der.rs` |

mod der;
mod key;
#[cfg(test)]
mod tests;

pub use key::{DkimAlgorithm, DkimKey, DkimKeyFault};
