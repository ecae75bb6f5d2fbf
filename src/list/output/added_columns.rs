//! Our cells in a row.
//!
//! Decides: nothing; [`columns`](super::columns) says which there are, [`value`](super::value) what stands in each. About most
//! rows of many a list nothing was asked: those are told alike, but for the cells that show their own address. So what is
//! alike is composed once. Must not: know where in a row ours stand.

use std::ops::Range;

use crate::address::AddressKinds;
use crate::list::output::columns::{Column, Content, Heading};
use crate::list::output::value::OutputRow;
use crate::verdict::{AddressResult, Judgment};

/// Our columns, and how rows were told last.
#[derive(Clone, Debug)]
pub(super) struct AddedColumns {
    pub(super) columns: Vec<Heading>,
    patterns: [Pattern; PATTERNS],
    /// Overwritten; kept so that not every value has to allocate one.
    pub(super) scratch: String,
}

/// The cells of a row, without those that are its own.
#[derive(Clone, Debug, Default)]
struct Pattern {
    /// All rows that are judged so, if nothing was asked about them.
    of: Option<(Judgment, AddressKinds)>,
    text: Vec<u8>,
    /// Where in `text` the row's own cells belong, and which of the columns they are.
    own: Vec<(usize, usize)>,
}

/// One for each combination of the four kinds.
const PATTERNS: usize = 16;

impl AddedColumns {
    pub(super) fn new(columns: Vec<Heading>) -> AddedColumns {
        AddedColumns {
            columns,
            patterns: std::array::from_fn(|_| Pattern::default()),
            scratch: String::new(),
        }
    }

    /// Writes them with delimiters between. Returns the place of [`Column::DuplicateOf`], the end where it is not among them.
    pub(super) fn write(&mut self, told: OutputRow<'_>, delimiter: u8, out: &mut Vec<u8>) -> Range<usize> {
        let AddedColumns { columns, patterns, scratch } = self;
        let pattern = &mut patterns[place(told.record.kinds)];
        if !pattern.is_of(told.record) {
            pattern.compose(columns, told, scratch, delimiter);
        }
        let mut gap = None;
        let mut written = 0;
        for &(at, column) in &pattern.own {
            out.extend_from_slice(&pattern.text[written..at]);
            written = at;
            let column = &columns[column];
            column.value(told, scratch).write(scratch, delimiter, out);
            if column.is(Column::DuplicateOf) {
                gap = Some(out.len()..out.len());
            }
        }
        out.extend_from_slice(&pattern.text[written..]);
        gap.unwrap_or(out.len()..out.len())
    }
}

fn place(kinds: AddressKinds) -> usize {
    let kinds = [kinds.role, kinds.disposable, kinds.free, kinds.tagged];
    kinds.into_iter().fold(0, |place, kind| place << 1 | usize::from(kind == Some(true)))
}

/// What is told of a row about which nothing was asked follows from this alone, but for its own cells.
fn unasked(record: &AddressResult) -> Option<(&Judgment, AddressKinds)> {
    match record {
        AddressResult {
            judgment,
            did_you_mean: _,
            address: _,
            repairs: _,
            kinds,
            provider: None,
            mx_host: None,
            catch_all: None,
            reply: None,
            attempts: 0,
            checked_at: None,
            expires_at: None,
        } => Some((judgment, *kinds)),
        _ => None,
    }
}

/// Rows that are told alike may differ in these.
fn is_rows_own(heading: &Heading) -> bool {
    use crate::list::output::columns::Column::{
        DidYouMean, Domain, DuplicateOf, EmailNormalized, EmailOriginal, Repairs,
    };
    matches!(
        heading.content,
        Content::Column(DidYouMean | EmailNormalized | Domain | DuplicateOf | EmailOriginal | Repairs)
    )
}

impl Pattern {
    fn is_of(&self, record: &AddressResult) -> bool {
        let (Some((judgment, kinds)), Some(other)) = (&self.of, unasked(record)) else {
            return false;
        };
        (judgment, *kinds) == other
    }

    fn compose(&mut self, columns: &[Heading], told: OutputRow<'_>, scratch: &mut String, delimiter: u8) {
        let Pattern { of, text, own } = self;
        *of = unasked(told.record).map(|(judgment, kinds)| (judgment.clone(), kinds));
        text.clear();
        own.clear();
        for (n, column) in columns.iter().enumerate() {
            if n > 0 {
                text.push(delimiter);
            }
            if is_rows_own(column) {
                own.push((text.len(), n));
            } else {
                column.value(told, scratch).write(scratch, delimiter, text);
            }
        }
    }
}
