//! The columns that we add: their names, their order, and which of them are written.
//!
//! Decides: names, order and sets, as the README tells them to users: none ever changes its meaning. Must not: say what
//! stands in one; that is [`value`](super::value)'s.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::list::output::dialect::DialectWords;

macro_rules! columns {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)+) => {
        /// A column of ours, in the order in which they are written.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Column { $($(#[$doc])* $variant,)+ }

        impl Column {
            /// All columns, in order.
            pub const ALL: &'static [Column] = &[$(Column::$variant,)+];

            /// What is told about every address of a list: all but the last two.
            pub const FULL: &'static [Column] = Column::ALL.split_at(Column::Repairs as usize).0;

            /// The name, without prefix.
            pub fn name(self) -> &'static str { match self { $(Column::$variant => $name,)+ } }
        }
    };
}

columns! {
    /// The verdict's word.
    Verdict = "verdict";
    /// The reason's word.
    Reason = "reason";
    /// Whose fault it is.
    Fault = "fault";
    /// What to do with the row.
    Action = "action";
    /// The address that was probably meant.
    DidYouMean = "did_you_mean";
    /// The address as it is asked.
    EmailNormalized = "email_normalized";
    /// Its domain.
    Domain = "domain";
    /// The operator's id.
    Provider = "provider";
    /// The exchanger whose answer decided.
    MxHost = "mx_host";
    /// Does the domain accept any name?
    IsCatchAll = "is_catch_all";
    /// A shared function?
    IsRole = "is_role";
    /// A throw-away?
    IsDisposable = "is_disposable";
    /// A free-mail provider's?
    IsFree = "is_free";
    /// With a tag?
    IsTagged = "is_tagged";
    /// The reply's code.
    SmtpCode = "smtp_code";
    /// The reply's enhanced code.
    EnhancedCode = "enhanced_code";
    /// The reply.
    SmtpText = "smtp_text";
    /// The rule that decided.
    Rule = "rule";
    /// How sure.
    Confidence = "confidence";
    /// How often a server answered.
    Attempts = "attempts";
    /// When the evidence was gathered.
    CheckedAt = "checked_at";
    /// When it is too old.
    ExpiresAt = "expires_at";
    /// When to ask again.
    RetryAfter = "retry_after";
    /// The number of the first row with this address.
    DuplicateOf = "duplicate_of";
    /// What was cleaned off the cell; told about single addresses only.
    Repairs = "repairs";
    /// The cell as it was, where another address was judged; written with `--apply-suggestions` only.
    EmailOriginal = "email_original";
}

/// Which of our columns are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColumnSet {
    /// The judgement and the address, seven columns.
    Minimal,
    /// Also kinds and the server's words, up to `smtp_text`, and `checked_at`.
    #[default]
    Standard,
    /// All that is told about every address.
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

/// A column as it is written: what it is called, and what stands in it.
#[derive(Clone, Debug)]
pub(crate) struct Heading {
    pub(crate) name: Cow<'static, str>,
    pub(crate) content: Content,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Column(Column),
    /// Another service's word for the reason.
    Words(Arc<DialectWords>),
}

impl From<Column> for Heading {
    fn from(column: Column) -> Heading {
        Heading { name: column.name().into(), content: Content::Column(column) }
    }
}

impl Heading {
    pub(crate) fn is(&self, column: Column) -> bool {
        matches!(self.content, Content::Column(content) if content == column)
    }
}

/// The stretch of columns that an earlier run of ours added: with one prefix, and the minimal set at least.
pub(crate) fn earlier(names: &[String]) -> Option<Range<usize>> {
    let minimal = ColumnSet::Minimal.columns();
    (0..names.len()).find_map(|start| {
        let prefix = names[start].strip_suffix(Column::Verdict.name())?;
        let ours = names[start..].iter().map_while(|name| {
            let name = name.strip_prefix(prefix)?;
            Column::ALL.iter().copied().find(|column| column.name() == name)
        });
        let ours: Vec<Column> = ours.collect();
        let complete = minimal.iter().all(|column| ours.contains(column));
        complete.then_some(start..start + ours.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &str) -> Vec<String> {
        names.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn the_sets_are_those_of_the_contract() {
        let full = "verdict,reason,fault,action,did_you_mean,email_normalized,domain,provider,mx_host,is_catch_all,\
            is_role,is_disposable,is_free,is_tagged,smtp_code,enhanced_code,smtp_text,rule,confidence,attempts,\
            checked_at,expires_at,retry_after,duplicate_of";
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
    fn columns_of_an_earlier_run_are_known_again() {
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
            assert_eq!(earlier(&names(&header)), expected, "{header}");
        }
    }
}
