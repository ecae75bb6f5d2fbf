//! Where our cells go in a row, which otherwise stays as it was written.
//!
//! Decides: the bytes of a written row. Must not: open a file. A short row is padded, so that ours align; what an
//! earlier run of ours wrote is replaced in place; where the user's own row is wanted, it is taken out.

use std::borrow::Cow;
use std::ops::Range;

use crate::list::ListError;
use crate::list::format::{self, ListFormat};
use crate::list::input::{self, CellPart, ListKind, Row, UnreadableCause, UnreadableRow};
use crate::list::output::added_columns::AddedColumns;
use crate::list::output::column_prefix::ColumnPrefix;
use crate::list::output::columns::{Column, Heading};
use crate::list::output::value::OutputRow;

/// How rows of one list are written.
#[derive(Clone, Debug)]
pub(super) struct OutputLayout {
    kind: ListKind,
    delimiter: u8,
    line_end: &'static str,
    prefix: String,
    because_of: Option<String>,
    /// What our columns may be called in any of the files, without the prefix.
    ours: Vec<Cow<'static, str>>,
    /// The names of the list's columns.
    names: Vec<String>,
    /// Where our earlier columns are among them.
    own: Option<Range<usize>>,
    /// The header as the user wrote it, with a name for each column, and where our earlier names are in it.
    header: Vec<u8>,
    header_own: Range<usize>,
}

impl OutputLayout {
    /// Works out how columns of ours with these names fit into a list.
    pub(super) fn new(
        form: &ListFormat,
        ours: Vec<Cow<'static, str>>,
        prefix: Option<&str>,
    ) -> Result<OutputLayout, ListError> {
        let prefix = ColumnPrefix::choose(&form.name, &form.columns, form.own.as_ref(), &ours, prefix)?;
        let delimiter = form.delimiter();
        let mut header = form.header.clone();
        if form.kind == ListKind::Lines {
            // One cell, whatever stands in it, as in the rows.
            header.clear();
            input::write(&mut header, &String::from_utf8_lossy(&form.header), delimiter);
        }
        for (index, name) in form.columns.iter().enumerate().skip(form.header_cells) {
            if index > 0 {
                header.push(delimiter);
            }
            input::write(&mut header, name, delimiter);
        }
        Ok(OutputLayout {
            kind: form.kind,
            delimiter,
            line_end: form.line_end,
            prefix: prefix.text,
            because_of: prefix.because_of,
            ours,
            names: form.columns.clone(),
            own: form.own.clone(),
            header,
            header_own: form.header_own.clone(),
        })
    }

    /// What to tell the user when our columns could not have their plain names.
    pub(super) fn warning(&self) -> Option<String> {
        let column = self.because_of.as_ref()?;
        Some(format!(
            "the list has a column `{}` of its own, so ours are called `{}{}` and so on",
            column.trim(),
            self.prefix,
            self.ours[0],
        ))
    }

    pub(super) fn is_ndjson(&self) -> bool {
        self.kind == ListKind::Ndjson
    }

    /// The header over the user's own columns and `ours`; nothing for NDJSON.
    pub(super) fn header(&self, ours: &[Heading], out: &mut Vec<u8>) {
        if self.is_ndjson() {
            return;
        }
        let start = out.len();
        out.extend_from_slice(&self.header);
        self.put_ours(out, start, self.header_own.clone(), !ours.is_empty(), |out| {
            for (n, column) in ours.iter().enumerate() {
                if n > 0 {
                    out.push(self.delimiter);
                }
                input::write(out, &format!("{}{}", self.prefix, column.name), self.delimiter);
            }
        });
        out.extend_from_slice(self.line_end.as_bytes());
    }

    /// What stands between ours and a column that is added behind them.
    pub(super) fn before_added(&self, column: Column) -> Vec<u8> {
        if self.is_ndjson() {
            let mut key = vec![b','];
            self.key(column.name(), &mut key);
            return key;
        }
        vec![self.delimiter]
    }

    /// The user's own row; `address` replaces the text of its address cell.
    pub(super) fn own_row(&self, row: &Row<'_>, address: Option<&str>, out: &mut Vec<u8>) {
        self.row(row, address, None, out);
    }

    /// The user's row with ours. Returns the place of [`Column::DuplicateOf`], behind ours where it is not among them.
    pub(super) fn told_row(
        &self,
        row: &Row<'_>,
        ours: &mut AddedColumns,
        told: OutputRow<'_>,
        out: &mut Vec<u8>,
    ) -> Range<usize> {
        self.row(row, None, Some((ours, told)), out)
    }

    fn row(
        &self,
        row: &Row<'_>,
        address: Option<&str>,
        ours: Option<(&mut AddedColumns, OutputRow<'_>)>,
        out: &mut Vec<u8>,
    ) -> Range<usize> {
        // A row made of a part of a cell always holds that part alone.
        let address = address.or((row.extent == CellPart::Part).then_some(&*row.address));
        let gap = match self.kind {
            ListKind::Ndjson => self.object(row, address, ours, out),
            ListKind::Delimited(_) | ListKind::Lines => {
                let start = out.len();
                let own = self.cells(row, address, out);
                self.put_ours(out, start, own, ours.is_some(), |out| match ours {
                    Some((ours, told)) => ours.write(told, self.delimiter, out),
                    None => out.len()..out.len(),
                })
            }
        };
        if row.line_end.is_empty() {
            out.extend_from_slice(self.line_end.as_bytes());
        } else {
            out.extend_from_slice(row.line_end);
        }
        gap
    }

    /// Writes the user's cells, padded; returns where our earlier ones are among them, from `out`'s old end on.
    fn cells(&self, row: &Row<'_>, address: Option<&str>, out: &mut Vec<u8>) -> Range<usize> {
        let start = out.len();
        let mut own = row.own.clone();
        if self.kind == ListKind::Lines {
            input::write(out, address.unwrap_or(&String::from_utf8_lossy(row.raw)), self.delimiter);
            return 0..0;
        }
        if let Some(address) = address {
            out.extend_from_slice(&row.raw[..row.cell.start]);
            input::write(out, address, self.delimiter);
            let shift = out.len() - start;
            if own.start >= row.cell.end {
                own = own.start - row.cell.end + shift..own.end - row.cell.end + shift;
            }
            out.extend_from_slice(&row.raw[row.cell.end..]);
        } else {
            out.extend_from_slice(row.raw);
        }
        if row.missing_cells > 0 {
            let cells = self.names.len() - row.missing_cells;
            let end = out.len() - start;
            if let Some(columns) = &self.own {
                if cells <= columns.start {
                    own.start = end + (columns.start - cells) + 1;
                    own.end = own.start + columns.len() - 1;
                } else if cells < columns.end {
                    own.end = end + (columns.end - cells);
                }
            }
            out.resize(out.len() + row.missing_cells, self.delimiter);
        }
        own
    }

    /// Puts ours behind the cells that begin at `start` of `out`, or in place of our earlier ones, or takes those out.
    fn put_ours<T>(
        &self,
        out: &mut Vec<u8>,
        start: usize,
        own: Range<usize>,
        wanted: bool,
        write: impl FnOnce(&mut Vec<u8>) -> T,
    ) -> T {
        let Some(columns) = &self.own else {
            if wanted {
                out.push(self.delimiter);
            }
            return write(out);
        };
        let mut place = start + own.start..start + own.end;
        if !wanted && columns.start > 0 {
            place.start -= 1;
        } else if !wanted && place.end < out.len() {
            place.end += 1;
        }
        let behind = out.split_off(place.end);
        out.truncate(place.start);
        let written = write(out);
        out.extend_from_slice(&behind);
        written
    }

    fn object(
        &self,
        row: &Row<'_>,
        address: Option<&str>,
        ours: Option<(&mut AddedColumns, OutputRow<'_>)>,
        out: &mut Vec<u8>,
    ) -> Range<usize> {
        let mut gap = None;
        let earlier = self.own.clone().map_or(&[][..], |own| &self.names[own]);
        let is_earlier = |key: &String| earlier.contains(key);
        let raw = row.raw;
        let mut filled = !row.fields.is_empty();
        if address.is_none() && !row.fields.iter().any(|field| is_earlier(&field.key)) {
            let end = memchr::memrchr(b'}', raw).unwrap_or(raw.len());
            out.extend_from_slice(&raw[..end]);
        } else {
            out.push(b'{');
            filled = false;
            for field in row.fields.iter().filter(|field| !is_earlier(&field.key)) {
                if filled {
                    out.push(b',');
                }
                filled = true;
                format::write_string(out, &field.key);
                out.push(b':');
                match address {
                    Some(address) if field.value == row.cell => format::write_string(out, address),
                    _ => out.extend_from_slice(&raw[field.value.clone()]),
                }
            }
        }
        if let Some((ours, told)) = ours {
            let AddedColumns { columns, scratch, .. } = ours;
            for column in columns.iter() {
                if filled {
                    out.push(b',');
                }
                filled = true;
                self.key(&column.name, out);
                let start = out.len();
                let value = column.value(told, scratch);
                value.write_json(scratch, out);
                if column.is(Column::DuplicateOf) {
                    gap = Some(start..out.len());
                }
            }
        }
        let end = out.len();
        out.push(b'}');
        gap.unwrap_or(end..end)
    }

    fn key(&self, name: &str, out: &mut Vec<u8>) {
        format::write_string(out, &format!("{}{name}", self.prefix));
        out.push(b':');
    }

    /// A key of ours that stands in this object though it did not in the list's beginning.
    pub(super) fn clash(&self, row: &Row<'_>) -> Option<UnreadableRow> {
        let earlier = self.own.clone().map_or(&[][..], |own| &self.names[own]);
        let ours = |key: &str| {
            key.strip_prefix(&self.prefix).is_some_and(|name| self.ours.iter().any(|ours| ours == name))
        };
        let field = row.fields.iter().find(|field| ours(&field.key) && !earlier.contains(&field.key))?;
        Some(UnreadableRow {
            line: row.line,
            cause: UnreadableCause::KeyTaken(field.key.clone()),
            text: row.address.clone().into_owned(),
        })
    }
}
