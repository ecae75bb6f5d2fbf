//! The checks as a card for people: first what to do first, then each check of each group.
//!
//! Decides: what stands first, and what of a check is shown: of one that passed only its sentence.

use std::fmt::{self, Display, Formatter, Write};

use super::check::{Check, CheckGroup, CheckList, CheckStatus};

/// The width of a card unless the terminal has another one.
const WIDTH: usize = 80;
/// The shortest line that is still readable; a narrower terminal wraps by itself.
const NARROWEST: usize = 40;
/// Details of a check that are shown; `--json` has all.
const DETAILS: usize = 6;

/// How a card looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardStyle {
    /// The longest line, in characters.
    pub width: usize,
    /// With colors.
    pub colored: bool,
}

impl Default for CardStyle {
    fn default() -> CardStyle {
        CardStyle { width: WIDTH, colored: false }
    }
}

impl CheckList {
    /// The card.
    pub fn card(&self, style: CardStyle) -> String {
        let mut card = Card { text: String::new(), style };
        card.head(self);
        for group in CheckGroup::ALL {
            let checks: Vec<&Check> = self.checks.iter().filter(|check| check.group == group).collect();
            if checks.is_empty() {
                continue;
            }
            card.text.push('\n');
            card.line(&[(Some(BOLD), title(group))], 0);
            for check in checks {
                card.check(check);
            }
        }
        card.text.push('\n');
        card.paragraph(2, 2, &[(None, &self.counts())]);
        card.text
    }

    fn counts(&self) -> String {
        let parts = STATUSES.iter().filter_map(|&(status, words)| {
            let count = self.checks.iter().filter(|check| check.status == status).count();
            (count > 0).then(|| format!("{count} {words}"))
        });
        let parts: Vec<String> = parts.collect();
        format!("{} checks: {}", self.checks.len(), parts.join(", "))
    }
}

impl Display for CheckList {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(&self.card(CardStyle::default()))
    }
}

const BOLD: &str = "1";
const STATUSES: [(CheckStatus, &str); 5] = [
    (CheckStatus::Fail, "failed"),
    (CheckStatus::Warn, "with a warning"),
    (CheckStatus::CouldNotConfirm, "could not be confirmed"),
    (CheckStatus::NotRun, "not run"),
    (CheckStatus::Pass, "passed"),
];

fn title(group: CheckGroup) -> &'static str {
    match group {
        CheckGroup::Host => "This host",
        CheckGroup::Sender => "The sender's domain",
        CheckGroup::List => "The list",
        CheckGroup::Run => "The run",
    }
}

/// The word before a check, and its color.
fn mark(status: CheckStatus) -> (&'static str, &'static str) {
    match status {
        CheckStatus::Pass => ("ok", "32"),
        CheckStatus::Warn => ("warn", "33"),
        CheckStatus::Fail => ("FAIL", "1;31"),
        CheckStatus::CouldNotConfirm => ("?", "36"),
        CheckStatus::NotRun => ("-", "2"),
    }
}

/// Columns before the sentence of a check.
const INDENT: usize = 8;

struct Card {
    text: String,
    style: CardStyle,
}

impl Card {
    /// What to do first: the first check that failed, else the first warning.
    fn head(&mut self, list: &CheckList) {
        let first_of = |status| list.checks.iter().find(move |check| check.status == status);
        let (verdict, color, first) = match (
            first_of(CheckStatus::Fail),
            first_of(CheckStatus::Warn),
            first_of(CheckStatus::CouldNotConfirm),
        ) {
            (Some(check), ..) => ("Not ready: a run would find out little.", "1;31", Some(check)),
            (None, Some(check), _) => ("Ready, but some receivers may mind.", "1;33", Some(check)),
            (None, None, Some(check)) => {
                ("No fault was found, but not everything could be looked up.", "1;36", Some(check))
            }
            (None, None, None) => ("Ready: no fault was found.", "1;32", None),
        };
        self.paragraph(0, 0, &[(Some(color), verdict)]);
        let Some(check) = first else { return };
        self.paragraph(
            0,
            10,
            &[
                (Some(BOLD), "Do first: "),
                (None, &check.sentence),
                (None, " "),
                (Some("2"), &format!("({})", check.id)),
            ],
        );
        if let Some(fix) = &check.fix {
            self.block(10, "", fix);
        }
    }

    fn check(&mut self, check: &Check) {
        let (word, color) = mark(check.status);
        let first = format!("  {word:<6}");
        self.paragraph(
            0,
            INDENT,
            &[
                (Some(color), &first),
                (None, &check.sentence),
                (None, " "),
                (Some("2"), &format!("({})", check.id)),
            ],
        );
        if matches!(check.status, CheckStatus::Pass | CheckStatus::NotRun) {
            return;
        }
        self.paragraph(INDENT, INDENT + 6, &[(Some("2"), "why   "), (None, check.why)]);
        for detail in check.details.iter().take(DETAILS) {
            self.paragraph(INDENT, INDENT + 6, &[(Some("2"), "seen  "), (None, detail)]);
        }
        match check.details.len().saturating_sub(DETAILS) {
            0 => {}
            more => self.paragraph(
                INDENT,
                INDENT + 6,
                &[(Some("2"), "      "), (None, &format!("and {more} more (`--json` has all)"))],
            ),
        }
        if let Some(fix) = &check.fix {
            self.block(INDENT, "fix   ", fix);
        }
    }

    /// A fix. A sentence is wrapped; a record or command that is pasted stays one line, however long it is.
    fn block(&mut self, indent: usize, name: &str, text: &str) {
        let is_sentence = text.starts_with(char::is_uppercase) && text.ends_with('.');
        if is_sentence {
            return self.paragraph(indent, indent + name.len(), &[(Some("2"), name), (Some("36"), text)]);
        }
        for (n, line) in text.lines().enumerate() {
            let name = if n == 0 { name } else { &" ".repeat(name.len()) };
            self.line(&[(Some("2"), name), (Some("36"), line)], indent);
        }
    }

    fn line(&mut self, parts: &[(Option<&str>, &str)], indent: usize) {
        self.text.push_str(&" ".repeat(indent));
        for (color, part) in parts {
            self.push(*color, part);
        }
        self.end_line();
    }

    /// Parts of one text, wrapped between words; lines after the first are indented by `rest`.
    fn paragraph(&mut self, indent: usize, rest: usize, parts: &[(Option<&str>, &str)]) {
        let width = self.style.width.max(NARROWEST);
        self.text.push_str(&" ".repeat(indent));
        let mut column = indent;
        for (color, part) in parts {
            let mut words = part.split(' ').peekable();
            let mut run = String::new();
            while let Some(word) = words.next() {
                let length = word.chars().count();
                let space = usize::from(words.peek().is_some());
                if column > rest && column + length > width {
                    self.push(*color, run.trim_end());
                    run.clear();
                    self.end_line();
                    self.text.push_str(&" ".repeat(rest));
                    column = rest;
                }
                run.push_str(word);
                run.push_str(&" "[..space]);
                column += length + space;
            }
            self.push(*color, &run);
        }
        self.end_line();
    }

    fn push(&mut self, color: Option<&str>, text: &str) {
        match color {
            Some(color) if self.style.colored && !text.trim().is_empty() => {
                // Writing into a string can't fail.
                let _ = write!(self.text, "\u{1b}[{color}m{text}\u{1b}[0m");
            }
            _ => self.text.push_str(text),
        }
    }

    fn end_line(&mut self) {
        let kept = self.text.trim_end_matches(' ').len();
        self.text.truncate(kept);
        self.text.push('\n');
    }
}
