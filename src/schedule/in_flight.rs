//! A probe in flight: what its session knows about it until the reply is there.

use super::limits::DomainTaskId;
use crate::evidence::RecipientKind;
use crate::smtp::ProbeId;

/// A probe in flight.
#[derive(Clone, Copy, Debug)]
pub(in crate::schedule) struct InFlightProbe {
    pub(in crate::schedule) id: ProbeId,
    pub(in crate::schedule) task: DomainTaskId,
    pub(in crate::schedule) kind: RecipientKind,
    /// How many recipients come before it in its transaction.
    pub(in crate::schedule) position: u32,
}
