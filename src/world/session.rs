//! One client at one host: the server's side of RFC 5321 as a state machine.
//!
//! Decides: what is said to each command: by the host's limits first, its rules then, and else as usual ([`recipient`]
//! knows the mailboxes, [`speech`] the manners). Bytes in, [`Act`]s out; the clock is told, so one machine serves frozen
//! time and real sockets. Must not: read, write, wait. Client lines without an end are cut off.

mod recipient;
mod speech;
#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::World;
use super::heard::Line;
use super::host::Host;
use super::limits::Violation;
use super::script::{Deed, Moment, Tls};
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

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// The greeting is to be made.
    New,
    /// The greeting is made, but nothing was sent yet.
    Greeting,
    /// Something was sent.
    Talking,
    /// The last act is made.
    Over,
}

/// The client's name for itself.
struct Helo {
    name: String,
    /// By EHLO.
    extended: bool,
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
    world: World,
    host: Arc<Host>,
    client: IpAddr,
    number: u64,
    began: Duration,
    now: Duration,
    input: Vec<u8>,
    acts: VecDeque<Act>,
    progress: Progress,
    secure: bool,
    helo: Option<Helo>,
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
    pub fn new(world: World, host: Arc<Host>, client: IpAddr) -> Session {
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
            progress: Progress::New,
            secure: false,
            helo: None,
            mail: None,
            moments: [0; 7],
            mails: 0,
            resets: 0,
            errors: 0,
            unknowns: 0,
            asked: Vec::new(),
            violations: Vec::new(),
        };
        for violation in wrong {
            if session.is_defended(violation) {
                break;
            }
        }
        session
    }

    /// The host that the client came to.
    pub fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// The world that the host is in.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Takes what the client sent.
    pub fn hear(&mut self, bytes: &[u8]) {
        if self.progress < Progress::Talking {
            self.note(Violation::EarlyTalk);
        }
        if self.progress < Progress::Over {
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
                if self.progress == Progress::Greeting && !matches!(act, Act::Wait(_)) {
                    self.progress = Progress::Talking;
                }
                return Some(act);
            }
            if self.progress == Progress::Over {
                return Some(Act::Close);
            }
            if self.progress == Progress::New {
                self.progress = Progress::Greeting;
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
        if !self.input.is_empty() && !self.offers("PIPELINING") {
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
        self.helo = Some(Helo {
            name: name.trim().to_owned(),
            extended,
        });
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
        if smtputf8 && !self.offers("SMTPUTF8") {
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
        let limits_passed = [
            too_fast,
            passes(recipients, limits.rcpts_per_mail).then_some(Violation::RcptsPerMail),
            passes(domains, limits.domains_per_mail).then_some(Violation::DomainsPerMail),
        ];
        for violation in limits_passed.into_iter().flatten() {
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
}

impl Drop for Session {
    fn drop(&mut self) {
        self.host.closes(self.client);
        let line = Line::Session {
            host: self.host.name.as_str(),
            client: self.client,
            seconds: self.now.saturating_sub(self.began).as_secs_f64(),
            helo: self.helo.as_ref().map(|helo| helo.name.as_str()),
            asked: &self.asked,
            violations: &self.violations,
        };
        self.world
            .shared
            .log
            .write(self.world.time_of_day(self.began), &line);
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
