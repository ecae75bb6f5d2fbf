//! What stands in front of the names of our columns.
//!
//! Decides: the prefix, so that none of ours is called as one of the list's own columns. Must not: change a user's name.
//! Fails: where the prefix that was asked for does not keep them apart.

use std::borrow::Cow;
use std::ops::Range;

use crate::list::ListError;
use crate::list::output::columns::Column;

/// What stands in front of our names, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ColumnPrefix {
    pub(super) text: String,
    /// The column of the list that made a prefix necessary.
    pub(super) because_of: Option<String>,
}

impl ColumnPrefix {
    /// The prefix that was asked for, the one of our earlier columns, or the first that keeps ours apart.
    pub(super) fn choose(
        list: &str,
        names: &[String],
        own: Option<&Range<usize>>,
        ours: &[Cow<'static, str>],
        asked: Option<&str>,
    ) -> Result<ColumnPrefix, ListError> {
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
                None => Ok(ColumnPrefix { text: prefix.to_owned(), because_of: None }),
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
        Ok(ColumnPrefix { text, because_of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::output::columns::earlier;

    fn names(names: &str) -> Vec<String> {
        names.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn a_taken_name_gives_all_of_ours_a_prefix() {
        let choose = |header: &str, asked: Option<&str>| {
            let names = names(header);
            let ours: Vec<Cow<'static, str>> =
                Column::ALL.iter().map(|column| column.name().into()).collect();
            ColumnPrefix::choose("list.csv", &names, earlier(&names).as_ref(), &ours, asked)
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
}
