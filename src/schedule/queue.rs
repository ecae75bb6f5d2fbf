//! Domains that wait at a door.
//!
//! Decides: whose turn it is. Who was begun is finished first, so that verdicts come early and little is under way. Long
//! domains and the crowd of short ones share the flights so that both end together: long ones use up an operator's rate,
//! short ones (more controls, so more refusals) its sessions, and one after the other would waste first one, then the other.
//! For a while the one kind may be ahead of the other: the one that uses less of what is scarce now.

use std::collections::VecDeque;

use super::DomainTaskId;

/// From so many unasked addresses on, a domain is a long one.
const LONG: usize = 50;

/// So many questions may one kind be ahead of its share.
const AHEAD: f64 = 250.0;

/// The queue of a door.
#[derive(Debug, Default)]
pub(super) struct EndpointQueue {
    begun: VecDeque<DomainTaskId>,
    fresh: Class,
    long: Class,
    /// Questions that long domains should have been given by now, less those that they were given.
    owed_to_long: f64,
}

/// Domains of one kind, each with the questions that it brings.
#[derive(Debug, Default)]
struct Class {
    waiting: VecDeque<(DomainTaskId, usize)>,
    asks: usize,
}

impl Class {
    fn push(&mut self, id: DomainTaskId, asks: usize) {
        self.waiting.push_back((id, asks));
        self.asks += asks;
    }

    fn pop(&mut self) -> Option<DomainTaskId> {
        let (id, asks) = self.waiting.pop_front()?;
        self.asks -= asks;
        Some(id)
    }
}

impl EndpointQueue {
    /// A domain with so many listed addresses to ask about.
    pub(super) fn push(&mut self, id: DomainTaskId, unasked: usize, begun: bool) {
        if unasked >= LONG {
            self.long.push(id, unasked);
        } else if begun {
            self.begun.push_back(id);
        } else {
            // A short domain mostly needs its control too.
            self.fresh.push(id, unasked + 1);
        }
    }

    /// Who is next, where there are sessions to spare or not.
    pub(super) fn pop(&mut self, spare_sessions: bool) -> Option<DomainTaskId> {
        let short_waits = !self.begun.is_empty() || !self.fresh.waiting.is_empty();
        let enough = if spare_sessions { AHEAD } else { -AHEAD };
        if self.owed_to_long >= enough || !short_waits {
            let long = self.long.pop();
            if long.is_some() {
                return long;
            }
        }
        self.begun.pop_front().or_else(|| self.fresh.pop())
    }

    /// Notes what was asked.
    #[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
    pub(super) fn asked(&mut self, count: u32, was_long: bool) {
        if self.long.asks == 0 || self.fresh.asks == 0 {
            self.owed_to_long = 0.0;
            return;
        }
        let share = self.long.asks as f64 / (self.long.asks + self.fresh.asks) as f64;
        self.owed_to_long += f64::from(count) * (share - f64::from(u8::from(was_long)));
    }

    /// Is a domain of so many unasked addresses a long one?
    pub(super) fn is_long(unasked: usize) -> bool {
        unasked >= LONG
    }

    /// Nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many wait; some of them may be gone already.
    pub(super) fn len(&self) -> usize {
        self.begun.len() + self.fresh.waiting.len() + self.long.waiting.len()
    }

    /// How many questions they bring, or more.
    pub(super) fn asks(&self) -> usize {
        self.begun.len() + self.fresh.asks + self.long.asks
    }

    /// Who waits, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = DomainTaskId> {
        let classes = self.fresh.waiting.iter().chain(&self.long.waiting).map(|(id, _)| *id);
        self.begun.iter().copied().chain(classes)
    }
}
