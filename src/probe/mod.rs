//! Probes: which recipients of a domain are probed, with which controls, and when enough is known.
//!
//! Owns two questions: "which recipient of this domain next?" and "again, when, at which MX host?". No other room sends a control by
//! a plan of its own (`schedule` adds closing controls) or has a retry ladder; the ladders are data (`policy::retry`). Nothing here
//! waits or knows a connection: the scheduler asks for probes and reports replies.
//!
//! | what | file |
//! |---|---|
//! | the state machine of one domain | `domain_probe`, with `select` (what next), `replies` (what a reply changes), `finish` (next MX host, results) |
//! | the random recipient, and when it is probed | `control` |
//! | when a deferred probe is due | `retry_time` |

mod control;
mod domain_probe;
mod retry_time;

pub(crate) use control::{ControlPlan, DomainPriors, random_recipient};
pub(crate) use domain_probe::{DomainProbe, NextStep, ProbeStrategy};
