//! What was probably meant by a text that is no address: with the dot or the @ that is missing.
//!
//! Decides: only for domains that people have. Must not: clean, that is [`crate::address::repair`]'s.

use super::suggest;
use super::targets::{KnownDomain, KnownDomains};
use crate::address::{Address, FaultKind, SyntaxFault};

/// The whole address that was probably meant by a text that is none: with the dot or the @ that is missing.
pub fn suggest_for_fault(text: &str, fault: &SyntaxFault, targets: &KnownDomains) -> Option<Address> {
    let candidates = match fault.kind {
        FaultKind::NoAt => return missing_at(text, targets),
        FaultKind::DomainCharacter
        | FaultKind::WhiteSpace
        | FaultKind::SecondAt
        | FaultKind::DomainDoubleDot => {
            let (head, tail) = text.split_at_checked(fault.at)?;
            let rest = &tail[tail.chars().next()?.len_utf8()..];
            [format!("{head}{rest}"), format!("{head}.{rest}")]
        }
        _ => return None,
    };
    candidates.iter().find_map(|candidate| {
        let address = Address::parse(candidate).ok()?;
        let domain = address.domain()?;
        if targets.is_target(domain.as_str()) {
            return Some(address);
        }
        let meant = suggest(domain, targets)?;
        address.at_domain(meant.domain).ok()
    })
}

/// `janegmail.com`, `jane.gmail.com`, `jane#gmail.com`, `jane at gmail.com`: only before a domain that people have.
fn missing_at(text: &str, targets: &KnownDomains) -> Option<Address> {
    let lower = text.to_ascii_lowercase();
    let ends_in = |target: &&KnownDomain| lower.ends_with(target.domain.as_str());
    let target = targets.list.iter().filter(ends_in).max_by_key(|target| target.domain.as_str().len())?;
    let local = &text[..text.len() - target.domain.as_str().len()];
    let stand_ins = ["(at)", "[at]", " at ", "_at_", "#", ".", "&", "*", " "];
    let local = stand_ins.iter().find_map(|stand_in| local.strip_suffix(stand_in)).unwrap_or(local);
    Address::parse(&format!("{local}@{}", target.domain)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::AddressLists;

    #[test]
    fn a_missing_at_or_dot_is_put_back() {
        for (text, meant) in [
            ("janegmail.com", Some("jane@gmail.com")),
            ("jane.gmail.com", Some("jane@gmail.com")),
            ("jane(at)gmail.com", Some("jane@gmail.com")),
            ("jane@gmail,com", Some("jane@gmail.com")),
            ("jane@gmail com", Some("jane@gmail.com")),
            ("jane@gmail..com", Some("jane@gmail.com")),
            ("jane@@gmail.com", Some("jane@gmail.com")),
            ("jane@gmial,com", Some("jane@gmail.com")),
            ("gmail.com", None),
            ("jane.bakery.example", None),
            ("jane@bakery,example", None),
        ] {
            let fault = Address::parse(text).unwrap_err();
            let found = suggest_for_fault(text, &fault, &AddressLists::built_in().targets);
            assert_eq!(found.map(|address| address.to_string()).as_deref(), meant, "{text}");
        }
    }
}
