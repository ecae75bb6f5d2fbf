//! The probing pass of a run: what it is given, and what it returns beside the facts in the state.
//!
//! Decides: when nothing new may be started, and the exit code of a run that stopped early.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::cancel::CancelToken;
use super::network::{Network, NetworkJob};
use crate::address::Domain;
use crate::error::{Error, Exit};
use crate::evidence::{NotProbedReason, Timestamp};
use crate::policy::{Pace, Policy};
use crate::report::ProbeCounts;
use crate::route::DnsFault;
use crate::schedule::{HostRejection, ProviderEventKind, RunBlocked};
use crate::settings::RunDepth;
use crate::smtp::Transcript;

/// What a run probes with.
pub struct ProbeJob {
    /// Name servers, mail servers and the clock.
    pub network: Arc<Network>,
    /// Providers, reply rules, lists and lifetimes.
    pub policy: Policy,
    /// Look up routes, and contact no mail server.
    pub dns_only: bool,
    /// How fast providers are probed.
    pub pace: Pace,
    /// The longest wait for a recipient that was deferred.
    pub max_wait: Duration,
    /// Rejections that stand alone are confirmed by `postmaster`.
    pub confirm: bool,
    /// The time of the run after which nothing new is started.
    pub max_duration: Option<Duration>,
    /// The time of day after which nothing new is started.
    pub deadline: Option<SystemTime>,
    /// The most sessions that are open at the same time.
    pub sessions: usize,
    /// Keep the transcripts of sessions.
    pub trace: bool,
}

/// What the probing pass returns.
#[derive(Default)]
pub struct RunOutcome {
    /// What holds for all rows.
    pub conditions: RunConditions,
    /// The transcripts by host, in the order in which the sessions ended; empty unless wanted.
    pub dialogues: Vec<(Domain, Transcript)>,
    /// Connections, probes and look-ups.
    pub counts: ProbeCounts,
    /// How often each kind of event occurred at a provider.
    pub events: BTreeMap<ProviderEventKind, u64>,
    /// Which MX hosts rejected us, and in what words, if the run is blocked.
    pub rejections: Vec<HostRejection>,
    /// The clock stopped the run before its end.
    pub out_of_time: bool,
    /// No name server answers any more.
    pub name_servers_down: bool,
}

/// What holds for all rows of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunConditions {
    /// Why recipients without any evidence were not probed.
    pub not_probed: Option<NotProbedReason>,
    /// Set if no reply of the run may be judged.
    pub blocked: Option<RunBlocked>,
    /// Keys of the lanes at which too many mailboxes vanished at the same time.
    pub anomalies: BTreeSet<Arc<str>>,
    /// Why domains without a route were not looked up; `None` if only time was missing.
    pub unresolved: Option<DnsFault>,
}

impl ProbeJob {
    /// The job that the settings describe, on the network of `job`.
    pub(super) fn new(job: NetworkJob<'_>, trace: bool) -> Result<ProbeJob, Error> {
        let NetworkJob { settings, policy, network, .. } = job;
        let network = Arc::new(network);
        Ok(ProbeJob {
            policy,
            dns_only: matches!(settings.depth, RunDepth::Dns(_)),
            pace: settings.pace,
            max_wait: settings.max_wait,
            confirm: settings.confirm,
            max_duration: settings.max_duration,
            deadline: match &settings.deadline {
                None => None,
                Some(deadline) => Some(deadline.next(network.clock.now().wall)?),
            },
            sessions: settings.connections,
            trace,
            network,
        })
    }

    /// How long something new may still be started; `None` is for ever.
    pub(super) fn time_left(&self, now: Timestamp) -> Option<Duration> {
        let by_run = self.max_duration.map(|most| most.saturating_sub(now.elapsed));
        let by_day = self.deadline.map(|at| at.duration_since(now.wall).unwrap_or_default());
        by_run.into_iter().chain(by_day).min()
    }

    /// Why a recipient is not probed, if nothing more is known about it.
    pub(super) fn not_probed(&self) -> NotProbedReason {
        if self.dns_only { NotProbedReason::DnsOnly } else { NotProbedReason::Deadline }
    }

    /// The outcome of a run that has not probed anything.
    pub(super) fn outcome(&self) -> RunOutcome {
        let conditions = RunConditions { not_probed: Some(self.not_probed()), ..RunConditions::default() };
        RunOutcome { conditions, ..RunOutcome::default() }
    }
}

impl RunOutcome {
    /// Adds what a later part of the same run returned.
    pub(super) fn add(&mut self, later: RunOutcome) {
        let RunOutcome { conditions, dialogues, counts, events, rejections, out_of_time, name_servers_down } =
            later;
        let ProbeCounts { connections, questions, domains, unanswered } = counts;
        self.conditions.not_probed = conditions.not_probed.or(self.conditions.not_probed);
        self.conditions.blocked = conditions.blocked.or(self.conditions.blocked);
        self.conditions.anomalies.extend(conditions.anomalies);
        self.dialogues.extend(dialogues);
        self.rejections.extend(rejections);
        self.counts.connections += connections;
        self.counts.questions += questions;
        self.counts.domains += domains;
        self.counts.unanswered += unanswered;
        for (event, times) in events {
            *self.events.entry(event).or_default() += times;
        }
        self.out_of_time |= out_of_time;
        self.name_servers_down |= name_servers_down;
        self.conditions.unresolved = conditions.unresolved.or(self.conditions.unresolved.take());
    }

    /// Why the run stopped before its end, as the view `runs` of the state has it.
    pub(super) fn stopped_because(&self) -> &'static str {
        match self {
            RunOutcome { name_servers_down: true, .. } => "name_servers_down",
            RunOutcome { out_of_time: true, .. } => "deadline",
            _ => "stopped",
        }
    }

    /// The exit code of a run that stopped early, by the strongest reason.
    pub fn early_exit(&self, cancel: &CancelToken) -> Option<Exit> {
        let blocked = self.conditions.blocked.map(|_| Exit::Blocked);
        cancel
            .requested()
            .or((self.name_servers_down || self.counts.is_network_down()).then_some(Exit::NetworkDown))
            .or(blocked)
            .or(self.out_of_time.then_some(Exit::OutOfTime))
    }
}
