//! The sessions that are open, each held by a task of its own.
//!
//! Decides: nothing; it gives each session its line, hands it the scheduler's orders, and knows whom a task or an event
//! belongs to. Fails: a task that fails inside is found by [`SessionTasks::lost`].

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{self, JoinError, JoinSet};

use crate::address::Domain;
use crate::run::network::Network;
use crate::schedule::{SessionId, SessionOpening};
use crate::smtp::{
    ClientIdentity, SessionCommand, SessionRequest, SmtpEvent, SmtpTimeouts, TlsPolicy, Transcript,
    drive_session,
};

/// What was said in a session with a host, where it is kept.
pub(super) type Dialogue = Option<(Domain, Transcript)>;

/// How a task ended.
pub(super) type FinishedSession = Result<(task::Id, Dialogue), JoinError>;

/// Open sessions.
pub(super) struct SessionTasks {
    network: Arc<Network>,
    /// Keep the dialogues.
    trace: bool,
    tell: mpsc::UnboundedSender<(SessionId, SmtpEvent)>,
    held: HashMap<SessionId, SessionTask>,
    tasks: JoinSet<Dialogue>,
}

/// A session that is open.
struct SessionTask {
    opening: SessionOpening,
    orders: mpsc::Sender<SessionCommand>,
    task: task::Id,
}

impl SessionTasks {
    /// None yet; what happens in them comes out of the second half.
    pub(super) fn new(
        network: Arc<Network>,
        trace: bool,
    ) -> (SessionTasks, mpsc::UnboundedReceiver<(SessionId, SmtpEvent)>) {
        let (tell, events) = mpsc::unbounded_channel();
        (SessionTasks { network, trace, tell, held: HashMap::new(), tasks: JoinSet::new() }, events)
    }

    /// How many have not told their end.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// Not even a task is left.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Opens a session.
    pub(super) fn open(&mut self, opening: SessionOpening) {
        let session = opening.session;
        let (orders, taken) = mpsc::channel(1);
        let (network, tell, trace) = (self.network.clone(), self.tell.clone(), self.trace);
        let SessionOpening { host, address, tls, egress, .. } = opening.clone();
        let task = self.tasks.spawn(async move {
            // A way out that does not exist would be a fault inside like any other.
            let egress = &network.egresses[egress];
            let call = SessionRequest {
                host: &host,
                to: SocketAddr::new(address, network.smtp_port),
                path: &egress.path,
                identity: ClientIdentity {
                    helo: egress.helo.clone(),
                    sender: egress.sender.clone(),
                    tls: if tls { TlsPolicy::Try } else { TlsPolicy::No },
                },
                timeouts: SmtpTimeouts::default(),
            };
            let mut transcript = trace.then(Transcript::default);
            // The receiver lives as long as the run: a failed send has nobody left to tell.
            let report = |event| drop(tell.send((session, event)));
            drive_session(&*network.connect, call, taken, report, transcript.as_mut()).await;
            transcript.map(|transcript| (host, transcript))
        });
        self.held.insert(session, SessionTask { opening, orders, task: task.id() });
    }

    /// Hands an order to a session. One that is gone already will report its end.
    pub(super) fn order(&mut self, session: SessionId, order: SessionCommand) {
        if let Some(held) = self.held.get(&session)
            && held.orders.try_send(order).is_err()
        {
            tracing::debug!(event = "order_lost", session = session.0);
        }
    }

    /// What a session was opened with, until its end was told.
    pub(super) fn opening(&self, session: SessionId) -> Option<&SessionOpening> {
        self.held.get(&session).map(|held| &held.opening)
    }

    /// A session has told its end.
    pub(super) fn ended(&mut self, session: SessionId) {
        self.held.remove(&session);
    }

    /// The next task that is over; `None` when none is left.
    pub(super) async fn next_over(&mut self) -> Option<FinishedSession> {
        self.tasks.join_next_with_id().await
    }

    /// The same without waiting; `None` when none is over.
    pub(super) fn try_next_over(&mut self) -> Option<FinishedSession> {
        self.tasks.try_join_next_with_id()
    }

    /// A session's task failed inside, or was cut. One that told its end is gone already; any other has broken.
    pub(super) fn lost(&mut self, task: task::Id) -> Option<SessionId> {
        let (&session, _) = self.held.iter().find(|(_, held)| held.task == task)?;
        self.held.remove(&session);
        Some(session)
    }

    /// Ends all of them without a word; in the order of their opening.
    pub(super) fn cut(&mut self) -> Vec<SessionId> {
        self.tasks.abort_all();
        let mut open: Vec<SessionId> = self.held.drain().map(|(session, _)| session).collect();
        open.sort_unstable();
        open
    }
}
