//! From evidence to what is told about a row.

use std::time::SystemTime;

use super::analyze::CellAnalysis;
use super::evidence_reader::{EvidenceReader, RowEvidence};
use super::write_results::Validity;
use crate::address::{Address, AddressKinds};
use crate::evidence::{AddressStatus, CatchAll, Evidence, MailboxEvidence, RouteFact};
use crate::policy::Lifetimes;
use crate::reason::{Finding, Verdict};
use crate::state::{NameHash, ReportedVerdict, StateError, StoredResult, VerdictUpdate};
use crate::verdict::{AddressResult, decide};

/// What is told about a row, and what follows for later runs.
pub(super) struct JudgedRow {
    /// What is told.
    pub record: AddressResult,
    /// How long it holds.
    pub age: Validity,
    /// What is told about its address otherwise than before.
    pub update: Option<VerdictUpdate>,
}

/// Judges a row and gathers what is told about it. `risky_roles` makes role addresses risky.
pub fn record(
    found: &mut EvidenceReader,
    seen: CellAnalysis,
    risky_roles: bool,
) -> Result<AddressResult, StateError> {
    Ok(row(found, seen, risky_roles)?.record)
}

/// The same, with what follows for later runs.
pub(super) fn row(
    found: &mut EvidenceReader,
    mut seen: CellAnalysis,
    risky_roles: bool,
) -> Result<JudgedRow, StateError> {
    let repairs = std::mem::take(&mut seen.repairs);
    let mut known = found.known(seen)?;
    let is_asked_about = matches!(known.evidence.status, AddressStatus::Valid(_));
    let settled = known.settled.take();
    let record = AddressResult { repairs, ..judged(known, risky_roles, found.lifetimes(), found.now()) };
    let age = match record.expires_at {
        _ if !is_asked_about => Validity::default(),
        Some(expires) => Validity { fresh_until: Some(expires), oldest: record.checked_at },
        None => Validity { fresh_until: Some(SystemTime::UNIX_EPOCH), oldest: record.checked_at },
    };
    let told = ReportedVerdict {
        reason: record.judgment.reason,
        checked: record.checked_at,
        expires: record.expires_at,
    };
    let is_new = |settled: &StoredResult| {
        settled.reason.as_deref() != Some(told.reason.word()) || settled.expires != told.expires
    };
    let address = record.address.as_ref().filter(|_| settled.as_ref().is_some_and(is_new));
    let update = address.and_then(|address| {
        let domain = NameHash::of(address.domain()?.as_str());
        Some(VerdictUpdate { domain, local: address.local().to_owned(), told })
    });
    Ok(JudgedRow { record, age, update })
}

fn judged(known: RowEvidence, risky_roles: bool, lifetimes: &Lifetimes, now: SystemTime) -> AddressResult {
    let RowEvidence { evidence, provider, looked_up, .. } = known;
    let (mut judgment, deciding) = decide(&evidence, now);
    if risky_roles && evidence.kinds.role == Some(true) && judgment.reason.verdict() == Verdict::Deliverable {
        judgment.reason = Finding::RoleAccount.into();
        judgment.rule = "list.role".into();
    }
    let (mx_host, reply, heard_at) = match deciding {
        Some(deciding) => (Some(deciding.mx_host.clone()), deciding.reply.cloned(), Some(deciding.at)),
        None => (None, None, None),
    };
    // What the DNS said is evidence too.
    let checked_at = heard_at.or(looked_up);
    let Evidence { status: form, kinds, typo: slip, mailbox, .. } = evidence;
    AddressResult {
        expires_at: lifetimes.end(judgment.reason, checked_at),
        judgment,
        repairs: Vec::new(),
        did_you_mean: slip.map(|slip| slip.meant),
        address: form.into_address(),
        kinds,
        provider,
        mx_host,
        catch_all: match mailbox.catch_all {
            CatchAll::Yes(_) => Some(true),
            CatchAll::No(_) => Some(false),
            CatchAll::Unclear | CatchAll::Failed(_) | CatchAll::NotTested => None,
        },
        reply,
        attempts: u32::try_from(mailbox.attempts.len()).unwrap_or(u32::MAX),
        checked_at,
    }
}

/// What is told about an address that was asked about, as far as its row and the rest of the run do not matter.
pub(super) fn provisional_verdict(
    address: &Address,
    mailbox: &MailboxEvidence,
    lifetimes: &Lifetimes,
    now: SystemTime,
) -> ReportedVerdict {
    let evidence = Evidence {
        status: AddressStatus::Valid(address.clone()),
        kinds: AddressKinds::default(),
        typo: None,
        route: Some(RouteFact::Hosts { provider: "".into(), is_checkable: true }),
        mailbox: mailbox.clone(),
    };
    let (judgment, deciding) = decide(&evidence, now);
    let checked = deciding.map(|deciding| deciding.at);
    let reason = judgment.reason;
    ReportedVerdict { reason, checked, expires: lifetimes.end(reason, checked) }
}
