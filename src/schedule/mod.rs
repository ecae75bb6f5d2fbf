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
//! | file | open it for |
//! |---|---|
//! | `scheduler` | the state of the scheduler and the calls of its driver |
//! | `job`, `action` | what goes in: domains to probe; what comes out: actions and events |
//! | `domain_task` | the way of one domain: egress, endpoint, next MX host, results |
//! | `dispatch`, `queue` | what starts next: which lane, endpoint and session; which domain |
//! | `lane`, `endpoint`, `pace` | the limits and the health of a lane, of an IP address; rates |
//! | `machine`, `tokens`, `unknown` | IP addresses that lanes share; what lane and machine allow together; unknown recipients |
//! | `provider` | which lane probes a domain, when a provider needs more jobs and when it is evicted |
//! | `session/` | one connection: batches, replies, closing controls, its end |
//! | `provisional`, `confirmation` | results that may still be revoked |
//! | `backoff`, `run_health` | rejected and broken sessions; a run that cannot work at all |
//! | `limits` | the limits of a run, shared constants, ids |

mod action;
mod backoff;
mod confirmation;
mod dispatch;
mod domain_task;
mod endpoint;
mod job;
mod lane;
mod limits;
mod machine;
mod pace;
mod provider;
mod provisional;
mod queue;
mod run_health;
mod scheduler;
mod session;
#[cfg(test)]
mod tests;
mod tokens;
mod unknown;

pub use action::{Action, ConnectionAction};
pub(crate) use action::{ProviderEvent, ProviderEventKind, SessionOpening};
pub use job::{DomainJob, MxHop};
pub(crate) use limits::MAX_BATCH;
pub use limits::{RunLimits, SessionId};
pub(crate) use queue::Backlog;
pub(crate) use run_health::HostRejection;
pub use run_health::RunBlocked;
pub use scheduler::Scheduler;
pub use session::SessionEvent;
pub(crate) use session::classify_event;
