//! The addresses in a text among other words: names, labels, markup, other addresses.
//!
//! Decides: where an address begins and ends, and whether that is certain. Must not: repair the address itself, drop a
//! letter that touches it, or split one address in two. Can't know: which of several addresses is meant.

use std::ops::Range;

use super::characters::{is_mark, is_negated_bracket};
use super::syntax::Address;

/// An address in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundAddress {
    /// The address.
    pub(crate) address: Address,
    /// Where it stands in the text, in bytes. The text there parses to the address.
    pub(crate) range: Range<usize>,
    /// False where letters or signs touch the address that may belong to it.
    pub(crate) is_certain: bool,
}

/// The distinct addresses in a text, in their order. Two spellings that differ in ASCII case are one. An address in the
/// display name of another one (`"ada@example.org" <ada@example.net>`) is part of that name, and is left out.
///
/// An address needs an @, and a domain with a dot or an address literal after it. What is damaged is not found: the
/// caller repairs invisible and full-width characters first.
pub(crate) fn find_addresses(text: &str) -> Vec<FoundAddress> {
    scan(text).0
}

/// The distinct addresses in a text, and how many @ are part of none.
pub(super) fn scan(text: &str) -> (Vec<FoundAddress>, usize) {
    let mut left_over = 0;
    let mut behind = 0;
    let mut found: Vec<FoundAddress> = Vec::new();
    for at in memchr::memchr_iter(b'@', text.as_bytes()) {
        let Some(next) = around(text, behind, at) else {
            left_over += usize::from(at >= behind);
            continue;
        };
        behind = next.range.end;
        let names = name_before(text, next.range.start);
        found.retain(|other| !names.contains(&other.range.start));
        match found.iter_mut().find(|other| is_same(&other.address, &next.address)) {
            Some(same) => same.is_certain |= next.is_certain,
            None => found.push(next),
        }
    }
    (found, left_over)
}

/// True for a text in which each @ belongs to the same address.
pub(crate) fn holds_one(text: &str) -> bool {
    let (found, left_over) = scan(text);
    found.len() == 1 && left_over == 0
}

/// The address in a text, if there is exactly one, certain or not.
pub(crate) fn find_only(text: &str) -> Option<Address> {
    let mut found = find_addresses(text);
    found.pop().filter(|_| found.is_empty()).map(|found| found.address)
}

/// True for addresses that differ in ASCII case at most.
fn is_same(one: &Address, other: &Address) -> bool {
    one.host() == other.host() && one.local().eq_ignore_ascii_case(other.local())
}

/// The address around the @ at this byte, which does not begin before `behind`.
fn around(text: &str, behind: usize, at: usize) -> Option<FoundAddress> {
    let (start, left_is_certain) = local_start(text, behind, at)?;
    let (end, right_is_certain) = domain_end(text, at)?;
    // `*ada@example.org*`: the same mark on both sides is no part of the address.
    let mut start = start;
    let mut behind_end = text[end..].chars();
    while let Some(mark) = text[start..at].chars().next().filter(|c| "*_'`~+/=#!^$%&?-".contains(*c))
        && behind_end.next() == Some(mark)
    {
        start += mark.len_utf8();
    }
    let address = Address::parse(&text[start..end]).ok()?;
    Some(FoundAddress { address, range: start..end, is_certain: left_is_certain && right_is_certain })
}

/// Where the local part before an @ begins, and whether that is certain; `None` where none can begin.
fn local_start(text: &str, behind: usize, at: usize) -> Option<(usize, bool)> {
    let before = &text[..at];
    if before.ends_with('"') {
        return quoted_start(before).filter(|start| *start >= behind).map(|start| (start, true));
    }
    let start = before.trim_end_matches(is_local_letter).len().max(behind.min(at));
    let in_front = text[..start].chars().next_back();
    let starts_with_mark = before[start..].starts_with(is_mark);
    if starts_with_mark
        || in_front.is_some_and(|c| c == '@' || c == '\\' || is_damage(c) || is_negated_bracket(c))
    {
        return None;
    }
    let is_url =
        before[start..].starts_with("//") && !text[..start].to_ascii_lowercase().ends_with("mailto:");
    let mut from = start;
    let mut is_certain = !is_url && !in_front.is_some_and(|c| matches!(c, ')' | ']' | '}'));
    // Signs that local parts may have and that in a text separate: the local part begins after the last one.
    let sign = before[start..].rfind(['=', '/', '|', '?', '{', '}']);
    if let Some(sign) = sign.map(|sign| start + sign) {
        from = sign + 1;
        let touches = before[start..sign].contains(char::is_alphanumeric);
        is_certain &= !touches || matches!(text.as_bytes()[sign], b'|' | b'{' | b'}');
    }
    let dots = before[from..].len() - before[from..].trim_start_matches('.').len();
    from += dots;
    is_certain &= dots == 0;
    // `电邮ada@example.org`: a label of another script touches the address.
    if let Some((border, c)) = before[from..].char_indices().rfind(|(_, c)| !c.is_ascii()) {
        let rest = from + border + c.len_utf8();
        if is_ideograph(c) && rest < at {
            (from, is_certain) = (rest, false);
        }
    }
    (from < at).then_some((from, is_certain))
}

/// Where the quoted local part that ends here begins.
fn quoted_start(before: &str) -> Option<usize> {
    let content = before.strip_suffix('"')?;
    let quote = content.rfind('"')?;
    let starts = text_ends_in_separator(&content[..quote]);
    (starts && quote + 1 < content.len()).then_some(quote)
}

fn text_ends_in_separator(text: &str) -> bool {
    text.chars().next_back().is_none_or(|c| c.is_whitespace() || "<(,;:[".contains(c))
}

/// Where the domain after an @ ends, and whether that is certain; `None` where there is no domain.
fn domain_end(text: &str, at: usize) -> Option<(usize, bool)> {
    let right = &text[at + 1..];
    if right.starts_with('[') {
        let end = right.find(']')? + 1;
        return (!right[end..].starts_with(char::is_alphanumeric)).then_some((at + 1 + end, true));
    }
    let letters = right.trim_start_matches(is_domain_letter);
    let domain = right[..right.len() - letters.len()].trim_end_matches(['.', '-']);
    let mut is_certain = true;
    let (head, mut top_level) = domain.rsplit_once('.').filter(|(head, _)| !head.is_empty())?;
    // `ada@example.org请`: text of another script touches the address.
    if let Some(border) = top_level.find(|c: char| !c.is_ascii()).filter(|border| *border > 0) {
        (top_level, is_certain) = (&top_level[..border], false);
    }
    let is_word = top_level.chars().count() > 1 && !top_level.bytes().all(|b| b.is_ascii_digit());
    let end = at + 1 + head.len() + 1 + top_level.len();
    let behind = &text[end..];
    let sign = behind.chars().next();
    let touches = sign.is_some_and(|sign| {
        behind[sign.len_utf8()..].starts_with(|c: char| c.is_alphanumeric()) && !"'\"`".contains(sign)
    });
    if !is_word
        || sign.is_some_and(|c| c == '@' || is_damage(c))
        || (touches && sign.is_some_and(|sign| "_$%^+=~".contains(sign)))
        || is_rest_of_domain(behind)
    {
        return None;
    }
    is_certain &= !(touches && sign.is_some_and(|sign| "([{!#*".contains(sign)));
    Some((end, is_certain))
}

/// True for a top-level domain and nothing else, after a wrong separator: `ada@mail.example,com`.
fn is_rest_of_domain(behind: &str) -> bool {
    let label = behind.trim_start_matches([',', ';', ':', '.', ' ']).trim_end();
    label.len() < behind.len()
        && label.bytes().all(|b| b.is_ascii_lowercase())
        && psl::suffix(label.as_bytes()).is_some_and(|suffix| suffix.is_known())
}

/// The display name of the address that starts here, if it stands in angle brackets; else nothing.
fn name_before(text: &str, start: usize) -> Range<usize> {
    let before = text[..start].trim_end();
    let before = before.strip_suffix("mailto:").unwrap_or(before).trim_end();
    let Some(name) = before.strip_suffix('<') else { return start..start };
    let mut is_quoted = false;
    let begins = name.char_indices().rev().find(|&(_, c)| {
        is_quoted ^= c == '"';
        !is_quoted && matches!(c, ',' | ';' | '|' | '>' | '\n' | '\r' | '\t')
    });
    begins.map_or(0, |(at, _)| at)..start
}

/// True for characters of a dot-string (RFC 5321 4.1.2), and for letters beyond ASCII.
fn is_local_letter(c: char) -> bool {
    match c {
        '\0'..='\u{7f}' => c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c),
        _ => c.is_alphanumeric() || is_mark(c),
    }
}

fn is_domain_letter(c: char) -> bool {
    match c {
        '\0'..='\u{7f}' => c.is_ascii_alphanumeric() || c == '-' || c == '.',
        _ => c.is_alphanumeric() || is_mark(c),
    }
}

/// True for what a damaged letter leaves: U+FFFD, private characters, controls except white space.
fn is_damage(c: char) -> bool {
    matches!(c, '\u{fffd}' | '\u{e000}'..='\u{f8ff}') || (c.is_control() && !matches!(c, '\n' | '\t' | '\r'))
}

/// True for the letters of Chinese, Japanese and Korean, which stand before an address without a space.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The addresses that are found, those that are not certain with a `?`.
    fn found(text: &str) -> Vec<String> {
        let word = |found: FoundAddress| {
            assert_eq!(Address::parse(&text[found.range]).as_ref(), Ok(&found.address), "{text:?}");
            format!("{}{}", found.address, if found.is_certain { "" } else { "?" })
        };
        find_addresses(text).into_iter().map(word).collect()
    }

    #[test]
    fn addresses_are_found_among_words() {
        let ada = &["ada@example.org"][..];
        let both = &["ada@example.org", "ben@example.net"][..];
        for (text, expected) in [
            ("ada@example.org", ada),
            ("Ada Byrne (ada@example.org)", ada),
            ("Ada[ada@example.org]", ada),
            ("{ada@example.org}", ada),
            ("*ada@example.org*", ada),
            ("_ada@example.org_", ada),
            ("`ada@example.org`", ada),
            ("|ada@example.org|", ada),
            ("=\"ada@example.org\"", ada),
            ("=HYPERLINK(\"mailto:ada@example.org\";\"Ada\")", ada),
            ("<a href='mailto:ada@example.org'>ada@example.org</a>", ada),
            ("<mailto:ada@example.org|ada@example.org>", ada),
            ("[Ada](mailto:ada@example.org?subject=x)", ada),
            ("[mailto:ada@example.org Ada]", ada),
            ("E-Mail: ada@example.org.", ada),
            ("Byrne, Ada <ada@example.org>;", ada),
            ("ada@example.org <ada@example.org>", ada),
            ("\"ben@example.net\" <ada@example.org>", ada),
            ("\"Byrne, ben@example.net\" <ada@example.org>", ada),
            ("Ada Byrne\nada@example.org", ada),
            ("\u{200b}ada@example.org", ada),
            ("Ada@example.org, ada@example.org", &["Ada@example.org"]),
            ("ada@example.org,ben@example.net", both),
            ("ada@example.org;ben@example.net", both),
            ("ada@example.org/ben@example.net", both),
            ("ada@example.org ben@example.net", both),
            ("Ada <ada@example.org>, Ben <ben@example.net>", both),
            ("ada@example.org, Ben <ben@example.net>", both),
            ("mailto:ada@example.org?cc=ben@example.net", &["ada@example.org", "ben@example.net?"]),
            ("\"Ada Byrne\"@example.org and more", &["\"Ada Byrne\"@example.org"]),
            ("literal ada@[192.0.2.1]!", &["ada@[192.0.2.1]"]),
            ("müller@bücher.example, x", &["müller@xn--bcher-kva.example"]),
            ("r&d@example.org or so", &["r&d@example.org"]),
        ] {
            assert_eq!(found(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_touches_an_address_makes_it_uncertain_or_no_address() {
        for (text, expected) in [
            ("(work)ada@example.org", &["ada@example.org?"][..]),
            ("ada@example.org(work)", &["ada@example.org?"]),
            ("a[x]ada@example.org", &["ada@example.org?"]),
            ("this is\\ada@example.org", &[]),
            ("ada@[192.0.2.1]x", &[]),
            ("see https://ada@example.org/", &["ada@example.org?"]),
            ("to: x/y@example.org", &["y@example.org?"]),
            ("邮箱ada@example.org请", &["ada@example.org?"]),
            ("ada@example.org请", &["ada@example.org?"]),
            ("ada@@example.org", &[]),
            ("ada@example.org@example.net", &[]),
            ("ada@example", &[]),
            ("ada@mail.exa_mple.org", &[]),
            ("ada@mail.example,com", &[]),
            ("ada@mail.example com", &[]),
            ("ada@example.1", &[]),
            ("m\u{fffd}ller@example.org", &[]),
            ("https://social.example/@ada.byrne", &[]),
            ("ada(x)@example.org", &[]),
            ("@example.org", &[]),
            ("", &[]),
        ] {
            assert_eq!(found(text), expected, "{text:?}");
        }
    }
}
