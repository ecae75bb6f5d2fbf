//! What a cell shows before anything is asked: is it an address, of what kind, and does it look mistyped?

use std::collections::HashMap;

use crate::address::kind::DomainKinds;
use crate::address::provider_syntax::NameRule;
use crate::address::typo::{self, Certainty, Suggestion};
use crate::address::{Address, Domain, DomainFault, Kinds, SyntaxFault, domain, repair};
use crate::policy::lists::Lists;
use crate::verdict::evidence::Form;

/// What a cell shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Is it an address?
    pub form: Form,
    /// Of what kind?
    pub kinds: Kinds,
    /// The address as it was cleaned, where the cell was not clean.
    pub repaired: Option<String>,
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

/// Looks at cells. What the lists say about a domain is remembered, since a list has many addresses of few domains.
pub struct Intake {
    lists: &'static Lists,
    domains: HashMap<Domain, Known>,
}

/// So many domains are remembered; then it begins anew. Far more than this costs more in memory than it saves.
const REMEMBERED_DOMAINS: usize = 1 << 16;

/// What shows in a domain alone.
struct Known {
    kinds: DomainKinds,
    suggestion: Option<Suggestion>,
    is_set_aside: bool,
    name_rule: Option<&'static NameRule>,
}

impl Intake {
    /// Looks by these lists.
    pub fn new(lists: &'static Lists) -> Intake {
        Intake {
            lists,
            domains: HashMap::new(),
        }
    }

    /// Looks at a cell.
    pub fn look(&mut self, cell: &str) -> Seen {
        // Most cells are clean, and most domains were seen before.
        let clean = Address::parse_with(cell, |domain| self.domain(domain));
        let (read, repairs) = clean.map_or_else(|_| repair::read(cell), |address| (Ok(address), None));
        let repaired = repairs.map(|repairs| repairs.text);
        let address = match read {
            Ok(address) => address,
            Err(fault) => return self.broken(repaired.as_deref().unwrap_or(cell), &fault),
        };
        let kinds = &self.lists.kinds;
        let Some(domain) = address.domain() else {
            let kinds = kinds.of(&address);
            return Seen {
                form: Form::Literal(address),
                kinds,
                repaired,
                slip: None,
            };
        };
        let known = self.known(domain);
        let kinds = kinds.with_domain(address.local(), known.kinds);
        let slip = known.suggestion.as_ref().and_then(|suggestion| {
            let meant = address.at_domain(suggestion.domain.clone()).ok()?;
            Some(Suspicion {
                meant: meant.to_string(),
                certainty: suggestion.certainty,
            })
        });
        let form = match known.name_rule.filter(|rule| rule.forbids(address.local())) {
            Some(rule) => Form::NotAllowed(rule.id.clone()),
            None if known.is_set_aside => Form::SpecialUse(address),
            None => Form::Fine(address),
        };
        Seen {
            form,
            kinds,
            repaired,
            slip,
        }
    }

    fn broken(&self, text: &str, fault: &SyntaxFault) -> Seen {
        let form = if text.trim().is_empty() {
            Form::Empty
        } else {
            Form::Broken(fault.kind.word())
        };
        let meant = typo::suggest_for_fault(text, fault, &self.lists.targets);
        let slip = meant.map(|meant| Suspicion {
            meant: meant.to_string(),
            certainty: Certainty::Likely,
        });
        Seen {
            form,
            kinds: Kinds::default(),
            repaired: None,
            slip,
        }
    }

    fn domain(&self, text: &str) -> Result<Domain, DomainFault> {
        self.domains
            .get_key_value(text)
            .map_or_else(|| Domain::parse(text), |(domain, _)| Ok(domain.clone()))
    }

    fn known(&mut self, domain: &Domain) -> &Known {
        if self.domains.len() == REMEMBERED_DOMAINS && !self.domains.contains_key(domain) {
            self.domains.clear();
        }
        let lists = self.lists;
        self.domains.entry(domain.clone()).or_insert_with(|| Known {
            kinds: lists.kinds.of_domain(domain),
            suggestion: typo::suggest(domain, &lists.targets),
            is_set_aside: is_set_aside(domain),
            name_rule: lists.name_rules.get(domain),
        })
    }
}

/// Names that can't receive mail. Not `test` and `example`: software should treat them as any other (RFC 6761 6.2 and
/// 6.5), so the DNS is asked, which knows nothing of them on the Internet, and does in a lab.
fn is_set_aside(domain: &Domain) -> bool {
    domain::special_use(domain).is_some_and(|special| !matches!(special.name, "test" | "example"))
}
