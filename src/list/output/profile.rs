//! Rows as the product of a profile takes them: its headers, its added columns, its limits.
//!
//! Decides: the bytes of a row in the file of contacts and in the suppression list, and which rows the product does not take;
//! these become lines of the file of skipped rows. Must not: know a product by its name, open a file, or count. Fails: before
//! the first row, on a list that is no table or has too many columns.

use std::ops::Range;

use super::cells::{FORMULA_STARTS, OutputRow};
use super::mail_date::mail_date;
use crate::list::ListError;
use crate::list::columns::Column;
use crate::list::format::{ListFormat, ListKind, cell_end, unquote, write_cell};
use crate::list::row::Row;
use crate::policy::{
    ContactFile, FileForm, Profile, ProfileColumn, ProfileValue, SkipCause, SuppressionFile,
};

/// What happened to a row for the product.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HandedRow {
    /// Why the product does not get it.
    pub(super) skipped: Option<SkipCause>,
    /// How many of its cells were cut.
    pub(super) cut_cells: u32,
    /// It is a role account among the contacts.
    pub(super) is_role: bool,
}

/// How rows are written for one product.
#[derive(Clone, Debug)]
pub(super) struct ProfileLayout {
    profile: &'static Profile,
    /// Of the list.
    delimiter: u8,
    kind: ListKind,
    columns: Vec<String>,
    address_column: usize,
    earlier: Range<usize>,
    /// Kept for its memory.
    scratch: String,
}

impl ProfileLayout {
    pub(super) fn new(profile: &'static Profile, format: &ListFormat) -> Result<ProfileLayout, ListError> {
        if format.kind == ListKind::Ndjson {
            return Err(ListError::NoProfile { why: "NDJSON is no table".to_owned() });
        }
        let layout = ProfileLayout {
            profile,
            delimiter: format.cell_delimiter(),
            kind: format.kind,
            columns: format.columns.clone(),
            address_column: format.address_column,
            earlier: format.earlier.clone().unwrap_or_default(),
            scratch: String::new(),
        };
        if let Some(file) = &profile.contacts
            && let Some(most) = file.max_columns
        {
            let columns = layout.contact_headers(file).len();
            if columns > most {
                let why = format!("it takes {most} columns, and the file would have {columns}");
                return Err(ListError::NoProfile { why });
            }
        }
        Ok(layout)
    }

    /// The file of deliverable rows has the form of the product.
    pub(super) fn has_contacts(&self) -> bool {
        self.profile.contacts.is_some()
    }

    /// The header of the file of contacts; `None` where that file is as without a profile.
    pub(super) fn contact_header(&self) -> Option<Vec<u8>> {
        let file = self.profile.contacts.as_ref()?;
        Some(header(&self.contact_headers(file), file.form))
    }

    pub(super) fn suppression_header(&self) -> Vec<u8> {
        let SuppressionFile { columns, has_header, form, .. } = &self.profile.suppression;
        if *has_header {
            let names: Vec<String> = columns.iter().map(|column| column.header.clone()).collect();
            return header(&names, *form);
        }
        header(&[], *form)
    }

    /// The names of the user's columns, as the product knows them, and of the added ones; no two are the same.
    fn contact_headers(&self, file: &ContactFile) -> Vec<String> {
        let added: Vec<String> = file.add.iter().map(|column| column.header.clone()).collect();
        let taken = |name: &str, before: &[String]| {
            let mut others = before.iter().chain(&added).chain([&file.email]);
            others.any(|other| other.eq_ignore_ascii_case(name))
        };
        let mut headers: Vec<String> = Vec::new();
        for (index, name) in self.columns.iter().enumerate() {
            if self.earlier.contains(&index) {
                continue;
            }
            if index == self.address_column {
                headers.push(file.email.clone());
                continue;
            }
            let known: String =
                name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
            let name = file.rename.get(&known).map_or(name.trim(), String::as_str);
            let name = if file.upper { upper(name) } else { name.to_owned() };
            let mut unique = name.clone();
            let mut number = 2;
            while taken(&unique, &headers) {
                unique = format!("{name}_{number}");
                number += 1;
            }
            headers.push(unique);
        }
        headers.extend(added);
        headers
    }

    /// Writes a deliverable row as a contact, or as a skipped one.
    pub(super) fn write_contact(
        &mut self,
        row: &Row<'_>,
        output: OutputRow<'_>,
        address: &str,
        out: &mut Vec<u8>,
    ) -> HandedRow {
        let Some(file) = &self.profile.contacts else { return HandedRow::default() };
        let most = file.max_cell_bytes.unwrap_or(usize::MAX);
        let is_role = output.result.kinds.role == Some(true);
        let skipped = left_out(&file.leave_out, address, is_role)
            .or((address.len() > most).then_some(SkipCause::AddressTooLong));
        if let Some(cause) = skipped {
            write_skipped("deliverable", row, address, cause, out);
            return HandedRow { skipped, ..HandedRow::default() };
        }
        let mut cut_cells = 0;
        let mut is_first = true;
        let mut rest = Some(row.raw());
        for index in 0..self.columns.len() {
            let cell = match (self.kind, rest) {
                (ListKind::Lines, _) | (_, None) => &[][..],
                (_, Some(bytes)) => {
                    let end = cell_end(bytes, self.delimiter);
                    rest = bytes.get(end + 1..);
                    &bytes[..end]
                }
            };
            if self.earlier.contains(&index) {
                continue;
            }
            if !std::mem::take(&mut is_first) {
                out.push(b',');
            }
            if index == self.address_column {
                write_cell(out, address, b',');
                continue;
            }
            let text = unquote(cell);
            let text = String::from_utf8_lossy(&text);
            let kept = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            cut_cells += u32::from(kept < text.len());
            write_cell(out, &text[..kept], b',');
        }
        for column in &file.add {
            out.push(b',');
            write_value(column, output, address, &mut self.scratch, out);
        }
        out.extend_from_slice(line_end(file.form));
        HandedRow { skipped: None, cut_cells, is_role }
    }

    /// Writes an address of the suppression list, or a skipped row.
    pub(super) fn write_suppressed(
        &mut self,
        row: &Row<'_>,
        output: OutputRow<'_>,
        address: &str,
        out: &mut Vec<u8>,
    ) -> HandedRow {
        let file = &self.profile.suppression;
        let word = output.result.judgment.reason.word();
        let is_taken =
            file.reasons.as_ref().is_none_or(|reasons| reasons.iter().any(|reason| reason == word));
        let is_role = output.result.kinds.role == Some(true);
        let skipped =
            left_out(&file.leave_out, address, is_role).or((!is_taken).then_some(SkipCause::ReasonNotTaken));
        if let Some(cause) = skipped {
            write_skipped("suppression", row, address, cause, out);
            return HandedRow { skipped, ..HandedRow::default() };
        }
        for (n, column) in file.columns.iter().enumerate() {
            if n > 0 {
                out.push(b',');
            }
            write_value(column, output, address, &mut self.scratch, out);
        }
        out.extend_from_slice(line_end(file.form));
        HandedRow::default()
    }
}

/// The header of the file of skipped rows.
pub(super) const SKIPPED_HEADER: &[u8] = b"file,row,email,cause,sentence\n";

fn write_skipped(file: &str, row: &Row<'_>, address: &str, cause: SkipCause, out: &mut Vec<u8>) {
    let record = row.record.to_string();
    // The mark that makes a cell a text in spreadsheets.
    let mark = if address.starts_with(FORMULA_STARTS) { "'" } else { "" };
    let cells = [file, &record, &format!("{mark}{address}"), cause.word(), cause.sentence()];
    write_cells(cells, out);
    out.push(b'\n');
}

fn write_cells<'a>(cells: impl IntoIterator<Item = &'a str>, out: &mut Vec<u8>) {
    for (n, cell) in cells.into_iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        write_cell(out, cell, b',');
    }
}

/// Why an address is left out, if it is.
fn left_out(causes: &[SkipCause], address: &str, is_role: bool) -> Option<SkipCause> {
    causes.iter().copied().find(|cause| match cause {
        SkipCause::NonAsciiLocalPart => !address.rsplit_once('@').unwrap_or((address, "")).0.is_ascii(),
        SkipCause::RoleAccount => is_role,
        SkipCause::AddressTooLong | SkipCause::ReasonNotTaken => false,
    })
}

fn write_value(
    column: &ProfileColumn,
    output: OutputRow<'_>,
    address: &str,
    scratch: &mut String,
    out: &mut Vec<u8>,
) {
    let ours = match column.value {
        None => return write_cell(out, &column.text, b','),
        Some(ProfileValue::Email) => return write_cell(out, address, b','),
        Some(ProfileValue::Date) => {
            scratch.clear();
            if let Some(time) = output.result.checked_at {
                scratch.push_str(&mail_date(time));
            }
            return write_cell(out, scratch, b',');
        }
        Some(ProfileValue::Verdict) => Column::Verdict,
        Some(ProfileValue::Reason) => Column::Reason,
        Some(ProfileValue::CheckedAt) => Column::CheckedAt,
        Some(ProfileValue::SmtpCode) => Column::SmtpCode,
        Some(ProfileValue::SmtpText) => Column::SmtpText,
    };
    ours.value(output, scratch).write(scratch, b',', out);
}

fn line_end(form: FileForm) -> &'static [u8] {
    if form.crlf { b"\r\n" } else { b"\n" }
}

/// A header, with its byte order mark; without names the mark alone.
fn header(names: &[String], form: FileForm) -> Vec<u8> {
    let mut out = if form.bom { "\u{feff}".as_bytes().to_vec() } else { Vec::new() };
    write_cells(names.iter().map(String::as_str), &mut out);
    if !names.is_empty() {
        out.extend_from_slice(line_end(form));
    }
    out
}

/// A name in `A-Z`, `0-9` and `_`.
fn upper(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.trim().chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upper_name_has_plain_letters_only() {
        assert_eq!(upper(" First name é"), "FIRST_NAME__");
    }
}
