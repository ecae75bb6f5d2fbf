//! One client at one host: the server's side of RFC 5321 as a state machine.
//!
//! Decides: what is said to each command: by the host's limits first, its rules then, and else as usual
//! ([`commands`], [`recipient`] for the mailboxes, [`respond`] for the manners). Bytes in, [`ServerAction`]s out; the clock is
//! told, so one machine serves frozen time and real sockets. Must not: read, write, wait. Client lines without an end
//! are cut off.

mod commands;
mod recipient;
mod respond;
#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::World;
use super::host::ScriptedHost;
use super::limits::LimitViolation;
use super::observed::LogLine;
use super::script::{DialogueStep, Misbehavior};

/// Longest line that is taken from a client, in bytes.
const MAX_LINE_BYTES: usize = 4096;

/// What the driver does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAction {
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
    /// Begins the TLS handshake; then [`ServerSession::is_secured`].
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
pub struct ServerSession {
    world: World,
    host: Arc<ScriptedHost>,
    client: IpAddr,
    number: u64,
    began: Duration,
    now: Duration,
    input: Vec<u8>,
    acts: VecDeque<ServerAction>,
    progress: Progress,
    secure: bool,
    helo: Option<Helo>,
    mail: Option<Mail>,
    /// RCPTs that were sent ahead with it may still come.
    mail_was_refused: bool,
    /// How often each moment came; by [`DialogueStep`]'s order.
    moments: [u32; 7],
    mails: u32,
    resets: u32,
    errors: u32,
    unknowns: u32,
    asked: Vec<(String, u16)>,
    violations: Vec<LimitViolation>,
}

impl ServerSession {
    /// A client has come to a host.
    pub fn new(world: World, host: Arc<ScriptedHost>, client: IpAddr) -> ServerSession {
        let now = world.elapsed();
        let (number, wrong) = host.opens(client, now);
        let mut session = ServerSession {
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
            mail_was_refused: false,
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
    pub fn host(&self) -> &Arc<ScriptedHost> {
        &self.host
    }

    /// The world that the host is in.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Takes what the client sent.
    pub fn hear(&mut self, bytes: &[u8]) {
        if self.progress < Progress::Talking {
            self.note(LimitViolation::EarlyTalk);
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
    pub fn next(&mut self, now: Duration) -> Option<ServerAction> {
        self.now = now;
        loop {
            if let Some(act) = self.acts.pop_front() {
                if self.progress == Progress::Greeting && !matches!(act, ServerAction::Wait(_)) {
                    self.progress = Progress::Talking;
                }
                return Some(act);
            }
            if self.progress == Progress::Over {
                return Some(ServerAction::Close);
            }
            if self.progress == Progress::New {
                self.progress = Progress::Greeting;
                let usual = self.host.behaviour.greeting.as_ref().map(|words| words.0.clone());
                let usual = usual.unwrap_or_else(|| self.host.behaviour.software.greeting().to_owned());
                self.answer(DialogueStep::Connect, &usual);
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
                self.say("500 5.5.2 Error: line too long", Some(Misbehavior::Close), None);
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
}

impl Drop for ServerSession {
    fn drop(&mut self) {
        self.host.closes(self.client);
        let line = LogLine::Session {
            host: self.host.name.as_str(),
            client: self.client,
            seconds: self.now.saturating_sub(self.began).as_secs_f64(),
            helo: self.helo.as_ref().map(|helo| helo.name.as_str()),
            asked: &self.asked,
            violations: &self.violations,
        };
        self.world.shared.log.write(self.world.time_of_day(self.began), &line);
    }
}
