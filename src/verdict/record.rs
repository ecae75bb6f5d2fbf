//! What is told about one row: the judgement, what kind of address it is, and the evidence in short.
//!
//! Decides: nothing; these are the values behind the columns (the README explains each). Empty means "not determined".

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use crate::address::{Address, Domain, Repair};
use crate::reason::Reason;
use crate::smtp::Reply;

pub use crate::address::AddressKinds;
pub use crate::reason::Confidence;

/// The judgement of one address. Verdict and fault follow from the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgment {
    /// Why.
    pub reason: Reason,
    /// The id of the rule that decided: a reply rule's, or one of `decide`'s own.
    pub rule: Cow<'static, str>,
    /// How sure.
    pub confidence: Confidence,
    /// When to ask again; only where the verdict is unknown.
    pub retry_after: Option<SystemTime>,
}

/// Everything that is told about a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressResult {
    /// The judgement.
    pub judgment: Judgment,
    /// What was cleaned off the cell before it was an address.
    pub repairs: Vec<Repair>,
    /// The whole address that was probably meant.
    pub did_you_mean: Option<String>,
    /// The address as it was or would be asked; `None` where there is none.
    pub address: Option<Address>,
    /// Its kind.
    pub kinds: AddressKinds,
    /// The operator's id, by its MX hosts.
    pub provider: Option<Arc<str>>,
    /// The exchanger whose answer decided.
    pub mx_host: Option<Domain>,
    /// Does the domain accept any name?
    pub catch_all: Option<bool>,
    /// The reply that decided.
    pub reply: Option<Reply>,
    /// How often a server answered a question about this address.
    pub attempts: u32,
    /// When the evidence was gathered; `None` where nothing was asked.
    pub checked_at: Option<SystemTime>,
    /// When the evidence is too old to be used again.
    pub expires_at: Option<SystemTime>,
}
