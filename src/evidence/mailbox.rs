//! What a run found out about one address, and nothing but what it found out.
//!
//! Decides: nothing. Every "don't know" is a value of its own, so that [`mod@crate::verdict::decide`] can't take it for a "no".

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::address::{Address, AddressKinds, Domain};
use crate::policy::{Meaning, Provider, ReplyCache, ReplyContext};
use crate::reason::{Cause, Finding};
use crate::route::{DnsFault, NoMailReason};
use crate::smtp::{Reply, Stage};

/// Everything known about one row's address.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// What the row itself shows.
    pub form: AddressStatus,
    /// Its kind, by lists and by its own looks.
    pub kinds: AddressKinds,
    /// The domain looks like a slip: the whole address that was probably meant, and how sure that is.
    pub slip: Option<SuspectedTypo>,
    /// Where its mail goes; `None` when that was not looked up.
    pub route: Option<RouteFact>,
    /// What the servers said and what stood in the way.
    pub mailbox: MailboxEvidence,
}

/// What the row itself shows, before anything is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressStatus {
    /// The cell is empty.
    Empty,
    /// Not an address; the word of the fault.
    Invalid(&'static str),
    /// An address that its provider does not allow; the id of the provider's rule.
    ProviderSyntax(String),
    /// An address at a special-use domain (RFC 6761) or at one that can't be delegated.
    SpecialUse(Address),
    /// An address literal; asked only on request.
    Literal(Address),
    /// An address.
    Valid(Address),
}

impl AddressStatus {
    /// The address, if there is one.
    pub fn into_address(self) -> Option<Address> {
        match self {
            AddressStatus::Empty | AddressStatus::Invalid(_) | AddressStatus::ProviderSyntax(_) => None,
            AddressStatus::SpecialUse(address)
            | AddressStatus::Literal(address)
            | AddressStatus::Valid(address) => Some(address),
        }
    }

    /// A look at the address, if there is one.
    pub fn address(&self) -> Option<&Address> {
        match self {
            AddressStatus::Empty | AddressStatus::Invalid(_) | AddressStatus::ProviderSyntax(_) => None,
            AddressStatus::SpecialUse(address)
            | AddressStatus::Literal(address)
            | AddressStatus::Valid(address) => Some(address),
        }
    }
}

/// A domain that looks like a slip of the keyboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuspectedTypo {
    /// The whole address that was probably meant.
    pub meant: String,
    /// False for a mere hint: shown, but no reason to doubt a working address.
    pub probable: bool,
}

/// Where a domain's mail goes, as far as a verdict needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteFact {
    /// To hosts that can be asked. The operator's id, and whether its RCPT answers are evidence.
    Hosts {
        /// Empty for an operator that the policy does not know.
        provider: Arc<str>,
        /// False where unknown mailboxes are refused only after the message.
        evidence: bool,
    },
    /// Nowhere: a null MX.
    NullMx,
    /// Nowhere: no domain, or no host.
    Absent(NoMailReason),
    /// Nowhere on the Internet.
    Unroutable,
    /// Not known.
    Failed(DnsFault),
}

/// What the servers said about one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxEvidence {
    /// Replies to this very address, oldest first.
    pub attempts: Vec<Attempt>,
    /// Whether the exchanger that gave the newest acceptance accepts made-up names too.
    pub catch_all: CatchAll,
    /// Whether the exchanger that refused in words that don't decide accepts anybody at this domain.
    pub positive: PositiveControl,
    /// What last stood in the way of an answer; shared by all whom it hit.
    pub obstacle: Option<Arc<Obstacle>>,
    /// Why the mailbox was not asked, or not to the end.
    pub unprobed: Option<NotProbedReason>,
    /// Every exchanger said "not my domain", and each of them serves other domains.
    pub unserved: bool,
    /// Too many mailboxes vanished at this operator at once.
    pub anomaly: bool,
}

/// One reply to one question about this address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Who said it.
    pub mx_host: Domain,
    /// When.
    pub at: SystemTime,
    /// What, and what it means.
    pub classified: ClassifiedReply,
}

/// A reply and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassifiedReply {
    /// Where in the dialogue.
    pub stage: Stage,
    /// The words.
    pub reply: Reply,
    /// Their meaning, by the reply rules; shared by all who were told the same.
    pub meaning: Arc<Meaning>,
}

impl ClassifiedReply {
    /// Classifies a reply of an MX host of this provider. Nothing else makes a classified reply, so a reply has the same meaning
    /// when it arrives and when it is read from a state.
    pub fn new(replies: &mut ReplyCache, stage: Stage, provider: &Provider, reply: Reply) -> ClassifiedReply {
        let context = ReplyContext { stage, provider: provider.is_known().then_some(&*provider.id) };
        ClassifiedReply { stage, meaning: replies.read(&reply, &context), reply }
    }

    /// The recipient is unknown there, or may be: a refusal in words that say nothing may mean it, too.
    pub fn may_be_unknown(&self) -> bool {
        let cause = self.meaning.cause;
        cause == Cause::MailboxUnknown || (cause == Cause::Ambiguous && self.reply.is_permanent())
    }
}

/// Does a domain accept any name at an exchanger?
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CatchAll {
    /// It accepted a made-up name.
    Yes(Arc<Attempt>),
    /// It does not.
    No(NotCatchAllProof),
    /// The host itself answered unclearly about the made-up name, twice.
    Unclear,
    /// The control failed through us, time or transience: this stands in the way of the verdict.
    Failed(Arc<Obstacle>),
    /// Nobody asked.
    #[default]
    NotAsked,
}

/// What proves that a domain does not accept any name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCatchAllProof {
    /// A made-up name was refused in clear words.
    Control,
    /// A made-up name was refused in words that alone would not decide, beside an accepted address.
    UnclearControl,
    /// Listed addresses were refused in clear words: two, or one where the operator's data say the same.
    Listed,
}

/// Is anybody at this domain accepted by an exchanger?
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PositiveControl {
    /// A listed address, or `postmaster`, was accepted.
    Accepted,
    /// The positive control was refused in the same words.
    SameWords,
    /// It said nothing useful.
    Silent,
    /// Nobody asked.
    #[default]
    NotAsked,
}

/// What stood in the way of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// At which exchanger.
    pub mx_host: Domain,
    /// When.
    pub at: SystemTime,
    /// What.
    pub what: ObstacleKind,
}

/// The kinds of obstacles. None of them says anything about an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObstacleKind {
    /// The session was refused, or a control got a reply that is not about the mailbox.
    Rejected(Box<ClassifiedReply>),
    /// No reply: connection, time, form.
    NoReply(Finding),
}

/// Why a mailbox was not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotProbedReason {
    /// `--offline`.
    Offline,
    /// `--dns-only`.
    DnsOnly,
    /// The run ended first, by deadline or by hand.
    Deadline,
    /// A cap of the operator; the time until the cap is lifted, counted from the end of the run.
    Budget(Duration),
    /// The operator refuses us, so it was left alone.
    ProviderPaused,
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
        }
    }
}
