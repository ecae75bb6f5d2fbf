//! What a session says next.
//!
//! Decides: when a flight leaves, and that RSET is said before a second transaction. RSET goes with the next flight, not
//! after the last one: a session of n transactions needs n - 1 of them (some servers count RSETs as junk: Exim drops the
//! client at the twelfth), and it costs no round trip of its own. Must not: say anything before all that came was read.

use super::{ClientSession, Phase, Step};
use crate::smtp::command::SmtpCommand;
use crate::smtp::reply::MalformedReply;
use crate::smtp::session::{
    Batch, EndReason, ProbeReply, RcptProbe, SessionCommand, SessionOutput, SmtpEvent, Transaction,
};

impl ClientSession {
    /// Says what comes next, as soon as all that was said is answered.
    pub(super) fn proceed(&mut self) {
        while self.awaited.is_empty() && !matches!(self.phase, Phase::Handshake | Phase::Ended) {
            if self.unsent.is_empty() && (self.phase == Phase::Leaving || !self.begin_next_order()) {
                return;
            }
            if self.reader.has_unconsumed() {
                return self.end(EndReason::Malformed(MalformedReply::Unsolicited));
            }
            self.say();
        }
    }

    /// Lands, and takes up the next order. False when there is none.
    fn begin_next_order(&mut self) -> bool {
        match self.phase {
            Phase::Opening => {
                self.phase = Phase::Idle { sent: false };
                self.tell(SmtpEvent::Ready(self.capabilities.clone()));
            }
            Phase::Flying => {
                self.phase = Phase::Idle { sent: true };
                self.tell(SmtpEvent::BatchDone);
            }
            _ => {}
        }
        match self.orders.pop_front() {
            None => return false,
            Some(SessionCommand::Quit) => {
                self.phase = Phase::Leaving;
                self.unsent.push_back(Step::Quit);
            }
            Some(SessionCommand::Send(batch)) => {
                self.phase = Phase::Flying;
                self.load(batch);
            }
        }
        true
    }

    fn load(&mut self, batch: Batch) {
        let sender_is_wide = self.identity.sender.needs_smtputf8();
        let is_wide = |ask: &RcptProbe| sender_is_wide || ask.address.needs_smtputf8();
        for Transaction { recipients: mut asks } in batch.transactions {
            let smtputf8 = asks.iter().any(is_wide);
            if smtputf8 && !self.capabilities.smtputf8 {
                let (unspeakable, others): (Vec<RcptProbe>, Vec<RcptProbe>) =
                    asks.into_iter().partition(is_wide);
                asks = others;
                for RcptProbe { id, .. } in unspeakable {
                    self.tell(SmtpEvent::Reply(id, ProbeReply::NoSmtputf8));
                }
            }
            if !asks.is_empty() {
                self.unsent.push_back(Step::Mail { smtputf8: smtputf8 && self.capabilities.smtputf8 });
                self.unsent.extend(asks.into_iter().map(Step::Rcpt));
            }
        }
        if batch.is_last {
            self.unsent.push_back(Step::Quit);
        }
    }

    /// Says one command, or with PIPELINING all there are, in one write.
    fn say(&mut self) {
        // Most commands fit into so many bytes.
        const COMMAND: usize = 48;
        let at_once = if self.capabilities.pipelining { self.unsent.len() } else { 1 };
        let mut bytes = Vec::with_capacity(at_once * COMMAND);
        self.awaited.reserve(at_once);
        while let Some(step) = self.unsent.pop_front() {
            let step = match step {
                Step::Mail { .. } if self.open => {
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
                Step::Rcpt(ask) => SmtpCommand::Rcpt(&ask.address),
                Step::Rset => SmtpCommand::Rset,
                Step::Quit => SmtpCommand::Quit,
                // Nothing is said for these, and they are never unsaid.
                Step::Greeting | Step::MootRcpt => continue,
            };
            command.write_to(&mut bytes);
            match step {
                Step::Mail { .. } => self.open = true,
                Step::Rset => self.open = false,
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

    /// QUIT to a server that refused the session: polite, and its reply is not waited for.
    pub(super) fn say_goodbye(&mut self) {
        let mut bytes = Vec::new();
        SmtpCommand::Quit.write_to(&mut bytes);
        self.outputs.push_back(SessionOutput::Send(bytes));
    }
}
