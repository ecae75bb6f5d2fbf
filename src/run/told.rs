//! From evidence to what is told about a row.

use std::time::SystemTime;

use super::found::{Found, Known};
use super::intake::Seen;
use super::telling::Age;
use crate::address::Address;
use crate::policy::lifetimes::Lifetimes;
use crate::reason::{Finding, Verdict};
use crate::state::journal::{Retold, Told};
use crate::state::recall::Settled;
use crate::state::{Key, StateError};
use crate::verdict::evidence::{CatchAll, Evidence, Form, Inquired, RouteFact};
use crate::verdict::{Kinds, Record, decide};

/// What is told about a row, and what follows for later runs.
pub struct Row {
    /// What is told.
    pub record: Record,
    /// How long it holds.
    pub age: Age,
    /// What is told about its address otherwise than before.
    pub retold: Option<Retold>,
}

/// Judges a row and gathers what is told about it. `risky_roles` makes role addresses risky.
pub fn record(found: &mut Found, seen: Seen, risky_roles: bool) -> Result<Record, StateError> {
    Ok(row(found, seen, risky_roles)?.record)
}

/// The same, with what follows for later runs.
pub fn row(found: &mut Found, mut seen: Seen, risky_roles: bool) -> Result<Row, StateError> {
    let repairs = std::mem::take(&mut seen.repairs);
    let mut known = found.known(seen)?;
    let is_asked_about = matches!(known.evidence.form, Form::Fine(_));
    let settled = known.settled.take();
    let record = Record { repairs, ..judged(known, risky_roles, found.lifetimes(), found.now()) };
    let age = match record.expires_at {
        _ if !is_asked_about => Age::default(),
        Some(expires) => Age { fresh_until: Some(expires), oldest: record.checked_at },
        None => Age { fresh_until: Some(SystemTime::UNIX_EPOCH), oldest: record.checked_at },
    };
    let told =
        Told { reason: record.judgement.reason, checked: record.checked_at, expires: record.expires_at };
    let is_new = |settled: &Settled| {
        settled.reason.as_deref() != Some(told.reason.word()) || settled.expires != told.expires
    };
    let address = record.address.as_ref().filter(|_| settled.as_ref().is_some_and(is_new));
    let retold = address.and_then(|address| {
        let domain = Key::of(address.domain()?.as_str());
        Some(Retold { domain, local: address.local().to_owned(), told })
    });
    Ok(Row { record, age, retold })
}

fn judged(known: Known, risky_roles: bool, lifetimes: &Lifetimes, now: SystemTime) -> Record {
    let Known { evidence, provider, looked_up, .. } = known;
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
    // What the DNS said is evidence too.
    let checked_at = heard_at.or(looked_up);
    let Evidence { form, kinds, slip, inquiry, .. } = evidence;
    Record {
        expires_at: lifetimes.end(judgement.reason, checked_at),
        judgement,
        repairs: Vec::new(),
        did_you_mean: slip.map(|slip| slip.meant),
        address: form.into_address(),
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

/// What is told about an address that was asked about, as far as its row and the rest of the run do not matter.
pub fn in_short(address: &Address, inquired: &Inquired, lifetimes: &Lifetimes, now: SystemTime) -> Told {
    let evidence = Evidence {
        form: Form::Fine(address.clone()),
        kinds: Kinds::default(),
        slip: None,
        route: Some(RouteFact::Hosts { provider: "".into(), evidence: true }),
        inquiry: inquired.clone(),
    };
    let (judgement, grounds) = decide(&evidence, now);
    let checked = grounds.map(|grounds| grounds.at);
    let reason = judgement.reason;
    Told { reason, checked, expires: lifetimes.end(reason, checked) }
}
