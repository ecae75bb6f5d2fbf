//! Repairs of texts that are no addresses, each with a name.
//!
//! Decides: what an exporting program, a mail client or a word processor added around or inside an address. A valid
//! address is never changed. Must not: guess what was meant ([`super::typo`] does), drop a letter of the address, hide
//! a repair.

use super::among_words::{among_words, in_formula_or_link};
use super::characters::{half_width, is_invisible, is_joiner, is_mark, look_alike, plain_quote};
use super::fault::SyntaxFault;
use super::repair_kind::Repair;
use super::syntax::Address;

/// A repaired text and its repairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// The repaired text.
    pub text: String,
    /// The repairs in the order in which they were first applied, each once.
    pub repairs: Vec<Repair>,
}

/// Reads an address, and repairs the text first if it is none. A fault is that of the repaired text. `None` if nothing
/// was repaired.
pub fn repair(raw: &str) -> (Result<Address, SyntaxFault>, Option<Repaired>) {
    if let Ok(address) = Address::parse(raw) {
        return (Ok(address), None);
    }
    let repaired = apply_steps(raw);
    let address = Address::parse(&repaired.text);
    (address, (!repaired.repairs.is_empty()).then_some(repaired))
}

/// Applies the steps until the text is an address or no step applies.
fn apply_steps(raw: &str) -> Repaired {
    let mut repaired = Repaired { text: raw.to_owned(), repairs: Vec::new() };
    // Each step shortens the text or makes it plainer, so the loop ends. The steps are in the order of the layers that
    // exports add.
    while let Some((text, repair)) = STEPS.iter().find_map(|step| step(&repaired.text)) {
        repaired.text = text;
        if !repaired.repairs.contains(&repair) {
            repaired.repairs.push(repair);
        }
        if Address::parse(&repaired.text).is_ok() {
            break;
        }
    }
    repaired
}

type Step = fn(&str) -> Option<(String, Repair)>;

const STEPS: &[Step] = &[
    invisible,
    no_break_space,
    surrounding_white_space,
    full_width,
    look_alikes,
    typographic_quotes,
    html_entities,
    in_formula_or_link,
    prefix,
    angle_brackets,
    comment,
    quotes,
    trailing_punctuation,
    percent_encoding,
    white_space_at_the_at,
    among_words,
];

fn invisible(text: &str) -> Option<(String, Repair)> {
    // Joiners stay in the domain: without them it may be another domain, and UTS #46 checks them.
    let (local, domain) = text.rsplit_once('@').map_or((text, ""), |(local, _)| text.split_at(local.len()));
    let among_ascii = local.chars().all(|c| c.is_ascii() || is_joiner(c) || is_invisible(c));
    let wrong = |c: char| is_invisible(c) || (among_ascii && is_joiner(c));
    if !local.contains(wrong) && !domain.contains(is_invisible) {
        return None;
    }
    Some((local.replace(wrong, "") + &domain.replace(is_invisible, ""), Repair::Invisible))
}

fn no_break_space(text: &str) -> Option<(String, Repair)> {
    let odd = |c: char| c.is_whitespace() && !c.is_ascii() && !c.is_control();
    replace(text, Repair::NoBreakSpace, odd, |_| Some(' '))
}

fn surrounding_white_space(text: &str) -> Option<(String, Repair)> {
    let trimmed = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    shorter(text, trimmed, Repair::WhiteSpace)
}

fn full_width(text: &str) -> Option<(String, Repair)> {
    replace(text, Repair::FullWidth, |c| half_width(c).is_some(), half_width)
}

fn look_alikes(text: &str) -> Option<(String, Repair)> {
    replace(text, Repair::LookAlike, |c| look_alike(c).is_some(), look_alike)
}

fn typographic_quotes(text: &str) -> Option<(String, Repair)> {
    replace(text, Repair::TypographicQuote, |c| plain_quote(c).is_some(), plain_quote)
}

fn prefix(text: &str) -> Option<(String, Repair)> {
    let after = |prefix: &str| {
        let (head, rest) = text.split_at_checked(prefix.len())?;
        head.eq_ignore_ascii_case(prefix).then_some(rest)
    };
    if let Some(rest) = after("mailto:") {
        let address = rest.trim_start_matches('/').split('?').next().unwrap_or(rest);
        return Some((address.to_owned(), Repair::Mailto));
    }
    after("smtp:").map(|rest| (rest.to_owned(), Repair::SmtpPrefix))
}

fn angle_brackets(text: &str) -> Option<(String, Repair)> {
    if let Some((name, rest)) = text.rsplit_once('<')
        && let Some((inside, _)) = rest.split_once('>')
        && inside.contains('@')
        && !inside.starts_with(is_mark)
    {
        let is_name = name.contains(|c: char| !matches!(c, '<' | '"' | '\'' | '`') && !c.is_whitespace());
        let repair = if is_name { Repair::DisplayName } else { Repair::AngleBrackets };
        return Some((inside.to_owned(), repair));
    }
    // A bracket and a combining mark are one character.
    if text.trim_start_matches('<').starts_with(is_mark) {
        return None;
    }
    // Only one of the two brackets is there.
    shorter(text, text.trim_start_matches('<').trim_end_matches('>'), Repair::AngleBrackets)
}

/// Removes a remark after a space. Without the space it may be a comment of a message header, which stays a fault.
fn comment(text: &str) -> Option<(String, Repair)> {
    let (address, remark) = text.split_once(" (")?;
    (remark.ends_with(')') && address.contains('@')).then(|| (address.to_owned(), Repair::Comment))
}

fn quotes(text: &str) -> Option<(String, Repair)> {
    for mark in ['"', '\'', '`'] {
        if let Some(inside) = text.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark)) {
            return Some((inside.to_owned(), Repair::Quotes));
        }
    }
    // Only the closing mark is there. No domain ends in a quotation mark.
    shorter(text, text.trim_end_matches(['"', '\'', '`']), Repair::Quotes)
}

fn trailing_punctuation(text: &str) -> Option<(String, Repair)> {
    let trimmed = text.trim_end_matches(['.', ',', ';', ':']).trim_start_matches([',', ';', ':']);
    shorter(text, trimmed, Repair::TrailingPunctuation)
}

/// Entities that exports of web pages leave in addresses.
const ENTITIES: [(&str, &str); 11] = [
    ("&#64;", "@"),
    ("&#064;", "@"),
    ("&#x40;", "@"),
    ("&commat;", "@"),
    ("&#46;", "."),
    ("&period;", "."),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", "\""),
    ("&#39;", "'"),
    ("&nbsp;", " "),
];

fn html_entities(text: &str) -> Option<(String, Repair)> {
    if !text.contains('&') || !text.contains(';') {
        return None;
    }
    let decoded = ENTITIES.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain));
    let decoded = decoded.replace("&amp;", "&");
    shorter(text, &decoded, Repair::HtmlEntity)
}

fn percent_encoding(text: &str) -> Option<(String, Repair)> {
    if !text.contains('%') {
        return None;
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        let pair = (b == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        if let Some(pair) = pair.filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit())) {
            decoded.push(u8::from_str_radix(pair, 16).ok()?);
            at += 3;
        } else {
            decoded.push(b);
            at += 1;
        }
    }
    let decoded = String::from_utf8(decoded).ok()?;
    let is_plausible =
        decoded.len() < text.len() && decoded.contains('@') && !decoded.contains(char::is_control);
    is_plausible.then_some((decoded, Repair::PercentEncoding))
}

fn white_space_at_the_at(text: &str) -> Option<(String, Repair)> {
    let (local, domain) = text.rsplit_once('@')?;
    let (local, domain) = (local.trim_end(), domain.trim_start());
    let joined = format!("{local}@{domain}");
    (joined.len() < text.len()).then_some((joined, Repair::WhiteSpace))
}

fn shorter(text: &str, trimmed: &str, repair: Repair) -> Option<(String, Repair)> {
    (trimmed.len() < text.len()).then(|| (trimmed.to_owned(), repair))
}

fn replace(
    text: &str,
    repair: Repair,
    wrong: impl Fn(char) -> bool,
    right: impl Fn(char) -> Option<char>,
) -> Option<(String, Repair)> {
    if text.is_ascii() || !text.contains(&wrong) {
        return None;
    }
    let plain = text.chars().filter_map(|c| if wrong(c) { right(c) } else { Some(c) });
    Some((plain.collect(), repair))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The text after its repairs; without repairs the text itself.
    fn repaired(raw: &str) -> Repaired {
        repair(raw).1.unwrap_or_else(|| Repaired { text: raw.to_owned(), repairs: Vec::new() })
    }

    #[test]
    fn each_repair_is_applied_and_named() {
        use Repair::*;
        for (raw, text, repairs) in [
            ("jane@example.com", "jane@example.com", &[][..]),
            (" jane@example.com\t", "jane@example.com", &[WhiteSpace]),
            ("\u{a0}jane@example.com\u{3000}", "jane@example.com", &[NoBreakSpace, WhiteSpace]),
            ("\u{feff}jane@exa\u{200b}mple.com", "jane@example.com", &[Invisible]),
            ("jane\u{200c}@example.com", "jane@example.com", &[Invisible]),
            ("ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ", "jane@example.com", &[FullWidth]),
            ("jane@example。com", "jane@example.com", &[FullWidth]),
            ("o\u{2019}neill@example.com", "o'neill@example.com", &[TypographicQuote]),
            ("\u{201c}jane@example.com\u{201d}", "jane@example.com", &[TypographicQuote, Quotes]),
            ("mailto:jane@example.com?subject=x", "jane@example.com", &[Mailto]),
            ("MAILTO:jane%40example.com", "jane@example.com", &[Mailto, PercentEncoding]),
            ("SMTP:jane@example.com", "jane@example.com", &[SmtpPrefix]),
            ("<jane@example.com>", "jane@example.com", &[AngleBrackets]),
            ("jane@example.com>", "jane@example.com", &[AngleBrackets]),
            ("\"Doe, Jane\" <jane@example.com>;", "jane@example.com", &[DisplayName]),
            ("jane@example.com (work)", "jane@example.com", &[Comment]),
            ("'jane@example.com'", "jane@example.com", &[Quotes]),
            ("\"jane@example.com\"", "jane@example.com", &[Quotes]),
            ("jane@example.com.,", "jane@example.com", &[TrailingPunctuation]),
            ("jane @ example.com", "jane@example.com", &[WhiteSpace]),
            ("jane doe@example.com", "jane doe@example.com", &[]),
            ("jane%20doe@example.com", "jane%20doe@example.com", &[]),
            ("", "", &[]),
        ] {
            assert_eq!(
                repaired(raw),
                Repaired { text: text.to_owned(), repairs: repairs.to_vec() },
                "{raw:?}"
            );
        }
    }

    #[test]
    fn a_repaired_address_is_parsed_and_its_repairs_are_returned() {
        let (address, repaired) = repair(" jane@example.com ");
        assert_eq!(address, Address::parse("jane@example.com"));
        assert_eq!(repaired.map(|repaired| repaired.repairs), Some(vec![Repair::WhiteSpace]));
        assert_eq!(repair("jane@example.com").1, None);
    }

    proptest! {
        #[test]
        fn a_repaired_text_needs_no_repair(raw in "[ <>\"'(),.;:%40a@\u{a0}\u{200b}\u{200c}\u{ff20}\u{2019}\u{3002}b\n]{0,16}") {
            let once = repaired(&raw);
            prop_assert_eq!(repaired(&once.text), Repaired { text: once.text, repairs: Vec::new() });
        }

        #[test]
        fn a_valid_address_is_never_changed(raw in "[a-z'%.+-]{1,8}@[a-z]{1,5}\\.[a-z]{2,3}") {
            if Address::parse(&raw).is_ok() {
                prop_assert_eq!(repaired(&raw).text, raw);
            }
        }
    }
}
