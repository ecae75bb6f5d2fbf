//! Addresses: what one is, where it was mistyped, what kind it is.
//!
//! [`syntax`] decides what is an address (RFC 5321 and 6531, the part that RCPT can carry), [`domain`] what is a
//! domain (UTS #46, LDH, lengths), [`fault`] names what can be wrong, [`repair`] which slips of an export may be
//! cleaned, each by its name, [`typo`] what was probably meant, [`kind`] whether it is a role, a throw-away, a free or
//! a tagged one, [`provider_syntax`] what the big providers allow left of the @. What these four know of the world are
//! [`table`]s, which [`crate::policy::lists`] fills.

mod characters;
mod domain;
mod fault;
mod idna;
mod kind;
mod literal;
mod local;
mod provider_syntax;
mod repair;
mod special_use;
mod syntax;
mod table;
mod typo;

pub use domain::Domain;
pub use fault::{DomainFault, FaultKind, SyntaxFault};
pub use kind::AddressKinds;
pub use syntax::{Address, MailHost};

pub use kind::{DomainKinds, KindTables};
pub use provider_syntax::{NameRule, NameRules};
pub use repair::{Repair, read};
pub use special_use::special_use;
pub use syntax::plain_parts;
pub use table::{OwnEntries, Table, after_head, entry};
pub use typo::fault::suggest_for_fault;
pub use typo::targets::KnownDomains;
pub use typo::{Certainty, Suggestion, suggest};
