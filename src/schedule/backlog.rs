//! Domains that wait outside the scheduler until their operator has room ([`super::Scheduler::has_room`]).
//!
//! Decides: whose turn it is, and in which parts long domains are ordered. Long domains and the crowd of short ones go in
//! side by side, so that both end together: long ones use up an operator's rate, short ones (more controls, so more
//! refusals) its connections, and one after the other would waste first one, then the other. Short ones come from both ends
//! of their line in turn, because a list in its own order has the longer ones of them first. Must not: hold addresses; a
//! domain is whatever the caller finds them by, on disk or elsewhere.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use super::queue::EndpointQueue;

/// Addresses of one domain that are ordered at once: some flights, so that a thousand lanes of long domains hold little.
const PART: u32 = 200;

/// Which of a domain's addresses are ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainPart {
    /// By their places among those of the domain.
    pub range: Range<u32>,
    /// Nobody of the domain waits behind them.
    pub is_last: bool,
}

/// Domains that wait, by the key of their operator.
#[derive(Debug)]
pub struct Backlog<T> {
    lines: HashMap<Arc<str>, ProviderBacklog<T>>,
}

#[derive(Debug)]
struct ProviderBacklog<T> {
    short: Class<T>,
    long: Class<T>,
    /// The next short one comes from the end of its line.
    from_end: bool,
}

/// Domains of one kind.
#[derive(Debug)]
struct Class<T> {
    /// Each with its addresses that were not given out.
    domains: VecDeque<(T, Range<u32>)>,
    waiting: u64,
    given: u64,
}

impl<T> Default for Backlog<T> {
    fn default() -> Backlog<T> {
        Backlog { lines: HashMap::new() }
    }
}

impl<T: Clone> Backlog<T> {
    /// A domain with so many addresses, at least one.
    pub fn push(&mut self, key: Arc<str>, domain: T, addresses: u32) {
        let class = || Class { domains: VecDeque::new(), waiting: 0, given: 0 };
        let line = self.lines.entry(key).or_insert_with(|| ProviderBacklog {
            short: class(),
            long: class(),
            from_end: false,
        });
        let is_long = EndpointQueue::is_long(addresses as usize);
        let class = if is_long { &mut line.long } else { &mut line.short };
        class.waiting += u64::from(addresses);
        class.domains.push_back((domain, 0..addresses));
    }

    /// Does nobody wait for any operator?
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The next domain for an operator, and which of its addresses: all of a short one, a part of a long one.
    pub fn next(&mut self, key: &str) -> Option<(T, DomainPart)> {
        let line = self.lines.get_mut(key)?;
        let next = if line.short.is_behind(&line.long) {
            line.from_end = !line.from_end;
            line.short.next(line.from_end)
        } else {
            line.long.next(false)
        };
        if line.short.domains.is_empty() && line.long.domains.is_empty() {
            self.lines.remove(key);
        }
        next
    }
}

impl<T: Clone> Class<T> {
    /// Has it given a smaller share of its addresses than the other?
    fn is_behind(&self, other: &Class<T>) -> bool {
        let total = |class: &Class<T>| u128::from(class.given + class.waiting);
        let mine = u128::from(self.given) * total(other);
        !self.domains.is_empty()
            && (other.domains.is_empty() || mine <= u128::from(other.given) * total(self))
    }

    fn next(&mut self, from_end: bool) -> Option<(T, DomainPart)> {
        let (domain, left) = if from_end { self.domains.pop_back() } else { self.domains.pop_front() }?;
        let to = left.end.min(left.start + PART);
        self.given += u64::from(to - left.start);
        self.waiting -= u64::from(to - left.start);
        let is_last = to == left.end;
        if !is_last {
            self.domains.push_back((domain.clone(), to..left.end));
        }
        Some((domain, DomainPart { range: left.start..to, is_last }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_domains_end_together_and_nobody_is_given_twice() {
        let key: Arc<str> = "operator".into();
        let mut waiting = Backlog::default();
        waiting.push(key.clone(), "long", 5000);
        for _ in 0..2500 {
            waiting.push(key.clone(), "short", 2);
        }
        let (mut given, mut next_long, mut short_behind) = (0, 0, 0);
        while let Some((domain, part)) = waiting.next(&key) {
            given += part.range.len();
            if domain == "long" {
                assert_eq!(part.range.start, next_long);
                next_long = part.range.end;
                short_behind = given - next_long as usize;
            }
        }
        assert_eq!((given, next_long), (10_000, 5000));
        assert!(short_behind >= 3000, "the last part of the long one came after {short_behind} short ones");
        assert!(waiting.is_empty());
    }
}
