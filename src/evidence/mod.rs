//! Evidence: all facts about one recipient and its domain, shared by `probe`, `schedule`, `state` and `verdict`.

mod control;
mod domain_facts;
mod mailbox;
mod recipient;
mod recorded_reply;
mod tally;

pub use control::{ControlOutcome, shown};
pub use domain_facts::{Deferral, DomainFacts, MxHostFacts};
pub use mailbox::{AddressStatus, Attempt, CatchAll, ClassifiedReply, Evidence, MailboxEvidence, NotCatchAllProof, NotProbedReason, Obstacle, ObstacleKind, PositiveControl, RouteFact, SuspectedTypo};
pub use recipient::{ProbeResult, Recipient, RecipientId, RecipientKind, Timestamp};
pub use recorded_reply::{RecordedReply};
pub use tally::{Tally};
