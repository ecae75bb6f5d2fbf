//! The columns that we add: their names, which of them are written, and what stands in each.
//!
//! Decides: names, order, sets and prefix (VERDICTS: "Columns"). Empty means "not determined". Must not: judge.
//! No value of ours can be taken for a formula by a spreadsheet.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use super::dialect::Words;
use super::error::ListError;
use super::json;
use crate::address::Domain;
use crate::verdict::Record;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
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
pub(super) struct Heading {
    pub(super) name: Cow<'static, str>,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Column(Column),
    /// Another service's word for the reason.
    Words(Arc<Words>),
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

    /// What stands in it; `scratch` is overwritten when that has to be composed.
    pub(super) fn value<'a>(&'a self, told: Told<'a>, scratch: &mut String) -> Value<'a> {
        match &self.content {
            Content::Column(column) => column.value(told, scratch),
            Content::Words(words) => match words.of(told.record.judgement.reason) {
                "" => Value::None,
                word => Value::Text(word),
            },
        }
    }
}

/// The stretch of columns that an earlier run of ours added: with one prefix, and the minimal set at least.
pub(super) fn earlier(names: &[String]) -> Option<Range<usize>> {
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

/// What stands in front of our names, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) text: String,
    /// The column of the list that made a prefix necessary.
    pub(super) because_of: Option<String>,
}

impl Prefix {
    /// The prefix that was asked for, the one of our earlier columns, or the first that keeps ours apart.
    pub(super) fn choose(
        list: &str,
        names: &[String],
        own: Option<&Range<usize>>,
        ours: &[Cow<'static, str>],
        asked: Option<&str>,
    ) -> Result<Prefix, ListError> {
        let theirs = |index: &usize| own.is_none_or(|own| !own.contains(index));
        let taken = |prefix: &str| {
            let same = |name: &str| {
                ours.iter().any(|ours| name.trim().eq_ignore_ascii_case(&format!("{prefix}{ours}")))
            };
            (0..names.len())
                .filter(theirs)
                .find(|&index| same(&names[index]))
                .map(|index| names[index].clone())
        };
        if let Some(prefix) = asked {
            let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
            if !(prefix.is_empty() || prefix.starts_with(char::is_alphabetic) && prefix.chars().all(plain)) {
                return Err(ListError::BadPrefix { prefix: prefix.to_owned() });
            }
            return match taken(prefix) {
                None => Ok(Prefix { text: prefix.to_owned(), because_of: None }),
                Some(column) => {
                    Err(ListError::PrefixTaken { name: list.to_owned(), prefix: prefix.to_owned(), column })
                }
            };
        }
        let earlier = own.and_then(|own| names[own.start].strip_suffix(Column::Verdict.name()));
        let mut text = earlier.unwrap_or_default().to_owned();
        let mut because_of = None;
        for number in 1.. {
            let Some(column) = taken(&text) else { break };
            because_of.get_or_insert(column);
            text = if number == 1 { "verify_".to_owned() } else { format!("verify_{number}_") };
        }
        Ok(Prefix { text, because_of })
    }
}

/// What is told about one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    pub(super) record: &'a Record,
    /// The address as it was found, where another one was judged.
    pub(super) original: Option<&'a str>,
}

/// What stands in one cell of ours.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// Not determined.
    None,
    /// A word of the vocabulary: small letters and `_`, which no list takes for a delimiter.
    Word(&'static str),
    /// A domain: nothing in it needs quotes either.
    Name(&'a str),
    /// An address of which nothing needs care: the parts left and right of the @.
    Plain(&'a str, &'a str),
    /// An id or a text.
    Text(&'a str),
    /// In the scratch text that was given.
    Scratch,
    Flag(bool),
    Number(u64),
}

impl Value<'_> {
    /// Writes it as JSON; `scratch` is the text that was given.
    pub(super) fn write_json(&self, scratch: &str, out: &mut Vec<u8>) {
        match *self {
            Value::None => out.extend_from_slice(b"null"),
            Value::Word(text) | Value::Name(text) | Value::Text(text) => json::write_string(out, text),
            Value::Plain(local, domain) => {
                for piece in ["\"", local, "@", domain, "\""] {
                    out.extend_from_slice(piece.as_bytes());
                }
            }
            Value::Scratch => json::write_string(out, scratch),
            Value::Flag(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
            Value::Number(number) => {
                let _ = write!(out, "{number}");
            }
        }
    }
}

/// `smtp_text` is cut to so many bytes.
const MAX_SMTP_TEXT_BYTES: usize = 255;

impl Column {
    /// The value of this column; `scratch` is overwritten when the value has to be composed.
    pub(super) fn value<'a>(self, told: Told<'a>, scratch: &mut String) -> Value<'a> {
        let record = told.record;
        let judgement = &record.judgement;
        let mut compose = |compose: &dyn Fn(&mut String)| {
            scratch.clear();
            compose(scratch);
            Value::Scratch
        };
        let text = |text: Option<&'a str>| text.map_or(Value::None, Value::Text);
        let name = |name: Option<&'a Domain>| name.map_or(Value::None, |name| Value::Name(name.as_str()));
        let flag = |flag: Option<bool>| flag.map_or(Value::None, Value::Flag);
        let mut time = |time: Option<SystemTime>| match time {
            None => Value::None,
            Some(time) => compose(&|text| {
                let _ = write!(text, "{}", humantime::format_rfc3339_seconds(time));
            }),
        };
        match self {
            Column::Verdict => Value::Word(judgement.reason.verdict().word()),
            Column::Reason => Value::Word(judgement.reason.word()),
            Column::Fault => Value::Word(judgement.reason.fault().word()),
            Column::Action => Value::Word(judgement.reason.verdict().action()),
            Column::DidYouMean => match &record.did_you_mean {
                None => Value::None,
                Some(address) => compose(&|text| {
                    text.push_str(address);
                    never_a_formula(text);
                }),
            },
            Column::EmailNormalized => match &record.address {
                None => Value::None,
                Some(address) => match address.domain() {
                    Some(domain) if is_plain(address.local()) => {
                        Value::Plain(address.local(), domain.as_str())
                    }
                    _ => compose(&|text| {
                        let _ = write!(text, "{address}");
                        never_a_formula(text);
                    }),
                },
            },
            Column::Domain => name(record.address.as_ref().and_then(|a| a.domain())),
            Column::Provider => text(record.provider.as_deref()),
            Column::MxHost => name(record.mx_host.as_ref()),
            Column::IsCatchAll => flag(record.catch_all),
            Column::IsRole => flag(record.kinds.role),
            Column::IsDisposable => flag(record.kinds.disposable),
            Column::IsFree => flag(record.kinds.free),
            Column::IsTagged => flag(record.kinds.tagged),
            Column::SmtpCode => {
                record.reply.as_ref().map_or(Value::None, |reply| Value::Number(u64::from(reply.code)))
            }
            Column::EnhancedCode => match record.reply.as_ref().and_then(|reply| reply.enhanced) {
                None => Value::None,
                Some(code) => compose(&|text| {
                    let _ = write!(text, "{code}");
                }),
            },
            Column::SmtpText => match &record.reply {
                None => Value::None,
                Some(reply) => compose(&|text| {
                    let _ = write!(text, "{reply}");
                    cut(text, MAX_SMTP_TEXT_BYTES);
                }),
            },
            Column::Rule => Value::Text(&judgement.rule),
            Column::Confidence => Value::Word(judgement.confidence.word()),
            Column::Attempts => Value::Number(u64::from(record.attempts)),
            Column::CheckedAt => time(record.checked_at),
            Column::ExpiresAt => time(record.expires_at),
            Column::RetryAfter => time(judgement.retry_after),
            // Shows when the rows before are known.
            Column::DuplicateOf => Value::None,
            Column::Repairs if record.repairs.is_empty() => Value::None,
            Column::Repairs => compose(&|text| {
                let words: Vec<&str> = record.repairs.iter().map(|repair| repair.word()).collect();
                text.push_str(&words.join(" "));
            }),
            Column::EmailOriginal => match told.original {
                Some(original) if original.starts_with(FORMULA_STARTS) => compose(&|text| {
                    // A spreadsheet's own mark for a text.
                    text.extend(["'", original]);
                }),
                original => text(original),
            },
        }
    }
}

/// Shortens a text to so many bytes or a few less, between two characters.
fn cut(text: &mut String, bytes: usize) {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

/// What a formula starts with, in one spreadsheet or another.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// True for the usual local part, which is no formula and needs no quotes in any list.
fn is_plain(local: &str) -> bool {
    let is_usual = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+');
    !local.starts_with(FORMULA_STARTS) && local.bytes().all(is_usual)
}

/// An address may start with `=`, `+` or `-`, which a spreadsheet takes for a formula. The same address with its
/// local part in quotes (RFC 5321 4.1.2) is harmless.
fn never_a_formula(address: &mut String) {
    if address.starts_with(FORMULA_STARTS)
        && let Some(at) = address.rfind('@')
    {
        address.insert(at, '"');
        address.insert(0, '"');
    }
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

    #[test]
    fn a_taken_name_gives_all_of_ours_a_prefix() {
        let choose = |header: &str, asked: Option<&str>| {
            let names = names(header);
            let ours: Vec<Cow<'static, str>> =
                Column::ALL.iter().map(|column| column.name().into()).collect();
            Prefix::choose("list.csv", &names, earlier(&names).as_ref(), &ours, asked)
                .map(|prefix| (prefix.text, prefix.because_of))
                .map_err(|error| error.to_string())
        };
        let prefix =
            |text: &str, because_of: Option<&str>| Ok((text.to_owned(), because_of.map(str::to_owned)));
        let ours = "verdict,reason,fault,action,did_you_mean,email_normalized,checked_at";
        assert_eq!(choose("email,name", None), prefix("", None));
        assert_eq!(choose("email, Domain ", None), prefix("verify_", Some(" Domain ")));
        assert_eq!(choose("email,domain,verify_rule", None), prefix("verify_2_", Some("domain")));
        assert_eq!(choose(&format!("email,{ours}"), None), prefix("", None));
        assert_eq!(choose(&format!("email,{ours},REASON"), None), prefix("verify_", Some("REASON")));
        assert_eq!(choose("email,domain", Some("lp_")), prefix("lp_", None));
        assert_eq!(
            choose("email,domain", Some("")),
            Err("`list.csv`: the column prefix `` does not keep ours apart from the column `domain`"
                .to_owned())
        );
        assert_eq!(choose("email", Some("=x")), Err("`=x` cannot be a column prefix".to_owned()));
    }

    #[test]
    fn an_address_of_ours_is_never_a_formula() {
        for (address, expected) in [
            ("ann@x.example", "ann@x.example"),
            ("=1+1@x.example", "\"=1+1\"@x.example"),
            ("+tag@x.example", "\"+tag\"@x.example"),
            ("\"=x\"@x.example", "\"=x\"@x.example"),
        ] {
            let mut text = address.to_owned();
            never_a_formula(&mut text);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let mut text = "aé€".repeat(60);
        cut(&mut text, 255);
        assert_eq!((text.len(), text.ends_with('é')), (255, true));
        cut(&mut text, 254);
        assert_eq!(text.len(), 253);
    }
}
