//! Which slips of an export may be cleaned off an address, each by its name.
//!
//! Decides: what an exporting program, a mail client or a word processor added around or inside the address that its
//! owner never typed. A valid address is never changed. Must not: guess what was meant (that is [`super::typo`]), drop
//! a letter of the address, hide what it did. Can't know: whether the cleaned text is an address; parse it.

use super::characters::{half_width, is_invisible, is_joiner, plain_quote};
use super::fault::SyntaxFault;
use super::syntax::Address;

/// What was cleaned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Repair {
    /// White space around it, or around the @.
    WhiteSpace,
    /// No-break spaces and other spaces that look like the common one.
    NoBreakSpace,
    /// Zero-width characters, byte order marks, soft hyphens, marks of writing direction.
    Invisible,
    /// Full-width forms, also the full stops of other scripts.
    FullWidth,
    /// Curly quotation marks.
    TypographicQuote,
    /// `mailto:`, with what follows a `?`.
    Mailto,
    /// `smtp:`, as directory exports write it.
    SmtpPrefix,
    /// The name in `Name <a@b>`.
    DisplayName,
    /// `<` and `>`.
    AngleBrackets,
    /// A remark in parentheses behind it, after a space.
    Comment,
    /// Quotation marks around all of it.
    Quotes,
    /// Dots, commas, colons, semicolons behind it.
    TrailingPunctuation,
    /// `%40` for `@` and the like.
    PercentEncoding,
}

impl Repair {
    /// The `snake_case` word.
    pub fn word(self) -> &'static str {
        match self {
            Repair::WhiteSpace => "white_space",
            Repair::NoBreakSpace => "no_break_space",
            Repair::Invisible => "invisible_character",
            Repair::FullWidth => "full_width",
            Repair::TypographicQuote => "typographic_quote",
            Repair::Mailto => "mailto",
            Repair::SmtpPrefix => "smtp_prefix",
            Repair::DisplayName => "display_name",
            Repair::AngleBrackets => "angle_brackets",
            Repair::Comment => "comment",
            Repair::Quotes => "quotes",
            Repair::TrailingPunctuation => "trailing_punctuation",
            Repair::PercentEncoding => "percent_encoding",
        }
    }
}

/// A cleaned text and what was done to it, in the order in which it was done; without repairs it is the text given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// The cleaned text.
    pub text: String,
    /// What was cleaned; each name stands once.
    pub repairs: Vec<Repair>,
}

/// Reads an address, cleaned if it has to be. The fault is that of the cleaned text.
pub fn read(raw: &str) -> (Result<Address, SyntaxFault>, Option<Repaired>) {
    if let Ok(address) = Address::parse(raw) {
        return (Ok(address), None);
    }
    let repaired = scrub(raw);
    let address = Address::parse(&repaired.text);
    (address, (!repaired.repairs.is_empty()).then_some(repaired))
}

/// Cleans a text. A valid address comes back as it is, and a cleaned text stays clean.
pub(super) fn clean(raw: &str) -> Repaired {
    if Address::parse(raw).is_ok() {
        return Repaired { text: raw.to_owned(), repairs: Vec::new() };
    }
    scrub(raw)
}

fn scrub(raw: &str) -> Repaired {
    let mut repaired = Repaired { text: raw.to_owned(), repairs: Vec::new() };
    // Each step shortens the text or makes it plainer, so this ends; the order is that of the layers an export adds.
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
    typographic_quotes,
    prefix,
    angle_brackets,
    comment,
    quotes,
    trailing_punctuation,
    percent_encoding,
    white_space_at_the_at,
];

fn invisible(text: &str) -> Option<(String, Repair)> {
    // A domain is spelled with them or is another domain, so there they stay and UTS #46 judges.
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
    {
        let is_name = name.contains(|c: char| !matches!(c, '<' | '"' | '\'' | '`') && !c.is_whitespace());
        let repair = if is_name { Repair::DisplayName } else { Repair::AngleBrackets };
        return Some((inside.to_owned(), repair));
    }
    // One of the two was lost.
    shorter(text, text.trim_start_matches('<').trim_end_matches('>'), Repair::AngleBrackets)
}

/// Without a space before it, it is the comment of a message's header, and nobody's remark in a list.
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
    // One of the two was lost: the domain can't end in a quote.
    shorter(text, text.trim_end_matches(['"', '\'', '`']), Repair::Quotes)
}

fn trailing_punctuation(text: &str) -> Option<(String, Repair)> {
    let trimmed = text.trim_end_matches(['.', ',', ';', ':']).trim_start_matches([',', ';', ':']);
    shorter(text, trimmed, Repair::TrailingPunctuation)
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
    let sound = decoded.len() < text.len() && decoded.contains('@') && !decoded.contains(char::is_control);
    sound.then_some((decoded, Repair::PercentEncoding))
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

/// The addresses of one cell, in order, each with what belongs to it (`Name <a@b>` stays together). A cell with one
/// address, or none, comes back whole.
pub(super) fn split(raw: &str) -> Vec<&str> {
    if Address::parse(raw).is_ok() {
        return vec![raw];
    }
    let mut pieces = Vec::new();
    let (mut start, mut address, mut cut) = (0, false, None);
    let (mut quoted, mut bracketed) = (false, false);
    for (at, c) in raw.char_indices() {
        match c {
            '"' if !bracketed => quoted = !quoted,
            _ if quoted => {}
            '<' => bracketed = true,
            '>' => bracketed = false,
            '@' => {
                // What has no @ is the name of the address behind it ("Doe, Jane <jane@b>"), or a remark.
                if let Some(end) = cut.take() {
                    pieces.push(raw[start..end].trim());
                    start = end;
                }
                address = true;
            }
            _ if !bracketed && address && cut.is_none() && is_separator(c) => cut = Some(at),
            _ => {}
        }
    }
    pieces.push(raw[start..].trim());
    match pieces.len() {
        1 => vec![raw],
        _ => pieces.into_iter().map(|piece| piece.trim_start_matches(is_separator)).collect(),
    }
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';' | '|' | '/' | '\u{ff0c}' | '\u{ff1b}' | '\u{3001}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_an_export_added_is_taken_off_by_name() {
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
            assert_eq!(clean(raw), Repaired { text: text.to_owned(), repairs: repairs.to_vec() }, "{raw:?}");
        }
    }

    #[test]
    fn a_repaired_address_is_read_and_the_repair_told() {
        let (address, repaired) = read(" jane@example.com ");
        assert_eq!(address, Address::parse("jane@example.com"));
        assert_eq!(repaired.map(|repaired| repaired.repairs), Some(vec![Repair::WhiteSpace]));
        assert_eq!(read("jane@example.com").1, None);
    }

    #[test]
    fn several_addresses_in_a_cell_come_apart() {
        for (raw, pieces) in [
            ("jane@example.com", &["jane@example.com"][..]),
            ("a@example.com, b@example.com", &["a@example.com", "b@example.com"]),
            ("a@example.com;b@example.com;", &["a@example.com", "b@example.com;"]),
            (
                "a@example.com b@example.com\nc@example.com",
                &["a@example.com", "b@example.com", "c@example.com"],
            ),
            (
                "Doe, Jane <a@example.com>, Roe, Rich <b@example.com>",
                &["Doe, Jane <a@example.com>", "Roe, Rich <b@example.com>"],
            ),
            ("\"x, y@z\" <a@example.com>", &["\"x, y@z\" <a@example.com>"]),
            ("a/b@example.com", &["a/b@example.com"]),
            ("a@example.com / b@example.com", &["a@example.com", "b@example.com"]),
            ("no address, here", &["no address, here"]),
            ("", &[""]),
        ] {
            assert_eq!(split(raw), pieces, "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn a_clean_text_stays_as_it_is(raw in "[ <>\"'(),.;:%40a@\u{a0}\u{200b}\u{200c}\u{ff20}\u{2019}\u{3002}b\n]{0,16}") {
            let once = clean(&raw);
            prop_assert_eq!(clean(&once.text), Repaired { text: once.text, repairs: Vec::new() });
        }

        #[test]
        fn a_valid_address_is_never_changed(raw in "[a-z'%.+-]{1,8}@[a-z]{1,5}\\.[a-z]{2,3}") {
            if Address::parse(&raw).is_ok() {
                prop_assert_eq!(clean(&raw).text, raw);
            }
        }

        #[test]
        fn splitting_loses_no_address(raw in "[a@ ,;<>\"/.]{0,16}") {
            let ats = |text: &str| text.matches('@').count();
            prop_assert_eq!(split(&raw).into_iter().map(ats).sum::<usize>(), ats(&raw));
        }
    }
}
