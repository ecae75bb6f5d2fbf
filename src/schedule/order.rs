//! Orders: what there is to ask about, as it comes in.
//!
//! Decides: from which egress a domain is asked, and what is expected of it before anybody is asked. Must not: start
//! anything; an order becomes a [`Course`], which finds its door.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use super::course::Course;
use super::queue::Queue;
use super::{LaneId, Scheduler};
use crate::address::Domain;
use crate::policy::Provider;
use crate::probe::inquiry::{Expectation, Moment};
use crate::probe::turn::Before;
use crate::probe::{Inquiry, Known, Listed, Turn};

/// A domain to ask about, or a part of a long one.
#[derive(Debug)]
pub struct Order {
    /// The domain.
    pub domain: Domain,
    /// Its exchangers, best first, each with its operator.
    pub exchangers: Vec<Stop>,
    /// Its listed addresses.
    pub listed: Vec<Listed>,
    /// What is known about it already.
    pub known: Known,
}

/// An exchanger with its operator.
#[derive(Clone, Debug)]
pub struct Stop {
    /// The exchanger's name.
    pub host: Domain,
    /// Its addresses; at least one.
    pub addresses: Vec<IpAddr>,
    /// Who runs it.
    pub provider: Arc<Provider>,
}

impl Scheduler {
    /// Takes on a domain, at the egress at which a wait has begun, if there is one.
    pub fn order(&mut self, order: Order, now: Moment) {
        self.set_time(now);
        let Order { domain, exchangers, listed, known } = order;
        let Some(first) = exchangers.first() else {
            return;
        };
        let bound_to = known.egress.filter(|egress| *egress < self.limits.egresses.len());
        let egress = bound_to.unwrap_or_else(|| {
            let key = Self::lane_key(&exchangers, first);
            self.egress_for(&key, &exchangers, Queue::is_long(listed.len()))
        });
        self.take_on(egress, domain, &exchangers, listed, known);
        self.run_lanes();
    }

    pub(super) fn take_on(
        &mut self,
        egress: usize,
        domain: Domain,
        exchangers: &[Stop],
        listed: Vec<Listed>,
        known: Known,
    ) {
        let stops: VecDeque<(Stop, LaneId)> = exchangers
            .iter()
            .map(|stop| {
                let lane = self.lane(egress, Self::lane_key(exchangers, stop), &stop.provider);
                let operator = &mut self.operators[self.lanes[lane].operator];
                operator.serves_others |= !stop.host.is_within(domain.as_str());
                (stop.clone(), lane)
            })
            .collect();
        let Some((first, lane)) = stops.front() else {
            return;
        };
        let home = *lane;
        self.lanes[home].backlog += listed.len();
        if Queue::is_long(listed.len()) {
            self.lanes[home].given_long += listed.len();
        }
        let Provider { catch_all_share, may_discard, proof, .. } = *first.provider;
        let is_alone = self.lanes[home].courses == 0;
        let before = Before { catch_all_share, listed: listed.len(), proof, may_discard, is_alone };
        let expectation = Expectation { turn: Turn::of(before), proof };
        let hosts: Vec<Domain> = exchangers.iter().map(|stop| stop.host.clone()).collect();
        let patience = self.limits.patience;
        let inquiry = Inquiry::new(domain, hosts, listed, known, expectation, patience, self.now);
        let was_told = inquiry.is_decided();
        for (_, lane) in &stops {
            self.lanes[*lane].courses += 1;
        }
        let course = Course { inquiry, stops, home, was_told, door: None, queued: false, begun: false };
        self.open_courses += 1;
        let id = if let Some(id) = self.free_courses.pop() {
            self.courses[id] = Some(course);
            id
        } else {
            self.courses.push(Some(course));
            self.courses.len() - 1
        };
        self.go_on(id);
    }
}
