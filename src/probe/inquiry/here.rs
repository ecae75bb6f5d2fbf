//! What is known about the exchanger that is being asked.

use std::time::Duration;

use super::answers::due;
use super::{Moment, Positive};
use crate::address::{Address, Domain};
use crate::probe::known::{AtExchanger, PutOff};
use crate::verdict::evidence::CatchAll;

/// What is known here.
#[derive(Debug, Default)]
pub(super) struct Here {
    pub(super) made_up: Option<Address>,
    pub(super) made_up_state: Control,
    pub(super) made_up_tries: usize,
    /// Sessions that ended when a control was their oldest open question.
    pub(super) control_drops: u8,
    pub(super) put_off: Option<PutOff>,
    pub(super) unclear_answers: u32,
    /// A made-up name was refused in words that mean nothing until somebody is accepted.
    pub(super) refused_unclearly: bool,
    pub(super) catch_all: CatchAll,
    pub(super) positive: Positive,
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
pub(super) enum Control {
    #[default]
    Unasked,
    Flying,
    Waiting(Duration),
    Settled,
}

impl Here {
    /// Begins with what is known. A failed control is not: it is tried again.
    pub(super) fn with(known: AtExchanger, now: Moment) -> Here {
        let AtExchanger { made_up, put_off, catch_all, refused_unclearly, positive, clear_refusals, .. } =
            known;
        let (made_up_state, catch_all) = match catch_all {
            CatchAll::Yes(_) | CatchAll::No(_) | CatchAll::Unclear => (Control::Settled, catch_all),
            CatchAll::NotAsked | CatchAll::Failed(_) => {
                let wait = put_off.map(|PutOff { since, until, .. }| {
                    let waits = until.duration_since(since).unwrap_or_default();
                    Control::Waiting(due(since, waits, now))
                });
                let state = if refused_unclearly { Control::Settled } else { wait.unwrap_or_default() };
                (state, CatchAll::NotAsked)
            }
        };
        Here {
            made_up,
            made_up_state,
            made_up_tries: put_off.map_or(0, |put_off| put_off.times),
            put_off,
            refused_unclearly,
            catch_all,
            positive,
            clear_refusals,
            ..Here::default()
        }
    }

    /// What another inquiry can begin with.
    pub(super) fn known(&self, exchanger: Domain) -> AtExchanger {
        let catch_all = match &self.catch_all {
            CatchAll::Failed(_) => CatchAll::NotAsked,
            other => other.clone(),
        };
        AtExchanger {
            exchanger,
            made_up: self.made_up.clone(),
            put_off: self.put_off.filter(|_| catch_all == CatchAll::NotAsked),
            catch_all,
            refused_unclearly: self.refused_unclearly,
            positive: self.positive.clone(),
            clear_refusals: self.clear_refusals,
        }
    }

    /// No control is asked here any more.
    pub(super) fn give_up(&mut self) {
        self.made_up_state = Control::Settled;
        self.given_up = true;
    }
}
