//! What is known about the current MX host: the start is [`MxHostFacts`] of earlier probes, and so is the end.

use std::time::Duration;

use crate::address::{Address, Domain};
use crate::evidence::{CatchAll, Deferral, MxHostFacts, PositiveControl, Timestamp};
use crate::probe::retry_time::due;

/// The state of the current MX host.
#[derive(Debug, Default)]
pub(super) struct MxHostState {
    pub(super) random_recipient: Option<Address>,
    pub(super) control_state: ControlState,
    /// Number of replies to the random recipient.
    pub(super) control_tries: usize,
    /// Number of sessions that ended when a control was their oldest open probe.
    pub(super) control_drops: u8,
    /// Number of controls whose replies were revoked.
    pub(super) revoked_controls: u8,
    /// The deferral of the random recipient.
    pub(super) deferral: Option<Deferral>,
    /// Number of replies to the random recipient that showed nothing.
    pub(super) unclear_replies: u32,
    /// The random recipient was rejected with an ambiguous text, which proves something only beside an acceptance.
    pub(super) rejected_unclearly: bool,
    pub(super) catch_all: CatchAll,
    pub(super) positive_control: PositiveControl,
    /// Number of clear rejections of listed recipients.
    pub(super) clear_rejections: u32,
    /// Number of accepted listed recipients.
    pub(super) accepted: u32,
    /// Index of the recipient that was accepted last.
    pub(super) last_accepted: Option<u32>,
    /// Number of deferrals of listed recipients.
    pub(super) deferrals: u32,
    /// No further control is sent here.
    pub(super) controls_stopped: bool,
}

/// The state of the random recipient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ControlState {
    #[default]
    NotSent,
    InFlight,
    /// Deferred; the retry is due at this time of the run.
    Waiting(Duration),
    Done,
}

impl MxHostState {
    /// The state that follows from known facts. A failed control is sent again.
    pub(super) fn of(facts: MxHostFacts, now: Timestamp) -> MxHostState {
        let MxHostFacts {
            random_recipient,
            deferral,
            catch_all,
            rejected_unclearly,
            positive_control,
            clear_rejections,
            ..
        } = facts;
        let (control_state, catch_all) = match catch_all {
            CatchAll::Yes(_) | CatchAll::No(_) | CatchAll::Unclear => (ControlState::Done, catch_all),
            CatchAll::NotTested | CatchAll::Failed(_) => {
                let wait = deferral.map(|Deferral { since, until, .. }| {
                    let waits = until.duration_since(since).unwrap_or_default();
                    ControlState::Waiting(due(since, waits, now))
                });
                let state = if rejected_unclearly { ControlState::Done } else { wait.unwrap_or_default() };
                (state, CatchAll::NotTested)
            }
        };
        MxHostState {
            random_recipient,
            control_state,
            control_tries: deferral.map_or(0, |deferral| deferral.times),
            deferral,
            rejected_unclearly,
            catch_all,
            positive_control,
            clear_rejections,
            ..MxHostState::default()
        }
    }

    /// The facts, for another domain probe to start with.
    pub(super) fn facts(&self, mx_host: Domain) -> MxHostFacts {
        let catch_all = match &self.catch_all {
            CatchAll::Failed(_) => CatchAll::NotTested,
            other => other.clone(),
        };
        MxHostFacts {
            mx_host,
            random_recipient: self.random_recipient.clone(),
            deferral: self.deferral.filter(|_| catch_all == CatchAll::NotTested),
            catch_all,
            rejected_unclearly: self.rejected_unclearly,
            positive_control: self.positive_control.clone(),
            clear_rejections: self.clear_rejections,
        }
    }

    /// Stops sending controls to this MX host.
    pub(super) fn stop_controls(&mut self) {
        self.control_state = ControlState::Done;
        self.controls_stopped = true;
    }
}
