//! Addresses: what one is, where it was mistyped, what kind it is.
//!
//! [`syntax`] decides what is an address (RFC 5321 and 6531, the part that RCPT can carry), [`domain`] what is a
//! domain (UTS #46, LDH, lengths), [`repair`] which slips of an export may be cleaned, each by its name, [`typo`] what
//! was probably meant, [`kind`] whether it is a role, a throw-away, a free or a tagged one.

pub mod domain;
pub mod syntax;

pub use domain::{Domain, DomainFault};
pub use syntax::{Address, Host, SyntaxFault};
