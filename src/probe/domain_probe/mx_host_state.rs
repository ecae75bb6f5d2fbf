//! What is known about the exchanger that is being asked.

use std::time::Duration;

use super::replies::due;
use crate::address::{Address, Domain};
use crate::evidence::{CatchAll, Deferral, MxHostFacts, PositiveControl, Timestamp};

/// What is known here.
#[derive(Debug, Default)]
pub(super) struct MxHostState {
    pub(super) random_recipient: Option<Address>,
    pub(super) control_state: ControlState,
    pub(super) control_tries: usize,
    /// Sessions that ended when a control was their oldest open question.
    pub(super) control_drops: u8,
    pub(super) deferral: Option<Deferral>,
    pub(super) unclear_answers: u32,
    /// A made-up name was refused in words that mean nothing until somebody is accepted.
    pub(super) refused_unclearly: bool,
    pub(super) catch_all: CatchAll,
    pub(super) positive: PositiveControl,
    pub(super) clear_refusals: u32,
    pub(super) accepted: u32,
    /// Who was accepted last.
    pub(super) accepted_last: Option<u32>,
    pub(super) transient_answers: u32,
    /// No more controls.
    pub(super) given_up: bool,
}

/// How far the made-up name is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ControlState {
    #[default]
    NotSent,
    InFlight,
    Waiting(Duration),
    Done,
}

impl MxHostState {
    /// Begins with what is known. A failed control is not: it is tried again.
    pub(super) fn with(known: MxHostFacts, now: Timestamp) -> MxHostState {
        let MxHostFacts {
            random_recipient,
            deferral,
            catch_all,
            refused_unclearly,
            positive,
            clear_refusals,
            ..
        } = known;
        let (control_state, catch_all) = match catch_all {
            CatchAll::Yes(_) | CatchAll::No(_) | CatchAll::Unclear => (ControlState::Done, catch_all),
            CatchAll::NotAsked | CatchAll::Failed(_) => {
                let wait = deferral.map(|Deferral { since, until, .. }| {
                    let waits = until.duration_since(since).unwrap_or_default();
                    ControlState::Waiting(due(since, waits, now))
                });
                let state = if refused_unclearly { ControlState::Done } else { wait.unwrap_or_default() };
                (state, CatchAll::NotAsked)
            }
        };
        MxHostState {
            random_recipient,
            control_state,
            control_tries: deferral.map_or(0, |deferral| deferral.times),
            deferral,
            refused_unclearly,
            catch_all,
            positive,
            clear_refusals,
            ..MxHostState::default()
        }
    }

    /// What another inquiry can begin with.
    pub(super) fn known(&self, mx_host: Domain) -> MxHostFacts {
        let catch_all = match &self.catch_all {
            CatchAll::Failed(_) => CatchAll::NotAsked,
            other => other.clone(),
        };
        MxHostFacts {
            mx_host,
            random_recipient: self.random_recipient.clone(),
            deferral: self.deferral.filter(|_| catch_all == CatchAll::NotAsked),
            catch_all,
            refused_unclearly: self.refused_unclearly,
            positive: self.positive.clone(),
            clear_refusals: self.clear_refusals,
        }
    }

    /// No control is asked here any more.
    pub(super) fn give_up(&mut self) {
        self.control_state = ControlState::Done;
        self.given_up = true;
    }
}
