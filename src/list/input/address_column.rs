//! Which column holds the addresses, and how it was found.
//!
//! Decides: by the name that the user gives; otherwise by the header (names in many languages: `column_names.txt`), unless
//! the cells contradict it; otherwise by the cells alone. Says in a sentence how. Must not: read files.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use super::several::holds_addresses;
use crate::list::error::printable;

/// A column without a known name needs this share of addresses among its filled cells.
const ENOUGH_PERCENT: usize = 30;
/// With this share of addresses, a column is chosen instead of one that has a known name and no address.
const CONTRADICTS_PERCENT: usize = 50;

/// Keys of objects in objects are worse than any key of the line.
const NESTED_RANK: usize = 10_000;

/// The first rows of a list as texts, without quotes.
#[derive(Debug, Default)]
pub(super) struct Sample {
    /// The names of the columns; `column_1` and so on where a column has none.
    pub(super) names: Vec<String>,
    pub(super) has_header: bool,
    /// The names are keys of JSON objects.
    pub(super) has_keys: bool,
    pub(super) rows: Vec<Vec<String>>,
}

/// The column that was chosen, and a sentence for the user that says why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ColumnChoice {
    pub(super) index: usize,
    /// The columns whose cell counts where that of `index`, and each before, is empty.
    pub(super) fallbacks: Vec<usize>,
    pub(super) sentence: String,
}

/// Why no column was chosen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ColumnNotFound {
    /// The list does not have the column that the user gave.
    Given(String),
    /// No column looks like one of addresses.
    None,
}

/// Chooses the address column. `given` are the user's choices; without any, `earlier`, the columns that an earlier run
/// added, are never chosen.
pub(super) fn choose(
    sample: &Sample,
    earlier: Option<&Range<usize>>,
    given: &[String],
) -> Result<ColumnChoice, ColumnNotFound> {
    if !given.is_empty() {
        let found = given.iter().map(|given| {
            by_name_or_number(&sample.names, sample.has_header, given)
                .ok_or_else(|| ColumnNotFound::Given(given.clone()))
        });
        let mut fallbacks = found.collect::<Result<Vec<usize>, ColumnNotFound>>()?;
        let index = fallbacks.remove(0);
        let others: Vec<String> = fallbacks.iter().map(|&other| title(sample, other)).collect();
        let mut sentence = title(sample, index);
        if !others.is_empty() {
            sentence.extend([", where it is empty ", &others.join(", then ")]);
        }
        sentence += ", chosen by `--column`";
        return Ok(ColumnChoice { index, fallbacks, sentence });
    }
    let is_theirs = |index: &usize| earlier.is_none_or(|earlier| !earlier.contains(index));
    let shares: Vec<Share> = (0..sample.names.len())
        .map(|index| if is_theirs(&index) { Share::in_rows(&sample.rows, index) } else { Share::default() })
        .collect();
    // The highest share; the leftmost of equals.
    let fullest = (0..shares.len()).rev().max_by_key(|&index| shares[index].percent());
    if sample.has_header {
        let mut named: Vec<(usize, usize)> = (0..)
            .zip(&sample.names)
            .filter(|(index, _)| is_theirs(index))
            .filter_map(|(index, name)| Some((rank_of(sample, name, &shares[index])?, index)))
            .collect();
        named.sort_by_key(|&(rank, index)| (rank >= NESTED_RANK, shares[index].addresses == 0, rank, index));
        if let Some(&(_, index)) = named.first() {
            let contradicted = fullest.filter(|&other| {
                shares[index].addresses == 0 && shares[other].percent() >= CONTRADICTS_PERCENT
            });
            return Ok(match contradicted {
                None => ColumnChoice {
                    index,
                    fallbacks: Vec::new(),
                    sentence: format!("{}, by its name{}", title(sample, index), others(sample, &named)),
                },
                Some(other) => ColumnChoice {
                    index: other,
                    fallbacks: Vec::new(),
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
    Ok(ColumnChoice {
        index,
        fallbacks: Vec::new(),
        sentence: format!(
            "{}, by its cells ({}){}",
            title(sample, index),
            shares[index],
            others(sample, &also)
        ),
    })
}

/// The column with this name (case does not count), otherwise with this number, from 1 on.
fn by_name_or_number(names: &[String], has_header: bool, given: &str) -> Option<usize> {
    let same = |name: &String| name.trim().to_lowercase() == given.trim().to_lowercase();
    let exact = names.iter().position(|name| name == given);
    let found = exact.or_else(|| names.iter().position(same)).filter(|_| {
        // Without a header, `column_2` is the name that we gave it.
        has_header || given.starts_with("column_")
    });
    found.or_else(|| {
        let number: usize = given.trim().parse().ok()?;
        (1..=names.len()).contains(&number).then(|| number - 1)
    })
}

/// True for a known name of an address column.
pub(crate) fn is_address_column_name(name: &str) -> bool {
    NAMES.ranks.contains_key(&normalize(name))
}

/// True for a name with a word for e-mail in it.
pub(super) fn mentions_mail(name: &str) -> bool {
    let name = normalize(name);
    NAMES.words.iter().any(|word| name.contains(word.as_str()))
}

/// True for the label of a line in front of a header that names who made the list.
pub(super) fn is_label(cell: &str) -> bool {
    cell.trim_end().ends_with([':', '：']) || NAMES.labels.contains(&normalize(cell))
}

/// The column with the largest share of addresses, if that share is enough.
pub(super) fn fullest_of_addresses(rows: &[Vec<String>]) -> Option<usize> {
    let width = rows.iter().map(Vec::len).max()?;
    let percent = |&index: &usize| Share::in_rows(rows, index).percent();
    let fullest = (0..width).rev().max_by_key(percent)?;
    (percent(&fullest) >= ENOUGH_PERCENT).then_some(fullest)
}

/// How good the name of a column is, 0 is best. A key of an object in an object is as good as its last part, but worse than
/// any key of the line.
fn rank_of(sample: &Sample, name: &str, share: &Share) -> Option<usize> {
    match name.rsplit_once('.').filter(|_| sample.has_keys) {
        None => by_name(name, share),
        Some((_, last)) => Some(NESTED_RANK + by_name(name, share).or_else(|| by_name(last, share))?),
    }
}

/// How good a name is for an address column, 0 is best; `None` for other names.
fn by_name(name: &str, share: &Share) -> Option<usize> {
    const WORD_RANK: usize = 1_000;
    let name = normalize(name);
    if let Some(&rank) = NAMES.ranks.get(&name) {
        return Some(rank);
    }
    let has = |part: &String| name.contains(part.as_str());
    let mentions_mail = NAMES.words.iter().any(has) && !NAMES.excluded.iter().any(has);
    (mentions_mail && share.percent() >= ENOUGH_PERCENT).then_some(WORD_RANK)
}

/// True for a header cell that is a known name of an address column.
pub(super) fn is_known_name(name: &str) -> bool {
    NAMES.ranks.contains_key(&normalize(name))
}

fn title(sample: &Sample, index: usize) -> String {
    if sample.has_keys {
        format!("key `{}`", printable(&sample.names[index]))
    } else if sample.has_header {
        format!("column {} `{}`", index + 1, printable(&sample.names[index]))
    } else {
        format!("column {}", index + 1)
    }
}

/// A column as it is given to `--column`: by number, or by the name of its key.
fn argument(sample: &Sample, index: usize) -> String {
    if sample.has_keys { printable(&sample.names[index]) } else { (index + 1).to_string() }
}

/// The other candidates, for the sentence; the first one is chosen.
fn others(sample: &Sample, candidates: &[(usize, usize)]) -> String {
    match candidates {
        [] | [_] => String::new(),
        [(_, chosen), rest @ ..] => {
            let names: Vec<String> = rest.iter().take(3).map(|&(_, index)| title(sample, index)).collect();
            let mut text = format!("; also possible: {}", names.join(", "));
            let cell = |row: &Vec<String>, index: usize| row.get(index).cloned().unwrap_or_default();
            let only_in = |other: usize| {
                let rows = sample.rows.iter().filter(|row| cell(row, *chosen).trim().is_empty());
                rows.filter(|row| holds_addresses(&cell(row, other))).count()
            };
            if let Some((&(_, other), rows)) =
                rest.iter().map(|one| (one, only_in(one.1))).find(|(_, rows)| *rows > 0)
            {
                let only = format!(
                    " ({rows} of the first {} rows have an address only there: `--column {} --column {}` reads both)",
                    sample.rows.len(),
                    argument(sample, *chosen),
                    argument(sample, other)
                );
                text += &only;
            }
            text
        }
    }
}

/// How many of the filled cells of a column are addresses.
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
            share.addresses += usize::from(holds_addresses(cell));
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

/// A name as it is compared: lower case, letters and digits only.
fn normalize(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The content of `column_names.txt`, normalized.
struct ColumnNames {
    /// Each name, with its place in the list of its language.
    ranks: HashMap<String, usize>,
    /// Words for e-mail.
    words: Vec<String>,
    /// Words in names of columns that are about addresses and hold something else.
    excluded: Vec<String>,
    /// Labels of lines in front of a header.
    labels: HashSet<String>,
}

static NAMES: LazyLock<ColumnNames> = LazyLock::new(|| ColumnNames::read(include_str!("column_names.txt")));

impl ColumnNames {
    fn read(text: &str) -> ColumnNames {
        let mut names = ColumnNames {
            ranks: HashMap::new(),
            words: Vec::new(),
            excluded: Vec::new(),
            labels: HashSet::new(),
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        for (language, list) in lines.filter_map(|line| line.split_once(':')) {
            let list = list.split(',').map(normalize);
            match language {
                "word" => names.words.extend(list),
                "not" => names.excluded.extend(list),
                "label" => names.labels.extend(list),
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
    use super::*;

    #[test]
    fn the_table_of_names_is_consistent() {
        let text = include_str!("column_names.txt");
        let mut languages = HashSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (language, names) = line.split_once(": ").unwrap();
            assert!(languages.insert(language), "`{language}` stands twice");
            for name in names.split(',') {
                assert!(!normalize(name).is_empty(), "{language}: `{name}`");
                assert_eq!(name.trim().to_lowercase(), name.trim(), "{language}");
            }
        }
        assert!(languages.len() >= 12 + 3, "{} languages", languages.len());
        let is_name = |word: &String| NAMES.ranks.contains_key(word);
        assert!(!NAMES.excluded.iter().any(is_name), "a name is excluded");
    }
}
