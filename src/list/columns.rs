//! The columns that a run adds to a list: their names and order, in our words or in those of another service.
//!
//! Decides: names, order and sets, as the guide lists them; a name never changes its meaning. Also whether a list already
//! has such columns, so that results can be read as a list again. Must not: say which value a row gets
//! (`output/cells.rs`), change a verdict, or choose the file of a row.
//!
//! The words of other services (`--dialect`) are data: `dialects.toml`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use super::format::cells;
use crate::reason::{Reason, Verdict};

macro_rules! columns {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)+) => {
        /// An added column, in the order in which the columns are written.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Column { $($(#[$doc])* $variant,)+ }

        impl Column {
            /// All columns, in order.
            pub const ALL: &'static [Column] = &[$(Column::$variant,)+];

            /// The columns that `--columns full` writes: all but the last two.
            pub const FULL: &'static [Column] = Column::ALL.split_at(Column::Repairs as usize).0;

            /// The name, without prefix.
            pub fn name(self) -> &'static str { match self { $(Column::$variant => $name,)+ } }
        }
    };
}

columns! {
    /// The verdict: `deliverable`, `risky`, `undeliverable` or `unknown`.
    Verdict = "verdict";
    /// The reason of the verdict.
    Reason = "reason";
    /// Who can change the result, as [`Fault`](crate::reason::Fault) has it.
    Fault = "fault";
    /// What to do with the row.
    Action = "action";
    /// The address that was probably meant.
    DidYouMean = "did_you_mean";
    /// The address as it is probed: repaired, its domain in A-labels.
    EmailNormalized = "email_normalized";
    /// The domain of the address.
    Domain = "domain";
    /// The id of the provider.
    Provider = "provider";
    /// The MX host whose reply decided.
    MxHost = "mx_host";
    /// Does the domain accept any recipient?
    IsCatchAll = "is_catch_all";
    /// Is it a role account, as `info@`?
    IsRole = "is_role";
    /// Is the domain one for disposable addresses?
    IsDisposable = "is_disposable";
    /// Is the domain one of a free provider?
    IsFree = "is_free";
    /// Does the local part have a tag, as in `ann+tag@`?
    IsTagged = "is_tagged";
    /// The reply code (RFC 5321 4.2).
    SmtpCode = "smtp_code";
    /// The enhanced status code (RFC 3463).
    EnhancedCode = "enhanced_code";
    /// The text of the reply.
    SmtpText = "smtp_text";
    /// The id of the rule that decided.
    Rule = "rule";
    /// How well the evidence supports the verdict.
    Confidence = "confidence";
    /// How many replies to probes of this recipient were received.
    Attempts = "attempts";
    /// When the evidence was gathered.
    CheckedAt = "checked_at";
    /// When the evidence is too old to be used again.
    ExpiresAt = "expires_at";
    /// When another probe makes sense.
    RetryAfter = "retry_after";
    /// The number of the first row with the same address.
    DuplicateOf = "duplicate_of";
    /// Is it an address of a relay, which forwards to a mailbox that it hides?
    IsRelay = "is_relay";
    /// Which repairs the address needed; written by `check` only.
    Repairs = "repairs";
    /// The text of the cell, where another address was judged; written with `--apply-suggestions` only.
    EmailOriginal = "email_original";
}

/// Which of the columns are added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColumnSet {
    /// The judgment and the address: `verdict` to `email_normalized`, and `checked_at`.
    Minimal,
    /// Also the kinds of address and the reply: `verdict` to `smtp_text`, and `checked_at`.
    #[default]
    Standard,
    /// All columns.
    Full,
}

impl ColumnSet {
    /// All sets, from the smallest on.
    pub const ALL: [ColumnSet; 3] = [ColumnSet::Minimal, ColumnSet::Standard, ColumnSet::Full];

    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            ColumnSet::Minimal => "minimal",
            ColumnSet::Standard => "standard",
            ColumnSet::Full => "full",
        }
    }

    /// The columns, in order.
    pub fn columns(self) -> Vec<Column> {
        let up_to = match self {
            ColumnSet::Minimal => Column::EmailNormalized,
            ColumnSet::Standard => Column::SmtpText,
            ColumnSet::Full => return Column::FULL.to_vec(),
        };
        let first = Column::ALL.iter().copied().take_while(|&column| column as u8 <= up_to as u8);
        first.chain([Column::CheckedAt]).collect()
    }
}

/// A column as it is written: its name and its values.
#[derive(Clone, Debug)]
pub(super) struct Heading {
    pub(super) name: Cow<'static, str>,
    pub(super) content: Content,
}

/// What a column has in its cells.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// A value of our own.
    Column(Column),
    /// Another service's word for the reason.
    Words(Arc<DialectWords>),
    /// Its words for the reason and for the kinds of the address, with blanks between.
    Flags(Arc<DialectWords>, Arc<[(Column, String)]>),
}

impl From<Column> for Heading {
    fn from(column: Column) -> Heading {
        Heading { name: column.name().into(), content: Content::Column(column) }
    }
}

impl Heading {
    pub(super) fn is(&self, column: Column) -> bool {
        matches!(self.content, Content::Column(content) if content == column)
    }
}

/// Where in a header the columns are that an earlier run added: side by side, with one prefix, and at least those of
/// [`ColumnSet::Minimal`].
pub(super) fn find_earlier(names: &[String]) -> Option<Range<usize>> {
    let minimal = ColumnSet::Minimal.columns();
    (0..names.len()).find_map(|start| {
        let prefix = names[start].strip_suffix(Column::Verdict.name())?;
        let added = names[start..].iter().map_while(|name| {
            let name = name.strip_prefix(prefix)?;
            Column::ALL.iter().copied().find(|column| column.name() == name)
        });
        let added: Vec<Column> = added.collect();
        let complete = minimal.iter().all(|column| added.contains(column));
        complete.then_some(start..start + added.len())
    })
}

/// True for a header that has added columns, in our words or in those of another service: the list is a result.
pub(super) fn has_added(names: &[String]) -> bool {
    find_earlier(names).is_some() || Dialect::has_columns_in(names)
}

/// The delimiter of a header that has added columns, whatever byte that is; `None` for any other line.
pub(super) fn delimiter_of_results(header: &str) -> Option<u8> {
    let mut tried = [false; 128];
    let punctuation = header.bytes().filter(|&b| b.is_ascii() && !b.is_ascii_alphanumeric());
    let mut others = punctuation.filter(|b| !matches!(b, b'"' | b'_' | b'\n' | b'\r'));
    others.find(|&delimiter| {
        let is_new = !std::mem::replace(&mut tried[usize::from(delimiter)], true);
        is_new && has_added(&cells(header.as_bytes(), Some(delimiter)))
    })
}

/// The column names and words of another service.
#[derive(Debug)]
pub struct Dialect {
    name: String,
    headings: Vec<Heading>,
}

/// A service's word for each reason; for a reason that is not in it, the word for its verdict.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct DialectWords(BTreeMap<String, String>);

impl DialectWords {
    pub(super) fn word(&self, reason: Reason) -> &str {
        // Other services have no word for a row without an address: what can't be sent to is undeliverable there.
        let verdict = match reason.verdict() {
            Verdict::None => Verdict::Undeliverable,
            verdict => verdict,
        };
        let word = self.0.get(reason.word()).or_else(|| self.0.get(verdict.word()));
        word.map_or("", String::as_str)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DialectFile {
    dialect: Vec<DialectEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DialectEntry {
    name: String,
    columns: Vec<String>,
    words: BTreeMap<String, DialectWords>,
    /// Words for kinds of addresses, for the column `flags`.
    #[serde(default)]
    flags: BTreeMap<String, String>,
}

impl DialectEntry {
    /// The dialect; `None` where a column is neither one of ours nor has words.
    fn into_dialect(mut self) -> Option<Dialect> {
        let ours = |name: &str| Column::ALL.iter().copied().find(|column| column.name() == name);
        let flags: Arc<[(Column, String)]> = std::mem::take(&mut self.flags)
            .into_iter()
            .map(|(column, word)| Some((ours(&column)?, word)))
            .collect::<Option<_>>()?;
        let mut heading = |column: &String| {
            let (theirs, our_name) = column.split_once('=')?;
            let content = if our_name.is_empty() {
                let words = Arc::new(self.words.remove(theirs)?);
                if theirs == "flags" { Content::Flags(words, flags.clone()) } else { Content::Words(words) }
            } else {
                Content::Column(ours(our_name)?)
            };
            Some(Heading { name: theirs.to_owned().into(), content })
        };
        let headings = self.columns.iter().map(&mut heading).collect::<Option<Vec<Heading>>>()?;
        Some(Dialect { name: self.name, headings })
    }
}

/// Parsed at first use.
#[expect(clippy::expect_used, reason = "the data are part of the program, and a test reads them")]
static DIALECTS: LazyLock<Vec<Dialect>> = LazyLock::new(|| {
    let file: DialectFile = toml::from_str(include_str!("dialects.toml")).expect("dialects.toml");
    let dialects = file.dialect.into_iter();
    dialects.map(|entry| entry.into_dialect().expect("a column of ours or its words")).collect()
});

impl Dialect {
    /// All dialects, by name.
    pub fn all() -> &'static [Dialect] {
        &DIALECTS
    }

    /// The dialect with this name.
    pub fn named(name: &str) -> Option<&'static Dialect> {
        DIALECTS.iter().find(|dialect| dialect.name == name)
    }

    /// The name of the service.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn headings(&self) -> &[Heading] {
        &self.headings
    }

    /// True for a header that has all columns of a dialect side by side, with one prefix or none.
    fn has_columns_in(names: &[String]) -> bool {
        Dialect::all().iter().any(|dialect| {
            names.windows(dialect.headings.len()).any(|names| {
                let mut pairs = names.iter().zip(&dialect.headings);
                let prefix = names[0].strip_suffix(&*dialect.headings[0].name);
                prefix.is_some_and(|prefix| {
                    pairs.all(|(name, heading)| name.strip_prefix(prefix) == Some(&*heading.name))
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::{Cause, Finding, Verdict};

    fn names(names: &str) -> Vec<String> {
        names.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn the_sets_have_the_columns_that_the_readme_lists() {
        let full = "verdict,reason,fault,action,did_you_mean,email_normalized,domain,provider,mx_host,is_catch_all,\
            is_role,is_disposable,is_free,is_tagged,smtp_code,enhanced_code,smtp_text,rule,confidence,attempts,\
            checked_at,expires_at,retry_after,duplicate_of,is_relay";
        let of = |set: ColumnSet| set.columns().iter().map(|c| c.name()).collect::<Vec<_>>().join(",");
        assert_eq!(of(ColumnSet::Full), full);
        let (up_to_smtp_text, _) = full.split_once("rule,confidence").unwrap();
        assert_eq!(of(ColumnSet::Standard), format!("{up_to_smtp_text}checked_at"));
        assert_eq!(
            of(ColumnSet::Minimal),
            "verdict,reason,fault,action,did_you_mean,email_normalized,checked_at"
        );
    }

    #[test]
    fn columns_of_an_earlier_run_are_recognized() {
        let minimal = "verdict,reason,fault,action,did_you_mean,email_normalized,checked_at";
        let prefixed = minimal.split(',').map(|name| format!("verify_{name}")).collect::<Vec<_>>().join(",");
        for (header, expected) in [
            (format!("email,{minimal}"), Some(1..8)),
            (format!("{minimal},email"), Some(0..7)),
            (format!("email,{prefixed},note"), Some(1..8)),
            (format!("email,{minimal},duplicate_of"), Some(1..9)),
            ("email,verdict,reason".to_owned(), None),
            (format!("email,{}", minimal.replace("fault", "error")), None),
        ] {
            assert_eq!(find_earlier(&names(&header)), expected, "{header}");
        }
    }

    #[test]
    fn every_dialect_has_a_word_for_every_verdict_and_none_for_unknown_reasons() {
        let reasons =
            Cause::ALL.iter().map(|cause| cause.word()).chain(Finding::ALL.iter().map(|f| f.word()));
        let reasons: Vec<&str> = reasons.collect();
        let verdicts = [Verdict::Deliverable, Verdict::Risky, Verdict::Undeliverable, Verdict::Unknown];
        for dialect in Dialect::all() {
            for heading in dialect.headings() {
                let (Content::Words(words) | Content::Flags(words, _)) = &heading.content else { continue };
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
    fn the_word_of_a_reason_goes_before_the_word_of_its_verdict() {
        let headings = Dialect::named("zerobounce").unwrap().headings();
        let words = |reason: Reason| {
            let words = headings.iter().filter_map(|heading| match &heading.content {
                Content::Words(words) => Some(words.word(reason)),
                Content::Column(_) | Content::Flags(..) => None,
            });
            words.collect::<Vec<&str>>()
        };
        assert_eq!(words(Cause::Accepted.into()), ["valid", "", "true"]);
        assert_eq!(words(Finding::Disposable.into()), ["do_not_mail", "disposable", ""]);
        assert_eq!(words(Cause::MailboxUnknown.into()), ["invalid", "mailbox_not_found", "true"]);
        assert_eq!(words(Finding::NotProbed.into()), ["unknown", "", ""]);
    }
}
