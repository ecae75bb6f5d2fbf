//! What our columns are called, and their words, for people who come from another service (`--dialect`).
//!
//! Decides: nothing; `dialects.toml` does, and a test holds it to our vocabulary. Must not: change a verdict, or which
//! file a row goes to.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use crate::list::output::columns::{self, Column, Content, Heading};
use crate::reason::Reason;

/// A service's names for what we tell.
#[derive(Debug)]
pub struct Dialect {
    name: String,
    headings: Vec<Heading>,
}

/// What a service calls a reason; where it has no word of its own, its verdict.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct DialectWords(BTreeMap<String, String>);

impl DialectWords {
    pub(super) fn of(&self, reason: Reason) -> &str {
        let word = self.0.get(reason.word()).or_else(|| self.0.get(reason.verdict().word()));
        word.map_or("", String::as_str)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    dialect: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    columns: Vec<String>,
    words: BTreeMap<String, DialectWords>,
}

impl Entry {
    fn dialect(mut self) -> Option<Dialect> {
        let mut heading = |column: &String| {
            let (theirs, ours) = column.split_once('=')?;
            let content = if ours.is_empty() {
                Content::Words(Arc::new(self.words.remove(theirs)?))
            } else {
                Content::Column(Column::ALL.iter().copied().find(|column| column.name() == ours)?)
            };
            Some(Heading { name: theirs.to_owned().into(), content })
        };
        let headings = self.columns.iter().map(&mut heading).collect::<Option<Vec<Heading>>>()?;
        Some(Dialect { name: self.name, headings })
    }
}

/// Read once: the data live as long as the program.
#[expect(clippy::expect_used, reason = "the data are part of the program, and a test reads them")]
static DIALECTS: LazyLock<Vec<Dialect>> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("dialects.toml")).expect("dialects.toml");
    file.dialect.into_iter().map(|entry| entry.dialect().expect("a column of ours or its words")).collect()
});

impl Dialect {
    /// All there are, by name.
    pub fn all() -> &'static [Dialect] {
        &DIALECTS
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<&'static Dialect> {
        DIALECTS.iter().find(|dialect| dialect.name == name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn headings(&self) -> &[Heading] {
        &self.headings
    }

    /// True when some of these columns, side by side, are a dialect's, with or without something in front of each.
    pub(super) fn is_spoken(columns: &[String]) -> bool {
        Dialect::all().iter().any(|dialect| {
            columns.windows(dialect.headings.len()).any(|columns| {
                let mut pairs = columns.iter().zip(&dialect.headings);
                let prefix = columns[0].strip_suffix(&*dialect.headings[0].name);
                prefix.is_some_and(|prefix| {
                    pairs.all(|(column, heading)| column.strip_prefix(prefix) == Some(&*heading.name))
                })
            })
        })
    }
}

/// True for columns of which some are what we tell, in our words or another service's: a list with such a header is one
/// of our results.
pub(super) fn is_told(columns: &[String]) -> bool {
    crate::list::output::columns::earlier(columns).is_some() || Dialect::is_spoken(columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::{Cause, Finding, Verdict};

    #[test]
    fn every_dialect_has_a_word_for_every_verdict_and_none_for_what_we_never_say() {
        let reasons =
            Cause::ALL.iter().map(|cause| cause.word()).chain(Finding::ALL.iter().map(|f| f.word()));
        let reasons: Vec<&str> = reasons.collect();
        let verdicts = [Verdict::Deliverable, Verdict::Risky, Verdict::Undeliverable, Verdict::Unknown];
        for dialect in Dialect::all() {
            for heading in dialect.headings() {
                let Content::Words(words) = &heading.content else { continue };
                for verdict in verdicts {
                    assert!(words.0.contains_key(verdict.word()), "{} {}", dialect.name, heading.name);
                }
                for word in words.0.keys() {
                    let known = reasons.contains(&word.as_str()) || verdicts.iter().any(|v| v.word() == word);
                    assert!(known, "{}: no reason is called `{word}`", dialect.name);
                }
            }
        }
        assert!(Dialect::all().is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn a_reasons_own_word_goes_before_its_verdicts() {
        let headings = Dialect::named("zerobounce").unwrap().headings();
        let words = |reason: Reason| {
            let words = headings.iter().filter_map(|heading| match &heading.content {
                Content::Words(words) => Some(words.of(reason)),
                Content::Column(_) => None,
            });
            words.collect::<Vec<&str>>()
        };
        assert_eq!(words(Cause::Accepted.into()), ["valid", ""]);
        assert_eq!(words(Finding::Disposable.into()), ["do_not_mail", "disposable"]);
        assert_eq!(words(Cause::MailboxUnknown.into()), ["invalid", "mailbox_not_found"]);
        assert_eq!(words(Finding::NotProbed.into()), ["unknown", ""]);
    }
}
