//! What is asked about a domain's mailboxes, and when enough is known.
//!
//! [`domain_probe`] is the questions to one domain as a state machine, [`domain_facts`] what it can begin with and leaves behind,
//! [`control`] the made-up names, [`control_plan`] when they are asked about, [`retry_policy`] how long transient answers are waited for.

pub mod control;
pub mod domain_probe;
pub mod domain_facts;
pub mod retry_policy;
pub mod control_plan;

pub use domain_probe::{DomainProbe, NextStep, RecipientKind};
pub use domain_facts::{DomainFacts, Recipient};
pub use retry_policy::RetryPolicy;
pub use control_plan::ControlPlan;
