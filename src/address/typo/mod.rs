//! Typos: the domain or address that was probably meant.
//!
//! Answers the question "what did the user mean to type?", from lists of real domains and the letters alone.
//! Suggestions never change a verdict or an address by themselves.
//!
//! | for | open |
//! |---|---|
//! | the suggestion | `suggest` |
//! | signs that are doubled, left over or wrong | `damaged` |
//! | the typing mistake between two names | `edit` |
//! | the mistake between two suffixes, such as `con` and `com` | `suffix` |
//! | how improbable a mistake is, and when it is too improbable | `penalty` |
//! | the domains that people really have | `known_domains` |

mod damaged;
mod edit;
mod known_domains;
mod penalty;
mod suffix;
mod suggest;

pub(crate) use damaged::suggest_undamaged;
pub(crate) use known_domains::KnownDomains;
pub(crate) use penalty::Certainty;
pub use suggest::suggest_domain;
pub(crate) use suggest::{Suggestion, suggest_address};
