//! What a cell shows before anything is asked: is it an address, of what kind, and does it look mistyped?

use super::memory::{Known, Memory};
use crate::address::repair::Repair;
use crate::address::special_use::special_use;
use crate::address::typo::{self, Certainty};
use crate::address::{Address, Domain, Kinds, SyntaxFault, repair, syntax};
use crate::policy::lists::Lists;
use crate::verdict::evidence::Form;

/// What a cell shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Is it an address?
    pub form: Form,
    /// Of what kind?
    pub kinds: Kinds,
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
pub struct Look {
    /// What is known of names and domains.
    pub lists: &'static Lists,
    /// Put an address right that can't work as it is typed, where it shows what was meant.
    pub apply_suggestions: bool,
}

/// By these lists, and nothing is put right.
impl From<&'static Lists> for Look {
    fn from(lists: &'static Lists) -> Look {
        Look { lists, apply_suggestions: false }
    }
}

/// Looks at cells. What shows in a domain alone is remembered, since a list has many addresses of few domains.
pub struct Intake {
    how: Look,
    domains: Memory,
}

/// An address as it is asked, at a domain that was seen before: nothing but its kind shows in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain<'a> {
    /// The part left of the @.
    pub local: &'a str,
    /// The part right of it, as [`Domain::as_str`] has it.
    pub domain: &'a str,
    /// Of what kind?
    pub kinds: Kinds,
}

impl Intake {
    /// Looks this way.
    pub fn new(how: impl Into<Look>) -> Intake {
        Intake { how: how.into(), domains: Memory::default() }
    }

    /// Looks at a cell in passing. Most cells of a list show nothing else than their neighbours, so that is told here, in a
    /// small part of the time that [`Intake::look`] takes; it alone tells about all others.
    pub fn glance<'a>(&self, cell: &'a str) -> Option<Plain<'a>> {
        let (local, domain) = syntax::plain_parts(cell)?;
        // Only domains in their canonical form are there.
        let known = self.domains.get(domain)?;
        let is_plain = known.suggestion.is_none()
            && !known.is_set_aside
            && known.name_rule.is_none_or(|rule| !rule.forbids(local));
        is_plain.then(|| Plain { local, domain, kinds: self.how.lists.kinds.with_domain(local, known.kinds) })
    }

    /// Looks at a cell.
    pub fn look(&mut self, cell: &str) -> Seen {
        let seen = self.look_as_typed(cell);
        let Some(slip) =
            seen.slip.as_ref().filter(|slip| self.how.apply_suggestions && can_not_work(&seen.form, slip))
        else {
            return seen;
        };
        let meant = slip.meant.clone();
        Seen { repaired: Some(meant.clone()), ..self.look_as_typed(&meant) }
    }

    fn look_as_typed(&mut self, cell: &str) -> Seen {
        let lists = self.how.lists;
        let (read, repairs) = match Address::parse(cell) {
            Ok(address) => (Ok(address), None),
            Err(_) => repair::read(cell),
        };
        let (repaired, repairs) = repairs.map(|done| (done.text, done.repairs)).unzip();
        let repairs = repairs.unwrap_or_default();
        let address = match read {
            Ok(address) => address,
            Err(fault) => return self.broken(repaired.as_deref().unwrap_or(cell), &fault),
        };
        let Some(domain) = address.domain() else {
            let kinds = lists.kinds.of(&address);
            return Seen { form: Form::Literal(address), kinds, repaired, repairs, slip: None };
        };
        let known = self.domains.of(domain.as_str(), || Known::of(domain, lists));
        Seen { repairs, ..known.look(address, repaired, lists) }
    }

    fn broken(&self, text: &str, fault: &SyntaxFault) -> Seen {
        let form = if text.trim().is_empty() { Form::Empty } else { Form::Broken(fault.kind.word()) };
        let meant = typo::suggest_for_fault(text, fault, &self.how.lists.targets);
        let slip = meant.map(|meant| Suspicion { meant: meant.to_string(), certainty: Certainty::Likely });
        Seen { form, kinds: Kinds::default(), repaired: None, repairs: Vec::new(), slip }
    }
}

impl Known {
    fn of(domain: &Domain, lists: &'static Lists) -> Known {
        Known {
            kinds: lists.kinds.of_domain(domain),
            suggestion: typo::suggest(domain, &lists.targets),
            is_set_aside: is_set_aside(domain),
            name_rule: lists.name_rules.get(domain),
        }
    }

    /// Looks at an address of this domain.
    fn look(&self, address: Address, repaired: Option<String>, lists: &Lists) -> Seen {
        let kinds = lists.kinds.with_domain(address.local(), self.kinds);
        let slip = self.suggestion.as_ref().and_then(|suggestion| {
            let meant = address.at_domain(suggestion.domain.clone()).ok()?;
            Some(Suspicion { meant: meant.to_string(), certainty: suggestion.certainty })
        });
        let form = match self.name_rule.filter(|rule| rule.forbids(address.local())) {
            Some(rule) => Form::NotAllowed(rule.id.clone()),
            None if self.is_set_aside => Form::SpecialUse(address),
            None => Form::Fine(address),
        };
        Seen { form, kinds, repaired, repairs: Vec::new(), slip }
    }
}

/// What was typed is no address, is a known trap, or ends in a top level that does not exist. Anything else may be
/// somebody's domain, however much it looks like a slip.
fn can_not_work(form: &Form, slip: &Suspicion) -> bool {
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
        let mut intake = Intake::new(Look { lists: Lists::built_in(), apply_suggestions: true });
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
            assert_eq!(intake.look(typed).repaired.as_deref(), applied, "{typed}");
        }
        let seen = intake.look("jane.doe@gmial.com");
        assert_eq!(
            (seen.form.address().map(ToString::to_string).as_deref(), seen.slip),
            (Some("jane.doe@gmail.com"), None)
        );
    }

    #[test]
    fn nothing_is_applied_unasked_and_a_domain_shows_the_same_twice() {
        let mut intake = Intake::new(Lists::built_in());
        let first = intake.look("Jane@GMIAL.com");
        assert_eq!(first.repaired, None);
        assert_eq!(first.slip.as_ref().map(|slip| slip.meant.as_str()), Some("Jane@gmail.com"));
        assert_eq!(intake.look("Jane@gmial.com"), first);
    }

    #[test]
    fn a_glance_tells_what_a_look_tells_or_nothing() {
        let mut intake = Intake::new(Lists::built_in());
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
                let glance = intake
                    .glance(&cell)
                    .map(|plain| (plain.local.to_owned(), plain.domain.to_owned(), plain.kinds));
                let seen = intake.look(&cell);
                let Some((local, domain, kinds)) = glance else { continue };
                let Form::Fine(address) = &seen.form else { panic!("{cell}") };
                assert_eq!(address.local(), local);
                assert_eq!(address.domain().map(Domain::as_str), Some(domain.as_str()));
                assert_eq!((seen.kinds, seen.repaired, seen.slip), (kinds, None, None));
            }
        }
        assert_eq!(intake.glance("jane@never.example.com"), None);
        assert_eq!(intake.glance("jane@gmial.com"), None);
        assert_eq!(intake.glance("jane@Bakery.example.com"), None);
        let seen = intake.glance("jane@bakery.example.com").map(|plain| plain.domain);
        assert_eq!(seen, Some("bakery.example.com"));
    }
}
