//! What a cell shows before anything is asked: is it an address, of what kind, and does it look mistyped?

use crate::address::typo::{self, Certainty};
use crate::address::{Address, Domain, Host, domain, kind, provider_syntax, repair};
use crate::policy::lists::Lists;
use crate::verdict::Kinds;
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

/// Looks at a cell.
pub fn look(cell: &str, lists: &Lists) -> Seen {
    let (read, repairs) = repair::read(cell);
    let repaired = repairs.map(|repairs| repairs.text);
    let address = match read {
        Ok(address) => address,
        Err(fault) => {
            let text = repaired.as_deref().unwrap_or(cell);
            let form = if text.trim().is_empty() {
                Form::Empty
            } else {
                Form::Broken(fault.kind.word())
            };
            let meant = typo::suggest_for_fault(text, &fault, lists.targets());
            let slip = meant.map(|meant| Suspicion {
                meant: meant.to_string(),
                certainty: Certainty::Likely,
            });
            return Seen {
                form,
                kinds: Kinds::default(),
                repaired: None,
                slip,
            };
        }
    };
    let kinds = kind::of(&address, lists);
    let slip = address
        .domain()
        .and_then(|domain| typo::suggest(domain, lists.targets()))
        .and_then(|suggestion| {
            let meant = address.at_domain(suggestion.domain).ok()?;
            Some(Suspicion {
                meant: meant.to_string(),
                certainty: suggestion.certainty,
            })
        });
    Seen {
        form: form(address, lists),
        kinds,
        repaired,
        slip,
    }
}

fn form(address: Address, lists: &Lists) -> Form {
    if let Some(rule) = provider_syntax::check(&address, lists) {
        return Form::NotAllowed(rule.to_owned());
    }
    match address.host() {
        Host::Literal(_) => Form::Literal(address),
        Host::Domain(domain) if is_set_aside(domain) => Form::SpecialUse(address),
        Host::Domain(_) => Form::Fine(address),
    }
}

/// Names that can't receive mail. Not `test` and `example`: software should treat them as any other (RFC 6761 6.2 and
/// 6.5), so the DNS is asked, which knows nothing of them on the Internet, and does in a lab.
fn is_set_aside(domain: &Domain) -> bool {
    domain::special_use(domain).is_some_and(|special| !matches!(special.name, "test" | "example"))
}
