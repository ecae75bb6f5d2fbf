//! What is asked about a domain's mailboxes, and when enough is known.
//!
//! [`domain_probe`] is the questions to one domain as a state machine, [`known`] what it can begin with and leaves behind,
//! [`control`] the made-up names, [`turn`] when they are asked about, [`retry_policy`] how long transient answers are waited for.

pub mod control;
pub mod inquiry;
pub mod known;
pub mod patience;
pub mod turn;

pub use inquiry::{DomainProbe, NextStep, RecipientKind};
pub use known::{DomainFacts, Recipient};
pub use patience::RetryPolicy;
pub use turn::ControlPlan;
