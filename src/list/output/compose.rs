//! Rows as they will be written, composed on any thread before it is known which of them repeat an earlier one.
//!
//! Decides: the bytes of a row in each file it may go to. That it repeats another changes one cell, so that cell is left
//! open as a gap, which [`Outputs`](super::Outputs) fills when the rows come by in their order. Must not: open a file,
//! count, or know the rows before.

use crate::list::input::{self, AddressHash, ByteSpan, CellPart, Row, UnreadableRow};
use crate::list::output::added_columns::AddedColumns;
use crate::list::output::layout::OutputLayout;
use crate::list::output::value::OutputRow;
use crate::reason::{Confidence, Finding, Reason, Verdict};
use crate::verdict::AddressResult;

/// Composes the rows of one list.
#[derive(Clone, Debug)]
pub struct Composer {
    pub(crate) layout: OutputLayout,
    pub(crate) ours: AddedColumns,
    /// With `smtp_text`, the server's words, where `ours` are without.
    pub(crate) undeliverable: Option<AddedColumns>,
    /// Rows also go to the lists by verdict.
    pub(crate) splits: bool,
}

/// Rows, in their order, and what was rejected between them.
#[derive(Debug, Default)]
pub struct Composed {
    pub(crate) lines: Vec<OutputLine>,
    /// The rows with our columns.
    pub(crate) told: Vec<u8>,
    /// What goes to the lists by verdict and looks different there.
    pub(crate) apart: Vec<u8>,
}

#[derive(Debug)]
pub(crate) enum OutputLine {
    Row(RowLine),
    /// Told as before, and not written.
    Unchanged(UnchangedLine),
    Rejected(Box<UnreadableRow>),
}

#[derive(Debug)]
pub(crate) struct UnchangedLine {
    record: u64,
    key: Option<AddressHash>,
    pub(crate) reason: Reason,
}

/// Where a row lies.
#[derive(Debug)]
pub(crate) struct RowLine {
    pub(crate) record: u64,
    pub(crate) key: Option<AddressHash>,
    pub(crate) reason: Reason,
    /// With our columns, in `told`.
    pub(crate) told: ByteSpan,
    /// In `told`: what the number of the first row with this address takes the place of.
    pub(crate) gap: ByteSpan,
    /// In `apart`, as it goes to the list of its verdict; empty where that is the same.
    pub(crate) apart: ByteSpan,
    /// In `apart`: a line of the suppression list; empty for most.
    pub(crate) suppressed: ByteSpan,
}

impl Composer {
    /// Composes one row.
    ///
    /// `repaired` is the address as it was cleaned or put right, when that was done; `key` stands for the address among
    /// the others of the list.
    pub fn row(
        &mut self,
        row: &Row<'_>,
        record: &AddressResult,
        repaired: Option<&str>,
        key: Option<AddressHash>,
        out: &mut Composed,
    ) {
        let told = OutputRow { record, plain: None, original: repaired.map(|_| row.address()) };
        self.compose(row, told, repaired, key, out);
    }

    /// Composes one row of which the same is told as of others: all of `record`, but its address is this one. Its local
    /// part has no other characters than letters, digits and `.`, `_`, `-`, `+`, and begins with none of the last two.
    pub fn row_alike(
        &mut self,
        row: &Row<'_>,
        record: &AddressResult,
        address: (&str, &str),
        key: Option<AddressHash>,
        out: &mut Composed,
    ) {
        let told = OutputRow { record, plain: Some(address), original: None };
        self.compose(row, told, None, key, out);
    }

    fn compose(
        &mut self,
        row: &Row<'_>,
        told: OutputRow<'_>,
        repaired: Option<&str>,
        key: Option<AddressHash>,
        out: &mut Composed,
    ) {
        if let Some(rejected) = self.layout.clash(row) {
            return out.reject(rejected);
        }
        let record = told.record;
        let Composed { lines, told: line, apart } = out;
        let reason = record.judgment.reason;
        let (start, apart_start) = (line.len(), apart.len());
        let gap = self.layout.told_row(row, &mut self.ours, told, line);
        if self.splits {
            match reason.verdict() {
                Verdict::Risky => {}
                Verdict::Deliverable => {
                    // The cleaned list never holds an address that was not checked.
                    let checked = (row.extent != CellPart::Whole).then(|| row.address());
                    self.layout.own_row(row, repaired.or(checked), apart);
                }
                Verdict::Unknown => self.layout.own_row(row, None, apart),
                Verdict::Undeliverable => {
                    if let Some(ours) = &mut self.undeliverable {
                        self.layout.told_row(row, ours, told, apart);
                    }
                }
            }
        }
        let suppressed_start = apart.len();
        if self.splits && may_suppress(record) {
            input::write(apart, repaired.unwrap_or(row.address()).trim(), b',');
            apart.push(b'\n');
        }
        lines.push(OutputLine::Row(RowLine {
            record: row.record,
            key,
            reason,
            told: (start..line.len()).into(),
            gap: gap.into(),
            apart: (apart_start..suppressed_start).into(),
            suppressed: (suppressed_start..apart.len()).into(),
        }));
    }
}

/// Suppression is hard to undo, so only what is sure goes there, and only what is an address.
fn may_suppress(record: &AddressResult) -> bool {
    let judgment = &record.judgment;
    judgment.reason.verdict() == Verdict::Undeliverable
        && judgment.confidence == Confidence::Confirmed
        && judgment.reason != Reason::Finding(Finding::Empty)
}

impl Composed {
    /// Takes a row that could not be read, or a further address of a cell.
    pub fn reject(&mut self, rejected: UnreadableRow) {
        self.lines.push(OutputLine::Rejected(Box::new(rejected)));
    }

    /// Takes a row that is counted, and not written.
    pub fn pass_over(&mut self, record: u64, reason: Reason, key: Option<AddressHash>) {
        self.lines.push(OutputLine::Unchanged(UnchangedLine { record, key, reason }));
    }

    /// The rows: their numbers and the keys of their addresses.
    pub fn keys(&self) -> impl Iterator<Item = (u64, Option<AddressHash>)> + Clone {
        self.lines.iter().filter_map(|line| match line {
            OutputLine::Row(row) => Some((row.record, row.key)),
            OutputLine::Unchanged(row) => Some((row.record, row.key)),
            OutputLine::Rejected(_) => None,
        })
    }

    /// Empties it, and keeps its memory.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.told.clear();
        self.apart.clear();
    }
}
