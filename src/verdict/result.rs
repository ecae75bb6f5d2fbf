//! The result for one row: the judgment, the kind of address, and the evidence in short.
//!
//! Decides: nothing; these are the values behind the columns, which the guide explains. Empty means "not determined".

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use crate::address::{Address, AddressKinds, Domain, Repair};
use crate::reason::{Confidence, Reason};
use crate::smtp::Reply;

/// The judgment of one address. Verdict and fault follow from the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgment {
    /// The reason.
    pub reason: Reason,
    /// The id of the rule that decided: of a reply rule, or of a line of the decision table.
    pub rule: Cow<'static, str>,
    /// How sure the judgment is.
    pub confidence: Confidence,
    /// When to probe again; only where the verdict is unknown.
    pub retry_after: Option<SystemTime>,
}

/// Everything that the results say about a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressResult {
    /// The judgment.
    pub judgment: Judgment,
    /// What was removed from the cell to get an address.
    pub repairs: Vec<Repair>,
    /// The whole address that was probably meant.
    pub did_you_mean: Option<String>,
    /// The address as it was probed or would be; `None` where the row holds none.
    pub address: Option<Address>,
    /// The kinds of address that it belongs to.
    pub kinds: AddressKinds,
    /// The id of the provider, by its MX hosts.
    pub provider: Option<Arc<str>>,
    /// The MX host whose reply decided.
    pub mx_host: Option<Domain>,
    /// Whether the domain accepts any recipient.
    pub catch_all: Option<bool>,
    /// The reply that decided.
    pub reply: Option<Reply>,
    /// Number of replies to probes of this address.
    pub attempts: u32,
    /// When the evidence was gathered; `None` where nothing was probed.
    pub checked_at: Option<SystemTime>,
    /// When the evidence expires.
    pub expires_at: Option<SystemTime>,
}
