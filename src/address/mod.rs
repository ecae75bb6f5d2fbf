//! Addresses: whether a text is one, what was probably meant, and what kind of address it is.
//!
//! Answers the question "is this an address?". Other rooms take an [`Address`] or a [`Domain`], never an unchecked
//! text, and none parses, repairs or corrects one. Everything here works offline; the lists it needs are [`Table`]s,
//! which [`crate::policy`] fills.
//!
//! | for | open |
//! |---|---|
//! | the grammar: RFC 5321 and 6531, as RCPT carries addresses | `syntax`, with `local` and `literal` |
//! | domain names: LDH, lengths, UTS #46 | `domain` |
//! | the words and sentences of syntax faults | `fault` |
//! | characters that come from exports and word processors | `characters` |
//! | addresses among other words | `find`; with one of them, `among_words` |
//! | repairs of texts, each with its name | `repair`, with `repair_kind` |
//! | the address or domain that was probably meant | `typo` |
//! | role accounts, disposable, free and tagged addresses | `kind` |
//! | texts that stand for no address | `placeholder` |
//! | equal addresses in other spellings | `spelling` |
//! | local parts that big providers never allow | `provider_syntax` |
//! | reserved names such as `.test` | `special_use` |
//! | lists in text files | `table` |

mod among_words;
mod characters;
mod domain;
mod fault;
mod find;
mod kind;
mod literal;
mod local;
mod placeholder;
mod provider_syntax;
mod repair;
mod repair_kind;
mod special_use;
mod spelling;
mod syntax;
mod table;
mod typo;

pub use domain::Domain;
pub use fault::{DomainFault, FaultKind, SyntaxFault};
pub(crate) use find::{find_addresses, find_only, holds_one};
pub use kind::AddressKinds;
pub(crate) use kind::{DomainKinds, KindTables};
pub(crate) use placeholder::Placeholders;
pub(crate) use provider_syntax::{NameRule, NameRules};
pub use repair::repair;
pub use repair_kind::Repair;
pub(crate) use special_use::special_use;
pub(crate) use spelling::folded_local;
pub(crate) use syntax::split_plain;
pub use syntax::{Address, MailHost};
pub(crate) use table::{OwnEntries, Table};
pub use typo::suggest_domain;
pub(crate) use typo::{Certainty, KnownDomains, Suggestion, suggest_address, suggest_undamaged};
