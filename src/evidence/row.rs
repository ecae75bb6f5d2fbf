//! All facts about the address of one row.
//!
//! Decides: nothing; [`crate::verdict::decide`] judges. Must not: hold a fact that no server, no DNS answer, no policy list
//! and not the row itself showed.

use std::sync::Arc;

use super::recipient::MailboxEvidence;
use crate::address::{Address, AddressKinds};
use crate::route::{DnsFault, NoMailReason};

/// Everything known about the address of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Whether the cell holds an address.
    pub status: AddressStatus,
    /// Kinds of address that it belongs to: role account, disposable domain and so on.
    pub kinds: AddressKinds,
    /// The address that was probably meant, if the domain looks like a typo.
    pub typo: Option<SuspectedTypo>,
    /// Where mail for the domain goes; `None` if it was not looked up.
    pub route: Option<RouteFact>,
    /// What the servers said, or what prevented a reply.
    pub mailbox: MailboxEvidence,
}

/// Whether a cell holds an address, as far as the cell alone shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressStatus {
    /// The cell is empty, or holds a placeholder, a label or a footer.
    Empty,
    /// An address that the user's own list excludes.
    Excluded(Address),
    /// Not an address; the word of the syntax fault.
    Invalid(&'static str),
    /// An address that its provider does not allow, with the id of the provider's rule. It is not probed.
    ProviderSyntax(Address, String),
    /// An address at a special-use domain (RFC 6761), or at a domain that can't be delegated.
    SpecialUse(Address),
    /// An address literal (RFC 5321 4.1.3); probed only on request.
    Literal(Address),
    /// An address.
    Valid(Address),
}

impl AddressStatus {
    /// The address, if there is one.
    pub fn into_address(self) -> Option<Address> {
        match self {
            AddressStatus::Empty | AddressStatus::Invalid(_) | AddressStatus::ProviderSyntax(..) => None,
            AddressStatus::Excluded(address)
            | AddressStatus::SpecialUse(address)
            | AddressStatus::Literal(address)
            | AddressStatus::Valid(address) => Some(address),
        }
    }

    /// The address of the row among those of its list, even one that its provider does not allow.
    pub fn listed_address(&self) -> Option<&Address> {
        match self {
            AddressStatus::ProviderSyntax(address, _) => Some(address),
            _ => self.address(),
        }
    }

    /// A reference to the address, if there is one.
    pub fn address(&self) -> Option<&Address> {
        match self {
            AddressStatus::Empty | AddressStatus::Invalid(_) | AddressStatus::ProviderSyntax(..) => None,
            AddressStatus::Excluded(address)
            | AddressStatus::SpecialUse(address)
            | AddressStatus::Literal(address)
            | AddressStatus::Valid(address) => Some(address),
        }
    }
}

/// A domain that looks like a typo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuspectedTypo {
    /// The whole address that was probably meant.
    pub meant: String,
    /// False for a weak suspicion: it is shown, but does not change the verdict.
    pub probable: bool,
}

/// Where mail for a domain goes, as far as a verdict depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteFact {
    /// To MX hosts that can be probed.
    Hosts {
        /// The id of their provider; empty for a provider that the policy does not know.
        provider: Arc<str>,
        /// False if the provider rejects unknown recipients only after the message, so that RCPT replies are no evidence.
        is_checkable: bool,
    },
    /// Nowhere: the domain has a null MX (RFC 7505).
    NullMx,
    /// Nowhere: the domain does not exist, or has no mail host.
    Absent(NoMailReason),
    /// Nowhere: all MX hosts have addresses that are not globally reachable.
    Unroutable,
    /// Not known: the DNS look-up failed.
    Failed(DnsFault),
}
