//! The kinds of an address: role account, disposable, of a free provider, tagged, of a relay.
//!
//! Decides: by lists alone, offline. Relays and forwarders, whose addresses hide a real mailbox, are a kind of their
//! own and not disposable. Must not: judge; the verdict does. Can't know: disposable services that are newer than the
//! lists, unless their MX host is known ([`KindTables::is_disposable_mx`]).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

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
    /// An address of a relay or forwarder, which hides the real mailbox.
    pub relay: Option<bool>,
}

/// The kinds of a domain: those of [`AddressKinds`] that all its addresses share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DomainKinds {
    /// A disposable-mail service.
    pub disposable: bool,
    /// A free provider.
    pub free: bool,
    /// A relay or forwarder.
    pub relay: bool,
}

/// The lists that decide the kinds.
#[derive(Clone, Debug)]
pub struct KindTables {
    disposable: Table,
    disposable_mx: Table,
    sinkhole_mx: Table,
    relays: Table,
    free: Table,
    no_reply: Table,
    /// Role accounts and unread addresses. A hash set, because every local part of a list is looked up here.
    roles: HashSet<String, RandomState>,
    /// Words that local parts of several words have.
    role_words: HashMap<String, RoleWord, RandomState>,
}

/// What a word means in a local part of several words, by `role_words.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RoleWord {
    /// A role, whatever follows it.
    First,
    /// It may stand beside a role.
    With,
    /// It may stand behind a role.
    After,
}

impl KindTables {
    /// Takes the lists. `disposable`, `relays` and `free` list domains, `disposable_mx` and `sinkhole_mx` MX hosts, `roles` and
    /// `no_reply` local parts in lower case and without tags, `role_words` words with `first`, `with` or `after`.
    pub fn new(
        [disposable, disposable_mx, sinkhole_mx, relays, free, roles, role_words, no_reply]: [Table; 8],
    ) -> KindTables {
        let names = [&roles, &no_reply].into_iter().flat_map(Table::entries);
        let roles = names.map(|(name, _)| name.to_owned()).collect();
        let word = |(word, kind): (&str, &str)| {
            let kind = match kind {
                "first" => RoleWord::First,
                "with" => RoleWord::With,
                _ => RoleWord::After,
            };
            (word.to_owned(), kind)
        };
        let role_words = role_words.entries().into_iter().map(word).collect();
        KindTables { disposable, disposable_mx, sinkhole_mx, relays, free, no_reply, roles, role_words }
    }

    /// True for a disposable-mail service and the domains below it.
    pub fn is_disposable(&self, domain: &Domain) -> bool {
        self.disposable.covers(domain)
    }

    /// True for a domain that a user's file calls a disposable-mail service, and the domains below it.
    pub fn is_disposable_by_user(&self, domain: &Domain) -> bool {
        self.disposable.covers_by_user(domain)
    }

    /// True for an MX host that receives no mail, because somebody took the domain away from its owner.
    pub fn is_sinkhole_mx(&self, host: &Domain) -> bool {
        self.sinkhole_mx.covers(host)
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

    /// True for the local part of a role account, also with a number (`info2`), a place or a team (`info-berlin`), or of an
    /// unread address.
    pub fn is_role(&self, local: &str) -> bool {
        let name = listed_name(local);
        // Numbered roles: `info2`, `support-1`.
        let base = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['-', '_', '.']);
        self.roles.contains(&*name)
            || (base.len() < name.len() && self.roles.contains(base))
            || self.is_role_of_words(&name)
    }

    /// True for a role among words that say where or who it is, and for a role that nothing after it can make a name.
    fn is_role_of_words(&self, name: &str) -> bool {
        let mut words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
        let Some(first) = words.next().filter(|first| first.len() < name.len()) else { return false };
        if self.role_words.get(first) == Some(&RoleWord::First) {
            return true;
        }
        let mut has_role = false;
        std::iter::once(first).chain(words).all(|word| {
            let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
            let is_role = self.roles.contains(word);
            let fits = match self.role_words.get(word) {
                Some(RoleWord::After) => has_role || is_role,
                Some(_) => true,
                None => is_role || word.is_empty(),
            };
            has_role |= is_role;
            fits
        }) && has_role
    }

    /// True for the local part of an unread address (`noreply`). These are role accounts too.
    pub fn is_no_reply(&self, local: &str) -> bool {
        self.no_reply.contains(&listed_name(local))
    }

    /// The kinds of a domain.
    pub fn of_domain(&self, domain: &Domain) -> DomainKinds {
        DomainKinds {
            disposable: self.is_disposable(domain),
            free: self.is_free(domain),
            relay: self.is_relay(domain),
        }
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
            relay: Some(domain.relay),
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
            ("relay", kinds.relay),
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
            ("jane@duck.com", &["relay"]),
            ("jane@[192.0.2.1]", &[]),
        ] {
            assert_eq!(kinds(text), expected, "{text}");
        }
    }

    #[test]
    fn a_role_with_a_place_or_a_team_is_one_and_a_person_is_none() {
        let kinds = &AddressLists::built_in().kinds;
        for local in [
            "info-berlin",
            "info.winterthur",
            "sales.emea",
            "sales-uk",
            "support_team",
            "team.support",
            "kundenservice",
            "Kundenservice-Sued",
            "vertrieb.nord",
            "hr.apac",
            "uk.sales",
            "sales.austin",
            "marketing_dach",
            "ventas.mexico",
            "service-client.paris",
            "biuro.krakow",
            "office2.wien",
            "sales-2-berlin",
            "noreply-billing",
            "customer_service",
        ] {
            assert!(kinds.is_role(local), "{local}");
        }
        for local in [
            "mark.sales",
            "austin.sales",
            "sales.jones",
            "post.malone",
            "hans.post",
            "paris.hilton",
            "berlin",
            "team",
            "jordan.page",
            "london.berlin",
            "al.post",
            "maria.sales",
            "anna.support",
            "inform.er",
            "2024-08",
            "-",
            "jane.doe",
            "kent.clark",
            "information.technologist",
        ] {
            let is_listed = kinds.roles.contains(local);
            assert!(is_listed || !kinds.is_role(local), "{local}");
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
