//! Tasks of the probing pass: look-ups of domains and open sessions, each a task of its own.
//!
//! Decides: nothing; it starts a task, passes the scheduler's commands to a session, and knows which domain or session
//! a task belongs to. Fails: a task that panics is reported as a fault of ours ([`DnsFault::Internal`],
//! [`SessionTasks::lost`]); an aborted look-up reports nothing.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{self, JoinError, JoinSet};

use super::network::Network;
use crate::address::Domain;
use crate::route::{self, DnsFault, ResolvedRoute, Route};
use crate::schedule::{SessionId, SessionOpening};
use crate::smtp::{
    ClientIdentity, SessionCommand, SessionRequest, SmtpEvent, SmtpTimeouts, TlsPolicy, Transcript,
    drive_session,
};
use crate::state::NameHash;

/// A finished look-up task.
pub(super) type FinishedLookup = Result<(task::Id, ResolvedRoute), JoinError>;

/// A finished session task, with the host and the transcript if transcripts are kept.
pub(super) type FinishedSession = Result<(task::Id, Option<(Domain, Transcript)>), JoinError>;

/// Look-ups in progress.
pub(super) struct LookupTasks {
    network: Arc<Network>,
    tasks: JoinSet<ResolvedRoute>,
    domains: HashMap<task::Id, (NameHash, Domain)>,
}

impl LookupTasks {
    pub(super) fn new(network: Arc<Network>) -> LookupTasks {
        LookupTasks { network, tasks: JoinSet::new(), domains: HashMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Starts to look up a domain.
    pub(super) fn start(&mut self, key: NameHash, domain: Domain) {
        let (network, name) = (self.network.clone(), domain.clone());
        let task =
            self.tasks.spawn(async move { route::resolve(&*network.dns, &name, &network.allowed).await });
        self.domains.insert(task.id(), (key, domain));
    }

    /// Waits for the next task that finishes; `None` if there is no task.
    pub(super) async fn next_finished(&mut self) -> Option<FinishedLookup> {
        self.tasks.join_next_with_id().await
    }

    /// The next task that has finished, without waiting.
    pub(super) fn try_next_finished(&mut self) -> Option<FinishedLookup> {
        self.tasks.try_join_next_with_id()
    }

    /// The route that a finished task found, with its domain; `None` if the task was aborted.
    pub(super) fn take_route(
        &mut self,
        finished: FinishedLookup,
    ) -> Option<(NameHash, Domain, ResolvedRoute)> {
        let internal = ResolvedRoute { route: Route::Failed(DnsFault::Internal), ttl: Duration::ZERO };
        let (task, route) = match finished {
            Ok((task, route)) => (task, Some(route)),
            Err(fault) => (fault.id(), fault.is_panic().then_some(internal)),
        };
        let (key, domain) = self.domains.remove(&task)?;
        Some((key, domain, route?))
    }

    /// Aborts all look-ups.
    pub(super) fn abort(&mut self) {
        self.tasks.abort_all();
    }
}

/// Open sessions.
pub(super) struct SessionTasks {
    network: Arc<Network>,
    /// Keep the transcripts.
    trace: bool,
    events: mpsc::UnboundedSender<(SessionId, SmtpEvent)>,
    open: HashMap<SessionId, OpenSession>,
    tasks: JoinSet<Option<(Domain, Transcript)>>,
}

/// A session that has not reported its end.
struct OpenSession {
    opening: SessionOpening,
    commands: mpsc::Sender<SessionCommand>,
    task: task::Id,
    /// When the host last said something, or else the session was opened; by the clock of the run.
    last_event: Duration,
}

impl SessionTasks {
    /// No session, and the receiver of what will happen in sessions.
    pub(super) fn new(
        network: Arc<Network>,
        trace: bool,
    ) -> (SessionTasks, mpsc::UnboundedReceiver<(SessionId, SmtpEvent)>) {
        let (sender, events) = mpsc::unbounded_channel();
        (SessionTasks { network, trace, events: sender, open: HashMap::new(), tasks: JoinSet::new() }, events)
    }

    /// The number of sessions that have not reported their end.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// True if not even a task is left.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Opens a session.
    pub(super) fn open(&mut self, opening: SessionOpening, now: Duration) {
        let session = opening.session;
        let (commands, taken) = mpsc::channel(1);
        let (network, events, trace) = (self.network.clone(), self.events.clone(), self.trace);
        let SessionOpening { host, address, tls, pipelining, egress, .. } = opening.clone();
        let task = self.tasks.spawn(async move {
            // An egress that does not exist panics here, in the task, as any fault of ours does.
            let egress = &network.egresses[egress];
            let request = SessionRequest {
                host: &host,
                to: SocketAddr::new(address, network.smtp_port),
                path: &egress.path,
                identity: ClientIdentity {
                    helo: egress.helo.clone(),
                    sender: egress.sender.clone(),
                    tls: if tls { TlsPolicy::Try } else { TlsPolicy::No },
                    pipelining,
                },
                timeouts: SmtpTimeouts::default(),
            };
            let mut transcript = trace.then(Transcript::default);
            // The receiver lives as long as the run; after that an event has no reader.
            let report = |event| drop(events.send((session, event)));
            drive_session(&*network.connect, request, taken, report, transcript.as_mut()).await;
            transcript.map(|transcript| (host, transcript))
        });
        self.open.insert(session, OpenSession { opening, commands, task: task.id(), last_event: now });
    }

    /// Passes a command to a session. One that is over will report its end.
    pub(super) fn command(&mut self, session: SessionId, command: SessionCommand) {
        if let Some(open) = self.open.get(&session)
            && open.commands.try_send(command).is_err()
        {
            tracing::debug!(event = "order_lost", session = session.0);
        }
    }

    /// How a session was opened; `None` once it has reported its end.
    pub(super) fn opening(&self, session: SessionId) -> Option<&SessionOpening> {
        self.open.get(&session).map(|open| &open.opening)
    }

    /// Must be called when something happened on a session.
    pub(super) fn on_event(&mut self, session: SessionId, now: Duration) {
        if let Some(open) = self.open.get_mut(&session) {
            open.last_event = now;
        }
    }

    /// Must be called when a session has reported its end.
    pub(super) fn ended(&mut self, session: SessionId) {
        self.open.remove(&session);
    }

    /// Waits for the next task that finishes; `None` if there is no task.
    pub(super) async fn next_finished(&mut self) -> Option<FinishedSession> {
        self.tasks.join_next_with_id().await
    }

    /// The next task that has finished, without waiting.
    pub(super) fn try_next_finished(&mut self) -> Option<FinishedSession> {
        self.tasks.try_join_next_with_id()
    }

    /// The session of a task that panicked or was aborted; `None` if it has reported its end before.
    pub(super) fn lost(&mut self, task: task::Id) -> Option<SessionId> {
        let (&session, _) = self.open.iter().find(|(_, open)| open.task == task)?;
        self.open.remove(&session);
        Some(session)
    }

    /// The sessions whose host has said nothing since this time of the run.
    pub(super) fn silent_since(&self, since: Duration) -> Vec<SessionId> {
        let silent = self.open.iter().filter(|(_, open)| open.last_event < since);
        silent.map(|(session, _)| *session).collect()
    }

    /// Aborts all sessions, and returns them in the order in which they were opened. None of them reports its end.
    pub(super) fn abort(&mut self) -> Vec<SessionId> {
        self.tasks.abort_all();
        let mut open: Vec<SessionId> = self.open.drain().map(|(session, _)| session).collect();
        open.sort_unstable();
        open
    }
}
