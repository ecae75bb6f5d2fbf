//! MX hosts of many habits: what they reply, what they remember, and what they count.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::IpAddr;

use super::habits::{Habit, Traits};
use super::{MINUTE, Run};
use crate::address::{Address, Domain};
use crate::evidence::{ClassifiedReply, DomainFacts, RecipientId};
use crate::policy::{Provider, ReplyContext, ReplyRules};
use crate::reason::Finding;
use crate::schedule::lane::DAY;
use crate::schedule::*;
use crate::smtp::{Batch, RcptProbe, Reply, Stage};

/// A session as a host sees it.
#[derive(Default)]
pub(super) struct Open {
    pub(super) lane: String,
    pub(super) habit: Option<Habit>,
    pub(super) provider: Option<Arc<Provider>>,
    pub(super) address: Option<IpAddr>,
    pub(super) egress: usize,
    pub(super) tls: bool,
    pub(super) traits: Traits,
    /// Its last reply so far arrives then.
    pub(super) last_reply: Duration,
    pub(super) transactions: u32,
    pub(super) refused: u32,
    pub(super) answers: u32,
    pub(super) unknown: u32,
}

impl Open {
    /// The host, as far as it knows us: by the egress.
    fn host(&self) -> (IpAddr, usize) {
        (self.address.unwrap(), self.egress)
    }
}

/// The hosts, what they remember, and what is on its way to us.
#[derive(Default)]
pub(super) struct World {
    pub(super) habits: HashMap<IpAddr, (Habit, String)>,
    /// Of hosts that are not as usual.
    pub(super) traits: HashMap<IpAddr, Traits>,
    /// Domains that come later, in order, and what other parts of them showed.
    pub(super) orders: VecDeque<(Duration, DomainJob)>,
    pub(super) learnt: HashMap<Domain, DomainFacts>,
    pub(super) exists: HashSet<String>,
    pub(super) sessions: HashMap<SessionId, Open>,
    pub(super) on_the_way: BTreeMap<(Duration, u64), (SessionId, SessionEvent)>,
    pub(super) sent: u64,
    pub(super) now: Duration,
    /// When a recipient or a domain was first deferred, from each egress; since a day before the run.
    pub(super) newcomers: HashMap<String, Duration>,
    /// What a host counts of an egress: too fast recipients, connections, replies before it blocks us, or unknown recipients.
    pub(super) counts: HashMap<(IpAddr, usize), u32>,
    /// When a host that turned against us first said so, by lane.
    pub(super) turned: HashMap<String, Duration>,
    /// Lanes at which somebody was accepted.
    pub(super) accepted: HashSet<String>,
    /// From where each listed address was probed.
    pub(super) asked_from: HashMap<String, usize>,
    /// The run opens connections without end for nobody: see `faults`.
    pub(super) never_ends: bool,
    /// When each address was settled.
    pub(super) settled_at: HashMap<RecipientId, Duration>,
    /// Whose answers were taken back.
    pub(super) taken_back: Vec<Address>,
    /// Recipients too many in their transactions.
    pub(super) too_many: usize,
    /// By lane: when connections came, recipients came, unknown ones were refused.
    pub(super) connection_pacer: HashMap<String, Vec<Duration>>,
    pub(super) asks: HashMap<String, Vec<Duration>>,
    pub(super) unknown: HashMap<String, Vec<Duration>>,
}

/// The words of a block.
pub(super) const BLOCKED: &str = "554 5.7.1 Your IP address is blocked using zen.spamhaus.org";

/// How long a session waits for a server that sends nothing.
const TIMEOUT: Duration = Duration::from_secs(300);

/// An operator's lane from an egress.
pub(super) fn lane_from(egress: usize, key: &str) -> String {
    if egress == 0 { key.to_owned() } else { format!("{key} from {egress}") }
}

impl World {
    pub(super) fn moment(&self) -> Timestamp {
        // Some days after the beginning of time, because earlier runs were before.
        Timestamp { elapsed: self.now, wall: std::time::UNIX_EPOCH + 10 * DAY + self.now }
    }

    /// Sends something after what the session sent before; tells when it arrives.
    pub(super) fn send(&mut self, session: SessionId, heard: SessionEvent) -> Duration {
        let waits = match heard {
            SessionEvent::Ended(Some(Finding::Timeout)) => TIMEOUT,
            SessionEvent::Reply(..) => self.sessions[&session].traits.wait,
            _ => Duration::ZERO,
        };
        let now = self.now;
        let open = self.sessions.get_mut(&session).unwrap();
        open.last_reply = open.last_reply.max(now + open.traits.rtt) + waits;
        let at = open.last_reply;
        self.put(session, at, heard);
        at
    }

    fn put(&mut self, session: SessionId, at: Duration, heard: SessionEvent) {
        self.sent += 1;
        self.on_the_way.insert((at, self.sent), (session, heard));
    }

    /// Counts at a host; what it was before.
    fn count(&mut self, host: (IpAddr, usize)) -> u32 {
        let count = self.counts.entry(host).or_default();
        *count += 1;
        *count - 1
    }

    fn counted(&self, host: (IpAddr, usize)) -> u32 {
        self.counts.get(&host).copied().unwrap_or(0)
    }

    pub(super) fn classified(&self, session: SessionId, stage: Stage, words: &str) -> ClassifiedReply {
        let provider = self.sessions[&session].provider.as_ref().filter(|provider| provider.is_known());
        let reply = Reply::parse(format!("{words}\r\n").as_bytes()).unwrap();
        let context = ReplyContext { stage, provider: provider.map(|provider| &*provider.id) };
        ClassifiedReply { stage, meaning: ReplyRules::built_in().classify(&reply, &context).into(), reply }
    }

    pub(super) fn open(&mut self, opening: &SessionOpening, run: Run) {
        let (habit, key) = self.habits[&opening.address].clone();
        let lane = lane_from(opening.egress, &key);
        let traits = self.traits.get(&opening.address).cloned().unwrap_or_default();
        let capabilities = traits.capabilities.clone();
        let host = (opening.address, opening.egress);
        let open = Open {
            lane: lane.clone(),
            habit: Some(habit),
            provider: Some(opening.provider.clone()),
            address: Some(opening.address),
            egress: opening.egress,
            tls: opening.tls,
            traits,
            ..Open::default()
        };
        self.sessions.insert(opening.session, open);
        self.connection_pacer.entry(lane.clone()).or_default().push(self.now);
        assert!(
            run.egresses[opening.egress].includes(&opening.address),
            "an address that the egress can't reach"
        );
        assert!(self.sessions.len() <= run.sockets, "more sessions than sockets");
        let at_once = self.sessions.values().filter(|open| open.lane == lane).count();
        assert!(at_once <= opening.provider.limits(run.pace).open as usize, "{at_once} sessions at once");
        let refused = |stage, words| SessionEvent::Rejected(self.classified(opening.session, stage, words));
        let heard = match habit {
            Habit::Unreachable => SessionEvent::Ended(Some(Finding::ConnectFailed)),
            Habit::Silent => SessionEvent::Ended(Some(Finding::Timeout)),
            Habit::BlocksAt(stage @ (Stage::Connect | Stage::Helo)) => refused(stage, BLOCKED),
            Habit::BlocksEgress(egress) if egress == opening.egress => refused(Stage::Connect, BLOCKED),
            Habit::DropsFirst(most) if self.counted(host) < most => {
                SessionEvent::Ended(Some(Finding::Disconnected))
            }
            Habit::BusyAtFirst(most) if self.counted(host) < most => {
                refused(Stage::Connect, "421 4.7.0 Too many connections from your host, try again later")
            }
            Habit::BrokenTls | Habit::OffersBrokenTls if opening.tls => SessionEvent::TlsFailed,
            _ => SessionEvent::Ready(capabilities),
        };
        if matches!(habit, Habit::DropsFirst(_) | Habit::BusyAtFirst(_)) {
            self.count(host);
        }
        self.send(opening.session, heard);
    }

    pub(super) fn send_batch(&mut self, id: SessionId, batch: &Batch) {
        let open = self.sessions.get_mut(&id).unwrap();
        let (habit, provider, traits) =
            (open.habit.unwrap(), open.provider.clone().unwrap(), open.traits.clone());
        let (session_limits, capabilities) = (provider.session_limits, traits.capabilities);
        // It is not idle any more.
        self.on_the_way.retain(|_, (other, _)| *other != id);
        for transaction in &batch.transactions {
            let open = self.sessions.get_mut(&id).unwrap();
            open.transactions += 1;
            let most = session_limits.transactions.min(capabilities.mail_max.unwrap_or(u32::MAX));
            assert!(open.transactions <= most, "too many transactions");
            let most = session_limits.recipients.min(capabilities.rcpt_max.unwrap_or(u32::MAX));
            assert!(transaction.recipients.len() <= most as usize, "too many recipients");
            let domains: HashSet<_> =
                transaction.recipients.iter().map(|ask| ask.address.domain().cloned()).collect();
            assert_eq!(domains.len(), 1, "one domain per transaction");
            for (place, ask) in transaction.recipients.iter().enumerate() {
                if ask.address.needs_smtputf8() && !capabilities.smtputf8 {
                    self.send(id, SessionEvent::NotSupported(ask.id));
                } else if !self.ask(id, habit, place, ask) {
                    return;
                }
            }
        }
        let host = self.sessions[&id].host();
        if matches!(habit, Habit::Turns(most) if self.counted(host) >= most) {
            self.end_with(id, Stage::Rcpt, BLOCKED);
        } else if batch.is_last {
            self.end(id);
        } else {
            let landed = self.send(id, SessionEvent::BatchDone);
            if let Habit::HangsUpIdle(seconds) = habit {
                let ended = if seconds % 2 == 1 {
                    SessionEvent::Rejected(self.classified(
                        id,
                        Stage::Rset,
                        "421 4.4.2 Timeout while waiting for command",
                    ))
                } else {
                    SessionEvent::Ended(Some(Finding::Disconnected))
                };
                self.put(id, landed + Duration::from_secs(seconds), ended);
            }
        }
    }

    /// One RCPT, the first of its transaction with its MAIL. `false`: the session ends with it.
    fn ask(&mut self, id: SessionId, habit: Habit, place: usize, ask: &RcptProbe) -> bool {
        let open = &self.sessions[&id];
        let (lane, host, egress, tls) = (open.lane.clone(), open.host(), open.egress, open.tls);
        let (answers, is_listed) = (open.answers, ask.address.local().starts_with("user"));
        self.asks.entry(lane.clone()).or_default().push(self.now);
        if is_listed {
            let asked_from = *self.asked_from.entry(ask.address.to_string()).or_insert(egress);
            assert_eq!(asked_from, egress, "{} is probed from another egress", ask.address);
        }
        let at_mail = match habit {
            Habit::BlocksAt(Stage::Mail) | Habit::HangsUpAt(Stage::Mail) => Some(BLOCKED),
            Habit::BrokenTls => Some("530 5.7.0 Must issue a STARTTLS command first"),
            Habit::DemandsTls if !tls => Some("530 5.7.0 Must issue a STARTTLS command first"),
            _ => None,
        };
        if let Some(words) = at_mail {
            let classified = self.classified(id, Stage::Mail, words);
            self.send(id, SessionEvent::Reply(ask.id, classified));
            if let Habit::HangsUpAt(_) = habit {
                self.send(id, SessionEvent::Ended(Some(Finding::Disconnected)));
                return false;
            }
            return true;
        }
        match habit {
            Habit::DropsAfter(most) if answers >= most => return self.break_off(id, Finding::Disconnected),
            Habit::SilentAfter(most) if answers >= most => return self.break_off(id, Finding::Timeout),
            Habit::Garbles(most) if answers >= most => return self.break_off(id, Finding::MalformedReply),
            Habit::DropsAt(place) if ask.address.local() == format!("user{place}") => {
                return self.break_off(id, Finding::Disconnected);
            }
            Habit::Sours(most) if self.counted(host) >= most => {
                return self.end_with(id, Stage::Rcpt, BLOCKED);
            }
            Habit::EndsAfter(most) if answers >= most => {
                return self.end_with(id, Stage::Rcpt, "421 4.7.0 Error: too many errors");
            }
            _ => {}
        }
        let words = match habit {
            Habit::Takes(most) if place >= most => {
                self.too_many += 1;
                "452 4.5.3 Too many recipients".to_owned()
            }
            _ => self.answer(id, habit, ask),
        };
        if matches!(habit, Habit::Sours(_)) || matches!(habit, Habit::Turns(_) if !is_listed) {
            self.count(host);
        }
        let classified = self.classified(id, Stage::Rcpt, &words);
        let is_unknown = words.contains("5.1.1");
        if is_unknown && matches!(habit, Habit::LiesInAll(_)) {
            self.count(host);
        }
        let is_refused = !classified.reply.is_positive();
        let at = self.send(id, SessionEvent::Reply(ask.id, classified));
        let open = self.sessions.get_mut(&id).unwrap();
        open.answers += 1;
        open.refused += u32::from(is_refused);
        open.unknown += u32::from(is_unknown);
        let refused = open.provider.as_ref().unwrap().session_limits.rejections;
        assert!(open.refused <= refused, "too many refused recipients");
        // The scheduler counts no reply of a session that turns out to be out of step, though its host does.
        if is_unknown && !matches!(habit, Habit::Stutters | Habit::Garbles(_)) {
            self.unknown.entry(lane).or_default().push(at + DAY);
        }
        if let Habit::HangsUpAt(Stage::Rcpt) = habit {
            return self.break_off(id, Finding::Disconnected);
        }
        true
    }

    fn break_off(&mut self, id: SessionId, finding: Finding) -> bool {
        self.send(id, SessionEvent::Ended(Some(finding)));
        false
    }

    fn end_with(&mut self, id: SessionId, stage: Stage, words: &str) -> bool {
        self.send(id, SessionEvent::Rejected(self.classified(id, stage, words)));
        false
    }

    /// Notes who accepts somebody, and when a host that turned against us says so.
    pub(super) fn note(&mut self, id: SessionId, heard: &SessionEvent) {
        let open = &self.sessions[&id];
        let turns = matches!(open.habit, Some(Habit::Sours(_) | Habit::Turns(_)));
        match heard {
            SessionEvent::Reply(_, classified) if classified.reply.is_positive() => {
                self.accepted.insert(open.lane.clone());
            }
            SessionEvent::Rejected(_) if turns => {
                self.turned.entry(open.lane.clone()).or_insert(self.now);
            }
            _ => {}
        }
    }

    /// A goodbye is answered; by who has said too much, with another answer.
    pub(super) fn end(&mut self, id: SessionId) {
        let stutters = self.sessions[&id].habit == Some(Habit::Stutters);
        self.send(id, SessionEvent::Ended(stutters.then_some(Finding::MalformedReply)));
    }

    /// Has this been waited for since it was first asked about from the egress of a session?
    fn has_waited(&mut self, id: SessionId, what: &str, wait: Duration) -> bool {
        let now = self.now + DAY;
        let first = self.newcomers.entry(newcomer(self.sessions[&id].egress, what)).or_insert(now);
        now >= *first + wait
    }

    fn answer(&mut self, id: SessionId, habit: Habit, ask: &RcptProbe) -> String {
        let address = ask.address.to_string();
        let exists = self.exists.contains(&address) || ask.address.local() == "postmaster";
        let (host, unknown) = (self.sessions[&id].host(), self.sessions[&id].unknown);
        let minutes = |minutes: u64| MINUTE * u32::try_from(minutes).unwrap();
        let domain = || ask.address.domain().unwrap().to_string();
        let words = match habit {
            Habit::BlocksAt(_) | Habit::HangsUpAt(_) => BLOCKED,
            Habit::Mute => "550 Rejected",
            Habit::Turns(_) if ask.address.local().starts_with("user") => "250 2.1.5 Ok",
            Habit::Sours(_) | Habit::Turns(_) | Habit::Stutters => "550 5.1.1 User unknown",
            Habit::Denies => "554 5.7.1 <{rcpt}>: Relay access denied",
            Habit::TooFast(most) if self.counted(host) < most => {
                self.count(host);
                "450 4.7.1 Error: too many recipients from 192.0.2.1"
            }
            Habit::TooFastFor(most) if self.counted(host) < most => {
                self.count(host);
                "450 4.7.1 Error: too many recipients from 192.0.2.1, please try again in 90 seconds"
            }
            Habit::FailsAtFirst(most) if self.counted(host) < most => {
                self.count(host);
                "451 4.3.0 Temporary lookup failure"
            }
            Habit::Greylists(wait) if !self.has_waited(id, &address, minutes(wait)) => {
                "450 4.2.0 <{rcpt}>: Recipient address rejected: Greylisted"
            }
            Habit::GreylistsDomain(wait) if !self.has_waited(id, &domain(), minutes(wait)) => {
                "450 4.2.0 <{rcpt}>: Recipient address rejected: Greylisted"
            }
            Habit::GreylistsFor(wait) if !self.has_waited(id, &address, Duration::from_secs(wait)) => {
                return format!("451 4.7.1 Greylisted, please try again in {wait} seconds");
            }
            Habit::CatchAll => "250 2.1.5 Ok",
            Habit::Lies(most) if unknown >= most => "250 2.1.5 Ok",
            Habit::LiesInAll(most) if self.counted(host) >= most => "250 2.1.5 Ok",
            _ if exists => "250 2.1.5 Ok",
            Habit::Curt => "550 Rejected",
            _ => "550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown",
        };
        words.replace("{rcpt}", &address)
    }
}

/// What a host that greylists remembers of a recipient or a domain.
pub(super) fn newcomer(egress: usize, what: &str) -> String {
    format!("{what} from {egress}")
}
