//! Small random runs: providers with their hosts and domains, the setup of the run, and the run itself.

use super::checks::{Mailbox, Mailboxes, check_limits, check_verdicts};
use super::habits::{Habit, Provided, Traits, habit, provided};
use super::hosts::{first_seen_key, lane_from};
use super::*;
use crate::evidence::{Attempt, ClassifiedReply, RecipientKind};
use crate::policy::{Provider, ReplyContext, ReplyRules};
use crate::schedule::ProviderEventKind;
use crate::smtp::Reply;

/// A provider: the habits of its hosts, best first, and for each domain which of its recipients exist.
#[derive(Clone, Debug, Default)]
pub(super) struct DrawnProvider {
    pub(super) known: bool,
    pub(super) hosts: Vec<Habit>,
    pub(super) domains: Vec<Vec<bool>>,
    pub(super) with: Provided,
}

pub(super) fn providers() -> impl Strategy<Value = Vec<DrawnProvider>> {
    let domains = prop::collection::vec(prop::collection::vec(any::<bool>(), 1..10), 1..4);
    let provider = (any::<bool>(), prop::collection::vec(habit(), 1..3), domains, provided());
    let provider =
        provider.prop_map(|(known, hosts, domains, with)| DrawnProvider { known, hosts, domains, with });
    prop::collection::vec(provider, 1..4)
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) pace: Pace,
    pub(super) max_wait: Duration,
    pub(super) sockets: usize,
    /// `postmaster` confirms rejections that stand alone.
    pub(super) confirm: bool,
    /// The number of events after which the run is stopped.
    pub(super) stopped_after: Option<usize>,
    /// The job source is closed when all jobs are submitted.
    pub(super) job_source_closed: bool,
    pub(super) seed: u64,
    /// The families of the egresses. The first egress reaches every IP address.
    pub(super) egresses: &'static [IpFamilies],
    /// The time from one job to the next.
    pub(super) gap: Duration,
}

/// The egresses of a run.
pub(super) const EGRESSES: [&[IpFamilies]; 4] = [
    &[IpFamilies::Both],
    &[IpFamilies::Both, IpFamilies::Both],
    &[IpFamilies::Both, IpFamilies::V4, IpFamilies::Both],
    &[IpFamilies::Both, IpFamilies::V6],
];

pub(super) fn run() -> impl Strategy<Value = Run> {
    let pace = prop_oneof![Just(Pace::Gentle), Just(Pace::Normal), Just(Pace::Fast)];
    let wait = prop_oneof![Just(0), Just(30), Just(600)];
    let gap = prop_oneof![2 => Just(Duration::ZERO), 1 => (1u64..600).prop_map(Duration::from_secs)];
    let egresses = prop::sample::select(EGRESSES.to_vec());
    let stopped_after = prop::option::of(0usize..60);
    let both = (any::<bool>(), any::<bool>());
    (pace, wait, 1usize..6, stopped_after, both, any::<u64>(), egresses, gap).prop_map(
        |(pace, wait, sockets, stopped_after, (job_source_closed, confirm), seed, egresses, gap)| Run {
            pace,
            max_wait: MINUTE * wait,
            sockets,
            confirm,
            stopped_after,
            job_source_closed,
            seed,
            egresses,
            gap,
        },
    )
}

/// A scheduler at the start of a run.
pub(super) fn scheduler(run: Run, world: &World) -> Scheduler {
    let limits = RunLimits {
        pace: run.pace,
        retry_policy: RetryPolicy::built_in(run.max_wait),
        sessions: run.sockets,
        thresholds: Thresholds::built_in(),
        confirm: run.confirm,
        egresses: run.egresses.to_vec(),
    };
    Scheduler::new(limits, fastrand::Rng::with_seed(run.seed), world.timestamp())
}

/// Runs the scheduler and the hosts until no event is left. Returns the results.
pub(super) fn drive(
    scheduler: &mut Scheduler,
    world: &mut World,
    run: Run,
) -> HashMap<RecipientId, MailboxEvidence> {
    let mut results = HashMap::new();
    for event in 0.. {
        assert!(event < 20_000, "the run does not end");
        if world.jobs.is_empty() && run.job_source_closed {
            scheduler.close_job_source();
        }
        while let Some(action) = scheduler.next_action() {
            carry_out(action, world, run, &mut results);
        }
        if scheduler.is_idle() && world.jobs.is_empty() {
            break;
        }
        if run.stopped_after == Some(event) {
            scheduler.stop(NotProbedReason::Deadline, world.timestamp());
            continue;
        }
        if run.stopped_after.is_some_and(|stopped| stopped < event) && scheduler.is_idle() {
            break;
        }
        let job = world
            .jobs
            .front()
            .map(|(at, ..)| *at)
            .filter(|_| run.stopped_after.is_none_or(|stopped| event < stopped));
        let wake = scheduler.next_wake();
        let next = world.in_flight.keys().next().map(|(at, _)| *at);
        let is_first = |at: Option<Duration>, others: [Option<Duration>; 2]| {
            at.is_some_and(|at| others.into_iter().flatten().all(|other| at <= other))
        };
        if is_first(job, [next, wake]) {
            let (at, mut job, expires) = world.jobs.pop_front().unwrap();
            if let Some(facts) = world.facts.get(&job.domain) {
                job.facts.merge(facts.clone());
            }
            world.now = world.now.max(at);
            scheduler.submit_until(job, expires, world.timestamp());
        } else if is_first(next, [wake, None]) {
            let ((at, _), (session, event)) = world.in_flight.pop_first().unwrap();
            world.now = world.now.max(at);
            world.note(session, &event);
            if matches!(event, SessionEvent::Rejected(_) | SessionEvent::Ended(_) | SessionEvent::TlsFailed) {
                let open = world.sessions.remove(&session).unwrap();
                world.spent.sessions += world.now.saturating_sub(open.opened);
                world.in_flight.retain(|_, (other, _)| *other != session);
            }
            scheduler.on_session_event(session, event, world.timestamp());
        } else {
            let Some(wake) = wake else { panic!("no event is left, and {} are completed", results.len()) };
            world.now = world.now.max(wake);
            scheduler.wake(world.timestamp());
        }
    }
    results
}

fn carry_out(
    action: Action,
    world: &mut World,
    run: Run,
    results: &mut HashMap<RecipientId, MailboxEvidence>,
) {
    match action {
        Action::Connection(ConnectionAction::Open(opening)) => world.open(&opening, run),
        Action::Connection(ConnectionAction::Send(session, batch)) => world.send_batch(session, &batch),
        Action::Connection(ConnectionAction::Quit(session)) => world.end(session),
        Action::Completed(completed) => {
            for ProbeResult { id: target, mailbox, address, .. } in completed {
                if mailbox.unprobed == Some(NotProbedReason::RouteExpired) {
                    look_up_again(target, address, world);
                    continue;
                }
                assert!(results.insert(target, *mailbox).is_none(), "completed twice");
                world.completed_at.insert(target, world.now);
            }
        }
        Action::Revoked(address) => {
            if let Some(facts) = address.domain().and_then(|domain| world.facts.get_mut(domain)) {
                facts.mx_hosts.clear();
            }
            world.revoked.push(address);
        }
        Action::DomainFactsChanged(domain, facts) => world.facts.entry(domain).or_default().merge(facts),
        Action::Event(event) if event.kind == ProviderEventKind::SlowedDown => {
            world.spent.slowed.insert(lane_from(event.egress, &event.provider));
        }
        Action::Record(_) | Action::WantsWork(_) | Action::Event(_) => {}
    }
}

/// Submits a recipient whose route has expired with the new one.
fn look_up_again(id: RecipientId, address: Address, world: &mut World) {
    world.probed_from.remove(&address.to_string());
    let domain = address.domain().unwrap().clone();
    let mx_hosts = world.new_routes[&domain].clone();
    let recipients = vec![Recipient::from((id, address))];
    let job = DomainJob { domain, mx_hosts, recipients, facts: DomainFacts::default() };
    world.jobs.push_front((world.now, job, Duration::MAX));
}

/// A host of a provider or of its backup.
struct Host {
    mx_hop: MxHop,
    habit: Habit,
    traits: Traits,
}

/// The hosts of a provider and of its backup, best first.
fn hosts_of(n: u8, provider: &DrawnProvider, shared: Option<Habit>) -> Vec<Host> {
    let own = provider.hosts.iter().map(|habit| (habit, provider.known, "google.com"));
    let backup = provider.with.backup.iter().map(|habit| (habit, true, "mail.protection.outlook.com"));
    let host = |(place, (habit, is_known, above)): (u8, (&Habit, bool, &str))| {
        let name =
            if is_known { format!("mx{place}-{n}.{above}") } else { format!("mx{place}.op{n}.example") };
        let host = Domain::parse(&name).unwrap();
        let traits = provider.with.traits.get(usize::from(place)).cloned().unwrap_or_default();
        let dead = (0..traits.dead).map(|dead| [198, 51, 100, 64 * dead + 8 * n + place].into());
        let v6 = traits.v6.then(|| [0x2001, 0xdb8, 0, 0, 0, 0, n.into(), place.into()].into());
        let is_there = !provider.known && provider.with.shares_address && place == 0;
        let own = if is_there { [203, 0, 113, 1] } else { [192, 0, n, place] };
        let habit = shared.filter(|_| is_there).unwrap_or(*habit);
        let addresses = dead.chain(v6).chain([own.into()]).collect();
        let mx_hop = MxHop { provider: Providers::built_in().of(&host).clone(), host, addresses };
        Host { mx_hop, habit, traits }
    };
    (0u8..).zip(own.chain(backup)).map(host).collect()
}

/// Gives a domain another, honest host from a time of the run on.
fn move_domain(
    domain: &Domain,
    (n, d): (u8, usize),
    mx_hosts: &[MxHop],
    at: Duration,
    world: &mut World,
    providers: &mut HashMap<String, Arc<Provider>>,
    run: Run,
) {
    for address in mx_hosts.iter().flat_map(|mx_hop| &mx_hop.addresses) {
        world.expires.insert((domain.clone(), *address), at);
    }
    let host = Domain::parse(&format!("mx.new{d}.op{n}.example")).unwrap();
    let address = [198, 18, n, u8::try_from(d).unwrap()].into();
    let provider = Providers::built_in().of(&host).clone();
    let mx_hosts = vec![MxHop { provider: provider.clone(), host, addresses: vec![address] }];
    let key = Scheduler::lane_key(&mx_hosts, &mx_hosts[0]).to_string();
    for egress in 0..run.egresses.len() {
        providers.insert(lane_from(egress, &key), provider.clone());
    }
    world.machines.limits.extend(provider.address_limits(run.pace).map(|limits| (address, limits)));
    world.habits.insert(address, (Habit::Honest, key));
    world.new_routes.insert(domain.clone(), mx_hosts);
}

/// Runs drawn providers until the run ends, then checks limits and verdicts.
pub(super) fn play(drawn: &[DrawnProvider], run: Run) -> World {
    let mut world = World::default();
    let mut scheduler = scheduler(run, &world);
    let mut providers: HashMap<String, Arc<Provider>> = HashMap::new();
    let mut mailboxes = Mailboxes::new();
    let mut jobs = Vec::new();
    let mut seeded = 0;
    let shared = drawn.iter().find(|provider| provider.with.shares_address && !provider.known);
    let shared = shared.and_then(|provider| provider.hosts.first().copied());
    for (n, provider) in (0u8..).zip(drawn) {
        let hosts = hosts_of(n, provider, shared);
        let mx_hosts: Vec<MxHop> = hosts.iter().map(|host| host.mx_hop.clone()).collect();
        for Host { mx_hop, habit, traits } in &hosts {
            let key = Scheduler::lane_key(&mx_hosts, mx_hop).to_string();
            for egress in 0..run.egresses.len() {
                providers.insert(lane_from(egress, &key), mx_hop.provider.clone());
            }
            let (dead, living) = mx_hop.addresses.split_at(traits.dead.into());
            for (addresses, habit) in [(dead, Habit::Unreachable), (living, *habit)] {
                for address in addresses {
                    world.habits.entry(*address).or_insert((habit, key.clone()));
                    world.traits.entry(*address).or_insert_with(|| traits.clone());
                    world.lanes.insert((*address, mx_hop.host.clone()), key.clone());
                    let limits = mx_hop.provider.address_limits(run.pace);
                    world.machines.limits.extend(limits.map(|limits| (*address, limits)));
                }
            }
        }
        if let Some((unknown, ago)) = provider.with.used_up {
            let key = Scheduler::lane_key(&mx_hosts, &mx_hosts[0]);
            scheduler.seed_unknown_usage(0, &key, ago, unknown);
            seeded += unknown;
            if let Some(at) = DAY.checked_sub(ago) {
                world.unknown.entry(key.to_string()).or_default().extend(std::iter::repeat_n(at, unknown));
            }
        }
        for (d, existing) in provider.domains.iter().enumerate() {
            let domain = Domain::parse(&format!("d{d}.op{n}.example")).unwrap();
            if let Some(at) = provider.with.moves {
                move_domain(&domain, (n, d), &mx_hosts, at, &mut world, &mut providers, run);
            }
            let mut entries = Vec::new();
            for (place, exists) in existing.iter().enumerate() {
                let is_odd = provider.with.beyond_ascii.is_some_and(|each| place % each == 0);
                let local = format!("user{place}{}", if is_odd { "\u{f6}" } else { "" });
                let address = Address::parse(&format!("{local}@{domain}")).unwrap();
                let target = RecipientId(i64::try_from(mailboxes.len()).unwrap());
                if *exists {
                    world.exists.insert(address.to_string());
                }
                let hosts = hosts.iter().map(|host| (host.habit, host.mx_hop.provider.clone())).collect();
                let lane = Scheduler::lane_key(&mx_hosts, &mx_hosts[0]).to_string();
                let address_of = address.clone();
                mailboxes.insert(target, Mailbox { address: address_of, exists: *exists, hosts, lane });
                entries.push(Recipient::from((target, address)));
            }
            let mut facts = DomainFacts::default();
            if let Some((ago, egress)) = provider.with.earlier {
                let egress = Some(egress).filter(|egress| {
                    run.egresses.get(*egress).is_some_and(|family| *family != IpFamilies::V6)
                });
                facts = greylisted_before(&mut world, &mut entries, &domain, &mx_hosts[0], ago, egress, run);
            }
            let at = entries.len() / if provider.with.in_parts { 2 } else { 1 };
            let rest = entries.split_off(at);
            for recipients in [entries, rest].into_iter().filter(|recipients| !recipients.is_empty()) {
                let (domain, mx_hosts, facts) = (domain.clone(), mx_hosts.clone(), facts.clone());
                jobs.push((
                    DomainJob { domain, mx_hosts, recipients, facts },
                    provider.with.moves.unwrap_or(Duration::MAX),
                ));
            }
        }
    }
    let jobs = (0..).zip(jobs).map(|(place, (job, expires))| (run.gap * place, job, expires));
    world.jobs = jobs.collect();
    let gaps = run.gap * u32::try_from(world.jobs.len()).unwrap();
    let results = drive(&mut scheduler, &mut world, run);
    let bound = gaps + world.spent.bound(&world, &providers, seeded, run);
    let longest = bound + run.max_wait + MINUTE * 15;
    assert!(world.now < longest, "it took {:?}, bound {bound:?} {:?}", world.now, run.max_wait);
    world.machines.check();
    let never_submitted = world.jobs.iter().map(|(_, job, _)| job.recipients.len()).sum::<usize>();
    assert_eq!(results.len() + never_submitted, mailboxes.len(), "each recipient is completed");
    for Recipient { id: target, .. } in world.jobs.iter().flat_map(|(_, job, _)| &job.recipients) {
        assert!(mailboxes.remove(target).is_some());
    }
    check_limits(&world, &providers, run.pace);
    check_verdicts(mailboxes, results, &world);
    world
}

/// The facts about a domain whose recipients and control were greylisted in an earlier run.
fn greylisted_before(
    world: &mut World,
    entries: &mut [Recipient],
    domain: &Domain,
    mx_hop: &MxHop,
    ago: Duration,
    egress: Option<usize>,
    run: Run,
) -> DomainFacts {
    let now = world.timestamp().wall;
    let reply = Reply::parse(b"450 4.2.0 Recipient address rejected: Greylisted\r\n").unwrap();
    let context = ReplyContext { stage: Stage::Rcpt, provider: None };
    let meaning = ReplyRules::built_in().classify(&reply, &context).into();
    let classified = ClassifiedReply { stage: Stage::Rcpt, reply, meaning };
    let attempt = Attempt { mx_host: mx_hop.host.clone(), at: now - ago, classified };
    let control = Address::parse(&format!("q7x2kf9w@{domain}")).unwrap();
    let addresses = entries.iter().map(|recipient| recipient.address.to_string());
    for address in addresses.chain([control.to_string(), domain.to_string()]) {
        world.first_seen.insert(first_seen_key(egress.unwrap_or(0), &address), DAY.saturating_sub(ago));
    }
    for recipient in entries {
        recipient.earlier = vec![attempt.clone()];
    }
    let facts = DomainFacts::of([(RecipientKind::Random, control, attempt)], 5 * MINUTE, now + run.max_wait);
    DomainFacts { egress, ..facts }
}
