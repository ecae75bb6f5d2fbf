//! MX hosts of many habits: what they reply, what they remember, and what they count.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::IpAddr;

use super::habits::Traits;
use super::machines::{Machines, Spent};
use super::*;
use crate::evidence::ClassifiedReply;
use crate::policy::{Provider, ReplyContext, ReplyRules};
use crate::reason::Finding;
use crate::smtp::{Batch, ProbeId, RcptProbe, Reply};

/// A session as a host sees it.
#[derive(Default)]
pub(super) struct Open {
    pub(super) lane: String,
    pub(super) habit: Option<Habit>,
    pub(super) provider: Option<Arc<Provider>>,
    pub(super) address: Option<IpAddr>,
    pub(super) egress: usize,
    pub(super) tls: bool,
    /// When it was opened.
    pub(super) opened: Duration,
    /// The sessions that the host had before.
    pub(super) number: u32,
    pub(super) traits: Traits,
    /// When its last reply so far arrives.
    pub(super) last_reply: Duration,
    pub(super) transactions: u32,
    pub(super) rejected: u32,
    pub(super) replies: u32,
    pub(super) unknown: u32,
    /// Of a host that lags: what it says next.
    pub(super) next_exists: bool,
}

impl Open {
    /// The key by which a host counts.
    fn host(&self) -> (IpAddr, usize) {
        (self.address.unwrap(), self.egress)
    }
}

/// The hosts, what they remember, and their replies in flight.
#[derive(Default)]
pub(super) struct World {
    pub(super) habits: HashMap<IpAddr, (Habit, String)>,
    /// The lane of each MX host at an IP address that several providers share.
    pub(super) lanes: HashMap<(IpAddr, Domain), String>,
    pub(super) machines: Machines,
    pub(super) spent: Spent,
    /// Until when sessions may start for a domain at an IP address.
    pub(super) expires: HashMap<(Domain, IpAddr), Duration>,
    /// The MX hosts of domains that move.
    pub(super) new_routes: HashMap<Domain, Vec<MxHop>>,
    /// The recipient of each probe.
    pub(super) asked: HashMap<ProbeId, String>,
    /// The recipients that were accepted.
    pub(super) accepted_recipients: HashSet<String>,
    /// Of hosts with unusual traits.
    pub(super) traits: HashMap<IpAddr, Traits>,
    /// Jobs that come later, in order, each with the end of its route; and facts from other parts of their domains.
    pub(super) jobs: VecDeque<(Duration, DomainJob, Duration)>,
    pub(super) facts: HashMap<Domain, DomainFacts>,
    pub(super) exists: HashSet<String>,
    pub(super) sessions: HashMap<SessionId, Open>,
    pub(super) in_flight: BTreeMap<(Duration, u64), (SessionId, SessionEvent)>,
    pub(super) sent: u64,
    pub(super) now: Duration,
    /// When a recipient or a domain was first deferred, from each egress; since a day before the run.
    pub(super) first_seen: HashMap<String, Duration>,
    /// What a host counts of an egress: too fast recipients, connections, replies before it blocks us, or unknown
    /// recipients.
    pub(super) counts: HashMap<(IpAddr, usize), u32>,
    /// When a host that starts to block us first said so, by lane and IP address.
    pub(super) turned_at: HashMap<(String, Option<IpAddr>), Duration>,
    /// The IP address at which a listed recipient was probed last.
    pub(super) last_probed_at: HashMap<String, Option<IpAddr>>,
    /// IP addresses at which a recipient was accepted.
    pub(super) accepted_at: HashSet<IpAddr>,
    /// Lanes at which a recipient was accepted.
    pub(super) accepted: HashSet<String>,
    /// The egress from which each recipient was probed.
    pub(super) probed_from: HashMap<String, usize>,
    /// When each recipient was completed.
    pub(super) completed_at: HashMap<RecipientId, Duration>,
    /// The addresses whose replies were revoked.
    pub(super) revoked: Vec<Address>,
    /// The number of recipients beyond the limit of their transactions.
    pub(super) too_many: usize,
    /// By lane: when connections were opened, when recipients were probed, and when unknown ones were rejected.
    pub(super) connections: HashMap<String, Vec<Duration>>,
    pub(super) probes: HashMap<String, Vec<Duration>>,
    pub(super) unknown: HashMap<String, Vec<Duration>>,
}

/// The reply of a host that blocks us.
pub(super) const BLOCKED: &str = "554 5.7.1 Your IP address is blocked using zen.spamhaus.org";

/// How long a session waits for a server that sends nothing.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The lane of a provider from an egress.
pub(super) fn lane_from(egress: usize, key: &str) -> String {
    if egress == 0 { key.to_owned() } else { format!("{key} from {egress}") }
}

impl World {
    pub(super) fn timestamp(&self) -> Timestamp {
        // Some days after the epoch, because earlier runs come before.
        Timestamp { elapsed: self.now, wall: std::time::UNIX_EPOCH + 10 * DAY + self.now }
    }

    /// Sends an event after those that the session sent before. Returns when it arrives.
    pub(super) fn send(&mut self, session: SessionId, event: SessionEvent) -> Duration {
        let waits = match event {
            SessionEvent::Ended(Some(Finding::Timeout)) => TIMEOUT,
            SessionEvent::Reply(..) => self.sessions[&session].traits.wait,
            _ => Duration::ZERO,
        };
        let now = self.now;
        let open = self.sessions.get_mut(&session).unwrap();
        open.last_reply = open.last_reply.max(now + open.traits.rtt) + waits;
        let at = open.last_reply;
        self.put(session, at, event);
        at
    }

    fn put(&mut self, session: SessionId, at: Duration, event: SessionEvent) {
        self.sent += 1;
        self.in_flight.insert((at, self.sent), (session, event));
    }

    /// Counts at a host. Returns the count before.
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
        let key = self.lanes.get(&(opening.address, opening.host.clone())).cloned().unwrap_or(key);
        let lane = lane_from(opening.egress, &key);
        let traits = self.traits.get(&opening.address).cloned().unwrap_or_default();
        let capabilities = traits.capabilities.clone();
        let host = (opening.address, opening.egress);
        let number = if let Habit::RejectsAtFirst(_) = habit { self.count(host) } else { 0 };
        let open = Open {
            lane: lane.clone(),
            number,
            habit: Some(habit),
            provider: Some(opening.provider.clone()),
            address: Some(opening.address),
            egress: opening.egress,
            tls: opening.tls,
            opened: self.now,
            traits,
            ..Open::default()
        };
        self.sessions.insert(opening.session, open);
        self.connections.entry(lane.clone()).or_default().push(self.now);
        let machine = (opening.egress, opening.address);
        self.machines.connections.entry(machine).or_default().push(self.now);
        if let Some(limits) = self.machines.limits.get(&opening.address) {
            let open = self.sessions.values().filter(|open| open.host() == (machine.1, machine.0)).count();
            assert!(open <= limits.open as usize, "{open} sessions at {}", opening.address);
        }
        assert!(
            run.egresses[opening.egress].includes(&opening.address),
            "an IP address that the egress can't reach"
        );
        assert!(self.sessions.len() <= run.sockets, "more sessions than sockets");
        let open_now = self.sessions.values().filter(|open| open.lane == lane).count();
        assert!(open_now <= opening.provider.limits(run.pace).open as usize, "{open_now} sessions at once");
        let rejected = |stage, words| SessionEvent::Rejected(self.classified(opening.session, stage, words));
        let event = match habit {
            Habit::Unreachable => SessionEvent::Ended(Some(Finding::ConnectFailed)),
            Habit::Silent => SessionEvent::Ended(Some(Finding::Timeout)),
            Habit::BlocksAt(stage @ (Stage::Connect | Stage::Helo)) => rejected(stage, BLOCKED),
            Habit::BlocksEgress(egress) if egress == opening.egress => rejected(Stage::Connect, BLOCKED),
            Habit::DropsFirst(most) if self.counted(host) < most => {
                SessionEvent::Ended(Some(Finding::Disconnected))
            }
            Habit::BusyAtFirst(most) if self.counted(host) < most => {
                rejected(Stage::Connect, "421 4.7.0 Too many connections from your host, try again later")
            }
            Habit::BusyUntil(minutes) if self.now < MINUTE * minutes => {
                rejected(Stage::Connect, &format!("421 4.3.2 Busy, please try again in {minutes} minutes"))
            }
            Habit::BrokenTls | Habit::OffersBrokenTls if opening.tls => SessionEvent::TlsFailed,
            _ => SessionEvent::Ready(capabilities),
        };
        if matches!(habit, Habit::DropsFirst(_) | Habit::BusyAtFirst(_)) {
            self.count(host);
        }
        self.send(opening.session, event);
    }

    pub(super) fn send_batch(&mut self, id: SessionId, batch: &Batch) {
        let open = self.sessions.get_mut(&id).unwrap();
        let (habit, provider, traits) =
            (open.habit.unwrap(), open.provider.clone().unwrap(), open.traits.clone());
        let (session_limits, capabilities) = (provider.session_limits, traits.capabilities);
        // The session is not idle any more.
        self.in_flight.retain(|_, (other, _)| *other != id);
        for transaction in &batch.transactions {
            let open = self.sessions.get_mut(&id).unwrap();
            open.transactions += 1;
            let most = session_limits.transactions.min(capabilities.mail_max.unwrap_or(u32::MAX));
            assert!(open.transactions <= most, "too many transactions");
            let most = session_limits.recipients.min(capabilities.rcpt_max.unwrap_or(u32::MAX));
            assert!(transaction.recipients.len() <= most as usize, "too many recipients");
            let domains: HashSet<_> =
                transaction.recipients.iter().map(|probe| probe.address.domain().cloned()).collect();
            assert_eq!(domains.len(), 1, "one domain per transaction");
            for (place, probe) in transaction.recipients.iter().enumerate() {
                if probe.address.needs_smtputf8() && !capabilities.smtputf8 {
                    self.send(id, SessionEvent::NotSupported(probe.id));
                } else if !self.probe(id, habit, place, probe) {
                    return;
                }
            }
        }
        let host = self.sessions[&id].host();
        if matches!(habit, Habit::Lags(most) if self.sessions[&id].replies > most) {
            self.break_off(id, Finding::MalformedReply);
        } else if matches!(habit, Habit::Turns(most) if self.counted(host) >= most) {
            self.end_with(id, Stage::Rcpt, BLOCKED);
        } else if batch.is_last {
            self.end(id);
        } else {
            let done = self.send(id, SessionEvent::BatchDone);
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
                self.put(id, done + Duration::from_secs(seconds), ended);
            }
        }
    }

    /// Handles one RCPT, and MAIL with the first of a transaction. False if the session ends with it.
    fn probe(&mut self, id: SessionId, habit: Habit, place: usize, probe: &RcptProbe) -> bool {
        let open = &self.sessions[&id];
        let (lane, host, egress, tls) = (open.lane.clone(), open.host(), open.egress, open.tls);
        let (replies, is_listed) = (open.replies, probe.address.local().starts_with("user"));
        self.probes.entry(lane.clone()).or_default().push(self.now);
        self.machines.probes.entry((egress, host.0)).or_default().push(self.now);
        if is_listed {
            self.check_route(id, probe);
            self.asked.insert(probe.id, probe.address.to_string());
            self.last_probed_at.insert(probe.address.to_string(), self.sessions[&id].address);
            let probed_from = *self.probed_from.entry(probe.address.to_string()).or_insert(egress);
            // A control of rejections may be a recipient that was accepted from another egress.
            let is_control = self.sessions[&id].address.is_some_and(|ip| self.accepted_at.contains(&ip));
            assert!(probed_from == egress || is_control, "{} is probed from another egress", probe.address);
        }
        let at_mail = match habit {
            Habit::BlocksAt(Stage::Mail) | Habit::HangsUpAt(Stage::Mail) => Some(BLOCKED),
            Habit::BrokenTls => Some("530 5.7.0 Must issue a STARTTLS command first"),
            Habit::DemandsTls if !tls => Some("530 5.7.0 Must issue a STARTTLS command first"),
            _ => None,
        };
        if let Some(words) = at_mail {
            let classified = self.classified(id, Stage::Mail, words);
            self.send(id, SessionEvent::Reply(probe.id, classified));
            if let Habit::HangsUpAt(_) = habit {
                self.send(id, SessionEvent::Ended(Some(Finding::Disconnected)));
                return false;
            }
            return true;
        }
        match habit {
            Habit::DropsAfter(most) if replies >= most => return self.break_off(id, Finding::Disconnected),
            Habit::SilentAfter(most) if replies >= most => return self.break_off(id, Finding::Timeout),
            Habit::Garbles(most) if replies >= most => return self.break_off(id, Finding::MalformedReply),
            Habit::DropsAt(place) if probe.address.local() == format!("user{place}") => {
                return self.break_off(id, Finding::Disconnected);
            }
            Habit::Sours(most) if self.counted(host) >= most => {
                return self.end_with(id, Stage::Rcpt, BLOCKED);
            }
            Habit::Sheds(most) if self.is_over(id, most) => {
                return self.end_with(id, Stage::Rcpt, "421 4.3.2 System overloaded, try again later");
            }
            Habit::EndsAfter(most) if replies >= most => {
                return self.end_with(id, Stage::Rcpt, "421 4.7.0 Error: too many errors");
            }
            _ => {}
        }
        let words = match habit {
            Habit::Takes(most) if place >= most => {
                self.too_many += 1;
                "452 4.5.3 Too many recipients".to_owned()
            }
            _ => self.reply_to(id, habit, probe),
        };
        if matches!(habit, Habit::Sours(_) | Habit::RejectsAfterInAll(_))
            || matches!(habit, Habit::Turns(_) if !is_listed)
        {
            self.count(host);
        }
        let classified = self.classified(id, Stage::Rcpt, &words);
        let is_unknown = words.contains("5.1.1");
        if is_unknown && matches!(habit, Habit::LiesInAll(_)) {
            self.count(host);
        }
        let is_rejected = !classified.reply.is_positive();
        let at = self.send(id, SessionEvent::Reply(probe.id, classified));
        let open = self.sessions.get_mut(&id).unwrap();
        open.replies += 1;
        open.rejected += u32::from(is_rejected);
        open.unknown += u32::from(is_unknown);
        let refused = open.provider.as_ref().unwrap().session_limits.rejections;
        assert!(open.rejected <= refused, "too many rejected recipients");
        if is_unknown {
            self.unknown.entry(lane).or_default().push(at + DAY);
            self.machines.unknown.entry((egress, host.0)).or_default().push(at);
        }
        let ends = matches!(habit, Habit::EndsAfterRejection) && is_rejected;
        if ends || matches!(habit, Habit::HangsUpAt(Stage::Rcpt)) {
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

    /// Records which lane accepts a recipient, and when a host that starts to block us says so.
    pub(super) fn note(&mut self, id: SessionId, event: &SessionEvent) {
        let open = &self.sessions[&id];
        let turns = matches!(open.habit, Some(Habit::Sours(_) | Habit::Turns(_)));
        match event {
            SessionEvent::Reply(probe, classified) if classified.reply.is_positive() => {
                self.accepted_recipients.extend(self.asked.get(probe).cloned());
                self.accepted.insert(open.lane.clone());
                self.accepted_at.extend(open.address);
            }
            SessionEvent::Rejected(_) if turns => {
                self.turned_at.entry((open.lane.clone(), open.address)).or_insert(self.now);
            }
            _ => {}
        }
    }

    /// Replies to QUIT. A host that sent a surplus reply sends that one instead.
    pub(super) fn end(&mut self, id: SessionId) {
        let stutters = self.sessions[&id].habit == Some(Habit::Stutters);
        self.send(id, SessionEvent::Ended(stutters.then_some(Finding::MalformedReply)));
    }

    /// True if the first probe of this recipient or domain from the egress of the session is long enough ago.
    fn has_waited(&mut self, id: SessionId, what: &str, wait: Duration) -> bool {
        let now = self.now + DAY;
        let first = self.first_seen.entry(first_seen_key(self.sessions[&id].egress, what)).or_insert(now);
        now >= *first + wait
    }

    fn reply_to(&mut self, id: SessionId, habit: Habit, probe: &RcptProbe) -> String {
        let address = probe.address.to_string();
        let exists = self.exists.contains(&address) || probe.address.local() == "postmaster";
        let (host, unknown) = (self.sessions[&id].host(), self.sessions[&id].unknown);
        let minutes = |minutes: u64| MINUTE * u32::try_from(minutes).unwrap();
        let domain = || probe.address.domain().unwrap().to_string();
        let words = match habit {
            Habit::BlocksAt(_) | Habit::HangsUpAt(_) => BLOCKED,
            Habit::Mute => "550 Rejected",
            Habit::Turns(_) if probe.address.local().starts_with("user") => "250 2.1.5 Ok",
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
            Habit::Overloaded(most) if self.is_over(id, most) => {
                "451 4.3.2 System overloaded, try again later"
            }
            // What the recipient before got, or MAIL.
            Habit::Lags(most) if self.sessions[&id].replies >= most => {
                let open = self.sessions.get_mut(&id).unwrap();
                let is_known = std::mem::replace(&mut open.next_exists, exists);
                return if is_known { "250 2.1.5 Ok" } else { "550 5.1.1 User unknown" }.to_owned();
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
            Habit::CannotVerify => "252 2.1.5 Cannot VRFY user, but will take message",
            Habit::AcceptsAfter(most) if self.sessions[&id].replies >= most => "250 2.1.5 Ok",
            Habit::RejectsAfter(most) if self.sessions[&id].replies >= most => "550 5.1.1 User unknown",
            Habit::RejectsAfterInAll(most) if self.counted(host) >= most => "550 5.1.1 User unknown",
            Habit::RejectsAtFirst(most) if self.sessions[&id].number < most => "550 5.1.1 User unknown",
            Habit::DeniesAfter(most) if self.sessions[&id].replies >= most => "550 5.7.1 Access denied",
            Habit::Lies(most) if unknown >= most => "250 2.1.5 Ok",
            Habit::LiesInAll(most) if self.counted(host) >= most => "250 2.1.5 Ok",
            _ if exists => "250 2.1.5 Ok",
            Habit::Curt => "550 Rejected",
            _ => "550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown",
        };
        words.replace("{rcpt}", &address)
    }
}

/// What a host that greylists remembers.
pub(super) fn first_seen_key(egress: usize, what: &str) -> String {
    format!("{what} from {egress}")
}
