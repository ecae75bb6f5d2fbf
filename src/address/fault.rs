//! The syntax faults of addresses, each with its word and its sentence.
//!
//! Decides: the names of the faults. A word is the end of the rule id `syntax.<word>`, which users rely on. Must not:
//! parse; [`super::syntax`] and [`super::domain`] find the faults.

use std::fmt;

/// What is wrong with a text that is no address, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SyntaxFault {
    /// What is wrong.
    pub kind: FaultKind,
    /// Byte offset of the fault in the text that was parsed, at a character boundary; the length of the text if
    /// something is missing at its end.
    pub at: usize,
}

/// What is wrong with a text that is no domain. The offset counts from the start of the domain.
pub type DomainFault = SyntaxFault;

impl SyntaxFault {
    /// The fault with its offset in a longer text, in which the parsed text starts at byte `start`.
    pub(super) fn shifted(self, start: usize) -> SyntaxFault {
        SyntaxFault { at: self.at + start, ..self }
    }
}

impl fmt::Display for SyntaxFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.kind.sentence(), self.at)
    }
}

impl std::error::Error for SyntaxFault {}

/// A fault as the result of parsing.
pub(super) fn fault<T>(kind: FaultKind, at: usize) -> Result<T, SyntaxFault> {
    Err(SyntaxFault { kind, at })
}

/// The fault of an ASCII character that is allowed nowhere in an address outside quotes; `other` if none is more exact.
pub(super) fn character_fault(b: u8, other: FaultKind) -> FaultKind {
    match b {
        b' ' => FaultKind::WhiteSpace,
        0..=31 | 127 => FaultKind::ControlCharacter,
        b'<' | b'>' => FaultKind::AngleBracket,
        b'(' | b')' => FaultKind::Comment,
        b'@' => FaultKind::SecondAt,
        _ => other,
    }
}

/// The start of the character to which a byte belongs.
pub(super) fn char_start(text: &str, byte: usize) -> usize {
    (0..=byte).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

macro_rules! fault_kinds {
    ($($variant:ident = $word:literal, $sentence:literal;)+) => {
        /// The kinds of syntax faults. The set is closed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FaultKind { $(#[doc = $sentence] $variant,)+ }

        impl FaultKind {
            /// Every fault, in the order of the parts of an address.
            pub const ALL: &'static [FaultKind] = &[$(FaultKind::$variant,)+];

            /// The `snake_case` word: the rule id is `syntax.<word>`.
            pub fn word(self) -> &'static str { match self { $(FaultKind::$variant => $word,)+ } }

            /// The fault with this word; `None` for any other text.
            pub fn from_word(word: &str) -> Option<FaultKind> {
                match word { $($word => Some(FaultKind::$variant),)+ _ => None }
            }

            /// The rule id of this fault.
            pub fn rule(self) -> &'static str { match self { $(FaultKind::$variant => concat!("syntax.", $word),)+ } }

            /// One sentence for users.
            pub fn sentence(self) -> &'static str { match self { $(FaultKind::$variant => $sentence,)+ } }
        }
    };
}

fault_kinds! {
    Empty = "empty", "there is nothing here";
    NoAt = "no_at", "the @ is missing";
    SecondAt = "second_at", "there is more than one @";
    NoLocalPart = "no_local_part", "nothing stands before the @";
    NoDomain = "no_domain", "nothing stands after the @";
    LeadingDot = "leading_dot", "the name before the @ starts with a dot";
    TrailingDot = "trailing_dot", "the name before the @ ends with a dot";
    DoubleDot = "double_dot", "the name before the @ has two dots in a row";
    LocalCharacter = "local_character", "the name before the @ has a character that is not allowed there";
    LocalTooLong = "local_too_long", "the name before the @ is longer than 64 bytes";
    UnclosedQuote = "unclosed_quote", "a quotation mark is opened and not closed";
    MisplacedQuote = "misplaced_quote", "a quotation mark stands inside the name; quotes must enclose all of it";
    BadEscape = "bad_escape", "a backslash is followed by something that can't be escaped";
    WhiteSpace = "white_space", "there is a space in the address";
    ControlCharacter = "control_character", "there is a control character in the address";
    InvisibleCharacter = "invisible_character", "there is an invisible character in the address";
    TypographicQuote = "typographic_quote", "there is a curly quotation mark, as word processors put it, in the address";
    FullWidth = "full_width", "there is a full-width character, as East Asian keyboards type it, in the address";
    LookAlike = "look_alike", "there is a character in the address that only looks like another one";
    Undecodable = "undecodable", "a letter of the address was lost when the file was converted";
    AngleBracket = "angle_bracket", "there is an angle bracket in the address";
    Comment = "comment", "there is a remark in parentheses in the address";
    DomainLeadingDot = "domain_leading_dot", "the domain starts with a dot";
    DomainTrailingDot = "domain_trailing_dot", "the domain ends with a dot";
    DomainDoubleDot = "domain_double_dot", "the domain has two dots in a row";
    DomainCharacter = "domain_character", "the domain has a character that is not allowed there";
    DomainHyphen = "domain_hyphen", "a part of the domain starts or ends with a hyphen, or has two as its third and fourth letter";
    LabelTooLong = "label_too_long", "a part of the domain is longer than 63 bytes";
    DomainTooLong = "domain_too_long", "the domain is longer than 253 bytes";
    InternationalDomain = "international_domain", "the domain has letters that an international domain name can't have";
    Punycode = "punycode", "the domain has a part that starts with xn-- but is not a valid international name";
    NumericTopLevel = "numeric_top_level", "the domain ends in a number; no such domain exists";
    BareIp = "bare_ip", "the domain is an IP address without the square brackets it needs";
    UnclosedLiteral = "unclosed_literal", "a square bracket is opened and not closed";
    BadLiteral = "bad_literal", "there is no valid IP address between the square brackets";
    UnknownLiteralTag = "unknown_literal_tag", "the square brackets hold an address of a kind that was never defined";
    TooLong = "too_long", "the address is longer than 254 bytes";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn words_are_unique_snake_case_and_end_the_rule_id() {
        let mut seen = HashSet::new();
        for kind in FaultKind::ALL {
            assert!(seen.insert(kind.word()), "`{}` is used twice", kind.word());
            assert!(kind.word().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert_eq!(FaultKind::from_word(kind.word()), Some(*kind));
            assert_eq!(kind.rule(), format!("syntax.{}", kind.word()));
        }
    }
}
