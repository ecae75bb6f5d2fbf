//! Checks the sender's side: the records, names and hosts that receivers look at before they accept mail.
//!
//! Owns the question "what do receivers see of us?". Reads DNS through [`crate::route::Dns`] only, and sends no mail. A
//! look-up that failed is never "no record".
//!
//! | to see | open |
//! |---|---|
//! | which result SPF has for a client, and why | `spf/` |

mod spf;

pub use spf::{SpfBranch, SpfProblem, SpfQuery, SpfReport, SpfRequest, SpfResult, SpfTerm, check_spf};
