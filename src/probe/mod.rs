//! What is asked about a domain's mailboxes, and when enough is known.
//!
//! [`inquiry`] is the questions to one domain as a state machine, [`known`] what it can begin with and leaves behind,
//! [`control`] the made-up names, [`turn`] when they are asked about, [`patience`] how long transient answers are waited for.

pub mod control;
pub mod inquiry;
pub mod known;
pub mod patience;
pub mod turn;

pub use inquiry::{Inquiry, Next, Who};
pub use known::{Known, Listed};
pub use patience::Patience;
pub use turn::Turn;
