//! Checks the sender's side: the records, names and hosts that receivers look at before they accept mail.
//!
//! Owns the question "what do receivers see of us?". Reads DNS through [`crate::route::Dns`], visits mail servers through
//! [`crate::smtp`], and sends no mail. A look-up that failed is never "no record".
//!
//! | to see | open |
//! |---|---|
//! | the checks in order; their ids and reasons | `checks.rs`, `catalog.rs` |
//! | what receivers see of an egress | `egress.rs` |
//! | what a check reports | `check.rs` |
//! | each check of the host, of the sender's domain | `host.rs`, `sender.rs`, `transport.rs` |
//! | a look-up of a check; how checks wait together | `answer.rs`, `together.rs` |
//! | how a mail server is visited; what follows from the visits | `visit.rs`, `port25.rs`, `mailbox.rs`, `machine.rs` |
//! | blocklists | `listed.rs`, `policy/data/blocklists.toml` |
//! | the checks before a run | `preflight.rs` |
//! | the card | `card.rs` |
//! | which result SPF has for a client, and why | `spf/` |
//! | which DMARC policy applies, and what is aligned | `dmarc/` |
//! | what a DKIM key is worth | `dkim/` |

mod answer;
mod card;
mod catalog;
mod check;
mod checks;
mod dkim;
mod dmarc;
mod egress;
mod host;
mod listed;
mod machine;
mod mailbox;
mod port25;
mod preflight;
mod sender;
mod spf;
#[cfg(test)]
mod tests;
mod together;
mod transport;
mod visit;

pub use card::CardStyle;
pub(crate) use check::Finding as CheckFinding;
pub use check::{Check, CheckGroup, CheckList, CheckStatus};
pub use checks::CheckOptions;
pub(crate) use checks::SenderChecks;
pub use dkim::{DkimAlgorithm, DkimKey, DkimKeyFault};
pub use dmarc::{AppliedPolicy, DmarcPolicy, DmarcRecord, DmarcWalk, FailedLookup, PsdFlag};
pub(crate) use egress::CheckedEgress;
pub(crate) use preflight::LabExemptions;
pub use spf::{SpfBranch, SpfProblem, SpfQuery, SpfReport, SpfRequest, SpfResult, SpfTerm, check_spf};
pub(crate) use visit::VisitedHost;
