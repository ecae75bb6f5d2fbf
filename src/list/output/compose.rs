//! Rows as they will be written, composed on any thread before it is known which of them repeat an earlier one.
//!
//! Decides: the bytes of a row in each file that it may go to. If the row repeats another, only one cell differs; that
//! cell is left open as a gap, which [`Outputs`](super::Outputs) fills when the rows arrive in their order. Must not: open a
//! file, count, or know the rows before.

use super::cells::{AddedColumns, OutputRow};
use super::layout::OutputLayout;
use super::profile::{HandedRow, ProfileLayout};
use crate::list::AddressHash;
use crate::list::format::write_cell;
use crate::list::row::{ByteSpan, CellPart, Row, UnreadableRow};
use crate::reason::{Confidence, Finding, Reason, Verdict};
use crate::verdict::AddressResult;

/// Composes the rows of one list.
#[derive(Clone, Debug)]
pub struct Composer {
    pub(super) layout: OutputLayout,
    pub(super) added: AddedColumns,
    /// The added columns in the file of undeliverable rows, if these differ: with `smtp_text`.
    pub(super) added_undeliverable: Option<AddedColumns>,
    /// Rows also go to the file of their verdict.
    pub(super) has_verdict_files: bool,
    /// The files for a product.
    pub(super) profile: Option<ProfileLayout>,
}

/// Composed rows in their order, and the unreadable ones between them.
#[derive(Debug, Default)]
pub struct Composed {
    pub(super) lines: Vec<OutputLine>,
    /// The rows as they go to the results.
    pub(super) results: Vec<u8>,
    /// The rows as they go to the file of their verdict, where they differ there; and lines of the suppression list.
    pub(super) others: Vec<u8>,
}

#[derive(Debug)]
pub(super) enum OutputLine {
    Row(RowLine),
    /// A row with the same verdict and reason as last reported, which is counted and not written.
    Unchanged(UnchangedLine),
    Unreadable(Box<UnreadableRow>),
}

#[derive(Debug)]
pub(super) struct UnchangedLine {
    record: u64,
    hash: Option<AddressHash>,
    pub(super) reason: Reason,
}

/// Where a row is in the bytes of its [`Composed`].
#[derive(Debug)]
pub(super) struct RowLine {
    record: u64,
    hash: Option<AddressHash>,
    pub(super) reason: Reason,
    /// In `results`.
    pub(super) result: ByteSpan,
    /// In `results`: the place for the number of the first row with the same address.
    pub(super) gap: ByteSpan,
    /// In `others`, as the row goes to the file of its verdict; empty where that is as in `results`.
    pub(super) other: ByteSpan,
    /// In `others`: a line of the suppression list; empty for most rows.
    pub(super) suppressed: ByteSpan,
    /// What the product of a profile gets of it.
    pub(super) handed: HandedRow,
}

impl Composer {
    /// Composes one row. False if it is listed as unreadable instead.
    ///
    /// `repaired` is the judged address, if it is not the one of the row. `hash` is the address's hash among the
    /// addresses of the list.
    pub fn row(
        &mut self,
        row: &Row<'_>,
        result: &AddressResult,
        repaired: Option<&str>,
        hash: Option<AddressHash>,
        out: &mut Composed,
    ) -> bool {
        let output = OutputRow { result, plain: None, original: repaired.map(|_| row.address()) };
        self.compose(row, output, repaired, hash, out)
    }

    /// Composes a row that shares its `result` with other rows and has an `address` (local part, domain) of its own. The
    /// local part has only letters, digits, `.`, `_`, `-` and `+`, and begins with neither `-` nor `+`.
    pub fn plain_row(
        &mut self,
        row: &Row<'_>,
        result: &AddressResult,
        address: (&str, &str),
        hash: Option<AddressHash>,
        out: &mut Composed,
    ) -> bool {
        let output = OutputRow { result, plain: Some(address), original: None };
        self.compose(row, output, None, hash, out)
    }

    fn compose(
        &mut self,
        row: &Row<'_>,
        output: OutputRow<'_>,
        repaired: Option<&str>,
        hash: Option<AddressHash>,
        out: &mut Composed,
    ) -> bool {
        if let Some(unreadable) = self.layout.name_clash(row) {
            out.add_unreadable(unreadable);
            return false;
        }
        let result = output.result;
        let Composed { lines, results, others } = out;
        let reason = result.judgment.reason;
        let (start, others_start) = (results.len(), others.len());
        let gap = self.layout.write_result_row(row, &mut self.added, output, results);
        let mut handed = HandedRow::default();
        let profile = self.profile.as_mut();
        if self.has_verdict_files {
            match reason.verdict() {
                Verdict::Risky | Verdict::None => {}
                Verdict::Deliverable => {
                    // The file of deliverable rows never has an address that was not checked.
                    let checked = (row.part != CellPart::Whole).then(|| row.address());
                    match profile.filter(|profile| profile.has_contacts()) {
                        Some(profile) => {
                            let address = repaired.unwrap_or(row.address()).trim();
                            handed = profile.write_contact(row, output, address, others);
                        }
                        None => self.layout.write_user_row(row, repaired.or(checked), others),
                    }
                }
                Verdict::Unknown => self.layout.write_user_row(row, None, others),
                Verdict::Undeliverable => {
                    if let Some(added) = &mut self.added_undeliverable {
                        self.layout.write_result_row(row, added, output, others);
                    }
                }
            }
        }
        let suppressed_start = others.len();
        if self.has_verdict_files && may_suppress(result) {
            let address = repaired.unwrap_or(row.address()).trim();
            if let Some(profile) = &mut self.profile {
                handed = profile.write_suppressed(row, output, address, others);
            } else {
                write_cell(others, address, b',');
                others.push(b'\n');
            }
        }
        lines.push(OutputLine::Row(RowLine {
            record: row.record,
            hash,
            reason,
            result: (start..results.len()).into(),
            gap: gap.into(),
            other: (others_start..suppressed_start).into(),
            suppressed: (suppressed_start..others.len()).into(),
            handed,
        }));
        true
    }
}

/// True for an address that may go to the suppression list. Suppression is hard to undo, so the verdict must be confirmed;
/// and a text that is no address is none to suppress.
fn may_suppress(result: &AddressResult) -> bool {
    let judgment = &result.judgment;
    judgment.reason.verdict() == Verdict::Undeliverable
        && judgment.confidence == Confidence::Confirmed
        && judgment.reason != Reason::Finding(Finding::Syntax)
}

impl Composed {
    /// Adds a row that can't be read, or a further address of a cell.
    pub fn add_unreadable(&mut self, row: UnreadableRow) {
        self.lines.push(OutputLine::Unreadable(Box::new(row)));
    }

    /// Adds a row that is counted and not written.
    pub fn add_unchanged(&mut self, record: u64, reason: Reason, hash: Option<AddressHash>) {
        self.lines.push(OutputLine::Unchanged(UnchangedLine { record, hash, reason }));
    }

    /// The number of each readable row, and the hash of its address.
    pub fn hashes(&self) -> impl Iterator<Item = (u64, Option<AddressHash>)> + Clone {
        self.lines.iter().filter_map(|line| match line {
            OutputLine::Row(row) => Some((row.record, row.hash)),
            OutputLine::Unchanged(row) => Some((row.record, row.hash)),
            OutputLine::Unreadable(_) => None,
        })
    }

    /// Removes all rows, and keeps the memory.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.results.clear();
        self.others.clear();
    }
}
