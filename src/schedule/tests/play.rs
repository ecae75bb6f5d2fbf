//! Small random worlds: operators with their hosts and domains, the run that meets them, and the run itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::checks::{Everybody, Mailbox, check_limits, check_verdicts};
use super::habits::{Habit, Provided, Traits, habit, provided};
use super::hosts::{World, lane_from, newcomer};
use super::{MINUTE, drive, scheduler};
use crate::address::{Address, Domain};
use crate::evidence::{Attempt, ClassifiedReply, DomainFacts, Recipient, RecipientId, RecipientKind};
use crate::policy::{Provider, Providers, ReplyContext, ReplyRules};
use crate::schedule::*;
use crate::smtp::{Reply, Stage};

/// An operator: the habits of its hosts, best first, and for each of its domains which of its listed mailboxes exist.
#[derive(Clone, Debug, Default)]
pub(super) struct Operator {
    pub(super) known: bool,
    pub(super) hosts: Vec<Habit>,
    pub(super) domains: Vec<Vec<bool>>,
    pub(super) with: Provided,
}

pub(super) fn providers() -> impl Strategy<Value = Vec<Operator>> {
    let domains = prop::collection::vec(prop::collection::vec(any::<bool>(), 1..10), 1..4);
    let operator = (any::<bool>(), prop::collection::vec(habit(), 1..3), domains, provided());
    let operator = operator.prop_map(|(known, hosts, domains, mut with)| {
        // What such a host rejects before it blocks us stays when a backup follows: see `faults`.
        with.backup = with.backup.filter(|_| !hosts.iter().any(|habit| matches!(habit, Habit::Sours(_))));
        Operator { known, hosts, domains, with }
    });
    prop::collection::vec(operator, 1..4)
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) pace: Pace,
    pub(super) max_wait: Duration,
    pub(super) sockets: usize,
    /// After so many events it is stopped.
    pub(super) stopped_after: Option<usize>,
    /// It is told that no more orders will come.
    pub(super) close_job_source: bool,
    pub(super) seed: u64,
    /// The families of its egresses. From the first, every address can be reached.
    pub(super) egresses: &'static [IpFamilies],
    /// From one domain to the next.
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
    (pace, wait, 1usize..6, stopped_after, any::<bool>(), any::<u64>(), egresses, gap).prop_map(
        |(pace, wait, sockets, stopped_after, close_job_source, seed, egresses, gap)| Run {
            pace,
            max_wait: MINUTE * wait,
            sockets,
            stopped_after,
            close_job_source,
            seed,
            egresses,
            gap,
        },
    )
}

/// A host of an operator, or of the one behind it.
struct Host {
    stop: MxHop,
    habit: Habit,
    traits: Traits,
}

/// The hosts of an operator, and of its backup, best first.
fn hosts_of(n: u8, operator: &Operator) -> Vec<Host> {
    let own = operator.hosts.iter().map(|habit| (habit, operator.known, "google.com"));
    let backup = operator.with.backup.iter().map(|habit| (habit, true, "mail.protection.outlook.com"));
    let host = |(place, (habit, is_known, above)): (u8, (&Habit, bool, &str))| {
        let name =
            if is_known { format!("mx{place}-{n}.{above}") } else { format!("mx{place}.op{n}.example") };
        let host = Domain::parse(&name).unwrap();
        let traits = operator.with.traits.get(usize::from(place)).cloned().unwrap_or_default();
        let dead = (0..traits.dead).map(|dead| [198, 51, 100, 64 * dead + 8 * n + place].into());
        let v6 = traits.v6.then(|| [0x2001, 0xdb8, 0, 0, 0, 0, n.into(), place.into()].into());
        let addresses = dead.chain(v6).chain([[192, 0, n, place].into()]).collect();
        let stop = MxHop { provider: Providers::built_in().of(&host).clone(), host, addresses };
        Host { stop, habit: *habit, traits }
    };
    (0u8..).zip(own.chain(backup)).map(host).collect()
}

/// Plays it to its end.
pub(super) fn play(drawn: &[Operator], run: Run) -> World {
    let mut world = World::default();
    let mut scheduler = scheduler(run, &world);
    let mut providers: HashMap<String, Arc<Provider>> = HashMap::new();
    let mut listed = Everybody::new();
    let mut orders = Vec::new();
    for (n, operator) in (0u8..).zip(drawn) {
        let hosts = hosts_of(n, operator);
        let stops: Vec<MxHop> = hosts.iter().map(|host| host.stop.clone()).collect();
        for Host { stop, habit, traits } in &hosts {
            let key = Scheduler::lane_key(&stops, stop).to_string();
            for egress in 0..run.egresses.len() {
                providers.insert(lane_from(egress, &key), stop.provider.clone());
            }
            let (dead, living) = stop.addresses.split_at(traits.dead.into());
            for (addresses, habit) in [(dead, Habit::Unreachable), (living, *habit)] {
                for address in addresses {
                    world.habits.insert(*address, (habit, key.clone()));
                    world.traits.insert(*address, traits.clone());
                }
            }
        }
        if let Some((unknown, ago)) = operator.with.spent {
            let key = Scheduler::lane_key(&stops, &stops[0]);
            scheduler.spent(0, &key, ago, unknown);
            if let Some(at) = lane::DAY.checked_sub(ago) {
                world.unknown.entry(key.to_string()).or_default().extend(std::iter::repeat_n(at, unknown));
            }
        }
        for (d, mailboxes) in operator.domains.iter().enumerate() {
            let domain = Domain::parse(&format!("d{d}.op{n}.example")).unwrap();
            let mut entries = Vec::new();
            for (place, exists) in mailboxes.iter().enumerate() {
                let is_odd = operator.with.beyond_ascii.is_some_and(|each| place % each == 0);
                let local = format!("user{place}{}", if is_odd { "\u{f6}" } else { "" });
                let address = Address::parse(&format!("{local}@{domain}")).unwrap();
                let target = RecipientId(i64::try_from(listed.len()).unwrap());
                if *exists {
                    world.exists.insert(address.to_string());
                }
                let hosts = hosts.iter().map(|host| (host.habit, host.stop.provider.clone())).collect();
                let lane = Scheduler::lane_key(&stops, &stops[0]).to_string();
                listed.insert(target, Mailbox { address: address.clone(), exists: *exists, hosts, lane });
                entries.push(Recipient::from((target, address)));
            }
            let mut known = DomainFacts::default();
            if let Some((ago, egress)) = operator.with.earlier {
                let egress = Some(egress).filter(|egress| {
                    run.egresses.get(*egress).is_some_and(|family| *family != IpFamilies::V6)
                });
                known = greylisted_before(&mut world, &mut entries, &domain, &stops[0], ago, egress, run);
            }
            let at = entries.len() / if operator.with.in_parts { 2 } else { 1 };
            let rest = entries.split_off(at);
            for listed in [entries, rest].into_iter().filter(|listed| !listed.is_empty()) {
                let (domain, mx_hosts, known) = (domain.clone(), stops.clone(), known.clone());
                orders.push(DomainJob { domain, mx_hosts, listed, known });
            }
        }
    }
    world.orders = (0..).zip(orders).map(|(place, order)| (run.gap * place, order)).collect();
    let settled = drive(&mut scheduler, &mut world, run);
    assert!(world.now < Duration::from_secs(3 * 86_400), "it took {:?}", world.now);
    let never_ordered = world.orders.iter().map(|(_, order)| order.listed.len()).sum::<usize>();
    if world.never_ends {
        // What is provisional then stays so.
        listed.retain(|target, _| settled.contains_key(target));
    }
    assert!(world.never_ends || settled.len() + never_ordered == listed.len(), "everybody is settled");
    for Recipient { id: target, .. } in world.orders.iter().flat_map(|(_, order)| &order.listed) {
        assert!(listed.remove(target).is_some());
    }
    check_limits(&world, &providers, run.pace);
    check_verdicts(listed, settled, &world);
    world
}

/// What is known of a domain whose recipients and control were greylisted in an earlier run.
fn greylisted_before(
    world: &mut World,
    entries: &mut [Recipient],
    domain: &Domain,
    stop: &MxHop,
    ago: Duration,
    egress: Option<usize>,
    run: Run,
) -> DomainFacts {
    let now = world.moment().wall;
    let reply = Reply::parse(b"450 4.2.0 Recipient address rejected: Greylisted\r\n").unwrap();
    let context = ReplyContext { stage: Stage::Rcpt, provider: None };
    let meaning = ReplyRules::built_in().classify(&reply, &context).into();
    let classified = ClassifiedReply { stage: Stage::Rcpt, reply, meaning };
    let attempt = Attempt { mx_host: stop.host.clone(), at: now - ago, classified };
    let control = Address::parse(&format!("q7x2kf9w@{domain}")).unwrap();
    let names = entries.iter().map(|listed| listed.address.to_string());
    for name in names.chain([control.to_string(), domain.to_string()]) {
        world.newcomers.insert(newcomer(egress.unwrap_or(0), &name), lane::DAY.saturating_sub(ago));
    }
    for listed in entries {
        listed.earlier = vec![attempt.clone()];
    }
    let known = DomainFacts::of([(RecipientKind::Random, control, attempt)], 5 * MINUTE, now + run.max_wait);
    DomainFacts { egress, ..known }
}
