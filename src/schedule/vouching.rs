//! Refusals that nobody vouches for yet.
//!
//! Decides: when "no such mailbox" is believed, and what becomes of it where it is not. A host that turns against us says it to
//! everybody, sometimes before it says what it means. So a refusal is handed out once the same lane has accepted somebody
//! after it, or has run dry; if the lane turns out to refuse us before that, all that it said since its last acceptance is
//! withdrawn: it is as if it had not been asked. Whoever has an exchanger of another operator is asked about there, from the
//! same egress, which is how mail goes on too; nobody is asked again where we are refused, nor from another egress, which
//! would be a way round a block.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;

use super::course::Course;
use super::decision::Ruling;
use super::{Action, LaneId, Scheduler, Stop};
use crate::address::Domain;
use crate::probe::inquiry::Found;
use crate::probe::{Known, Listed};
use crate::reason::{Cause, Fault};
use crate::verdict::evidence::{Attempt, CatchAll, Inquired, Obstacle, Trouble};

/// What was found out about an address, and where else it may be asked about, should a refusal be taken back.
#[derive(Debug)]
pub(super) struct Held {
    found: Found,
    /// Exchangers of other operators.
    elsewhere: Vec<Stop>,
}

impl Course {
    /// What was found out about one of its addresses, with the exchangers of other operators that are left to ask.
    pub(super) fn held(&self, found: Found) -> Held {
        let here = self.stops.front().map(|(_, lane)| *lane);
        let others = self.stops.iter().filter(|(_, lane)| Some(*lane) != here && is_refusal(&found.inquired));
        let elsewhere = others.map(|(stop, _)| stop.clone()).collect();
        Held { found, elsewhere }
    }
}

impl Scheduler {
    /// Hands out what was found out at a lane, but keeps refusals for which nobody vouches yet.
    pub(super) fn hold(&mut self, lane: LaneId, home: LaneId, held: Vec<Held>) {
        if held.is_empty() {
            return;
        }
        let (refusals, rest): (Vec<_>, Vec<_>) =
            held.into_iter().partition(|held| is_refusal(&held.found.inquired));
        if let Some(said) = self.lanes[lane].paused.clone() {
            self.take_back(lane, home, refusals, &Obstacle::Refused(said));
        } else if lane == home {
            self.lanes[lane].unvouched.extend(refusals);
        } else {
            // Who was sent on from another lane is not this one's to count.
            self.hand_out(home, refusals);
        }
        self.hand_out(home, rest);
        self.run_dry(home);
    }

    fn hand_out(&mut self, home: LaneId, held: Vec<Held>) {
        if held.is_empty() {
            return;
        }
        let lane = &mut self.lanes[home];
        lane.backlog -= held.len();
        let operator = lane.operator;
        self.actions.push_back(Action::Settled(held.into_iter().map(|held| held.found).collect()));
        self.call_for_orders(operator);
    }

    /// Somebody was accepted at a lane: what it refused before is believed.
    pub(super) fn vouched(&mut self, lane: LaneId) {
        self.lanes[lane].displeased = None;
        let refusals = take(&mut self.lanes[lane].unvouched);
        self.hand_out(lane, refusals);
    }

    /// A lane was found to refuse us, or to say more than it was asked: what nobody vouched for is taken back.
    pub(super) fn withdraw(&mut self, lane: LaneId, why: &Obstacle) {
        let refusals = take(&mut self.lanes[lane].unvouched);
        self.take_back(lane, lane, refusals, why);
    }

    fn take_back(&mut self, lane: LaneId, home: LaneId, refusals: Vec<Held>, why: &Obstacle) {
        if refusals.is_empty() {
            return;
        }
        self.decided(Ruling::AnswersWithdrawn, lane, refusals.len());
        let mut over = Vec::new();
        // One order for a domain: its addresses share their controls.
        let mut again: BTreeMap<Domain, (Vec<Stop>, Vec<Listed>)> = BTreeMap::new();
        for Held { found, elsewhere } in refusals {
            let domain = found.listed.address.domain().filter(|_| !elsewhere.is_empty());
            let Some(domain) = domain.filter(|_| self.stopping.is_none()) else {
                over.push(Held { found: withdrawn(found, why), elsewhere: Vec::new() });
                continue;
            };
            self.actions.push_back(Action::TakenBack(found.listed.address.clone()));
            self.lanes[home].backlog -= 1;
            let (_, listed) = again.entry(domain.clone()).or_insert((elsewhere, Vec::new()));
            listed.push(found.listed);
        }
        for (domain, (exchangers, listed)) in again {
            let known = Known { postmaster_was_asked: true, ..Known::default() };
            self.take_on(self.lanes[home].egress, domain, &exchangers, listed, known);
        }
        self.hand_out(home, over);
    }

    /// Nothing is left to be asked at a lane, and its sessions have shown at their ends that no reply was one too many: what
    /// it refused last is believed, unless it refuses us too.
    pub(super) fn run_dry(&mut self, id: LaneId) {
        let lane = &mut self.lanes[id];
        if lane.backlog > lane.unvouched.len() || lane.open > 0 {
            return;
        }
        if let Some(said) = lane.displeased.take() {
            // The last that was heard of it is that it refuses us.
            let (operator, accepted) = (lane.operator, lane.tally.accepted > 0);
            self.received(operator, |reception| reception.refused |= !accepted);
            return self.withdraw(id, &Obstacle::Refused(said));
        }
        let refusals = take(&mut lane.unvouched);
        self.hand_out(id, refusals);
    }
}

/// Takes back what was said about an address by a host that turned out to refuse us.
fn withdrawn(Found { listed, inquired }: Found, why: &Obstacle) -> Found {
    let trouble = inquired.attempts.last().map(|Attempt { exchanger, at, .. }| {
        Arc::new(Trouble { exchanger: exchanger.clone(), at: *at, what: why.clone() })
    });
    Found { listed, inquired: Box::new(Inquired { trouble, ..Inquired::default() }) }
}

/// The last word about it may condemn it, and the domain is not one that accepts anybody.
fn is_refusal(inquired: &Inquired) -> bool {
    let accepts_any = matches!(inquired.catch_all, CatchAll::Yes(_));
    let last = inquired.attempts.last().map(|attempt| attempt.said.meaning.cause);
    !accepts_any && last.is_some_and(|cause| cause == Cause::Ambiguous || cause.fault() == Fault::Mailbox)
}
