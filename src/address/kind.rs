//! What kind of address it is: a shared role, a throw-away, a free provider's, a tagged one.
//!
//! Decides: by lists alone, offline. Relays and forwarders (addresses that hide a real mailbox) are a class of their
//! own and no throw-aways. Must not: judge; the verdict does. Can't know: throw-away services younger than the lists,
//! unless their mail host is known ([`disposable_mx`]).

use super::{Address, Domain};
use crate::policy::lists::Lists;
use crate::verdict::Kinds;

/// The kinds of an address, each determined.
pub fn of(address: &Address, lists: &Lists) -> Kinds {
    let name = name(address);
    let domain = address.domain();
    Kinds {
        role: Some(is_role(&name, lists)),
        disposable: Some(domain.is_some_and(|domain| lists.is_disposable(domain))),
        free: Some(domain.is_some_and(|domain| lists.is_free(domain))),
        tagged: Some(untagged(address.local()).len() < address.local().len()),
    }
}

/// True for addresses that nobody reads (`noreply@`). They are roles too.
pub fn is_no_reply(address: &Address, lists: &Lists) -> bool {
    lists.is_no_reply(&name(address))
}

/// True for a relay or forwarder: a durable address that hides a real mailbox.
pub fn is_relay(address: &Address, lists: &Lists) -> bool {
    address.domain().is_some_and(|domain| lists.is_relay(domain))
}

/// True when mail for this exchanger ends at a throw-away service, whatever the domain is called.
pub fn disposable_mx(host: &Domain, lists: &Lists) -> bool {
    lists.is_disposable_mx(host)
}

fn is_role(name: &str, lists: &Lists) -> bool {
    // Numbered roles: `info2`, `support-1`.
    let base = name
        .trim_end_matches(|c: char| c.is_ascii_digit())
        .trim_end_matches(['-', '_', '.']);
    [name, base]
        .into_iter()
        .any(|name| !name.is_empty() && (lists.is_role(name) || lists.is_no_reply(name)))
}

fn name(address: &Address) -> String {
    untagged(address.local()).to_lowercase()
}

/// The local part without its tag. Only the plus: other separators belong to names at most providers.
fn untagged(local: &str) -> &str {
    match local.split_once('+') {
        Some((name, _)) if !name.is_empty() && !name.starts_with('"') => name,
        _ => local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of the kinds that an address is.
    fn kinds(text: &str) -> Vec<&'static str> {
        let kinds = of(&Address::parse(text).unwrap(), Lists::built_in());
        let words = [
            ("role", kinds.role),
            ("disposable", kinds.disposable),
            ("free", kinds.free),
            ("tagged", kinds.tagged),
        ];
        words
            .into_iter()
            .filter(|(_, is)| is.expect("determined"))
            .map(|(word, _)| word)
            .collect()
    }

    #[test]
    fn each_kind_is_found_by_its_list() {
        for (text, expected) in [
            ("jane@example.com", &[][..]),
            ("Info@example.com", &["role"]),
            ("info2@example.com", &["role"]),
            ("büro@example.com", &["role"]),
            ("information.desk@example.com", &[]),
            ("noreply@example.com", &["role"]),
            ("jane+news@gmail.com", &["free", "tagged"]),
            ("sales+x@example.com", &["role", "tagged"]),
            ("+jane@example.com", &[]),
            ("jane@mailinator.com", &["disposable"]),
            ("jane@x.mailinator.com", &["disposable"]),
            ("jane@duck.com", &[]),
            ("jane@[192.0.2.1]", &[]),
        ] {
            assert_eq!(kinds(text), expected, "{text}");
        }
    }

    #[test]
    fn relays_and_addresses_nobody_reads_are_classes_of_their_own() {
        let lists = Lists::built_in();
        let address = |text| Address::parse(text).unwrap();
        assert!(is_relay(&address("jane@duck.com"), lists) && !is_relay(&address("jane@gmail.com"), lists));
        assert!(is_no_reply(&address("No-Reply+7@example.com"), lists));
        assert!(!is_no_reply(&address("info@example.com"), lists));
        assert!(disposable_mx(
            &Domain::from_dns("mx2.mailinator.com.").unwrap(),
            lists
        ));
    }
}
