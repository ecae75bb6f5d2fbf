//! The state machine: received bytes and commands in, bytes to send and events out.
//!
//! Decides: the sequence of commands, and which reply belongs to which command. One rule keeps replies with their
//! recipients: a reply that was received before a command was sent cannot be the reply to that command. Therefore
//! commands are sent only after all received bytes have been read, and a reply to no command ends the session.
//! This file handles what is received; `send` decides what is sent.

mod send;

use std::collections::VecDeque;

use super::{
    Capabilities, ClientIdentity, EndReason, ProbeReply, RcptProbe, SessionCommand, SessionEnd,
    SessionOutput, SmtpEvent, TlsPolicy,
};
use crate::smtp::reply::{MalformedReply, Reply, ReplyReader};
use crate::smtp::stage::Stage;

/// One session with one server, from the greeting to the end.
#[derive(Debug)]
pub struct ClientSession {
    identity: ClientIdentity,
    phase: Phase,
    capabilities: Capabilities,
    encrypted: bool,
    reader: ReplyReader,
    reply_count: u64,
    /// Commands that were sent and have no reply yet, oldest first.
    awaited: VecDeque<Step>,
    /// Commands to send next.
    unsent: VecDeque<Step>,
    /// True if the server has an open transaction once it has processed all commands that were sent.
    transaction_open: bool,
    commands: VecDeque<SessionCommand>,
    outputs: VecDeque<SessionOutput>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Greeting, EHLO or HELO, STARTTLS.
    Opening,
    /// The TLS handshake is in progress.
    Handshake,
    /// No command waits for a reply.
    Idle {
        after_batch: bool,
    },
    /// A batch is in flight.
    InBatch,
    /// QUIT was sent.
    Quitting,
    Ended,
}

/// A command, with what is needed to handle its reply.
#[derive(Debug)]
enum Step {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Mail {
        smtputf8: bool,
    },
    Rcpt(RcptProbe),
    /// A RCPT that was sent before its MAIL was rejected. Its outcome is reported already, and its reply is ignored.
    SkippedRcpt,
    Rset,
    Quit,
}

impl Step {
    fn stage(&self) -> Stage {
        match self {
            Step::Greeting => Stage::Connect,
            Step::Ehlo | Step::Helo => Stage::Helo,
            Step::StartTls => Stage::StartTls,
            Step::Mail { .. } => Stage::Mail,
            Step::Rcpt(_) | Step::SkippedRcpt => Stage::Rcpt,
            Step::Rset => Stage::Rset,
            Step::Quit => Stage::Quit,
        }
    }
}

impl ClientSession {
    /// A session on a new connection. The server sends its greeting first.
    pub fn new(identity: ClientIdentity) -> ClientSession {
        ClientSession {
            identity,
            phase: Phase::Opening,
            capabilities: Capabilities::default(),
            encrypted: false,
            reader: ReplyReader::default(),
            reply_count: 0,
            awaited: VecDeque::from([Step::Greeting]),
            unsent: VecDeque::new(),
            transaction_open: false,
            commands: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The next thing to do; `None` until more bytes or commands arrive.
    pub fn poll(&mut self) -> Option<SessionOutput> {
        self.outputs.pop_front()
    }

    /// The stage whose time limit applies now; `None` between batches and after the end.
    pub fn stage(&self) -> Option<Stage> {
        match self.phase {
            Phase::Idle { .. } | Phase::Ended => None,
            _ => Some(self.current_stage()),
        }
    }

    /// How many replies were received. A time limit restarts at each complete reply, not at each byte.
    pub fn reply_count(&self) -> u64 {
        self.reply_count
    }

    /// True if no command waits for a reply, so that the next command would start immediately.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle { .. })
    }

    /// True after [`SmtpEvent::Ended`]; further inputs are ignored.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Queues a command. It starts when the session is ready and all earlier commands are done.
    pub fn submit(&mut self, command: SessionCommand) {
        if !self.is_over() {
            self.commands.push_back(command);
            self.send_next();
        }
    }

    /// Takes bytes that the server sent.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.is_over() {
            return;
        }
        self.reader.push(bytes);
        loop {
            match self.reader.pull() {
                Ok(Some(reply)) => self.on_reply(reply),
                Ok(None) => break,
                Err(fault) => self.end(EndReason::Malformed(fault)),
            }
            if self.is_over() {
                return;
            }
        }
        self.send_next();
    }

    /// The TLS handshake succeeded. The capabilities from before it are dropped (RFC 3207 4.2).
    pub fn tls_established(&mut self) {
        if self.phase == Phase::Handshake {
            self.phase = Phase::Opening;
            self.encrypted = true;
            self.capabilities = Capabilities::default();
            self.unsent.push_back(Step::Ehlo);
            self.send_next();
        }
    }

    /// The TLS handshake failed; `text` is the error.
    pub fn tls_failed(&mut self, text: String) {
        if self.phase == Phase::Handshake {
            self.end(EndReason::Tls(text));
        }
    }

    /// The server closed the connection, or the connection broke.
    pub fn connection_closed(&mut self) {
        self.end(EndReason::HungUp);
    }

    /// The time limit of [`ClientSession::stage`] or of the session has passed.
    pub fn timed_out(&mut self) {
        self.end(EndReason::TimedOut);
    }

    /// The stage of the dialogue, also between batches.
    fn current_stage(&self) -> Stage {
        match (self.phase, self.awaited.front().or(self.unsent.front())) {
            (Phase::Handshake, _) => Stage::StartTls,
            (_, Some(step)) => step.stage(),
            (Phase::Quitting, None) => Stage::Quit,
            (Phase::Idle { after_batch: false }, None) => Stage::Helo,
            (_, None) => Stage::Rset,
        }
    }

    fn on_reply(&mut self, reply: Reply) {
        self.reply_count += 1;
        let Some(step) = self.awaited.pop_front() else {
            // 421 is the only reply that a server may send without a command (RFC 5321 3.8).
            return self.end(match reply.code {
                421 => EndReason::Rejected(reply),
                _ => EndReason::Malformed(MalformedReply::Unsolicited),
            });
        };
        let stage = step.stage();
        match step {
            Step::Quit if matches!(reply.code, 221 | 421) => return self.end_at(stage, EndReason::Quit),
            // No reply to QUIT: either an unusual one, or a late reply to an earlier command, after a surplus one. Then
            // the reply to QUIT follows.
            Step::Quit => {
                self.phase = Phase::Quitting;
                return;
            }
            Step::Rcpt(probe) => {
                let closing = (reply.code == 421).then(|| reply.clone());
                self.emit(SmtpEvent::Reply(probe.id, ProbeReply::Rcpt(reply)));
                return closing.into_iter().for_each(|reply| self.end_at(stage, EndReason::Rejected(reply)));
            }
            Step::Mail { .. } => self.on_mail_reply(&reply),
            Step::SkippedRcpt => {}
            _ if reply.code == 421 => {}
            Step::Greeting if reply.is_positive() => self.unsent.push_back(Step::Ehlo),
            // 500 to 504: the command is unknown or not implemented (RFC 5321 4.2.1). Any other rejection is about us,
            // and HELO would only be rejected as well.
            Step::Ehlo if (500..=504).contains(&reply.code) => self.unsent.push_back(Step::Helo),
            Step::Ehlo if reply.is_positive() => {
                self.capabilities = Capabilities::from_ehlo(&reply);
                self.capabilities.pipelining &= self.identity.pipelining;
                if self.capabilities.starttls && !self.encrypted && self.identity.tls == TlsPolicy::Try {
                    self.unsent.push_back(Step::StartTls);
                }
            }
            Step::StartTls if reply.code == 220 => self.begin_handshake(),
            // STARTTLS is rejected, but the session is open: continue in clear text.
            Step::StartTls if reply.code >= 400 => {}
            Step::Helo | Step::Rset if reply.is_positive() => {}
            Step::Greeting | Step::Ehlo | Step::Helo | Step::StartTls | Step::Rset => {
                self.send_quit();
                return self.end_at(stage, EndReason::Rejected(reply));
            }
        }
        if reply.code == 421 {
            self.end_at(stage, EndReason::Rejected(reply));
        }
    }

    fn on_mail_reply(&mut self, reply: &Reply) {
        if !self.awaited.iter().any(|step| matches!(step, Step::Mail { .. })) {
            self.transaction_open = reply.is_positive();
        }
        if reply.is_positive() {
            return;
        }
        let mut rejected = Vec::new();
        for step in &mut self.awaited {
            let Step::Rcpt(probe) = step else { break };
            rejected.push(probe.id);
            *step = Step::SkippedRcpt;
        }
        while let Some(Step::Rcpt(probe)) = self.unsent.front() {
            rejected.push(probe.id);
            self.unsent.pop_front();
        }
        for id in rejected {
            self.emit(SmtpEvent::Reply(id, ProbeReply::Mail(reply.clone())));
        }
    }

    fn begin_handshake(&mut self) {
        self.phase = Phase::Handshake;
        if self.reader.has_unconsumed() {
            self.end(EndReason::Tls("clear text after the reply to STARTTLS".to_owned()));
        } else {
            self.outputs.push_back(SessionOutput::StartTls);
        }
    }

    fn emit(&mut self, event: SmtpEvent) {
        self.outputs.push_back(SessionOutput::Emit(event));
    }

    fn end(&mut self, reason: EndReason) {
        self.end_at(self.current_stage(), reason);
    }

    fn end_at(&mut self, stage: Stage, reason: EndReason) {
        if self.is_over() {
            return;
        }
        let is_quitting = self.phase == Phase::Quitting || matches!(self.awaited.front(), Some(Step::Quit));
        // The reply to QUIT does not matter, unless it shows that the replies before it were out of step.
        let reason = match reason {
            EndReason::Malformed(MalformedReply::Unsolicited) => reason,
            EndReason::Rejected(_) if self.phase == Phase::InBatch => reason,
            _ if is_quitting => EndReason::Quit,
            reason => reason,
        };
        self.phase = Phase::Ended;
        self.emit(SmtpEvent::Ended(SessionEnd { stage, reason }));
    }
}
