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

/// A refusal that nobody vouches for yet.
#[derive(Debug)]
pub(super) struct Held {
    found: Found,
    /// Exchangers of other operators, where it may be asked about should this be taken back.
    elsewhere: Option<Arc<[Stop]>>,
}

impl Held {
    /// A thousand lanes hold some hundreds each, so it takes little: the words of what was said, which are stored by now, are
    /// let go; what they mean is enough.
    fn of(mut found: Found, elsewhere: Option<&Arc<[Stop]>>) -> Held {
        for attempt in &mut found.inquired.attempts {
            attempt.said.reply.lines = Vec::new();
        }
        Held { found, elsewhere: elsewhere.cloned() }
    }
}

impl Course {
    /// The exchangers of other operators that are left to ask.
    pub(super) fn elsewhere(&self) -> Option<Arc<[Stop]>> {
        let here = self.stops.front().map(|(_, lane)| *lane);
        let others = self.stops.iter().filter(|(_, lane)| Some(*lane) != here);
        let others: Vec<Stop> = others.map(|(stop, _)| stop.clone()).collect();
        (!others.is_empty()).then(|| others.into())
    }
}

impl Scheduler {
    /// Hands out what was found out at a lane about addresses of a domain, but keeps refusals for which nobody vouches yet.
    pub(super) fn hold(
        &mut self,
        lane: LaneId,
        home: LaneId,
        found: Vec<Found>,
        elsewhere: Option<&Arc<[Stop]>>,
    ) {
        if found.is_empty() {
            return;
        }
        let (refusals, rest): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|found| is_refusal(&found.inquired));
        let held = |found| Held::of(found, elsewhere);
        if let Some(said) = self.lanes[lane].paused.clone() {
            let refusals = refusals.into_iter().map(held).collect();
            self.take_back(lane, home, refusals, &Obstacle::Refused(said));
        } else if lane == home {
            let unvouched = &mut self.lanes[lane].unvouched;
            unvouched.reserve_exact(refusals.len());
            unvouched.extend(refusals.into_iter().map(held));
        } else {
            // Who was sent on from another lane is not this one's to count.
            self.hand_out(home, refusals);
        }
        self.hand_out(home, rest);
        self.run_dry(home);
    }

    fn hand_out(&mut self, home: LaneId, found: Vec<Found>) {
        if found.is_empty() {
            return;
        }
        let lane = &mut self.lanes[home];
        lane.backlog -= found.len();
        let operator = lane.operator;
        self.actions.push_back(Action::Settled(found));
        self.call_for_orders(operator);
    }

    /// What a lane refused is believed.
    fn believe_refusals(&mut self, lane: LaneId) {
        let refusals = take(&mut self.lanes[lane].unvouched);
        self.hand_out(lane, refusals.into_iter().map(|held| held.found).collect());
    }

    /// Somebody was accepted at a lane: what it refused before is believed.
    pub(super) fn vouched(&mut self, lane: LaneId) {
        self.lanes[lane].displeased = None;
        self.believe_refusals(lane);
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
        let mut again: BTreeMap<Domain, (Arc<[Stop]>, Vec<Listed>)> = BTreeMap::new();
        for Held { found, elsewhere } in refusals {
            let elsewhere = elsewhere.filter(|_| self.stopping.is_none());
            let (Some(elsewhere), Some(domain)) = (elsewhere, found.address.domain()) else {
                over.push(withdrawn(found, why));
                continue;
            };
            self.actions.push_back(Action::TakenBack(found.address.clone()));
            self.lanes[home].backlog -= 1;
            let (_, listed) = again.entry(domain.clone()).or_insert((elsewhere, Vec::new()));
            listed.push(found.again());
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
        self.believe_refusals(id);
    }
}

/// Takes back what was said about an address by a host that turned out to refuse us.
fn withdrawn(found: Found, why: &Obstacle) -> Found {
    let trouble = found.inquired.attempts.last().map(|Attempt { exchanger, at, .. }| {
        Arc::new(Trouble { exchanger: exchanger.clone(), at: *at, what: why.clone() })
    });
    Found { inquired: Box::new(Inquired { trouble, ..Inquired::default() }), ..found }
}

/// The last word about it may condemn it, and the domain is not one that accepts anybody.
fn is_refusal(inquired: &Inquired) -> bool {
    let accepts_any = matches!(inquired.catch_all, CatchAll::Yes(_));
    let last = inquired.attempts.last().map(|attempt| attempt.said.meaning.cause);
    !accepts_any && last.is_some_and(|cause| cause == Cause::Ambiguous || cause.fault() == Fault::Mailbox)
}
