//! Which column holds the addresses, and by what it was found.
//!
//! Decides: by the name that was asked for, else by the header (names in many languages: `column_names.txt`) as long
//! as the cells do not contradict it, else by the cells alone. Says in a sentence what it did. Must not: read files.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use crate::address::Address;
use crate::smtp::sanitize;

/// So large a share of a column's filled cells has to be addresses when nothing but the cells speaks for it.
const ENOUGH_PERCENT: usize = 30;
/// A column of which so many cells are addresses beats one that has only the right name and no address in it.
const CONTRADICTS_PERCENT: usize = 50;

/// The first rows of a list, unquoted.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// The names in the header; where there is none, `column_1` and so on.
    pub(crate) names: Vec<String>,
    pub(crate) has_header: bool,
    /// The names are keys of objects.
    pub(crate) has_keys: bool,
    pub(crate) rows: Vec<Vec<String>>,
}

/// A found column.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ColumnGuess {
    pub(crate) index: usize,
    pub(crate) sentence: String,
}

/// Why no column was taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ColumnNotFound {
    /// The one that was asked for is not there.
    Asked(String),
    /// None looks like it.
    None,
}

/// Chooses the address column; `own` are columns of an earlier run of ours, which are never taken unasked.
pub(crate) fn choose(
    sample: &Sample,
    own: Option<&Range<usize>>,
    asked: Option<&str>,
) -> Result<ColumnGuess, ColumnNotFound> {
    if let Some(asked) = asked {
        let index = by_request(&sample.names, sample.has_header, asked)
            .ok_or_else(|| ColumnNotFound::Asked(asked.to_owned()))?;
        return Ok(ColumnGuess { index, sentence: format!("{}, as asked", title(sample, index)) });
    }
    let theirs = |index: &usize| own.is_none_or(|own| !own.contains(index));
    let shares: Vec<Share> = (0..sample.names.len())
        .map(|index| if theirs(&index) { Share::in_rows(&sample.rows, index) } else { Share::default() })
        .collect();
    // The highest share; the leftmost of equals.
    let fullest = (0..shares.len()).rev().max_by_key(|&index| shares[index].percent());
    if sample.has_header {
        let mut named: Vec<(usize, usize)> = (0..)
            .zip(&sample.names)
            .filter(|(index, _)| theirs(index))
            .filter_map(|(index, name)| Some((by_name(name, &shares[index])?, index)))
            .collect();
        named.sort_by_key(|&(rank, index)| (shares[index].addresses == 0, rank, index));
        if let Some(&(_, index)) = named.first() {
            let contradicted = fullest.filter(|&other| {
                shares[index].addresses == 0 && shares[other].percent() >= CONTRADICTS_PERCENT
            });
            return Ok(match contradicted {
                None => ColumnGuess {
                    index,
                    sentence: format!("{}, by its name{}", title(sample, index), others(sample, &named)),
                },
                Some(other) => ColumnGuess {
                    index: other,
                    sentence: format!(
                        "{}, by its cells ({}); {} has the name but no address in it",
                        title(sample, other),
                        shares[other],
                        title(sample, index)
                    ),
                },
            });
        }
    }
    let index =
        fullest.filter(|&index| shares[index].percent() >= ENOUGH_PERCENT).ok_or(ColumnNotFound::None)?;
    let also: Vec<(usize, usize)> = (0..shares.len())
        .filter(|&other| other != index && shares[other].percent() >= ENOUGH_PERCENT)
        .map(|other| (0, other))
        .collect();
    let also = [&[(0, index)], also.as_slice()].concat();
    Ok(ColumnGuess {
        index,
        sentence: format!(
            "{}, by its cells ({}){}",
            title(sample, index),
            shares[index],
            others(sample, &also)
        ),
    })
}

/// A name (case does not count), else a number from 1 on.
fn by_request(names: &[String], has_header: bool, asked: &str) -> Option<usize> {
    let same = |name: &String| name.trim().to_lowercase() == asked.trim().to_lowercase();
    let exact = names.iter().position(|name| name == asked);
    let found = exact.or_else(|| names.iter().position(same)).filter(|_| {
        // Without a header `column_2` is our own name for it, which is as good as its number.
        has_header || asked.starts_with("column_")
    });
    found.or_else(|| {
        let number: usize = asked.trim().parse().ok()?;
        (1..=names.len()).contains(&number).then(|| number - 1)
    })
}

/// True for a text with a part that speaks of e-mail.
pub(crate) fn speaks_of_mail(name: &str) -> bool {
    let name = plain(name);
    NAMES.words.iter().any(|word| name.contains(word.as_str()))
}

/// The column with the largest share of addresses, if it is enough to go by.
pub(crate) fn by_cells(rows: &[Vec<String>]) -> Option<usize> {
    let width = rows.iter().map(Vec::len).max()?;
    let percent = |&index: &usize| Share::in_rows(rows, index).percent();
    let fullest = (0..width).rev().max_by_key(percent)?;
    (percent(&fullest) >= ENOUGH_PERCENT).then_some(fullest)
}

/// How good a name is for an address column, 0 the best; `None` for names that say nothing.
fn by_name(name: &str, share: &Share) -> Option<usize> {
    const WORD_RANK: usize = 1_000;
    let name = plain(name);
    if let Some(&rank) = NAMES.ranks.get(&name) {
        return Some(rank);
    }
    let has = |part: &String| name.contains(part.as_str());
    let speaks = NAMES.words.iter().any(has) && !NAMES.refused.iter().any(has);
    (speaks && share.percent() >= ENOUGH_PERCENT).then_some(WORD_RANK)
}

/// True for a header cell that names an address column by itself.
pub(crate) fn is_known_name(name: &str) -> bool {
    NAMES.ranks.contains_key(&plain(name))
}

fn title(sample: &Sample, index: usize) -> String {
    if sample.has_keys {
        format!("key `{}`", shown(&sample.names[index]))
    } else if sample.has_header {
        format!("column {} `{}`", index + 1, shown(&sample.names[index]))
    } else {
        format!("column {}", index + 1)
    }
}

/// A name as it may be shown to people: short, and without what could steer a terminal.
pub(crate) fn shown(name: &str) -> String {
    const SHOWN_CHARS: usize = 40;
    let name = sanitize(name);
    match name.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
}

/// What to say about the columns that were not taken.
fn others(sample: &Sample, candidates: &[(usize, usize)]) -> String {
    match candidates {
        [] | [_] => String::new(),
        [_, rest @ ..] => {
            let names: Vec<String> = rest.iter().take(3).map(|&(_, index)| title(sample, index)).collect();
            format!("; also possible: {}", names.join(", "))
        }
    }
}

/// How many of a column's filled cells are addresses.
#[derive(Default)]
struct Share {
    addresses: usize,
    filled: usize,
}

impl Share {
    fn in_rows(rows: &[Vec<String>], index: usize) -> Share {
        let cells = rows.iter().filter_map(|row| row.get(index));
        let mut share = Share { addresses: 0, filled: 0 };
        for cell in cells.filter(|cell| !cell.trim().is_empty()) {
            share.filled += 1;
            share.addresses += usize::from(looks_like_address(cell));
        }
        share
    }

    fn percent(&self) -> usize {
        (self.addresses * 100).checked_div(self.filled).unwrap_or(0)
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} filled cells are addresses", self.addresses, self.filled)
    }
}

/// True for a cell that is an address, or one address in the wrapping of an export (`Name <a@b>`, `mailto:`).
pub(crate) fn looks_like_address(cell: &str) -> bool {
    let mut text = cell.trim();
    if let Some((_, rest)) = text.split_once('<') {
        text = rest.split('>').next().unwrap_or(rest);
    }
    text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\u{feff}'));
    text = text.strip_prefix("mailto:").unwrap_or(text);
    let plausible =
        text.find('@').is_some_and(|at| at > 0) && !text.contains([' ', ',', ';', '|', '\t', '/', ':']);
    plausible && Address::parse(text).is_ok()
}

/// A name as it is compared: lower case, letters and digits only.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

struct Names {
    ranks: HashMap<String, usize>,
    words: Vec<String>,
    refused: Vec<String>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| Names::read(include_str!("column_names.txt")));

impl Names {
    fn read(text: &str) -> Names {
        let mut names = Names { ranks: HashMap::new(), words: Vec::new(), refused: Vec::new() };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        for (language, list) in lines.filter_map(|line| line.split_once(':')) {
            let list = list.split(',').map(plain);
            match language {
                "word" => names.words.extend(list),
                "not" => names.refused.extend(list),
                _ => list.enumerate().for_each(|(rank, name)| {
                    let best = names.ranks.entry(name).or_insert(rank);
                    *best = rank.min(*best);
                }),
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_of_names_is_sound() {
        let text = include_str!("column_names.txt");
        let mut languages = HashSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (language, names) = line.split_once(": ").unwrap();
            assert!(languages.insert(language), "`{language}` stands twice");
            for name in names.split(',') {
                assert!(!plain(name).is_empty(), "{language}: `{name}`");
                assert_eq!(name.trim().to_lowercase(), name.trim(), "{language}");
            }
        }
        assert!(languages.len() >= 12 + 2, "{} languages", languages.len());
        let refused = |word: &String| NAMES.ranks.contains_key(word);
        assert!(!NAMES.refused.iter().any(refused), "a name is refused");
    }

    #[test]
    fn an_address_in_the_wrapping_of_an_export_is_one() {
        for cell in ["ann@x.example", " Ann <ann@x.example>", "\"ann@x.example\"", "mailto:ann@x.example"] {
            assert!(looks_like_address(cell), "{cell}");
        }
        for cell in
            ["", "@ann", "ann", "write to ann@x.example", "https://x.example/@ann", "a@x.example;b@y.example"]
        {
            assert!(!looks_like_address(cell), "{cell}");
        }
    }
}
