//! The address that was probably meant by a text with a syntax fault, whatever its domain is.
//!
//! Decides: which signs stand for the @ and for a dot, and which are doubled or left over. Must not: change a letter, or
//! suggest a domain whose top-level domain does not exist. Can't know: whether the domain exists.

use crate::address::{Address, special_use};

/// The address that a text becomes without what is doubled, left over or in place of a dot or an @; `None` if that is no
/// address either.
pub(crate) fn suggest_undamaged(text: &str) -> Option<Address> {
    let text = without_repetition(text.trim());
    let text = with_at(text)?;
    let (local, domain) = split(&text)?;
    let local =
        local.trim_matches(|c: char| !c.is_alphanumeric() && !"+_-'\"".contains(c)).replace([',', ';'], ".");
    let domain = domain.to_lowercase();
    let domain = domain.strip_prefix("http://").or(domain.strip_prefix("https://")).unwrap_or(&domain);
    let domain = with_dots(domain.trim_matches(|c: char| !c.is_alphanumeric()));
    let address = Address::parse(&format!("{}@{}", single_dots(&local), single_dots(&domain))).ok()?;
    is_plausible(&address).then_some(address)
}

/// `ada@example.orgada@example.org` once.
fn without_repetition(text: &str) -> &str {
    let half = text.len() / 2;
    match text.split_at_checked(half) {
        Some((one, other)) if one == other && one.contains('@') => one,
        _ => text,
    }
}

/// The text with an @, where something stands for it.
fn with_at(text: &str) -> Option<String> {
    if text.contains('@') {
        return Some(text.to_owned());
    }
    let lower = text.to_ascii_lowercase();
    let (at, sign) = STAND_INS.iter().find_map(|sign| {
        let mut places = lower.match_indices(sign);
        let (at, _) = places.next()?;
        places.next().is_none().then_some((at, sign))
    })?;
    let (local, domain) = (text[..at].trim_end(), text[at + sign.len()..].trim_start());
    let dots = DOTS.iter().fold(domain.to_ascii_lowercase(), |domain, dot| domain.replace(dot, "."));
    let local = DOTS.iter().fold(local.to_owned(), |local, dot| local.replace(dot, "."));
    Some(format!("{local}@{dots}"))
}

/// What is written for an @ to hide an address from programs, or typed for it on another keyboard.
const STAND_INS: &[&str] = &["(at)", "[at]", "{at}", "<at>", "(@)", "_at_", "-at-", " at ", "#", "\""];
const DOTS: &[&str] =
    &[" (dot) ", " [dot] ", " {dot} ", " dot ", "(dot)", "[dot]", "{dot}", "_dot_", "-dot-", "(.)", "[.]"];

/// The local part and the domain; with a second @ only where that is doubled or left over.
fn split(text: &str) -> Option<(&str, &str)> {
    let mut parts = text.split('@').map(str::trim).filter(|part| !part.is_empty());
    let (local, domain) = (parts.next()?, parts.next()?);
    parts.all(|again| again.eq_ignore_ascii_case(domain)).then_some((local, domain))
}

/// The domain with dots where other signs stand for them: a comma, a semicolon, a colon or a middle dot anywhere, a space
/// or another sign before a top-level domain. A space elsewhere is left over.
fn with_dots(domain: &str) -> String {
    let mut dotted = String::with_capacity(domain.len());
    for (at, c) in domain.char_indices() {
        let rest = domain[at + c.len_utf8()..].trim_start();
        match c {
            ',' | ';' | ':' | '\u{b7}' | '\u{2022}' => dotted.push('.'),
            ' ' | '\t' | '\n' | '_' | '/' | '\\' | '\'' | '*' | '+' | '=' if is_top_level(rest) => {
                dotted.push('.');
            }
            ' ' | '\t' | '\n' => {}
            c => dotted.push(c),
        }
    }
    dotted
}

fn is_top_level(text: &str) -> bool {
    !text.contains('.') && psl::suffix(text.as_bytes()).is_some_and(|suffix| suffix.is_known())
}

/// The text with one dot where several stand.
fn single_dots(text: &str) -> String {
    let mut single = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '.' || !single.ends_with('.') {
            single.push(c);
        }
    }
    single
}

/// True for a domain with a dot, and a top-level domain that is in use or reserved for examples.
fn is_plausible(address: &Address) -> bool {
    let is_in_use = |domain: &crate::address::Domain| {
        domain.has_known_top_level()
            || special_use(domain).is_some_and(|special| matches!(special.name, "example" | "test"))
    };
    address.domain().is_some_and(|domain| !domain.is_single_label() && is_in_use(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_addresses_at_any_domain_are_restored() {
        let ada = Some("ada@example.org");
        for (text, meant) in [
            ("ada@example,org", ada),
            ("ada@example;org", ada),
            ("ada@example org", ada),
            ("ada@example. org", ada),
            ("ada@example .org", ada),
            ("ada@exam ple.org", ada),
            ("ada@example..org", ada),
            ("ada@.example.org", ada),
            ("ada@example.org-", ada),
            ("ada@-example.org", ada),
            ("ada@example.org/", ada),
            ("ada@example.org@", ada),
            ("@ada@example.org", ada),
            ("ada@@example.org", ada),
            ("ada@example.org@example.org", ada),
            ("ada@example.orgada@example.org", ada),
            ("ada.@example.org", ada),
            (".ada@example.org", ada),
            ("ada@example_org", ada),
            ("ada@http://example.org", ada),
            ("ada(at)example.org", ada),
            ("ada [at] example [dot] org", ada),
            ("ada at example dot org", ada),
            ("ada#example.org", ada),
            ("ada..byrne@example.org", Some("ada.byrne@example.org")),
            ("ada,byrne@example.org", Some("ada.byrne@example.org")),
            ("ada@mail.bakery,example", Some("ada@mail.bakery.example")),
            ("ada byrne@example.org", None),
            ("ada@ben@example.org", None),
            ("ada@exa_mple.org", None),
            ("ada@example,nosuch", None),
            ("ada.example.org", None),
            ("www.example.org", None),
            ("Ada Byrne", None),
            ("+44 20 7946 0000", None),
            ("", None),
        ] {
            let found = suggest_undamaged(text).map(|address| address.to_string());
            assert_eq!(found.as_deref(), meant, "{text:?}");
        }
    }
}
