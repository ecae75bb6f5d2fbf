//! From evidence to what is told about a row.

use std::time::{Duration, SystemTime};

use super::found::Found;
use super::intake::Seen;
use super::roster::Roster;
use crate::reason::{Finding, Reason, Verdict};
use crate::verdict::evidence::{CatchAll, Evidence};
use crate::verdict::{Record, decide};

/// Judges a row and gathers what is told about it. `risky_roles` makes role addresses risky.
pub fn record(found: &Found, seen: Seen, roster: &Roster, risky_roles: bool, now: SystemTime) -> Record {
    let evidence = found.evidence(seen, roster);
    let (mut judgement, grounds) = decide(&evidence, now);
    if risky_roles && evidence.kinds.role == Some(true) && judgement.reason.verdict() == Verdict::Deliverable
    {
        judgement.reason = Finding::RoleAccount.into();
        judgement.rule = "list.role".into();
    }
    let (mx_host, reply, heard_at) = match grounds {
        Some(grounds) => (Some(grounds.exchanger.clone()), grounds.reply.cloned(), Some(grounds.at)),
        None => (None, None, None),
    };
    // What the DNS said is evidence too, and as old as the run.
    let checked_at = heard_at.or(evidence.route.is_some().then_some(now));
    let lifetime = lifetime(judgement.reason);
    let Evidence { form, kinds, slip, inquiry, .. } = evidence;
    let address = form.into_address();
    let provider = address.as_ref().and_then(|address| found.provider(address.domain()?));
    Record {
        expires_at: checked_at.zip(lifetime).map(|(at, lifetime)| at + lifetime),
        judgement,
        did_you_mean: slip.map(|slip| slip.meant),
        address,
        kinds,
        provider,
        mx_host,
        catch_all: match inquiry.catch_all {
            CatchAll::Yes(_) => Some(true),
            CatchAll::No(_) => Some(false),
            CatchAll::Unclear | CatchAll::Failed(_) | CatchAll::NotAsked => None,
        },
        reply,
        attempts: u32::try_from(inquiry.attempts.len()).unwrap_or(u32::MAX),
        checked_at,
    }
}

/// How long an answer may be used again; `None` for what was no answer.
fn lifetime(reason: Reason) -> Option<Duration> {
    const DAY: Duration = Duration::from_secs(86_400);
    match reason {
        Reason::Found(Finding::DomainNotFound | Finding::NoMailHost | Finding::MxUnroutable) => Some(DAY * 7),
        Reason::Found(Finding::NullMx) => Some(DAY * 90),
        Reason::Found(
            Finding::Syntax | Finding::ProviderSyntax | Finding::Empty | Finding::SpecialUseDomain,
        ) => None,
        reason => match reason.verdict() {
            Verdict::Undeliverable => Some(DAY * 90),
            Verdict::Deliverable | Verdict::Risky => Some(DAY * 30),
            Verdict::Unknown => None,
        },
    }
}
