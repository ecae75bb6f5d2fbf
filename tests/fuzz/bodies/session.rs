//! Any order of events on a session and around the scheduler: nothing but the few commands is said, every question is
//! answered once at most, everything ends, and nobody is condemned without a word about him.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use listproof::details::{AddressKinds, AddressStatus, MailboxEvidence, NotProbedReason, RouteFact};
use listproof::internals::evidence::{DomainFacts, ProbeResult, Recipient, RecipientId, Timestamp};
use listproof::internals::probe::RetryPolicy;
use listproof::internals::schedule::{
    Action, ConnectionAction, DomainJob, MxHop, RunLimits, Scheduler, SessionEvent, SessionId,
};
use listproof::internals::smtp::{
    Batch, Capabilities, ClientIdentity, ClientSession, IpFamilies, ProbeId, ProbeReply, RcptProbe,
    SessionCommand as Say, SessionOutput, SmtpEvent, TlsPolicy, Transaction,
};
use listproof::internals::verdict::decide;
use listproof::policy::{Pace, Providers, ReplyContext, ReplyRules, Thresholds};
use listproof::{Address, Cause, ClassifiedReply, Domain, Evidence, Finding, Reply, Stage, Verdict};

/// The first byte says which machine it is, the others are what happens to it.
pub(crate) fn check(bytes: &[u8]) {
    let Some((&first, events)) = bytes.split_first() else { return };
    if first & 1 == 0 { Dialogue::play(events, first & 2 == 2) } else { Play::play(events, first) }
}

/// What servers say, one by one or several at once.
const WORDS: [&[u8]; 16] = [
    b"220 mx.shop.example ESMTP\r\n",
    b"250-mx\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250 STARTTLS\r\n",
    b"250-mx\r\n250 PIPELINING\r\n",
    b"250 2.1.5 Ok\r\n",
    b"250 Ok\r\n250 Ok\r\n",
    b"550 5.1.1 User unknown\r\n",
    b"450 4.2.0 Greylisted\r\n",
    b"421 4.3.2 Shutting down\r\n",
    b"554 5.7.1 blocked using bl.example\r\n",
    b"502 5.5.2 not implemented\r\n",
    b"220 Go ahead\r\n",
    b"250-half\r\n",
    b"25",
    b"0 Ok\r\n",
    b"354 go on\r\n",
    b"garbage\r\n",
];

/// One session, and what was seen of it.
struct Dialogue {
    session: ClientSession,
    asks: HashMap<ProbeId, Address>,
    answered: HashSet<ProbeId>,
    asked: HashSet<String>,
    handshakes: u32,
    mail_is_open: bool,
    ready: bool,
    ended: u32,
}

impl Dialogue {
    fn play(events: &[u8], tls: bool) {
        let identity = ClientIdentity {
            helo: Domain::parse("probe.example").expect("a name"),
            sender: Address::parse("check@probe.example").expect("an address"),
            tls: if tls { TlsPolicy::Try } else { TlsPolicy::No },
        };
        let mut dialogue = Dialogue {
            session: ClientSession::new(identity),
            asks: HashMap::new(),
            answered: HashSet::new(),
            asked: HashSet::new(),
            handshakes: 0,
            mail_is_open: false,
            ready: false,
            ended: 0,
        };
        let mut rest = events;
        while let Some((&event, after)) = rest.split_first() {
            rest = after;
            let batch = (16..32).contains(&event).then(|| dialogue.batch(event));
            let session = &mut dialogue.session;
            match event {
                0..=15 => session.receive(WORDS[usize::from(event)]),
                16..=31 => batch.into_iter().for_each(|batch| session.submit(batch)),
                32 => session.submit(Say::Quit),
                33..=40 => session.tls_established(),
                41 => session.tls_failed("bad record".to_owned()),
                42 => session.connection_closed(),
                43 => session.timed_out(),
                _ => {
                    let (raw, after) = rest.split_at(rest.len().min(usize::from(event - 43)));
                    rest = after;
                    session.receive(raw);
                }
            }
            dialogue.look();
        }
        dialogue.session.connection_closed();
        dialogue.look();
        assert!(dialogue.session.is_over() && dialogue.ended == 1, "it ended {} times", dialogue.ended);
    }

    /// Up to four transactions of up to three recipients, or none, some with letters beyond ASCII.
    fn batch(&mut self, shape: u8) -> Say {
        let transactions = (0..=shape & 3).map(|n| Transaction {
            recipients: (0..shape >> 2 & 3)
                .map(|place| {
                    let id = ProbeId(self.asks.len() as u64);
                    let name = if place == 2 { "jürgen" } else { "user" };
                    let address =
                        Address::parse(&format!("{name}{}@d{n}.example", id.0)).expect("an address");
                    self.asks.insert(id, address.clone());
                    RcptProbe { id, address }
                })
                .collect(),
        });
        Say::Send(Batch { transactions: transactions.collect(), is_last: shape & 3 == 3 })
    }

    fn look(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                SessionOutput::Send(bytes) => self.said(&bytes),
                SessionOutput::StartTls => self.handshakes += 1,
                SessionOutput::Emit(event) => self.told(event),
            }
        }
        assert!(self.handshakes <= 1, "one handshake in a session");
    }

    fn said(&mut self, bytes: &[u8]) {
        assert_eq!(self.ended, 0, "it speaks after its end");
        let text = std::str::from_utf8(bytes).expect("commands are text");
        for line in text.split_inclusive("\r\n") {
            let line = line.strip_suffix("\r\n").expect("a whole line");
            assert!(!line.contains(char::is_control), "{line:?}");
            let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
            match verb {
                "EHLO" | "HELO" | "STARTTLS" => assert!(!self.ready, "{verb} in the middle"),
                "MAIL" => {
                    assert!(self.ready && !std::mem::replace(&mut self.mail_is_open, true), "MAIL in MAIL");
                }
                "RCPT" => {
                    assert!(self.mail_is_open, "RCPT without MAIL");
                    let address = rest.strip_prefix("TO:<").and_then(|rest| rest.strip_suffix('>'));
                    assert!(self.asked.insert(address.expect("a path").to_owned()), "asked twice: {line}");
                }
                "RSET" => self.mail_is_open = false,
                "QUIT" => {}
                _ => panic!("it says {line:?}"),
            }
        }
    }

    fn told(&mut self, event: SmtpEvent) {
        assert_eq!(self.ended, 0, "it tells {event:?} after its end");
        match event {
            SmtpEvent::Ready(_) => assert!(!std::mem::replace(&mut self.ready, true), "ready twice"),
            SmtpEvent::Reply(id, answer) => {
                assert!(self.answered.insert(id), "answered twice");
                let address = self.asks[&id].to_string();
                match answer {
                    ProbeReply::Rcpt(_) => {
                        assert!(self.asked.contains(&address), "an answer without a question")
                    }
                    ProbeReply::Mail(reply) => {
                        assert!(!reply.is_positive());
                        self.mail_is_open = false;
                    }
                    ProbeReply::NoSmtputf8 => assert!(!address.is_ascii() && !self.asked.contains(&address)),
                }
            }
            SmtpEvent::BatchDone => assert!(self.ready),
            SmtpEvent::Ended(_) => self.ended += 1,
        }
    }
}

/// What hosts answer to RCPT in the play around the scheduler; the first seven can't be about the mailbox.
const ANSWERS: [&str; 12] = [
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
const HARMLESS: usize = 7;

/// What a session is at, as its host sees it.
#[derive(PartialEq)]
enum State {
    Opening,
    Idle,
    /// And whether QUIT was said with it.
    Flying(Vec<RcptProbe>, bool),
    Leaving,
}

/// The scheduler with hosts that do what the bytes say.
struct Play<'a> {
    events: std::slice::Iter<'a, u8>,
    scheduler: Scheduler,
    now: Duration,
    open: Vec<(SessionId, State, IpAddr)>,
    most_open: usize,
    listed: HashMap<RecipientId, Address>,
    settled: HashMap<RecipientId, MailboxEvidence>,
    /// Addresses that were refused in words that may be about them.
    doubted: HashSet<Address>,
    /// Which domains may be asked about at an address.
    serves: HashMap<IpAddr, HashSet<Domain>>,
    asked: HashSet<ProbeId>,
}

impl Play<'_> {
    fn play(events: &[u8], first: u8) {
        let moment = Timestamp { elapsed: Duration::ZERO, wall: UNIX_EPOCH };
        let most_open = 1 + usize::from(first >> 1 & 3);
        let limits = RunLimits {
            pace: [Pace::Gentle, Pace::Normal, Pace::Fast, Pace::Fast][usize::from(first >> 3 & 3)],
            retry_policy: RetryPolicy {
                max_wait: Duration::from_secs([0, 1800][usize::from(first >> 5 & 1)]),
            },
            sessions: most_open,
            thresholds: Thresholds::built_in(),
            egresses: vec![IpFamilies::Both],
        };
        let mut play = Play {
            events: events.iter(),
            scheduler: Scheduler::new(limits, fastrand::Rng::with_seed(u64::from(first)), moment),
            now: Duration::ZERO,
            open: Vec::new(),
            most_open,
            listed: HashMap::new(),
            settled: HashMap::new(),
            doubted: HashSet::new(),
            serves: HashMap::new(),
            asked: HashSet::new(),
        };
        for domain in 0..=play.byte() % 4 {
            play.order(domain);
        }
        let stops_after = (first & 128 == 128).then(|| play.events.len() / 2);
        play.run(stops_after);
        play.judge();
    }

    /// After the last byte everything goes well.
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
            // Some share an exchanger, some an operator that is known.
            let (name, operator) = match shape >> 1 & 3 {
                0 => (format!("mx{place}.shared.example"), 0),
                1 => (format!("mx{place}.google.com"), 1),
                _ => (format!("mx{place}.d{number}.example"), 2 + number),
            };
            let host = Domain::parse(&name).expect("a name");
            let address = IpAddr::from([192, 0, operator, place]);
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
            assert!(step < 20_000, "it does not come to its end");
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
                    assert!(busy > 0, "nothing is to come");
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
                assert!(*state == State::Idle, "a flight on a session that is not ready");
                let mut asks = Vec::new();
                let is_last = batch.is_last;
                for Transaction { recipients } in batch.transactions {
                    let domains: HashSet<_> =
                        recipients.iter().filter_map(|ask| ask.address.domain().cloned()).collect();
                    assert!(domains.len() == 1 && domains.is_subset(&self.serves[at]), "{domains:?} at {at}");
                    asks.extend(recipients);
                }
                assert!(!asks.is_empty() && asks.iter().all(|ask| self.asked.insert(ask.id)));
                *state = State::Flying(asks, is_last);
            }
            Action::Connection(ConnectionAction::Quit(id)) => {
                let open = self.open.iter_mut().find(|(open, ..)| *open == id).expect("it is open");
                assert!(open.1 == State::Idle, "QUIT in the middle");
                open.1 = State::Leaving;
            }
            Action::Completed(found) => {
                for ProbeResult { id: target, mailbox, .. } in found {
                    assert!(self.settled.insert(target, *mailbox).is_none(), "settled twice");
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
        let (session, mut refused) = (*session, None);
        let heard = match phase {
            State::Leaving => SessionEvent::Ended(None),
            State::Opening => match how {
                5 => SessionEvent::TlsFailed,
                6 => SessionEvent::Ended(Some(ENDS[usize::from(what) % ENDS.len()])),
                7 => SessionEvent::Rejected(meant(*at, Stage::Connect, ANSWERS[1 + usize::from(what) % 5])),
                _ => SessionEvent::Ready(Capabilities {
                    pipelining: true,
                    smtputf8: true,
                    ..Capabilities::default()
                }),
            },
            State::Flying(..) if how == 6 => SessionEvent::Ended(Some(ENDS[usize::from(what) % ENDS.len()])),
            State::Flying(..) if how == 7 => SessionEvent::Rejected(meant(*at, Stage::Rcpt, ANSWERS[4])),
            State::Flying(asks, true) if asks.is_empty() => SessionEvent::Ended(None),
            State::Flying(asks, false) if asks.is_empty() => SessionEvent::BatchDone,
            State::Flying(asks, _) => {
                let ask = asks.remove(0);
                let answer = usize::from(what) % ANSWERS.len();
                refused = (answer >= HARMLESS).then(|| ask.address.clone());
                let stage = if how == 5 { Stage::Mail } else { Stage::Rcpt };
                let words = if how == 5 { ANSWERS[2] } else { ANSWERS[answer] };
                SessionEvent::Reply(ask.id, meant(*at, stage, words))
            }
            State::Idle => unreachable!("idle sessions are not busy"),
        };
        self.doubted.extend(refused);
        match heard {
            SessionEvent::Ready(_) | SessionEvent::BatchDone => self.open[place].1 = State::Idle,
            SessionEvent::Rejected(_) | SessionEvent::Ended(_) | SessionEvent::TlsFailed => {
                drop(self.open.remove(place))
            }
            SessionEvent::Reply(..) | SessionEvent::NotSupported(_) => {}
        }
        let now = self.moment();
        self.scheduler.on_session_event(session, heard, now);
    }

    fn judge(mut self) {
        assert_eq!(self.settled.len(), self.listed.len(), "everybody is settled");
        for (target, address) in self.listed {
            let evidence = Evidence {
                status: AddressStatus::Valid(address.clone()),
                kinds: AddressKinds::default(),
                typo: None,
                route: Some(RouteFact::Hosts { provider: "".into(), is_checkable: true }),
                mailbox: self.settled.remove(&target).expect("it is settled"),
            };
            let (judgment, _) = decide(&evidence, UNIX_EPOCH);
            let is_dead = judgment.reason.verdict() == Verdict::Undeliverable;
            assert!(!is_dead || self.doubted.contains(&address), "{address}: {judgment:?}");
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

fn meant(at: IpAddr, stage: Stage, words: &str) -> ClassifiedReply {
    let reply = Reply::parse(words.as_bytes()).expect("a reply");
    let is_google = at == IpAddr::from([192, 0, 1, 0]);
    let context = ReplyContext { stage, provider: is_google.then_some("google") };
    let meaning = ReplyRules::built_in().classify(&reply, &context);
    assert!(!stage.is_before_rcpt() || meaning.cause != Cause::MailboxUnknown);
    ClassifiedReply { stage, reply, meaning: meaning.into() }
}
