//! What a cell shows before anything is asked: is it an address, of what kind, and does it look mistyped?

use crate::address::typo::{self, Certainty};
use crate::address::{Address, Host, domain, kind, provider_syntax, repair};
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
    let address = match repair::read(cell) {
        (Ok(address), _) => address,
        (Err(_), _) if cell.trim().is_empty() => return Seen { form: Form::Empty, kinds: Kinds::default(), slip: None },
        (Err(fault), repaired) => {
            let text = repaired.as_ref().map_or(cell, |repaired| &repaired.text);
            let meant = typo::suggest_for_fault(text, &fault, lists.targets());
            let slip = meant.map(|meant| Suspicion { meant: meant.to_string(), certainty: Certainty::Likely });
            return Seen { form: Form::Broken(fault.kind.word()), kinds: Kinds::default(), slip };
        }
    };
    let kinds = kind::of(&address, lists);
    let slip = address.domain().and_then(|domain| typo::suggest(domain, lists.targets())).and_then(|suggestion| {
        let meant = address.at_domain(suggestion.domain).ok()?;
        Some(Suspicion { meant: meant.to_string(), certainty: suggestion.certainty })
    });
    Seen { form: form(address, lists), kinds, slip }
}

fn form(address: Address, lists: &Lists) -> Form {
    if let Some(rule) = provider_syntax::check(&address, lists) {
        return Form::NotAllowed(rule.to_owned());
    }
    match address.host() {
        Host::Literal(_) => Form::Literal(address),
        Host::Domain(domain) if domain::special_use(domain).is_some() => Form::SpecialUse(address),
        Host::Domain(_) => Form::Fine(address),
    }
}
