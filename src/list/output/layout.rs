//! Where the added cells stand in a row, which otherwise stays as it was written.
//!
//! Decides: the bytes of a written row, and the prefix of the added names, so that none is the name of a column of the
//! list. A short row is padded, so that the added cells stand under their names. The cells that an earlier run added are
//! replaced in place; where the user's own row is wanted, they are removed. Must not: open a file, or change a name of the
//! user. Fails: when the user's prefix makes two columns of one name.

use std::borrow::Cow;
use std::ops::Range;

use super::cells::{AddedColumns, OutputRow};
use crate::list::ListError;
use crate::list::columns::{Column, Heading};
use crate::list::format::{self, ListFormat, ListKind, write_cell};
use crate::list::row::{CellPart, Row, UnreadableCause, UnreadableRow};

/// How the rows of one list are written.
#[derive(Clone, Debug)]
pub(super) struct OutputLayout {
    kind: ListKind,
    delimiter: u8,
    line_end: &'static str,
    prefix: ColumnPrefix,
    /// The names that added columns may have in any of the files, without the prefix.
    added_names: Vec<Cow<'static, str>>,
    /// The names of the list's columns.
    names: Vec<String>,
    /// The columns that an earlier run added, as indices in `names`.
    earlier: Option<Range<usize>>,
    /// The header as the user wrote it, with a name for each column.
    header: Vec<u8>,
    /// In `header`: the names of the columns that an earlier run added.
    header_earlier: Range<usize>,
}

impl OutputLayout {
    /// The layout for added columns with these names.
    pub(super) fn new(
        format: &ListFormat,
        added_names: Vec<Cow<'static, str>>,
        prefix: Option<&str>,
    ) -> Result<OutputLayout, ListError> {
        let prefix = ColumnPrefix::choose(
            &format.name,
            &format.columns,
            format.earlier.as_ref(),
            &added_names,
            prefix,
        )?;
        let delimiter = format.cell_delimiter();
        let mut header = format.header.clone();
        if format.kind == ListKind::Lines {
            // The line is one cell of the results, as the lines of the rows are.
            header.clear();
            write_line(&mut header, &format.header, delimiter);
        }
        for (index, name) in format.columns.iter().enumerate().skip(format.header_cells) {
            if index > 0 {
                header.push(delimiter);
            }
            write_cell(&mut header, name, delimiter);
        }
        Ok(OutputLayout {
            kind: format.kind,
            delimiter,
            line_end: format.line_end,
            prefix,
            added_names,
            names: format.columns.clone(),
            earlier: format.earlier.clone(),
            header,
            header_earlier: format.header_earlier.clone(),
        })
    }

    /// A message for the user when the added columns could not have their plain names.
    pub(super) fn warning(&self) -> Option<String> {
        let column = self.prefix.because_of.as_ref()?;
        Some(format!(
            "the list already has a column `{}`, so the added columns are named `{}{}` and so on",
            column.trim(),
            self.prefix.text,
            self.added_names[0],
        ))
    }

    pub(super) fn is_ndjson(&self) -> bool {
        self.kind == ListKind::Ndjson
    }

    /// The byte between cells.
    pub(super) fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// The ending of files with rows of this layout: what programs open as such.
    pub(super) fn ending(&self) -> &'static str {
        match (self.kind, self.delimiter) {
            (ListKind::Ndjson, _) => "ndjson",
            (_, b'\t') => "tsv",
            _ => "csv",
        }
    }

    /// The header over the user's own columns and the `added` ones; nothing for NDJSON.
    pub(super) fn header(&self, added: &[Heading], out: &mut Vec<u8>) {
        if self.is_ndjson() {
            return;
        }
        let start = out.len();
        out.extend_from_slice(&self.header);
        self.put_added(out, start, self.header_earlier.clone(), !added.is_empty(), |out| {
            for (n, column) in added.iter().enumerate() {
                if n > 0 {
                    out.push(self.delimiter);
                }
                write_cell(out, &format!("{}{}", self.prefix.text, column.name), self.delimiter);
            }
        });
        out.extend_from_slice(self.line_end.as_bytes());
    }

    /// The bytes between the added cells and the value of one more column after them.
    pub(super) fn before_one_more(&self, column: Column) -> Vec<u8> {
        if self.is_ndjson() {
            let mut key = vec![b','];
            self.key(column.name(), &mut key);
            return key;
        }
        vec![self.delimiter]
    }

    /// Writes the user's own row; `address` replaces the text of the address cell.
    pub(super) fn write_user_row(&self, row: &Row<'_>, address: Option<&str>, out: &mut Vec<u8>) {
        self.row(row, address, None, out);
    }

    /// Writes the user's row with the added cells. Returns the range of the [`Column::DuplicateOf`] cell in `out`; without
    /// that column, the place after the added cells.
    pub(super) fn write_result_row(
        &self,
        row: &Row<'_>,
        added: &mut AddedColumns,
        output: OutputRow<'_>,
        out: &mut Vec<u8>,
    ) -> Range<usize> {
        self.row(row, None, Some((added, output)), out)
    }

    fn row(
        &self,
        row: &Row<'_>,
        address: Option<&str>,
        added: Option<(&mut AddedColumns, OutputRow<'_>)>,
        out: &mut Vec<u8>,
    ) -> Range<usize> {
        // A row of one of several addresses has that address alone in its cell.
        let address = address.or((row.part == CellPart::Split).then_some(&*row.address));
        let gap = match self.kind {
            ListKind::Ndjson => self.object(row, address, added, out),
            ListKind::Delimited(_) | ListKind::Lines => {
                let start = out.len();
                let earlier = self.cells(row, address, out);
                self.put_added(out, start, earlier, added.is_some(), |out| match added {
                    Some((added, output)) => added.write(output, self.delimiter, out),
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

    /// Writes the user's cells, padded. Returns the range of the cells that an earlier run added, counted from the old end
    /// of `out`.
    fn cells(&self, row: &Row<'_>, address: Option<&str>, out: &mut Vec<u8>) -> Range<usize> {
        let start = out.len();
        let mut earlier = row.earlier.clone();
        if self.kind == ListKind::Lines {
            match address {
                Some(address) => write_cell(out, address, self.delimiter),
                None => write_line(out, row.raw, self.delimiter),
            }
            return 0..0;
        }
        if let Some(address) = address {
            out.extend_from_slice(&row.raw[..row.cell.start]);
            write_cell(out, address, self.delimiter);
            let shift = out.len() - start;
            if earlier.start >= row.cell.end {
                earlier = earlier.start - row.cell.end + shift..earlier.end - row.cell.end + shift;
            }
            out.extend_from_slice(&row.raw[row.cell.end..]);
        } else {
            out.extend_from_slice(row.raw);
        }
        if row.missing_cells > 0 {
            let cells = self.names.len() - row.missing_cells;
            let end = out.len() - start;
            if let Some(columns) = &self.earlier {
                if cells <= columns.start {
                    earlier.start = end + (columns.start - cells) + 1;
                    earlier.end = earlier.start + columns.len() - 1;
                } else if cells < columns.end {
                    earlier.end = end + (columns.end - cells);
                }
            }
            out.resize(out.len() + row.missing_cells, self.delimiter);
        }
        earlier
    }

    /// Writes the added cells in a row that begins at `start` of `out`: after the user's cells, or in place of the `earlier`
    /// ones. If the added cells are not wanted, removes the earlier ones.
    fn put_added<T>(
        &self,
        out: &mut Vec<u8>,
        start: usize,
        earlier: Range<usize>,
        is_wanted: bool,
        write: impl FnOnce(&mut Vec<u8>) -> T,
    ) -> T {
        let Some(columns) = &self.earlier else {
            if is_wanted {
                out.push(self.delimiter);
            }
            return write(out);
        };
        let mut replaced = start + earlier.start..start + earlier.end;
        if !is_wanted && columns.start > 0 {
            replaced.start -= 1;
        } else if !is_wanted && replaced.end < out.len() {
            replaced.end += 1;
        }
        let rest = out.split_off(replaced.end);
        out.truncate(replaced.start);
        let written = write(out);
        out.extend_from_slice(&rest);
        written
    }

    /// The names of the columns that an earlier run added.
    fn earlier_names(&self) -> &[String] {
        self.earlier.clone().map_or(&[][..], |earlier| &self.names[earlier])
    }

    fn object(
        &self,
        row: &Row<'_>,
        address: Option<&str>,
        added: Option<(&mut AddedColumns, OutputRow<'_>)>,
        out: &mut Vec<u8>,
    ) -> Range<usize> {
        let earlier = self.earlier_names();
        let is_earlier = |key: &String| earlier.contains(key);
        let raw = row.raw;
        let mut has_fields = !row.fields.is_empty();
        if address.is_none() && !row.fields.iter().any(|field| is_earlier(&field.key)) {
            let end = memchr::memrchr(b'}', raw).unwrap_or(raw.len());
            out.extend_from_slice(&raw[..end]);
        } else {
            out.push(b'{');
            has_fields = false;
            for field in row.fields.iter().filter(|field| !is_earlier(&field.key)) {
                if has_fields {
                    out.push(b',');
                }
                has_fields = true;
                format::write_string(out, &field.key);
                out.push(b':');
                match address {
                    Some(address) if field.value == row.cell => format::write_string(out, address),
                    // The address is in an object, whose other values stay.
                    Some(address) if field.value.start < row.cell.start && row.cell.end < field.value.end => {
                        out.extend_from_slice(&raw[field.value.start..row.cell.start]);
                        format::write_string(out, address);
                        out.extend_from_slice(&raw[row.cell.end..field.value.end]);
                    }
                    _ => out.extend_from_slice(&raw[field.value.clone()]),
                }
            }
        }
        let gap = added.and_then(|(added, output)| {
            added.write_json(output, has_fields, |name, out| self.key(name, out), out)
        });
        let end = out.len();
        out.push(b'}');
        gap.unwrap_or(end..end)
    }

    fn key(&self, name: &str, out: &mut Vec<u8>) {
        format::write_string(out, &format!("{}{name}", self.prefix.text));
        out.push(b':');
    }

    /// The row as an unreadable one, if its object has the name of an added column, and the first rows had not.
    pub(super) fn name_clash(&self, row: &Row<'_>) -> Option<UnreadableRow> {
        let earlier = self.earlier_names();
        let is_added = |key: &str| {
            key.strip_prefix(&self.prefix.text)
                .is_some_and(|name| self.added_names.iter().any(|added| added == name))
        };
        let field = row.fields.iter().find(|field| is_added(&field.key) && !earlier.contains(&field.key))?;
        Some(UnreadableRow {
            line: row.line,
            cause: UnreadableCause::KeyTaken(field.key.clone()),
            text: row.address.clone().into_owned(),
        })
    }
}

/// Writes a line as one cell.
fn write_line(out: &mut Vec<u8>, line: &[u8], delimiter: u8) {
    if format::is_quoted(line) {
        out.extend_from_slice(line);
    } else {
        write_cell(out, &String::from_utf8_lossy(line), delimiter);
    }
}

/// What the added names begin with, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ColumnPrefix {
    text: String,
    /// The column of the list that made a prefix necessary.
    because_of: Option<String>,
}

impl ColumnPrefix {
    /// The prefix that the user gives. Otherwise the one of the columns that an earlier run added, or none; and if an added
    /// column would then have the name of another column, `verify_`, `verify_2_` and so on.
    fn choose(
        list: &str,
        names: &[String],
        earlier: Option<&Range<usize>>,
        added_names: &[Cow<'static, str>],
        given: Option<&str>,
    ) -> Result<ColumnPrefix, ListError> {
        let is_theirs = |index: &usize| earlier.is_none_or(|earlier| !earlier.contains(index));
        let taken = |prefix: &str| {
            let is_taken = |name: &str| {
                added_names.iter().any(|added| name.trim().eq_ignore_ascii_case(&format!("{prefix}{added}")))
            };
            (0..names.len())
                .filter(is_theirs)
                .find(|&index| is_taken(&names[index]))
                .map(|index| names[index].clone())
        };
        if let Some(prefix) = given {
            let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
            let is_good =
                prefix.is_empty() || prefix.starts_with(char::is_alphabetic) && prefix.chars().all(is_plain);
            if !is_good {
                return Err(ListError::BadPrefix { prefix: prefix.to_owned() });
            }
            return match taken(prefix) {
                None => Ok(ColumnPrefix { text: prefix.to_owned(), because_of: None }),
                Some(column) => {
                    Err(ListError::PrefixTaken { name: list.to_owned(), prefix: prefix.to_owned(), column })
                }
            };
        }
        let before = earlier.and_then(|earlier| names[earlier.start].strip_suffix(Column::Verdict.name()));
        let mut text = before.unwrap_or_default().to_owned();
        let mut because_of = None;
        for number in 1.. {
            let Some(column) = taken(&text) else { break };
            because_of.get_or_insert(column);
            text = if number == 1 { "verify_".to_owned() } else { format!("verify_{number}_") };
        }
        Ok(ColumnPrefix { text, because_of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::columns::find_earlier;

    #[test]
    fn a_taken_name_gives_all_added_columns_a_prefix() {
        let choose = |header: &str, given: Option<&str>| {
            let names: Vec<String> = header.split(',').map(str::to_owned).collect();
            let added: Vec<Cow<'static, str>> =
                Column::ALL.iter().map(|column| column.name().into()).collect();
            ColumnPrefix::choose("list.csv", &names, find_earlier(&names).as_ref(), &added, given)
                .map(|prefix| (prefix.text, prefix.because_of))
                .map_err(|error| error.to_string())
        };
        let prefix =
            |text: &str, because_of: Option<&str>| Ok((text.to_owned(), because_of.map(str::to_owned)));
        let earlier = "verdict,reason,fault,action,did_you_mean,email_normalized,checked_at";
        assert_eq!(choose("email,name", None), prefix("", None));
        assert_eq!(choose("email, Domain ", None), prefix("verify_", Some(" Domain ")));
        assert_eq!(choose("email,domain,verify_rule", None), prefix("verify_2_", Some("domain")));
        assert_eq!(choose(&format!("email,{earlier}"), None), prefix("", None));
        assert_eq!(choose(&format!("email,{earlier},REASON"), None), prefix("verify_", Some("REASON")));
        assert_eq!(choose("email,domain", Some("lp_")), prefix("lp_", None));
        assert_eq!(
            choose("email,domain", Some("")),
            Err("`list.csv`: with the column prefix `` an added column has the same name as the list's column \
                `domain`"
                .to_owned())
        );
        assert_eq!(choose("email", Some("=x")), Err("`=x` cannot be a column prefix".to_owned()));
    }
}
