//! A chapter as text for a terminal.
//!
//! Decides: how headings, paragraphs, lists, code and tables look. Knows the Markdown of the chapters only. Must not: leave
//! out a word, except comments. Can't know: how wide a character is; each counts as one column.

use std::fmt::Write;

/// The chapter with lines of at most `width` columns where words allow it; code keeps its lines. With `has_color`, headings
/// and code are bold.
pub fn render(markdown: &str, width: usize, has_color: bool) -> String {
    let mut page = Page { text: String::new(), width, has_color };
    let mut lines = markdown.lines().peekable();
    let mut in_code = false;
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            in_code = !in_code;
        } else if in_code {
            let _ = writeln!(page.text, "    {line}");
        } else if line.starts_with("<!--") {
        } else if line.starts_with('#') {
            let title = page.bold(line.trim_start_matches('#').trim_start());
            let _ = writeln!(page.text, "{title}");
        } else if line.starts_with('|') {
            let mut rows = vec![cells(line)];
            while let Some(row) = lines.next_if(|next| next.starts_with('|')) {
                rows.push(cells(row));
            }
            page.table(&rows);
        } else if line.is_empty() {
            page.text.push('\n');
        } else {
            let mut paragraph = line.to_owned();
            while let Some(next) = lines.next_if(|next| is_continued_by(next)) {
                let _ = write!(paragraph, " {}", next.trim_start());
            }
            let marker = line.len() - line.trim_start_matches(['-', ' ']).len();
            page.wrapped(&paragraph, marker);
        }
    }
    page.text
}

/// True for a line that belongs to the paragraph before it.
fn is_continued_by(line: &str) -> bool {
    !line.is_empty() && !["```", "<!--", "#", "|", "- "].iter().any(|start| line.starts_with(start))
}

/// The cells of a row. `\|` is a bar in a cell.
fn cells(row: &str) -> Vec<String> {
    let row = row.replace("\\|", "\u{0}");
    let row = row.trim().trim_start_matches('|').trim_end_matches('|');
    row.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
}

/// The page so far.
struct Page {
    text: String,
    width: usize,
    has_color: bool,
}

impl Page {
    fn bold(&self, text: &str) -> String {
        if self.has_color { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A paragraph; lines after the first are indented.
    fn wrapped(&mut self, paragraph: &str, indent: usize) {
        let leading = paragraph.len() - paragraph.trim_start().len();
        let (mut column, mut is_first, mut is_bold) = (leading, true, false);
        self.text.push_str(&paragraph[..leading]);
        for word in paragraph.split_whitespace() {
            let word = word.replace("**", "");
            // With colors, backticks are not printed.
            let length = word.chars().filter(|letter| !self.has_color || *letter != '`').count();
            if !is_first && column + 1 + length > self.width {
                let _ = write!(self.text, "\n{:indent$}", "");
                column = indent;
            } else if !is_first {
                self.text.push(' ');
                column += 1;
            }
            is_first = false;
            self.word(&word, &mut is_bold);
            column += length;
        }
        self.text.push('\n');
    }

    /// A word; with colors, backticks become bold.
    fn word(&mut self, word: &str, is_bold: &mut bool) {
        if !self.has_color {
            self.text.push_str(word);
            return;
        }
        for letter in word.chars() {
            if letter == '`' {
                *is_bold = !*is_bold;
                self.text.push_str(if *is_bold { "\u{1b}[1m" } else { "\u{1b}[0m" });
            } else {
                self.text.push(letter);
            }
        }
    }

    /// A table in columns if it is narrow enough; otherwise each row is an entry with its other cells below.
    fn table(&mut self, rows: &[Vec<String>]) {
        let Some((header, rows)) = rows.split_first() else { return };
        let rows = rows.get(1..).unwrap_or_default();
        let widths: Vec<usize> = (0..header.len())
            .map(|column| {
                let cells = rows.iter().chain([header]).filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        if widths.iter().map(|width| width + 2).sum::<usize>() <= self.width + 2 {
            for (number, row) in std::iter::once(header).chain(rows).enumerate() {
                let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
                let line = cells.collect::<Vec<_>>().join("  ");
                let line = if number == 0 { self.bold(line.trim_end()) } else { line.trim_end().to_owned() };
                let _ = writeln!(self.text, "{line}");
            }
            return;
        }
        self.wrapped(&header.join(" / "), 2);
        for row in rows {
            let mut cells = row.iter().zip(header).filter(|(cell, _)| !cell.is_empty());
            if let Some((first, _)) = cells.next() {
                self.wrapped(first, 2);
            }
            for (cell, name) in cells {
                let entry =
                    if header.len() == 2 { format!("    {cell}") } else { format!("    {name}: {cell}") };
                self.wrapped(&entry, 4);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guide::CHAPTERS;

    #[test]
    fn tables_lists_and_code_are_readable_without_marks() {
        let page = render(
            "# A\n\none\ntwo\n\n- **x** `y`\n  z\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```sh\n  run\n```\n",
            80,
            false,
        );
        assert_eq!(page, "A\n\none two\n\n- x `y` z\n\na  b\n1  2\n\n      run\n");
    }

    #[test]
    fn no_word_of_a_chapter_is_lost_and_lines_fit() {
        for chapter in CHAPTERS {
            let page = render(chapter.text, 80, false);
            for word in chapter.text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 3) {
                let is_mark = ["reasons", "events", "console", "text"].contains(&word);
                assert!(is_mark || page.contains(word), "{}: `{word}`", chapter.topic);
            }
            let code: Vec<&str> = chapter.text.split("```").skip(1).step_by(2).collect();
            for line in page.lines().filter(|line| !code.iter().any(|code| code.contains(line.trim()))) {
                let is_one_word = !line.trim().contains(' ');
                assert!(is_one_word || line.chars().count() <= 80, "{}: {line}", chapter.topic);
            }
        }
    }
}
