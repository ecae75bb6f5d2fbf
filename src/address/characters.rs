//! Characters that the grammar allows and that no mailbox has: invisible ones, curly quotes, full-width forms.
//!
//! Decides: which characters these are, and the plain character that each one stands for. They come from exports, web
//! pages and word processors. Must not: remove them; [`super::repair`] does.

use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

use super::fault::{FaultKind, SyntaxFault};

/// Fails at the first character beyond ASCII that the grammar allows and no mailbox has.
pub(super) fn reject_artifacts(text: &str) -> Result<(), SyntaxFault> {
    let has_other_script = text.chars().any(|c| !c.is_ascii() && !is_joiner(c));
    for (at, c) in text.char_indices() {
        let kind = match c {
            '\0'..='\u{7f}' => continue,
            '\u{80}'..='\u{9f}' => FaultKind::ControlCharacter,
            '\u{fffd}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' => FaultKind::Undecodable,
            _ if is_invisible(c) || (is_joiner(c) && !has_other_script) => FaultKind::InvisibleCharacter,
            _ if c.is_whitespace() => FaultKind::WhiteSpace,
            _ if plain_quote(c).is_some() => FaultKind::TypographicQuote,
            _ if half_width(c).is_some() => FaultKind::FullWidth,
            _ => continue,
        };
        return Err(SyntaxFault { kind, at });
    }
    Ok(())
}

/// True for characters without a visible shape: zero-width ones, soft hyphens, bidi controls, noncharacters.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180e}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fdd0}'..='\u{fdef}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
        | '\u{e0000}'..='\u{e007f}')
}

/// True for ZWNJ and ZWJ. Some scripts need them to spell words; in ASCII text they are remains of a web page.
pub(super) fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// True for combining marks: accents, vowel signs and the like, which belong to the letter before them.
pub(super) fn is_mark(c: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    GeneralCategoryGroup::Mark.contains(category)
}

/// The plain form of a curly quotation mark; `None` for other characters.
pub(super) fn plain_quote(c: char) -> Option<char> {
    match c {
        '\u{2018}'..='\u{201b}' | '\u{2039}' | '\u{203a}' => Some('\''),
        '\u{201c}'..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{301d}'..='\u{301f}' => Some('"'),
        _ => None,
    }
}

/// The ASCII character that another one looks like: accents that are typed for an apostrophe, and characters that Unicode
/// takes for the same as an ASCII one. `None` for other characters.
pub(super) fn look_alike(c: char) -> Option<char> {
    match c {
        '\u{b4}' | '\u{2032}' | '\u{1fef}' => Some('\''),
        '\u{37e}' => Some(';'),
        '\u{2024}' => Some('.'),
        '\u{212a}' => Some('K'),
        _ => None,
    }
}

/// True for an angle bracket and the combining stroke through it as one character.
pub(super) fn is_negated_bracket(c: char) -> bool {
    matches!(c, '\u{226e}' | '\u{226f}')
}

/// Fails at a character in a local part that only looks like an ASCII one, or is an angle bracket with a stroke. In a domain
/// UTS #46 decides.
pub(super) fn reject_look_alikes(local: &str) -> Result<(), SyntaxFault> {
    match local.char_indices().find(|&(_, c)| look_alike(c).is_some() || is_negated_bracket(c)) {
        Some((at, _)) => Err(SyntaxFault { kind: FaultKind::LookAlike, at }),
        None => Ok(()),
    }
}

/// Fails at a sign beside an ASCII letter that no international domain name has (RFC 5892): a currency sign, or
/// punctuation but dashes. There it is the remains of a damaged text. Other symbols, and signs in other places, are left to
/// the DNS, because some registries sold them.
pub(super) fn reject_signs(domain: &str) -> Result<(), SyntaxFault> {
    use GeneralCategory::{ConnectorPunctuation, CurrencySymbol, DashPunctuation};
    /// The signs that RFC 5892 allows.
    const ALLOWED: [char; 6] = ['\u{b7}', '\u{5f3}', '\u{5f4}', '\u{f0b}', '\u{30fb}', '\u{6fd}'];
    let is_sign = |c: char| {
        let category = CodePointMapData::<GeneralCategory>::new().get(c);
        let is_punctuation = GeneralCategoryGroup::Punctuation.contains(category)
            && !matches!(category, ConnectorPunctuation | DashPunctuation);
        !c.is_ascii() && !ALLOWED.contains(&c) && (is_punctuation || category == CurrencySymbol)
    };
    let mut before = None;
    for (at, c) in domain.char_indices() {
        let after = domain[at + c.len_utf8()..].chars().next();
        if is_sign(c) && [before, after].into_iter().flatten().any(|c| c.is_ascii_alphanumeric()) {
            return Err(SyntaxFault { kind: FaultKind::InternationalDomain, at });
        }
        before = Some(c);
    }
    Ok(())
}

/// The ASCII character of a full-width or small form, and the dot for full stops of other scripts; `None` for other
/// characters.
pub(super) fn half_width(c: char) -> Option<char> {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        '\u{3002}' | '\u{ff61}' | '\u{fe52}' => Some('.'),
        '\u{fe6b}' => Some('@'),
        '\u{fe63}' => Some('-'),
        _ => None,
    }
}
