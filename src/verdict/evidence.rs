//! What a run found out about one address, and nothing but what it found out.
//!
//! Decides: nothing. Every "don't know" is a value of its own, so that [`mod@super::decide`] can't take it for a "no".

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::record::Kinds;
use crate::address::{Address, Domain};
use crate::policy::replies::Meaning;
use crate::reason::{Cause, Finding};
use crate::route::{Absence, DnsFault};
use crate::smtp::{Reply, Stage};

/// Everything known about one row's address.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// What the row itself shows.
    pub form: Form,
    /// Its kind, by lists and by its own looks.
    pub kinds: Kinds,
    /// The domain looks like a slip: the whole address that was probably meant, and how sure that is.
    pub slip: Option<Slip>,
    /// Where its mail goes; `None` when that was not looked up.
    pub route: Option<RouteFact>,
    /// What the servers said and what stood in the way.
    pub inquiry: Inquired,
}

/// What the row itself shows, before anything is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// The cell is empty.
    Empty,
    /// Not an address; the word of the fault.
    Broken(&'static str),
    /// An address that its provider does not allow; the id of the provider's rule.
    NotAllowed(String),
    /// An address at a special-use domain (RFC 6761) or at one that can't be delegated.
    SpecialUse(Address),
    /// An address literal; asked only on request.
    Literal(Address),
    /// An address.
    Fine(Address),
}

impl Form {
    /// The address, if there is one.
    pub fn into_address(self) -> Option<Address> {
        match self {
            Form::Empty | Form::Broken(_) | Form::NotAllowed(_) => None,
            Form::SpecialUse(address) | Form::Literal(address) | Form::Fine(address) => Some(address),
        }
    }

    /// A look at the address, if there is one.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Form::Empty | Form::Broken(_) | Form::NotAllowed(_) => None,
            Form::SpecialUse(address) | Form::Literal(address) | Form::Fine(address) => Some(address),
        }
    }
}

/// A domain that looks like a slip of the keyboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slip {
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
    Absent(Absence),
    /// Nowhere on the Internet.
    Unroutable,
    /// Not known.
    Failed(DnsFault),
}

/// What the servers said about one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inquired {
    /// Replies to this very address, oldest first.
    pub attempts: Vec<Attempt>,
    /// Whether the exchanger that gave the newest acceptance accepts made-up names too.
    pub catch_all: CatchAll,
    /// Whether the exchanger that refused in words that don't decide accepts anybody at this domain.
    pub positive: Positive,
    /// What last stood in the way of an answer; shared by all whom it hit.
    pub trouble: Option<Arc<Trouble>>,
    /// Why the mailbox was not asked, or not to the end.
    pub unprobed: Option<Unprobed>,
    /// Every exchanger said "not my domain", and each of them serves other domains.
    pub unserved: bool,
    /// Too many mailboxes vanished at this operator at once.
    pub anomaly: bool,
}

/// One reply to one question about this address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Who said it.
    pub exchanger: Domain,
    /// When.
    pub at: SystemTime,
    /// What, and what it means.
    pub said: Said,
}

/// A reply and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Where in the dialogue.
    pub stage: Stage,
    /// The words.
    pub reply: Reply,
    /// Their meaning, by the reply rules; shared by all who were told the same.
    pub meaning: Arc<Meaning>,
}

impl Said {
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
    No(Proof),
    /// The host itself answered unclearly about the made-up name, twice.
    Unclear,
    /// The control failed through us, time or transience: this stands in the way of the verdict.
    Failed(Arc<Trouble>),
    /// Nobody asked.
    #[default]
    NotAsked,
}

/// What proves that a domain does not accept any name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A made-up name was refused in clear words.
    Control,
    /// A made-up name was refused in words that alone would not decide, beside an accepted address.
    UnclearControl,
    /// Listed addresses were refused in clear words: two, or one where the operator's data say the same.
    Listed,
}

/// Is anybody at this domain accepted by an exchanger?
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Positive {
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
pub struct Trouble {
    /// At which exchanger.
    pub exchanger: Domain,
    /// When.
    pub at: SystemTime,
    /// What.
    pub what: Obstacle,
}

/// The kinds of obstacles. None of them says anything about an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The session was refused, or a control got a reply that is not about the mailbox.
    Refused(Box<Said>),
    /// No reply: connection, time, form.
    Broken(Finding),
}

/// Why a mailbox was not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unprobed {
    /// `--offline`.
    Offline,
    /// `--dns-only`.
    DnsOnly,
    /// The run ended first, by deadline or by hand.
    Deadline,
    /// A cap of the operator; the time until the cap is lifted, counted from the end of the run.
    Budget(Duration),
    /// The operator refuses us, so it was left alone.
    OperatorPaused,
}

impl Unprobed {
    /// The detail in the `rule` column.
    pub fn word(self) -> &'static str {
        match self {
            Unprobed::Offline => "offline",
            Unprobed::DnsOnly => "dns_only",
            Unprobed::Deadline => "deadline",
            Unprobed::Budget(_) => "budget",
            Unprobed::OperatorPaused => "operator_paused",
        }
    }
}
