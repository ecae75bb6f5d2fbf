//! A visit: one connection to a mail server, its greeting, EHLO, and QUIT.
//!
//! Decides: what of the dialogue is kept. A visit may also ask about recipients, by RCPT; there is no DATA. Must not: connect
//! to an address that its caller has not checked. Fails: as a [`VisitResult`].

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::address::{Address, Domain};
use crate::smtp::{
    Batch, ClientIdentity, Connect, EgressPath, EndReason, ProbeId, ProbeReply, RcptProbe, SessionCommand,
    SessionRequest, SmtpEvent, SmtpTimeouts, Stage, TlsPolicy, Transaction, Transcript, TranscriptLine,
    drive_session,
};

/// A mail server to visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VisitedHost {
    /// The name of the MX host.
    pub(crate) host: Domain,
    /// One of its addresses.
    pub(crate) address: IpAddr,
}

/// How to visit.
#[derive(Clone, Copy)]
pub(super) struct Visitor<'a> {
    pub(super) connect: &'a dyn Connect,
    pub(super) path: &'a EgressPath,
    pub(super) helo: &'a Domain,
    /// The envelope sender. Nothing shows it to the server unless recipients are asked about.
    pub(super) sender: &'a Address,
    pub(super) port: u16,
    pub(super) connect_time: Duration,
    pub(super) reply_time: Duration,
}

/// What a visit found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Visit {
    pub(super) to: VisitedHost,
    pub(super) result: VisitResult,
    /// The lines of the greeting and of the reply to EHLO.
    pub(super) said: Vec<String>,
    /// The replies about the recipients, in their order; none where a recipient was not asked about.
    pub(super) replies: Vec<Option<String>>,
    /// Whether these replies accept.
    pub(super) accepted: Vec<bool>,
}

/// How a visit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum VisitResult {
    /// The server greeted.
    Greeted,
    /// The server rejected the session, in these words.
    Rejected(String),
    /// The connection opened, and no greeting came: why.
    Silent(String),
    /// No connection: why.
    Unreachable(String),
}

impl Visitor<'_> {
    /// Visits a server.
    pub(super) async fn visit(&self, to: VisitedHost, recipients: &[Address]) -> Visit {
        let (commands, receiver) = mpsc::channel(1);
        if !recipients.is_empty() {
            let probe =
                |(n, address): (u64, &Address)| RcptProbe { id: ProbeId(n), address: address.clone() };
            let transaction = Transaction { recipients: (0..).zip(recipients).map(probe).collect() };
            let batch = Batch { transactions: vec![transaction], is_last: true };
            // The channel has room for one.
            let _ = commands.try_send(SessionCommand::Send(batch));
        }
        // Without a sender of commands the session says QUIT as soon as nothing is left to do.
        drop(commands);
        let request = SessionRequest {
            host: &to.host,
            to: SocketAddr::new(to.address, self.port),
            path: self.path,
            identity: ClientIdentity {
                helo: self.helo.clone(),
                sender: self.sender.clone(),
                tls: TlsPolicy::No,
                pipelining: false,
            },
            timeouts: SmtpTimeouts {
                connect: self.connect_time,
                reply: self.reply_time,
                session: self.reply_time * 2,
            },
        };
        let mut transcript = Transcript::default();
        let (mut replies, mut accepted) = (vec![None; recipients.len()], vec![false; recipients.len()]);
        let mut end = None;
        let on_event = |event| match event {
            SmtpEvent::Reply(ProbeId(n), reply) => {
                let n = usize::try_from(n).unwrap_or(usize::MAX);
                if let Some(place) = replies.get_mut(n) {
                    let (text, is_accepted) = match reply {
                        ProbeReply::Rcpt(reply) => (reply.to_string(), reply.is_positive()),
                        ProbeReply::Mail(reply) => (format!("{reply} (to MAIL FROM)"), false),
                        ProbeReply::NoSmtputf8 => ("SMTPUTF8 is not offered".to_owned(), false),
                    };
                    *place = Some(text);
                    accepted[n] = is_accepted;
                }
            }
            SmtpEvent::Ended(ended) => end = Some(ended),
            SmtpEvent::Ready(_) | SmtpEvent::BatchDone => {}
        };
        drive_session(self.connect, request, receiver, on_event, Some(&mut transcript)).await;
        let said = said_before_mail(&transcript);
        let result = match end {
            Some(end) => match end.reason {
                EndReason::Connect(why) | EndReason::Proxy(why) => VisitResult::Unreachable(why),
                EndReason::Rejected(reply) if end.stage.is_before_rcpt() => {
                    VisitResult::Rejected(reply.to_string())
                }
                reason if end.stage == Stage::Connect => VisitResult::Silent(reason.to_string()),
                _ => VisitResult::Greeted,
            },
            None => VisitResult::Silent("the session did not end".to_owned()),
        };
        Visit { to, result, said, replies, accepted }
    }
}

impl Visit {
    /// The name in the greeting.
    pub(super) fn greeting_name(&self) -> Option<&str> {
        self.said.first()?.get(4..)?.split_whitespace().next()
    }

    /// The address of the client, where greeting or EHLO reply show it.
    pub(super) fn echoed_address(&self) -> Option<IpAddr> {
        let is_separator =
            |c: char| c.is_whitespace() || matches!(c, '[' | ']' | '(' | ')' | ',' | ';' | '<' | '>');
        let parts = self.said.iter().flat_map(|line| line.split(is_separator));
        let addresses = parts.filter_map(|part| {
            let part = part.strip_prefix("IPv6:").unwrap_or(part).trim_end_matches('.');
            part.parse::<IpAddr>().ok()
        });
        addresses.map(|address| address.to_canonical()).find(|address| *address != self.to.address)
    }

    /// The server and what came of it, on one line.
    pub(super) fn line(&self) -> String {
        let VisitedHost { host, address } = &self.to;
        let what = match &self.result {
            VisitResult::Greeted => self.said.first().cloned().unwrap_or_default(),
            VisitResult::Rejected(reply) => format!("rejects this host: {reply}"),
            VisitResult::Silent(why) => format!("the connection opens, but {why}"),
            VisitResult::Unreachable(why) => why.clone(),
        };
        format!("{host} [{address}]: {what}")
    }
}

/// The lines that the server sent before the client said anything but EHLO or HELO.
fn said_before_mail(transcript: &Transcript) -> Vec<String> {
    let mut said = Vec::new();
    for line in transcript.lines() {
        match line {
            TranscriptLine::Received(text) => said.push(text.clone()),
            TranscriptLine::Sent(text) if !text.starts_with("EHLO") && !text.starts_with("HELO") => break,
            TranscriptLine::Sent(_) | TranscriptLine::Note(_) => {}
        }
    }
    said
}
