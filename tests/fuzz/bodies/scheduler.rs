//! Any order of events around the scheduler: it opens no more sessions than sockets, probes each recipient once at a time, and
//! ends; and no recipient is undeliverable without a reply that may be about it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use listproof::details::{AddressKinds, AddressStatus, MailboxEvidence, NotProbedReason, RouteFact};
use listproof::internals::evidence::{DomainFacts, ProbeResult, Recipient, RecipientId, Timestamp};
use listproof::internals::schedule::{
    Action, ConnectionAction, DomainJob, MxHop, RunLimits, Scheduler, SessionEvent, SessionId,
};
use listproof::internals::smtp::{Capabilities, IpFamilies, ProbeId, RcptProbe, Transaction};
use listproof::internals::verdict::decide;
use listproof::policy::{Pace, Providers, ReplyContext, ReplyRules, RetryPolicy, Thresholds};
use listproof::{Address, Cause, ClassifiedReply, Domain, Evidence, Finding, Reply, Stage, Verdict};

/// Replies of hosts to RCPT in the play around the scheduler; the first seven are not about the mailbox.
const REPLIES: [&str; 12] = [
    "250 2.1.5 Ok",
    "450 4.2.0 Greylisted, try again in 60 seconds",
    "554 5.7.1 Client host [192.0.2.1] blocked using bl.example",
    "452 4.5.3 Too many recipients",
    "421 4.7.0 Error: too many errors",
    "451 4.3.0 Temporary lookup failure",
    "450 4.7.1 Error: too much mail from 192.0.2.1",
    "550 5.1.1 User unknown",
    "550 Rejected",
    "554 5.7.1 Relay access denied",
    "552 5.2.2 Mailbox full",
    "550 5.2.1 Mailbox disabled",
];
const NOT_ABOUT_MAILBOX: usize = 7;

/// The state of a session, as its host sees it.
#[derive(PartialEq)]
enum State {
    Opening,
    Idle,
    /// Probes without a reply, and whether QUIT was sent with them.
    InFlight(Vec<RcptProbe>, bool),
    Leaving,
}

/// The scheduler with hosts whose behavior the bytes select.
pub(crate) struct Play<'a> {
    events: std::slice::Iter<'a, u8>,
    scheduler: Scheduler,
    now: Duration,
    open: Vec<(SessionId, State, IpAddr)>,
    most_open: usize,
    listed: HashMap<RecipientId, Address>,
    completed: HashMap<RecipientId, MailboxEvidence>,
    /// Addresses that were rejected in words that may be about them.
    rejected: HashSet<Address>,
    /// The domains that each IP address serves.
    serves: HashMap<IpAddr, HashSet<Domain>>,
    probed: HashSet<ProbeId>,
}

impl Play<'_> {
    pub(crate) fn play(events: &[u8], first: u8) {
        let moment = Timestamp { elapsed: Duration::ZERO, wall: UNIX_EPOCH };
        let most_open = 1 + usize::from(first >> 1 & 3);
        let limits = RunLimits {
            pace: [Pace::Gentle, Pace::Normal, Pace::Fast, Pace::Fast][usize::from(first >> 3 & 3)],
            retry_policy: RetryPolicy::built_in(Duration::from_secs([0, 1800][usize::from(first >> 5 & 1)])),
            sessions: most_open,
            thresholds: Thresholds::built_in(),
            confirm: first >> 6 & 1 == 1,
            egresses: vec![IpFamilies::Both],
        };
        let mut play = Play {
            events: events.iter(),
            scheduler: Scheduler::new(limits, fastrand::Rng::with_seed(u64::from(first)), moment),
            now: Duration::ZERO,
            open: Vec::new(),
            most_open,
            listed: HashMap::new(),
            completed: HashMap::new(),
            rejected: HashSet::new(),
            serves: HashMap::new(),
            probed: HashSet::new(),
        };
        for domain in 0..=play.byte() % 4 {
            play.order(domain);
        }
        let stops_after = (first & 128 == 128).then(|| play.events.len() / 2);
        play.run(stops_after);
        play.judge();
    }

    /// The next event. After the last byte it is zero: every host accepts.
    fn byte(&mut self) -> u8 {
        self.events.next().copied().unwrap_or(0)
    }

    fn moment(&self) -> Timestamp {
        Timestamp { elapsed: self.now, wall: UNIX_EPOCH + self.now }
    }

    fn order(&mut self, number: u8) {
        let shape = self.byte();
        let domain = Domain::parse(&format!("d{number}.example")).expect("a name");
        let mx_hosts = (0..=shape & 1).map(|place| {
            // Some domains share an MX host, some a known provider.
            let (name, provider) = match shape >> 1 & 3 {
                0 => (format!("mx{place}.shared.example"), 0),
                1 => (format!("mx{place}.google.com"), 1),
                _ => (format!("mx{place}.d{number}.example"), 2 + number),
            };
            let host = Domain::parse(&name).expect("a name");
            let address = IpAddr::from([192, 0, provider, place]);
            self.serves.entry(address).or_default().insert(domain.clone());
            MxHop { provider: Providers::built_in().of(&host).clone(), host, addresses: vec![address] }
        });
        let mx_hosts = mx_hosts.collect();
        let listed: Vec<Recipient> = (0..=shape >> 3 & 7)
            .map(|place| {
                let target = RecipientId(i64::try_from(self.listed.len()).expect("few"));
                let address = Address::parse(&format!("user{place}@{domain}")).expect("an address");
                self.listed.insert(target, address.clone());
                Recipient::from((target, address))
            })
            .collect();
        let now = self.moment();
        let facts = DomainFacts::default();
        self.scheduler.submit(DomainJob { domain, mx_hosts, recipients: listed, facts }, now);
    }

    fn run(&mut self, stops_after: Option<usize>) {
        for step in 0.. {
            assert!(step < 20_000, "the play does not end");
            while let Some(action) = self.scheduler.next_action() {
                self.act(action);
            }
            if self.scheduler.is_idle() {
                return;
            }
            if stops_after == Some(step) {
                let now = self.moment();
                self.scheduler.stop(NotProbedReason::Deadline, now);
                continue;
            }
            let (busy, wake) = (
                self.open.iter().filter(|(_, state, _)| *state != State::Idle).count(),
                self.scheduler.next_wake(),
            );
            let choice = self.byte();
            match wake {
                Some(wake) if busy == 0 || choice & 128 == 128 => {
                    self.now = self.now.max(wake);
                    let now = self.moment();
                    self.scheduler.wake(now);
                }
                _ => {
                    assert!(busy > 0, "no session is busy and no wake is due");
                    self.host_acts(usize::from(choice) % busy, choice >> 4 & 7);
                }
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connection(ConnectionAction::Open(opening)) => {
                self.open.push((opening.session, State::Opening, opening.address));
                assert!(self.open.len() <= self.most_open, "more sessions than sockets");
            }
            Action::Connection(ConnectionAction::Send(id, batch)) => {
                let (_, state, at) = self.open.iter_mut().find(|(open, ..)| *open == id).expect("it is open");
                assert!(*state == State::Idle, "a batch on a session that is not ready");
                let mut probes = Vec::new();
                let is_last = batch.is_last;
                for Transaction { recipients } in batch.transactions {
                    let domains: HashSet<_> =
                        recipients.iter().filter_map(|probe| probe.address.domain().cloned()).collect();
                    assert!(domains.len() == 1 && domains.is_subset(&self.serves[at]), "{domains:?} at {at}");
                    probes.extend(recipients);
                }
                assert!(!probes.is_empty() && probes.iter().all(|probe| self.probed.insert(probe.id)));
                *state = State::InFlight(probes, is_last);
            }
            Action::Connection(ConnectionAction::Quit(id)) => {
                let open = self.open.iter_mut().find(|(open, ..)| *open == id).expect("it is open");
                assert!(open.1 == State::Idle, "QUIT in the middle");
                open.1 = State::Leaving;
            }
            Action::Completed(found) => {
                for ProbeResult { id: target, mailbox, .. } in found {
                    assert!(self.completed.insert(target, *mailbox).is_none(), "completed twice");
                }
            }
            Action::Record(_)
            | Action::Revoked(_)
            | Action::DomainFactsChanged(..)
            | Action::WantsWork(_)
            | Action::Event(_) => {}
        }
    }

    /// The host of the `n`-th busy session does something.
    fn host_acts(&mut self, n: usize, how: u8) {
        let busy = self.open.iter().enumerate().filter(|(_, (_, state, _))| *state != State::Idle);
        let place = busy.map(|(place, _)| place).nth(n).expect("it is busy");
        self.now += Duration::from_millis(40);
        let what = self.byte();
        let (session, phase, at) = &mut self.open[place];
        let (session, mut rejected) = (*session, None);
        let event = match phase {
            State::Leaving => SessionEvent::Ended(None),
            State::Opening => match how {
                5 => SessionEvent::TlsFailed,
                6 => SessionEvent::Ended(Some(ENDS[usize::from(what) % ENDS.len()])),
                7 => SessionEvent::Rejected(classified(
                    *at,
                    Stage::Connect,
                    REPLIES[1 + usize::from(what) % 5],
                )),
                _ => SessionEvent::Ready(Capabilities {
                    pipelining: true,
                    smtputf8: true,
                    ..Capabilities::default()
                }),
            },
            State::InFlight(..) if how == 6 => {
                SessionEvent::Ended(Some(ENDS[usize::from(what) % ENDS.len()]))
            }
            State::InFlight(..) if how == 7 => {
                SessionEvent::Rejected(classified(*at, Stage::Rcpt, REPLIES[4]))
            }
            State::InFlight(probes, true) if probes.is_empty() => SessionEvent::Ended(None),
            State::InFlight(probes, false) if probes.is_empty() => SessionEvent::BatchDone,
            State::InFlight(probes, _) => {
                let probe = probes.remove(0);
                let reply = usize::from(what) % REPLIES.len();
                rejected = (reply >= NOT_ABOUT_MAILBOX).then(|| probe.address.clone());
                let stage = if how == 5 { Stage::Mail } else { Stage::Rcpt };
                let words = if how == 5 { REPLIES[2] } else { REPLIES[reply] };
                SessionEvent::Reply(probe.id, classified(*at, stage, words))
            }
            State::Idle => unreachable!("idle sessions are not busy"),
        };
        self.rejected.extend(rejected);
        match event {
            SessionEvent::Ready(_) | SessionEvent::BatchDone => self.open[place].1 = State::Idle,
            SessionEvent::Rejected(_) | SessionEvent::Ended(_) | SessionEvent::TlsFailed => {
                drop(self.open.remove(place));
            }
            SessionEvent::Reply(..) | SessionEvent::NotSupported(_) => {}
        }
        let now = self.moment();
        self.scheduler.on_session_event(session, event, now);
    }

    fn judge(mut self) {
        assert_eq!(self.completed.len(), self.listed.len(), "every recipient is completed");
        for (target, address) in self.listed {
            let evidence = Evidence {
                status: AddressStatus::Valid(address.clone()),
                kinds: AddressKinds::default(),
                typo: None,
                route: Some(RouteFact::Hosts { provider: "".into(), is_checkable: true }),
                mailbox: self.completed.remove(&target).expect("it is completed"),
            };
            let (judgment, _) = decide(&evidence, UNIX_EPOCH, |_| None);
            let is_dead = judgment.reason.verdict() == Verdict::Undeliverable;
            assert!(!is_dead || self.rejected.contains(&address), "{address}: {judgment:?}");
            assert_ne!(
                judgment.reason,
                Finding::Internal.into(),
                "{address} was forgotten: {:?}",
                evidence.mailbox
            );
        }
    }
}

const ENDS: [Finding; 4] =
    [Finding::Disconnected, Finding::Timeout, Finding::MalformedReply, Finding::ConnectFailed];

fn classified(at: IpAddr, stage: Stage, words: &str) -> ClassifiedReply {
    let reply = Reply::parse(words.as_bytes()).expect("a reply");
    let is_google = at == IpAddr::from([192, 0, 1, 0]);
    let context = ReplyContext { stage, provider: is_google.then_some("google") };
    let meaning = ReplyRules::built_in().classify(&reply, &context);
    assert!(!stage.is_before_rcpt() || meaning.cause != Cause::MailboxUnknown);
    ClassifiedReply { stage, reply, meaning: meaning.into() }
}
