//! Refusals that nobody vouches for yet.
//!
//! Decides: when "no such mailbox" is believed, and what becomes of it where it is not. A host that turns against us says it to
//! everybody, sometimes before it says what it means. So a refusal is handed out once the same lane has accepted somebody
//! after it, or has run dry, and so is an acceptance that rests on refusals, because they alone show that not everybody is
//! accepted. If the lane turns out to refuse us before that, all that it said since its last acceptance is withdrawn: it is
//! as if it had not been asked. Only a made-up name that is refused right after an acceptance at its domain needs nobody: that
//! is a clear pair of unlike answers. Whoever has an exchanger of another operator is asked about there, from the
//! same egress, which is how mail goes on too; nobody is asked again where we are refused, nor from another egress, which
//! would be a way round a block.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::sync::Arc;

use super::course::Course;
use super::decision::Ruling;
use super::{Action, Answered, LaneId, Scheduler, Stop};
use crate::address::{Address, Domain};
use crate::probe::control::{self, Shown};
use crate::probe::inquiry::Found;
use crate::probe::{Known, Listed, Who};
use crate::reason::{Cause, Fault};
use crate::verdict::evidence::{Attempt, CatchAll, Inquired, Obstacle, Trouble};

/// What nobody vouches for yet.
#[derive(Debug, Default)]
pub(super) struct Unvouched {
    /// Refusals, and acceptances that rest on such.
    pub(super) found: Vec<Held>,
    /// Made-up names that were refused, each with who did so.
    proofs: Vec<(Domain, Address)>,
}

impl Unvouched {
    fn is_empty(&self) -> bool {
        self.found.is_empty() && self.proofs.is_empty()
    }
}

/// What was found out, and may be withdrawn.
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
    /// Notes a made-up name that was refused, unless that makes a clear pair with the answer before it.
    pub(super) fn note_proof(&mut self, lane: LaneId, answer: &Answered) {
        let Answered { domain, who, address, attempt, .. } = answer;
        let lane = &mut self.lanes[lane];
        let is_refused = matches!(control::shown(&attempt.said), Shown::Refuses | Shown::RefusesUnclearly);
        if *who == Who::MadeUp && is_refused && lane.accepted_last.as_ref() != Some(domain) {
            lane.unvouched.proofs.push((attempt.exchanger.clone(), address.clone()));
        }
    }

    /// Hands out what was found out at a lane about addresses of a domain, but keeps that for which nobody vouches yet.
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
        let has_refused =
            !self.lanes[lane].unvouched.is_empty() || found.iter().any(|found| is_refusal(&found.inquired));
        let (doubtful, rest): (Vec<_>, Vec<_>) = found.into_iter().partition(|Found { inquired, .. }| {
            is_refusal(inquired) || (has_refused && matches!(inquired.catch_all, CatchAll::No(_)))
        });
        let held = |found| Held::of(found, elsewhere);
        if let Some(said) = self.lanes[lane].paused.clone() {
            let doubtful = doubtful.into_iter().map(held).collect();
            self.take_back(lane, home, doubtful, &Obstacle::Refused(said));
        } else if lane == home {
            let unvouched = &mut self.lanes[lane].unvouched.found;
            unvouched.reserve_exact(doubtful.len());
            unvouched.extend(doubtful.into_iter().map(held));
        } else {
            // Who was sent on from another lane is not this one's to count.
            self.hand_out(home, doubtful);
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
        let Unvouched { found, .. } = take(&mut self.lanes[lane].unvouched);
        self.hand_out(lane, found.into_iter().map(|held| held.found).collect());
    }

    /// Somebody was accepted at a lane: what it refused before is believed.
    pub(super) fn vouched(&mut self, lane: LaneId) {
        self.lanes[lane].displeased = None;
        self.believe_refusals(lane);
    }

    /// A lane was found to refuse us, or to say more than it was asked: what nobody vouched for is taken back.
    pub(super) fn withdraw(&mut self, lane: LaneId, why: &Obstacle) {
        let Unvouched { found, proofs } = take(&mut self.lanes[lane].unvouched);
        self.disbelieve(proofs.iter().map(|(exchanger, made_up)| (exchanger, made_up)));
        self.actions.extend(proofs.into_iter().map(|(_, made_up)| Action::TakenBack(made_up)));
        self.take_back(lane, lane, found, why);
    }

    /// Whoever asks at the domains of these names now, from wherever, does not rely on their refusals any more.
    fn disbelieve<'a>(&mut self, refused: impl Iterator<Item = (&'a Domain, &'a Address)>) {
        let mut exchangers: BTreeMap<&Domain, BTreeSet<&Domain>> = BTreeMap::new();
        for (exchanger, name) in refused {
            if let Some(domain) = name.domain() {
                exchangers.entry(domain).or_default().insert(exchanger);
            }
        }
        if exchangers.is_empty() {
            return;
        }
        for Course { inquiry, .. } in self.courses.iter_mut().flatten() {
            for exchanger in exchangers.get(inquiry.domain()).into_iter().flatten() {
                inquiry.disbelieve(exchanger);
            }
        }
    }

    fn take_back(&mut self, lane: LaneId, home: LaneId, refusals: Vec<Held>, why: &Obstacle) {
        if refusals.is_empty() {
            return;
        }
        self.decided(Ruling::AnswersWithdrawn, lane, refusals.len());
        self.disbelieve(refusals.iter().filter_map(|Held { found, .. }| {
            Some((&found.inquired.attempts.last()?.exchanger, &found.address))
        }));
        let mut over = Vec::new();
        // One order for a domain: its addresses share their controls.
        let mut again: BTreeMap<Domain, (Arc<[Stop]>, Vec<Listed>)> = BTreeMap::new();
        for Held { found, elsewhere } in refusals {
            self.actions.push_back(Action::TakenBack(found.address.clone()));
            let elsewhere = elsewhere.filter(|_| self.stopping.is_none());
            let (Some(elsewhere), Some(domain)) = (elsewhere, found.address.domain()) else {
                over.push(withdrawn(found, why));
                continue;
            };
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
        if lane.backlog > lane.unvouched.found.len() || lane.open > 0 {
            return;
        }
        if let Some(said) = lane.displeased.take() {
            // The last that was heard of it is that it refuses us.
            let (operator, accepted) = (lane.operator, lane.tally.accepted > 0);
            self.received(operator, |reception| reception.refused |= !accepted);
            return self.withdraw(id, &Obstacle::Refused(said));
        }
        if let Some(said) = lane.paused.clone() {
            // What came back after it was left alone.
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
