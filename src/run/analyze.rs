//! What a cell shows before anything is probed: whether it holds an address, of which kind, and whether it looks like a
//! typo.
//!
//! Decides: which addresses are corrected with `--apply-suggestions`. Must not: look anything up.

use std::sync::Arc;

use super::domain_cache::{DomainCache, DomainTraits};
use super::exclusions::Exclusions;
use crate::address::{
    self, Address, AddressKinds, Certainty, Domain, FaultKind, Repair, SyntaxFault, special_use,
};
use crate::evidence::AddressStatus;
use crate::policy::AddressLists;

/// What a cell shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellAnalysis {
    /// The address, or why there is none.
    pub form: AddressStatus,
    /// The kinds of the address.
    pub kinds: AddressKinds,
    /// The address after repairs or a correction; `None` if the cell was neither repaired nor corrected.
    pub repaired: Option<String>,
    /// The repairs.
    pub repairs: Vec<Repair>,
    /// The address that was probably meant.
    pub typo: Option<Suspicion>,
}

impl CellAnalysis {
    /// A cell without an address.
    pub(super) fn empty() -> CellAnalysis {
        CellAnalysis {
            form: AddressStatus::Empty,
            kinds: AddressKinds::default(),
            repaired: None,
            repairs: Vec::new(),
            typo: None,
        }
    }
}

/// A suspected typo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// The whole address that was probably meant.
    pub meant: String,
    /// How certain it is by the letters alone.
    pub certainty: Certainty,
}

/// How cells are analyzed.
#[derive(Clone, Debug)]
pub struct AnalyzeOptions {
    /// Lists of names and domains.
    pub lists: &'static AddressLists,
    /// Correct an address that can't work as it is typed, if it shows what was meant.
    pub apply_suggestions: bool,
    /// Addresses that differ in ASCII case are different ones.
    pub case_sensitive: bool,
    /// Addresses that the user excludes; `None` if there are none.
    pub exclusions: Option<Arc<Exclusions>>,
}

/// With these lists, and without corrections.
impl From<&'static AddressLists> for AnalyzeOptions {
    fn from(lists: &'static AddressLists) -> AnalyzeOptions {
        AnalyzeOptions { lists, apply_suggestions: false, case_sensitive: false, exclusions: None }
    }
}

/// Analyzes cells, and caches what their domains show.
pub struct Analyzer {
    how: AnalyzeOptions,
    domains: DomainCache,
}

/// A valid address without repair or suspected typo, at a domain that is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainAddress<'a> {
    /// The local part.
    pub local: &'a str,
    /// The domain, as [`Domain::as_str`] has it.
    pub domain: &'a str,
    /// The kinds of the address.
    pub kinds: AddressKinds,
}

impl Analyzer {
    /// An analyzer with these options.
    pub fn new(how: impl Into<AnalyzeOptions>) -> Analyzer {
        Analyzer { how: how.into(), domains: DomainCache::default() }
    }

    /// The lists of names and domains.
    pub(super) fn lists(&self) -> &'static AddressLists {
        self.how.lists
    }

    /// Analyzes a cell in a small part of the time that [`Analyzer::analyze`] takes; `None` if the cell needs that.
    /// Most cells of a list hold a plain address at a domain that came before.
    pub fn analyze_fast<'a>(&self, cell: &'a str) -> Option<PlainAddress<'a>> {
        let (local, domain) = address::split_plain(cell)?;
        // Only domains in canonical form are cached.
        let known = self.domains.get(domain)?;
        let is_plain = known.suggestion.is_none()
            && !known.is_set_aside
            && !self.how.lists.placeholders.is_local(local, known.is_placeholder)
            && self.how.exclusions.as_ref().is_none_or(|excluded| !excluded.has_parts(local, domain))
            && known.name_rule.is_none_or(|rule| !rule.forbids(local));
        is_plain.then(|| PlainAddress {
            local,
            domain,
            kinds: self.how.lists.kinds.of_local(local, known.kinds),
        })
    }

    /// Analyzes a cell.
    pub fn analyze(&mut self, cell: &str) -> CellAnalysis {
        let seen = self.analyze_as_typed(cell);
        let Some(typo) =
            seen.typo.as_ref().filter(|typo| self.how.apply_suggestions && can_not_work(&seen.form, typo))
        else {
            return seen;
        };
        let meant = typo.meant.clone();
        CellAnalysis { repaired: Some(meant.clone()), ..self.analyze_as_typed(&meant) }
    }

    fn analyze_as_typed(&mut self, cell: &str) -> CellAnalysis {
        let lists = self.how.lists;
        let (read, repairs) = match Address::parse(cell) {
            Ok(address) => (Ok(address), None),
            Err(fault) => match self.with_dots_in_quotes(cell, &fault) {
                Some(address) => (Ok(address), None),
                None => address::repair(cell),
            },
        };
        let (repaired, repairs) = repairs.map(|done| (done.text, done.repairs)).unzip();
        let repairs = repairs.unwrap_or_default();
        let address = match read {
            Ok(address) => address,
            Err(fault) => return self.invalid(repaired.as_deref().unwrap_or(cell), &fault),
        };
        let is_excluded = self.how.exclusions.as_ref().is_some_and(|excluded| excluded.has(&address));
        let Some(domain) = address.domain().filter(|_| !is_excluded) else {
            let kinds = lists.kinds.of_address(&address);
            let form =
                if is_excluded { AddressStatus::Excluded(address) } else { AddressStatus::Literal(address) };
            return CellAnalysis { form, kinds, repaired, repairs, typo: None };
        };
        let known = self.domains.of(domain.as_str(), || DomainTraits::of(domain, lists));
        let seen = known.analyze(address, repaired, lists);
        if seen.form == AddressStatus::Empty { seen } else { CellAnalysis { repairs, ..seen } }
    }

    /// The address in quotes, at a domain that has local parts with dots where RFC 5321 allows them in quotes alone.
    fn with_dots_in_quotes(&self, cell: &str, fault: &SyntaxFault) -> Option<Address> {
        if !matches!(fault.kind, FaultKind::DoubleDot | FaultKind::TrailingDot | FaultKind::LeadingDot) {
            return None;
        }
        let (local, domain) = cell.trim().rsplit_once('@')?;
        let domain = Domain::parse(domain)
            .ok()
            .filter(|domain| self.how.lists.quoted_dots.contains(domain.as_str()))?;
        let is_usual = |b: u8| b.is_ascii_alphanumeric() || b"._-+/?".contains(&b);
        local.bytes().all(is_usual).then(|| Address::parse(&format!("\"{local}\"@{domain}")).ok())?
    }

    fn invalid(&self, text: &str, fault: &SyntaxFault) -> CellAnalysis {
        let has_at = text.contains('@');
        if !has_at && self.how.lists.placeholders.is_cell(text) {
            return CellAnalysis::empty();
        }
        let form = AddressStatus::Invalid(fault.kind.word());
        let suspicion = |certainty| move |meant: Address| Suspicion { meant: meant.to_string(), certainty };
        let typo = address::suggest_address(text, fault, &self.how.lists.targets)
            .or_else(|| address::suggest_undamaged(text))
            .map(suspicion(Certainty::Likely))
            // An address among words that may belong to it.
            .or_else(|| address::find_only(text).map(suspicion(Certainty::Hint)));
        CellAnalysis { form, kinds: AddressKinds::default(), repaired: None, repairs: Vec::new(), typo }
    }
}

impl DomainTraits {
    fn of(domain: &Domain, lists: &'static AddressLists) -> DomainTraits {
        DomainTraits {
            kinds: lists.kinds.of_domain(domain),
            suggestion: address::suggest_domain(domain, &lists.targets),
            is_set_aside: is_set_aside(domain),
            name_rule: lists.name_rules.get(domain),
            is_placeholder: lists.placeholders.is_domain(domain.as_str()),
        }
    }

    /// Analyzes an address of this domain.
    fn analyze(&self, address: Address, repaired: Option<String>, lists: &AddressLists) -> CellAnalysis {
        if lists.placeholders.is_local(address.local(), self.is_placeholder) {
            return CellAnalysis::empty();
        }
        let kinds = lists.kinds.of_local(address.local(), self.kinds);
        let typo = self.suggestion.as_ref().and_then(|suggestion| {
            let meant = address.at_domain(suggestion.domain.clone()).ok()?;
            Some(Suspicion { meant: meant.to_string(), certainty: suggestion.certainty })
        });
        let form = match self.name_rule.filter(|rule| rule.forbids(address.local())) {
            Some(rule) => AddressStatus::ProviderSyntax(address, rule.id.clone()),
            None if self.is_set_aside => AddressStatus::SpecialUse(address),
            None => AddressStatus::Valid(address),
        };
        CellAnalysis { form, kinds, repaired, repairs: Vec::new(), typo }
    }
}

/// True if the cell holds no address and shows clearly which one was meant, a known typo trap, or a top-level domain that does not exist. Any other domain
/// may be real, however much it looks like a typo.
fn can_not_work(form: &AddressStatus, typo: &Suspicion) -> bool {
    match form.address().and_then(Address::domain) {
        None => typo.certainty != Certainty::Hint,
        Some(_) if typo.certainty == Certainty::Trap => true,
        Some(domain) => typo.certainty == Certainty::Likely && !domain.has_known_top_level(),
    }
}

/// True for special-use domains, which can't receive mail. Not for `test` and `example`: software should treat them as
/// any other domain (RFC 6761 6.2 and 6.5), so they are looked up; the DNS of the Internet does not have them, that of
/// a lab may.
fn is_set_aside(domain: &Domain) -> bool {
    special_use(domain).is_some_and(|special| !matches!(special.name, "test" | "example"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_is_applied_only_where_what_was_typed_can_not_work() {
        let mut analyzer =
            Analyzer::new(AnalyzeOptions { apply_suggestions: true, ..AddressLists::built_in().into() });
        for (typed, applied) in [
            ("jane@gmial.com", Some("jane@gmail.com")),
            ("jane@bakery.con", Some("jane@bakery.com")),
            ("jane@gmail,com", Some("jane@gmail.com")),
            (" jane@gmail.con", Some("jane@gmail.com")),
            ("jane@hotmzil.fr", None),
            ("jane@gmail", None),
            ("jane@example.com", None),
            ("jane", None),
        ] {
            assert_eq!(analyzer.analyze(typed).repaired.as_deref(), applied, "{typed}");
        }
        let seen = analyzer.analyze("jane.doe@gmial.com");
        assert_eq!(
            (seen.form.address().map(ToString::to_string).as_deref(), seen.typo),
            (Some("jane.doe@gmail.com"), None)
        );
    }

    #[test]
    fn nothing_is_corrected_unless_wanted_and_a_cached_domain_shows_the_same() {
        let mut analyzer = Analyzer::new(AddressLists::built_in());
        let first = analyzer.analyze("Jane@GMIAL.com");
        assert_eq!(first.repaired, None);
        assert_eq!(first.typo.as_ref().map(|typo| typo.meant.as_str()), Some("Jane@gmail.com"));
        assert_eq!(analyzer.analyze("Jane@gmial.com"), first);
    }

    #[test]
    fn the_fast_analysis_has_the_same_result_or_none() {
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
                let fast = analyzer
                    .analyze_fast(&cell)
                    .map(|plain| (plain.local.to_owned(), plain.domain.to_owned(), plain.kinds));
                let seen = analyzer.analyze(&cell);
                let Some((local, domain, kinds)) = fast else { continue };
                let AddressStatus::Valid(address) = &seen.form else { panic!("{cell}") };
                assert_eq!(address.local(), local);
                assert_eq!(address.domain().map(Domain::as_str), Some(domain.as_str()));
                assert_eq!((seen.kinds, seen.repaired, seen.typo), (kinds, None, None));
            }
        }
        assert_eq!(analyzer.analyze_fast("jane@never.example.com"), None);
        assert_eq!(analyzer.analyze_fast("jane@gmial.com"), None);
        assert_eq!(analyzer.analyze_fast("jane@Bakery.example.com"), None);
        let seen = analyzer.analyze_fast("jane@bakery.example.com").map(|plain| plain.domain);
        assert_eq!(seen, Some("bakery.example.com"));
    }
}
