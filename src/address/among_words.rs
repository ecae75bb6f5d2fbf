//! Repairs of texts with one address among other words: a formula, a link, a label, a name, brackets, a remark.
//!
//! Decides: whether exactly one address can be meant, and what the rest of the text is. Must not: choose among several
//! addresses ([`super::find`] finds all of them), or take a part of an address for the whole: where the words in front
//! may belong to it (`jane doe@example.com`), nothing is repaired.

use super::find::{self, FoundAddress};
use super::repair_kind::Repair;

/// The only address of a text that has more than it, and what stands before and after it.
struct Sole<'a> {
    address: &'a str,
    before: &'a str,
    after: &'a str,
}

impl<'a> Sole<'a> {
    fn of(text: &'a str) -> Option<Sole<'a>> {
        let (mut found, left_over) = find::scan(text);
        let one = found.pop().filter(|one| found.is_empty() && left_over == 0 && one.is_certain)?;
        let FoundAddress { range, .. } = one;
        (range.len() < text.len()).then(|| Sole {
            address: &text[range.clone()],
            before: &text[..range.start],
            after: &text[range.end..],
        })
    }

    fn repaired(&self, repair: Repair) -> (String, Repair) {
        (self.address.to_owned(), repair)
    }
}

/// The address in a formula of a spreadsheet, or in a link in any markup.
pub(super) fn in_formula_or_link(text: &str) -> Option<(String, Repair)> {
    let lower = text.to_ascii_lowercase();
    let is_formula = text.starts_with(['=', '+']) && text.contains(['"', '(']);
    let is_link = ["mailto:", "href", "](", "[["].iter().any(|mark| lower.contains(mark));
    if !is_formula && (!is_link || lower.starts_with("mailto:")) {
        return None;
    }
    let sole = Sole::of(text)?;
    // `<mailto:ada@example.org>` has steps of its own.
    let is_bracketed = sole.before.to_ascii_lowercase().ends_with("<mailto:") && sole.after.starts_with('>');
    if is_formula {
        return Some(sole.repaired(Repair::Formula));
    }
    (!is_bracketed).then(|| sole.repaired(Repair::Link))
}

/// The address among other words.
pub(super) fn among_words(text: &str) -> Option<(String, Repair)> {
    let sole = Sole::of(text)?;
    let Sole { before, after, .. } = sole;
    // A control character may begin a text that was not in the cell.
    if after.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) || touches_a_word(&sole) {
        return None;
    }
    let has_words = |text: &str| text.contains(char::is_alphanumeric);
    let is_bracketed = before.trim_end().ends_with(BRACKETS);
    let repair = match (has_words(before), has_words(after)) {
        (false, false) if is_bracketed => Repair::Brackets,
        (false, false) => Repair::Marks,
        (true, _) if before.trim_end().ends_with([':', '=', '-', '–', '—']) => Repair::Label,
        (true, _) if is_bracketed => Repair::DisplayName,
        (false, true) if after.trim_start().starts_with(BRACKETS) => Repair::Comment,
        (true | false, _) => Repair::Words,
    };
    Some(sole.repaired(repair))
}

/// Opening brackets.
const BRACKETS: [char; 11] = ['(', '[', '{', '<', '【', '〔', '「', '『', '〈', '《', '⟨'];

/// Words in front of an address that name it: `Email ada@example.org`.
const LABELS: &[&str] = &[
    "address",
    "adresse",
    "contact",
    "correo",
    "courriel",
    "e-mail",
    "e-post",
    "email",
    "emails",
    "epost",
    "eposta",
    "from",
    "mail",
    "to",
    "почта",
    "メール",
    "邮箱",
    "이메일",
];

/// True if the last word of `before` may belong to the address: only a space, a comma or a semicolon without a space, a
/// quotation mark or a bracket that is not closed stands between them, the word is no label, and the address does not
/// repeat the name.
fn touches_a_word(Sole { address, before, after }: &Sole<'_>) -> bool {
    let ends_in_word = |text: &str| text.ends_with(|c: char| c.is_alphanumeric() || c == '.');
    // `"ada"byrne@example.org`, `a(byrne@example.org`
    if let Some(opening @ ('"' | '(' | '[' | '{')) = before.chars().next_back()
        && ends_in_word(&before[..before.len() - 1])
        && !after.trim_start().starts_with(closing(opening))
    {
        return true;
    }
    let trimmed = before.trim_end_matches([' ', '\u{a0}']);
    let words = if trimmed.len() < before.len() {
        trimmed
    } else if let Some(words) =
        before.strip_suffix([',', ';']).filter(|words| !words.contains(char::is_whitespace))
    {
        words
    } else {
        return false;
    };
    if !words.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '\'' | '_')) {
        return false;
    }
    let last = words.rsplit(char::is_whitespace).next().unwrap_or(words).to_lowercase();
    // The number of a list item.
    if !last.contains(char::is_alphabetic) {
        return false;
    }
    !LABELS.contains(&last.as_str()) && !repeats_a_name(words, address)
}

/// The mark that closes what this one opens.
fn closing(opening: char) -> char {
    match opening {
        '(' => ')',
        '[' => ']',
        '{' => '}',
        mark => mark,
    }
}

/// True if the local part has one of the words in it: `Ada Byrne a.byrne@example.org`.
fn repeats_a_name(words: &str, address: &str) -> bool {
    const SHORTEST: usize = 3;
    let local = address.rsplit_once('@').map_or(address, |(local, _)| local).to_lowercase();
    let mut names = words.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    names.any(|name| name.len() >= SHORTEST && (local.contains(&name) || name == local))
}
