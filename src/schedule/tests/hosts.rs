//! Hosts of many habits: what they answer, what they remember, and what they count.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use proptest::prelude::*;

use super::{MINUTE, ROUND_TRIP};
use crate::address::Address;
use crate::evidence::ClassifiedReply;
use crate::policy::{Provider, ReplyContext, ReplyRules};
use crate::reason::Finding;
use crate::schedule::*;
use crate::smtp::{Batch, Capabilities, RcptProbe, Reply, Stage};

/// What a host does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Habit {
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
    /// Says "no such mailbox" to everybody, and after so many answers that it refuses us.
    Sours(u32),
    /// Accepts whoever is listed, refuses made-up names, and after so many of them hangs up saying that it refuses us.
    Turns(u32),
}

pub(super) fn habit() -> impl Strategy<Value = Habit> {
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

/// A session as a host sees it.
#[derive(Default)]
pub(super) struct Open {
    pub(super) lane: String,
    pub(super) habit: Option<Habit>,
    pub(super) provider: Option<Arc<Provider>>,
    pub(super) transactions: u32,
    pub(super) refused: u32,
    pub(super) answers: u32,
}

/// The hosts, what they remember, and what is on its way to us.
#[derive(Default)]
pub(super) struct World {
    pub(super) habits: HashMap<IpAddr, (Habit, String)>,
    pub(super) exists: HashSet<String>,
    pub(super) sessions: HashMap<SessionId, Open>,
    pub(super) on_the_way: BTreeMap<(Duration, u64), (SessionId, SessionEvent)>,
    pub(super) sent: u64,
    pub(super) now: Duration,
    pub(super) newcomers: HashMap<String, Duration>,
    pub(super) too_fast: u32,
    /// Answers of hosts that turn against us.
    pub(super) soured: u32,
    /// Whose answers were taken back.
    pub(super) taken_back: Vec<Address>,
    /// Recipients too many in their transactions.
    pub(super) too_many: usize,
    /// By lane: when connections came, recipients came, unknown ones were refused.
    pub(super) connection_pacer: HashMap<String, Vec<Duration>>,
    pub(super) asks: HashMap<String, Vec<Duration>>,
    pub(super) unknown: HashMap<String, Vec<Duration>>,
}

impl World {
    pub(super) fn moment(&self) -> Timestamp {
        Timestamp { elapsed: self.now, wall: std::time::UNIX_EPOCH + self.now }
    }

    pub(super) fn send(&mut self, session: SessionId, heard: SessionEvent) {
        self.sent += 1;
        self.on_the_way.insert((self.now + ROUND_TRIP, self.sent), (session, heard));
    }

    pub(super) fn classified(&self, session: SessionId, stage: Stage, words: &str) -> ClassifiedReply {
        let provider = self.sessions[&session].provider.as_ref().filter(|provider| provider.is_known());
        let reply = Reply::parse(format!("{words}\r\n").as_bytes()).unwrap();
        let context = ReplyContext { stage, provider: provider.map(|provider| &*provider.id) };
        ClassifiedReply { stage, meaning: ReplyRules::built_in().read(&reply, &context).into(), reply }
    }

    pub(super) fn open(&mut self, opening: &SessionOpening, pace: Pace, sockets: usize) {
        let (habit, lane) = self.habits[&opening.address].clone();
        let open = Open {
            lane: lane.clone(),
            habit: Some(habit),
            provider: Some(opening.provider.clone()),
            ..Open::default()
        };
        self.sessions.insert(opening.session, open);
        self.connection_pacer.entry(lane.clone()).or_default().push(self.now);
        assert!(self.sessions.len() <= sockets, "more sessions than sockets");
        let at_once = self.sessions.values().filter(|open| open.lane == lane).count();
        assert!(at_once <= opening.provider.limits(pace).open as usize, "{at_once} sessions at once");
        let heard = match habit {
            Habit::Unreachable => SessionEvent::Ended(Some(Finding::ConnectFailed)),
            Habit::BlocksAt(Stage::Connect) => SessionEvent::Rejected(self.classified(
                opening.session,
                Stage::Connect,
                "554 5.7.1 Your IP address is blocked using zen.spamhaus.org",
            )),
            Habit::BrokenTls if opening.tls => SessionEvent::TlsFailed,
            _ => SessionEvent::Ready(Capabilities { pipelining: true, ..Capabilities::default() }),
        };
        self.send(opening.session, heard);
    }

    pub(super) fn send_batch(&mut self, id: SessionId, batch: &Batch) {
        let (habit, provider) = {
            let open = &self.sessions[&id];
            (open.habit.unwrap(), open.provider.clone().unwrap())
        };
        let session_limits = provider.session_limits;
        for transaction in &batch.transactions {
            let open = self.sessions.get_mut(&id).unwrap();
            open.transactions += 1;
            assert!(open.transactions <= session_limits.transactions, "too many transactions");
            assert!(
                transaction.recipients.len() <= session_limits.recipients as usize,
                "too many recipients"
            );
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
                    let classified = self.classified(id, Stage::Mail, words);
                    self.send(id, SessionEvent::Reply(ask.id, classified));
                    continue;
                }
                let ended = match habit {
                    Habit::DropsAfter(most) if open.answers >= most => {
                        Some(SessionEvent::Ended(Some(Finding::Disconnected)))
                    }
                    Habit::DropsAt(place) if ask.address.local() == format!("user{place}") => {
                        Some(SessionEvent::Ended(Some(Finding::Disconnected)))
                    }
                    Habit::Sours(most) if self.soured >= most => {
                        Some(SessionEvent::Rejected(self.classified(
                            id,
                            Stage::Rcpt,
                            "554 5.7.1 Your IP address is blocked using zen.spamhaus.org",
                        )))
                    }
                    Habit::EndsAfter(most) if open.answers >= most => Some(SessionEvent::Rejected(
                        self.classified(id, Stage::Rcpt, "421 4.7.0 Error: too many errors"),
                    )),
                    _ => None,
                };
                if let Some(heard) = ended {
                    return self.send(id, heard);
                }
                let words = match habit {
                    Habit::Takes(most) if place >= most => {
                        self.too_many += 1;
                        "452 4.5.3 Too many recipients".to_owned()
                    }
                    _ => self.answer(habit, ask),
                };
                let has_turned = match habit {
                    Habit::Sours(_) => true,
                    Habit::Turns(_) => !ask.address.local().starts_with("user"),
                    _ => false,
                };
                self.soured += u32::from(has_turned);
                let classified = self.classified(id, Stage::Rcpt, &words);
                let is_refused = !classified.reply.is_positive();
                let open = self.sessions.get_mut(&id).unwrap();
                open.answers += 1;
                open.refused += u32::from(is_refused);
                assert!(open.refused <= session_limits.refused, "too many refused recipients");
                if words.contains("5.1.1") {
                    let lane = open.lane.clone();
                    self.unknown.entry(lane).or_default().push(self.now + ROUND_TRIP);
                }
                self.send(id, SessionEvent::Reply(ask.id, classified));
            }
        }
        if matches!(habit, Habit::Turns(most) if self.soured >= most) {
            let words = "554 5.7.1 Your IP address is blocked using zen.spamhaus.org";
            self.send(id, SessionEvent::Rejected(self.classified(id, Stage::Rcpt, words)));
        } else if batch.is_last {
            self.end(id);
        } else {
            self.send(id, SessionEvent::BatchDone);
        }
    }

    /// A goodbye is answered; by who has said too much, with another answer.
    pub(super) fn end(&mut self, id: SessionId) {
        let stutters = self.sessions[&id].habit == Some(Habit::Stutters);
        self.send(id, SessionEvent::Ended(stutters.then_some(Finding::MalformedReply)));
    }

    pub(super) fn answer(&mut self, habit: Habit, ask: &RcptProbe) -> String {
        let address = ask.address.to_string();
        let exists = self.exists.contains(&address) || ask.address.local() == "postmaster";
        match habit {
            Habit::BlocksAt(_) => {
                return "554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org".to_owned();
            }
            Habit::Mute => return "550 Rejected".to_owned(),
            Habit::Turns(_) if ask.address.local().starts_with("user") => return "250 2.1.5 Ok".to_owned(),
            Habit::Sours(_) | Habit::Turns(_) | Habit::Stutters => {
                return "550 5.1.1 User unknown".to_owned();
            }
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
