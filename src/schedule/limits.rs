//! The limits of a run, the constants that several parts of the scheduler share, and the ids by which the parts refer
//! to each other. This file uses no other file of the room.

use std::time::Duration;

use crate::policy::{Pace, RetryPolicy, Thresholds};
use crate::smtp::IpFamilies;

/// The span of a provider's hourly limit of unknown recipients.
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// The span of a provider's daily limit of unknown recipients, the longest of all limits.
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// What a run allows.
#[derive(Clone, Debug)]
pub struct RunLimits {
    /// How fast the run may probe.
    pub pace: Pace,
    /// How long deferred recipients are retried.
    pub retry_policy: RetryPolicy,
    /// The most sessions that are open at the same time, over all lanes.
    pub sessions: usize,
    /// When the scheduler draws conclusions about a provider or about the run, and how it paces itself.
    pub thresholds: &'static Thresholds,
    /// Rejections that no acceptance follows in their session are confirmed by `postmaster`, where the MX host accepts it.
    pub confirm: bool,
    /// The egresses, at least one, each with the IP families that it reaches. Each egress has lanes of its own.
    pub egresses: Vec<IpFamilies>,
}

/// Identifies a session. Ids count the sessions of a run and are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// The index of a [`super::job::DomainTask`] in the scheduler.
pub(super) type DomainTaskId = usize;
/// The index of an [`super::endpoint::Endpoint`] in the scheduler.
pub(super) type EndpointId = usize;
/// The index of a [`super::pacing::Machine`] in the scheduler.
pub(super) type MachineId = usize;
/// The index of a [`super::lane::Lane`] in the scheduler.
pub(super) type LaneId = usize;
/// The index of a [`super::lane::ProviderState`] in the scheduler.
pub(super) type ProviderId = usize;

/// What is due at a time of the run. At the same time, lanes come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The lane may start something.
    Lane(LaneId),
    /// Recipients of the domain are due for a retry.
    DomainTask(DomainTaskId),
    /// The idle session has waited long enough, or its closing control may be sent now.
    IdleTimeout(SessionId),
    /// The machine may take another connection.
    Machine(MachineId),
    /// The provider may be evicted.
    Evict(ProviderId),
}
