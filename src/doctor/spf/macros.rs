//! Macro strings as they are written: literals and macros (RFC 7208 7.1).
//!
//! Decides: which texts are macro strings and which of them name a domain. Must not: expand them; [`super::expand`] does.

/// A parsed macro string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MacroString(pub(super) Vec<Part>);

/// A part of a macro string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Characters that stand for themselves.
    Literal(String),
    /// `%%`, `%_` or `%-`, as what it stands for.
    Escape(&'static str),
    /// `%{...}`
    Macro(Macro),
}

/// `%{`, a letter, transformers and delimiters, `}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Macro {
    /// In lower case.
    pub(super) letter: char,
    /// The letter was written in upper case: the value is percent-encoded.
    pub(super) is_encoded: bool,
    /// How many parts at the right are kept; all if `None`.
    pub(super) keep: Option<usize>,
    /// The parts are reversed.
    pub(super) is_reversed: bool,
    /// The characters at which the value is split; "." if none is given.
    pub(super) delimiters: String,
}

/// Where a macro string stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a record.
    Record,
    /// In the text that `exp` leads to: spaces and the macros `c`, `r`, `t` are allowed.
    Explanation,
}

impl MacroString {
    /// Parses a macro string. The error says what is wrong.
    pub(super) fn parse(text: &str, place: Place) -> Result<MacroString, String> {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if first != '%' {
                let is_allowed = first.is_ascii_graphic() || (first == ' ' && place == Place::Explanation);
                if !is_allowed {
                    return Err(format!("the character {first:?} is not allowed"));
                }
                rest = &rest[first.len_utf8()..];
                match parts.last_mut() {
                    Some(Part::Literal(literal)) => literal.push(first),
                    _ => parts.push(Part::Literal(first.to_string())),
                }
                continue;
            }
            let (part, length) = match rest.as_bytes().get(1) {
                Some(b'%') => (Part::Escape("%"), 2),
                Some(b'_') => (Part::Escape(" "), 2),
                Some(b'-') => (Part::Escape("%20"), 2),
                Some(b'{') => {
                    let end = rest.find('}').ok_or("a macro without `}`")?;
                    (Part::Macro(Macro::parse(&rest[2..end], place)?), end + 1)
                }
                _ => return Err("`%` must be followed by `{`, `%`, `_` or `-`".to_owned()),
            };
            parts.push(part);
            rest = &rest[length..];
        }
        Ok(MacroString(parts))
    }

    /// Parses a domain with macros (`domain-spec`): it ends with a macro, or with a dot and a top label.
    pub(super) fn parse_domain(text: &str) -> Result<MacroString, String> {
        let parsed = MacroString::parse(text, Place::Record)?;
        match parsed.0.last() {
            None => Err("a domain is missing".to_owned()),
            Some(Part::Literal(literal)) => {
                let name = literal.strip_suffix('.').unwrap_or(literal);
                match name.rsplit_once('.') {
                    Some((_, label)) if is_top_label(label) => Ok(parsed),
                    _ => Err(format!("`{text}` is not a domain name")),
                }
            }
            Some(_) => Ok(parsed),
        }
    }

    /// True if a macro needs the validated name of the client.
    pub(super) fn needs_client_name(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Macro(found) if found.letter == 'p'))
    }
}

impl Macro {
    fn parse(text: &str, place: Place) -> Result<Macro, String> {
        let wrong = || format!("`%{{{text}}}` is not a macro");
        let letter = text.chars().next().ok_or_else(wrong)?;
        let lower = letter.to_ascii_lowercase();
        match lower {
            's' | 'l' | 'o' | 'd' | 'i' | 'p' | 'h' | 'v' => {}
            'c' | 'r' | 't' if place == Place::Explanation => {}
            'c' | 'r' | 't' => return Err(format!("the macro `{letter}` is allowed in explanations only")),
            _ => return Err(wrong()),
        }
        let rest = &text[1..];
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = rest.split_at(digits);
        let keep = match number.trim_start_matches('0') {
            _ if number.is_empty() => None,
            "" => return Err(format!("`%{{{text}}}` keeps no part")),
            // A number too large for a machine keeps all parts too.
            significant => Some(significant.parse().unwrap_or(usize::MAX)),
        };
        let delimiters = rest.strip_prefix(['r', 'R']);
        let is_reversed = delimiters.is_some();
        let delimiters = delimiters.unwrap_or(rest);
        if !delimiters.chars().all(|c| ".-+,/_=".contains(c)) {
            return Err(wrong());
        }
        Ok(Macro {
            letter: lower,
            is_encoded: letter.is_ascii_uppercase(),
            keep,
            is_reversed,
            delimiters: if delimiters.is_empty() { ".".to_owned() } else { delimiters.to_owned() },
        })
    }
}

/// A label that can end a name: letters, digits and inner hyphens, and not digits only (RFC 7208 7.1 `toplabel`).
fn is_top_label(label: &str) -> bool {
    let has_right_characters = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let ends_right = !label.starts_with('-') && !label.ends_with('-');
    !label.is_empty()
        && has_right_characters
        && ends_right
        && !label.bytes().all(|byte| byte.is_ascii_digit())
}
