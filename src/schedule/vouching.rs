//! Refusals that nobody vouches for yet.
//!
//! Decides: when "no such mailbox" is believed, and what becomes of it where it is not. A host that turns against us says it to
//! everybody, sometimes before it says what it means. So a refusal is handed out once the same lane has accepted somebody
//! after it, or has run dry; if the lane turns out to refuse us before that, all that it said since its last acceptance is
//! withdrawn: it is as if it had not been asked. Whoever has an exchanger of another operator is asked about there, from the
//! same egress, which is how mail goes on too; nobody is asked again where we are refused, nor from another egress, which
//! would be a way round a block.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::course::Course;
use super::decision::Ruling;
use super::{Action, LaneId, Order, Scheduler};
use crate::address::Domain;
use crate::probe::Known;
use crate::probe::inquiry::Target;
use crate::reason::{Cause, Fault};
use crate::verdict::evidence::{Attempt, CatchAll, Inquired, Obstacle, Trouble};

/// What was found out about an address.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) target: Target,
    pub(super) inquired: Inquired,
    /// Where else it may be asked about, should a refusal be taken back.
    pub(super) elsewhere: Option<Box<Order>>,
}

/// Refusals since a lane's last acceptance.
#[derive(Debug, Default)]
pub(super) struct Unvouched {
    refusals: Vec<Found>,
}

impl Unvouched {
    /// Keeps a refusal; hands anything else back, which needs nobody to vouch for it.
    fn hold(&mut self, found: Found) -> Option<Found> {
        if is_refusal(&found.inquired) {
            self.refusals.push(found);
            return None;
        }
        Some(found)
    }

    /// How many wait.
    fn len(&self) -> usize {
        self.refusals.len()
    }

    /// They are believed, or taken back.
    fn take(&mut self) -> Vec<Found> {
        std::mem::take(&mut self.refusals)
    }
}

impl Course {
    /// An address with what was found out about it, and the exchangers of other operators that are left to ask.
    pub(super) fn found(&self, target: Target, inquired: Inquired) -> Found {
        let here = self.stops.front().map(|(_, lane)| *lane);
        let others = self.stops.iter().filter(|(_, lane)| Some(*lane) != here);
        let exchangers: Vec<_> = others.map(|(stop, _)| stop.clone()).collect();
        let may_move = !exchangers.is_empty() && is_refusal(&inquired);
        let listed = self.inquiry.listed(target).filter(|_| may_move);
        let elsewhere = listed.map(|listed| {
            let domain = self.inquiry.domain().clone();
            let known = Known { postmaster_was_asked: true, ..Known::default() };
            Box::new(Order { domain, exchangers, listed: vec![listed], known })
        });
        Found { target, inquired, elsewhere }
    }
}

impl Scheduler {
    /// Hands out what was found out at a lane, but keeps refusals for which nobody vouches yet.
    pub(super) fn hold(&mut self, lane: LaneId, home: LaneId, found: Vec<Found>) {
        if found.is_empty() {
            return;
        }
        if let Some(said) = self.lanes[lane].paused.clone() {
            let (refusals, rest): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|found| is_refusal(&found.inquired));
            self.take_back(lane, home, refusals, &Obstacle::Refused(said));
            self.hand_out(home, rest);
        } else if lane == home {
            let unvouched = &mut self.lanes[lane].unvouched;
            let free = found.into_iter().filter_map(|found| unvouched.hold(found)).collect();
            self.hand_out(home, free);
        } else {
            // Who was sent on from another lane is not this one's to count.
            self.hand_out(home, found);
        }
        self.run_dry(home);
    }

    /// Somebody was accepted at a lane: what it refused before is believed.
    pub(super) fn vouched(&mut self, lane: LaneId) {
        self.lanes[lane].displeased = None;
        let refusals = self.lanes[lane].unvouched.take();
        self.hand_out(lane, refusals);
    }

    /// A lane was found to refuse us, or to say more than it was asked: what nobody vouched for is taken back.
    pub(super) fn withdraw(&mut self, lane: LaneId, why: &Obstacle) {
        let refusals = self.lanes[lane].unvouched.take();
        self.take_back(lane, lane, refusals, why);
    }

    fn take_back(&mut self, lane: LaneId, home: LaneId, refusals: Vec<Found>, why: &Obstacle) {
        if refusals.is_empty() {
            return;
        }
        self.decided(Ruling::AnswersWithdrawn, lane, refusals.len());
        let mut over = Vec::new();
        // One for a domain: its addresses share their controls.
        let mut orders: BTreeMap<Domain, Order> = BTreeMap::new();
        for Found { target, inquired, elsewhere } in refusals {
            let Some(order) = elsewhere.filter(|_| self.stopping.is_none()) else {
                over.push(Found { target, inquired: withdrawn(&inquired, why), elsewhere: None });
                continue;
            };
            self.actions.push_back(Action::TakenBack(target));
            self.lanes[home].backlog -= 1;
            match orders.entry(order.domain.clone()) {
                Entry::Vacant(place) => {
                    place.insert(*order);
                }
                Entry::Occupied(mut others) => others.get_mut().listed.extend(order.listed),
            }
        }
        for Order { domain, exchangers, listed, known } in orders.into_values() {
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
        let refusals = lane.unvouched.take();
        self.hand_out(id, refusals);
    }
}

/// Takes back what was said about an address by a host that turned out to refuse us.
fn withdrawn(inquired: &Inquired, why: &Obstacle) -> Inquired {
    let trouble = inquired.attempts.last().map(|Attempt { exchanger, at, .. }| Trouble {
        exchanger: exchanger.clone(),
        at: *at,
        what: why.clone(),
    });
    Inquired { trouble, ..Inquired::default() }
}

/// The last word about it may condemn it, and the domain is not one that accepts anybody.
fn is_refusal(inquired: &Inquired) -> bool {
    let accepts_any = matches!(inquired.catch_all, CatchAll::Yes(_));
    let last = inquired.attempts.last().map(|attempt| attempt.said.meaning.cause);
    !accepts_any && last.is_some_and(|cause| cause == Cause::Ambiguous || cause.fault() == Fault::Mailbox)
}
