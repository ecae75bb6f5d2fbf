//! A recipient: what is probed, and everything that servers said about its mailbox.
//!
//! Decides: nothing. A mailbox that was not probed, or not completely, has a [`NotProbedReason`] or an [`Obstacle`], never a reply.

use std::sync::Arc;
use std::time::Duration;

use super::control::{CatchAll, PositiveControl};
use super::reply::{Attempt, Obstacle};
use crate::address::Address;
use crate::reason::Verdict;

/// Identifies a listed recipient in a run: its number in the worklist, from 1 on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecipientId(pub i64);

/// The kinds of recipients of a domain probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecipientKind {
    /// A recipient of the list, by its index in the domain probe.
    Listed(u32),
    /// A listed recipient that this MX host accepted before, probed again as the positive control.
    Recheck(u32),
    /// The random recipient: the negative control.
    Random,
    /// `postmaster`: the positive control where no listed recipient was accepted.
    Postmaster,
}

/// A listed recipient to probe.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipient {
    /// Its number in this run.
    pub id: RecipientId,
    /// Its address.
    pub address: Address,
    /// Replies to earlier probes that are still valid, oldest first. A wait that they ask for continues, and the result of the
    /// new probe contains them.
    pub earlier: Vec<Attempt>,
    /// An earlier run recently found it deliverable.
    pub was_deliverable: bool,
}

impl From<(RecipientId, Address)> for Recipient {
    fn from((id, address): (RecipientId, Address)) -> Recipient {
        Recipient { id, address, earlier: Vec::new(), was_deliverable: false }
    }
}

impl Recipient {
    /// True if its newest reply is a deferral: it waits for a retry.
    pub fn is_waiting(&self) -> bool {
        self.earlier.last().is_some_and(|Attempt { classified, .. }| {
            classified.meaning.cause.verdict() == Verdict::Unknown && !classified.reply.is_permanent()
        })
    }
}

/// The result of probing a listed recipient.
#[derive(Debug)]
pub struct ProbeResult {
    /// Its number in this run.
    pub id: RecipientId,
    /// Its address.
    pub address: Address,
    /// An earlier run recently found it deliverable.
    pub was_deliverable: bool,
    /// What the servers said about it.
    pub mailbox: Box<MailboxEvidence>,
}

impl ProbeResult {
    /// The recipient without the replies, to be probed as if for the first time.
    pub fn into_recipient(self) -> Recipient {
        let ProbeResult { id, address, was_deliverable, .. } = self;
        Recipient { id, address, earlier: Vec::new(), was_deliverable }
    }
}

/// What the servers said about one mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxEvidence {
    /// Replies to probes of this recipient, oldest first.
    pub attempts: Vec<Attempt>,
    /// Whether the MX host that accepted last accepts any recipient.
    pub catch_all: CatchAll,
    /// Whether the MX host that rejected with an ambiguous text accepts any recipient at all.
    pub positive_control: PositiveControl,
    /// What last prevented a reply. All recipients that it affected share one value.
    pub obstacle: Option<Arc<Obstacle>>,
    /// Why the mailbox was not probed, or not completely.
    pub unprobed: Option<NotProbedReason>,
    /// Every MX host said that it does not serve the domain, and each of them serves other domains.
    pub domain_not_served: bool,
    /// Too many mailboxes of the provider are gone at the same time: see [`super::Tally::is_anomalous`].
    pub provider_anomaly: bool,
}

/// Why a mailbox was not probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotProbedReason {
    /// `--offline`.
    Offline,
    /// `--dns-only`.
    DnsOnly,
    /// The run ended first, by its deadline or by a signal.
    Deadline,
    /// A limit of the provider is reached; the time until it allows more, counted from the end of the run.
    Budget(Duration),
    /// The provider rejects us, so its lane is paused.
    ProviderPaused,
    /// The route is too old to connect to: the domain is looked up again, and the recipient is probed then. No stored result
    /// has it.
    RouteExpired,
}

impl NotProbedReason {
    /// The detail in the `rule` column.
    pub fn word(self) -> &'static str {
        match self {
            NotProbedReason::Offline => "offline",
            NotProbedReason::DnsOnly => "dns_only",
            NotProbedReason::Deadline => "deadline",
            NotProbedReason::Budget(_) => "budget",
            NotProbedReason::ProviderPaused => "provider_paused",
            NotProbedReason::RouteExpired => "route_expired",
        }
    }
}
