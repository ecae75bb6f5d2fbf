//! The order of domains: at an endpoint, and in the backlog outside the scheduler, where jobs wait until their
//! provider has capacity ([`super::Scheduler::try_admit`]).
//!
//! Decides: which domain comes next, and in which parts a large domain is submitted.
//!
//! 1. Large domains and small ones are interleaved in proportion to their remaining recipients, so that both end
//!    together. Large domains are limited by the rate of RCPT commands, small ones by connections, because each needs a
//!    control and so gets more rejections; one kind after the other would leave first one resource idle, then the
//!    other. An endpoint deviates by some batches (`thresholds.toml`, `large_domain`) in favor of the kind that needs less of
//!    the scarcer one.
//! 2. At an endpoint, small domains that have begun come before other small ones, so that verdicts come early and few
//!    domains are in progress.
//! 3. In the backlog, small domains come alternately from the front and the back, because a list in its own order has
//!    the larger of them first.
//!
//! Must not: hold recipients. A domain is an id of the scheduler, or whatever the caller of [`Backlog`] finds its
//! recipients by.
//!
//! | file | open it for |
//! |---|---|
//! | `endpoint_queue` | the domains that wait at an endpoint |
//! | `backlog` | the domains that wait outside the scheduler |

mod backlog;
mod endpoint_queue;

pub(crate) use backlog::Backlog;
pub(super) use endpoint_queue::EndpointQueue;
