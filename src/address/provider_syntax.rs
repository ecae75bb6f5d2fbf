//! What the big providers allow left of the @, narrower than the RFCs.
//!
//! Decides: whether a provider can have a mailbox of that name at all, by the data in `policy/data/provider_syntax.csv`
//! with their sources. Must not: know a provider by name. Can't know: names that a provider gave out under older rules,
//! so the data hold only what was never allowed.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::Domain;

/// What each provider allows, by its domains.
pub type NameRules = HashMap<Domain, NameRule, RandomState>;

/// What one provider allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameRule {
    /// The id of the rule, as the `rule` column shows it.
    pub id: String,
    /// The fewest characters of a name, those in `ignored` not counted.
    pub min_chars: usize,
    /// The most characters of a name, those in `ignored` not counted.
    pub max_chars: usize,
    /// Characters beside ASCII letters and digits.
    pub specials: String,
    /// Characters that don't count: the provider reads the name as if they were not there.
    pub ignored: String,
    /// What separates a tag from the name; the tag is free.
    pub tag: Option<char>,
    /// Characters that can't end a name.
    pub not_last: String,
}

impl NameRule {
    /// True when the provider can have a mailbox of this local part.
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

    /// True when there can't be an address of this local part: the two that every domain has (RFC 2142) are none of the
    /// provider's users.
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
    fn only_what_a_provider_never_allowed_is_refused() {
        for (text, rule) in [
            ("jane.doe@gmail.com", None),
            ("jane.doe+news@gmail.com", None),
            ("j.a.n.e@gmail.com", Some("provider_syntax.gmail")),
            ("jane_doe@gmail.com", Some("provider_syntax.gmail")),
            ("a123456789012345678901234567890@googlemail.com", Some("provider_syntax.gmail")),
            ("abuse@gmail.com", None),
            ("jane-doe_1@hotmail.fr", None),
            ("jane!@outlook.com", Some("provider_syntax.outlook")),
            ("jane-keyword@yahoo.com", None),
            ("jané.doe@yahoo.de", Some("provider_syntax.yahoo")),
            ("jo@icloud.com", Some("provider_syntax.icloud")),
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
