//! What came of asking, besides the facts in the state.
//!
//! Decides: how a run exits that did not come to its end.

use std::collections::BTreeMap;

use crate::address::Domain;
use crate::error::Exit;
use crate::report::Asked;
use crate::run::found::Whole;
use crate::run::stop::Stop;
use crate::schedule::Ruling;
use crate::smtp::transcript::Transcript;

/// What came of it, besides the facts in the state.
#[derive(Default)]
pub struct Outcome {
    /// What holds for all rows.
    pub whole: Whole,
    /// The dialogues, by host, in the order of their end; empty unless asked for.
    pub dialogues: Vec<(Domain, Transcript)>,
    /// Connections opened and questions asked.
    pub asked: Asked,
    /// How often the scheduler decided what about an operator.
    pub decisions: BTreeMap<Ruling, u64>,
    /// It was stopped before its end, by the clock.
    pub out_of_time: bool,
}

impl Outcome {
    /// How a run exits that did not come to its end, the strongest reason first.
    pub fn early_exit(&self, stop: &Stop) -> Option<Exit> {
        let shut = self.whole.shut.map(|_| Exit::ShutOut);
        stop.wished()
            .or(self.asked.in_vain().then_some(Exit::NetworkDown))
            .or(shut)
            .or(self.out_of_time.then_some(Exit::OutOfTime))
    }
}
