//! Addresses: what one is, where it was mistyped, what kind it is.
//!
//! [`syntax`] decides what is an address (RFC 5321 and 6531, the part that RCPT can carry), [`domain`] what is a
//! domain (UTS #46, LDH, lengths), [`fault`] names what can be wrong, [`repair`] which slips of an export may be
//! cleaned, each by its name, [`typo`] what was probably meant, [`kind`] whether it is a role, a throw-away, a free or
//! a tagged one, [`provider_syntax`] what the big providers allow left of the @. What these four know of the world are
//! [`table`]s, which [`crate::policy::lists`] fills.

mod characters;
pub mod domain;
pub mod fault;
mod idna;
pub mod kind;
mod literal;
mod local;
pub mod provider_syntax;
pub mod repair;
pub mod special_use;
pub mod syntax;
pub mod table;
pub mod typo;

pub use domain::Domain;
pub use fault::{DomainFault, FaultKind, SyntaxFault};
pub use kind::AddressKinds;
pub use syntax::{Address, MailHost};
