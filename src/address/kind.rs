//! The kinds of an address: role account, disposable, of a free provider, tagged.
//!
//! Decides: by lists alone, offline. Relays and forwarders, whose addresses hide a real mailbox, are a kind of their
//! own and not disposable. Must not: judge; the verdict does. Can't know: disposable services that are newer than the
//! lists, unless their MX host is known ([`KindTables::is_disposable_mx`]).

use std::borrow::Cow;
use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::table::Table;
use super::{Address, Domain};

/// The kinds of an address; `None` means "not determined".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressKinds {
    /// A role account (`info@`), as in RFC 2142, or an unread address (`noreply@`).
    pub role: Option<bool>,
    /// An address of a disposable-mail service.
    pub disposable: Option<bool>,
    /// An address of a free provider.
    pub free: Option<bool>,
    /// The local part has a tag (`name+tag@`).
    pub tagged: Option<bool>,
}

/// The kinds of a domain: those of [`AddressKinds`] that all its addresses share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DomainKinds {
    /// A disposable-mail service.
    pub disposable: bool,
    /// A free provider.
    pub free: bool,
}

/// The lists that decide the kinds.
#[derive(Clone, Debug)]
pub struct KindTables {
    disposable: Table,
    disposable_mx: Table,
    relays: Table,
    free: Table,
    no_reply: Table,
    /// Role accounts and unread addresses. A hash set, because every local part of a list is looked up here.
    roles: HashSet<String, RandomState>,
}

impl KindTables {
    /// Takes the lists. `disposable`, `relays` and `free` list domains, `disposable_mx` MX hosts, `roles` and
    /// `no_reply` local parts in lower case and without tags.
    pub fn new([disposable, disposable_mx, relays, free, roles, no_reply]: [Table; 6]) -> KindTables {
        let names = [&roles, &no_reply].into_iter().flat_map(Table::entries);
        let roles = names.map(|(name, _)| name.to_owned()).collect();
        KindTables { disposable, disposable_mx, relays, free, no_reply, roles }
    }

    /// True for a disposable-mail service and the domains below it.
    pub fn is_disposable(&self, domain: &Domain) -> bool {
        self.disposable.covers(domain)
    }

    /// True for an MX host of a disposable-mail service, whatever domain it receives mail for.
    pub fn is_disposable_mx(&self, host: &Domain) -> bool {
        self.disposable_mx.covers(host)
    }

    /// True for a relay or forwarder, whose permanent addresses hide real mailboxes, and the domains below it.
    pub fn is_relay(&self, domain: &Domain) -> bool {
        self.relays.covers(domain)
    }

    /// True for a domain of a free provider.
    pub fn is_free(&self, domain: &Domain) -> bool {
        self.free.contains(domain.as_str())
    }

    /// True for the local part of a role account, also with a number (`info2`), or of an unread address.
    pub fn is_role(&self, local: &str) -> bool {
        let name = listed_name(local);
        // Numbered roles: `info2`, `support-1`.
        let base = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['-', '_', '.']);
        self.roles.contains(&*name) || (base.len() < name.len() && self.roles.contains(base))
    }

    /// True for the local part of an unread address (`noreply`). These are role accounts too.
    pub fn is_no_reply(&self, local: &str) -> bool {
        self.no_reply.contains(&listed_name(local))
    }

    /// The kinds of a domain.
    pub fn of_domain(&self, domain: &Domain) -> DomainKinds {
        DomainKinds { disposable: self.is_disposable(domain), free: self.is_free(domain) }
    }

    /// The kinds of an address; each one is determined.
    pub fn of_address(&self, address: &Address) -> AddressKinds {
        let domain = address.domain().map(|domain| self.of_domain(domain)).unwrap_or_default();
        self.of_local(address.local(), domain)
    }

    /// The kinds of an address with this local part, at a domain of these kinds.
    pub fn of_local(&self, local: &str, domain: DomainKinds) -> AddressKinds {
        AddressKinds {
            role: Some(self.is_role(local)),
            disposable: Some(domain.disposable),
            free: Some(domain.free),
            tagged: Some(untagged(local).len() < local.len()),
        }
    }
}

/// The local part as the lists write it: in lower case, without its tag.
fn listed_name(local: &str) -> Cow<'_, str> {
    let name = untagged(local);
    let is_plain = name.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase());
    if is_plain { Cow::Borrowed(name) } else { Cow::Owned(name.to_lowercase()) }
}

/// The local part without its tag. Only `+` starts a tag: at most providers other separators belong to the name.
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

    /// The kinds of an address, as words.
    fn kinds(text: &str) -> Vec<&'static str> {
        let kinds = AddressLists::built_in().kinds.of_address(&Address::parse(text).unwrap());
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
    fn relays_and_unread_addresses_are_kinds_of_their_own() {
        let kinds = &AddressLists::built_in().kinds;
        let domain = |text| Domain::parse(text).unwrap();
        assert!(kinds.is_relay(&domain("duck.com")) && !kinds.is_relay(&domain("gmail.com")));
        assert!(kinds.is_no_reply("No-Reply+7") && !kinds.is_no_reply("info"));
        assert!(kinds.is_disposable_mx(&Domain::from_dns("mx2.mailinator.com.").unwrap()));
    }
}
