//! Texts that stand in the address column where there is no address: `n/a`, `none`, `noemail@example.org`.
//!
//! Decides: by a list of words in many languages, as letters and digits alone in lower case, so that `N/A`, `n. a.` and
//! `(na)` are one. Must not: judge by position; a row does that. Can't know: a mailbox that really is called `noemail`.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::table::Table;

/// How fields of templates begin and end, and objects: `{{contact.email}}`, `*|EMAIL|*`, `{"ImportId":"email"}`. Such a cell
/// was never filled in.
const FIELDS: [(char, char); 4] = [('{', '}'), ('[', ']'), ('%', '%'), ('*', '*')];

/// The placeholders.
#[derive(Clone, Debug)]
pub struct Placeholders {
    words: HashMap<String, Use, RandomState>,
    /// For the first letter of each local part that is a placeholder at any domain: its last letters, as bits.
    ends: [u32; 26],
}

/// Where a word is a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// As a whole cell.
    Cell,
    /// Also as local part at a domain that is such a word too.
    Both,
    /// Also as local part at any domain.
    Address,
    /// Only in a line that is no row by its position: a label, a sum.
    Line,
}

impl Placeholders {
    /// The values that the list may have beside a word.
    pub(crate) const USES: [&str; 4] = ["", "both", "address", "line"];

    /// Takes the list: [`Placeholders::squash`]ed words, with where each is used.
    pub fn new(table: &Table) -> Placeholders {
        let mut ends = [0; 26];
        let mut words: HashMap<String, Use, RandomState> = HashMap::default();
        for (word, value) in table.entries() {
            let used = match value {
                "both" => Use::Both,
                "address" => Use::Address,
                "line" => Use::Line,
                _ => Use::Cell,
            };
            if let (Use::Address, Some((first, last))) = (used, letters_at_ends(word)) {
                ends[first] |= 1 << last;
            }
            words.insert(word.to_owned(), used);
        }
        Placeholders { words, ends }
    }

    /// The letters and digits of a text, in lower case.
    pub(crate) fn squash(text: &str) -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    }

    /// True for a cell without an @ that says that there is no address.
    pub fn is_cell(&self, cell: &str) -> bool {
        let word = Placeholders::squash(cell);
        word.is_empty()
            || is_field(cell.trim())
            || matches!(self.words.get(&word), Some(Use::Cell | Use::Both | Use::Address))
    }

    /// True for a text with a word of labels and sums, which is no row where it stands alone or at the end of a list.
    pub fn is_line(&self, cell: &str) -> bool {
        let is_listed = |part: &str| self.words.get(&Placeholders::squash(part)) == Some(&Use::Line);
        // `Total général : 523`, `Report generated 2026-11-30`
        is_listed(cell.trim_end_matches(|c: char| !c.is_alphabetic()))
            || cell.split(|c: char| !c.is_alphanumeric()).any(is_listed)
    }

    /// True for a domain that is a placeholder with a local part that is one: `none.example` with `none@none.example`.
    pub fn is_domain(&self, domain: &str) -> bool {
        domain.split('.').next().is_some_and(|label| self.is_name(label))
    }

    /// True for a local part that is a placeholder: at any domain, or at one that is a placeholder itself.
    pub fn is_local(&self, local: &str, domain_is_placeholder: bool) -> bool {
        if domain_is_placeholder {
            return self.is_name(local);
        }
        let may_be = match letters_at_ends(local) {
            Some((first, last)) => self.ends[first] >> last & 1 == 1,
            None => !local.is_ascii(),
        };
        may_be && self.words.get(&Placeholders::squash(local)) == Some(&Use::Address)
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.words.get(&Placeholders::squash(name)), Some(Use::Both | Use::Address))
    }
}

/// True for a field of a template, in any mark-up: `{…}`, `${…}`, `[…]`, `%…%`, `<%…%>`, `*|…|*`.
fn is_field(cell: &str) -> bool {
    let inner = cell.strip_prefix('<').and_then(|cell| cell.strip_suffix('>')).unwrap_or(cell);
    let inner = inner.strip_prefix(['$', '#']).unwrap_or(inner);
    let is_enclosed =
        |&(open, close): &(char, char)| inner.len() > 2 && inner.starts_with(open) && inner.ends_with(close);
    // Brackets may also stand around an address with its @ in words: `[ada at byron.example]`.
    let may_be_address = inner.starts_with('[') && inner.contains('.');
    FIELDS.iter().any(is_enclosed) && !may_be_address
}

/// The first and the last letter as numbers from 0 on; `None` for other characters.
fn letters_at_ends(text: &str) -> Option<(usize, u32)> {
    let number = |b: u8| b.is_ascii_alphabetic().then(|| b.to_ascii_lowercase() - b'a');
    let (first, last) = (text.bytes().next().and_then(number)?, text.bytes().last().and_then(number)?);
    Some((first.into(), last.into()))
}

#[cfg(test)]
mod tests {
    use crate::policy::AddressLists;

    #[test]
    fn cells_that_say_that_there_is_no_address_are_known() {
        let placeholders = &AddressLists::built_in().placeholders;
        for cell in [
            "-",
            "--",
            "—",
            "...",
            "?",
            "n/a",
            "N/A",
            "n. a.",
            "#N/A",
            "(none)",
            "None",
            "NULL",
            "nil",
            "NaN",
            "unknown",
            "<unknown>",
            "{{contact.email}}",
            "{email}",
            "${Email}",
            "[Email Address]",
            "%EMAIL%",
            "%%emailaddr%%",
            "<%= user.email %>",
            "*|EMAIL|*",
            r#"{"ImportId":"recipientEmail"}"#,
            "no email",
            "No E-Mail",
            "no e-mail address",
            "not provided",
            "k.A.",
            "keine E-Mail",
            "unbekannt",
            "aucun",
            "néant",
            "inconnu",
            "ninguno",
            "sin correo",
            "desconocido",
            "não tem",
            "nessuno",
            "geen",
            "brak",
            "нет",
            "неизвестно",
            "無",
            "なし",
            "无",
            "없음",
            "yok",
            "ingen",
            "لا يوجد",
            "אין",
            "ไม่มี",
            "không có",
            "ei ole",
        ] {
            assert!(placeholders.is_cell(cell), "{cell}");
        }
        for cell in ["ada", "ada.example.org", "nora", "Nonnenmacher", "12345", "see below", "info", "Total"]
        {
            assert!(!placeholders.is_cell(cell), "{cell}");
        }
    }

    #[test]
    fn addresses_that_say_that_there_is_none_are_known() {
        let placeholders = &AddressLists::built_in().placeholders;
        let is_placeholder = |local: &str, domain: &str| {
            let domain_is_placeholder = placeholders.is_domain(domain);
            placeholders.is_local(local, domain_is_placeholder)
        };
        for (local, domain, expected) in [
            ("noemail", "example.org", true),
            ("no-email", "example.org", true),
            ("No.Email", "example.org", true),
            ("sincorreo", "example.org", true),
            ("keineemail", "example.org", true),
            ("none", "none.com", true),
            ("na", "na.com", true),
            ("unknown", "unknown.example", true),
            ("none", "noemail.example", true),
            ("none", "example.org", false),
            ("unknown", "example.org", false),
            ("x", "x.example", false),
            ("noelle", "example.org", false),
            ("info", "none.com", false),
            ("ada", "example.org", false),
        ] {
            assert_eq!(is_placeholder(local, domain), expected, "{local}@{domain}");
        }
    }

    #[test]
    fn words_of_labels_and_sums_are_known() {
        let placeholders = &AddressLists::built_in().placeholders;
        for line in [
            "Total",
            "Total: 523",
            "Summe 12",
            "Total général : 9",
            "合計 12",
            "Page 1 of 2",
            "12 rows affected",
        ] {
            assert!(placeholders.is_line(line), "{line}");
        }
        assert!(!placeholders.is_line("ada") && !placeholders.is_line("12"));
    }
}
