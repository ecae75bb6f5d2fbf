//! The scheduler in small random worlds, without sockets and without waiting: whatever the hosts do, it comes to its end,
//! keeps its manners, and nobody who exists is condemned.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::address::Address;
use crate::policy::Providers;
use crate::policy::replies::{Context, ReplyRules};
use crate::reason::{Finding, Verdict};
use crate::smtp::session::{Ask, Offer};
use crate::smtp::{Reply, Stage};
use crate::verdict::evidence::{Evidence, Form, RouteFact, Said};
use crate::verdict::{Kinds, decide};

const MINUTE: Duration = Duration::from_secs(60);
const ROUND_TRIP: Duration = Duration::from_millis(40);

/// What a host does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Habit {
    Honest,
    /// Refuses in words that say nothing.
    Curt,
    CatchAll,
    Unreachable,
    BlocksAt(Stage),
    /// Newcomers come back after so many minutes.
    Greylists(u64),
    /// Hangs up without a word after so many answers in a session.
    DropsAfter(u32),
    /// Says 421 after so many answers in a session.
    EndsAfter(u32),
    /// Hangs up when this listed mailbox is asked for.
    DropsAt(u32),
    /// The first so many answers are "too fast".
    TooFast(u32),
    /// Takes so many recipients in a transaction.
    Takes(usize),
    /// Demands TLS, and its handshake fails.
    BrokenTls,
    /// Says the same nothing to everybody.
    Mute,
    /// Says "no such mailbox" to MAIL, behind its "ok". So each later reply comes one too late, and one is left over.
    Stutters,
    Denies,
}

fn habit() -> impl Strategy<Value = Habit> {
    let stage = prop_oneof![Just(Stage::Connect), Just(Stage::Mail), Just(Stage::Rcpt)];
    prop_oneof![
        4 => Just(Habit::Honest),
        2 => Just(Habit::Curt),
        1 => Just(Habit::CatchAll),
        1 => Just(Habit::Unreachable),
        1 => stage.prop_map(Habit::BlocksAt),
        2 => (1u64..50).prop_map(Habit::Greylists),
        1 => (0u32..6).prop_map(Habit::DropsAfter),
        1 => (0u32..6).prop_map(Habit::EndsAfter),
        1 => (0u32..6).prop_map(Habit::DropsAt),
        1 => (1u32..8).prop_map(Habit::TooFast),
        1 => (1usize..5).prop_map(Habit::Takes),
        1 => Just(Habit::BrokenTls),
        1 => Just(Habit::Mute),
        1 => Just(Habit::Denies),
    ]
}

/// An operator: the habits of its hosts, best first, and for each of its domains which of its listed mailboxes exist.
#[derive(Clone, Debug)]
struct Operator {
    known: bool,
    hosts: Vec<Habit>,
    domains: Vec<Vec<bool>>,
}

fn operators() -> impl Strategy<Value = Vec<Operator>> {
    let domains = prop::collection::vec(prop::collection::vec(any::<bool>(), 1..10), 1..4);
    let operator = (any::<bool>(), prop::collection::vec(habit(), 1..3), domains);
    let operator = operator.prop_map(|(known, hosts, domains)| Operator { known, hosts, domains });
    prop::collection::vec(operator, 1..4)
}

#[derive(Clone, Copy, Debug)]
struct Run {
    pace: Pace,
    max_wait: Duration,
    sockets: usize,
    /// After so many events it is stopped.
    stopped_after: Option<usize>,
    /// It is told that no more orders will come.
    has_all_orders: bool,
    seed: u64,
}

fn run() -> impl Strategy<Value = Run> {
    let pace = prop_oneof![Just(Pace::Gentle), Just(Pace::Normal), Just(Pace::Fast)];
    let wait = prop_oneof![Just(0), Just(30), Just(600)];
    (pace, wait, 1usize..6, prop::option::of(0usize..60), any::<bool>(), any::<u64>()).prop_map(
        |(pace, wait, sockets, stopped_after, has_all_orders, seed)| Run {
            pace,
            max_wait: MINUTE * wait,
            sockets,
            stopped_after,
            has_all_orders,
            seed,
        },
    )
}

/// A session as a host sees it.
#[derive(Default)]
struct Open {
    lane: String,
    habit: Option<Habit>,
    provider: Option<Arc<Provider>>,
    transactions: u32,
    refused: u32,
    answers: u32,
}

/// The hosts, what they remember, and what is on its way to us.
struct World {
    habits: HashMap<IpAddr, (Habit, String)>,
    exists: HashSet<String>,
    sessions: HashMap<SessionId, Open>,
    on_the_way: BTreeMap<(Duration, u64), (SessionId, Heard)>,
    sent: u64,
    now: Duration,
    newcomers: HashMap<String, Duration>,
    too_fast: u32,
    /// By lane: when connections came, recipients came, unknown ones were refused.
    dials: HashMap<String, Vec<Duration>>,
    asks: HashMap<String, Vec<Duration>>,
    unknown: HashMap<String, Vec<Duration>>,
}

impl World {
    fn moment(&self) -> Moment {
        Moment { elapsed: self.now, wall: std::time::UNIX_EPOCH + self.now }
    }

    fn send(&mut self, session: SessionId, heard: Heard) {
        self.sent += 1;
        self.on_the_way.insert((self.now + ROUND_TRIP, self.sent), (session, heard));
    }

    fn said(&self, session: SessionId, stage: Stage, words: &str) -> Said {
        let provider = self.sessions[&session].provider.as_ref().filter(|provider| provider.is_known());
        let reply = Reply::parse(format!("{words}\r\n").as_bytes()).unwrap();
        let context = Context { stage, provider: provider.map(|provider| &*provider.id) };
        Said { stage, meaning: ReplyRules::built_in().read(&reply, &context), reply }
    }

    fn open(&mut self, opening: &Opening, pace: Pace, sockets: usize) {
        let (habit, lane) = self.habits[&opening.address].clone();
        let open = Open {
            lane: lane.clone(),
            habit: Some(habit),
            provider: Some(opening.provider.clone()),
            ..Open::default()
        };
        self.sessions.insert(opening.session, open);
        self.dials.entry(lane.clone()).or_default().push(self.now);
        assert!(self.sessions.len() <= sockets, "more sessions than sockets");
        let at_once = self.sessions.values().filter(|open| open.lane == lane).count();
        assert!(at_once <= opening.provider.limits(pace).open as usize, "{at_once} sessions at once");
        let heard = match habit {
            Habit::Unreachable => Heard::Broken(Some(Finding::ConnectFailed)),
            Habit::BlocksAt(Stage::Connect) => Heard::Refused(self.said(
                opening.session,
                Stage::Connect,
                "554 5.7.1 Your IP address is blocked using zen.spamhaus.org",
            )),
            Habit::BrokenTls if opening.tls => Heard::NoTls,
            _ => Heard::Ready(Offer { pipelining: true, ..Offer::default() }),
        };
        self.send(opening.session, heard);
    }

    fn fly(&mut self, id: SessionId, flight: &Flight) {
        let (habit, provider) = {
            let open = &self.sessions[&id];
            (open.habit.unwrap(), open.provider.clone().unwrap())
        };
        let manners = provider.manners;
        for transaction in &flight.transactions {
            let open = self.sessions.get_mut(&id).unwrap();
            open.transactions += 1;
            assert!(open.transactions <= manners.transactions, "too many transactions");
            assert!(transaction.recipients.len() <= manners.recipients as usize, "too many recipients");
            let domains: HashSet<_> =
                transaction.recipients.iter().map(|ask| ask.address.domain().cloned()).collect();
            assert_eq!(domains.len(), 1, "one domain per transaction");
            for (place, ask) in transaction.recipients.iter().enumerate() {
                let open = &self.sessions[&id];
                let lane = open.lane.clone();
                self.asks.entry(lane).or_default().push(self.now);
                let refused = match habit {
                    Habit::BlocksAt(Stage::Mail) => {
                        Some("554 5.7.1 Your IP address is blocked using zen.spamhaus.org")
                    }
                    Habit::BrokenTls => Some("530 5.7.0 Must issue a STARTTLS command first"),
                    _ => None,
                };
                if let Some(words) = refused {
                    let said = self.said(id, Stage::Mail, words);
                    self.send(id, Heard::Answered(ask.id, said));
                    continue;
                }
                let ended = match habit {
                    Habit::DropsAfter(most) if open.answers >= most => {
                        Some(Heard::Broken(Some(Finding::Disconnected)))
                    }
                    Habit::DropsAt(place) if ask.address.local() == format!("user{place}") => {
                        Some(Heard::Broken(Some(Finding::Disconnected)))
                    }
                    Habit::EndsAfter(most) if open.answers >= most => {
                        Some(Heard::Refused(self.said(id, Stage::Rcpt, "421 4.7.0 Error: too many errors")))
                    }
                    _ => None,
                };
                if let Some(heard) = ended {
                    return self.send(id, heard);
                }
                let words = match habit {
                    Habit::Takes(most) if place >= most => "452 4.5.3 Too many recipients".to_owned(),
                    _ => self.answer(habit, ask),
                };
                let said = self.said(id, Stage::Rcpt, &words);
                let is_refused = !said.reply.is_positive();
                let open = self.sessions.get_mut(&id).unwrap();
                open.answers += 1;
                open.refused += u32::from(is_refused);
                assert!(open.refused <= manners.refused, "too many refused recipients");
                if words.contains("5.1.1") {
                    let lane = open.lane.clone();
                    self.unknown.entry(lane).or_default().push(self.now + ROUND_TRIP);
                }
                self.send(id, Heard::Answered(ask.id, said));
            }
        }
        if flight.is_last {
            self.end(id);
        } else {
            self.send(id, Heard::Landed);
        }
    }

    /// A goodbye is answered; by who has said too much, with another answer.
    fn end(&mut self, id: SessionId) {
        let stutters = self.sessions[&id].habit == Some(Habit::Stutters);
        self.send(id, Heard::Broken(stutters.then_some(Finding::MalformedReply)));
    }

    fn answer(&mut self, habit: Habit, ask: &Ask) -> String {
        let address = ask.address.to_string();
        let exists = self.exists.contains(&address) || ask.address.local() == "postmaster";
        match habit {
            Habit::BlocksAt(_) => {
                return "554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org".to_owned();
            }
            Habit::Mute => return "550 Rejected".to_owned(),
            Habit::Stutters => return "550 5.1.1 User unknown".to_owned(),
            Habit::Denies => return format!("554 5.7.1 <{address}>: Relay access denied"),
            Habit::TooFast(most) if self.too_fast < most => {
                self.too_fast += 1;
                return "450 4.7.1 Error: too many recipients from 192.0.2.1".to_owned();
            }
            Habit::Greylists(minutes) => {
                let first = *self.newcomers.entry(address.clone()).or_insert(self.now);
                if self.now < first + MINUTE * u32::try_from(minutes).unwrap() {
                    return format!("450 4.2.0 <{address}>: Recipient address rejected: Greylisted");
                }
            }
            _ => {}
        }
        match (exists || habit == Habit::CatchAll, habit) {
            (true, _) => "250 2.1.5 Ok".to_owned(),
            (false, Habit::Curt) => "550 Rejected".to_owned(),
            (false, _) => format!("550 5.1.1 <{address}>: Recipient address rejected: User unknown"),
        }
    }
}

/// The most within any span of that length.
fn most_within(times: &[Duration], span: Duration) -> usize {
    let after = |from: usize| times[from..].iter().take_while(|at| **at < times[from] + span).count();
    (0..times.len()).map(after).max().unwrap_or(0)
}

/// Each address, whether it exists, and whether a host of its domain accepts anybody.
type Everybody = HashMap<Target, (Address, bool, bool)>;

/// Plays it to its end.
fn play(operators: &[Operator], run: Run) -> World {
    let mut world = World {
        habits: HashMap::new(),
        exists: HashSet::new(),
        sessions: HashMap::new(),
        on_the_way: BTreeMap::new(),
        sent: 0,
        now: Duration::ZERO,
        newcomers: HashMap::new(),
        too_fast: 0,
        dials: HashMap::new(),
        asks: HashMap::new(),
        unknown: HashMap::new(),
    };
    let limits = Limits {
        pace: run.pace,
        patience: Patience { max_wait: run.max_wait },
        sessions: run.sockets,
        thresholds: Thresholds::built_in(),
        egresses: vec![Family::Both],
    };
    let mut scheduler = Scheduler::new(limits, fastrand::Rng::with_seed(run.seed), world.moment());
    let mut providers: HashMap<String, Arc<Provider>> = HashMap::new();
    let mut listed = Everybody::new();
    for (n, operator) in (0u8..).zip(operators) {
        let stops: Vec<Stop> = (0u8..)
            .zip(&operator.hosts)
            .map(|(place, _)| {
                let name = if operator.known {
                    format!("mx{place}-{n}.google.com")
                } else {
                    format!("mx{place}.op{n}.example")
                };
                let host = Domain::parse(&name).unwrap();
                Stop {
                    provider: Providers::built_in().of(&host).clone(),
                    host,
                    addresses: vec![[192, 0, n, place].into()],
                }
            })
            .collect();
        for (place, habit) in (0u8..).zip(&operator.hosts) {
            let key = Scheduler::lane_key(&stops, &stops[usize::from(place)]).to_string();
            providers.insert(key.clone(), stops[usize::from(place)].provider.clone());
            world.habits.insert([192, 0, n, place].into(), (*habit, key));
        }
        let accepts_any = operator.hosts.contains(&Habit::CatchAll);
        for (d, mailboxes) in operator.domains.iter().enumerate() {
            let domain = Domain::parse(&format!("d{d}.op{n}.example")).unwrap();
            let mut entries = Vec::new();
            for (place, exists) in mailboxes.iter().enumerate() {
                let address = Address::parse(&format!("user{place}@{domain}")).unwrap();
                let target = Target(u32::try_from(listed.len()).unwrap());
                if *exists {
                    world.exists.insert(address.to_string());
                }
                listed.insert(target, (address.clone(), *exists, accepts_any));
                entries.push(Listed::from((target, address)));
            }
            let known = Known::default();
            let order = Order { domain, exchangers: stops.clone(), listed: entries, known };
            scheduler.order(order, world.moment());
        }
    }
    if run.has_all_orders {
        scheduler.has_all_orders();
    }
    let settled = drive(&mut scheduler, &mut world, run);
    assert!(world.now < Duration::from_secs(3 * 86_400), "it took {:?}", world.now);
    assert_eq!(settled.len(), listed.len(), "everybody is settled");
    check_limits(&world, &providers, run.pace);
    check_verdicts(listed, settled);
    world
}

/// Lets the scheduler and the hosts talk until nothing is to come.
fn drive(scheduler: &mut Scheduler, world: &mut World, run: Run) -> HashMap<Target, Inquired> {
    let mut settled: HashMap<Target, Inquired> = HashMap::new();
    for event in 0.. {
        assert!(event < 20_000, "it does not come to its end");
        while let Some(action) = scheduler.action() {
            match action {
                Action::Open(opening) => world.open(&opening, run.pace, run.sockets),
                Action::Fly(session, flight) => world.fly(session, &flight),
                Action::Quit(session) => world.end(session),
                Action::Settled(target, inquired) => {
                    assert!(settled.insert(target, inquired).is_none(), "settled twice");
                }
                Action::Answered(_) | Action::Learnt(..) | Action::Room(_) | Action::Decided(_) => {}
            }
        }
        if scheduler.is_idle() {
            break;
        }
        if run.stopped_after == Some(event) {
            scheduler.stop(Unprobed::Deadline, world.moment());
            continue;
        }
        let wake = scheduler.next_wake();
        let next = world.on_the_way.keys().next().map(|(at, _)| *at);
        let next_is_first = next.is_some_and(|next| wake.is_none_or(|wake| next <= wake));
        if next_is_first {
            let ((at, _), (session, heard)) = world.on_the_way.pop_first().unwrap();
            world.now = world.now.max(at);
            if matches!(heard, Heard::Refused(_) | Heard::Broken(_) | Heard::NoTls) {
                world.sessions.remove(&session);
                world.on_the_way.retain(|_, (other, _)| *other != session);
            }
            scheduler.hear(session, heard, world.moment());
        } else {
            let Some(wake) = wake else { panic!("nothing is to come, and {} are settled", settled.len()) };
            world.now = world.now.max(wake);
            scheduler.wake(world.moment());
        }
    }
    settled
}

/// What the hosts counted is within the operator's data.
fn check_limits(world: &World, providers: &HashMap<String, Arc<Provider>>, pace: Pace) {
    for (lane, provider) in providers {
        let limits = provider.limits(pace);
        let most = |times: &HashMap<String, Vec<Duration>>, span| {
            times.get(lane).map_or(0, |times| most_within(times, span))
        };
        assert!(most(&world.dials, MINUTE) <= limits.connections.max(2) as usize, "connections a minute");
        assert!(most(&world.asks, MINUTE) <= limits.recipients.max(2) as usize, "recipients a minute");
        let caps = [(limits.unknown_per_hour, MINUTE * 60), (limits.unknown_per_day, MINUTE * 1440)];
        for (cap, span) in caps.into_iter().filter_map(|(cap, span)| Some((cap?, span))) {
            assert!(
                most(&world.unknown, span) <= cap as usize,
                "unknown names: {} of {cap}",
                most(&world.unknown, span)
            );
        }
    }
}

/// Nobody who exists is condemned, and nobody who does not is praised.
fn check_verdicts(listed: Everybody, mut settled: HashMap<Target, Inquired>) {
    for (target, (address, exists, accepts_any)) in listed {
        let inquiry = settled.remove(&target).unwrap();
        let evidence = Evidence {
            form: Form::Fine(address.clone()),
            kinds: Kinds::default(),
            slip: None,
            route: Some(RouteFact::Hosts { provider: "".into(), evidence: true }),
            inquiry,
        };
        let (judgement, _) = decide(&evidence, std::time::UNIX_EPOCH);
        let verdict = judgement.reason.verdict();
        assert!(!exists || verdict != Verdict::Undeliverable, "{address} exists: {judgement:?}");
        assert!(
            exists || accepts_any || verdict != Verdict::Deliverable,
            "{address} does not exist: {judgement:?}"
        );
        assert_ne!(
            judgement.reason,
            Finding::Internal.into(),
            "{address} was forgotten: {:?}",
            evidence.inquiry
        );
    }
}

#[test]
fn a_session_that_nobody_waits_for_gives_its_socket_to_a_lane_that_lacks_one() {
    let operator = Operator { known: false, hosts: vec![Habit::Honest], domains: vec![vec![true, false]] };
    let took = play(&vec![operator; 20], Run { sockets: 1, ..HURRIED }).now;
    assert!(took < 20 * LINGER / 2, "{took:?}");
}

/// A run for which sockets are the bound.
const HURRIED: Run = Run {
    pace: Pace::Fast,
    max_wait: Duration::ZERO,
    sockets: 10,
    stopped_after: None,
    has_all_orders: true,
    seed: 1,
};

#[test]
fn where_sockets_are_the_bound_a_lonely_address_holds_one_for_three_round_trips() {
    // To the greeting and EHLO, which are one here, and to the one flight.
    let operator = Operator { known: false, hosts: vec![Habit::Honest], domains: vec![vec![true]] };
    let took = play(&vec![operator; 100], HURRIED).now;
    let waves = 100 / 10;
    assert!(took <= ROUND_TRIP * 2 * waves + ROUND_TRIP, "{took:?}");
}

#[test]
fn who_is_refused_by_a_host_that_says_too_much_is_not_condemned() {
    for domains in [vec![vec![true]], vec![vec![true, true]]] {
        play(&[Operator { known: false, hosts: vec![Habit::Stutters], domains }], HURRIED);
    }
}

#[test]
fn a_closing_control_that_leaves_with_the_last_flight_clears_its_doubts() {
    let mailboxes = vec![true, true, false, true];
    let operator = Operator { known: false, hosts: vec![Habit::Honest], domains: vec![mailboxes] };
    let world = play(&[operator], HURRIED);
    let questions: Vec<usize> = world.asks.values().map(Vec::len).collect();
    assert_eq!(questions, [4 + 2], "four addresses, a made-up one and the closing one");
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_hosts_do_a_run_ends_keeps_its_manners_and_wrongs_nobody(operators in operators(), run in run()) {
        play(&operators, run);
    }
}
