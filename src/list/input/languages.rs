//! Languages and their encodings: which letters are frequent, which words head the columns of contact lists.
//!
//! Decides: how likely a letter is in a language; the data are in `languages.txt`. Must not: compare encodings.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::list::format::Encoding;

/// The logarithm of how likely a letter is that the language does not have.
const FOREIGN_LETTER: f32 = -11.0;

/// A language, as texts in 8-bit encodings show it.
#[derive(Debug)]
pub(super) struct Language {
    pub(super) code: &'static str,
    /// The top-level domains of its countries.
    pub(super) domains: Vec<&'static str>,
    /// Its encodings, the commonest first.
    pub(super) encodings: Vec<Encoding>,
    /// The logarithm of how often each letter stands among the letters beyond ASCII, by lower-case letter.
    letters: HashMap<char, f32>,
}

impl Language {
    /// The logarithm of how likely these letters are together.
    pub(super) fn log_likelihood(&self, letters: &[char]) -> f32 {
        letters.iter().map(|&letter| *self.letters.get(&lower(letter)).unwrap_or(&FOREIGN_LETTER)).sum()
    }
}

/// All languages of the table.
pub(super) static LANGUAGES: LazyLock<Vec<Language>> = LazyLock::new(|| lines().map(language).collect());

/// Words with a letter beyond ASCII that head columns of contact lists, in lower case.
/// Each with the codes of its languages.
pub(super) static HEADING_WORDS: LazyLock<HashMap<String, Vec<&'static str>>> = LazyLock::new(|| {
    let mut words: HashMap<String, Vec<&'static str>> = HashMap::new();
    for [code, .., list] in lines() {
        for word in list.split(',').map(|word| word.trim().to_lowercase()).filter(|word| !word.is_ascii()) {
            words.entry(word).or_default().push(code);
        }
    }
    words
});

fn lines() -> impl Iterator<Item = [&'static str; 5]> {
    let lines = include_str!("languages.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let mut parts = line.split('|').map(str::trim);
        std::array::from_fn(|_| parts.next().unwrap_or_default())
    })
}

fn language([code, domains, encodings, letters, _]: [&'static str; 5]) -> Language {
    // As Zipf's law has it: the second letter is about half as frequent as the first, and so on, less steep at the start.
    let weight = |rank: usize| 1.0 / (f32::from(u8::try_from(rank).unwrap_or(u8::MAX)) + 3.0);
    let letters: Vec<char> = letters.chars().filter(|letter| !letter.is_whitespace()).collect();
    let sum: f32 = (0..letters.len()).map(weight).sum();
    let mut likelihoods = HashMap::new();
    for (rank, &letter) in letters.iter().enumerate() {
        likelihoods.entry(letter).or_insert_with(|| (weight(rank) / sum).ln());
    }
    Language {
        code,
        domains: domains.split_whitespace().collect(),
        encodings: encodings.split_whitespace().filter_map(Encoding::labeled).collect(),
        letters: likelihoods,
    }
}

/// The lower-case form of a letter, one letter in any case.
pub(super) fn lower(letter: char) -> char {
    let mut lower = letter.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_names_encodings_that_have_its_letters() {
        for line in lines() {
            let [code, domains, encodings, letters, words] = line;
            let language = language(line);
            assert_eq!(language.encodings.len(), encodings.split_whitespace().count(), "{code}");
            assert!(!language.encodings.is_empty() && !domains.is_empty(), "{code}");
            for encoding in &language.encodings {
                let missing: String = letters
                    .chars()
                    .filter(|letter| encoding.coder().encode(letter.encode_utf8(&mut [0; 4])).2)
                    .collect();
                // Some languages have letters that only the newest of their encodings can write.
                assert!(missing.chars().count() <= 12, "{code}: {missing} in {}", encoding.word());
            }
            for word in words.split(',').filter(|word| !word.trim().is_empty()) {
                let encoding = language.encodings[0].coder();
                assert!(word.is_ascii() || !encoding.encode(word.trim()).2, "{code}: {word}");
            }
        }
    }
}
