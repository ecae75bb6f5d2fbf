//! What is asked about a domain's mailboxes, and when enough is known.
//!
//! [`domain_probe`] is the questions to one domain as a state machine, [`domain_facts`] what it can begin with and leaves behind,
//! [`control`] the made-up names, [`control_plan`] when they are asked about, [`retry_policy`] how long transient answers are waited for.

mod control;
mod domain_probe;

mod control_plan;
mod retry_policy;

pub use crate::evidence::RecipientKind;
pub use crate::evidence::{DomainFacts, Recipient};
pub use control_plan::ControlPlan;
pub use domain_probe::{DomainProbe, NextStep};
pub use retry_policy::RetryPolicy;

pub use control::random_recipient;
pub use control_plan::DomainPriors;
pub use domain_probe::ProbeStrategy;
