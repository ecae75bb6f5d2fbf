//! What came of asking, besides the facts in the state.
//!
//! Decides: how a run exits that did not come to its end.

use std::collections::BTreeMap;

use crate::address::Domain;
use crate::error::Exit;
use crate::report::ProbeCounts;
use crate::run::cancel::CancelToken;
use crate::run::evidence_reader::RunConditions;
use crate::schedule::ProviderEventKind;
use crate::smtp::Transcript;

/// What came of it, besides the facts in the state.
#[derive(Default)]
pub struct RunOutcome {
    /// What holds for all rows.
    pub whole: RunConditions,
    /// The dialogues, by host, in the order of their end; empty unless asked for.
    pub dialogues: Vec<(Domain, Transcript)>,
    /// Connections opened and questions asked.
    pub asked: ProbeCounts,
    /// How often the scheduler decided what about an operator.
    pub decisions: BTreeMap<ProviderEventKind, u64>,
    /// It was stopped before its end, by the clock.
    pub out_of_time: bool,
}

impl RunOutcome {
    /// How a run exits that did not come to its end, the strongest reason first.
    pub fn early_exit(&self, stop: &CancelToken) -> Option<Exit> {
        let shut = self.whole.shut.map(|_| Exit::Blocked);
        stop.requested()
            .or(self.asked.is_network_down().then_some(Exit::NetworkDown))
            .or(shut)
            .or(self.out_of_time.then_some(Exit::OutOfTime))
    }
}
