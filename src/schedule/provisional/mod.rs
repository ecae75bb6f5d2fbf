//! Provisional results: may this result still change.
//!
//! A result may change after its reply was received, because a server that turns answers every recipient alike from
//! then on. Each result is held at the narrowest scope that can still overturn it, then confirmed or revoked:
//!
//! 1. **Session**: an acceptance that comes after unknown recipients, at a provider that may accept and discard. A
//!    clear rejection later in the same session confirms it, or a closing control that is rejected. An accepted
//!    closing control revokes it, and so does the end of the session. A rejection, at a provider whose data do not
//!    rule out that its hosts turn: an acceptance later in the same session confirms it, or a closing control that is
//!    accepted, whose recipient the MX host accepted before. A rejected closing control revokes it, and so does the
//!    end of the session, unless the MX host never accepted a recipient. Then an accepted `postmaster` confirms it, where the run
//!    asks for that; any other reply leaves it unproven.
//! 2. **MX host**: what rejections by an MX host showed about a domain. It is revoked with them.
//! 3. **Lane**: a rejection, and an acceptance that relies on one. A later acceptance on the lane confirms it, or the
//!    end of all sessions with nothing left to probe. An acceptance at the same endpoint revokes a rejection that no
//!    acceptance followed in its own session: now a control is possible. A provider that turns out to reject us, or a reply that
//!    belongs to no probe, revokes it.
//!
//! A revoked recipient counts as not probed: its stored replies are deleted. It is probed again at the same MX host if
//! its session was the cause, at the next MX host of another provider if the provider was, and is unknown else.
//!
//! Must not: choose what is probed, or judge. No other part holds results back.
//!
//! | file | open it for |
//! |---|---|
//! | `session_results` | what a session holds |
//! | `session_scope`, `session_rejections` | closing controls; acceptances and rejections, confirmed and revoked by them |
//! | `postmaster` | what confirms rejections where the MX host never accepted a recipient |
//! | `lane_results`, `lane_scope` | what a lane holds; confirmation and revocation for a lane, and what its MX hosts showed |

mod lane_results;
mod lane_scope;
mod postmaster;
mod session_rejections;
mod session_results;
mod session_scope;

pub(super) use lane_results::{ProvisionalResults, Unproven, is_unproven};
pub(super) use session_results::SessionResults;
