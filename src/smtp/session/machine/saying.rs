//! What a session says next.
//!
//! Decides: when a flight leaves, and that RSET is said before a second transaction. RSET goes with the next flight, not
//! after the last one: a session of n transactions needs n - 1 of them (some servers count RSETs as junk: Exim drops the
//! client at the twelfth), and it costs no round trip of its own. Must not: say anything before all that came was read.

use super::{Phase, Session, Step};
use crate::smtp::command::Command;
use crate::smtp::reply::Malformed;
use crate::smtp::session::{Answer, Ask, End, Event, Flight, Order, Output, Transaction};

impl Session {
    /// Says what comes next, as soon as all that was said is answered.
    pub(super) fn proceed(&mut self) {
        while self.awaited.is_empty() && !matches!(self.phase, Phase::Handshake | Phase::Ended) {
            if self.unsaid.is_empty() && (self.phase == Phase::Leaving || !self.begin_next_order()) {
                return;
            }
            if self.reader.has_rest() {
                return self.end(End::Malformed(Malformed::Unasked));
            }
            self.say();
        }
    }

    /// Lands, and takes up the next order. False when there is none.
    fn begin_next_order(&mut self) -> bool {
        match self.phase {
            Phase::Opening => {
                self.phase = Phase::Idle { flown: false };
                self.tell(Event::Ready(self.offer.clone()));
            }
            Phase::Flying => {
                self.phase = Phase::Idle { flown: true };
                self.tell(Event::Landed);
            }
            _ => {}
        }
        match self.orders.pop_front() {
            None => return false,
            Some(Order::Quit) => {
                self.phase = Phase::Leaving;
                self.unsaid.push_back(Step::Quit);
            }
            Some(Order::Fly(flight)) => {
                self.phase = Phase::Flying;
                self.load(flight);
            }
        }
        true
    }

    fn load(&mut self, flight: Flight) {
        let sender_is_wide = self.manner.sender.needs_smtputf8();
        let is_wide = |ask: &Ask| sender_is_wide || ask.address.needs_smtputf8();
        for Transaction { recipients: mut asks } in flight.transactions {
            let smtputf8 = asks.iter().any(is_wide);
            if smtputf8 && !self.offer.smtputf8 {
                let (unspeakable, others): (Vec<Ask>, Vec<Ask>) = asks.into_iter().partition(is_wide);
                asks = others;
                for Ask { id, .. } in unspeakable {
                    self.tell(Event::Answered(id, Answer::NoSmtputf8));
                }
            }
            if !asks.is_empty() {
                self.unsaid.push_back(Step::Mail { smtputf8: smtputf8 && self.offer.smtputf8 });
                self.unsaid.extend(asks.into_iter().map(Step::Rcpt));
            }
        }
        if flight.is_last {
            self.unsaid.push_back(Step::Quit);
        }
    }

    /// Says one command, or with PIPELINING all there are, in one write.
    fn say(&mut self) {
        // Most commands fit into so many bytes.
        const COMMAND: usize = 48;
        let at_once = if self.offer.pipelining { self.unsaid.len() } else { 1 };
        let mut bytes = Vec::with_capacity(at_once * COMMAND);
        self.awaited.reserve(at_once);
        while let Some(step) = self.unsaid.pop_front() {
            let step = match step {
                Step::Mail { .. } if self.open => {
                    self.unsaid.push_front(step);
                    Step::Rset
                }
                step => step,
            };
            let command = match &step {
                Step::Ehlo => Command::Ehlo(&self.manner.helo),
                Step::Helo => Command::Helo(&self.manner.helo),
                Step::StartTls => Command::StartTls,
                &Step::Mail { smtputf8 } => Command::Mail { sender: &self.manner.sender, smtputf8 },
                Step::Rcpt(ask) => Command::Rcpt(&ask.address),
                Step::Rset => Command::Rset,
                Step::Quit => Command::Quit,
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
            if !self.offer.pipelining {
                break;
            }
        }
        if !bytes.is_empty() {
            self.outputs.push_back(Output::Say(bytes));
        }
    }

    /// QUIT to a server that refused the session: polite, and its reply is not waited for.
    pub(super) fn say_goodbye(&mut self) {
        let mut bytes = Vec::new();
        Command::Quit.write_to(&mut bytes);
        self.outputs.push_back(Output::Say(bytes));
    }
}
