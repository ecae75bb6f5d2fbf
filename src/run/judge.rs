//! Verdicts of rows and recipients: evidence in, what is written out.
//!
//! [`decide`] is called in one place, [`judge`]. [`row`] judges a row from all its evidence when the results are
//! written. [`recipient`] judges a recipient when its probes are done, from the evidence that it alone has, so that the
//! state has a verdict if the run is killed; it is a cache of the same function, and [`row`] replaces it where the rest
//! of the run changed the verdict.
//!
//! Decides: which rows are written like an earlier one: if nothing is probed, the verdict of a plain address follows
//! from its kinds alone. Must not: look at a row beside its evidence.

use std::time::SystemTime;

use super::analyze::{AnalyzeOptions, Analyzer, CellAnalysis, PlainAddress};
use super::duplicates::AddressKeys;
use super::evidence_reader::{EvidenceReader, RowEvidence};
use super::row_status;
use crate::address::{Address, AddressKinds};
use crate::error::Error;
use crate::evidence::{AddressStatus, CatchAll, Evidence, MailboxEvidence, RouteFact};
use crate::list::{Composed, Composer, ListEntry, Row, RowBatch};
use crate::policy::Policy;
use crate::reason::{Finding, Verdict};
use crate::report::BatchTally;
use crate::state::{ReportedNote, ReportedVerdict, StateError, StoredResult, VerdictUpdate};
use crate::verdict::{AddressResult, DecidingReply, Judgment, decide};

/// A row's result, and what later runs need of it.
pub(super) struct JudgedRow {
    /// What is written.
    pub(super) result: AddressResult,
    /// How long it is valid.
    pub(super) validity: Validity,
    /// The verdict, if it differs from the stored one.
    pub(super) update: Option<VerdictUpdate>,
}

/// How long results are valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Validity {
    /// When the first result expires; `None` if none does.
    pub(super) fresh_until: Option<SystemTime>,
    /// The time of the oldest evidence.
    pub(super) oldest: Option<SystemTime>,
}

impl Validity {
    /// Adds the validity of other results.
    pub(super) fn add(&mut self, other: Validity) {
        let earlier = |one: Option<SystemTime>, other: Option<SystemTime>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self.fresh_until = earlier(self.fresh_until, other.fresh_until);
        self.oldest = earlier(self.oldest, other.oldest);
    }
}

/// Judges evidence. `looked_up` is when the DNS answered, which counts as evidence if no server replied; `risky_roles`
/// makes role accounts risky.
fn judge<'a>(
    evidence: &'a Evidence,
    looked_up: Option<SystemTime>,
    risky_roles: bool,
    policy: &Policy,
    now: SystemTime,
) -> (Judgment, ReportedVerdict, Option<DecidingReply<'a>>) {
    let (mut judgment, deciding) = decide(evidence, now, |kind| policy.later_run(kind));
    if risky_roles && evidence.kinds.role == Some(true) && judgment.reason.verdict() == Verdict::Deliverable {
        judgment.reason = Finding::RoleAccount.into();
        judgment.rule = "list.role".into();
    }
    let reason = judgment.reason;
    let checked = deciding.as_ref().map(|deciding| deciding.at).or(looked_up);
    let verdict = ReportedVerdict { reason, checked, expires: policy.lifetimes().end(reason, checked) };
    (judgment, verdict, deciding)
}

/// The verdict on a recipient by its own evidence, without what its row and the rest of the run add.
pub(super) fn recipient(
    address: &Address,
    mailbox: &MailboxEvidence,
    policy: &Policy,
    now: SystemTime,
) -> ReportedVerdict {
    let evidence = Evidence {
        status: AddressStatus::Valid(address.clone()),
        kinds: AddressKinds::default(),
        typo: None,
        // Only recipients with a route to hosts whose replies are evidence are probed.
        route: Some(RouteFact::Hosts { provider: "".into(), is_checkable: true }),
        mailbox: mailbox.clone(),
    };
    let (_, verdict, _) = judge(&evidence, None, false, policy, now);
    verdict
}

/// Judges a row by all its evidence.
pub(super) fn row(
    reader: &mut EvidenceReader,
    mut cell: CellAnalysis,
    risky_roles: bool,
) -> Result<JudgedRow, StateError> {
    let repairs = std::mem::take(&mut cell.repairs);
    let RowEvidence { evidence, provider, looked_up, stored } = reader.evidence_for(cell)?;
    let can_be_probed = matches!(evidence.status, AddressStatus::Valid(_));
    let (judgment, verdict, deciding) =
        judge(&evidence, looked_up, risky_roles, &reader.policy(), reader.now());
    let (mx_host, reply) = match deciding {
        Some(deciding) => (Some(deciding.mx_host.clone()), deciding.reply.cloned()),
        None => (None, None),
    };
    let Evidence { status, kinds, typo, mailbox, .. } = evidence;
    let result = AddressResult {
        judgment,
        repairs,
        did_you_mean: typo.map(|typo| typo.meant),
        address: status.into_address(),
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
        checked_at: verdict.checked,
        expires_at: verdict.expires,
    };
    let validity = if can_be_probed {
        let fresh_until = verdict.expires.unwrap_or(SystemTime::UNIX_EPOCH);
        Validity { fresh_until: Some(fresh_until), oldest: verdict.checked }
    } else {
        Validity::default()
    };
    let differs = |stored: &StoredResult| {
        stored.reason.as_deref() != Some(verdict.reason.word()) || stored.expires != verdict.expires
    };
    let address = result.address.as_ref().filter(|_| stored.as_ref().is_some_and(differs));
    let update = address.and_then(|address| VerdictUpdate::new(address, verdict));
    Ok(JudgedRow { result, validity, update })
}

/// The result of a row.
pub fn judge_row(
    reader: &mut EvidenceReader,
    cell: CellAnalysis,
    risky_roles: bool,
) -> Result<AddressResult, StateError> {
    Ok(row(reader, cell, risky_roles)?.result)
}

/// Judges the rows of a list, a batch at a time, and composes what is written. Each worker has one.
pub(super) struct RowJudge {
    analyzer: Analyzer,
    reader: EvidenceReader,
    composer: Composer,
    keys: AddressKeys,
    options: JudgeOptions,
    /// The results of plain addresses by their kinds, if nothing is probed.
    by_kinds: Vec<(AddressKinds, AddressResult, Validity)>,
}

/// How rows are judged, and which of them are written.
#[derive(Clone, Debug)]
pub(super) struct JudgeOptions {
    /// Role accounts are risky.
    pub(super) risky_roles: bool,
    /// Only rows whose reason changed are written.
    pub(super) changed_only: bool,
    /// The name of the address column; empty where the list has no header.
    pub(super) header: String,
    /// Some addresses are kept as examples for the report.
    pub(super) keeps_addresses: bool,
}

/// A judged batch of rows.
#[derive(Default)]
pub(super) struct JudgedBatch {
    /// The rows as they are written.
    pub(super) composed: Composed,
    /// What they have in common.
    pub(super) tally: BatchTally,
    /// How long their results are valid.
    pub(super) validity: Validity,
    /// What changes in the state.
    pub(super) updates: StateUpdates,
}

/// Changes of verdicts and reported reasons, for the state.
#[derive(Default)]
pub(super) struct StateUpdates {
    /// Verdicts that differ from the stored ones.
    pub(super) verdicts: Vec<VerdictUpdate>,
    /// Reasons that differ from the last reported ones.
    pub(super) notes: Vec<ReportedNote>,
}

impl RowJudge {
    pub(super) fn new(
        reader: EvidenceReader,
        how: AnalyzeOptions,
        composer: Composer,
        keys: AddressKeys,
        options: JudgeOptions,
    ) -> RowJudge {
        RowJudge { analyzer: Analyzer::new(how), reader, composer, keys, options, by_kinds: Vec::new() }
    }

    /// Judges a batch; `judged` is overwritten.
    pub(super) fn judge(&mut self, batch: &RowBatch, judged: &mut JudgedBatch) -> Result<(), Error> {
        judged.composed.clear();
        judged.tally.clear(self.options.keeps_addresses);
        judged.updates.verdicts.clear();
        judged.updates.notes.clear();
        judged.validity = Validity::default();
        let footer = batch.rows_behind_addresses();
        batch.entries().zip(0..).try_for_each(|(entry, at)| match entry {
            ListEntry::Unreadable(unreadable) => {
                judged.composed.add_unreadable(unreadable);
                Ok(())
            }
            ListEntry::Row(row) => self.row(&row, footer.contains(&at), judged),
        })
    }

    fn row(
        &mut self,
        row: &Row<'_>,
        is_behind_addresses: bool,
        judged: &mut JudgedBatch,
    ) -> Result<(), Error> {
        let plain = if self.reader.has_no_facts() { self.analyzer.analyze_fast(row.address()) } else { None };
        if let Some(PlainAddress { local, domain, kinds }) = plain
            && let Some((_, result, validity)) = self.by_kinds.iter().find(|(known, ..)| *known == kinds)
        {
            let key = self.keys.of_parts(local, domain);
            if self.composer.plain_row(row, result, (local, domain), Some(key), &mut judged.composed) {
                judged.tally.add(result, Some(domain));
            }
            judged.validity.add(*validity);
            return Ok(());
        }
        let mut cell = self.analyzer.analyze(row.address());
        if row_status::is_no_row(
            row,
            &self.options.header,
            is_behind_addresses,
            &cell.form,
            self.analyzer.lists(),
        ) {
            cell = CellAnalysis::empty();
        }
        let repaired = cell.repaired.take();
        let key = cell.form.listed_address().map(|address| self.keys.of(address));
        let JudgedRow { result, validity, update } =
            self::row(&mut self.reader, cell, self.options.risky_roles)?;
        let change = self.reader.change_status(row.address(), &result)?;
        let is_row = if change.is_changed || !self.options.changed_only {
            self.composer.row(row, &result, repaired.as_deref(), key, &mut judged.composed)
        } else {
            judged.composed.add_unchanged(row.record, result.judgment.reason, key);
            true
        };
        if is_row {
            judged.tally.add(&result, None);
        }
        judged.validity.add(validity);
        judged.updates.verdicts.extend(update);
        judged.updates.notes.extend(change.note);
        if let Some(PlainAddress { kinds, .. }) = plain {
            self.by_kinds.push((kinds, result, validity));
        }
        Ok(())
    }
}
