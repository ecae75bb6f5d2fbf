//! What kind of address it is: a shared role, a throw-away, a free provider's, a tagged one.
//!
//! Decides: by lists alone, offline. Relays and forwarders (addresses that hide a real mailbox) are a class of their
//! own and no throw-aways. Must not: judge; the verdict does. Can't know: throw-away services younger than the lists,
//! unless their mail host is known ([`KindTables::is_disposable_mx`]).

use std::borrow::Cow;
use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::table::Table;
use super::{Address, Domain};

/// The kinds of an address; `None` is "not determined".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressKinds {
    /// A shared function (`info@`), RFC 2142 and like it.
    pub role: Option<bool>,
    /// A throw-away service.
    pub disposable: Option<bool>,
    /// A free-mail provider.
    pub free: Option<bool>,
    /// A tag in the local part (`name+tag@`).
    pub tagged: Option<bool>,
}

/// What the lists say about a domain: the part of [`AddressKinds`] that all its addresses share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DomainKinds {
    /// A throw-away service.
    pub disposable: bool,
    /// A free-mail provider.
    pub free: bool,
}

/// The lists by which kinds are told.
#[derive(Clone, Debug)]
pub struct KindTables {
    disposable: Table,
    disposable_mx: Table,
    relays: Table,
    free: Table,
    no_reply: Table,
    /// Every local part is looked up here, so this one is no text to be searched. With those that nobody reads.
    roles: HashSet<String, RandomState>,
}

impl KindTables {
    /// Takes the lists: of domains `disposable`, `relays` and `free`, of exchangers `disposable_mx`, of local parts in
    /// lower case and without a tag `roles` and `no_reply`.
    pub fn new([disposable, disposable_mx, relays, free, roles, no_reply]: [Table; 6]) -> KindTables {
        let names = [&roles, &no_reply].into_iter().flat_map(Table::entries);
        let roles = names.map(|(name, _)| name.to_owned()).collect();
        KindTables { disposable, disposable_mx, relays, free, no_reply, roles }
    }

    /// Is it, or is it below, a throw-away service?
    pub fn is_disposable(&self, domain: &Domain) -> bool {
        self.disposable.covers(domain)
    }

    /// Does mail for this exchanger end at a throw-away service, whatever the domain is called?
    pub fn is_disposable_mx(&self, host: &Domain) -> bool {
        self.disposable_mx.covers(host)
    }

    /// Is it, or is it below, a relay or forwarder, whose durable addresses hide real mailboxes?
    pub fn is_relay(&self, domain: &Domain) -> bool {
        self.relays.covers(domain)
    }

    /// Is it a free provider's?
    pub fn is_free(&self, domain: &Domain) -> bool {
        self.free.contains(domain.as_str())
    }

    /// Is it the name of a shared role, numbered or not, or one that nobody reads?
    pub fn is_role(&self, local: &str) -> bool {
        let name = name(local);
        // Numbered roles: `info2`, `support-1`.
        let base = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['-', '_', '.']);
        self.roles.contains(&*name) || (base.len() < name.len() && self.roles.contains(base))
    }

    /// Is it a name that nobody reads (`noreply`)? Those are roles too.
    pub fn is_no_reply(&self, local: &str) -> bool {
        self.no_reply.contains(&name(local))
    }

    /// What the lists say about a domain.
    pub fn of_domain(&self, domain: &Domain) -> DomainKinds {
        DomainKinds { disposable: self.is_disposable(domain), free: self.is_free(domain) }
    }

    /// The kinds of an address, each determined.
    pub fn of(&self, address: &Address) -> AddressKinds {
        let domain = address.domain().map(|domain| self.of_domain(domain)).unwrap_or_default();
        self.with_domain(address.local(), domain)
    }

    /// The kinds of an address of which those of its domain are known.
    pub fn with_domain(&self, local: &str, domain: DomainKinds) -> AddressKinds {
        AddressKinds {
            role: Some(self.is_role(local)),
            disposable: Some(domain.disposable),
            free: Some(domain.free),
            tagged: Some(untagged(local).len() < local.len()),
        }
    }
}

/// The name in a local part, as the lists write it.
fn name(local: &str) -> Cow<'_, str> {
    let name = untagged(local);
    let is_plain = name.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase());
    if is_plain { Cow::Borrowed(name) } else { Cow::Owned(name.to_lowercase()) }
}

/// The local part without its tag. Only the plus: other separators belong to names at most providers.
fn untagged(local: &str) -> &str {
    match memchr::memchr(b'+', local.as_bytes()) {
        Some(plus) if plus > 0 && !local.starts_with('"') => &local[..plus],
        _ => local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::AddressLists;

    /// The words of the kinds that an address is.
    fn kinds(text: &str) -> Vec<&'static str> {
        let kinds = AddressLists::built_in().kinds.of(&Address::parse(text).unwrap());
        let words = [
            ("role", kinds.role),
            ("disposable", kinds.disposable),
            ("free", kinds.free),
            ("tagged", kinds.tagged),
        ];
        words.into_iter().filter(|(_, is)| is.expect("determined")).map(|(word, _)| word).collect()
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
        let kinds = &AddressLists::built_in().kinds;
        let domain = |text| Domain::parse(text).unwrap();
        assert!(kinds.is_relay(&domain("duck.com")) && !kinds.is_relay(&domain("gmail.com")));
        assert!(kinds.is_no_reply("No-Reply+7") && !kinds.is_no_reply("info"));
        assert!(kinds.is_disposable_mx(&Domain::from_dns("mx2.mailinator.com.").unwrap()));
    }
}
