//! How well an encoding explains the bytes of a list.
//!
//! Decides: a score, the logarithm of how likely the text is that the bytes are in that encoding: letters of one script in a
//! word, capitals only where words begin, letters that are frequent in one language, characters that are frequent among
//! those of two bytes, no control characters. Scores of one text in several encodings can be compared, because each has to
//! explain the same bytes. Must not: choose. Can't know: names that are written in letters of another language.

use super::address_column::is_known_name;
use super::languages::{HEADING_WORDS, LANGUAGES, Language, lower};
use crate::list::format::Encoding;

/// More than this share of cells can't be invalid in the encoding of a list: one in so many.
const ONE_BROKEN_OF: usize = 100;
/// A heading that is known in the decoded text.
const KNOWN_HEADING: f32 = 9.0;
const MOST_HEADINGS: u8 = 3;
/// Most text of a list is in one language.
const OTHER_LANGUAGE: f32 = -4.0;
const OTHER_WESTERN_LANGUAGE: f32 = -2.3;
/// A word without a vowel is rare.
const WITHOUT_VOWEL: f32 = -4.0;
/// The addresses are in a country where the language is spoken, or the headings are in that language.
const LANGUAGE_OF_HINT: f32 = 6.0;

/// What the bytes are in one encoding.
#[derive(Clone, Debug)]
pub(super) struct DecodedCells {
    pub(super) encoding: Encoding,
    pub(super) text: String,
    /// The logarithm of the likelihood of `text`, without that of the encoding itself.
    pub(super) score: f32,
    /// Its letters are Latin ones.
    pub(super) is_latin: bool,
    /// Its language is one of the country where most addresses are, or that of the headings.
    pub(super) is_of_country: bool,
}

/// Decodes cells that have bytes beyond ASCII; `None` where these bytes can't be in that encoding. `domain`: the top-level
/// domain that most addresses of the list have.
pub(super) fn decode(cells: &[&[u8]], encoding: Encoding, domain: Option<&str>) -> Option<DecodedCells> {
    let coder = encoding.coder();
    let mut texts = Vec::new();
    let mut broken = 0;
    for cell in cells {
        match coder.decode_without_bom_handling_and_without_replacement(cell) {
            Some(text) => texts.push(text),
            None => broken += 1,
        }
    }
    if broken * ONE_BROKEN_OF > cells.len() || texts.is_empty() {
        return None;
    }
    let mut score = 0.0;
    let two_bytes = TwoByteSet::of(encoding);
    let mut words: Vec<Vec<char>> = Vec::new();
    for (cell, text) in cells.iter().zip(&texts) {
        if let Some(set) = two_bytes {
            score += set.log_likelihood(cell, encoding) + mixed_scripts(text);
        } else {
            score += shape(text);
            words.extend(words_beyond_ascii(text));
        }
    }
    let is_latin = two_bytes.is_none() && texts.iter().all(|text| text.chars().all(is_latin_or_no_letter));
    let mut headings = 0_u8;
    let mut spoken: Vec<&str> = Vec::new();
    for text in &texts {
        let text = text.trim().to_lowercase();
        let languages = HEADING_WORDS.get(&text);
        spoken.extend(languages.into_iter().flatten());
        let is_heading = languages.is_some() || !text.is_ascii() && is_known_name(&text);
        headings += u8::from(is_heading && headings < MOST_HEADINGS);
    }
    score += KNOWN_HEADING * f32::from(headings);
    let is_of_country = if two_bytes.is_none() {
        let is_spoken = |language: &Language| {
            spoken.contains(&language.code) || domain.is_some_and(|domain| language.domains.contains(&domain))
        };
        let (letters, is_of_country) = in_best_language(&words, encoding, is_spoken);
        score += letters;
        is_of_country
    } else {
        let is_of_country = is_language_of(encoding, domain);
        score += if is_of_country { LANGUAGE_OF_HINT } else { 0.0 };
        is_of_country
    };
    Some(DecodedCells { encoding, text: texts.join("\n"), score, is_latin, is_of_country })
}

fn is_language_of(encoding: Encoding, domain: Option<&str>) -> bool {
    let of_domain = |language: &&Language| domain.is_some_and(|domain| language.domains.contains(&domain));
    LANGUAGES.iter().filter(of_domain).any(|language| language.encodings.contains(&encoding))
}

/// The score of the letters in the language of this encoding that explains them best, and whether that one is spoken where
/// the list comes from. A word may be in another language.
fn in_best_language(
    words: &[Vec<char>],
    encoding: Encoding,
    is_spoken: impl Fn(&Language) -> bool,
) -> (f32, bool) {
    let languages: Vec<&Language> =
        LANGUAGES.iter().filter(|language| language.encodings.contains(&encoding)).collect();
    // Lists in Windows-1252 have names from many countries.
    let other_language =
        if encoding == Encoding::WINDOWS_1252 { OTHER_WESTERN_LANGUAGE } else { OTHER_LANGUAGE };
    let mut lacking = 0.0;
    let mut totals = vec![0.0; languages.len()];
    for word in words {
        lacking += if lacks_vowel(word) { WITHOUT_VOWEL } else { 0.0 };
        let scores: Vec<f32> = languages.iter().map(|language| language.log_likelihood(word)).collect();
        let best = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for (total, score) in totals.iter_mut().zip(scores) {
            *total += score.max(best + other_language);
        }
    }
    let hinted = totals.iter().zip(&languages).map(|(total, language)| {
        let is_spoken = is_spoken(language);
        (lacking + total + if is_spoken { LANGUAGE_OF_HINT } else { 0.0 }, is_spoken)
    });
    hinted.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, false))
}

/// True for Cyrillic or Greek letters that are no word, for want of a vowel.
fn lacks_vowel(word: &[char]) -> bool {
    const VOWELS: &str = "аеёиоуыэюяіїєѝαεηιουωάέήίόύώϊϋΐΰ";
    let is_of = |c: &char| matches!(script(*c), Script::Cyrillic | Script::Greek);
    word.len() > 3 && word.iter().all(is_of) && !word.iter().any(|&c| VOWELS.contains(lower(c)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Hebrew,
    Arabic,
    Thai,
    /// Han, kana, hangul.
    EastAsian,
    /// A combining mark, which belongs to the letter before.
    Mark,
    Other,
}

fn script(c: char) -> Script {
    match c {
        'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{24f}' => {
            Script::Latin
        }
        '\u{300}'..='\u{36f}' => Script::Mark,
        '\u{370}'..='\u{373}' | '\u{376}'..='\u{37d}' | '\u{386}' | '\u{388}'..='\u{3ff}' => Script::Greek,
        '\u{400}'..='\u{52f}' => Script::Cyrillic,
        '\u{5b0}'..='\u{5f4}' => Script::Hebrew,
        '\u{620}'..='\u{6ff}' => Script::Arabic,
        '\u{e01}'..='\u{e3a}' | '\u{e40}'..='\u{e4e}' => Script::Thai,
        '\u{2e80}'..='\u{2fff}'
        | '\u{3040}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' => Script::EastAsian,
        _ => Script::Other,
    }
}

fn is_letter(c: char) -> bool {
    script(c) != Script::Other
}

fn is_latin_or_no_letter(c: char) -> bool {
    matches!(script(c), Script::Latin | Script::Other | Script::Mark)
}

/// The letters beyond ASCII of each word.
fn words_beyond_ascii(text: &str) -> impl Iterator<Item = Vec<char>> {
    let words = text.split(|c| !is_letter(c));
    words
        .map(|word| word.chars().filter(|c| !c.is_ascii()).collect())
        .filter(|word: &Vec<char>| !word.is_empty())
}

/// Signs of texts, in any encoding.
fn is_usual_sign(c: char) -> bool {
    matches!(
        c,
        '\u{a0}'
            | '–'
            | '—'
            | '‘'
            | '’'
            | '‚'
            | '“'
            | '”'
            | '„'
            | '«'
            | '»'
            | '…'
            | '€'
            | '£'
            | '§'
            | '°'
            | '№'
            | '®'
            | '™'
            | 'º'
            | 'ª'
            | '·'
            | '•'
            | '´'
            | '¿'
            | '¡'
            | '©'
            | '\u{ad}'
            | '‹'
            | '›'
            | '،'
            | '؟'
            | '\u{200e}'
            | '\u{200f}'
    )
}

/// The score of how a text is put together, whatever its language.
fn shape(text: &str) -> f32 {
    const CASE_BREAK: f32 = -4.0;
    const SCRIPT_BREAK: f32 = -6.0;
    const CONTROL: f32 = -14.0;
    let mut score = 0.0;
    let mut previous = ' ';
    // How many Latin letters beyond ASCII follow each other.
    let mut latin_run: u8 = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied().unwrap_or(' ');
        let (before, this, after) = (script(previous), script(c), script(next));
        let is_new = !c.is_ascii() || !previous.is_ascii();
        let follows_letter = before != Script::Other;
        if is_new && follows_letter && this != Script::Other {
            if before != this && before != Script::Mark && this != Script::Mark {
                score += SCRIPT_BREAK;
            } else if previous.is_lowercase() && c.is_uppercase() {
                score += CASE_BREAK;
            }
        }
        latin_run = if this == Script::Latin && !c.is_ascii() { latin_run.saturating_add(1) } else { 0 };
        if latin_run > 2 {
            score += -4.0;
        }
        if !c.is_ascii() {
            score += match this {
                Script::Other if c.is_control() || ('\u{e000}'..='\u{f8ff}').contains(&c) => CONTROL,
                Script::Other => sign(previous, c, next),
                Script::Mark if !follows_letter => CASE_BREAK,
                _ => place_in_word(c, follows_letter, after != Script::Other),
            };
        }
        previous = c;
    }
    score
}

/// The score of a sign between two characters. Few signs touch letters, and two signs seldom follow each other.
fn sign(previous: char, sign: char, next: char) -> f32 {
    const UNUSUAL: f32 = -7.5;
    const USUAL: f32 = -2.5;
    const OUT_OF_PLACE: f32 = -4.0;
    let (follows, precedes) = (is_letter(previous), is_letter(next));
    let is_in_place = match sign {
        '’' | '\u{ad}' | '\u{a0}' | '\u{200e}' | '\u{200f}' => follows || !precedes || sign != '’',
        '“' | '„' | '‘' | '‚' | '«' | '‹' | '¿' | '¡' | '№' | '€' | '£' | '•' => !follows,
        '”' | '»' | '›' | '…' | '°' | '®' | '™' | 'º' | 'ª' | '،' | '؟' | '´' => !precedes,
        '·' => follows == precedes,
        _ => !follows && !precedes,
    };
    let is_second = !previous.is_ascii() && !follows && previous != '\u{a0}' && sign != '\u{a0}';
    let usual = if is_usual_sign(sign) { USUAL } else { UNUSUAL };
    usual + if is_in_place { 0.0 } else { OUT_OF_PLACE } + if is_second { OUT_OF_PLACE } else { 0.0 }
}

/// The score of a letter that some scripts have only at the beginning, in the middle or at the end of words.
fn place_in_word(c: char, follows_letter: bool, precedes_letter: bool) -> f32 {
    let c = lower(c);
    let is_misplaced = match c {
        'ь' | 'ъ' | 'ы' | '\u{e30}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}' => !follows_letter,
        'ς' | 'ם' | 'ן' | 'ך' | 'ף' | 'ץ' | 'ة' | 'ى' => precedes_letter,
        '\u{e40}'..='\u{e44}' => !precedes_letter,
        _ => false,
    };
    match c {
        _ if is_misplaced => -4.0,
        'σ' | 'מ' | 'נ' | 'כ' | 'צ' if !precedes_letter && follows_letter => -2.0,
        _ => 0.0,
    }
}

/// The score of letters of ASCII beside characters of two bytes, which is rare; it is where a Latin text is misread.
fn mixed_scripts(text: &str) -> f32 {
    let mut score = 0.0;
    let mut previous = ' ';
    for c in text.chars() {
        let is_east = |c: char| !c.is_ascii() && c.is_alphabetic();
        if previous.is_ascii_alphabetic() && is_east(c) || is_east(previous) && c.is_ascii_alphabetic() {
            score += -3.0;
        }
        previous = c;
    }
    score
}

/// The characters of an encoding with two bytes, by what their first byte is: the first and last such byte, and which
/// share of the text they are.
#[derive(Clone, Copy)]
struct TwoByteSet {
    blocks: &'static [(u8, u8, f32)],
    /// How many second bytes there are for each first one.
    second_bytes: f32,
}

impl TwoByteSet {
    /// `None` for an encoding with one byte per character.
    fn of(encoding: Encoding) -> Option<TwoByteSet> {
        let (blocks, second_bytes): (&'static [(u8, u8, f32)], f32) = match encoding.word() {
            // Characters of level 1, in the order of their sounds; level 2 is rare.
            "GBK" | "GB18030" => {
                (&[(0xb0, 0xc8, 0.55), (0xc9, 0xd7, 0.42), (0xd8, 0xf7, 0.01), (0xa1, 0xa3, 0.01)], 94.0)
            }
            // Level 1, in the order of their strokes: the simple ones are more frequent.
            "Big5" => {
                (&[(0xa4, 0xaf, 0.55), (0xb0, 0xc6, 0.42), (0xc9, 0xf9, 0.01), (0xa1, 0xa3, 0.01)], 157.0)
            }
            // Syllables; Chinese characters are rare.
            "EUC-KR" => (&[(0xb0, 0xc8, 0.98), (0xca, 0xfd, 0.005), (0xa1, 0xa3, 0.005)], 94.0),
            // Kana; characters of level 1; level 2.
            "EUC-JP" => {
                (&[(0xa4, 0xa5, 0.35), (0xb0, 0xcf, 0.62), (0xd0, 0xf4, 0.015), (0xa1, 0xa3, 0.01)], 94.0)
            }
            "Shift_JIS" => (
                &[
                    (0x82, 0x83, 0.37),
                    (0x88, 0x97, 0.59),
                    (0x98, 0x9f, 0.02),
                    (0xe0, 0xea, 0.005),
                    (0x81, 0x81, 0.01),
                ],
                188.0,
            ),
            _ => return None,
        };
        Some(TwoByteSet { blocks, second_bytes })
    }

    fn log_likelihood(self, bytes: &[u8], encoding: Encoding) -> f32 {
        const RARE: f32 = -16.0;
        const HALF_WIDTH: f32 = -7.0;
        let name = encoding.word();
        let mut score = 0.0;
        let mut at = 0;
        while let Some(&first) = bytes.get(at) {
            let second = bytes.get(at + 1).copied().unwrap_or_default();
            at += match first {
                0..0x80 => 1,
                0xa1..=0xdf if name == "Shift_JIS" => {
                    score += HALF_WIDTH;
                    1
                }
                0x8e if name == "EUC-JP" => {
                    score += HALF_WIDTH;
                    2
                }
                0x8f if name == "EUC-JP" => {
                    score += RARE;
                    3
                }
                _ if name == "GB18030" && second.is_ascii_digit() => {
                    score += RARE;
                    4
                }
                // What Big5 has from 40 on, GBK and EUC-KR have for rare characters.
                _ if second < 0xa1 && matches!(name, "GBK" | "GB18030" | "EUC-KR") => {
                    score += RARE;
                    2
                }
                _ => {
                    let block = self.blocks.iter().find(|(from, to, _)| (*from..=*to).contains(&first));
                    score += block.map_or(RARE, |(from, to, share)| {
                        (share / (f32::from(to - from + 1) * self.second_bytes)).ln()
                    });
                    2
                }
            };
        }
        score
    }
}
