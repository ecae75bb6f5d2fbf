//! The machine: bytes and orders in, bytes and events out.
//!
//! Decides: the order of commands, and which reply belongs to which. The rule that keeps answers with their
//! recipients: what a server sent before a command left can't be that command's answer. So new commands leave only
//! when all that came has been read, and whatever then has no command to answer ends the session. This file is what is
//! heard; `send` is what is said.

mod send;

use std::collections::VecDeque;

use super::{
    Capabilities, ClientIdentity, EndReason, ProbeReply, RcptProbe, SessionCommand, SessionEnd,
    SessionOutput, SmtpEvent, TlsPolicy,
};
use crate::smtp::reply::{MalformedReply, Reply, ReplyReader};
use crate::smtp::stage::Stage;

/// One session with one server, from its greeting to the end.
#[derive(Debug)]
pub struct ClientSession {
    identity: ClientIdentity,
    phase: Phase,
    capabilities: Capabilities,
    encrypted: bool,
    reader: ReplyReader,
    replies: u64,
    /// Said and not yet answered, oldest first.
    awaited: VecDeque<Step>,
    /// To be said next.
    unsent: VecDeque<Step>,
    /// Whether the server will have a transaction open when all that was said has arrived.
    open: bool,
    orders: VecDeque<SessionCommand>,
    outputs: VecDeque<SessionOutput>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Up to the EHLO that counts.
    Opening,
    /// The stream is being wrapped in TLS.
    Handshake,
    /// No command on its way.
    Idle {
        sent: bool,
    },
    /// A flight is on its way.
    Flying,
    /// QUIT was said.
    Leaving,
    Ended,
}

/// A command with what is needed to make sense of its reply.
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
    /// A RCPT that left before its MAIL was refused: answered already, its reply says nothing.
    MootRcpt,
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
            Step::Rcpt(_) | Step::MootRcpt => Stage::Rcpt,
            Step::Rset => Stage::Rset,
            Step::Quit => Stage::Quit,
        }
    }
}

impl ClientSession {
    /// A session on a fresh connection: the server speaks first.
    pub fn new(identity: ClientIdentity) -> ClientSession {
        ClientSession {
            identity,
            phase: Phase::Opening,
            capabilities: Capabilities::default(),
            encrypted: false,
            reader: ReplyReader::default(),
            replies: 0,
            awaited: VecDeque::from([Step::Greeting]),
            unsent: VecDeque::new(),
            open: false,
            orders: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The next thing to do; `None` when it is somebody else's turn.
    pub fn poll(&mut self) -> Option<SessionOutput> {
        self.outputs.pop_front()
    }

    /// The stage whose time limit runs now; `None` between flights and after the end.
    pub fn stage(&self) -> Option<Stage> {
        match self.phase {
            Phase::Idle { .. } | Phase::Ended => None,
            _ => Some(self.place()),
        }
    }

    /// How many replies were heard. A time limit runs from one to the next: for the whole reply, not for a byte.
    pub fn replies(&self) -> u64 {
        self.replies
    }

    /// True when nothing is on its way and the next order would be begun at once.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle { .. })
    }

    /// True after [`SmtpEvent::Ended`]; nothing that happens then changes anything.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Gives an order. It is begun when the session is ready and the orders before it are done.
    pub fn order(&mut self, order: SessionCommand) {
        if !self.is_over() {
            self.orders.push_back(order);
            self.proceed();
        }
    }

    /// Bytes came.
    pub fn heard(&mut self, bytes: &[u8]) {
        if self.is_over() {
            return;
        }
        self.reader.push(bytes);
        loop {
            match self.reader.pull() {
                Ok(Some(reply)) => self.reply(reply),
                Ok(None) => break,
                Err(fault) => self.end(EndReason::Malformed(fault)),
            }
            if self.is_over() {
                return;
            }
        }
        self.proceed();
    }

    /// The TLS handshake is done. What was offered before it is forgotten (RFC 3207 4.2).
    pub fn secured(&mut self) {
        if self.phase == Phase::Handshake {
            self.phase = Phase::Opening;
            self.encrypted = true;
            self.capabilities = Capabilities::default();
            self.unsent.push_back(Step::Ehlo);
            self.proceed();
        }
    }

    /// The TLS handshake failed; `text` says how.
    pub fn tls_failed(&mut self, text: String) {
        if self.phase == Phase::Handshake {
            self.end(EndReason::Tls(text));
        }
    }

    /// The server hung up, or the connection broke.
    pub fn closed(&mut self) {
        self.end(EndReason::HungUp);
    }

    /// The limit of [`ClientSession::stage`] or of the whole session is over.
    pub fn timed_out(&mut self) {
        self.end(EndReason::TimedOut);
    }

    /// Where the dialogue is.
    fn place(&self) -> Stage {
        match (self.phase, self.awaited.front().or(self.unsent.front())) {
            (Phase::Handshake, _) => Stage::StartTls,
            (_, Some(step)) => step.stage(),
            (Phase::Leaving, None) => Stage::Quit,
            (Phase::Idle { sent: false }, None) => Stage::Helo,
            (_, None) => Stage::Rset,
        }
    }

    fn reply(&mut self, reply: Reply) {
        self.replies += 1;
        let Some(step) = self.awaited.pop_front() else {
            // The one thing that a server may say of its own accord (RFC 5321 3.8).
            return self.end(match reply.code {
                421 => EndReason::Rejected(reply),
                _ => EndReason::Malformed(MalformedReply::Unsolicited),
            });
        };
        let stage = step.stage();
        match step {
            Step::Quit if matches!(reply.code, 221 | 421) => return self.end_at(stage, EndReason::Quit),
            // No goodbye: an odd one, or an answer that is late because there was one too many before it. Then the
            // goodbye is still to come.
            Step::Quit => {
                self.phase = Phase::Leaving;
                return;
            }
            Step::Rcpt(ask) => {
                let leaves = (reply.code == 421).then(|| reply.clone());
                self.tell(SmtpEvent::Reply(ask.id, ProbeReply::Rcpt(reply)));
                return leaves.into_iter().for_each(|reply| self.end_at(stage, EndReason::Rejected(reply)));
            }
            Step::Mail { .. } => self.mail_answered(&reply),
            Step::MootRcpt => {}
            _ if reply.code == 421 => {}
            Step::Greeting if reply.is_positive() => self.unsent.push_back(Step::Ehlo),
            // 50z: the command is not known or not implemented (RFC 5321 4.2.1). Any other refusal is about us,
            // and saying HELO after it would only be refused again.
            Step::Ehlo if (500..=504).contains(&reply.code) => self.unsent.push_back(Step::Helo),
            Step::Ehlo if reply.is_positive() => {
                self.capabilities = Capabilities::read(&reply);
                if self.capabilities.starttls && !self.encrypted && self.identity.tls == TlsPolicy::Try {
                    self.unsent.push_back(Step::StartTls);
                }
            }
            Step::StartTls if reply.code == 220 => self.shake_hands(),
            // Refused, but the session stands: go on without.
            Step::StartTls if reply.code >= 400 => {}
            Step::Helo | Step::Rset if reply.is_positive() => {}
            Step::Greeting | Step::Ehlo | Step::Helo | Step::StartTls | Step::Rset => {
                self.say_goodbye();
                return self.end_at(stage, EndReason::Rejected(reply));
            }
        }
        if reply.code == 421 {
            self.end_at(stage, EndReason::Rejected(reply));
        }
    }

    fn mail_answered(&mut self, reply: &Reply) {
        if !self.awaited.iter().any(|step| matches!(step, Step::Mail { .. })) {
            self.open = reply.is_positive();
        }
        if reply.is_positive() {
            return;
        }
        let mut refused = Vec::new();
        for step in &mut self.awaited {
            let Step::Rcpt(ask) = step else { break };
            refused.push(ask.id);
            *step = Step::MootRcpt;
        }
        while let Some(Step::Rcpt(ask)) = self.unsent.front() {
            refused.push(ask.id);
            self.unsent.pop_front();
        }
        for id in refused {
            self.tell(SmtpEvent::Reply(id, ProbeReply::Mail(reply.clone())));
        }
    }

    fn shake_hands(&mut self) {
        self.phase = Phase::Handshake;
        if self.reader.has_unconsumed() {
            self.end(EndReason::Tls("clear text after the reply to STARTTLS".to_owned()));
        } else {
            self.outputs.push_back(SessionOutput::StartTls);
        }
    }

    fn tell(&mut self, event: SmtpEvent) {
        self.outputs.push_back(SessionOutput::Emit(event));
    }

    fn end(&mut self, why: EndReason) {
        self.end_at(self.place(), why);
    }

    fn end_at(&mut self, stage: Stage, why: EndReason) {
        if self.is_over() {
            return;
        }
        let is_leaving = self.phase == Phase::Leaving || matches!(self.awaited.front(), Some(Step::Quit));
        // Nothing depends on how a server takes our goodbye, unless it shows that the answers before were out of step.
        let why = match why {
            EndReason::Malformed(MalformedReply::Unsolicited) => why,
            EndReason::Rejected(_) if self.phase == Phase::Flying => why,
            _ if is_leaving => EndReason::Quit,
            why => why,
        };
        self.phase = Phase::Ended;
        self.tell(SmtpEvent::Ended(SessionEnd { stage, why }));
    }
}
