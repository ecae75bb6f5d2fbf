//! One session of a scripted mail server: the server's side of RFC 5321 as a state machine.
//!
//! Decides: the reply to each command, first by the limits of the host, then by its rules, else the usual one
//! (`commands` handles commands and recipients, `respond` writes replies). Bytes in, [`ServerAction`]s out. The caller
//! passes the time, so that the same machine serves paused clocks and real sockets. Client lines that are too long end
//! the session.
//! Must not: read, write, wait.

mod commands;
mod respond;
#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::host::{EventCounts, ScriptedHost};
use super::limits::LimitViolation;
use super::network::World;
use super::observed::LogLine;
use super::rule::{DialogueStep, Misbehavior};

/// The longest line that is accepted from a client, in bytes.
const MAX_LINE_BYTES: usize = 4096;

/// What the owner of the connection has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAction {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Send these bytes, one per second.
    SendSlowly(Vec<u8>),
    /// Send these bytes again and again, until the client disconnects.
    SendForever(&'static [u8]),
    /// Wait this long; receive meanwhile.
    Wait(Duration),
    /// Receive, and send nothing any more.
    Silence,
    /// Perform the TLS handshake, then call [`ServerSession::tls_established`].
    StartTls,
    /// Close the connection.
    Close,
    /// Reset the connection.
    Reset,
}

/// The progress of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// The greeting has to be chosen.
    New,
    /// The greeting is chosen, but nothing was sent yet.
    Greeting,
    /// Something was sent.
    Talking,
    /// The last action is chosen.
    Over,
}

/// The EHLO or HELO of the client.
struct Helo {
    name: String,
    /// True for EHLO.
    extended: bool,
}

/// An open transaction.
struct OpenTransaction {
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
    start: Duration,
    now: Duration,
    input: Vec<u8>,
    actions: VecDeque<ServerAction>,
    progress: Progress,
    encrypted: bool,
    helo: Option<Helo>,
    transaction: Option<OpenTransaction>,
    /// True after a rejected MAIL, whose pipelined RCPTs may follow.
    mail_was_rejected: bool,
    counts: EventCounts,
    mails: u32,
    resets: u32,
    errors: u32,
    /// The recipients, each with the code of its reply.
    rcpts: Vec<(String, u16)>,
    violations: Vec<LimitViolation>,
}

impl ServerSession {
    /// A session of a client that has connected to a host.
    pub fn new(world: World, host: Arc<ScriptedHost>, client: IpAddr) -> ServerSession {
        let now = world.elapsed();
        let (number, violations) = host.connect(client, now);
        let mut session = ServerSession {
            world,
            host,
            client,
            number,
            start: now,
            now,
            input: Vec::new(),
            actions: VecDeque::new(),
            progress: Progress::New,
            encrypted: false,
            helo: None,
            transaction: None,
            mail_was_rejected: false,
            counts: EventCounts::default(),
            mails: 0,
            resets: 0,
            errors: 0,
            rcpts: Vec::new(),
            violations: Vec::new(),
        };
        for violation in violations {
            if session.enforce(violation) {
                break;
            }
        }
        session
    }

    /// The host that the client has connected to.
    pub fn host(&self) -> &Arc<ScriptedHost> {
        &self.host
    }

    /// The world of the host.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Takes bytes that the client sent.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.progress < Progress::Talking {
            self.count_violation(LimitViolation::EarlyTalk);
        }
        if self.progress < Progress::Over {
            self.input.extend_from_slice(bytes);
        }
    }

    /// The TLS handshake succeeded. The state from before it is dropped (RFC 3207 4.2).
    pub fn tls_established(&mut self) {
        self.encrypted = true;
        self.helo = None;
        self.transaction = None;
        self.input.clear();
    }

    /// The next thing to do; `None` until the client sends more. `now` is the time in the world.
    pub fn next_action(&mut self, now: Duration) -> Option<ServerAction> {
        self.now = now;
        loop {
            if let Some(action) = self.actions.pop_front() {
                if self.progress == Progress::Greeting && !matches!(action, ServerAction::Wait(_)) {
                    self.progress = Progress::Talking;
                }
                return Some(action);
            }
            if self.progress == Progress::Over {
                return Some(ServerAction::Close);
            }
            if self.progress == Progress::New {
                self.progress = Progress::Greeting;
                let behavior = &self.host.behavior;
                let own = behavior.greeting.as_ref().map(|text| text.0.clone());
                let usual = own.unwrap_or_else(|| behavior.software.greeting().to_owned());
                self.reply_at(DialogueStep::Connect, &usual);
                continue;
            }
            match self.take_line() {
                Some(line) => {
                    self.handle_line(&line);
                    if self.host.behavior.discards_pipelined {
                        self.input.clear();
                    }
                }
                None if self.actions.is_empty() => return None,
                None => {}
            }
        }
    }

    /// The next complete line, without its end.
    fn take_line(&mut self) -> Option<Vec<u8>> {
        let Some(end) = memchr::memchr(b'\n', &self.input) else {
            if self.input.len() > MAX_LINE_BYTES {
                self.input.clear();
                self.send_reply("500 5.5.2 Error: line too long", Some(Misbehavior::Close), None);
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
        self.host.disconnect(self.client);
        let line = LogLine::Session {
            host: self.host.name.as_str(),
            client: self.client,
            seconds: self.now.saturating_sub(self.start).as_secs_f64(),
            helo: self.helo.as_ref().map(|helo| helo.name.as_str()),
            rcpts: &self.rcpts,
            violations: &self.violations,
        };
        self.world.shared.log.write(self.world.time_of_day(self.start), &line);
    }
}
