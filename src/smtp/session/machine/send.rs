//! Decides which command a session sends next.
//!
//! Decides: when a batch is sent, and that RSET precedes every transaction but the first. RSET is sent with the next
//! batch, not after the last one. So a session of n transactions needs n - 1 RSETs (some servers count them as junk
//! commands: Exim drops the client at the twelfth), and they need no round trips of their own. Must not: send anything
//! before all received bytes were read.

use super::{ClientSession, Phase, Step};
use crate::smtp::command::SmtpCommand;
use crate::smtp::reply::MalformedReply;
use crate::smtp::session::{
    Batch, EndReason, ProbeReply, RcptProbe, SessionCommand, SessionOutput, SmtpEvent, Transaction,
};

impl ClientSession {
    /// Sends the next commands once no reply is awaited.
    pub(super) fn send_next(&mut self) {
        while self.awaited.is_empty() && !matches!(self.phase, Phase::Handshake | Phase::Ended) {
            if self.unsent.is_empty() && (self.phase == Phase::Quitting || !self.start_next_command()) {
                return;
            }
            if self.reader.has_unconsumed() {
                return self.end(EndReason::Malformed(MalformedReply::Unsolicited));
            }
            self.write_commands();
        }
    }

    /// Reports that the session is ready, and starts the next command of its owner. False if there is none.
    fn start_next_command(&mut self) -> bool {
        match self.phase {
            Phase::Opening => {
                self.phase = Phase::Idle { after_batch: false };
                self.emit(SmtpEvent::Ready(self.capabilities.clone()));
            }
            Phase::InBatch => {
                self.phase = Phase::Idle { after_batch: true };
                self.emit(SmtpEvent::BatchDone);
            }
            _ => {}
        }
        match self.commands.pop_front() {
            None => return false,
            Some(SessionCommand::Quit) => {
                self.phase = Phase::Quitting;
                self.unsent.push_back(Step::Quit);
            }
            Some(SessionCommand::Send(batch)) => {
                self.phase = Phase::InBatch;
                self.queue_batch(batch);
            }
        }
        true
    }

    fn queue_batch(&mut self, batch: Batch) {
        let sender_needs_it = self.identity.sender.needs_smtputf8();
        let needs_smtputf8 = |probe: &RcptProbe| sender_needs_it || probe.address.needs_smtputf8();
        for Transaction { recipients: mut probes } in batch.transactions {
            let smtputf8 = probes.iter().any(needs_smtputf8);
            if smtputf8 && !self.capabilities.smtputf8 {
                let (impossible, possible): (Vec<RcptProbe>, Vec<RcptProbe>) =
                    probes.into_iter().partition(needs_smtputf8);
                probes = possible;
                for RcptProbe { id, .. } in impossible {
                    self.emit(SmtpEvent::Reply(id, ProbeReply::NoSmtputf8));
                }
            }
            if !probes.is_empty() {
                self.unsent.push_back(Step::Mail { smtputf8: smtputf8 && self.capabilities.smtputf8 });
                self.unsent.extend(probes.into_iter().map(Step::Rcpt));
            }
        }
        if batch.is_last {
            self.unsent.push_back(Step::Quit);
        }
    }

    /// Writes one command, or with PIPELINING all unsent commands, as one output.
    fn write_commands(&mut self) {
        // The length of most commands in bytes, or a little more.
        const COMMAND_BYTES: usize = 48;
        let count = if self.capabilities.pipelining { self.unsent.len() } else { 1 };
        let mut bytes = Vec::with_capacity(count * COMMAND_BYTES);
        self.awaited.reserve(count);
        while let Some(step) = self.unsent.pop_front() {
            let step = match step {
                Step::Mail { .. } if self.transaction_open => {
                    self.unsent.push_front(step);
                    Step::Rset
                }
                step => step,
            };
            let command = match &step {
                Step::Ehlo => SmtpCommand::Ehlo(&self.identity.helo),
                Step::Helo => SmtpCommand::Helo(&self.identity.helo),
                Step::StartTls => SmtpCommand::StartTls,
                &Step::Mail { smtputf8 } => SmtpCommand::Mail { sender: &self.identity.sender, smtputf8 },
                Step::Rcpt(probe) => SmtpCommand::Rcpt(&probe.address),
                Step::Rset => SmtpCommand::Rset,
                Step::Quit => SmtpCommand::Quit,
                // These are no commands and are never queued.
                Step::Greeting | Step::SkippedRcpt => continue,
            };
            command.write_to(&mut bytes);
            match step {
                Step::Mail { .. } => self.transaction_open = true,
                Step::Rset => self.transaction_open = false,
                _ => {}
            }
            self.awaited.push_back(step);
            if !self.capabilities.pipelining {
                break;
            }
        }
        if !bytes.is_empty() {
            self.outputs.push_back(SessionOutput::Send(bytes));
        }
    }

    /// Sends QUIT to a server that rejected the session, without waiting for the reply.
    pub(super) fn send_quit(&mut self) {
        let mut bytes = Vec::new();
        SmtpCommand::Quit.write_to(&mut bytes);
        self.outputs.push_back(SessionOutput::Send(bytes));
    }
}
