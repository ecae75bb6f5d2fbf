//! Checks the sender's side: the records, names and hosts that receivers look at before they accept mail.
//!
//! Owns the question "what do receivers see of us?". Reads DNS through [`crate::route::Dns`] only, and sends no mail. A
//! look-up that failed is never "no record".
//!
//! | to see | open |
//! |---|---|
//! | the checks in order | `checks.rs` |
//! | what a check reports | `check.rs` |
//! | each check of the host, of the sender's domain | `host.rs`, `sender.rs` |
//! | a look-up of a check | `answer.rs` |
//! | which result SPF has for a client, and why | `spf/` |
//! | which DMARC policy applies, and what is aligned | `dmarc/` |
//! | what a DKIM key is worth | `dkim/` |

mod answer;
mod check;
mod checks;
mod dkim;
mod dmarc;
mod host;
mod sender;
mod spf;
#[cfg(test)]
mod tests;

pub use check::{Check, CheckGroup, CheckList, CheckStatus};
pub use checks::{CheckedSender, check_sender};
pub use dkim::{DkimAlgorithm, DkimKey, DkimKeyFault};
pub use dmarc::{AppliedPolicy, DmarcPolicy, DmarcRecord, DmarcWalk, FailedLookup, PsdFlag};
pub use spf::{SpfBranch, SpfProblem, SpfQuery, SpfReport, SpfRequest, SpfResult, SpfTerm, check_spf};
