//! The checks that the sender's own MX accepts mail for the sender and for `postmaster`: receivers may ask it (callback), and
//! bounces go there. One session with RCPT only; there is no DATA.

use super::check::{CheckStatus, Finding};
use super::visit::{Visit, VisitResult, VisitedHost, Visitor};
use crate::address::Address;

/// What the own MX host says about two recipients.
pub(super) struct OwnMailboxes {
    pub(super) sender: Finding,
    pub(super) postmaster: Finding,
}

/// Asks the MX hosts in turn, until one answers about the recipients.
pub(super) async fn own_mailboxes(
    visitor: Visitor<'_>,
    hosts: Vec<VisitedHost>,
    sender: &Address,
) -> OwnMailboxes {
    let Some(domain) = sender.domain() else {
        return unknown("The sender has no domain.", &[]);
    };
    let mut recipients = vec![sender.clone()];
    recipients.extend(Address::parse(&format!("postmaster@{domain}")).ok());
    let mut visits: Vec<Visit> = Vec::new();
    for host in hosts.into_iter().take(MOST_HOSTS) {
        let visit = visitor.visit(host, &recipients).await;
        if visit.replies.iter().any(Option::is_some) {
            let finding = |n: usize, address: &str| of_reply(&visit, n, address);
            return OwnMailboxes {
                sender: finding(0, &sender.to_string()),
                postmaster: finding(1, &format!("postmaster@{domain}")),
            };
        }
        visits.push(visit);
    }
    match visits.first() {
        None => unknown("No MX host of the sender's domain is known to ask.", &visits),
        Some(visit) if visits.iter().all(|visit| matches!(visit.result, VisitResult::Unreachable(_))) => {
            unknown(
                &format!("The sender's own MX host {} can't be reached from here.", visit.to.host),
                &visits,
            )
        }
        Some(visit) => {
            unknown(&format!("The sender's own MX host {} did not answer about it.", visit.to.host), &visits)
        }
    }
}

/// MX hosts that are asked before it is given up.
const MOST_HOSTS: usize = 3;

fn unknown(sentence: &str, visits: &[Visit]) -> OwnMailboxes {
    let finding = || {
        Finding::new(CheckStatus::CouldNotConfirm, sentence)
            .details(visits.iter().map(Visit::line))
            .fix("Send a message to the address from another provider, and see whether it arrives.")
    };
    OwnMailboxes { sender: finding(), postmaster: finding() }
}

fn of_reply(visit: &Visit, n: usize, address: &str) -> Finding {
    let host = &visit.to.host;
    let Some(Some(reply)) = visit.replies.get(n) else {
        return Finding::new(CheckStatus::CouldNotConfirm, format!("{host} did not answer about {address}."));
    };
    let status = match reply.as_bytes().first() {
        _ if visit.accepted[n] => CheckStatus::Pass,
        // The sender itself was rejected, or later the answer may be another one.
        Some(b'5') if !reply.ends_with("(to MAIL FROM)") => CheckStatus::Warn,
        _ => CheckStatus::CouldNotConfirm,
    };
    let sentence = match status {
        CheckStatus::Pass => format!("{host} accepts mail for {address}."),
        CheckStatus::Warn => format!("{host} rejects mail for {address}."),
        _ => format!("{host} gave no clear answer about {address}."),
    };
    let finding = Finding::new(status, sentence).detail(format!("{host}: {reply}"));
    match status {
        CheckStatus::Pass => finding,
        _ => finding.fix(format!(
            "Create the mailbox or alias {address}, and read it: bounces and complaints go there."
        )),
    }
}
