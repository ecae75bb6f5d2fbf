//! What the scheduler is fed with: domains of the roster, as their lanes have room.
//!
//! Decides: what is told of earlier questions with an order. Whose turn it is among those that wait for room is decided by
//! [`Backlog`]; they cost a few bytes each. Must not: keep addresses beyond the orders that are open.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use super::routing::{is_worth_asking, stops};
use crate::address::{Address, Domain};
use crate::evidence::{DomainFacts, Recipient, RecipientId};
use crate::policy::Policy;
use crate::route::Route;
use crate::schedule::{Backlog, DomainJob, Scheduler};
use crate::state::{FactQueries, FreshnessPolicy, NameHash, RunHandle, State, StateError, StoredRoute};

/// Who was put off and not told how long waits so long.
const PUT_OFF: Duration = Duration::from_secs(5 * 60);

/// Domains on their way from the roster to the scheduler.
pub(super) struct JobSource {
    run: RunHandle,
    fresh: FreshnessPolicy,
    /// How long passing trouble is waited for.
    max_wait: Duration,
    /// The last domain that was taken from the roster.
    last: Option<NameHash>,
    /// Nobody is left in the roster behind that.
    pub is_exhausted: bool,
    /// Domains that wait for room at their lanes.
    waiting: Backlog<NameHash>,
    /// Domains that were ordered in part: up to whom, and what was learnt.
    parts: HashMap<NameHash, (RecipientId, DomainFacts)>,
    /// The numbers of who we are, by each way out.
    egresses: Vec<i64>,
}

impl JobSource {
    /// From the beginning of a run's roster, with what else is fresh.
    pub(super) fn of(
        run: RunHandle,
        fresh: FreshnessPolicy,
        max_wait: Duration,
        egresses: Vec<i64>,
    ) -> JobSource {
        JobSource {
            run,
            fresh,
            max_wait,
            last: None,
            is_exhausted: false,
            waiting: Backlog::default(),
            parts: HashMap::new(),
            egresses,
        }
    }

    /// The next domain of the roster.
    pub(super) fn next(&mut self, state: &mut State) -> Result<Option<(NameHash, Domain)>, StateError> {
        let next = state.next_domain(self.run.id, self.last)?;
        match &next {
            Some((key, _)) => self.last = Some(*key),
            None => self.is_exhausted = true,
        }
        Ok(next)
    }

    /// A domain whose route is known waits at its lane; which is handed back. `None` when its mailboxes are not worth
    /// asking about.
    pub(super) fn routed(
        &mut self,
        (key, domain): (NameHash, &Domain),
        route: Route,
        state: &State,
        policy: &Policy,
    ) -> Result<Option<Arc<str>>, StateError> {
        let (fact, stops) = stops(route, policy);
        let Some(first) = stops.first().filter(|_| is_worth_asking(domain, &fact, &stops, policy)) else {
            return Ok(None);
        };
        let lane = Scheduler::lane_key(&stops, first);
        self.waiting.push(lane.clone(), key, state.count_listed(self.run.id, key)?);
        Ok(Some(lane))
    }

    /// Nobody is left to be ordered.
    pub(super) fn is_idle(&self) -> bool {
        self.is_exhausted && self.waiting.is_empty()
    }

    /// The next orders for a lane, all of one domain; none if none waits. They are more than one only where addresses were put
    /// off at several ways out: each comes back from where it was asked, or it would not be known again.
    pub(super) fn orders(
        &mut self,
        lane: &Arc<str>,
        state: &State,
        policy: &Policy,
        now: SystemTime,
    ) -> Result<Vec<DomainJob>, StateError> {
        let mut recall = state.recall(*policy);
        while let Some((key, part)) = self.waiting.next(lane) {
            let (Some(domain), Some(StoredRoute { route, .. })) = (recall.domain(key)?, recall.route(key)?)
            else {
                continue;
            };
            let (after, learnt) = self.parts.remove(&key).unwrap_or_default();
            let addresses = state.listed(self.run.id, &domain, after, part.range.len())?;
            let Some(&(last, _)) = addresses.last() else {
                continue;
            };
            let since = self.fresh.since.max(now - policy.lifetimes().catch_all);
            let controls = recall.controls(self.run.id, &domain, since)?;
            let mut known = DomainFacts::of(controls, PUT_OFF, now + self.max_wait);
            known.merge(learnt);
            if !part.is_last {
                self.parts.insert(key, (last, known.clone()));
            }
            if let Some(control) = known.waiting_control().filter(|_| known.egress.is_none()) {
                known.egress = self.asked_from(key, control, &recall)?;
            }
            let mut shares: BTreeMap<Option<usize>, Vec<Recipient>> = BTreeMap::new();
            let recently_deliverable = now - policy.thresholds().anomaly.recently();
            for (target, address) in addresses {
                let listed = self.listed(key, target, address, recently_deliverable, &mut recall)?;
                let egress =
                    if listed.is_waiting() { self.asked_from(key, &listed.address, &recall)? } else { None };
                shares.entry(egress).or_default().push(listed);
            }
            // Who may be asked from anywhere goes along with somebody, so that they share their controls.
            if let Some(anywhere) = shares.remove(&None) {
                let egress = known.egress.or_else(|| shares.keys().next().copied().flatten());
                shares.entry(egress).or_default().extend(anywhere);
            }
            let (_, mx_hosts) = stops(route, policy);
            let order = |(egress, listed)| {
                let (domain, mx_hosts) = (domain.clone(), mx_hosts.clone());
                DomainJob { domain, mx_hosts, listed, known: known.for_egress(egress) }
            };
            return Ok(shares.into_iter().map(order).collect());
        }
        Ok(Vec::new())
    }

    /// From which way out, by its place, a name was asked about last; `None` also where that is there no more.
    fn asked_from(
        &self,
        domain: NameHash,
        name: &Address,
        recall: &FactQueries<&Connection>,
    ) -> Result<Option<usize>, StateError> {
        let egress = recall.asked_from(domain, name)?;
        Ok(egress.and_then(|asked| self.egresses.iter().position(|egress| *egress == asked)))
    }

    fn listed(
        &self,
        domain: NameHash,
        target: RecipientId,
        address: Address,
        recently_deliverable: SystemTime,
        recall: &mut FactQueries<&Connection>,
    ) -> Result<Recipient, StateError> {
        let earlier =
            if self.run.goes_on { recall.attempts(self.run.id, domain, &address)? } else { Vec::new() };
        let was_deliverable = recall.was_deliverable(domain, &address, recently_deliverable)?;
        Ok(Recipient { id: target, address, earlier, was_deliverable })
    }

    /// What was learnt at the domain of an address counts no longer; that its `postmaster` was asked about stays.
    pub(super) fn forget_facts(&mut self, address: &Address) {
        if !self.parts.is_empty()
            && let Some(domain) = address.domain()
            && let Some((_, known)) = self.parts.get_mut(&NameHash::of(domain.as_str()))
        {
            known.mx_hosts.clear();
        }
    }

    /// Something was learnt about a domain, perhaps for its other parts.
    pub(super) fn learnt(&mut self, domain: &Domain, learnt: DomainFacts) {
        if !self.parts.is_empty()
            && let Some((_, known)) = self.parts.get_mut(&NameHash::of(domain.as_str()))
        {
            known.merge(learnt);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::evidence::{Attempt, ClassifiedReply, MxHostFacts, RecipientKind, RecordedReply, Tally};
    use crate::policy::{ReplyContext, ReplyRules};
    use crate::route::MxHost;
    use crate::smtp::{Reply, Stage};
    use crate::state::RunKey;

    /// So many make some parts of a long domain.
    const LISTED: i64 = 450;
    const EGRESSES: [i64; 2] = [7, 9];

    fn put_off() -> ClassifiedReply {
        let reply = Reply::parse(b"451 4.7.1 Greylisted, please try again later\r\n").unwrap();
        let context = ReplyContext { stage: Stage::Rcpt, provider: None };
        ClassifiedReply {
            stage: Stage::Rcpt,
            meaning: ReplyRules::built_in().classify(&reply, &context).into(),
            reply,
        }
    }

    fn address(n: i64) -> Address {
        Address::parse(&format!("user{n}@acme.example")).unwrap()
    }

    /// The beginning of a run over one domain, with its exchanger.
    fn begin(now: SystemTime) -> (State, RunHandle, Domain, Route, Domain) {
        let mut state = State::temporary().unwrap();
        let run = state.begin(&RunKey::default(), Duration::MAX, now, Duration::MAX).unwrap();
        let (domain, host) =
            (Domain::parse("acme.example").unwrap(), Domain::parse("mx.acme.example").unwrap());
        let mut arrivals = state.arrivals(run.id).unwrap();
        (0..LISTED).for_each(|n| arrivals.arrive(&address(n)).unwrap());
        arrivals.close(FreshnessPolicy::nothing()).unwrap();
        let addresses = vec![[192, 0, 2, 1].into()];
        let route = Route::Hosts(vec![MxHost { preference: 10, host: host.clone(), addresses }]);
        state.write_route(run.id, &domain, &route, now).unwrap();
        (state, run, domain, route, host)
    }

    #[test]
    fn what_a_part_of_a_domain_showed_is_not_told_to_the_next_once_it_counts_no_longer() {
        let now = UNIX_EPOCH + Duration::from_secs(86_400);
        let (mut state, run, domain, route, host) = begin(now);
        let mut feed = JobSource::of(run, FreshnessPolicy::nothing(), Duration::ZERO, EGRESSES.to_vec());
        let policy = Policy::built_in();
        let (key, _) = feed.next(&mut state).unwrap().unwrap();
        let lane = feed.routed((key, &domain), route, &state, &policy).unwrap().unwrap();
        let known = |feed: &mut JobSource| feed.orders(&lane, &state, &policy, now).unwrap().remove(0).known;
        assert_eq!(known(&mut feed), DomainFacts::default());
        let shown = MxHostFacts { clear_rejections: 2, ..MxHostFacts::new(host) };
        let learnt = DomainFacts { mx_hosts: vec![shown], postmaster_was_probed: true, egress: None };
        feed.learnt(&domain, learnt.clone());
        assert_eq!(known(&mut feed), learnt);
        feed.forget_facts(&address(0));
        assert_eq!(known(&mut feed), DomainFacts { postmaster_was_probed: true, ..DomainFacts::default() });
    }

    #[test]
    fn after_an_interruption_whoever_was_put_off_comes_back_from_where_it_was_asked() {
        let now = UNIX_EPOCH + Duration::from_secs(86_400);
        let (mut state, run, domain, route, host) = begin(now);
        // Every third was not asked yet; the others, and a made-up name, by turns from both.
        let mut asked_from = HashMap::new();
        let random_recipient = Address::parse("zq0v8k1xw3@acme.example").unwrap();
        let listed =
            (0..LISTED).filter(|n| n % 3 > 0).map(|n| (RecipientKind::Listed(0), address(n), n % 3 == 1));
        for (who, address, first) in listed.chain([(RecipientKind::Random, random_recipient.clone(), false)])
        {
            let egress = usize::from(!first);
            let attempt = Attempt { mx_host: host.clone(), at: now, classified: put_off() };
            let (lane, tally) = ("lane".into(), Tally::default());
            asked_from.insert(address.clone(), egress);
            let answer =
                RecordedReply { domain: domain.clone(), kind: who, address, attempt, egress, lane, tally };
            state.write_answer(run.id, EGRESSES[egress], &answer).unwrap();
        }

        let resumed = state.begin(&RunKey::default(), Duration::MAX, now, Duration::MAX).unwrap();
        let mut feed =
            JobSource::of(resumed, FreshnessPolicy::nothing(), Duration::from_secs(3600), EGRESSES.to_vec());
        let policy = Policy::built_in();
        let (key, domain) = feed.next(&mut state).unwrap().unwrap();
        let lane = feed.routed((key, &domain), route, &state, &policy).unwrap().unwrap();
        let mut ordered = 0;
        while !feed.is_idle() {
            for DomainJob { listed, known, .. } in feed.orders(&lane, &state, &policy, now).unwrap() {
                ordered += listed.len();
                let waiting = listed.iter().filter(|listed| listed.is_waiting());
                let others: Vec<_> = waiting
                    .map(|listed| &listed.address)
                    .filter(|who| known.egress != Some(asked_from[*who]))
                    .collect();
                assert_eq!(others, Vec::<&Address>::new(), "ordered from {:?}", known.egress);
                let knows_control = known.waiting_control() == Some(&random_recipient);
                assert_eq!(
                    knows_control,
                    known.egress == Some(asked_from[&random_recipient]),
                    "the control, too"
                );
            }
            feed.next(&mut state).unwrap();
        }
        assert_eq!(ordered, usize::try_from(LISTED).unwrap(), "each once");
    }
}
