//! Evidence: the facts about one recipient and its domain that `probe`, `schedule`, `state` and `verdict` share.
//!
//! Owns the question "what is known?": every way not to know something is a value of its own, so that [`crate::verdict`]
//! can't take it for a "no". Plain data: no other room defines a type for these facts, and nothing here waits, sends or judges.
//!
//! | what | file |
//! |---|---|
//! | a reply with its cause, what prevented one | `reply` |
//! | what the reply to a control shows, catch-all | `control` |
//! | a recipient, and all replies about its mailbox | `recipient` |
//! | all facts about the address of one row | `row` |
//! | facts about a domain, kept from one probe to the next | `domain_facts` |
//! | a reply as the state stores it, counts of a provider's replies | `recorded_reply` |

mod control;
mod domain_facts;
mod recipient;
mod recorded_reply;
mod reply;
mod row;

pub use control::{CatchAll, NotCatchAllProof, PositiveControl};
pub(crate) use control::{ControlOutcome, interpret_control};
pub use domain_facts::DomainFacts;
pub(crate) use domain_facts::{Deferral, EarlierContact, MxHostFacts};
pub(crate) use recipient::RecipientKind;
pub use recipient::{MailboxEvidence, NotProbedReason, ProbeResult, Recipient, RecipientId};
pub(crate) use recorded_reply::{RecordedReply, Tally};
pub use reply::{Attempt, ClassifiedReply, Obstacle, ObstacleKind, Timestamp};
pub use row::{AddressStatus, Evidence, RouteFact, SuspectedTypo};

/// What `policy` says about a reply: part of a [`ClassifiedReply`].
pub use crate::policy::{Meaning, RuleId};
