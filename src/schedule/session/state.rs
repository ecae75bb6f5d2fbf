//! One session as the scheduler sees it: what happened on it, and what it may still do.

use std::time::Duration;

use crate::evidence::{ClassifiedReply, RecipientKind};
use crate::policy::SessionLimits;
use crate::reason::Finding;
use crate::schedule::endpoint::EndpointTls;
use crate::schedule::in_flight::InFlightProbe;
use crate::schedule::limits::EndpointId;
use crate::schedule::provisional::SessionResults;
use crate::smtp::{Capabilities, EndReason, ProbeId, ProbeReply, Reply, SessionEnd, SmtpEvent, Stage};

/// An event on a session, its reply classified.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionEvent {
    /// The session is ready for its first batch.
    Ready(Capabilities),
    /// The reply to a probe.
    Reply(ProbeId, ClassifiedReply),
    /// The probe was not sent, because its recipient needs SMTPUTF8 (RFC 6531) and the server does not support it.
    NotSupported(ProbeId),
    /// All replies to the batch were received.
    BatchDone,
    /// The server ended the session with a reply that rejects us.
    Rejected(ClassifiedReply),
    /// The session ended in another way; `None` after our QUIT.
    Ended(Option<Finding>),
    /// The TLS handshake failed, which says nothing about sessions without TLS.
    TlsFailed,
}

/// Makes a session event of what the SMTP session returned. `classify` classifies its reply.
pub(crate) fn classify_event(
    event: SmtpEvent,
    mut classify: impl FnMut(Stage, Reply) -> ClassifiedReply,
) -> SessionEvent {
    match event {
        SmtpEvent::Ready(capabilities) => SessionEvent::Ready(capabilities),
        SmtpEvent::BatchDone => SessionEvent::BatchDone,
        SmtpEvent::Reply(probe, ProbeReply::Rcpt(reply)) => {
            SessionEvent::Reply(probe, classify(Stage::Rcpt, reply))
        }
        SmtpEvent::Reply(probe, ProbeReply::Mail(reply)) => {
            SessionEvent::Reply(probe, classify(Stage::Mail, reply))
        }
        SmtpEvent::Reply(probe, ProbeReply::NoSmtputf8) => SessionEvent::NotSupported(probe),
        SmtpEvent::Ended(SessionEnd { stage, reason }) => match reason {
            EndReason::Quit => SessionEvent::Ended(None),
            EndReason::Rejected(reply) => SessionEvent::Rejected(classify(stage, reply)),
            EndReason::HungUp => SessionEvent::Ended(Some(Finding::Disconnected)),
            EndReason::TimedOut => SessionEvent::Ended(Some(Finding::Timeout)),
            EndReason::Malformed(_) => SessionEvent::Ended(Some(Finding::MalformedReply)),
            EndReason::Connect(_) => SessionEvent::Ended(Some(Finding::ConnectFailed)),
            // Nothing is known of the mail server.
            EndReason::Proxy(_) => SessionEvent::Ended(Some(Finding::NotProbed)),
            EndReason::Tls(_) => SessionEvent::TlsFailed,
        },
    }
}

/// A session.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(in crate::schedule) struct SessionState {
    pub(in crate::schedule) endpoint: EndpointId,
    /// Whether it sends STARTTLS. The endpoint may have learned better since.
    pub(in crate::schedule) tls: EndpointTls,
    pub(in crate::schedule) phase: SessionPhase,
    pub(in crate::schedule) session_limits: SessionLimits,
    pub(in crate::schedule) capabilities: Capabilities,
    pub(in crate::schedule) in_flight: Vec<InFlightProbe>,
    /// Replies to the batch in flight. They are applied when the batch is done.
    pub(in crate::schedule) received: Vec<(ProbeId, ClassifiedReply)>,
    /// MAIL commands so far.
    pub(in crate::schedule) transactions: u32,
    /// Recipients that were rejected or deferred.
    pub(in crate::schedule) rejected: u32,
    /// Of these, the recipients that are unknown or may be.
    pub(in crate::schedule) unknown: u32,
    /// Replies to RCPT.
    pub(in crate::schedule) replies: u32,
    /// When the session last became idle.
    pub(in crate::schedule) idle_since: Duration,
    /// The first reply that makes the session useless for more probes.
    pub(in crate::schedule) spoiled_by: Option<ClassifiedReply>,
    /// The provider's hosts may turn, so one transaction is reserved for a closing control.
    pub(in crate::schedule) may_turn: bool,
    /// The endpoint has accepted a recipient, or may be asked for `postmaster`, so one rejection is reserved for a closing control.
    pub(in crate::schedule) has_positive_control: bool,
    /// The time of the run when it was opened.
    pub(in crate::schedule) opened: Duration,
    /// Probes that were sent, controls included.
    pub(in crate::schedule) sent: u32,
    pub(in crate::schedule) max_probes: u32,
    /// The last reply to RCPT rejected its recipient.
    pub(in crate::schedule) is_last_rejected: bool,
    /// The lane was slowed down for the load of the server.
    pub(in crate::schedule) was_slowed: bool,
    pub(in crate::schedule) provisional: SessionResults,
}

/// What a session is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::schedule) enum SessionPhase {
    /// It is being opened, has a batch in flight, or waits for the pace of its closing control.
    Working,
    /// It waits for a batch.
    Idle,
    /// It has sent QUIT.
    Quitting,
}

impl SessionState {
    /// A session that is being opened.
    pub(in crate::schedule) fn new(
        endpoint: EndpointId,
        tls: EndpointTls,
        session_limits: SessionLimits,
        max_probes: u32,
        may_turn: bool,
        has_positive_control: bool,
        opened: Duration,
    ) -> SessionState {
        SessionState {
            endpoint,
            tls,
            phase: SessionPhase::Working,
            session_limits,
            capabilities: Capabilities::default(),
            in_flight: Vec::new(),
            received: Vec::new(),
            transactions: 0,
            rejected: 0,
            unknown: 0,
            replies: 0,
            idle_since: Duration::ZERO,
            spoiled_by: None,
            may_turn,
            has_positive_control,
            opened,
            sent: 0,
            max_probes,
            is_last_rejected: false,
            was_slowed: false,
            provisional: SessionResults::default(),
        }
    }

    fn max_transactions(&self) -> u32 {
        self.session_limits.transactions.min(self.capabilities.mail_max.unwrap_or(u32::MAX))
    }

    /// Transactions that normal probes may still use.
    pub(in crate::schedule) fn transactions_left(&self) -> u32 {
        let max = self.max_transactions();
        let reserved = u32::from(self.may_turn && max > 1);
        (max - reserved).saturating_sub(self.transactions)
    }

    /// True if a transaction is left for a closing control.
    pub(in crate::schedule) fn has_transaction_for_control(&self) -> bool {
        self.transactions < self.max_transactions()
    }

    /// Rejections that the session may still get.
    pub(in crate::schedule) fn rejections_left(&self) -> u32 {
        self.session_limits.rejections.saturating_sub(self.rejected)
    }

    /// Rejections that normal probes may still use up. One is reserved for the closing control if the session holds
    /// acceptances and has got rejections that do not confirm them (deferrals, for example), or if it may come to hold
    /// rejections that only an acceptance confirms.
    pub(in crate::schedule) fn rejections_for_probes(&self) -> u32 {
        let for_acceptances = self.provisional.holds_acceptances() && self.rejected > self.unknown;
        let for_rejections = self.may_turn && self.has_positive_control;
        let left = self.rejections_left();
        let is_first = self.rejected == 0 && !for_acceptances;
        left.saturating_sub(u32::from(for_acceptances || for_rejections)).max(u32::from(is_first && left > 0))
    }

    /// Probes that the session may still send, but for its closing control.
    pub(in crate::schedule) fn probes_left(&self) -> u32 {
        self.max_probes.saturating_sub(self.sent).saturating_sub(u32::from(self.may_turn))
    }

    /// True if a probe is left for a closing control.
    pub(in crate::schedule) fn has_probe_for_control(&self) -> bool {
        self.sent < self.max_probes
    }

    /// The most recipients in a transaction.
    pub(in crate::schedule) fn max_recipients(&self) -> u32 {
        self.session_limits.recipients.min(self.capabilities.rcpt_max.unwrap_or(u32::MAX)).max(1)
    }

    /// True if the batch in flight may end with rejections that only an acceptance after them confirms, so that QUIT
    /// should not leave with it.
    pub(in crate::schedule) fn may_need_acceptance(&self) -> bool {
        let is_listed = |probe: &&InFlightProbe| matches!(probe.kind, RecipientKind::Listed(_));
        let listed = self.in_flight.iter().filter(is_listed).count();
        self.may_turn
            && (listed > 1
                || (listed == 1 && self.has_positive_control)
                || self.provisional.holds_rejections())
    }

    /// True if the session can take no more normal probes.
    pub(in crate::schedule) fn is_used_up(&self) -> bool {
        self.spoiled_by.is_some()
            || self.transactions_left() == 0
            || self.rejections_for_probes() == 0
            || self.probes_left() == 0
    }
}
