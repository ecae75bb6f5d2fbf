//! The scheduler: a pure state machine that decides what is probed when, from which egress, and on which session.
//!
//! This room owns the question what may be started now. Its driver submits [`DomainJob`]s, carries out each
//! [`Action`] in order, and reports each [`SessionEvent`]; the clock and the random numbers come from outside, so the
//! code that runs on the Internet is the code that [`mod@crate::simulate`] runs. Other rooms do not count or wait in
//! order to spare a provider, do not choose between IP addresses of an MX host, and do not hold results back. This
//! room does not open connections, sleep, read reply texts, or judge addresses.
//!
//! A *task* is one domain that is probed at its MX hosts, one after the other. An *endpoint* is one IP address of a
//! provider, shared by the tasks of all domains behind it. A *lane* is everything between one egress and one
//! provider, with one pace for all its endpoints.
//!
//! The scheduler is made of parts that own their data; each part's page states its rules. The scheduler keeps the
//! events, and asks them.
//!
//! | part | what it owns |
//! |---|---|
//! | `pacing/` | may something start now, and how much: rates, open connections, batches, limits of unknown recipients |
//! | `queue/` | which domain is next, at an endpoint and in the backlog outside |
//! | `provisional/` | may this result still change: hold, confirm, revoke at the scopes session, MX host and lane |
//! | `health/` | are we welcome: pauses, the breaker, port closed, rejected everywhere |
//! | `session/` | one connection: batches, replies, its end |
//!
//! | file | open it for |
//! |---|---|
//! | `scheduler` | the state of the scheduler and the calls of its driver |
//! | `job`, `action`, `in_flight` | what goes in: domains to probe; what comes out: actions and events; a probe between |
//! | `domain_task` | the way of one domain: egress, endpoint, next MX host, results |
//! | `dispatch` | what starts next: which lane, endpoint and session |
//! | `lane`, `endpoint` | the parts that a lane and an IP address have |
//! | `provider` | which lane probes a domain, when a provider needs more jobs and when it is evicted |
//! | `blocked` | a run that cannot work at all: the providers that it contacts before it stops |
//! | `rejection` | what follows from rejected and broken sessions for lane, endpoint and waiting tasks |
//! | `limits` | the limits of a run, shared constants, ids |

mod action;
mod blocked;
mod dispatch;
mod domain_task;
mod endpoint;
mod health;
mod in_flight;
mod job;
mod lane;
mod limits;
mod pacing;
mod provider;
mod provisional;
mod queue;
mod rejection;
mod scheduler;
mod session;
#[cfg(test)]
mod tests;

pub use action::{Action, ConnectionAction};
pub(crate) use action::{ProviderEvent, ProviderEventKind, SessionOpening};
pub(crate) use blocked::HostRejection;
pub use health::RunBlocked;
pub use job::{DomainJob, MxHop};
pub use limits::{RunLimits, SessionId};
pub(crate) use queue::Backlog;
pub use scheduler::Scheduler;
pub use session::SessionEvent;
pub(crate) use session::classify_event;
