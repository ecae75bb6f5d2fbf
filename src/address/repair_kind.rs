//! The repairs of texts that are no addresses, each with its word.
//!
//! Decides: the names of the repairs, which the column `repairs` shows. Must not: repair; [`super::repair`] does.

/// One repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Repair {
    /// White space around the address or around the @ is removed.
    WhiteSpace,
    /// No-break spaces and other spaces beyond ASCII become plain spaces.
    NoBreakSpace,
    /// Zero-width characters, byte order marks, soft hyphens and bidi controls are removed.
    Invisible,
    /// Full-width forms, and full stops of other scripts, become ASCII.
    FullWidth,
    /// Curly quotation marks become plain ones.
    TypographicQuote,
    /// `mailto:` and the part from `?` on are removed.
    Mailto,
    /// `smtp:`, as directory exports write it, is removed.
    SmtpPrefix,
    /// The name in `Name <a@b>` is removed.
    DisplayName,
    /// `<` and `>` are removed.
    AngleBrackets,
    /// A remark in parentheses after the address and a space is removed.
    Comment,
    /// Quotation marks around the whole text are removed.
    Quotes,
    /// Dots, commas, colons and semicolons at the end, and all but dots at the start, are removed.
    TrailingPunctuation,
    /// Percent-encoded characters, such as `%40` for `@`, are decoded.
    PercentEncoding,
    /// Entities of HTML, such as `&#64;` for `@`, are decoded.
    HtmlEntity,
    /// Characters that look like others, such as an accent for an apostrophe, become the ASCII ones.
    LookAlike,
    /// The formula of a spreadsheet around the address is removed.
    Formula,
    /// The link around the address, in HTML or another markup, is removed.
    Link,
    /// A label in front of the address, such as `Email:`, is removed.
    Label,
    /// Brackets around the address are removed.
    Brackets,
    /// Marks around the address, such as those of a list or of emphasis, are removed.
    Marks,
    /// Other words around the address are removed.
    Words,
}

impl Repair {
    /// The `snake_case` word.
    pub fn word(self) -> &'static str {
        match self {
            Repair::WhiteSpace => "white_space",
            Repair::NoBreakSpace => "no_break_space",
            Repair::Invisible => "invisible_character",
            Repair::FullWidth => "full_width",
            Repair::TypographicQuote => "typographic_quote",
            Repair::Mailto => "mailto",
            Repair::SmtpPrefix => "smtp_prefix",
            Repair::DisplayName => "display_name",
            Repair::AngleBrackets => "angle_brackets",
            Repair::Comment => "comment",
            Repair::Quotes => "quotes",
            Repair::TrailingPunctuation => "trailing_punctuation",
            Repair::PercentEncoding => "percent_encoding",
            Repair::HtmlEntity => "html_entity",
            Repair::LookAlike => "look_alike",
            Repair::Formula => "formula",
            Repair::Link => "link",
            Repair::Label => "label",
            Repair::Brackets => "brackets",
            Repair::Marks => "marks",
            Repair::Words => "words",
        }
    }
}
