//! What a cell shows before anything is asked: is it an address, of what kind, and does it look mistyped?

use super::domain_cache::{DomainCache, DomainTraits};
use crate::address::{self, Address, AddressKinds, Certainty, Domain, Repair, SyntaxFault, special_use};
use crate::evidence::AddressStatus;
use crate::policy::AddressLists;

/// What a cell shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellAnalysis {
    /// Is it an address?
    pub form: AddressStatus,
    /// Of what kind?
    pub kinds: AddressKinds,
    /// The address as it was cleaned or put right, where the cell was not.
    pub repaired: Option<String>,
    /// What was cleaned off the cell.
    pub repairs: Vec<Repair>,
    /// Does it look mistyped?
    pub slip: Option<Suspicion>,
}

/// A suspected slip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// The whole address that was probably meant.
    pub meant: String,
    /// How sure the letters alone make it.
    pub certainty: Certainty,
}

/// How cells are looked at.
#[derive(Clone, Copy, Debug)]
pub struct AnalyzeOptions {
    /// What is known of names and domains.
    pub lists: &'static AddressLists,
    /// Put an address right that can't work as it is typed, where it shows what was meant.
    pub apply_suggestions: bool,
}

/// By these lists, and nothing is put right.
impl From<&'static AddressLists> for AnalyzeOptions {
    fn from(lists: &'static AddressLists) -> AnalyzeOptions {
        AnalyzeOptions { lists, apply_suggestions: false }
    }
}

/// Looks at cells. What shows in a domain alone is remembered, since a list has many addresses of few domains.
pub struct Analyzer {
    how: AnalyzeOptions,
    domains: DomainCache,
}

/// An address as it is asked, at a domain that was seen before: nothing but its kind shows in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainAddress<'a> {
    /// The part left of the @.
    pub local: &'a str,
    /// The part right of it, as [`Domain::as_str`] has it.
    pub domain: &'a str,
    /// Of what kind?
    pub kinds: AddressKinds,
}

impl Analyzer {
    /// Looks this way.
    pub fn new(how: impl Into<AnalyzeOptions>) -> Analyzer {
        Analyzer { how: how.into(), domains: DomainCache::default() }
    }

    /// Looks at a cell in passing. Most cells of a list show nothing else than their neighbours, so that is told here, in a
    /// small part of the time that [`Analyzer::look`] takes; it alone tells about all others.
    pub fn analyze_fast<'a>(&self, cell: &'a str) -> Option<PlainAddress<'a>> {
        let (local, domain) = address::split_plain(cell)?;
        // Only domains in their canonical form are there.
        let known = self.domains.get(domain)?;
        let is_plain = known.suggestion.is_none()
            && !known.is_set_aside
            && known.name_rule.is_none_or(|rule| !rule.forbids(local));
        is_plain.then(|| PlainAddress {
            local,
            domain,
            kinds: self.how.lists.kinds.of_local(local, known.kinds),
        })
    }

    /// Looks at a cell.
    pub fn look(&mut self, cell: &str) -> CellAnalysis {
        let seen = self.analyze_as_typed(cell);
        let Some(slip) =
            seen.slip.as_ref().filter(|slip| self.how.apply_suggestions && can_not_work(&seen.form, slip))
        else {
            return seen;
        };
        let meant = slip.meant.clone();
        CellAnalysis { repaired: Some(meant.clone()), ..self.analyze_as_typed(&meant) }
    }

    fn analyze_as_typed(&mut self, cell: &str) -> CellAnalysis {
        let lists = self.how.lists;
        let (read, repairs) = match Address::parse(cell) {
            Ok(address) => (Ok(address), None),
            Err(_) => address::repair(cell),
        };
        let (repaired, repairs) = repairs.map(|done| (done.text, done.repairs)).unzip();
        let repairs = repairs.unwrap_or_default();
        let address = match read {
            Ok(address) => address,
            Err(fault) => return self.broken(repaired.as_deref().unwrap_or(cell), &fault),
        };
        let Some(domain) = address.domain() else {
            let kinds = lists.kinds.of_address(&address);
            return CellAnalysis {
                form: AddressStatus::Literal(address),
                kinds,
                repaired,
                repairs,
                slip: None,
            };
        };
        let known = self.domains.of(domain.as_str(), || DomainTraits::of(domain, lists));
        CellAnalysis { repairs, ..known.look(address, repaired, lists) }
    }

    fn broken(&self, text: &str, fault: &SyntaxFault) -> CellAnalysis {
        let form = if text.trim().is_empty() {
            AddressStatus::Empty
        } else {
            AddressStatus::Invalid(fault.kind.word())
        };
        let meant = address::suggest_address(text, fault, &self.how.lists.targets);
        let slip = meant.map(|meant| Suspicion { meant: meant.to_string(), certainty: Certainty::Likely });
        CellAnalysis { form, kinds: AddressKinds::default(), repaired: None, repairs: Vec::new(), slip }
    }
}

impl DomainTraits {
    fn of(domain: &Domain, lists: &'static AddressLists) -> DomainTraits {
        DomainTraits {
            kinds: lists.kinds.of_domain(domain),
            suggestion: address::suggest_domain(domain, &lists.targets),
            is_set_aside: is_set_aside(domain),
            name_rule: lists.name_rules.get(domain),
        }
    }

    /// Looks at an address of this domain.
    fn look(&self, address: Address, repaired: Option<String>, lists: &AddressLists) -> CellAnalysis {
        let kinds = lists.kinds.of_local(address.local(), self.kinds);
        let slip = self.suggestion.as_ref().and_then(|suggestion| {
            let meant = address.at_domain(suggestion.domain.clone()).ok()?;
            Some(Suspicion { meant: meant.to_string(), certainty: suggestion.certainty })
        });
        let form = match self.name_rule.filter(|rule| rule.forbids(address.local())) {
            Some(rule) => AddressStatus::ProviderSyntax(rule.id.clone()),
            None if self.is_set_aside => AddressStatus::SpecialUse(address),
            None => AddressStatus::Valid(address),
        };
        CellAnalysis { form, kinds, repaired, repairs: Vec::new(), slip }
    }
}

/// What was typed is no address, is a known trap, or ends in a top level that does not exist. Anything else may be
/// somebody's domain, however much it looks like a slip.
fn can_not_work(form: &AddressStatus, slip: &Suspicion) -> bool {
    match form.address().and_then(Address::domain) {
        None => true,
        Some(_) if slip.certainty == Certainty::Trap => true,
        Some(domain) => slip.certainty == Certainty::Likely && !domain.has_known_top_level(),
    }
}

/// Names that can't receive mail. Not `test` and `example`: software should treat them as any other (RFC 6761 6.2 and
/// 6.5), so the DNS is asked, which knows nothing of them on the Internet, and does in a lab.
fn is_set_aside(domain: &Domain) -> bool {
    special_use(domain).is_some_and(|special| !matches!(special.name, "test" | "example"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_is_applied_only_where_what_was_typed_can_not_work() {
        let mut analyzer =
            Analyzer::new(AnalyzeOptions { lists: AddressLists::built_in(), apply_suggestions: true });
        for (typed, applied) in [
            ("jane@gmial.com", Some("jane@gmail.com")),
            ("jane@bakery.con", Some("jane@bakery.com")),
            ("jane@gmail,com", Some("jane@gmail.com")),
            (" jane@gmail.con", Some("jane@gmail.com")),
            ("jane@hotmzil.fr", None),
            ("jane@gmail", None),
            ("jane@example.com", None),
            ("nobody", None),
        ] {
            assert_eq!(analyzer.look(typed).repaired.as_deref(), applied, "{typed}");
        }
        let seen = analyzer.look("jane.doe@gmial.com");
        assert_eq!(
            (seen.form.address().map(ToString::to_string).as_deref(), seen.slip),
            (Some("jane.doe@gmail.com"), None)
        );
    }

    #[test]
    fn nothing_is_applied_unasked_and_a_domain_shows_the_same_twice() {
        let mut analyzer = Analyzer::new(AddressLists::built_in());
        let first = analyzer.look("Jane@GMIAL.com");
        assert_eq!(first.repaired, None);
        assert_eq!(first.slip.as_ref().map(|slip| slip.meant.as_str()), Some("Jane@gmail.com"));
        assert_eq!(analyzer.look("Jane@gmial.com"), first);
    }

    #[test]
    fn a_glance_tells_what_a_look_tells_or_nothing() {
        let mut analyzer = Analyzer::new(AddressLists::built_in());
        for domain in ["bakery.example.com", "gmail.com", "mailinator.com", "gmial.com", "home.arpa"] {
            for local in [
                "jane.doe",
                "info",
                "a+b",
                "-a",
                "a..b",
                "a.",
                "1",
                "j@ne",
                "",
                "jané",
                "x".repeat(65).as_str(),
            ] {
                let cell = format!("{local}@{domain}");
                let analyze_fast = analyzer
                    .analyze_fast(&cell)
                    .map(|plain| (plain.local.to_owned(), plain.domain.to_owned(), plain.kinds));
                let seen = analyzer.look(&cell);
                let Some((local, domain, kinds)) = analyze_fast else { continue };
                let AddressStatus::Valid(address) = &seen.form else { panic!("{cell}") };
                assert_eq!(address.local(), local);
                assert_eq!(address.domain().map(Domain::as_str), Some(domain.as_str()));
                assert_eq!((seen.kinds, seen.repaired, seen.slip), (kinds, None, None));
            }
        }
        assert_eq!(analyzer.analyze_fast("jane@never.example.com"), None);
        assert_eq!(analyzer.analyze_fast("jane@gmial.com"), None);
        assert_eq!(analyzer.analyze_fast("jane@Bakery.example.com"), None);
        let seen = analyzer.analyze_fast("jane@bakery.example.com").map(|plain| plain.domain);
        assert_eq!(seen, Some("bakery.example.com"));
    }
}
