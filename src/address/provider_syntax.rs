//! The local parts that big providers allow: fewer than the RFCs do.
//!
//! Decides: whether a provider can have a mailbox with a local part at all, by `policy/data/provider_syntax.csv`, which
//! names its sources. Must not: name a provider. Can't know: mailboxes from before a provider's present rules, so the
//! data forbid only what was never allowed.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::Domain;

/// The rules of all providers, by domain.
pub(crate) type NameRules = HashMap<Domain, NameRule, RandomState>;

/// The local parts that one provider allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameRule {
    /// The id of the rule, as the `rule` column shows it.
    pub id: String,
    /// The fewest characters of a local part, without its tag and the characters in `ignored`.
    pub min_chars: usize,
    /// The most characters of a local part, without its tag and the characters in `ignored`.
    pub max_chars: usize,
    /// The characters that are allowed besides ASCII letters and digits.
    pub specials: String,
    /// Characters that the provider ignores, such as the dots of some providers.
    pub ignored: String,
    /// The separator before a tag; the tag may hold anything.
    pub tag: Option<char>,
    /// Characters that are not allowed at the end.
    pub not_last: String,
}

impl NameRule {
    /// True if the provider can have a mailbox with this local part.
    pub fn allows(&self, local: &str) -> bool {
        let name = match self.tag {
            Some(tag) => local.split(tag).next().unwrap_or(local),
            None => local,
        };
        let counted = name.chars().filter(|&c| !self.ignored.contains(c)).count();
        (self.min_chars..=self.max_chars).contains(&counted)
            && name.chars().all(|c| c.is_ascii_alphanumeric() || self.specials.contains(c))
            && !name.ends_with(|c| self.not_last.contains(c))
    }

    /// True if no address with this local part can exist. `abuse` and `postmaster`, which every domain has (RFC 2142),
    /// are never forbidden: the rules are for mailboxes of users.
    pub fn forbids(&self, local: &str) -> bool {
        let is_reserved = ["abuse", "postmaster"].iter().any(|name| local.eq_ignore_ascii_case(name));
        !is_reserved && !self.allows(local)
    }
}

#[cfg(test)]
mod tests {
    use crate::address::Address;
    use crate::policy::AddressLists;

    #[test]
    fn only_local_parts_that_were_never_allowed_are_forbidden() {
        for (text, rule) in [
            ("jane.doe@gmail.com", None),
            ("jane.doe+news@gmail.com", None),
            ("j.a.n.e@gmail.com", None),
            ("jane_doe@gmail.com", Some("provider_syntax.gmail")),
            ("a123456789012345678901234567890@googlemail.com", None),
            ("abuse@gmail.com", None),
            ("jane-doe_1@hotmail.fr", None),
            ("jane!@outlook.com", Some("provider_syntax.outlook")),
            ("jane-keyword@yahoo.com", None),
            ("jané.doe@yahoo.de", Some("provider_syntax.yahoo")),
            ("jo@icloud.com", None),
            ("words_and-more.0f@icloud.com", None),
            ("!x@example.com", None),
            ("!x@[192.0.2.1]", None),
        ] {
            let address = Address::parse(text).unwrap();
            let found = address.domain().and_then(|domain| AddressLists::built_in().name_rules.get(domain));
            let found = found.filter(|rule| rule.forbids(address.local()));
            assert_eq!(found.map(|rule| rule.id.as_str()), rule, "{text}");
        }
    }
}
