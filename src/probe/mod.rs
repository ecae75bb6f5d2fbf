//! What is asked about a domain's mailboxes, and when enough is known.
//!
//! [`inquiry`] is the questions to one domain as a state machine, [`control`] the made-up names, [`patience`] how long
//! transient answers are waited for.

pub mod control;
pub mod inquiry;
pub mod patience;

pub use inquiry::{Inquiry, Next, Who};
pub use patience::Patience;
