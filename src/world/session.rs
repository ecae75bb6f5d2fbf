//! One client at one host: the server's side of RFC 5321 as a state machine.
//!
//! Decides: what is said to each command, by the host's rules first and its mailboxes after. Bytes in, [`Act`]s out;
//! the clock is told, so one machine serves frozen time and real sockets. Must not: read, write, wait. Client lines
//! without an end are cut off.

use std::collections::{HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::World;
use super::heard::Line;
use super::host::{Host, Occasion};
use super::limits::Violation;
use super::script::{AnswerEntry, Deed, Moment, Tls, Words};
use super::words::Situation;
use crate::address::Domain;

/// Longest line that is taken from a client, in bytes.
const MAX_LINE_BYTES: usize = 4096;

/// What the driver does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Sends these bytes.
    Say(Vec<u8>),
    /// Sends these bytes, one a second.
    Drip(Vec<u8>),
    /// Sends these bytes again and again, until the client is gone.
    SayForEver(&'static [u8]),
    /// Lets time pass.
    Wait(Duration),
    /// Reads what comes, and says nothing any more.
    Silence,
    /// Begins the TLS handshake; then [`Session::is_secured`].
    StartTls,
    /// Hangs up.
    Close,
    /// Resets the connection.
    Reset,
}

/// A transaction.
struct Mail {
    sender: String,
    smtputf8: bool,
    recipients: u32,
    domains: HashSet<String>,
}

/// The server's side of one connection.
pub struct Session {
    world: Arc<World>,
    host: Arc<Host>,
    client: IpAddr,
    number: u64,
    began: Duration,
    now: Duration,
    input: Vec<u8>,
    acts: VecDeque<Act>,
    over: bool,
    greeted: bool,
    has_spoken: bool,
    secure: bool,
    helo: Option<String>,
    extended: bool,
    mail: Option<Mail>,
    /// How often each moment came; by [`Moment`]'s order.
    moments: [u32; 7],
    mails: u32,
    resets: u32,
    errors: u32,
    unknowns: u32,
    asked: Vec<(String, u16)>,
    violations: Vec<Violation>,
}

impl Session {
    /// A client has come to a host.
    pub fn new(world: Arc<World>, host: Arc<Host>, client: IpAddr) -> Session {
        let now = world.elapsed();
        let (number, wrong) = host.opens(client, now);
        let mut session = Session {
            world,
            host,
            client,
            number,
            began: now,
            now,
            input: Vec::new(),
            acts: VecDeque::new(),
            over: false,
            greeted: false,
            has_spoken: false,
            secure: false,
            helo: None,
            extended: false,
            mail: None,
            moments: [0; 7],
            mails: 0,
            resets: 0,
            errors: 0,
            unknowns: 0,
            asked: Vec::new(),
            violations: Vec::new(),
        };
        let mut defended = false;
        for violation in wrong {
            defended = session.is_defended(violation) || defended;
        }
        session.greeted = defended;
        session
    }

    /// The host that the client came to.
    pub fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// The world that the host is in.
    pub fn world(&self) -> Arc<World> {
        Arc::clone(&self.world)
    }

    /// Takes what the client sent.
    pub fn hear(&mut self, bytes: &[u8]) {
        if !self.has_spoken {
            self.note(Violation::EarlyTalk);
        }
        if !self.over {
            self.input.extend_from_slice(bytes);
        }
    }

    /// The handshake succeeded: what was said before is forgotten (RFC 3207 4.2).
    pub fn is_secured(&mut self) {
        self.secure = true;
        self.helo = None;
        self.mail = None;
        self.input.clear();
    }

    /// What to do next; `None` when the client has to speak. `now` is the world's time.
    pub fn next(&mut self, now: Duration) -> Option<Act> {
        self.now = now;
        loop {
            if let Some(act) = self.acts.pop_front() {
                self.has_spoken |= !matches!(act, Act::Wait(_));
                return Some(act);
            }
            if self.over {
                return Some(Act::Close);
            }
            if !self.greeted {
                self.greeted = true;
                let usual = self.host.behaviour.greeting.as_ref().map(|words| words.0.clone());
                let usual = usual.unwrap_or_else(|| self.host.behaviour.software.greeting().to_owned());
                self.answer(Moment::Connect, &usual);
                continue;
            }
            match self.take_line() {
                Some(line) => self.hear_command(&line),
                None if self.acts.is_empty() => return None,
                None => {}
            }
        }
    }

    /// The next whole line, without its end.
    fn take_line(&mut self) -> Option<Vec<u8>> {
        let Some(end) = memchr::memchr(b'\n', &self.input) else {
            if self.input.len() > MAX_LINE_BYTES {
                self.input.clear();
                self.say("500 5.5.2 Error: line too long", Some(Deed::Close), None);
            }
            return None;
        };
        let mut line: Vec<u8> = self.input.drain(..=end).collect();
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Some(line)
    }

    fn hear_command(&mut self, line: &[u8]) {
        if self.over {
            return;
        }
        if !self.input.is_empty() && !(self.extended && self.offers("PIPELINING")) {
            self.note(Violation::UnofferedPipelining);
        }
        let line = String::from_utf8_lossy(line);
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let verb = verb.to_ascii_uppercase();
        let known = [
            "EHLO", "HELO", "STARTTLS", "MAIL", "RCPT", "RSET", "NOOP", "VRFY", "QUIT", "DATA", "BDAT",
            "HELP",
        ];
        self.host.hears(if known.contains(&verb.as_str()) {
            &verb
        } else {
            "OTHER"
        });
        if !self.host.behaviour.think.is_zero() {
            self.acts.push_back(Act::Wait(self.host.behaviour.think));
        }
        match verb.as_str() {
            "EHLO" => self.hear_ehlo(rest),
            "HELO" => self.hear_helo(rest),
            "STARTTLS" => self.hear_starttls(),
            "MAIL" => self.hear_mail(rest),
            "RCPT" => self.hear_rcpt(rest),
            "RSET" => self.hear_rset(),
            "NOOP" => self.tell("250 2.0.0 Ok"),
            "HELP" => self.tell("214 2.0.0 See RFC 5321"),
            "VRFY" => self.tell("252 2.0.0 Cannot VRFY user"),
            "QUIT" => {
                let (words, deed) = self.rule(Moment::Quit, None);
                let words = words.unwrap_or_else(|| "221 2.0.0 Bye".to_owned());
                self.say(&words, deed.or(Some(Deed::Close)), None);
            }
            "DATA" | "BDAT" => self.refuse(Violation::Data),
            _ => {
                self.note(Violation::BadCommand);
                self.tell("500 5.5.2 Error: command not recognized");
            }
        }
    }

    fn hear_ehlo(&mut self, name: &str) {
        if !self.host.behaviour.ehlo {
            return self.tell("502 5.5.1 Error: command not implemented");
        }
        self.begin(name, true);
        let mut lines = vec!["{host}".to_owned()];
        lines.extend(self.keywords().iter().map(|&keyword| keyword.to_owned()));
        if matches!(
            self.host.behaviour.tls,
            Tls::Offered | Tls::Required | Tls::Broken
        ) && !self.secure
        {
            lines.push("STARTTLS".to_owned());
        }
        let last = lines.len() - 1;
        let usual: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(n, line)| format!("250{}{line}", if n == last { ' ' } else { '-' }))
            .collect();
        self.answer(Moment::Helo, &usual.join("\n"));
    }

    fn hear_helo(&mut self, name: &str) {
        self.begin(name, false);
        self.answer(Moment::Helo, "250 {host}");
    }

    fn begin(&mut self, name: &str, extended: bool) {
        self.helo = Some(name.trim().to_owned());
        self.extended = extended;
        self.mail = None;
    }

    fn hear_starttls(&mut self) {
        let tls = self.host.behaviour.tls;
        if self.secure || !matches!(tls, Tls::Offered | Tls::Required | Tls::Broken) {
            return self.refuse(Violation::BadCommand);
        }
        if !self.input.is_empty() {
            // What follows in clear text would be taken for protected commands: RFC 3207 6.
            self.input.clear();
            self.note(Violation::EarlyTalk);
        }
        let said = self.answer(Moment::Starttls, "220 2.0.0 Ready to start TLS");
        if said && tls == Tls::Broken {
            self.acts
                .push_back(Act::Say(b"this is no handshake\r\n".to_vec()));
            self.hang_up(Act::Close);
        } else if said {
            self.acts.push_back(Act::StartTls);
        }
    }

    fn hear_mail(&mut self, rest: &str) {
        let limits = &self.host.behaviour.limits;
        let most = limits.mails_per_session;
        let tls = self.host.behaviour.tls;
        if self.helo.is_none() || self.mail.is_some() {
            return self.refuse(Violation::BadCommand);
        }
        if !self.secure && matches!(tls, Tls::Required | Tls::Impossible) {
            return self.tell("530 5.7.0 Must issue a STARTTLS command first");
        }
        let Some((sender, parameters)) = path(rest, "FROM:") else {
            self.note(Violation::BadCommand);
            return self.tell("501 5.5.4 Syntax: MAIL FROM:<address>");
        };
        let smtputf8 = parameters
            .split(' ')
            .any(|word| word.eq_ignore_ascii_case("SMTPUTF8"));
        if smtputf8 && !(self.extended && self.offers("SMTPUTF8")) {
            self.note(Violation::BadCommand);
            return self.tell("555 5.5.4 Unsupported option: SMTPUTF8");
        }
        self.mails += 1;
        if most.is_some_and(|most| self.mails > most) && self.is_defended(Violation::MailsPerSession) {
            return;
        }
        self.mail = Some(Mail {
            sender: sender.to_lowercase(),
            smtputf8,
            recipients: 0,
            domains: HashSet::new(),
        });
        if !self.answer(Moment::Mail, "250 2.1.0 Ok") {
            self.mail = None;
        }
    }

    fn hear_rcpt(&mut self, rest: &str) {
        let Some((address, _)) = path(rest, "TO:") else {
            self.note(Violation::BadCommand);
            return self.tell("501 5.5.4 Syntax: RCPT TO:<address>");
        };
        self.asked.push((address.to_owned(), 0));
        let too_fast = self.host.is_asked(address, self.client, self.now);
        let Some(mail) = &mut self.mail else {
            return self.refuse(Violation::BadCommand);
        };
        let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
        let smtputf8 = mail.smtputf8;
        let domain =
            Domain::parse(domain).map_or_else(|_| domain.to_lowercase(), |domain| domain.as_str().to_owned());
        let local = local.to_lowercase();
        mail.recipients += 1;
        mail.domains.insert(domain.clone());
        let (recipients, domains) = (mail.recipients as usize, mail.domains.len());
        let limits = &self.host.behaviour.limits;
        let passes = |count: usize, most: Option<u32>| most.is_some_and(|most| count > most as usize);
        let passed = [
            too_fast,
            passes(recipients, limits.rcpts_per_mail).then_some(Violation::RcptsPerMail),
            passes(domains, limits.domains_per_mail).then_some(Violation::DomainsPerMail),
        ];
        for violation in passed.into_iter().flatten() {
            if self.is_defended(violation) {
                return;
            }
        }
        if !address.is_ascii() && !smtputf8 {
            self.note(Violation::BadCommand);
            return self.tell("553 5.6.7 Must declare SMTPUTF8 to permit unicode address");
        }
        let (words, deed) = match self.rule(Moment::Rcpt, Some((&local, &domain))) {
            (Some(words), deed) => (words, deed),
            (None, deed) => {
                let (words, close) = self.mailbox(&local, &domain);
                (words, deed.or(close))
            }
        };
        let code = self.say(&words, deed, Some(address));
        if let Some(asked) = self.asked.last_mut() {
            asked.1 = code;
        }
    }

    fn hear_rset(&mut self) {
        let most = self.host.behaviour.limits.resets_per_session;
        self.resets += 1;
        if most.is_some_and(|most| self.resets > most) && self.is_defended(Violation::ResetsPerSession) {
            return;
        }
        self.mail = None;
        self.answer(Moment::Rset, "250 2.0.0 Ok");
    }

    /// The usual answer for a recipient: relay, greylist, mailbox, in this order.
    fn mailbox(&mut self, local: &str, domain: &str) -> (String, Option<Deed>) {
        let (world, host) = (Arc::clone(&self.world), Arc::clone(&self.host));
        let behaviour = &host.behaviour;
        let stock = |situation| (behaviour.software.words(situation).to_owned(), None);
        if !world.zone.leads_to(domain, host.name.as_str(), &host.addresses) {
            return stock(Situation::Relay);
        }
        let mail = world.zone.mail(domain);
        let greylists = [
            behaviour.greylist.as_ref(),
            mail.and_then(|mail| mail.greylist.as_ref()),
        ];
        for greylist in greylists.into_iter().flatten() {
            if host.is_newcomer(greylist, &self.occasion(0, Some((local, domain)))) {
                let own = greylist.say.as_ref().map(|words| (words.0.clone(), None));
                return own.unwrap_or_else(|| stock(Situation::Greylisted));
            }
        }
        match mail.map_or(AnswerEntry::Is(Situation::Unknown), |mail| {
            mail.answer(domain, local)
        }) {
            AnswerEntry::Says(words) => (words.0, None),
            AnswerEntry::Is(Situation::Unknown) if behaviour.catch_all => stock(Situation::Ok),
            AnswerEntry::Is(Situation::Unknown) => {
                let own = mail
                    .and_then(|mail| mail.unknown.as_ref())
                    .or(behaviour.unknown.as_ref());
                self.nobody(own)
            }
            AnswerEntry::Is(situation) => stock(situation),
        }
    }

    /// The words for "no such mailbox", or what a host says that has heard too many such names.
    fn nobody(&mut self, own: Option<&Words>) -> (String, Option<Deed>) {
        let host = Arc::clone(&self.host);
        let behaviour = &host.behaviour;
        self.unknowns += 1;
        if behaviour
            .accepts_after_unknowns
            .is_some_and(|most| self.unknowns > most)
        {
            return (behaviour.software.words(Situation::Ok).to_owned(), None);
        }
        if !behaviour.tarpit.is_zero() {
            self.acts.push_back(Act::Wait(behaviour.tarpit));
        }
        if let Some(violation) = host.is_asked_for_nobody(self.client, self.now) {
            self.note(violation);
            if behaviour.limits.enforce {
                return (violation.defence().0.to_owned(), Some(Deed::Close));
            }
        }
        let stock = || behaviour.software.words(Situation::Unknown).to_owned();
        (own.map_or_else(stock, |words| words.0.clone()), None)
    }

    /// What the host's rules say and do at a moment, after their waits.
    fn rule(&mut self, moment: Moment, recipient: Option<(&str, &str)>) -> (Option<String>, Option<Deed>) {
        self.moments[moment as usize] += 1;
        let host = Arc::clone(&self.host);
        let nth = self.moments[moment as usize];
        let mut ruling = (None, None);
        for rule in host.rules_for(moment, &self.occasion(nth, recipient)) {
            if !rule.wait.is_zero() {
                self.acts.push_back(Act::Wait(rule.wait));
            }
            ruling = (rule.say.as_ref().map(|words| words.0.clone()), rule.act);
        }
        ruling
    }

    fn occasion<'a>(&'a self, nth: u32, recipient: Option<(&'a str, &'a str)>) -> Occasion<'a> {
        Occasion {
            now: self.now,
            client: self.client,
            session: self.number,
            sender: self.mail.as_ref().map_or("", |mail| mail.sender.as_str()),
            recipient,
            nth,
            seed: self.world.seed,
        }
    }

    /// Says what the rules of a moment say, else the usual. True when a good answer left the session going.
    fn answer(&mut self, moment: Moment, usual: &str) -> bool {
        let (words, deed) = self.rule(moment, None);
        let code = self.say(words.as_deref().unwrap_or(usual), deed, None);
        (200..300).contains(&code) && !self.over
    }

    /// Says words as they are.
    fn tell(&mut self, words: &str) {
        self.say(words, None, None);
    }

    /// Says words in the manner of a deed. The code that was said; 0 where nothing was that reads as a reply.
    fn say(&mut self, words: &str, deed: Option<Deed>, recipient: Option<&str>) -> u16 {
        match deed {
            Some(Deed::Drop) => return self.hang_up(Act::Close),
            Some(Deed::Reset) => return self.hang_up(Act::Reset),
            Some(Deed::Silence) => return self.hang_up(Act::Silence),
            Some(Deed::EndlessLine) => return self.hang_up(Act::SayForEver(ENDLESS_LINE)),
            Some(Deed::EndlessReply) => return self.hang_up(Act::SayForEver(ENDLESS_REPLY)),
            Some(Deed::Garbage) => {
                self.acts.push_back(Act::Say(GARBAGE.to_vec()));
                return 0;
            }
            _ => {}
        }
        let code = words.get(..3).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        self.errors += u32::from(code >= 400);
        let most = self.host.behaviour.limits.errors_per_session;
        let at_end = deed == Some(Deed::Close) || code == 421;
        if code >= 400 && !at_end && most.is_some_and(|most| self.errors > most) {
            self.note(Violation::ErrorsPerSession);
            if self.host.behaviour.limits.enforce {
                return self.say(Violation::ErrorsPerSession.defence().0, Some(Deed::Close), None);
            }
        }
        let text = self.filled(words, recipient);
        let end = if deed == Some(Deed::BareLf) { "\n" } else { "\r\n" };
        let wire: String = text.lines().flat_map(|line| [line, end]).collect();
        let bytes = match deed {
            Some(Deed::Latin1) => encoding_rs::WINDOWS_1252.encode(&wire).0.into_owned(),
            Some(Deed::Twice) => wire.repeat(2).into_bytes(),
            _ => wire.into_bytes(),
        };
        self.acts.push_back(if deed == Some(Deed::Drip) {
            Act::Drip(bytes)
        } else {
            Act::Say(bytes)
        });
        if at_end {
            self.hang_up(Act::Close);
        }
        code
    }

    /// The last act of a session.
    fn hang_up(&mut self, act: Act) -> u16 {
        self.acts.push_back(act);
        self.input.clear();
        self.over = true;
        0
    }

    /// Puts what is known into the places of a text.
    fn filled(&self, words: &str, recipient: Option<&str>) -> String {
        let recipient = recipient.unwrap_or("");
        let (local, domain) = recipient.rsplit_once('@').unwrap_or((recipient, ""));
        let client = self.client.to_string();
        let places = [
            ("{host}", self.host.name.as_str()),
            ("{ip}", &client),
            ("{rcpt}", recipient),
            ("{local}", local),
            ("{domain}", domain),
            ("{sender}", self.mail.as_ref().map_or("", |mail| &mail.sender)),
            ("{helo}", self.helo.as_deref().unwrap_or("")),
        ];
        places.iter().fold(words.to_owned(), |text, (place, known)| {
            text.replace(place, known)
        })
    }

    fn offers(&self, keyword: &str) -> bool {
        self.keywords()
            .iter()
            .any(|offered| offered.eq_ignore_ascii_case(keyword))
    }

    fn keywords(&self) -> Vec<&str> {
        match &self.host.behaviour.offers {
            Some(keywords) => keywords.iter().map(String::as_str).collect(),
            None => self.host.behaviour.software.keywords().to_vec(),
        }
    }

    fn note(&mut self, violation: Violation) {
        self.host.notes(violation);
        self.violations.push(violation);
    }

    /// Notes a violation of a limit; true when the host defends itself, and has said so.
    fn is_defended(&mut self, violation: Violation) -> bool {
        self.note(violation);
        let enforced = self.host.behaviour.limits.enforce;
        if enforced {
            let (words, closes) = violation.defence();
            let code = self.say(words, closes.then_some(Deed::Close), None);
            if let (
                Violation::RcptsPerMinute | Violation::RcptsPerMail | Violation::DomainsPerMail,
                Some(asked),
            ) = (violation, self.asked.last_mut())
            {
                asked.1 = code;
            }
        }
        enforced
    }

    /// Notes what no server bears, and refuses it.
    fn refuse(&mut self, violation: Violation) {
        self.note(violation);
        self.tell(violation.defence().0);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.host.closes(self.client);
        let line = Line::Session {
            host: self.host.name.as_str(),
            client: self.client,
            seconds: self.now.saturating_sub(self.began).as_secs_f64(),
            helo: self.helo.as_deref(),
            asked: &self.asked,
            violations: &self.violations,
        };
        self.world.log.write(self.world.time_of_day(self.began), &line);
    }
}

/// `path(" FROM:<a@b> X=Y", "FROM:")` is `("a@b", "X=Y")`.
fn path<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let text = text.trim();
    let (head, rest) = text.split_at_checked(word.len())?;
    let rest = rest
        .trim_start()
        .strip_prefix('<')
        .filter(|_| head.eq_ignore_ascii_case(word))?;
    // A quoted local part may hold a `>`; an address never ends in one.
    let end = rest.rfind('>')?;
    Some((&rest[..end], rest[end + 1..].trim()))
}

const ENDLESS_LINE: &[u8] = &[b'2'; 1024];
const ENDLESS_REPLY: &[u8] = b"250-and another line\r\n";
const GARBAGE: &[u8] = b"\x00\x15HTTP/1.1 400 Bad Request\r\n\r\n";
